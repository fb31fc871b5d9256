internal import DeviceModel
internal import GuestMemory

/// The fw_cfg device's registers and effects (QEMU, docs/specs/fw_cfg), without a bus: one item is selected, and its
/// bytes are read one after the other; past its end they are 0.
struct FwCfg: Sendable {
    private let initial: [UInt16: FwCfgItems.Item]
    private var items: [UInt16: FwCfgItems.Item]
    private let refreshed: [FwCfgItems.Refreshed]
    private let names: [String: UInt16]
    private var selector: UInt16 = 0
    private var position = 0
    private var dmaHigh: UInt32 = 0

    /// The bits of a DMA descriptor's control word.
    enum Control {
        static let error: UInt32 = 1
        static let read: UInt32 = 2
        static let skip: UInt32 = 4
        static let select: UInt32 = 8
        static let write: UInt32 = 16
    }

    init(_ items: FwCfgItems) {
        initial = items.table()
        self.items = initial
        names = items.directory().selectors
        refreshed = items.refreshed
    }

    mutating func reset() {
        items = initial
        selector = 0
        position = 0
        dmaHigh = 0
    }

    /// Bit 14 once asked for writing and means nothing now.
    mutating func select(_ key: UInt16) {
        selector = key & ~0x4000
        position = 0
        guard let files = refreshed.first(where: { $0.names.contains { names[$0] == selector } }) else { return }
        for (name, bytes) in files.make({ bytes($0) }) where files.names.contains(name) {
            if let key = names[name] { items[key]?.bytes = bytes }
        }
    }

    mutating func readByte() -> UInt8 {
        guard let item = items[selector], position < item.bytes.count else { return 0 }
        let byte = item.bytes[position]
        position += 1
        return byte
    }

    /// The DMA address register's upper half; a DMA takes it and clears it.
    mutating func setDMAHigh(_ value: UInt32) { dmaHigh = value }

    /// The lower half starts a DMA.
    mutating func startDMA(low: UInt32, memory: AddressSpace) {
        let address = UInt64(dmaHigh) << 32 | UInt64(low)
        dmaHigh = 0
        runDMA(at: address, memory: memory)
    }

    /// Runs the descriptor at `address`: control, length and address, all big-endian. Its control word becomes 0, or
    /// the error bit; a descriptor that cannot be reached has no effect.
    mutating func runDMA(at address: UInt64, memory: AddressSpace) {
        guard let descriptor = try? memory.bytes(GuestPhysical(address), count: 16),
            let control = descriptor.load(little: UInt32.self, at: 0)?.byteSwapped,
            let length = descriptor.load(little: UInt32.self, at: 4)?.byteSwapped,
            let target = descriptor.load(little: UInt64.self, at: 8)?.byteSwapped
        else { return }
        if control & Control.select != 0 { select(UInt16(control >> 16)) }
        var succeeded = true
        if control & Control.read != 0 {
            succeeded = read(Int(length), to: GuestPhysical(target), memory: memory)
        } else if control & Control.write != 0 {
            succeeded = write(Int(length), from: GuestPhysical(target), memory: memory)
        } else if control & Control.skip != 0 {
            position = min(position + Int(length), items[selector]?.bytes.count ?? 0)
        }
        // A descriptor in ROM gets no answer, as on a real bus.
        try? memory.store(GuestPhysical(address), (succeeded ? 0 : Control.error).byteSwapped)
    }

    private mutating func read(_ length: Int, to target: GuestPhysical, memory: AddressSpace) -> Bool {
        let bytes = items[selector]?.bytes ?? []
        let start = min(position, bytes.count)
        let count = min(length, bytes.count - start)
        do throws(GuestMemoryError) {
            try memory.checkRange(target, count: length, direction: .write)
            var place = start
            try unsafe memory.forEachRun(target, count: length, direction: .write) { pointer, run in
                let copied = min(run, start + count - place)
                unsafe bytes.withUnsafeBytes { source in
                    // SAFETY: `copied` bytes lie in the item from `place`, and `run` bytes at the pointer.
                    if copied > 0, let base = source.baseAddress {
                        unsafe pointer.copyMemory(from: base + place, byteCount: copied)
                    }
                    unsafe (pointer + copied).initializeMemory(as: UInt8.self, repeating: 0, count: run - copied)
                }
                place += copied
            }
        } catch {
            return false
        }
        position = start + count
        return true
    }

    private mutating func write(_ length: Int, from target: GuestPhysical, memory: AddressSpace) -> Bool {
        guard let item = items[selector], item.isWritable, position <= item.bytes.count,
            length <= item.bytes.count - position,
            let bytes = try? memory.bytes(target, count: length)
        else { return false }
        items[selector]?.bytes.store(bytes, at: position)
        position += length
        return true
    }

    /// The bytes of a file.
    func bytes(_ name: String) -> [UInt8]? { names[name].flatMap { items[$0]?.bytes } }
    /// The bytes of a numbered item or, through the directory's selector, of a file.
    func bytes(_ key: UInt16) -> [UInt8]? { items[key]?.bytes }

    // MARK: State

    func export() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("selector", selector)
        state.set("position", position)
        state.set("dma_high", dmaHigh)
        // Later files are told of where they were written: machines of older releases have none.
        let written = items.filter { key, item in
            item.isWritable && !(item.isLater && item.bytes == initial[key]?.bytes)
        }.sorted { $0.key < $1.key }
        state.set(
            "written",
            written.map { key, item in
                var part = DeviceState(version: 1)
                part.set("selector", key)
                part.set("bytes", item.bytes)
                return part
            })
        return state
    }

    /// Takes a state of a device with the same writable items.
    mutating func take(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let selector: UInt16 = try state.integer("selector")
        let position: UInt32 = try state.integer("position")
        let dmaHigh: UInt32 = try state.integer("dma_high")
        var items = self.items
        for part in try state.list("written") {
            let key: UInt16 = try part.integer("selector")
            guard let item = items[key], item.isWritable else {
                throw .outOfRange(field: "selector", value: UInt64(key))
            }
            items[key]?.bytes = try part.bytes("bytes", count: item.bytes.count)
        }
        guard Int(position) <= items[selector]?.bytes.count ?? 0 else {
            throw .outOfRange(field: "position", value: UInt64(position))
        }
        self.selector = selector
        self.position = Int(position)
        self.dmaHigh = dmaHigh
        self.items = items
    }
}
