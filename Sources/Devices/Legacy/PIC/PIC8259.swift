/// One 8259A interrupt controller (Intel 231468), with the PIIX's edge/level register (290562): no lock, no wires.
///
/// An edge stays latched until it is acknowledged, also when its line falls before: devices here pulse their lines,
/// and pulses take no time.
struct PIC8259: Sendable {
    /// Interrupt requests: latched edges and raised level lines.
    var requests: UInt8 = 0
    var mask: UInt8 = 0
    var inService: UInt8 = 0
    /// The wires as they are.
    var lines: UInt8 = 0
    /// Lines that are level-triggered, by ELCR.
    var levelSelect: UInt8 = 0
    /// ICW1 made all lines level-triggered.
    var allLevel = false
    /// Lines that follow their wire always: the cascade input.
    var cascade: UInt8 = 0
    /// Line with the highest priority.
    var highest: UInt8 = 0
    /// Vector of line 0.
    var base: UInt8 = 0
    /// The command port reads the in-service register.
    var readsInService = false
    var poll = false
    var specialMask = false
    var automaticEnd = false
    var rotatesOnAutomaticEnd = false
    var specialFullyNested = false
    /// The initialization word that the data port waits for, 2 to 4; 0 for none.
    var awaited: UInt8 = 0
    var needsICW4 = false
    var single = false

    init(cascade: UInt8) { self.cascade = cascade }

    private var levelTriggered: UInt8 { (allLevel ? 0xFF : levelSelect) | cascade }

    /// Raises or lowers wire `line`, 0 to 7.
    mutating func setLine(_ line: Int, level: Bool) {
        let bit = UInt8(1) << UInt8(line & 7)
        let rising = level && lines & bit == 0
        if level { lines |= bit } else { lines &= ~bit }
        if levelTriggered & bit != 0 {
            if level { requests |= bit } else { requests &= ~bit }
        } else if rising {
            requests |= bit
        }
    }

    /// Distance of the most urgent of `lines` from the highest priority; 8 where there is none.
    private func rank(_ lines: UInt8) -> UInt8 {
        let rotated = highest & 7 == 0 ? lines : lines >> highest | lines << (8 - highest)
        return UInt8(rotated.trailingZeroBitCount)
    }

    /// The line that asks for the processor, if any.
    var pending: UInt8? {
        let wanted = rank(requests & ~mask)
        guard wanted < 8 else { return nil }
        var serving = inService
        if specialMask { serving &= ~mask }
        if specialFullyNested { serving &= ~cascade }
        guard wanted < rank(serving) else { return nil }
        return (wanted &+ highest) & 7
    }

    /// The processor takes `line`.
    mutating func acknowledge(_ line: UInt8) {
        let bit = UInt8(1) << (line & 7)
        if automaticEnd {
            if rotatesOnAutomaticEnd { highest = (line &+ 1) & 7 }
        } else {
            inService |= bit
        }
        if levelTriggered & bit == 0 { requests &= ~bit }
    }

    /// The INTA cycle without cascade: the vector, of line 7 where the request had gone away.
    mutating func interruptAcknowledge() -> (line: UInt8, vector: UInt8) {
        guard let line = pending else { return (7, base | 7) }
        acknowledge(line)
        return (line, base | line)
    }

    // MARK: Registers

    /// A read of the command port (0) or the data port (1).
    mutating func read(_ port: UInt64) -> UInt8 {
        if poll {
            poll = false
            guard let line = pending else { return 0 }
            acknowledge(line)
            return 0x80 | line
        }
        if port & 1 != 0 { return mask }
        return readsInService ? inService : requests
    }

    /// A write to the command port (0) or the data port (1).
    mutating func write(_ port: UInt64, _ value: UInt8) {
        if port & 1 != 0 {
            writeData(value)
        } else if value & 0x10 != 0 {
            initialize(value)
        } else if value & 0x08 != 0 {
            if value & 0x04 != 0 { poll = true }
            if value & 0x02 != 0 { readsInService = value & 1 != 0 }
            if value & 0x40 != 0 { specialMask = value & 0x20 != 0 }
        } else {
            endOfInterrupt(command: value >> 5, line: value & 7)
        }
    }

    /// ICW1.
    private mutating func initialize(_ value: UInt8) {
        mask = 0
        inService = 0
        highest = 0
        readsInService = false
        poll = false
        specialMask = false
        specialFullyNested = false
        automaticEnd = false
        rotatesOnAutomaticEnd = false
        allLevel = value & 0x08 != 0
        // Edges are forgotten: a line must fall and rise again.
        requests = lines & levelTriggered
        single = value & 0x02 != 0
        needsICW4 = value & 0x01 != 0
        awaited = 2
    }

    private mutating func writeData(_ value: UInt8) {
        switch awaited {
        case 2:
            base = value & 0xF8
            awaited = single ? (needsICW4 ? 4 : 0) : 3
        case 3: awaited = needsICW4 ? 4 : 0
        case 4:
            specialFullyNested = value & 0x10 != 0
            automaticEnd = value & 0x02 != 0
            awaited = 0
        default: mask = value
        }
    }

    /// OCW2.
    private mutating func endOfInterrupt(command: UInt8, line: UInt8) {
        switch command {
        case 0: rotatesOnAutomaticEnd = false
        case 4: rotatesOnAutomaticEnd = true
        case 1, 5:
            // The most urgent in service; in special mask mode not one that is masked.
            let rank = rank(specialMask ? inService & ~mask : inService)
            guard rank < 8 else { return }
            let ended = (rank &+ highest) & 7
            inService &= ~(1 << ended)
            if command == 5 { highest = (ended &+ 1) & 7 }
        case 3, 7:
            inService &= ~(1 << line)
            if command == 7 { highest = (line &+ 1) & 7 }
        case 6: highest = (line &+ 1) & 7
        default: break
        }
    }

    /// ELCR: lines that are level-triggered.
    mutating func selectLevel(_ lines: UInt8) {
        let changed = levelSelect ^ lines
        levelSelect = lines
        // A line that becomes level-triggered shows its wire; one that becomes edge-triggered waits for an edge.
        requests = requests & ~changed | (self.lines & levelTriggered & changed)
    }
}
