package import DeviceModel
package import GuestMemory

/// Realtek's RTL8139C+ as a pure model: the four transmit descriptors and the receive ring of the RTL8139, and the
/// descriptor rings of the C+ mode. (Realtek, RTL8139C+ data sheet 1.6.)
///
/// Registers are kept as the 256 bytes that they are; those with a meaning of their own are in the accessors.
package struct RTL8139Model: CardModel {
    enum Register {
        static let address = 0x00
        static let multicast = 0x08
        static let transmitStatus = 0x10
        static let transmitAddress = 0x20
        static let receiveBuffer = 0x30
        static let command = 0x37
        static let readPointer = 0x38
        static let writePointer = 0x3A
        static let mask = 0x3C
        static let status = 0x3E
        static let transmitConfiguration = 0x40
        static let receiveConfiguration = 0x44
        static let timer = 0x48
        static let missed = 0x4C
        static let eeprom = 0x50
        static let configuration0 = 0x51
        static let configuration1 = 0x52
        static let timerInterrupt = 0x54
        static let mediaStatus = 0x58
        static let configuration3 = 0x59
        static let configuration4 = 0x5A
        static let summary = 0x60
        static let basicControl = 0x62
        static let basicStatus = 0x64
        static let configuration5 = 0xD8
        static let poll = 0xD9
        static let plusCommand = 0xE0
        static let plusReceive = 0xE4
    }
    enum Command {
        static let bufferEmpty: UInt8 = 1 << 0
        static let transmit: UInt8 = 1 << 2
        static let receive: UInt8 = 1 << 3
        static let reset: UInt8 = 1 << 4
    }
    enum Cause {
        static let received: UInt16 = 1 << 0
        static let sent: UInt16 = 1 << 2
        static let sendFailed: UInt16 = 1 << 3
        static let overflow: UInt16 = 1 << 4
        static let linkChange: UInt16 = 1 << 5
        static let fifoOverflow: UInt16 = 1 << 6
        static let software: UInt16 = 1 << 8
        static let timeout: UInt16 = 1 << 14
    }
    /// The clock of the timer.
    private static let hertz: UInt64 = 33_000_000

    let memory: AddressSpace
    let macAddress: [UInt8]
    var bytes = [UInt8](repeating: 0, count: 256)
    var eeprom: RTL8139EEPROM
    package var hasLink = true
    /// Where the timer counts from.
    var timerStart: UInt64 = 0
    /// Whether it has said that it ended.
    var hasTimedOut = false
    /// Places in the rings of the C+ mode.
    var plusTransmit = 0
    var plusReceive = 0
    /// Which of the four descriptors is next.
    var nextDescriptor = 0
    /// A packet of the C+ mode that is being gathered.
    var packet: [UInt8] = []
    var packetOptions: UInt64 = 0

    package init(macAddress: [UInt8], memory: AddressSpace) {
        self.macAddress = macAddress
        self.memory = memory
        eeprom = RTL8139EEPROM(macAddress: macAddress)
        reset()
    }

    subscript(_ register: Int) -> UInt8 {
        get { bytes[register & 0xFF] }
        set { bytes[register & 0xFF] = newValue }
    }
    func word(_ register: Int) -> UInt16 { UInt16(self[register]) | UInt16(self[register + 1]) << 8 }
    func dword(_ register: Int) -> UInt32 { UInt32(word(register)) | UInt32(word(register + 2)) << 16 }
    func qword(_ register: Int) -> UInt64 { UInt64(dword(register)) | UInt64(dword(register + 4)) << 32 }
    mutating func set(_ register: Int, _ value: UInt16) {
        self[register] = UInt8(truncatingIfNeeded: value)
        self[register + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }
    mutating func set(_ register: Int, _ value: UInt32) {
        set(register, UInt16(truncatingIfNeeded: value))
        set(register + 2, UInt16(truncatingIfNeeded: value >> 16))
    }
    var causes: UInt16 {
        get { word(Register.status) }
        set { set(Register.status, newValue) }
    }

    package mutating func reset() {
        bytes = [UInt8](repeating: 0, count: 256)
        for (index, byte) in macAddress.enumerated() { bytes[index] = byte }
        eeprom = RTL8139EEPROM(macAddress: macAddress)
        self[Register.configuration1] = 0x0C
        self[Register.configuration3] = 0x01
        // 100 Mbit/s full duplex, negotiated.
        set(Register.basicControl, UInt16(0x3100))
        set(0x66, UInt16(0x01E1))
        set(0x68, UInt16(0x45E1))
        set(0x6A, UInt16(0x0001))
        resetSoftly()
    }

    /// What the reset bit does: addresses and configuration stay.
    mutating func resetSoftly() {
        for index in 0..<4 {
            set(Register.transmitStatus + index * 4, UInt32(1 << 13))
            set(Register.transmitAddress + index * 4, UInt32(0))
        }
        self[Register.command] = 0
        set(Register.readPointer, UInt16(0xFFF0))
        set(Register.writePointer, UInt16(0))
        set(Register.mask, UInt16(0))
        causes = 0
        // The version of an RTL8139C+.
        set(Register.transmitConfiguration, UInt32(0x7480_0000))
        set(Register.receiveConfiguration, UInt32(0))
        set(Register.plusCommand, UInt16(0))
        set(Register.timerInterrupt, UInt32(0))
        (nextDescriptor, plusTransmit, plusReceive) = (0, 0, 0)
        packet = []
    }

    package mutating func setLink(_ isUp: Bool) {
        guard isUp != hasLink else { return }
        hasLink = isUp
        causes |= Cause.linkChange
    }

    package var isLoopback: Bool { dword(Register.transmitConfiguration) >> 17 & 3 == 3 }

    // MARK: Interrupts

    package mutating func update(_ now: UInt64, _ mode: CardInterruptMode) -> CardSignals {
        var deadline: UInt64?
        let end = UInt64(dword(Register.timerInterrupt))
        if end > 0, !hasTimedOut {
            let due = timerStart &+ Ticks.nanoseconds(of: end, hertz: Self.hertz)
            if due <= now {
                causes |= Cause.timeout
                hasTimedOut = true
            } else {
                deadline = due
            }
        }
        return CardSignals(level: causes & word(Register.mask) != 0, deadline: deadline)
    }

    func timer(_ now: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: Ticks.at(now &- min(timerStart, now), hertz: Self.hertz))
    }

    // MARK: State

    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("registers", bytes)
        state.set("eeprom", [eeprom.exportState()])
        state.set("link", hasLink)
        state.set("timer", timerStart)
        state.set("timed-out", hasTimedOut)
        state.set("next", [nextDescriptor, plusTransmit, plusReceive].map { UInt8(truncatingIfNeeded: $0) })
        state.set("packet", packet)
        state.set("packet-options", packetOptions)
        return state
    }
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        bytes = try state.bytes("registers", count: 256)
        try eeprom.importState(try state.list("eeprom", count: 1)[0])
        hasLink = try state.bool("link")
        timerStart = try state.integer("timer")
        hasTimedOut = try state.bool("timed-out")
        let next = try state.bytes("next", count: 3).map { Int($0) & 63 }
        (nextDescriptor, plusTransmit, plusReceive) = (next[0] & 3, next[1], next[2])
        packet = try state.bytes("packet")
        guard packet.count <= RTL8139Model.mostPacket else {
            throw .outOfRange(field: "packet", value: UInt64(packet.count))
        }
        packetOptions = try state.integer("packet-options")
    }
    /// As much as a large send may be.
    static let mostPacket = 65536 + 64
}
