internal import HostOS
internal import JSON
internal import Machine

extension QMPCommandTable {
    private static func read<T>(_ body: () throws(OptionError) -> T) throws(MonitorError) -> T {
        do throws(OptionError) { return try body() } catch { throw MonitorError(error) }
    }

    /// Back-ends and devices that come and go.
    static let backends: [QMPCommand] = [
        QMPCommand(
            "chardev-add",
            [
                SchemaMember("id", .string),
                SchemaMember(
                    "backend",
                    .object(
                        SchemaObject(
                            "ChardevBackend",
                            [SchemaMember("type", .enumeration("ChardevBackendKind", CharacterBackendSyntax.names))],
                            tag: "type", variants: CharacterBackendSyntax.names.map { ($0, backendProperties($0)) }))),
            ],
            returns: SchemaType.object(
                SchemaObject("ChardevReturn", [SchemaMember("pty", .string, optional: true)]))
        ) { (context, arguments) throws(MonitorError) in
            var device = try read { () throws(OptionError) in
                try CharacterBackendSyntax.device(
                    arguments["id"]?.stringValue ?? "", arguments["backend"]?.objectValue ?? JSONObject())
            }
            // A name that `getfd` gave becomes the descriptor's number, which is the back-end's from now on.
            if case .socket(var socket) = device.kind, case .descriptor(let name) = socket.address,
                let passed = context.named.take(name), case .success(let number) = passed.rawCopy()
            {
                socket.address = .descriptor("\(number)")
                device.kind = .socket(socket)
            }
            let added = device
            let path = try monitored { () throws(MachineError) in try context.machine.addCharacterDevice(added) }
            return path.map { ["pty": .string($0)] } ?? [:]
        },
        QMPCommand("chardev-remove", [SchemaMember("id", .string)]) { (context, arguments) throws(MonitorError) in
            let id = arguments["id"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.removeCharacterDevice(id) }
            return [:]
        },
        QMPCommand(
            "query-chardev-backends",
            returns: SchemaType.array(.object(SchemaObject("ChardevBackendInfo", [SchemaMember("name", .string)])))
        ) { (_, _) throws(MonitorError) in .array(CharacterBackendSyntax.names.map { ["name": .string($0)] }) },
        QMPCommand(
            "ringbuf-read",
            [SchemaMember("device", .string), SchemaMember("size", .integer), ringFormat], returns: SchemaType.string
        ) { (context, arguments) throws(MonitorError) in
            let device = arguments["device"]?.stringValue ?? ""
            guard let limit = arguments["size"]?.intValue, limit > 0 else {
                throw .generic("Parameter 'size' expects a size above 0")
            }
            let bytes = try monitored { () throws(MachineError) in
                try context.machine.readRingBuffer(device, limit: limit)
            }
            let isPacked = arguments["format"]?.stringValue == "base64"
            return .string(isPacked ? Base64.encode(bytes) : String(decoding: bytes, as: UTF8.self))
        },
        QMPCommand(
            "ringbuf-write", [SchemaMember("device", .string), SchemaMember("data", .string), ringFormat]
        ) { (context, arguments) throws(MonitorError) in
            let device = arguments["device"]?.stringValue ?? ""
            let data = arguments["data"]?.stringValue ?? ""
            let isPacked = arguments["format"]?.stringValue == "base64"
            guard let bytes = isPacked ? Base64.decode(data) : Array(data.utf8) else {
                throw .generic("Parameter 'data' is no base64")
            }
            try monitored { () throws(MachineError) in try context.machine.writeRingBuffer(device, bytes) }
            return [:]
        },
        QMPCommand(
            "netdev_add",
            [
                SchemaMember("type", .enumeration("NetClientDriver", networkKinds)), SchemaMember("id", .string),
            ], tag: "type",
            variants: NetworkKind.allCases.filter(\.isSupported).map { kind in
                let name = "Netdev-\(kind.rawValue)"
                let members = NetworkOptions.parameters(kind).map { SchemaMember($0, of: name, optional: true) }
                return (kind.rawValue, SchemaObject("\(name)-options", members))
            }
        ) { (context, given) throws(MonitorError) in
            var arguments = given
            // A name that `getfd` gave becomes the descriptor's number, which is the back-end's from now on.
            for member in ["fd", "fds", "vhostfd", "vhostfds"] {
                guard let names = given[member]?.stringValue else { continue }
                let numbers = names.split(separator: ":").map { name -> String in
                    guard let passed = context.named.take(String(name)), case .success(let number) = passed.rawCopy()
                    else { return String(name) }
                    return "\(number)"
                }
                arguments[member] = .string(numbers.joined(separator: ":"))
            }
            let network = try read { () throws(OptionError) in try NetworkOptions.network(arguments) }
            try monitored { () throws(MachineError) in try context.machine.addNetwork(network) }
            return [:]
        },
        QMPCommand(
            "query-rx-filter", [SchemaMember("name", .string, optional: true)],
            returns: SchemaType.array(.object(receiveFilter))
        ) { (context, arguments) throws(MonitorError) in
            let filters = try monitored { () throws(MachineError) in
                try context.machine.receiveFilters(arguments["name"]?.stringValue)
            }
            return .array(filters.map { .object(value(of: $0)) })
        },
        QMPCommand("netdev_del", [SchemaMember("id", .string)]) { (context, arguments) throws(MonitorError) in
            let id = arguments["id"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.removeNetwork(id) }
            return [:]
        },
        QMPCommand(
            "device_add",
            [
                SchemaMember("driver", .string), SchemaMember("bus", .string, optional: true),
                SchemaMember("id", .string, optional: true),
            ], isOpen: true
        ) { (context, arguments) throws(MonitorError) in
            let device = try read { () throws(OptionError) in try DeviceOptions.device(arguments) }
            try monitored { () throws(MachineError) in try context.machine.addDevice(device) }
            return [:]
        },
        QMPCommand("device_del", [SchemaMember("id", .string)]) { (context, arguments) throws(MonitorError) in
            let id = arguments["id"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.removeDevice(id) }
            return [:]
        },
        QMPCommand(
            "query-balloon",
            returns: SchemaType.object(SchemaObject("BalloonInfo", [SchemaMember("actual", .integer)]))
        ) { (context, _) throws(MonitorError) in
            guard let actual = context.machine.balloonActual else {
                throw .deviceNotActive("No balloon device has been activated")
            }
            return ["actual": .number(actual)]
        },
        QMPCommand("balloon", [SchemaMember("value", .integer)]) { (context, arguments) throws(MonitorError) in
            guard context.machine.balloonActual != nil else {
                throw .deviceNotActive("No balloon device has been activated")
            }
            guard let bytes = arguments["value"]?.uint64Value, bytes > 0 else {
                throw .generic("Parameter 'target' expects a size")
            }
            try monitored { () throws(MachineError) in try context.machine.setBalloon(bytes) }
            return [:]
        },
    ]

    private static let receiveFilter = SchemaObject(
        "RxFilterInfo",
        [
            SchemaMember("name", .string), SchemaMember("promiscuous", .boolean),
            SchemaMember("multicast", .enumeration("RxState", ["normal", "none", "all"])),
            SchemaMember("unicast", .enumeration("RxState", ["normal", "none", "all"])),
            SchemaMember("vlan", .enumeration("RxState", ["normal", "none", "all"])),
            SchemaMember("broadcast-allowed", .boolean), SchemaMember("multicast-overflow", .boolean),
            SchemaMember("unicast-overflow", .boolean), SchemaMember("main-mac", .string),
            SchemaMember("vlan-table", .array(.integer)), SchemaMember("unicast-table", .array(.string)),
            SchemaMember("multicast-table", .array(.string)),
        ])

    private static func value(of filter: ReceiveFilterStatus) -> JSONObject {
        var object: JSONObject = [
            "name": .string(filter.name), "promiscuous": .bool(filter.isPromiscuous),
            "multicast": .string(filter.multicast), "unicast": .string(filter.unicast), "vlan": .string(filter.vlan),
        ]
        object["broadcast-allowed"] = .bool(filter.allowsBroadcast)
        object["multicast-overflow"] = .bool(filter.overflowsMulticast)
        object["unicast-overflow"] = .bool(filter.overflowsUnicast)
        object["main-mac"] = .string(filter.address)
        object["vlan-table"] = .array(filter.vlanTable.map { .integer(Int64($0)) })
        object["unicast-table"] = .array(filter.unicastTable.map { .string($0) })
        object["multicast-table"] = .array(filter.multicastTable.map { .string($0) })
        return object
    }

    private static let ringFormat = SchemaMember(
        "format", .enumeration("DataFormat", ["utf8", "base64"]), optional: true)
    private static let networkKinds = NetworkKind.allCases.filter(\.isSupported).map(\.rawValue)

    /// What a character back-end of a type takes.
    private static func backendProperties(_ type: String) -> SchemaObject {
        let members = CharacterBackendSyntax.dataParameters(type).map {
            SchemaMember($0, of: "Chardev-\(type)", optional: true)
        }
        let address = SchemaMember("addr", .object(SchemaObject("SocketAddressLegacy", socketAddress, isOpen: true)))
        let all = type == "socket" ? [address] + members : members
        return SchemaObject(
            "Chardev-\(type)-wrapper", [SchemaMember("data", .object(SchemaObject("Chardev-\(type)", all)))])
    }
    private static let socketAddress = [
        SchemaMember("type", .enumeration("SocketAddressType", ["inet", "unix", "fd"])), SchemaMember("data", .any),
    ]
}

/// Base64 (RFC 4648, 4).
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            let word = part.reduce(0) { $0 << 8 | UInt32($1) } << UInt32((3 - part.count) * 8)
            for place in 0..<4 {
                text.append(
                    place <= part.count ? letters[Int(word >> UInt32(18 - place * 6) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (word, bits): (UInt32, UInt32) = (0, 0)
        var padding = 0
        guard text.utf8.count % 4 == 0 else { return nil }
        for letter in text.utf8 {
            if letter == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = letters.firstIndex(of: letter) else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> bits))
        }
        return padding <= 2 ? bytes : nil
    }
}
