internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// One domain's record of `virConnectGetAllDomainStats`.
struct DomainStatistics {
    private(set) var parameters: [RemoteTypedParam] = []
    private let domain: Domain
    private let networks: NetworkDriver
    private let tree: XMLTree
    private let machine: RunningMachine?

    /// `mask`: `virDomainStatsTypes`; 0 asks for all.
    init(_ domain: Domain, networks: NetworkDriver, mask: UInt32) {
        self.domain = domain
        self.networks = networks
        let (tree, machine, state, reason) = domain.state.withLock { ($0.current, $0.machine, $0.state, $0.reason) }
        self.tree = tree
        self.machine = machine
        func wants(_ type: UInt32) -> Bool { mask == 0 || mask & type != 0 }
        if wants(VirDomainStatsTypes.state) {
            add("state.state", .int(state))
            add("state.reason", .int(reason))
        }
        if wants(VirDomainStatsTypes.cpuTotal) { addProcessorTime() }
        if wants(VirDomainStatsTypes.balloon) { addBalloon() }
        if wants(VirDomainStatsTypes.vcpu) { addProcessors() }
        if wants(VirDomainStatsTypes.interface) { addInterfaces() }
        if wants(VirDomainStatsTypes.block) { addBlocks() }
        if wants(VirDomainStatsTypes.iothread) { addThreads() }
        if wants(VirDomainStatsTypes.dirtyrate), machine != nil {
            add("dirtyrate.calc_status", .int(0))
            add("dirtyrate.calc_start_time", .long(0))
            add("dirtyrate.calc_period", .int(0))
            add("dirtyrate.calc_mode", .string("page-sampling"))
        }
    }

    private mutating func add(_ name: String, _ value: TypedValue) {
        parameters.append(RemoteTypedParam(field: name, value: value))
    }

    private mutating func addProcessorTime() {
        guard let machine, let counters = ProcessStatistics(process: machine.process.number) else { return }
        add("cpu.time", .ulong(counters.user &+ counters.system))
        add("cpu.user", .ulong(counters.user))
        add("cpu.system", .ulong(counters.system))
        add("cpu.cache.monitor.count", .uint(0))
    }

    private mutating func addThreads() {
        guard tree.child("iothreads") != nil,
            let threads = (try? machine?.monitor?.execute("query-iothreads"))?.arrayValue, !threads.isEmpty
        else { return }
        add("iothread.count", .uint(UInt32(clamping: threads.count)))
        for thread in threads {
            guard let id = thread["id"]?.stringValue?.drop(while: { !$0.isNumber }), !id.isEmpty else { continue }
            for name in ["poll-max-ns", "poll-grow", "poll-shrink"] {
                if let value = thread[name]?.uint64Value { add("iothread.\(id).\(name)", .ulong(value)) }
            }
        }
    }

    private mutating func addBalloon() {
        add("balloon.current", .ulong(DomainFigures.currentMemory(tree)))
        add("balloon.maximum", .ulong(DomainFigures.memory(tree)))
        guard let machine, let counters = ProcessStatistics(process: machine.process.number) else { return }
        let guest = GuestMemoryFigures(machine.monitor, tree)
        func tell(_ isEarlier: Bool) {
            for (tag, name, value) in guest.values where (tag < VirDomainMemoryStatTags.lastUpdate) == isEarlier {
                add("balloon." + name, .ulong(value))
            }
        }
        tell(true)
        add("balloon.last-update", .ulong(guest.lastUpdate))
        tell(false)
        add("balloon.rss", .ulong(counters.resident))
    }

    private mutating func addProcessors() {
        add("vcpu.current", .uint(UInt32(clamping: DomainFigures.processors(tree))))
        add("vcpu.maximum", .uint(UInt32(clamping: DomainFigures.maximumProcessors(tree))))
        guard let machine else { return }
        for (index, thread) in machine.processorThreads.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            guard let counters = ProcessStatistics(process: machine.process.number, thread: thread) else { continue }
            add("vcpu.\(index).state", .int(VirVcpuState.running))
            add("vcpu.\(index).time", .ulong(counters.user &+ counters.system))
            add("vcpu.\(index).wait", .ulong(0))
            // schedstat: time on a processor, time in wait for one, turns.
            let delay = HostDescription.text("/proc/\(machine.process.number)/task/\(thread)/schedstat")
                .split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
            if let delay { add("vcpu.\(index).delay", .ulong(delay)) }
        }
    }

    private mutating func addInterfaces() {
        guard machine != nil else { return }
        let interfaces = DomainFigures.devices(tree, "interface")
        add("net.count", .uint(UInt32(clamping: interfaces.count)))
        for (index, interface) in interfaces.enumerated() {
            guard let name = interface.child("target")?["dev"],
                let counters = networks.counters(interface) ?? InterfaceCounters(name)
            else { continue }
            add("net.\(index).name", .string(name))
            for (field, value) in counters.guestNamed { add("net.\(index).\(field)", .ulong(UInt64(clamping: value))) }
        }
    }

    private mutating func addBlocks() {
        let disks = DomainFigures.devices(tree, "disk")
        add("block.count", .uint(UInt32(clamping: disks.count)))
        let all = (try? machine?.monitor?.execute("query-blockstats"))?.arrayValue ?? []
        let marks = machine?.writeThresholds ?? [:]
        for (index, disk) in disks.enumerated() {
            let prefix = "block.\(index)."
            add(prefix + "name", .string(disk.child("target")?["dev"] ?? ""))
            guard let path = DomainFigures.path(disk) else { continue }
            add(prefix + "path", .string(path))
            if let number = disk.child("source")?["index"].flatMap({ UInt32($0) }) {
                add(prefix + "backingIndex", .uint(number))
            }
            if let counters = BlockCounters(all, disk) {
                for (field, value) in counters.statistics { add(prefix + field, .ulong(UInt64(clamping: value))) }
            }
            defer { if let mark = marks[DomainFigures.storageNode(disk)] { add(prefix + "threshold", .ulong(mark)) } }
            let status = HostFile.status(path)
            guard status.kind == .file else { continue }
            // Of a machine that runs: how far its image was written, and the room that this takes.
            let highest = BlockCounters.highest(all, disk)
            add(prefix + "allocation", .ulong(highest ?? UInt64(clamping: status.allocated)))
            add(prefix + "capacity", .ulong(DomainFigures.capacity(disk)))
            add(prefix + "physical", .ulong(UInt64(clamping: highest == nil ? status.size : status.allocated)))
        }
    }
}

extension RunningMachine {
    /// Marks of writes that are set, by their nodes.
    fileprivate var writeThresholds: [String: UInt64] {
        guard mayHaveThresholds.load(ordering: .relaxed),
            let nodes = (try? monitor?.execute("query-named-block-nodes", ["flat": true]))?.arrayValue
        else { return [:] }
        var marks: [String: UInt64] = [:]
        for node in nodes {
            guard let name = node["node-name"]?.stringValue, let mark = node["write_threshold"]?.uint64Value, mark > 0
            else { continue }
            marks[name] = mark
        }
        return marks
    }
}

/// What a machine counts for a disk.
struct BlockCounters {
    let reads, readBytes, readTime, writes, writtenBytes, writeTime, flushes, flushTime: Int64

    /// A disk's part of the answer to `query-blockstats`, by the device's alias.
    private static func entry(_ answer: [JSONValue], _ disk: XMLTree) -> JSONValue? {
        guard let alias = disk.child("alias")?["name"] else { return nil }
        return answer.first { entry in
            let device = entry["qdev"]?.stringValue ?? ""
            return device == alias || device.split(separator: "/").contains(Substring(alias))
        }
    }

    /// Behind the highest byte that was written to an image's file since the machine started; nil: nobody counts that.
    static func highest(_ answer: [JSONValue], _ disk: XMLTree) -> UInt64? {
        entry(answer, disk)?["parent"]?["stats"]?["wr_highest_offset"]?.uint64Value
    }

    init?(_ answer: [JSONValue], _ disk: XMLTree) {
        guard let stats = Self.entry(answer, disk)?["stats"] else { return nil }
        func number(_ name: String) -> Int64 { stats[name]?.int64Value ?? 0 }
        reads = number("rd_operations")
        readBytes = number("rd_bytes")
        readTime = number("rd_total_time_ns")
        writes = number("wr_operations")
        writtenBytes = number("wr_bytes")
        writeTime = number("wr_total_time_ns")
        flushes = number("flush_operations")
        flushTime = number("flush_total_time_ns")
    }

    static func of(_ domain: Domain, _ name: String) throws(LibvirtError) -> BlockCounters {
        let machine = try domain.running()
        let tree = domain.state.withLock { $0.current }
        guard let disk = DomainFigures.disk(tree, name) else {
            throw LibvirtError.invalidArgument("invalid path: \(name)")
        }
        let answer = try machine.qmp().execute("query-blockstats").arrayValue ?? []
        guard let counters = BlockCounters(answer, disk) else {
            throw LibvirtError.internalError("cannot find statistics for device '\(name)'")
        }
        return counters
    }

    /// By the names of block statistics.
    var named: [(String, Int64)] {
        [
            ("wr_bytes", writtenBytes), ("wr_operations", writes), ("rd_bytes", readBytes), ("rd_operations", reads),
            ("flush_operations", flushes), ("wr_total_times", writeTime), ("rd_total_times", readTime),
            ("flush_total_times", flushTime),
        ]
    }

    /// By the names of domains' statistics.
    var statistics: [(String, Int64)] {
        [
            ("rd.reqs", reads), ("rd.bytes", readBytes), ("rd.times", readTime), ("wr.reqs", writes),
            ("wr.bytes", writtenBytes), ("wr.times", writeTime), ("fl.reqs", flushes), ("fl.times", flushTime),
        ]
    }
}

/// What Linux counts for a tap device, seen from the guest: what it sends, the host receives.
struct InterfaceCounters {
    let received, sent: [Int64]

    /// Bytes, packets, errors and packets dropped.
    init(received: [Int64], sent: [Int64]) {
        self.received = received
        self.sent = sent
    }

    init?(_ name: String) {
        let table = HostDescription.text("/proc/net/dev")
        let line = table.split(separator: "\n").first { HostDescription.trim($0.prefix { $0 != ":" }) == name }
        guard let fields = line?.split(separator: ":").last?.split(separator: " ").map({ Int64($0) ?? 0 }),
            fields.count >= 12
        else { return nil }
        sent = Array(fields[0..<4])
        received = Array(fields[8..<12])
    }

    var guestNamed: [(String, Int64)] {
        let names = ["bytes", "pkts", "errs", "drop"]
        return zip(names, received).map { ("rx." + $0, $1) } + zip(names, sent).map { ("tx." + $0, $1) }
    }
}
