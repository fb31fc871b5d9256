public import DeviceModel
public import Display
public import GuestMemory
public import HostOS
internal import Synchronization

/// A VGA with Bochs's extensions: legacy ports, the window at 0xA0000, and as a PCI function its memory in window 0
/// and its registers in window 2. (QEMU, docs/specs/standard-vga.)
///
/// Where the window is a plain piece of its memory, that is mapped there, so that the processor writes without
/// leaving the guest.
public final class VGA: Device, BusDevice, PictureSource {
    /// Ports of Bochs's extensions.
    static let vbePorts: UInt64 = 0x1CE
    /// The start of the legacy window.
    public static let window: UInt64 = 0xA0000
    /// As much memory as most have, in bytes.
    public static let usualMemory = 16 << 20

    struct State: Sendable {
        var model: VGAModel
        var mapped: Mapping?
        var ids: [AddressSpace.RangeID] = []
        var isMapping = false
        /// Whether it has the legacy ports and window.
        var hasWindow = false
        /// How often the map may change before the window goes by exits for a while, and when that was reckoned.
        var allowance = 32
        var reckoned: UInt64 = 0
    }
    struct Mapping: Equatable, Sendable {
        var start: Int
        var count: Int
        var memory: Int
    }

    public let stateName: String
    /// What a `PCIBus` attaches; nil for the card of an ISA bus.
    public let function: PCIFunction?
    /// Its memory.
    public let block: RAMBlock
    private let rom: RAMBlock?
    private let memory: VideoMemory
    private let space: AddressSpace
    private let clock: any VirtualClock
    let state: Mutex<State>

    /// An adapter after power-on.
    /// - Parameters:
    ///   - memory: bytes of its own, a power of two from 1 MiB to 512 MiB.
    ///   - rom: the option ROM's image; empty for none.
    ///   - isPCI: whether it is a PCI function.
    ///   - isSecondary: whether that says of itself that it is no VGA.
    ///   - space: the guest's memory, which the window is mapped into.
    public init(
        memory count: Int = VGA.usualMemory, rom: [UInt8] = [], isPCI: Bool = true, isSecondary: Bool = false,
        space: AddressSpace, clock: any VirtualClock, stateName: String = "vga"
    ) throws(HostError) {
        self.stateName = stateName
        self.space = space
        self.clock = clock
        block = try RAMBlock(name: "\(stateName).vram", size: count)
        memory = VideoMemory(block, count: count)
        state = Mutex(State(model: VGAModel(memory: count)))
        self.rom = rom.isEmpty ? nil : try OptionROM.block(rom, name: stateName)
        guard isPCI else {
            function = nil
            return
        }
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1234, deviceID: 0x1111, classCode: isSecondary ? 0x038000 : 0x030000, revision: 2,
                subsystemVendorID: 0x1AF4, subsystemID: 0x1100))
        self.function = function
        addWindows(to: function)
    }

    /// Puts its memory, registers and option ROM into windows of a function: its own, or that of a device which is a
    /// VGA beside something else.
    public func addWindows(to function: PCIFunction) {
        let count = UInt64(block.size)
        function.addBAR(
            0, .memory32(prefetchable: true), size: count,
            regions: [PCIBAR.Region(count: count, name: "vga.vram", block: block, writable: true)])
        function.addBAR(
            2, .memory32(prefetchable: false), size: 0x1000,
            regions: [PCIBAR.Region(count: 0x1000, name: "vga.mmio", device: RegisterWindow(self))])
        if let rom { OptionROM.add(rom, to: function) }
    }

    /// Puts the legacy ports and window on the buses; before the machine runs. Without it, the adapter is what its
    /// function shows.
    public func attach(io: Bus, memory bus: Bus) {
        state.withLock { $0.hasWindow = true }
        for (start, count) in [(0x3B4, 2), (0x3BA, 1), (0x3C0, 16), (0x3D4, 2), (0x3DA, 1)] as [(UInt64, UInt64)] {
            io.add(PortWindow(self, base: start), start: start, count: count, name: "vga")
        }
        io.add(BochsPorts(self), start: Self.vbePorts, count: 3, name: "vbe")
        bus.add(LegacyWindow(self), start: Self.window, count: VGAModel.windowSize, name: "vga-lowmem")
    }

    // MARK: Legacy ports

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        let now = clock.now
        return state.withLock { state in
            ByteLanes.read(offset, size) { state.model.readPort($0, now: now) }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        state.withLock { state in
            ByteLanes.write(offset, size, value) { state.model.writePort($0, $1) }
        }
        remap()
    }

    // MARK: Bochs's extensions

    fileprivate func readVBE(_ index: Int) -> UInt16 { state.withLock { $0.model.vbe.read(index) } }

    fileprivate func writeVBE(_ index: Int, _ value: UInt16) {
        if state.withLock({ $0.model.writeVBE(index, value) }) { memory.clear() }
        remap()
    }

    // MARK: The window at 0xA0000

    fileprivate func readWindow(_ offset: UInt64, _ size: Int) -> UInt64 {
        state.withLock { state in
            ByteLanes.read(offset, size) { state.model.readWindow($0, memory) }
        }
    }

    fileprivate func writeWindow(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        state.withLock { state in
            ByteLanes.write(offset, size, value) { state.model.writeWindow($0, $1, memory) }
        }
    }

    /// What should be mapped now. A guest that changes it all the time, as by switching banks, goes by exits: a change
    /// of the map costs far more than one.
    private func wanted(_ state: inout State) -> Mapping? {
        guard state.hasWindow else { return nil }
        let direct = state.model.directWindow.map { Mapping(start: $0.start, count: $0.count, memory: $0.memory) }
        guard let direct, direct.memory + direct.count <= block.size else { return nil }
        guard direct != state.mapped else { return direct }
        let now = clock.now
        let gained = Int(min((now &- state.reckoned) / 50_000_000, 32))
        if gained > 0 {
            state.allowance = min(32, state.allowance + gained)
            state.reckoned = now
        }
        guard state.allowance > 0 else { return nil }
        state.allowance -= 1
        return direct
    }

    /// Brings the map in line with the registers. It is changed outside of the lock, as whoever follows it may wait
    /// for processors; one thread at a time does it, and does for others what they want meanwhile.
    private func remap() {
        var mine = false
        while true {
            let work = state.withLock { state -> ([AddressSpace.RangeID], Mapping?)? in
                if !mine && state.isMapping { return nil }
                let wanted = wanted(&state)
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
            let ranges = wanted.map {
                [
                    FlatView.Range(
                        start: GuestPhysical(Self.window + UInt64($0.start)), count: UInt64($0.count), block: block,
                        offset: UInt64($0.memory))
                ]
            }
            let after = space.replace(ids, with: (ranges ?? []).map { .memory($0) })
            state.withLock { $0.ids = after }
        }
    }

    // MARK: PictureSource

    public func draw(into picture: inout Picture) {
        let model = state.withLock { $0.model }
        VGAPicture(model, memory).draw(into: &picture)
    }

    public var text: ScreenText? { VGAPicture(state.withLock { $0.model }, memory).text }

    // MARK: Device

    public func reset() {
        state.withLock { $0.model = VGAModel(memory: block.size) }
        // No page that was never written takes memory.
        block.clear()
        memory.noteAll()
        function?.reset()
        remap()
    }

    public var ownMemory: [RAMBlock] { [block] + (rom.map { [$0] } ?? []) }

    public func exportState() -> DeviceState {
        var saved = state.withLock { $0.model.exportState() }
        if let function { saved.set("pci", [function.exportState()]) }
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let model = try VGAModel(saved, memory: block.size)
        if let function { try function.importState(try saved.list("pci", count: 1)[0]) }
        state.withLock { $0.model = model }
        remap()
    }
}

/// The window at 0xA0000.
private final class LegacyWindow: BusDevice {
    private let vga: VGA
    init(_ vga: VGA) { self.vga = vga }
    func read(offset: UInt64, size: Int) -> UInt64 { vga.readWindow(offset, size) }
    func write(offset: UInt64, size: Int, value: UInt64) { vga.writeWindow(offset, size, value) }
}

/// Ports 1CE (index) and 1CF or 1D0 (data), 16 bits each.
private final class BochsPorts: BusDevice {
    private let vga: VGA
    init(_ vga: VGA) { self.vga = vga }

    func read(offset: UInt64, size: Int) -> UInt64 {
        let index = vga.state.withLock { $0.model.vbeIndex }
        return UInt64(offset == 0 ? index : vga.readVBE(Int(index)))
    }
    func write(offset: UInt64, size: Int, value: UInt64) {
        let value = UInt16(truncatingIfNeeded: value)
        if offset == 0 {
            vga.state.withLock { $0.model.vbeIndex = value }
        } else {
            vga.writeVBE(Int(vga.state.withLock { $0.model.vbeIndex }), value)
        }
    }
}

/// Window 2 of the PCI function: the legacy ports from 0x400, Bochs's registers from 0x500.
private final class RegisterWindow: BusDevice {
    private unowned let vga: VGA
    init(_ vga: VGA) { self.vga = vga }

    func read(offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case 0x400..<0x420: return vga.read(offset: offset - 0x400 + 0x3C0, size: size)
        case 0x500..<0x516:
            let low = UInt64(vga.readVBE(Int(offset - 0x500) / 2))
            return size < 4 ? low : low | UInt64(vga.readVBE(Int(offset - 0x500) / 2 + 1)) << 16
        // An extension that says its size, and the byte order of pixels, which is fixed.
        case 0x600: return 8
        case 0x604: return 0x1E1E_1E1E
        default: return 0
        }
    }
    func write(offset: UInt64, size: Int, value: UInt64) {
        switch offset {
        case 0x400..<0x420: vga.write(offset: offset - 0x400 + 0x3C0, size: size, value: value)
        case 0x500..<0x516:
            vga.writeVBE(Int(offset - 0x500) / 2, UInt16(truncatingIfNeeded: value))
            if size >= 4 { vga.writeVBE(Int(offset - 0x500) / 2 + 1, UInt16(truncatingIfNeeded: value >> 16)) }
        default: break
        }
    }
}
