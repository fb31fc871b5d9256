package import GuestMemory

/// The Intel 82540EM Gigabit Ethernet controller as a pure model: registers and descriptor rings in; frames, an
/// interrupt level and a deadline out. Intel 8254x Software Developer's Manual (SDM).
///
/// Rings, lengths and addresses are the guest's and are taken for what they are: a ring whose head or tail lies
/// outside of it stands still, and memory that is not there reads as a descriptor of nothing.
package struct E1000Model: E1000Windows {
    /// A delay that starts anew with each event, and one that counts from the first. SDM 13.4.30 and 13.4.31.
    struct Delay: Equatable {
        var fromLast: UInt64?
        var fromFirst: UInt64?
        /// Nanoseconds of a unit of the delay registers.
        static let unit: UInt64 = 1024

        var due: UInt64? { fromLast.map { min($0, fromFirst ?? $0) } }

        mutating func note(_ now: UInt64, last: UInt32, first: UInt32) {
            fromLast = now &+ UInt64(last) &* Self.unit
            if fromFirst == nil && first > 0 { fromFirst = now &+ UInt64(first) &* Self.unit }
        }
        /// True once when it has run out.
        mutating func expires(_ now: UInt64) -> Bool {
            guard let due, due <= now else { return false }
            self = Delay()
            return true
        }
    }

    /// Where the descriptors lie.
    let memory: AddressSpace
    let macAddress: [UInt8]
    /// Whether it is the common part of an 82574, which keeps what is written to registers that are not here.
    let isExpress: Bool
    var words = [UInt32](repeating: 0, count: Self.wordCount)
    var phy = E1000PHY()
    var eeprom: E1000EEPROM
    /// Whether the cable is in.
    package internal(set) var hasLink = true
    var causes: UInt32 = 0
    var mask: UInt32 = 0
    /// The interrupt line.
    var level = false
    var lastRise: UInt64?
    var transmitDelay = Delay()
    var receiveDelay = Delay()
    var transmission = E1000Transmission()
    /// The address port. SDM 13.2.2.1.
    package var ioAddress: UInt32 = 0
    /// For frames that are not stored as they came.
    var scratch: [UInt8] = []

    /// Registers lie in the first 24 KiB of the window.
    static let wordCount = 0x6000 / 4
    /// The longest frame that goes out or comes in. SDM 1.1: 16288 bytes, in 16 KiB of buffers.
    static let mostBytes = 16384

    /// A card after power-on. The address has 6 bytes.
    package init(macAddress: [UInt8], memory: AddressSpace, isExpress: Bool = false) {
        self.memory = memory
        self.isExpress = isExpress
        self.macAddress = macAddress.count == 6 ? macAddress : [0x52, 0x54, 0, 0x12, 0x34, 0x56]
        eeprom = E1000EEPROM(macAddress: self.macAddress, deviceID: isExpress ? 0x10D3 : 0x100E)
        reset()
    }

    subscript(_ register: UInt32) -> UInt32 {
        get { words[Int(register / 4) % Self.wordCount] }
        set { words[Int(register / 4) % Self.wordCount] = newValue }
    }

    /// The state after power-on but for the cable.
    package mutating func reset() {
        phy.reset(id: isExpress ? 0x0CB1 : 0x0C20)
        eeprom = E1000EEPROM(macAddress: macAddress, deviceID: isExpress ? 0x10D3 : 0x100E)
        ioAddress = 0
        resetController()
    }

    /// What the reset bit does: everything but the PHY. SDM 13.4.1.
    mutating func resetController() {
        typealias Register = E1000Register
        for index in words.indices { words[index] = 0 }
        self[Register.control] = E1000Control.fullDuplex | E1000Control.setLinkUp | E1000Control.speed1000
        self[Register.vlanEtherType] = 0x8100
        self[Register.ledControl] = 0x0706_8302
        self[Register.packetBuffer] = 0x0010_0030
        self[Register.managementControl] = 0
        // The address comes from the EEPROM. SDM 13.5.2.
        for (index, byte) in macAddress.enumerated() {
            self[Register.receiveAddress + UInt32(index & 4)] |= UInt32(byte) << UInt32(index % 4 * 8)
        }
        self[Register.receiveAddress + 4] |= Self.addressValid
        causes = 0
        mask = 0
        level = false
        lastRise = nil
        transmitDelay = Delay()
        receiveDelay = Delay()
        transmission = E1000Transmission()
    }
    static let addressValid: UInt32 = 1 << 31

    /// The cable goes in or out.
    package mutating func setLink(_ isUp: Bool) {
        guard isUp != hasLink else { return }
        hasLink = isUp
        causes |= E1000Cause.linkChange
    }

    // MARK: Interrupts

    /// Brings the interrupt line to what it should be at a time. Returns its level, and when to ask again.
    package mutating func update(_ now: UInt64) -> (level: Bool, deadline: UInt64?) {
        if transmitDelay.expires(now) { causes |= E1000Cause.transmitWritten }
        if receiveDelay.expires(now) { causes |= E1000Cause.receiveTimer }
        var deadline = earlier(transmitDelay.due, receiveDelay.due)
        if causes & mask == 0 {
            level = false
        } else if !level {
            // SDM 13.4.18: units of 256 ns between two interrupts.
            let distance = UInt64(self[E1000Register.interruptThrottling] & 0xFFFF) * 256
            if let lastRise, now >= lastRise, now - lastRise < distance {
                deadline = earlier(deadline, lastRise + distance)
            } else {
                level = true
                lastRise = now
            }
        }
        return (level, deadline)
    }
    private func earlier(_ a: UInt64?, _ b: UInt64?) -> UInt64? {
        guard let a else { return b }
        return b.map { min(a, $0) } ?? a
    }
}
