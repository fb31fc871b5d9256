public import DeviceModel
public import Display
public import GuestMemory
public import HostOS
internal import Synchronization

/// A Cirrus Logic GD5446 as a PCI function (`cirrus-vga`), or at its ports alone (`isa-cirrus-vga`): its memory in window
/// 0, its registers in window 1.
///
/// Its memory is mapped into window 0, so that the processor writes without leaving the guest; while the engine waits for
/// bytes of the processor's, it is not, and what is written there goes to the engine.
public final class CirrusVGA: Device, BusDevice, PictureSource, PCIFunctionDelegate {
    /// As much memory as it has, in bytes.
    public static let usualMemory = 4 << 20
    private static let windowSize: UInt64 = 32 << 20
    private static let registerSize: UInt64 = 4096

    struct State: Sendable {
        var model: CirrusModel
        var ids: [AddressSpace.RangeID] = []
        var mapped: UInt64?
        var isMapping = false
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
    private let state: Mutex<State>

    /// An adapter after power-on, with 2 or 4 MiB of memory.
    public init(
        memory count: Int = CirrusVGA.usualMemory, rom: RAMBlock? = nil, isPCI: Bool = true, space: AddressSpace,
        clock: any VirtualClock, stateName: String = "cirrus"
    ) throws(HostError) {
        self.stateName = stateName
        self.space = space
        self.clock = clock
        self.rom = isPCI ? rom : nil
        block = try RAMBlock(name: "\(stateName).vram", size: count)
        memory = VideoMemory(block, count: count)
        state = Mutex(State(model: CirrusModel(memory: count)))
        guard isPCI else {
            function = nil
            return
        }
        let function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1013, deviceID: 0x00B8, classCode: 0x030000, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        self.function = function
        function.addBAR(
            0, .memory32(prefetchable: true), size: Self.windowSize,
            regions: [
                PCIBAR.Region(
                    count: Self.windowSize, name: "cirrus-linear",
                    // Where its memory is not mapped.
                    device: WeakWindow(self, read: { $0.readLinear($1, $2) }, write: { $0.writeLinear($1, $2, $3) }))
            ])
        function.addBAR(
            1, .memory32(prefetchable: false), size: Self.registerSize,
            regions: [
                PCIBAR.Region(
                    count: Self.registerSize, name: "cirrus-mmio",
                    device: WeakWindow(
                        self, read: { $0.readRegister($1, $2) }, write: { $0.writeRegister($1, $2, $3) }))
            ])
        if let rom = self.rom { OptionROM.add(rom, to: function) }
        function.setDelegate(self)
    }

    /// Puts the legacy ports and window on the buses.
    public func attach(io: Bus, memory bus: Bus) {
        for (start, count) in [(0x3B4, 2), (0x3BA, 1), (0x3C0, 16), (0x3D4, 2), (0x3DA, 1)] as [(UInt64, UInt64)] {
            io.add(PortWindow(self, base: start), start: start, count: count, name: "cirrus")
        }
        let window = WeakWindow(self, read: { $0.readWindow($1, $2) }, write: { $0.writeWindow($1, $2, $3) })
        bus.add(window, start: VGA.window, count: VGAModel.windowSize, name: "cirrus-lowmem")
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        guard offset < PCIRegister.bar0 + 4 else { return }
        remap()
    }

    // MARK: Registers

    /// Does something with the model; starts a blit where it asks for that.
    private func change(_ body: (inout CirrusModel) -> Bool) {
        state.withLock { state in
            guard body(&state.model) else { return }
            var graphics = state.model.graphics
            for index in 2...8 where index != 5 { graphics[index] = state.model.vga.graphics[index] }
            state.model.blitter.start(graphics, memory)
        }
        remap()
    }

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        let now = clock.now
        return state.withLock { state in ByteLanes.read(offset, size) { state.model.readPort($0, now: now) } }
    }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        ByteLanes.write(offset, size, value) { port, byte in change { $0.writePort(port, byte) } }
    }

    /// Indices of graphics registers by their place behind 100 in the window of registers.
    private static let places: [UInt64: Int] = [
        0x00: 0x00, 0x01: 0x10, 0x02: 0x12, 0x03: 0x14, 0x04: 0x01, 0x05: 0x11, 0x06: 0x13, 0x07: 0x15, 0x08: 0x20,
        0x09: 0x21, 0x0A: 0x22, 0x0B: 0x23, 0x0C: 0x24, 0x0D: 0x25, 0x0E: 0x26, 0x0F: 0x27, 0x10: 0x28, 0x11: 0x29,
        0x12: 0x2A, 0x14: 0x2C, 0x15: 0x2D, 0x16: 0x2E, 0x17: 0x2F, 0x18: 0x30, 0x1A: 0x32, 0x1B: 0x33, 0x20: 0x34,
        0x21: 0x35, 0x24: 0x38, 0x25: 0x39, 0x40: 0x31,
    ]
    private func readRegister(_ offset: UInt64, _ size: Int) -> UInt64 {
        guard offset >= 0x100 else { return read(offset: 0x3C0 + (offset & 0x1F), size: size) }
        return state.withLock { state in
            ByteLanes.read(offset, size) { place in
                Self.places[place & 0xFF].map { state.model.readGraphics($0) } ?? 0xFF
            }
        }
    }
    private func writeRegister(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        guard offset >= 0x100 else { return write(offset: 0x3C0 + (offset & 0x1F), size: size, value: value) }
        ByteLanes.write(offset, size, value) { place, byte in
            guard let index = Self.places[place & 0xFF] else { return }
            change { $0.writeGraphics(index, byte) }
        }
    }

    // MARK: Memory

    private func readLinear(_ offset: UInt64, _ size: Int) -> UInt64 {
        ByteLanes.read(offset, size) { memory[Int(truncatingIfNeeded: $0 & 0xFF_FFFF)] }
    }
    private func writeLinear(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        let ended = state.withLock { state in
            let waited = state.model.blitter.isWaiting
            ByteLanes.write(offset, size, value) { place, byte in
                if state.model.blitter.isWaiting {
                    state.model.blitter.take(byte, memory)
                } else if !waited {
                    memory[Int(truncatingIfNeeded: place & 0xFF_FFFF)] = byte
                }
            }
            return waited && !state.model.blitter.isWaiting
        }
        if ended { remap() }
    }
    private func readWindow(_ offset: UInt64, _ size: Int) -> UInt64 {
        state.withLock { state in ByteLanes.read(offset, size) { state.model.readWindow($0, memory) } }
    }
    private func writeWindow(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        let ended = state.withLock { state in
            let waited = state.model.blitter.isWaiting
            ByteLanes.write(offset, size, value) { place, byte in
                if state.model.blitter.isWaiting {
                    state.model.blitter.take(byte, memory)
                } else if !waited {
                    state.model.writeWindow(place, byte, memory)
                }
            }
            return waited && !state.model.blitter.isWaiting
        }
        if ended { remap() }
    }

    /// Brings the map in line with the window's place and the engine; one thread at a time does it, outside of the lock.
    private func remap() {
        guard let function else { return }
        var mine = false
        while true {
            let address = function.address(ofBAR: 0)
            let work = state.withLock { state -> ([AddressSpace.RangeID], UInt64?)? in
                if !mine && state.isMapping { return nil }
                let wanted = state.model.blitter.isWaiting ? nil : address
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
                [FlatView.Range(start: GuestPhysical($0), count: UInt64(block.size), block: block)]
            }
            let after = space.replace(ids, with: (ranges ?? []).map { .memory($0) })
            state.withLock { $0.ids = after }
        }
    }

    // MARK: PictureSource

    public var text: ScreenText? { VGAPicture(state.withLock { $0.model.shown }, memory).text }

    public func draw(into picture: inout Picture) {
        let model = state.withLock { $0.model }
        VGAPicture(model.shown, memory).draw(into: &picture)
        guard model.isPacked, let cursor = model.cursorImage(memory) else { return }
        func colour(_ place: Int) -> UInt32 {
            (0..<3).reduce(0) { $0 << 8 | UInt32(model.cursorColours[place + $1] << 2) }
        }
        let (paper, ink) = (colour(0), colour(3))
        for (line, row) in cursor.rows.enumerated() {
            let y = model.cursor.y + line
            guard y < picture.height else { break }
            var pixels = Array(picture.pixels[y * picture.width..<(y + 1) * picture.width])
            for x in 0..<cursor.size where model.cursor.x + x < picture.width {
                let bit = UInt64(cursor.size - 1 - x)
                let place = model.cursor.x + x
                switch (row.mask >> bit & 1, row.data >> bit & 1) {
                case (0, 0): break
                // The picture's own pixel inverted.
                case (1, 0): pixels[place] ^= 0xFF_FFFF
                case (0, 1): pixels[place] = paper
                default: pixels[place] = ink
                }
            }
            picture.setRow(y, pixels)
        }
    }

    // MARK: Device

    public func reset() {
        state.withLock { $0.model = CirrusModel(memory: block.size) }
        // No page that was never written takes memory.
        block.clear()
        memory.noteAll()
        function?.reset()
        remap()
    }
    public func halt() {
        let ids = state.withLock { state in
            defer { (state.ids, state.mapped) = ([], nil) }
            return state.ids
        }
        _ = space.replace(ids, with: [])
    }

    public var ownMemory: [RAMBlock] { [block] + (rom.map { [$0] } ?? []) }

    public func exportState() -> DeviceState {
        var saved = state.withLock { $0.model.exportState() }
        if let function { saved.set("pci", [function.exportState()]) }
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let model = try CirrusModel(saved, memory: block.size)
        if let function { try function.importState(try saved.list("pci", count: 1)[0]) }
        state.withLock { $0.model = model }
        remap()
    }
}
