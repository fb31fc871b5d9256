public import DeviceModel
public import GuestMemory
import Synchronization

/// The i440FX host bridge: a PCI function whose registers put RAM over ROM in the first MiB and take it away again,
/// as firmware does that runs from RAM ("shadowing").
///
/// The map of memory holds RAM below 0xA0000 and from 1 MiB on, and ROM; what lies between is this device's.
public final class I440FX: Device, PCIFunctionDelegate {
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
    private let state = Mutex(State())

    /// A bridge after power-on: ROM everywhere. `block` is the RAM whose offsets are addresses below 1 MiB.
    public init(memory: AddressSpace, block: RAMBlock, stateName: String = "i440FX") {
        self.memory = memory
        self.block = block
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x1237, classCode: 0x060000, revision: 2, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        // The lower half of the first PAM register is reserved.
        function.defineRegister(ShadowRegisters.firstPAM, value: UInt8(0), writable: UInt8(0x30))
        for index in 1..<ShadowRegisters.pamCount {
            function.defineRegister(ShadowRegisters.firstPAM + index, value: UInt8(0), writable: UInt8(0x33))
        }
        function.defineRegister(
            ShadowRegisters.smram, value: ShadowRegisters.SMRAM.base, writable: ShadowRegisters.SMRAM.writable)
        function.setDelegate(self)
    }

    /// Puts writable RAM everywhere from 0xC0000 to 0xFFFFF, as firmware leaves it: for machines that start without.
    public func shadowAll() {
        function.writeConfiguration(ShadowRegisters.firstPAM, size: 1, value: 0x30)
        for index in 1..<ShadowRegisters.pamCount {
            function.writeConfiguration(ShadowRegisters.firstPAM + index, size: 1, value: 0x33)
        }
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        let isSMRAM = offset <= ShadowRegisters.smram && ShadowRegisters.smram < offset + size
        let last = ShadowRegisters.firstPAM + ShadowRegisters.pamCount
        guard isSMRAM || (offset < last && offset + size > ShadowRegisters.firstPAM) else { return }
        follow(isSMRAM: isSMRAM)
    }

    /// Takes over what the registers say and changes the map.
    private func follow(isSMRAM: Bool) {
        let pam = (0..<ShadowRegisters.pamCount).map {
            UInt8(truncatingIfNeeded: function.readRaw(ShadowRegisters.firstPAM + $0, size: 1))
        }
        let written = UInt8(truncatingIfNeeded: function.readRaw(ShadowRegisters.smram, size: 1))
        let kept = state.withLock { state in
            state.registers.pam = pam
            if isSMRAM { state.registers.writeSMRAM(written) }
            return state.registers.smram
        }
        if kept != written { function.setRegister(ShadowRegisters.smram, kept) }
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
    }
}
