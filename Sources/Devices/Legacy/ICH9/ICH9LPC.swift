public import DeviceModel
internal import GuestMemory
import Synchronization

/// The ICH9's LPC bridge (Intel 316972, chapter 13): the PCI interrupt router, the chipset's registers in memory, SMI
/// enables, and the TCO watchdog. ACPI power management is a device of its own, at the ports that this one names.
///
/// Interrupt inputs 0 to 7 are PIRQA to PIRQH: inputs 16 to 23 of the IOAPIC, and what the router says of the PIC.
public final class ICH9LPC: Device, PCIFunctionDelegate {
    private struct State {
        var tco = TCOModel()
        var smi: SMIRegisters
        /// Registers in memory, from RCBA on.
        var chipset = [UInt8](repeating: 0, count: ICH9LPC.chipsetSize)
        var chipsetRange: Bus.RangeID?
        var chipsetBase: UInt64?
        var isMapping = false
    }
    private struct Wires {
        var levels = [Bool](repeating: false, count: 8)
        /// What each ISA interrupt was last told.
        var driven = [Bool](repeating: false, count: 16)
    }
    /// Where firmware puts the power management registers; nothing else is supported.
    public static let powerBase: UInt64 = 0x600
    private static let chipsetSize = 0x4000
    private static let chipsetRegister = 0xF0
    /// General control and status: bit 5 keeps the watchdog from resetting.
    private static let controlStatus = 0x3410
    /// ACPI_CNTL, whose bit 7 has the registers at `powerBase` answer. SeaBIOS, when it resumes a guest, takes all ones of
    /// SMI_EN for a system management that is set up.
    private static let powerEnable = 0x44
    /// GEN_PMCON_1, whose bit 4 locks the global enable of SMIs, and stays set.
    private static let powerControl = 0xA0

    public let stateName: String
    /// What a `PCIBus` attaches at 1f.0.
    public let function: PCIFunction
    private let mmio: Bus
    private let clock: any VirtualClock
    private let interrupts: any InterruptSink
    private let onWatchdog: @Sendable () -> Void
    private let onSMI: (@Sendable (_ all: Bool) -> Void)?
    private let state: Mutex<State>
    private let wires = Mutex(Wires())
    private let timer = LateTimer()

    /// A bridge after power-on. `onSMI` requests system management interrupts, of all processors or of the one that asks; nil
    /// where there are none. It and `onWatchdog` run with no lock held, on the thread that asks.
    public init(
        mmio: Bus, clock: any VirtualClock, interrupts: any InterruptSink, stateName: String = "ICH9-LPC",
        onSMI: (@Sendable (_ all: Bool) -> Void)? = nil, onWatchdog: @escaping @Sendable () -> Void
    ) {
        self.onSMI = onSMI
        state = Mutex(State(smi: SMIRegisters(isThere: onSMI != nil)))
        self.mmio = mmio
        self.clock = clock
        self.interrupts = interrupts
        self.stateName = stateName
        self.onWatchdog = onWatchdog
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x2918, classCode: 0x060100, revision: 2, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        function.defineRegister(0x40, value: UInt32(0x601), writable: UInt32(0xFF80))
        function.defineRegister(Self.powerEnable, value: UInt8(0), writable: UInt8(0x87))
        function.defineRegister(0x60, value: UInt32(0x8080_8080), writable: UInt32(0x8F8F_8F8F))
        function.defineRegister(0x68, value: UInt32(0x8080_8080), writable: UInt32(0x8F8F_8F8F))
        // LPC decode ranges, power management configuration, BIOS control: kept.
        function.defineRegister(0x80, value: UInt64(0), writable: UInt64.max)
        function.defineRegister(0xA0, value: UInt16(0), writable: UInt16(0x10))
        function.defineRegister(0xDC, value: UInt8(0), writable: UInt8(0x03))
        function.defineRegister(Self.chipsetRegister, value: UInt32(0), writable: UInt32(0xFFFF_C001))
        function.setDelegate(self)
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            changeTCO { _, _ in }
        }
    }

    /// Puts the ports of SMI and TCO beside those of power management.
    public func attach(to io: Bus) {
        io.add(window(.smi), start: Self.powerBase + 0x30, count: 8, name: "ich9-smi")
        io.add(window(.tco), start: Self.powerBase + 0x60, count: 32, name: "sm-tco")
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        if offset < Self.chipsetRegister + 4, offset + size > Self.chipsetRegister { mapChipset() }
        if offset < 0x6C, offset + size > 0x60 { route() }
        if offset <= Self.powerControl, offset + size > Self.powerControl { followLock() }
    }

    // MARK: System management

    /// A byte was written to the command port of system management. The processor's thread.
    public func receiveCommand() {
        if let all = state.withLock({ $0.smi.command() }) { onSMI?(all) }
    }

    /// Firmware asks for what it wants of SMIs, bits of `SMIRegisters.Feature`. Whether it gets it: until a reset.
    public func negotiate(_ features: UInt64, supported: UInt64) -> Bool {
        state.withLock { $0.smi.negotiate(features, supported: supported) }
    }
    /// Whether firmware interrupts all processors, and would wait for those that have gone.
    public var keepsProcessors: Bool { entersTogether(without: SMIRegisters.Feature.removal) }
    /// Whether firmware interrupts all processors, and cannot take new ones in.
    public var refusesProcessors: Bool { entersTogether(without: SMIRegisters.Feature.processors) }
    private func entersTogether(without feature: UInt64) -> Bool {
        features & (SMIRegisters.Feature.broadcast | feature) == SMIRegisters.Feature.broadcast
    }
    /// What was agreed upon.
    public var features: UInt64 { state.withLock { $0.smi.features } }

    private func followLock() {
        let isLocked = function.readRaw(Self.powerControl, size: 1) & 0x10 != 0
        let stays = state.withLock { state in
            state.smi.isLocked = state.smi.isLocked || isLocked
            return state.smi.isLocked
        }
        if stays, !isLocked { function.setRegister(Self.powerControl, UInt8(0x10)) }
    }

    // MARK: Interrupts

    /// The input of a pin of a slot of the root bus: E to H by turns, but A to D for the chipset's own slots.
    public static func input(slot: Int, pin: Int) -> Int { slot >= 25 ? pin & 3 : 4 + (slot + pin) & 3 }

    /// PIRQA to PIRQH change.
    public func setInput(_ input: Int, level: Bool) {
        guard 0..<8 ~= input else { return }
        wires.withLock { wires in
            wires.levels[input] = level
            interrupts.setLine(16 + input, level: level)
            drive(&wires)
        }
    }
    private func route() { wires.withLock { drive(&$0) } }

    /// Brings the ISA interrupts in line with the router. Takes only the controllers' locks.
    private func drive(_ wires: inout Wires) {
        var wanted = [Bool](repeating: false, count: 16)
        for input in 0..<8 where wires.levels[input] {
            let register = function.readRaw(input < 4 ? 0x60 + input : 0x68 + input - 4, size: 1)
            if register & 0x80 == 0 { wanted[Int(register & 15)] = true }
        }
        // Only these may be routed to (13.1.17).
        for irq in [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15] where wanted[irq] != wires.driven[irq] {
            wires.driven[irq] = wanted[irq]
            interrupts.setLine(irq, level: wanted[irq])
        }
    }

    // MARK: Registers

    private enum Part { case smi, tco, chipset }
    private func window(_ part: Part) -> any BusDevice {
        WeakWindow(self, read: { $0.read(part, $1, $2) }, write: { $0.write(part, $1, $2, $3) })
    }

    private func read(_ part: Part, _ offset: UInt64, _ size: Int) -> UInt64 {
        if part == .tco {
            return changeTCO { tco, now in ByteLanes.read(offset, size) { tco.read($0, now) } }
        }
        if part == .smi, !hasPowerRegisters { return UInt64.max }
        return state.withLock { state in
            ByteLanes.read(offset, size) { place in
                let bytes = part == .smi ? state.smi.bytes : state.chipset
                return place < UInt64(bytes.count) ? bytes[Int(place)] : 0xFF
            }
        }
    }

    private var hasPowerRegisters: Bool { function.readRaw(Self.powerEnable, size: 1) & 0x80 != 0 }

    private func write(_ part: Part, _ offset: UInt64, _ size: Int, _ value: UInt64) {
        if part == .smi, !hasPowerRegisters { return }
        if part == .tco {
            return changeTCO { tco, now in ByteLanes.write(offset, size, value) { tco.write($0, $1, now) } }
        }
        state.withLock { state in
            ByteLanes.write(offset, size, value) { place, byte in
                let place = Int(truncatingIfNeeded: place)
                if part == .chipset, state.chipset.indices.contains(place) {
                    state.chipset[place] = byte
                } else if part == .smi {
                    state.smi.write(UInt64(place), byte)
                }
            }
        }
    }

    @discardableResult
    private func changeTCO<R: Sendable>(_ body: (inout TCOModel, UInt64) -> R) -> R {
        let (result, fired) = state.withLock { state -> (R, Bool) in
            let now = clock.now
            let ended = state.tco.advance(now)
            let result = body(&state.tco, now)
            timer.set(state.tco.deadline)
            return (result, ended && state.chipset[Self.controlStatus] & 0x20 == 0)
        }
        if fired { onWatchdog() }
        return result
    }

    /// Puts the chipset's registers where RCBA says, one thread at a time.
    private func mapChipset() {
        let value = UInt64(function.readRaw(Self.chipsetRegister, size: 4))
        let wanted = value & 1 == 0 ? nil : value & ~0x3FFF
        let window = self.window(.chipset)
        state.withLock { state in
            guard wanted != state.chipsetBase else { return }
            if let old = state.chipsetRange { mmio.remove(old) }
            state.chipsetBase = wanted
            state.chipsetRange = wanted.map {
                mmio.add(window, start: $0, count: UInt64(Self.chipsetSize), name: "lpc-rcrb-mmio")
            }
        }
    }

    // MARK: Life

    public func reset() {
        state.withLock { state in
            state.tco = TCOModel()
            state.smi = SMIRegisters(isThere: onSMI != nil)
            state.chipset = [UInt8](repeating: 0, count: Self.chipsetSize)
            timer.set(nil)
        }
        function.reset()
        mapChipset()
        route()
    }

    public func exportState() -> DeviceState {
        let levels = wires.withLock { $0.levels.map { UInt8($0 ? 1 : 0) } }
        return state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("tco", state.tco.bytes)
            saved.set("tco-left", state.tco.left)
            saved.set("tco-deadline", state.tco.deadline ?? 0)
            saved.set("smi", state.smi.bytes)
            if state.smi.isThere { saved.set("smi-features", state.smi.features) }
            saved.set("chipset", state.chipset)
            saved.set("levels", levels)
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var tco = TCOModel()
        tco.bytes = try saved.bytes("tco", count: 32)
        tco.left = min(try saved.integer("tco-left"), 1023)
        let deadline: UInt64 = try saved.integer("tco-deadline")
        tco.deadline = deadline == 0 ? nil : deadline
        // Machines without system management, and those of older releases, do not say; they go on without.
        var smi = SMIRegisters(isThere: onSMI != nil && saved.fields["smi-features"] != nil)
        smi.bytes = try saved.bytes("smi", count: 8)
        if smi.isThere { smi.features = try saved.integer("smi-features") }
        let restoredSMI = smi
        let chipset = try saved.bytes("chipset", count: Self.chipsetSize)
        let levels = try saved.bytes("levels", count: 8)
        try function.importState(try saved.list("pci", count: 1)[0])
        let restored = tco
        state.withLock { state in
            state.tco = restored
            state.smi = restoredSMI
            state.chipset = chipset
            timer.set(restored.deadline)
        }
        mapChipset()
        followLock()
        wires.withLock { wires in
            wires.levels = levels.map { $0 != 0 }
            drive(&wires)
        }
    }
}
