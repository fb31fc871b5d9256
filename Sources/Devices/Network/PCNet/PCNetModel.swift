package import DeviceModel
package import GuestMemory

/// AMD's PCnet-PCI II (Am79C970A) as a pure model: control registers behind an address port, rings of descriptors in
/// the software styles 0 (LANCE), 2 and 3. (AMD 19436, Am79C970A data sheet.)
package struct PCNetModel: CardModel {
    /// Bits of CSR0.
    enum Status {
        static let initialize: UInt16 = 1 << 0
        static let start: UInt16 = 1 << 1
        static let stop: UInt16 = 1 << 2
        static let demand: UInt16 = 1 << 3
        static let transmitterOn: UInt16 = 1 << 4
        static let receiverOn: UInt16 = 1 << 5
        static let enable: UInt16 = 1 << 6
        static let interrupt: UInt16 = 1 << 7
        static let initialized: UInt16 = 1 << 8
        static let transmitted: UInt16 = 1 << 9
        static let received: UInt16 = 1 << 10
        static let memoryError: UInt16 = 1 << 11
        static let missed: UInt16 = 1 << 12
        static let clearable: UInt16 = 0x7F00
        static let errors: UInt16 = 0x7800
    }
    /// Bits of CSR15.
    enum Mode {
        static let receiverOff: UInt16 = 1 << 0
        static let transmitterOff: UInt16 = 1 << 1
        static let loop: UInt16 = 1 << 2
        static let noBroadcast: UInt16 = 1 << 14
        static let noPhysical: UInt16 = 1 << 13
        static let promiscuous: UInt16 = 1 << 15
    }
    private static let pollPeriod: UInt64 = 10_000_000

    let memory: AddressSpace
    let macAddress: [UInt8]
    var csr = [UInt16](repeating: 0, count: 128)
    var bcr = [UInt16](repeating: 0, count: 32)
    var rap: UInt16 = 0
    package var hasLink = true
    /// Places in the rings.
    var transmitIndex = 0
    var receiveIndex = 0
    /// The packet that is being gathered; nil between packets.
    var packet: [UInt8]?
    var nextPoll: UInt64?

    package init(macAddress: [UInt8], memory: AddressSpace) {
        self.macAddress = macAddress
        self.memory = memory
        reset()
    }

    package mutating func reset() {
        bcr = [UInt16](repeating: 0, count: 32)
        for (register, value) in [
            (0, 5), (1, 5), (2, 2), (4, 0xC0), (5, 0x84), (6, 0x88), (7, 0x90), (18, 0x9001), (19, 2), (20, 0x0200),
            (22, 0xFF06),
        ] as [(Int, UInt16)] {
            bcr[register] = value
        }
        resetSoftly()
    }

    /// A read of the reset port: 4.
    mutating func resetSoftly() {
        csr = [UInt16](repeating: 0, count: 128)
        rap = 0
        csr[0] = Status.stop
        csr[4] = 0x0115
        for index in 0..<3 { csr[12 + index] = UInt16(macAddress[index * 2]) | UInt16(macAddress[index * 2 + 1]) << 8 }
        csr[76] = 1
        csr[78] = 1
        // Part 2621, AMD's number.
        csr[88] = 0x1003
        csr[89] = 0x0262
        csr[94] = 0
        csr[100] = 0x0200
        csr[103] = 0x0105
        bcr[18] &= ~0x0080
        (transmitIndex, receiveIndex, packet) = (0, 0, nil)
        nextPoll = nil
    }

    package mutating func setLink(_ isUp: Bool) { hasLink = isUp }
    package var isLoopback: Bool { csr[15] & Mode.loop != 0 }

    /// 0, 2 or 3.
    var style: Int { Int(bcr[20] & 0xFF) }
    private var is32Bit: Bool { style != 0 }
    var isDoubleWord: Bool { bcr[18] & 0x0080 != 0 }

    // MARK: Interrupts

    package mutating func update(_ now: UInt64, _ mode: CardInterruptMode) -> CardSignals {
        // Causes that CSR3 and CSR4 do not mask.
        let causes = csr[0] & Status.clearable & ~(csr[3] & 0x5F00)
        let others = (csr[4] >> 1 & ~csr[4] & 0x0115) != 0
        csr[0] = causes != 0 || others ? csr[0] | Status.interrupt : csr[0] & ~Status.interrupt
        csr[0] = csr[0] & Status.errors != 0 ? csr[0] | 0x8000 : csr[0] & 0x7FFF
        let level = csr[0] & Status.interrupt != 0 && csr[0] & Status.enable != 0
        // The card looks at its ring by itself unless it is told not to.
        if csr[0] & Status.transmitterOn != 0, csr[4] & 0x1000 == 0 {
            if nextPoll.map({ $0 <= now }) ?? true { nextPoll = now &+ Self.pollPeriod }
        } else {
            nextPoll = nil
        }
        return CardSignals(level: level, deadline: nextPoll)
    }
    package var polls: Bool { csr[0] & Status.transmitterOn != 0 && csr[4] & 0x1000 == 0 }

    // MARK: Registers

    /// The address PROM with the marks and the sum that drivers look for.
    private func prom(_ offset: Int) -> UInt8 {
        var bytes = macAddress + [0, 0, 0, 0, 0, 0x11, 0, 0, 0x57, 0x57]
        let sum = bytes.reduce(0) { $0 + Int($1) }
        bytes[12] = UInt8(sum & 0xFF)
        bytes[13] = UInt8(sum >> 8 & 0xFF)
        return bytes[offset & 15]
    }

    package mutating func read(_ window: Int, _ offset: UInt64, _ size: Int, _ now: UInt64) -> UInt64 {
        guard offset < 32 else { return UInt64.max }
        guard offset >= 16 else { return ByteLanes.read(offset, size) { prom(Int($0)) } }
        let place = Int(offset) - 16
        if isDoubleWord {
            switch place {
            case 0: return UInt64(readControl(Int(rap)))
            case 4: return UInt64(rap)
            case 8:
                resetSoftly()
                return 0
            case 12: return UInt64(readBus(Int(rap)))
            default: return UInt64.max
            }
        }
        switch place {
        case 0: return UInt64(readControl(Int(rap)))
        case 2: return UInt64(rap)
        case 4:
            resetSoftly()
            return 0
        case 6: return UInt64(readBus(Int(rap)))
        default: return UInt64.max
        }
    }

    package mutating func write(
        _ window: Int, _ offset: UInt64, _ size: Int, _ value: UInt64, _ now: UInt64
    ) -> CardEffects {
        guard (16..<32).contains(offset), size >= 2 else { return CardEffects() }
        let place = Int(offset) - 16
        let word = UInt16(truncatingIfNeeded: value)
        // A write of 32 bits to the data port brings in the mode of 32 bits.
        if size >= 4, place == 0, !isDoubleWord { bcr[18] |= 0x0080 }
        switch isDoubleWord ? place / 2 : place {
        case 0: return writeControl(Int(rap), word)
        case 2: rap = word & 0x7F
        case 6: writeBus(Int(rap), word)
        default: break
        }
        return CardEffects()
    }

    private func readControl(_ register: Int) -> UInt16 {
        switch register {
        case 0: return csr[0]
        // Initialization block and ring addresses are readable as they are.
        case 58: return bcr[20]
        case 0..<128: return csr[register]
        default: return 0
        }
    }

    private mutating func writeControl(_ register: Int, _ value: UInt16) -> CardEffects {
        switch register {
        case 0: return writeStatus(value)
        case 3: csr[3] = value & 0x5F7C
        case 4:
            // Causes are cleared by ones; the rest are switches.
            csr[4] = csr[4] & ~value & 0x022A | value & 0xFD15 & ~0x0080
            return CardEffects(transmits: true)
        case 5: csr[5] = csr[5] & ~value & 0x0A90 | value & 0xF56F & ~0x0A90
        case 58: writeBus(20, value)
        case 1, 2, 6, 8...15, 18...41, 44, 46, 47, 60...65, 72, 74, 76, 78, 82, 84, 86, 112, 114:
            // All but CSR15 only while it stands still.
            guard csr[0] & Status.stop != 0 || register == 15 || register >= 72 || csr[5] & 1 != 0
            else { return CardEffects() }
            csr[register] = value
        default: break
        }
        return CardEffects()
    }

    private mutating func writeStatus(_ value: UInt16) -> CardEffects {
        csr[0] = csr[0] & ~(value & Status.clearable)
        csr[0] = csr[0] & ~Status.enable | value & Status.enable
        if value & Status.stop != 0 {
            csr[0] = Status.stop
            csr[4] &= ~0x02AA
            (packet, nextPoll) = (nil, nil)
            return CardEffects()
        }
        if value & Status.initialize != 0, csr[0] & Status.initialize == 0 || csr[0] & Status.stop != 0 { initialize() }
        if value & Status.start != 0, csr[0] & Status.start == 0 {
            csr[0] = csr[0] & ~Status.stop | Status.start
            if csr[15] & Mode.transmitterOff == 0 { csr[0] |= Status.transmitterOn }
            if csr[15] & Mode.receiverOff == 0 { csr[0] |= Status.receiverOn }
        }
        return CardEffects(
            transmits: csr[0] & Status.transmitterOn != 0, receives: csr[0] & Status.receiverOn != 0)
    }

    private func readBus(_ register: Int) -> UInt16 {
        switch register {
        // LEDs: link status.
        case 4...7: return bcr[register] | (hasLink && register == 4 ? 0x8000 : 0)
        case 0..<32: return bcr[register]
        default: return 0
        }
    }

    private mutating func writeBus(_ register: Int, _ value: UInt16) {
        switch register {
        case 20:
            // The style, with what it says of structures' sizes and masks.
            guard csr[0] & Status.stop != 0 || csr[5] & 1 != 0 else { return }
            let style = value & 0xFF
            guard [0, 2, 3].contains(style) else { return }
            bcr[20] = style | (style == 0 ? 0x0200 : 0x0300)
            csr[58] = bcr[20]
        case 2, 4, 5, 6, 7, 9, 16, 18, 19, 22: bcr[register] = register == 18 ? value | bcr[18] & 0x0080 : value
        default: break
        }
    }

    // MARK: Initialization

    private mutating func initialize() {
        let base = GuestPhysical(UInt64(csr[1]) | UInt64(csr[2]) << 16)
        guard let block = try? memory.bytes(base, count: is32Bit ? 28 : 24) else {
            csr[0] |= Status.memoryError
            return
        }
        func word(_ place: Int) -> UInt16 { UInt16(block[place]) | UInt16(block[place + 1]) << 8 }
        csr[15] = word(0)
        let addresses = is32Bit ? 4 : 2
        for index in 0..<3 { csr[12 + index] = word(addresses + index * 2) }
        let filter = is32Bit ? 12 : 8
        for index in 0..<4 { csr[8 + index] = word(filter + index * 2) }
        let rings = is32Bit ? 20 : 16
        var (receive, transmit): (UInt16, UInt16)
        if is32Bit {
            (receive, transmit) = (UInt16(block[2] >> 4), UInt16(block[3] >> 4))
        } else {
            (receive, transmit) = (word(rings + 2) >> 13, word(rings + 6) >> 13)
        }
        receive = min(receive, 9)
        transmit = min(transmit, 9)
        // Lengths are kept as their negatives.
        csr[76] = 0 &- (1 << receive)
        csr[78] = 0 &- (1 << transmit)
        csr[24] = word(rings)
        csr[25] = word(rings + 2) & (is32Bit ? 0xFFFF : 0x00FF)
        csr[30] = word(rings + 4)
        csr[31] = word(rings + 6) & (is32Bit ? 0xFFFF : 0x00FF)
        (transmitIndex, receiveIndex, packet) = (0, 0, nil)
        csr[0] = csr[0] & ~Status.stop | Status.initialize | Status.initialized
    }

    // MARK: State

    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("csr", csr.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        state.set("bcr", bcr.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        state.set("rap", rap)
        state.set("link", hasLink)
        state.set("transmit", transmitIndex)
        state.set("receive", receiveIndex)
        if let packet { state.set("packet", packet) }
        if let nextPoll { state.set("poll", nextPoll) }
        return state
    }
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        func words(_ name: String, _ count: Int) throws(DeviceStateError) -> [UInt16] {
            let bytes = try state.bytes(name, count: count * 2)
            return (0..<count).map { UInt16(bytes[$0 * 2]) | UInt16(bytes[$0 * 2 + 1]) << 8 }
        }
        csr = try words("csr", 128)
        bcr = try words("bcr", 32)
        rap = try state.integer("rap", as: UInt16.self) & 0x7F
        hasLink = try state.bool("link")
        transmitIndex = Int(try state.integer("transmit", as: UInt16.self))
        receiveIndex = Int(try state.integer("receive", as: UInt16.self))
        packet = state.fields["packet"] == nil ? nil : try state.bytes("packet")
        guard packet?.count ?? 0 <= Self.mostBytes else { throw .outOfRange(field: "packet", value: 0) }
        nextPoll = state.fields["poll"] == nil ? nil : try state.integer("poll")
    }
    static let mostBytes = 4096
}
