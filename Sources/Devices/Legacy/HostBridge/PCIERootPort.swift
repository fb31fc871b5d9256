public import DeviceModel
import Synchronization

/// A PCI Express root port with a slot in which a device comes and goes while the machine runs. PCI Express Base 3.0,
/// 6.7 (hot plug) and 7.8 (registers).
///
/// A device that is put in shows by its presence; one that is to leave by the attention button, upon which the guest
/// lets go of it and switches the slot's power off: then it is taken out.
public final class PCIERootPort: Device, PCIFunctionDelegate {
    /// Offsets in the express capability.
    private enum Register {
        static let linkStatus = 0x12
        static let slotCapabilities = 0x14
        static let slotControl = 0x18
        static let slotStatus = 0x1A
    }
    private enum Control {
        static let enables: UInt16 = 0x101F
        static let interrupt: UInt16 = 1 << 5
        static let powerIndicator: UInt16 = 3 << 8
        static let indicatorOff: UInt16 = 3 << 8
        static let powerOff: UInt16 = 1 << 10
    }
    private enum Status {
        static let button: UInt16 = 1 << 0
        static let presenceChanged: UInt16 = 1 << 3
        static let commandCompleted: UInt16 = 1 << 4
        static let present: UInt16 = 1 << 6
        static let linkChanged: UInt16 = 1 << 8
        static let events: UInt16 = 0x011F
    }
    private static let linkActive: UInt16 = 1 << 13

    public let stateName: String
    /// What a `PCIBus` attaches as a bridge.
    public let function: PCIFunction
    private let capability: Int
    private struct State {
        var control: UInt16 = 0x07C0
        var isLeaving = false
    }
    private let state = Mutex(State())
    private let onPowerOff = Mutex<(@Sendable () -> Void)?>(nil)

    /// A port of a slot number of its own, 1 to 8191.
    public init(slot: UInt16, port: UInt8, stateName: String) {
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(vendorID: 0x1B36, deviceID: 0x000C, classCode: 0x060400), interruptPin: 1, isBridge: true,
            isExpress: true)
        function.addMSI(vectors: 1)
        var body = [UInt8](repeating: 0, count: 58)
        var writable = body
        func put(_ offset: Int, _ value: UInt32, writable mask: UInt32 = 0, size: Int) {
            for index in 0..<size {
                body[offset - 2 + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
                writable[offset - 2 + index] = UInt8(truncatingIfNeeded: mask >> UInt32(index * 8))
            }
        }
        put(0x02, 2 | 4 << 4 | 0x100, size: 2)
        put(0x04, 0x8000, size: 4)
        put(0x08, 0x2810, writable: 0x78FF, size: 2)
        // A lane at 2.5 GT/s, whose activity is reported.
        put(0x0C, 0x0010_0011 | UInt32(port) << 24, size: 4)
        put(0x10, 0, writable: 0x0FDB, size: 2)
        put(0x12, 0x2011, size: 2)
        // Button, power control, both indicators, surprise, hot plug; the slot's number.
        put(0x14, 0x7B | UInt32(slot & 0x1FFF) << 19, size: 4)
        put(0x18, 0x07C0, writable: 0x17FF, size: 2)
        put(0x1C, 0, writable: 0x000F, size: 2)
        capability = function.addCapability(PCICapabilityID.express, body: body, writable: writable)
        function.defineRegister(
            capability + Register.slotStatus, value: UInt16(0), writable: UInt16(0), clearable: Status.events)
        function.setDelegate(self)
    }

    /// Who takes the device out when the guest has switched the slot off. Runs with no lock held.
    public func observePowerOff(_ observer: @escaping @Sendable () -> Void) { onPowerOff.withLock { $0 = observer } }

    private var status: UInt16 {
        UInt16(truncatingIfNeeded: function.readRaw(capability + Register.slotStatus, size: 2))
    }
    private var control: UInt16 {
        UInt16(truncatingIfNeeded: function.readRaw(capability + Register.slotControl, size: 2))
    }

    /// A device is in the slot, or none: what the guest sees at once, and hears of where `announces`.
    public func setPresence(_ isThere: Bool, announces: Bool) {
        var value = status & ~Status.present
        if isThere { value |= Status.present }
        if announces { value |= Status.presenceChanged | Status.linkChanged }
        function.setRegister(capability + Register.slotStatus, value)
        function.setRegister(capability + Register.linkStatus, UInt16(0x0011) | (isThere ? Self.linkActive : 0))
        if !announces {
            // What is there from the start has power, and its indicator is on.
            let start: UInt16 = isThere ? 0x0140 : 0x07C0
            function.defineRegister(capability + Register.slotControl, value: start)
            state.withLock { $0.control = start }
        }
        if announces { signal() }
    }

    /// The device is to leave.
    public func pressButton() {
        state.withLock { $0.isLeaving = true }
        function.setRegister(capability + Register.slotStatus, status | Status.button)
        signal()
    }

    private func signal() {
        let (status, control) = (status, control)
        let isWanted = control & Control.interrupt != 0 && status & control & Control.enables != 0
        if function.isMSIEnabled {
            if isWanted { function.signalMSI(0) }
        } else {
            function.setINTx(isWanted)
        }
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        let first = capability + Register.slotControl
        guard offset < first + 4, offset + size > first else { return }
        let now = control
        let isOff = now & Control.powerOff != 0 && now & Control.powerIndicator == Control.indicatorOff
        let (changed, leaves) = state.withLock { state in
            let changed = offset < first + 2
            let wasOff =
                state.control & Control.powerOff != 0
                && state.control & Control.powerIndicator == Control.indicatorOff
            state.control = now
            return (changed, isOff && !wasOff && status & Status.present != 0)
        }
        // A command is done as soon as it is given.
        if changed { function.setRegister(capability + Register.slotStatus, status | Status.commandCompleted) }
        if leaves {
            state.withLock { $0.isLeaving = false }
            onPowerOff.withLock { $0 }?()
        }
        signal()
    }

    public func reset() {
        let isThere = status & Status.present != 0
        function.reset()
        setPresence(isThere, announces: false)
        function.setRegister(capability + Register.slotControl, UInt16(isThere ? 0x0140 : 0x07C0))
        state.withLock { $0.isLeaving = false }
    }
    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("pci", [function.exportState()])
        saved.set("status", status)
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let value: UInt16 = try saved.integer("status")
        try function.importState(try saved.list("pci", count: 1)[0])
        function.setRegister(
            capability + Register.slotStatus, value & Status.events | status & Status.present)
        let now = control
        state.withLock { $0.control = now }
    }
}
