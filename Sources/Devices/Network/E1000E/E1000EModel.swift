package import DeviceModel
package import GuestMemory

/// The Intel 82574L as a pure model: what it has in common with the 82540EM is that model's, which it holds; here are
/// its causes and vectors of MSI-X, its EEPROM's register and status bits. (Intel 317694, 82574 GbE Controller Family.)
///
/// One queue each way is served, as drivers use it without receive-side scaling.
package struct E1000EModel: E1000Windows {
    /// Entries of the table of MSI-X.
    static let vectors = 5

    /// Registers that the 82540EM does not have.
    private enum Register {
        static let extendedControl: UInt32 = 0x0018
        static let autoClear: UInt32 = 0x00DC
        static let autoMask: UInt32 = 0x00E0
        static let vectorAllocation: UInt32 = 0x00E4
        static let vectorThrottling: UInt32 = 0x00E8
        static let managementEEPROM: UInt32 = 0x1010
    }
    private enum Cause {
        static let receiveQueue0: UInt32 = 1 << 20
        static let transmitQueue0: UInt32 = 1 << 22
        static let other: UInt32 = 1 << 24
        static let queues: UInt32 = 0x00F0_0000
        static let vectored: UInt32 = 0x01F0_0000
        /// Link, overrun, management: what makes `other`.
        static let others: UInt32 = 0x0007_0244
        static let asserted: UInt32 = 1 << 31
        static let all: UInt32 = 0x01FF_FFDF
    }
    /// The driver's wish to use the mask upon a read of the causes.
    private static let maskOnRead: UInt32 = 1 << 27
    private static let masterDisable: UInt32 = 1 << 2
    private static let masterEnabled: UInt32 = 1 << 19

    var base: E1000Model
    /// Causes for which a message went out and that are still there.
    private var announced: UInt32 = 0
    /// When each vector was raised last.
    private var raised = [UInt64?](repeating: nil, count: E1000EModel.vectors)
    private var wasHigh = false
    private var mode = CardInterruptMode.pin

    package init(macAddress: [UInt8], memory: AddressSpace) {
        base = E1000Model(macAddress: macAddress, memory: memory, isExpress: true)
    }

    package var hasLink: Bool { base.hasLink }
    package var isLoopback: Bool { base.isLoopback }
    package var canReceive: Bool { base.canReceive }
    package mutating func setLink(_ isUp: Bool) { base.setLink(isUp) }
    package mutating func reset() {
        base.reset()
        (announced, wasHigh) = (0, false)
        raised = [UInt64?](repeating: nil, count: Self.vectors)
    }
    package mutating func transmit(_ now: UInt64, into frames: inout CardFrames) -> Bool {
        base.transmit(now, into: &frames)
    }
    package mutating func receive(_ frame: UnsafeRawBufferPointer, _ now: UInt64) -> Bool {
        // SAFETY: the caller's frame lives over the call.
        unsafe base.receive(frame, now)
    }

    // MARK: Registers

    package static var ioWindow: Int { 2 }
    package var ioAddress: UInt32 {
        get { base.ioAddress }
        set { base.ioAddress = newValue }
    }

    package mutating func readWord(_ offset: UInt32) -> UInt32 {
        switch offset {
        case E1000Register.status:
            let isDisabled = base[E1000Register.control] & Self.masterDisable != 0
            return base.read(offset) | 1 << 9 | (isDisabled ? 0 : Self.masterEnabled)
        // Automatic reading is done; the contents come from an EEPROM of 64 words.
        case E1000Register.eepromControl: return base.read(offset) | 1 << 9
        case E1000Register.interruptCause:
            absorb()
            let value = base.causes | (base.causes & base.mask != 0 ? Cause.asserted : 0)
            if base.causes & base.mask != 0, base[Register.extendedControl] & Self.maskOnRead != 0 {
                base.mask &= ~base[Register.autoMask]
            }
            // With vectors those of queues are cleared by their messages.
            base.causes &= mode == .vectors ? Cause.queues : 0
            return value
        // The configuration of the port is done.
        case Register.managementEEPROM: return base.read(offset) | 1 << 18
        default: return base.read(offset)
        }
    }

    package mutating func writeWord(_ offset: UInt32, _ value: UInt32) -> CardEffects {
        switch offset {
        case E1000Register.eepromRead:
            // Start in bit 0, done in bit 1, the address from bit 2 on. 10.2.2.4.
            let address = value >> 2 & 0x3FFF
            let word = address < 64 ? base.eeprom.words[Int(address)] : 0xFFFF
            base[offset] = value & 0xFFFC | (value & 1 != 0 ? 2 | UInt32(word) << 16 : 0)
        case E1000Register.interruptCause: base.causes &= ~value
        case E1000Register.interruptCauseSet: base.causes |= value & Cause.all
        case E1000Register.interruptMaskSet: base.mask |= value & Cause.all
        case E1000Register.interruptMaskClear: base.mask &= ~value
        case Register.extendedControl: base[offset] = value & ~(1 << 13)
        default: return base.write(offset, value)
        }
        return CardEffects()
    }

    // MARK: Interrupts

    /// Adds the causes of queues and the summary to those that the common part knows.
    private mutating func absorb() {
        if base.causes & (E1000Cause.receiveTimer | E1000Cause.receiveThreshold) != 0 {
            base.causes |= Cause.receiveQueue0
        }
        if base.causes & (E1000Cause.transmitWritten | E1000Cause.transmitQueueEmpty) != 0 {
            base.causes |= Cause.transmitQueue0
        }
        if base.causes & base.mask & Cause.others != 0 { base.causes |= Cause.other }
    }

    package mutating func update(_ now: UInt64, _ mode: CardInterruptMode) -> CardSignals {
        self.mode = mode
        guard mode == .vectors else {
            let (level, deadline) = base.update(now)
            defer { wasHigh = level }
            let rises = level && !wasHigh
            return CardSignals(
                level: mode == .pin && level, messages: mode == .message && rises ? 1 : 0, deadline: deadline)
        }
        // The delays' ends are causes too; the pin's level is nobody's here.
        var (_, deadline) = base.update(now)
        base.level = false
        absorb()
        var messages: UInt32 = 0
        announced &= base.causes & base.mask
        for (place, bit) in [(0, 20), (4, 21), (8, 22), (12, 23), (16, 24)] as [(UInt32, UInt32)] {
            let cause: UInt32 = 1 << bit
            guard base.causes & base.mask & cause != 0, announced & cause == 0 else { continue }
            let entry = base[Register.vectorAllocation] >> place & 15
            let vector = Int(entry & 7)
            guard entry & 8 != 0, vector < Self.vectors else { continue }
            // Units of 256 ns between two messages of a vector. 10.2.4.8.
            let distance = UInt64(base[Register.vectorThrottling + UInt32(vector) * 4] & 0xFFFF) * 256
            if let last = raised[vector], now >= last, now - last < distance, messages >> UInt32(vector) & 1 == 0 {
                deadline = min(deadline ?? UInt64.max, last + distance)
                continue
            }
            raised[vector] = now
            messages |= 1 << UInt32(vector)
            announced |= cause
            if base[Register.autoClear] & cause != 0 {
                base.causes &= ~cause
                announced &= ~cause
                // What made it goes with it.
                base.causes &= bit == 20 ? ~(E1000Cause.receiveTimer | E1000Cause.receiveThreshold) : UInt32.max
                base.causes &= bit == 22 ? ~(E1000Cause.transmitWritten | E1000Cause.transmitQueueEmpty) : UInt32.max
            }
        }
        return CardSignals(level: false, messages: messages, deadline: deadline)
    }

    // MARK: State

    package func exportState() -> DeviceState {
        var state = base.exportState()
        state.set("announced", announced)
        state.set("high", wasHigh)
        state.set("ports", ioAddress)
        return state
    }
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try base.importState(state)
        announced = try state.integer("announced")
        wasHigh = try state.bool("high")
        ioAddress = try state.integer("ports", as: UInt32.self) & Self.ioAddressMask
        raised = [UInt64?](repeating: nil, count: Self.vectors)
    }
}
