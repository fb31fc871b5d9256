internal import DeviceModel

/// The 82540EM's PHY, a Marvell 88E1011 with everything negotiated at once: 1000 Mbit/s, full duplex.
/// IEEE 802.3 clause 22 for registers 0 to 15; SDM chapter 8.
struct E1000PHY: Equatable {
    private enum Register {
        static let control = 0
        static let status = 1
        static let specificStatus = 17
    }
    private enum Control {
        static let reset: UInt16 = 1 << 15
        static let loopback: UInt16 = 1 << 14
        static let negotiate: UInt16 = 1 << 12
        static let restart: UInt16 = 1 << 9
    }
    private enum MDI {
        static let write: UInt32 = 1
        static let read: UInt32 = 2
        static let ready: UInt32 = 1 << 28
        static let interrupt: UInt32 = 1 << 29
        static let error: UInt32 = 1 << 30
    }
    private var registers: [UInt16]
    /// The management register as the driver reads it.
    private(set) var mdi: UInt32 = MDI.ready

    init() { registers = Self.initial }

    private static var initial: [UInt16] {
        var values = [UInt16](repeating: 0, count: 32)
        values[0] = 0x1140
        // Every speed below 1000, an extended status, negotiation.
        values[1] = 0x7949
        values[2] = 0x0141
        values[3] = 0x0C20
        values[4] = 0x0DE1
        // The other end: all of 10 and 100, acknowledged, no pause; it can negotiate and does 1000 full duplex.
        values[5] = 0x41E1
        values[6] = 0x0001
        values[9] = 0x0E00
        values[10] = 0x7C00
        values[15] = 0x3000
        values[16] = 0x0360
        values[20] = 0x0D60
        return values
    }

    /// Which bits of a register the driver sets.
    private static func writable(_ register: Int) -> UInt16 {
        switch register {
        case 0: 0x7DC0
        case 4, 9, 16, 18, 20, 22, 24, 26, 27, 29, 30: 0xFFFF
        default: 0
        }
    }

    /// Whether frames come straight back.
    var isLoopback: Bool { registers[Register.control] & Control.loopback != 0 }

    mutating func reset(id: UInt16 = 0x0C20) {
        registers = Self.initial
        registers[3] = id
        mdi = MDI.ready
    }

    /// The driver's write of the management register. Returns true where it wants an interrupt, and whether
    /// negotiation began anew. SDM 13.4.6.
    mutating func setMDI(_ value: UInt32, hasLink: Bool) -> (interrupts: Bool, renegotiates: Bool) {
        let register = Int(value >> 16 & 31)
        var renegotiates = false
        mdi = value & ~(MDI.ready | MDI.error) | MDI.ready
        // The PHY's own address is 1; at others nobody drives the wire.
        guard value >> 21 & 31 == 1 else {
            mdi |= MDI.error
            return (value & MDI.interrupt != 0, false)
        }
        switch value >> 26 & 3 {
        case MDI.read: mdi = mdi & 0xFFFF_0000 | UInt32(read(register, hasLink: hasLink))
        case MDI.write:
            let data = UInt16(truncatingIfNeeded: value)
            let mask = Self.writable(register)
            registers[register] = registers[register] & ~mask | data & mask
            if register == Register.control {
                if data & Control.reset != 0 { reset(id: registers[3]) }
                if data & Control.reset != 0 { mdi = value & ~MDI.error | MDI.ready }
                renegotiates = data & (Control.restart | Control.reset) != 0
            }
        default: mdi |= MDI.error
        }
        return (value & MDI.interrupt != 0, renegotiates)
    }

    private func read(_ register: Int, hasLink: Bool) -> UInt16 {
        switch register {
        // Negotiation is complete and the link is up.
        case Register.status: registers[1] | (hasLink ? 0x0024 : 0)
        // 1000 Mbit/s, full duplex, both resolved, link.
        case Register.specificStatus: hasLink ? 0xAC00 : 0x8000
        case 5, 10: hasLink ? registers[register] : 0
        default: registers[register]
        }
    }

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("registers", registers.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        state.set("mdi", mdi)
        return state
    }
    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        let bytes = try state.bytes("registers", count: 64)
        for index in 0..<32 {
            let value = UInt16(bytes[index * 2]) | UInt16(bytes[index * 2 + 1]) << 8
            let mask = Self.writable(index)
            registers[index] = registers[index] & ~mask | value & mask
        }
        mdi = try state.integer("mdi")
    }
}
