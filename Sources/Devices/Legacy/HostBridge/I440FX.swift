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
    /// What a board with system management has beside the bridge's registers.
    public struct SystemManagement: Sendable {
        /// Where RAM below 4 GiB ends.
        public let top: UInt64
        /// MiB of the largest segment below it, of the Q35; 0: there are only those of 1, 2 and 8.
        public let largestSegment: UInt16

        /// What the register of the largest segment answers; all ones where there is none.
        var segmentAnswer: UInt16 { largestSegment == 0 ? UInt16.max : largestSegment }

        /// System management in RAM below `top`.
        public init(top: UInt64, largestSegment: UInt16 = 16) {
            self.top = top
            self.largestSegment = largestSegment
        }
    }
    private struct Map: Equatable {
        var shadow: [ShadowRegisters.Range] = []
        var management: [ManagementRegisters.Range] = []
    }
    private struct State {
        var registers = ShadowRegisters()
        var management = ManagementRegisters()
        var mapped = Map()
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
    private let systemManagement: SystemManagement?
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
    // The Q35's: its larger segment and its initial SMBASE (16 and 8 bits); ESMRAMC follows SMRAM.
    private static let (segmentRegister, initialBaseRegister) = (0x50, 0x9C)
    private let windowObserver = Mutex<(@Sendable () -> Void)?>(nil)

    /// Has somebody follow the window of configuration space.
    public func observeConfigurationWindow(_ observer: @escaping @Sendable () -> Void) {
        windowObserver.withLock { $0 = observer }
    }

    /// A bridge after power-on: ROM everywhere. `block` is the RAM whose offsets are addresses below 1 MiB.
    public init(
        memory: AddressSpace, block: RAMBlock, chipset: Chipset = .i440FX, management: SystemManagement? = nil,
        stateName: String = "i440FX"
    ) {
        systemManagement = management
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
        typealias Management = ManagementRegisters
        function.defineRegister(smram, value: Management.Control.base, writable: Management.Control.writable)
        if isQ35 {
            // What a guest cannot change is put right after its writes: machines of older releases have zeros there.
            function.defineRegister(smram + 1, value: Management.Extended.fixed, writable: UInt8.max)
            // Where memory ends and what is taken of it (5.1.28 to 5.1.33): firmware's notes, which it reads again.
            for offset in stride(from: 0xA0, to: 0xB4, by: 4) {
                function.defineRegister(offset, value: UInt32(0), writable: UInt32.max)
            }
            if let management {
                function.defineRegister(Self.initialBaseRegister, value: UInt8(0), writable: UInt8.max)
                function.defineRegister(
                    Self.segmentRegister, value: management.segmentAnswer, writable: UInt16.max)
            }
        }
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
        func covers(_ registers: Range<Int>) -> Bool { offset < registers.upperBound && offset + size > registers.lowerBound }
        if let systemManagement, isQ35, covers(Self.segmentRegister..<Self.segmentRegister + 2) {
            function.setRegister(Self.segmentRegister, systemManagement.segmentAnswer)
        }
        let isManagement = covers(smram..<smram + 2) || isQ35 && covers(Self.initialBaseRegister..<Self.initialBaseRegister + 1)
        guard isManagement || covers(firstPAM..<firstPAM + ShadowRegisters.pamCount) else { return }
        follow(isManagement: isManagement)
    }

    private func register(_ offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: function.readRaw(offset, size: 1)) }

    /// Takes over what the registers say and changes the map.
    private func follow(isManagement: Bool, isRestored: Bool = false) {
        let pam = (0..<ShadowRegisters.pamCount).map { register(firstPAM + $0) }
        let control = register(smram)
        let extended = isQ35 ? register(smram + 1) : 0
        let initialBase = isQ35 ? register(Self.initialBaseRegister) : 0
        let kept = state.withLock { state in
            state.registers.pam = pam
            if isManagement { state.management.write(control: control, extended: extended, initialBase: initialBase) }
            return state.management
        }
        if kept.control != control { function.setRegister(smram, kept.control) }
        // Machines of older releases have 0 there, by which firmware knows that there is no system management.
        if isQ35, kept.extended != extended, !isRestored { function.setRegister(smram + 1, kept.extended) }
        if isQ35, kept.initialBase != initialBase { function.setRegister(Self.initialBaseRegister, kept.initialBase) }
        remap()
    }

    /// Brings the map in line with the registers. It is changed outside of the lock, as whoever follows it may wait
    /// for processors; one thread at a time does it, and does for others what they want meanwhile.
    private func remap() {
        var mine = false
        while true {
            let work = state.withLock { state -> ([AddressSpace.RangeID], Map)? in
                if !mine && state.isMapping { return nil }
                let segment = UInt64(systemManagement?.largestSegment ?? 0) << 20
                let wanted = Map(
                    shadow: state.registers.ranges,
                    management: state.management.ranges(top: systemManagement?.top, segment: segment))
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
            let after = memory.replace(ids, with: layers(wanted))
            state.withLock { $0.ids = after }
        }
    }

    private func layers(_ map: Map) -> [AddressSpace.Layer] {
        let size = UInt64(block.size)
        func memory(_ start: UInt64, _ end: UInt64, from source: UInt64, writable: Bool) -> FlatView.Range {
            FlatView.Range(
                start: GuestPhysical(start), count: end - start, block: block, offset: source, writable: writable)
        }
        let shadow = map.shadow.filter { $0.end <= size }.map {
            AddressSpace.Layer.memory(memory($0.start, $0.end, from: $0.start, writable: $0.writable))
        }
        return shadow
            + map.management.compactMap { range in
                guard let source = range.source else {
                    return .hole(start: GuestPhysical(range.start), count: range.end - range.start, for: range.audience)
                }
                guard source + (range.end - range.start) <= size else { return nil }
                return .memory(memory(range.start, range.end, from: source, writable: true), for: range.audience)
            }
    }

    // MARK: Life

    public func reset() {
        function.reset()
        state.withLock { ($0.registers, $0.management) = (ShadowRegisters(), ManagementRegisters()) }
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
        state.withLock { ($0.registers, $0.management) = (ShadowRegisters(), ManagementRegisters()) }
        follow(isManagement: true, isRestored: true)
        windowObserver.withLock { $0 }?()
    }
}
