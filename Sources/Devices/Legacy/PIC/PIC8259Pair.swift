internal import DeviceModel

/// The PC's two 8259A: the second's output is line 2 of the first.
struct PIC8259Pair: Sendable {
    var first = PIC8259(cascade: 0x04)
    var second = PIC8259(cascade: 0)

    /// The line to the processor.
    var output: Bool { first.pending != nil }

    /// Raises or lowers line 0 to 15. Line 2 has no pin.
    mutating func setLine(_ line: Int, level: Bool) {
        if line >= 8 {
            second.setLine(line - 8, level: level)
            settle()
        } else if line != 2 {
            first.setLine(line, level: level)
        }
    }

    private mutating func settle() { first.setLine(2, level: second.pending != nil) }

    /// The two INTA cycles: the vector. Spurious requests give line 7 or 15 and leave nothing in service there.
    mutating func acknowledge() -> UInt8 {
        let (line, vector) = first.interruptAcknowledge()
        guard line == 2 else { return vector }
        let result = second.interruptAcknowledge().vector
        settle()
        return result
    }

    /// A read of I/O port 20, 21, A0, A1, 4D0 or 4D1.
    mutating func read(port: UInt64) -> UInt8 {
        defer { settle() }
        switch port {
        case 0x20, 0x21: return first.read(port)
        case 0xA0, 0xA1: return second.read(port)
        case 0x4D0: return first.levelSelect
        case 0x4D1: return second.levelSelect
        default: return 0xFF
        }
    }

    /// A write to one of these ports.
    mutating func write(port: UInt64, _ value: UInt8) {
        switch port {
        case 0x20, 0x21: first.write(port, value)
        case 0xA0, 0xA1: second.write(port, value)
        // The timer, the keyboard, the cascade, the clock and the coprocessor are always edge-triggered.
        case 0x4D0: first.selectLevel(value & 0xF8)
        case 0x4D1: second.selectLevel(value & 0xDE)
        default: return
        }
        settle()
    }
}

extension PIC8259 {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("irr", requests)
        state.set("imr", mask)
        state.set("isr", inService)
        state.set("lines", lines)
        state.set("elcr", levelSelect)
        state.set("ltim", allLevel)
        state.set("highest", highest)
        state.set("base", base)
        state.set("reads-isr", readsInService)
        state.set("poll", poll)
        state.set("special-mask", specialMask)
        state.set("aeoi", automaticEnd)
        state.set("rotate-on-aeoi", rotatesOnAutomaticEnd)
        state.set("special-fully-nested", specialFullyNested)
        state.set("awaited-icw", awaited)
        state.set("needs-icw4", needsICW4)
        state.set("single", single)
        return state
    }

    init(_ state: DeviceState, cascade: UInt8) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        self.init(cascade: cascade)
        requests = try state.integer("irr")
        mask = try state.integer("imr")
        inService = try state.integer("isr")
        lines = try state.integer("lines")
        levelSelect = try state.integer("elcr")
        allLevel = try state.bool("ltim")
        highest = try state.integer("highest")
        guard highest < 8 else { throw .outOfRange(field: "highest", value: UInt64(highest)) }
        base = try state.integer("base", as: UInt8.self) & 0xF8
        readsInService = try state.bool("reads-isr")
        poll = try state.bool("poll")
        specialMask = try state.bool("special-mask")
        automaticEnd = try state.bool("aeoi")
        rotatesOnAutomaticEnd = try state.bool("rotate-on-aeoi")
        specialFullyNested = try state.bool("special-fully-nested")
        awaited = try state.integer("awaited-icw")
        guard awaited == 0 || 2...4 ~= awaited else { throw .outOfRange(field: "awaited-icw", value: UInt64(awaited)) }
        needsICW4 = try state.bool("needs-icw4")
        single = try state.bool("single")
    }
}
