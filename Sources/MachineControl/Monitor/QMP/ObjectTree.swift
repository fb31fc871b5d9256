internal import JSON
internal import Machine

/// The tree of objects that `qom-list` and `qom-get` walk, made of what the machine tells about itself.
///
/// It holds the paths that management asks for: /machine, its peripherals, processors and devices, /objects and
/// /chardevs. A path may leave out what stands before a unique name.
struct ObjectTree {
    /// A property: a value, or a child with its own path.
    struct Property {
        let name: String
        let type: String
        let value: JSONValue
    }
    private(set) var nodes: [String: [Property]] = [:]
    private let statistics: BalloonStatistics?

    init(_ machine: any MachineOperations) {
        let configuration = machine.configuration
        statistics = machine.balloonStatistics
        let board = configuration.board.kind.versionedName + "-machine"
        add("/", "container")
        add("/machine", board)
        add("/machine/peripheral", "container")
        add("/machine/peripheral-anon", "container")
        add("/machine/unattached", "container")
        add("/objects", "container")
        add("/chardevs", "container")
        set("/machine", "kernel", "string", .string(configuration.boot.kernel ?? ""))
        set("/machine", "initrd", "string", .string(configuration.boot.initrd ?? ""))
        set("/machine", "append", "string", .string(configuration.boot.append ?? ""))
        set("/machine", "firmware", "string", .string(configuration.boot.bios ?? ""))
        set("/machine", "graphics", "bool", .bool(configuration.board.graphics))
        set("/machine", "usb", "bool", .bool(configuration.usb))
        set("/machine", "acpi", "OnOffAuto", .string(configuration.board.acpi.rawValue))
        set("/machine", "pit", "OnOffAuto", .string(configuration.board.pit.rawValue))
        set("/machine", "pic", "OnOffAuto", .string(configuration.board.pic.rawValue))
        set("/machine", "mem-merge", "bool", .bool(configuration.board.mergesMemory))
        set("/machine", "dump-guest-core", "bool", .bool(configuration.board.dumpsGuestMemory))
        set("/machine", "memory-backend", "string", .string(configuration.board.memoryBackend ?? ""))
        if configuration.board.kind.isPC {
            set("/machine", "hpet", "bool", .bool(configuration.board.hpet))
            set("/machine", "vmport", "OnOffAuto", .string(configuration.board.vmport.rawValue))
        }
        let processorType = QMPCommandTable.processorType(configuration)
        for processor in machine.processors {
            let path = QMPCommandTable.path(of: processor)
            add(path, processorType)
            set(path, "hotplugged", "bool", .bool(processor.isHotplugged))
            set(path, "realized", "bool", true)
            set(path, "socket-id", "int", .number(processor.place.socket))
            set(path, "die-id", "int", .number(processor.place.die))
            set(path, "core-id", "int", .number(processor.place.core))
            set(path, "thread-id", "int", .number(processor.place.thread))
        }
        addDevices(machine.deviceTree, below: "", depth: 0)
        for object in machine.objects {
            add("/objects/\(object.id)", object.type)
            if let limits = machine.throttleLimits(object.id) {
                set("/objects/\(object.id)", limits)
                continue
            }
            for member in object.properties.members where object.type != "secret" {
                set("/objects/\(object.id)", member.name, member.value.kindName, member.value)
            }
        }
        for context in machine.threadContexts {
            set("/objects/\(context.id)", "thread-id", "int", .number(context.threadID))
        }
        for device in machine.characterDevices { add("/chardevs/\(device.label)", "chardev") }
    }

    /// Names of the guest's figures, by their tags; what it has not told is the greatest number.
    private static let figures = [
        "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory", "stat-total-memory",
        "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail",
    ]

    private mutating func set(_ path: String, _ told: BalloonStatistics) {
        var values = JSONObject()
        for (tag, name) in Self.figures.enumerated() { values[name] = .number(told.values[UInt16(tag)] ?? UInt64.max) }
        let all: JSONValue = ["stats": .object(values), "last-update": .number(told.lastUpdate)]
        set(path, "guest-stats", "guest statistics", all)
        set(path, "guest-stats-polling-interval", "int", 0)
    }

    /// The limits of a throttle group, together and one by one.
    private mutating func set(_ path: String, _ limits: [String: UInt64]) {
        var all = JSONObject()
        for (name, value) in limits.sorted(by: { $0.key < $1.key }) {
            all[name] = .number(value)
            set(path, "x-" + name, "int", .number(value))
        }
        set(path, "limits", "ThrottleLimits", .object(all))
    }

    private mutating func addDevices(_ bus: DeviceNode.Bus, below path: String, depth: Int) {
        guard depth < 32 else { return }
        for device in bus.devices {
            add(device.path, device.model)
            let description = DeviceCatalogue.listed(device.model)
            let isPluggable = description.map { ["PCI", "SCSI", "usb-bus", "memory"].contains($0.bus) } ?? false
            set(device.path, "parent_bus", "link<bus>", .string("\(path)/\(bus.name)"))
            set(device.path, "realized", "bool", true)
            set(device.path, "hotplugged", "bool", .bool(device.isHotplugged))
            set(device.path, "hotpluggable", "bool", .bool(isPluggable))
            for property in device.properties {
                let value = (try? JSONReader.parse(property.value)) ?? .string(property.value)
                let type = description?.property(property.name)?.kind.typeName
                set(device.path, property.name, type ?? value.typeName, value)
                if property.name == "addr", let place = value.intValue, (0..<256).contains(place) {
                    set(device.path, "legacy-addr", "str", .string(DeviceText.place(place)))
                }
            }
            if device.model.hasPrefix("virtio-balloon"), let told = statistics { set(device.path, told) }
            for inner in device.buses { addDevices(inner, below: device.path, depth: depth + 1) }
        }
    }

    private mutating func add(_ path: String, _ type: String) {
        guard nodes[path] == nil else { return }
        nodes[path] = [Property(name: "type", type: "string", value: .string(type))]
        guard path != "/", let slash = path.lastIndex(of: "/") else { return }
        let parent = slash == path.startIndex ? "/" : String(path[..<slash])
        if nodes[parent] == nil { add(parent, "container") }
        let name = String(path[path.index(after: slash)...])
        nodes[parent]?.append(Property(name: name, type: "child<\(type)>", value: .string(path)))
    }

    private mutating func set(_ path: String, _ name: String, _ type: String, _ value: JSONValue) {
        guard nodes[path]?.contains(where: { $0.name == name }) == false else { return }
        nodes[path]?.append(Property(name: name, type: type, value: value))
    }

    /// The properties at a path, absolute or ending in it.
    func properties(at path: String) throws(MonitorError) -> [Property] {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        if let found = nodes[trimmed] { return found }
        if !trimmed.isEmpty, !trimmed.hasPrefix("/") {
            let ends = nodes.keys.filter { $0.hasSuffix("/" + trimmed) }
            if ends.count == 1, let found = nodes[ends[0]] { return found }
            if ends.count > 1 { throw .generic("Path '\(printable(path))' is ambiguous") }
        }
        throw .deviceNotFound("Device '\(printable(path))' not found")
    }

    /// A node and all below it, by name, as `info qom-tree` shows them; nil where the path leads nowhere.
    func text(from path: String) -> String? {
        guard let start = try? properties(at: path) else { return nil }
        var text = ""
        func add(_ path: String, _ name: String, _ properties: [Property], _ depth: Int) {
            text += String(repeating: "  ", count: depth) + "/\(name) (\(Self.type(properties)))\n"
            guard depth < 32 else { return }
            let children = properties.filter { $0.type.hasPrefix("child<") }
            for child in children.sorted(by: { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }) {
                let below = path == "/" ? "/" + child.name : path + "/" + child.name
                if let node = nodes[below] { add(below, child.name, node, depth + 1) }
            }
        }
        let full = nodes[path] == nil ? nodes.keys.first { $0.hasSuffix("/" + path) } ?? path : path
        add(full, full == "/" ? "" : String(full.dropFirst()), start, 0)
        return text
    }

    /// The type at a path's node.
    static func type(_ properties: [Property]) -> String { properties.first?.value.stringValue ?? "object" }
}

extension JSONValue {
    /// The type of a property of no table that has such a value.
    fileprivate var typeName: String { kindName == "integer" ? "int" : kindName == "boolean" ? "bool" : kindName }
}
