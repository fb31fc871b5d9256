package import DeviceModel

/// What a register access asks of a card's adapter.
package struct CardEffects: Equatable, Sendable {
    /// There may be something to send.
    package var transmits = false
    /// There may be room for frames that wait.
    package var receives = false
    package init(transmits: Bool = false, receives: Bool = false) {
        self.transmits = transmits
        self.receives = receives
    }
}

/// What a card's adapter tells the machine.
package struct CardSignals: Equatable, Sendable {
    /// The interrupt pin.
    package var level = false
    /// Vectors of MSI-X, or the only one of MSI, that are raised now, one bit each.
    package var messages: UInt32 = 0
    /// When to ask again.
    package var deadline: UInt64?
    package init(level: Bool = false, messages: UInt32 = 0, deadline: UInt64? = nil) {
        self.level = level
        self.messages = messages
        self.deadline = deadline
    }
}

/// How a card's driver hears of interrupts, as the adapter sees it.
package enum CardInterruptMode: Sendable { case pin, message, vectors }

/// A network card as a pure model, for `PCICard`: registers and rings in; frames, an interrupt and a deadline out.
package protocol CardModel: Sendable {
    /// Whether the cable is in.
    var hasLink: Bool { get }
    /// Whether frames come straight back instead of going out.
    var isLoopback: Bool { get }
    /// Whether a frame would be stored now.
    var canReceive: Bool { get }
    /// The cable goes in or out.
    mutating func setLink(_ isUp: Bool)
    /// To the state after power-on but for the cable.
    mutating func reset()
    /// An access to a window.
    mutating func read(_ window: Int, _ offset: UInt64, _ size: Int, _ now: UInt64) -> UInt64
    mutating func write(_ window: Int, _ offset: UInt64, _ size: Int, _ value: UInt64, _ now: UInt64) -> CardEffects
    /// Takes what the guest sends; true where there may be more.
    mutating func transmit(_ now: UInt64, into frames: inout CardFrames) -> Bool
    /// Stores a frame, or drops it where no filter wants it. False where there is no room: it may come again.
    mutating func receive(_ frame: UnsafeRawBufferPointer, _ now: UInt64) -> Bool
    /// Brings interrupts to what they should be at a time.
    mutating func update(_ now: UInt64, _ mode: CardInterruptMode) -> CardSignals
    /// Whether the driver wants its ring of frames to send looked at now and then; asked when the deadline has passed.
    var polls: Bool { get }
    /// Whether the driver may give buffers for frames without an access to a register: there are none, and the card has
    /// to look again by itself.
    var refillsSilently: Bool { get }
    func exportState() -> DeviceState
    mutating func importState(_ state: DeviceState) throws(DeviceStateError)
    /// Adds the fields that the card's state has beside its model's.
    func exportBeside(_ state: inout DeviceState)
    /// Takes them.
    mutating func importBeside(_ state: DeviceState) throws(DeviceStateError)
}

extension CardModel {
    package var polls: Bool { false }
    package var refillsSilently: Bool { false }
    package func exportBeside(_ state: inout DeviceState) {}
    package mutating func importBeside(_ state: DeviceState) throws(DeviceStateError) {}
}

/// Sums and hashes of Ethernet (IEEE 802.3, 3.2.9).
enum Ethernet {
    /// The longest frame that any of the cards takes, with room for offloads.
    static let mostBytes = 16384
    /// The check sequence, least significant bit first, before its bits are inverted.
    static func remainder(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return crc
    }
    /// The upper six bits of the sequence as cards that reckon with the most significant bit first have it.
    static func multicastHash(_ address: some Sequence<UInt8>) -> Int {
        var crc = UInt32.max
        for byte in address {
            for bit in 0..<8 {
                let carry = (crc >> 31 ^ UInt32(byte >> UInt8(bit))) & 1
                crc = crc << 1 ^ (carry != 0 ? 0x04C1_1DB7 : 0)
            }
        }
        return Int(crc >> 26)
    }
    /// What follows a frame on the wire.
    static func checkSequence(_ frame: some Sequence<UInt8>) -> [UInt8] {
        let crc = ~remainder(frame)
        return (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32($0 * 8)) }
    }
}
