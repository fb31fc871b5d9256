public import DeviceModel
public import GuestMemory
import Synchronization

/// The host bridge of a PC: a PCI function whose registers put RAM over ROM in the first MiB and take it away again,
/// as firmware does that runs from RAM ("shadowing"); the Q35's also says where configuration space lies in memory.
///
/// The map of memory holds RAM below 0xA0000 and from 1 MiB on, and ROM; what lies between is this device's.
public final class I440FX: Device, PCIFunctionDelegate {
    /// Which bridge it is.
    public enum Chipset: Sendable {
        /// Intel 290549 (82441FX).
        case i440FX
        /// Intel 316966 (82Q35), whose registers of the first MiB lie elsewhere and mean the same.
        case q35

        /// Configuration offsets of the first attribute register and of that of system management.
        var registers: (pam: Int, smram: Int) { self == .i440FX ? (0x59, 0x72) : (0x90, 0x9D) }
    }
    private struct State {
        var registers = ShadowRegisters()
        var mapped: [ShadowRegisters.Range] = []
        var ids: [AddressSpace.RangeID] = []
        var isMapping = false
    }
    public let stateName: String
    /// What a `PCIBus` attaches at slot 0.
    public let function: PCIFunction
    private let memory: AddressSpace
    private let block: RAMBlock
    private let firstPAM: Int
    private let smram: Int
    private let state = Mutex(State())
    private let isQ35: Bool
    /// Where the Q35's configuration space lies in memory; nil while it is off. 5.1.16 of its data sheet.
    public var configurationWindow: (start: UInt64, count: UInt64)? {
        guard isQ35 else { return nil }
        let low = UInt64(function.readRaw(Self.expressBase, size: 4))
        let value = UInt64(function.readRaw(Self.expressBase + 4, size: 4)) << 32 | low
        let count: UInt64 = (256 << 20) >> min(value >> 1 & 3, 2)
        let start = value & 0xF_FC00_0000 & ~(count - 1)
        return value & 1 == 0 || start == 0 ? nil : (start, count)
    }
    private static let expressBase = 0x60
    private let windowObserver = Mutex<(@Sendable () -> Void)?>(nil)

    /// Has somebody follow the window of configuration space.
    public func observeConfigurationWindow(_ observer: @escaping @Sendable () -> Void) {
        windowObserver.withLock { $0 = observer }
    }

    /// A bridge after power-on: ROM everywhere. `block` is the RAM whose offsets are addresses below 1 MiB.
    public init(
        memory: AddressSpace, block: RAMBlock, chipset: Chipset = .i440FX, stateName: String = "i440FX"
    ) {
        (firstPAM, smram) = chipset.registers
        isQ35 = chipset == .q35
        self.memory = memory
        self.block = block
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: chipset == .q35 ? 0x29C0 : 0x1237, classCode: 0x060000,
                revision: chipset == .q35 ? 0 : 2, subsystemVendorID: 0x1AF4, subsystemID: 0x1100))
        if isQ35 {
            function.defineRegister(Self.expressBase, value: UInt64(0), writable: UInt64(0xF_FC00_0007))
        }
        // The lower half of the first PAM register is reserved.
        function.defineRegister(firstPAM, value: UInt8(0), writable: UInt8(0x30))
        for index in 1..<ShadowRegisters.pamCount {
            function.defineRegister(firstPAM + index, value: UInt8(0), writable: UInt8(0x33))
        }
        function.defineRegister(
            smram, value: ShadowRegisters.SMRAM.base, writable: ShadowRegisters.SMRAM.writable)
        function.setDelegate(self)
    }

    /// Puts writable RAM everywhere from 0xC0000 to 0xFFFFF, as firmware leaves it: for machines that start without.
    public func shadowAll() {
        function.writeConfiguration(firstPAM, size: 1, value: 0x30)
        for index in 1..<ShadowRegisters.pamCount {
            function.writeConfiguration(firstPAM + index, size: 1, value: 0x33)
        }
    }

    /// The attributes of the first MiB, a byte a register. Firmware that is to resume a guest counts on them being as it
    /// left them.
    public var attributes: [UInt8] {
        get {
            (0..<ShadowRegisters.pamCount).map {
                UInt8(truncatingIfNeeded: function.readRaw(firstPAM + $0, size: 1))
            }
        }
        set {
            for (index, value) in newValue.prefix(ShadowRegisters.pamCount).enumerated() {
                function.writeConfiguration(firstPAM + index, size: 1, value: UInt32(value))
            }
        }
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        if isQ35, offset < Self.expressBase + 8, offset + size > Self.expressBase { windowObserver.withLock { $0 }?() }
        let isSMRAM = offset <= smram && smram < offset + size
        let last = firstPAM + ShadowRegisters.pamCount
        guard isSMRAM || (offset < last && offset + size > firstPAM) else { return }
        follow(isSMRAM: isSMRAM)
    }

    /// Takes over what the registers say and changes the map.
    private func follow(isSMRAM: Bool) {
        let pam = (0..<ShadowRegisters.pamCount).map {
            UInt8(truncatingIfNeeded: function.readRaw(firstPAM + $0, size: 1))
        }
        let written = UInt8(truncatingIfNeeded: function.readRaw(smram, size: 1))
        let kept = state.withLock { state in
            state.registers.pam = pam
            if isSMRAM { state.registers.writeSMRAM(written) }
            return state.registers.smram
        }
        if kept != written { function.setRegister(smram, kept) }
        remap()
    }

    /// Brings the map in line with the registers. It is changed outside of the lock, as whoever follows it may wait
    /// for processors; one thread at a time does it, and does for others what they want meanwhile.
    private func remap() {
        var mine = false
        while true {
            let work = state.withLock { state -> ([AddressSpace.RangeID], [ShadowRegisters.Range])? in
                if !mine && state.isMapping { return nil }
                let wanted = state.registers.ranges
                guard wanted != state.mapped else {
                    if mine { state.isMapping = false }
                    return nil
                }
                state.isMapping = true
                state.mapped = wanted
                return (state.ids, wanted)
            }
            guard let (ids, wanted) = work else { return }
            mine = true
            let size = UInt64(block.size)
            let after = memory.replace(
                ids,
                with: wanted.filter { $0.end <= size }.map {
                    FlatView.Range(
                        start: GuestPhysical($0.start), count: $0.end - $0.start, block: block, offset: $0.start,
                        writable: $0.writable)
                })
            state.withLock { $0.ids = after }
        }
    }

    // MARK: Life

    public func reset() {
        function.reset()
        state.withLock { $0.registers = ShadowRegisters() }
        remap()
        windowObserver.withLock { $0 }?()
    }

    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("pci", [function.exportState()])
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        try function.importState(try saved.list("pci", count: 1)[0])
        // A lock of before must not stand in the way of the saved value.
        state.withLock { $0.registers = ShadowRegisters() }
        follow(isSMRAM: true)
        windowObserver.withLock { $0 }?()
    }
}
