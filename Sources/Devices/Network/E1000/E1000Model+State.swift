package import DeviceModel

extension E1000Model {
    /// The whole state but the contents of guest memory. Times are virtual.
    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set(
            "registers",
            words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } })
        state.set("phy", [phy.exportState()])
        state.set("eeprom", [eeprom.exportState()])
        state.set("link", hasLink)
        state.set("icr", causes)
        state.set("ims", mask)
        state.set("level", level)
        if let lastRise { state.set("last-rise", lastRise) }
        for (name, delay) in [("tx-delay", transmitDelay), ("rx-delay", receiveDelay)] {
            if let due = delay.fromLast { state.set(name, due) }
            if let due = delay.fromFirst { state.set("\(name)-absolute", due) }
        }
        state.set("packet", transmission.packet)
        var flags: UInt32 = 0
        let bits = [
            transmission.isBad, transmission.isStarted, transmission.insertsIP, transmission.insertsTransport,
            transmission.segments,
        ]
        for (bit, isSet) in bits.enumerated() where isSet { flags |= 1 << UInt32(bit) }
        state.set("packet-flags", flags)
        if let tag = transmission.vlanTag { state.set("packet-vlan", tag) }
        if let checksum = transmission.legacyChecksum {
            state.set("packet-checksum", checksum.start << 8 | checksum.place)
        }
        state.set("contexts", [transmission.checksumContext.exportState(), transmission.segmentContext.exportState()])
        return state
    }

    /// Takes a saved state.
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let bytes = try state.bytes("registers", count: Self.wordCount * 4)
        for index in words.indices {
            let value = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[index * 4 + $1]) << UInt32($1 * 8) }
            let offset = UInt32(index * 4)
            switch offset {
            case E1000Register.control: words[index] = value & ~(E1000Control.reset | E1000Control.phyReset)
            case E1000Register.eepromRead: words[index] = value
            case Self.firstStatistic...Self.lastStatistic: words[index] = value
            default: words[index] = value & writable(offset)
            }
        }
        try phy.importState(try state.list("phy", count: 1)[0])
        try eeprom.importState(try state.list("eeprom", count: 1)[0])
        hasLink = try state.bool("link")
        causes = try state.integer("icr", as: UInt32.self) & (isExpress ? UInt32.max : E1000Cause.all)
        mask = try state.integer("ims", as: UInt32.self) & (isExpress ? UInt32.max : E1000Cause.all)
        level = try state.bool("level")
        lastRise = try Self.optional("last-rise", state)
        transmitDelay = try Self.delay("tx-delay", state)
        receiveDelay = try Self.delay("rx-delay", state)
        var new = E1000Transmission()
        new.packet = try state.bytes("packet")
        guard new.packet.count <= E1000Transmission.mostBytes else {
            throw .outOfRange(field: "packet", value: UInt64(new.packet.count))
        }
        let flags: UInt32 = try state.integer("packet-flags")
        new.isBad = flags & 1 != 0
        new.isStarted = flags & 2 != 0
        new.insertsIP = flags & 4 != 0
        new.insertsTransport = flags & 8 != 0
        new.segments = flags & 16 != 0
        if state.fields["packet-vlan"] != nil { new.vlanTag = try state.integer("packet-vlan") }
        if state.fields["packet-checksum"] != nil {
            let places: UInt16 = try state.integer("packet-checksum")
            new.legacyChecksum = (Int(places >> 8), Int(places & 0xFF))
        }
        let contexts = try state.list("contexts", count: 2)
        new.checksumContext = try E1000Context(contexts[0])
        new.segmentContext = try E1000Context(contexts[1])
        transmission = new
    }

    private static func optional(_ name: String, _ state: DeviceState) throws(DeviceStateError) -> UInt64? {
        state.fields[name] == nil ? nil : try state.integer(name)
    }
    private static func delay(_ name: String, _ state: DeviceState) throws(DeviceStateError) -> Delay {
        Delay(fromLast: try optional(name, state), fromFirst: try optional("\(name)-absolute", state))
    }
}

extension E1000Context {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("ip", [ipStart, ipOffset].map { UInt8(truncatingIfNeeded: $0) })
        state.set("ip-end", ipEnd)
        state.set("transport", [transportStart, transportOffset].map { UInt8(truncatingIfNeeded: $0) })
        state.set("transport-end", transportEnd)
        state.set("header", headerLength)
        state.set("mss", segmentSize)
        state.set("tcp", isTCP)
        state.set("ipv4", isIPv4)
        return state
    }
    init(_ state: DeviceState) throws(DeviceStateError) {
        let ip = try state.bytes("ip", count: 2)
        let transport = try state.bytes("transport", count: 2)
        (ipStart, ipOffset) = (Int(ip[0]), Int(ip[1]))
        (transportStart, transportOffset) = (Int(transport[0]), Int(transport[1]))
        ipEnd = Int(try state.integer("ip-end", as: UInt16.self))
        transportEnd = Int(try state.integer("transport-end", as: UInt16.self))
        headerLength = Int(try state.integer("header", as: UInt8.self))
        segmentSize = Int(try state.integer("mss", as: UInt16.self))
        isTCP = try state.bool("tcp")
        isIPv4 = try state.bool("ipv4")
    }
}
