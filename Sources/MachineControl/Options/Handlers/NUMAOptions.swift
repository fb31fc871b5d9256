internal import JSON
internal import Machine

/// -numa: nodes, distances and processors' places.
enum NUMAOptions {
    static let table = ParameterTable(
        implied: "type",
        [
            Parameter("type", Parameter.Kind.choice(["node", "dist", "cpu", "hmat-lb", "hmat-cache"])),
            Parameter("nodeid", Parameter.Kind.number(0...127), "The node's number"),
            Parameter("cpus", Parameter.Kind.string, "Its processors: n or first-last", repeats: true),
            Parameter("mem", Parameter.Kind.size(unit: 1 << 20), "Its memory"),
            Parameter("memdev", Parameter.Kind.string, "The object that is its memory"),
            Parameter("initiator", Parameter.Kind.number(0...127), "Accepted"),
            Parameter("src", Parameter.Kind.number(0...127)), Parameter("dst", Parameter.Kind.number(0...127)),
            Parameter("val", Parameter.Kind.number(10...255), "The distance, 10 to itself"),
            Parameter("node-id", Parameter.Kind.number(0...127)), Parameter("socket-id", Parameter.natural),
            Parameter("die-id", Parameter.natural), Parameter("core-id", Parameter.natural),
            Parameter("thread-id", Parameter.natural),
        ])
    private static let known: [String: Set<String>] = [
        "node": ["type", "nodeid", "cpus", "mem", "memdev", "initiator"], "dist": ["type", "src", "dst", "val"],
        "cpu": ["type", "node-id", "socket-id", "die-id", "core-id", "thread-id"],
    ]
    /// The usual distances: to itself, and to any other.
    private static let (local, remote): (UInt8, UInt8) = (10, 20)

    static func numa(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let type = try argument.required("type")
        guard let members = known[type] else {
            throw .invalid("'\(type)' is not supported yet; valid: node, dist, cpu")
        }
        for name in argument.values.names where !members.contains(name) {
            throw .unknown("Invalid parameter", name, among: members.sorted())
        }
        builder.numaRequests.append((argument.values, builder.origin))
    }

    /// A node in the making.
    private struct Node {
        var processors: [Int] = []
        var memory: UInt64?
        var backend: String?
    }

    /// The processors of `0-3`, below a limit.
    private static func processors(_ text: String, below limit: Int) throws(OptionError) -> ClosedRange<Int> {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { OptionValue.unsigned(String($0)) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last else {
            throw .value("cpus", text, expects: "a processor's number, or first-last")
        }
        guard last < UInt64(limit) else {
            throw .invalid("CPU index (\(last)) should be smaller than maxcpus (\(limit))")
        }
        return Int(first)...Int(last)
    }

    /// Makes the nodes of all -numa options. `size` is guest memory.
    static func finish(
        _ builder: inout ConfigurationBuilder, _ topology: ProcessorTopology
    ) throws(OptionError) -> NUMAConfiguration {
        var numa = NUMAConfiguration()
        let requests = builder.numaRequests
        guard !requests.isEmpty else { return numa }
        var nodes: [Int: Node] = [:]
        for (values, origin) in requests where values.string("type") == "node" {
            builder.origin = origin
            let number = values.int("nodeid") ?? nodes.count
            guard nodes[number] == nil else { throw .invalid("Duplicate NUMA nodeid: \(number)") }
            var node = Node()
            for text in values.strings("cpus") { node.processors += try processors(text, below: topology.maximum) }
            node.memory = values.size("mem")
            node.backend = values.string("memdev")
            if node.memory != nil, node.backend != nil { throw .invalid("'mem' and 'memdev' exclude each other") }
            if let name = node.backend {
                guard let object = builder.memoryObject(name) else {
                    throw .invalid("Memory backend '\(printable(name))' not found")
                }
                guard !nodes.values.contains(where: { $0.backend == name }) else {
                    throw .invalid("memory backend '\(printable(name))' is used multiple times")
                }
                node.memory = object.properties.size("size")
            }
            nodes[number] = node
        }
        builder.origin = requests[requests.count - 1].origin
        for number in 0..<nodes.count where nodes[number] == nil { throw .invalid("NUMA: Node ID missing: \(number)") }
        let ordered = (0..<nodes.count).map { nodes[$0] ?? Node() }
        numa.processors = try places(&builder, ordered, topology)
        numa.distances = try distances(&builder, ordered.count)
        builder.origin = "-numa"
        numa.nodes = try memory(&builder, ordered)
        return numa
    }

    /// The node of each processor.
    private static func places(
        _ builder: inout ConfigurationBuilder, _ nodes: [Node], _ topology: ProcessorTopology
    ) throws(OptionError) -> [Int] {
        var places = [Int?](repeating: nil, count: topology.maximum)
        for (number, node) in nodes.enumerated() {
            for index in node.processors {
                if let other = places[index], other != number {
                    throw .invalid("CPU \(index) is in NUMA nodes \(other) and \(number)")
                }
                places[index] = number
            }
        }
        for (values, origin) in builder.numaRequests where values.string("type") == "cpu" {
            builder.origin = origin
            guard let number = values.int("node-id") else { throw .missing("node-id") }
            guard nodes.indices.contains(number) else {
                throw .invalid("Invalid node-id=\(number), NUMA node must be defined with -numa node,nodeid=ID before")
            }
            let matching = places.indices.filter { index in
                let place = topology.place(of: index)
                let parts = [
                    ("socket-id", place.socket), ("die-id", place.die), ("core-id", place.core),
                    ("thread-id", place.thread),
                ]
                return parts.allSatisfy { name, value in values.int(name).map { $0 == value } ?? true }
            }
            guard !matching.isEmpty else { throw .invalid("no match found for a processor of that place") }
            for index in matching {
                guard places[index] == nil || places[index] == number else {
                    throw .invalid("CPU \(index) is already in NUMA node \(places[index] ?? 0)")
                }
                places[index] = number
            }
        }
        // Where nobody says, a socket's processors stay together.
        let isOpen = places.allSatisfy { $0 == nil }
        if !isOpen, let index = places.firstIndex(where: { $0 == nil }) {
            builder.origin = "-numa"
            builder.warn("CPU \(index) is in no NUMA node; it goes to node 0")
        }
        return places.indices.map { places[$0] ?? (isOpen ? topology.place(of: $0).socket % max(nodes.count, 1) : 0) }
    }

    private static func distances(_ builder: inout ConfigurationBuilder, _ count: Int) throws(OptionError) -> [[UInt8]]
    {
        var table = [[UInt8?]](repeating: [UInt8?](repeating: nil, count: count), count: count)
        var isGiven = false
        for (values, origin) in builder.numaRequests where values.string("type") == "dist" {
            builder.origin = origin
            guard let source = values.int("src") else { throw .missing("src") }
            guard let destination = values.int("dst") else { throw .missing("dst") }
            guard let value = values.int("val") else { throw .missing("val") }
            guard source < count, destination < count else {
                throw .invalid("there is no NUMA node \(max(source, destination)): '-numa node' declares one")
            }
            guard source != destination || value == Int(local) else {
                throw .invalid("Local distance of node \(source) should be \(local)")
            }
            table[source][destination] = UInt8(clamping: value)
            isGiven = true
        }
        guard isGiven else { return [] }
        return (0..<count).map { row in
            (0..<count).map { column in
                table[row][column] ?? table[column][row] ?? (row == column ? local : remote)
            }
        }
    }

    private static func memory(
        _ builder: inout ConfigurationBuilder, _ nodes: [Node]
    ) throws(OptionError) -> [NUMAConfiguration.Node] {
        let named = nodes.count { $0.backend != nil }
        guard named == 0 || nodes.allSatisfy({ $0.backend != nil || $0.memory == nil }) else {
            throw .invalid("numa: memdev option must be specified for either all or no nodes")
        }
        if named > 0, builder.configuration.board.memoryBackend != nil {
            throw .invalid("'-machine memory-backend' and '-numa node,memdev' exclude each other")
        }
        var total: UInt64 = 0
        for node in nodes {
            let (sum, overflow) = total.addingReportingOverflow(node.memory ?? 0)
            total = overflow ? UInt64.max : sum
        }
        let size = builder.configuration.memory.size
        guard total == size else {
            throw .invalid(
                "total memory for NUMA nodes (0x\(hex(total, 1))) should equal RAM size (0x\(hex(size, 1)))")
        }
        return nodes.map { NUMAConfiguration.Node(memory: $0.memory ?? 0, backend: $0.backend) }
    }
}

extension ConfigurationBuilder {
    /// The object of guest memory with a name.
    func memoryObject(_ name: String) -> ObjectConfiguration? {
        configuration.objects.first { $0.id == name && $0.type.hasPrefix("memory-backend-") }
    }
}
