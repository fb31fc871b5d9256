/// An interrupt on its way to local APICs: from another processor's ICR, an IOAPIC entry, or a memory write (Intel SDM
/// volume 3, 11.6 and 11.11).
public struct InterruptMessage: Equatable, Sendable {
    /// APIC ID, or logical destination.
    public var destination: UInt32
    /// `destination` has 32 bits, as x2APIC sends it; otherwise 8, and 0xFF reaches all.
    public var isWide: Bool
    /// `destination` is matched with the logical destination registers.
    public var isLogical: Bool
    /// Where to, if not to `destination`.
    public var shorthand: Shorthand
    /// What happens there.
    public var deliveryMode: DeliveryMode
    /// The vector; for a start-up message the page of its code.
    public var vector: UInt8
    /// The sender waits for an EOI.
    public var isLevelTriggered: Bool

    /// A message; without a shorthand, edge-triggered, with an 8-bit destination unless told.
    public init(
        destination: UInt32, isWide: Bool = false, isLogical: Bool = false, shorthand: Shorthand = Shorthand.none,
        deliveryMode: DeliveryMode, vector: UInt8, isLevelTriggered: Bool = false
    ) {
        self.destination = isWide ? destination : destination & 0xFF
        self.isWide = isWide
        self.isLogical = isLogical
        self.shorthand = shorthand
        self.deliveryMode = deliveryMode
        self.vector = vector
        self.isLevelTriggered = isLevelTriggered
    }

    /// Destination shorthands, with their code in the ICR.
    public enum Shorthand: UInt8, Sendable {
        /// As `destination` says.
        case none
        /// The sender.
        case selfOnly
        /// Everyone.
        case all
        /// Everyone but the sender.
        case others
    }

    /// Delivery modes, with their code.
    public enum DeliveryMode: UInt8, Sendable {
        /// The vector, to all that match.
        case fixed = 0
        /// The vector, to the one that matches with the lowest priority.
        case lowestPriority = 1
        /// System-management interrupt.
        case systemManagement = 2
        /// Non-maskable interrupt.
        case nonMaskable = 4
        /// INIT.
        case initialize = 5
        /// Start-up, at page `vector`.
        case startUp = 6
        /// The vector comes from the 8259A. Not for IPIs.
        case external = 7
    }

    /// The message that a write of `data` to `address` is (11.11), or nil where the address is none of FEEx_xxxxH or
    /// the delivery mode is reserved. Address bits 11:5 are bits 14:8 of the destination, as guests use them that
    /// are offered KVM_FEATURE_MSI_EXT_DEST_ID; they are zero from all others.
    public init?(messageAddress address: UInt64, data: UInt32) {
        guard address & ~0xF_FFFF == 0xFEE0_0000,
            let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: data >> 8 & 7))
        else { return nil }
        let low = UInt32(truncatingIfNeeded: address)
        let high = low >> 5 & 0x7F
        self.init(
            destination: high << 8 | low >> 12 & 0xFF, isWide: high != 0, isLogical: low & 4 != 0, deliveryMode: mode,
            vector: UInt8(truncatingIfNeeded: data), isLevelTriggered: data & 0x8000 != 0)
    }

    /// The message that a write of the ICR sends, or nil where it sends none: a reserved delivery mode, or the INIT
    /// level de-assert, which does nothing on processors since Pentium 4 (11.6.1). IPIs are edge-triggered.
    init?(icrLow low: UInt32, destination: UInt32, isWide: Bool) {
        guard let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: low >> 8 & 7)),
            mode != DeliveryMode.external,
            let shorthand = Shorthand(rawValue: UInt8(truncatingIfNeeded: low >> 18 & 3))
        else { return nil }
        let isLevel = low & 0x8000 != 0
        let isAssert = low & 0x4000 != 0
        if mode == DeliveryMode.initialize && isLevel && !isAssert { return nil }
        self.init(
            destination: destination, isWide: isWide, isLogical: low & 0x800 != 0, shorthand: shorthand,
            deliveryMode: mode, vector: UInt8(truncatingIfNeeded: low))
    }

    /// True where the processor of `identity` is among those addressed. `isSender` matters for shorthands only.
    public func reaches(_ identity: APIC.Identity, isSender: Bool = false) -> Bool {
        switch shorthand {
        case Shorthand.selfOnly: isSender
        case Shorthand.all: identity.mode != APIC.Mode.disabled
        case Shorthand.others: identity.mode != APIC.Mode.disabled && !isSender
        case Shorthand.none: identity.matches(destination, isWide: isWide, isLogical: isLogical)
        }
    }
}
