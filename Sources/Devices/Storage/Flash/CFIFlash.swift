public import BlockImage
public import DeviceModel
public import GuestMemory
public import HostOS
internal import Log
import Synchronization

/// Why a flash chip cannot be made.
public enum CFIFlashError: Error, Sendable, CustomStringConvertible {
    /// The host has no memory for it.
    case memory(HostError)
    /// Its image cannot be read: an `errno` value.
    case unreadable(Int32)

    public var description: String {
        switch self {
        case .memory(let error): "\(error)"
        case .unreadable(let code): "its image cannot be read: error \(code)"
        }
    }
}

/// A flash chip on a board: memory that runs code while it is in read-array mode, a device in every other, and its
/// image, which gets every change at once.
///
/// Writes always come by the bus, as the chip's memory is read-only. The map of memory changes with no lock held.
public final class CFIFlash: BusDevice, Device {
    private struct State {
        var model: CFIFlashModel
        var isMapped = false
        var mapping: AddressSpace.RangeID?
        var isMapping = false
        /// Blocks that the image does not have yet.
        var dirty: Set<UInt64> = []
        /// The chip is as it was somewhere else, and nobody has run it here: the image may be another machine's still.
        var waits = false
    }
    public let stateName: String
    /// The chip's first address.
    public let start: GuestPhysical
    /// The chip's bytes.
    public let block: RAMBlock
    private let memory: AddressSpace
    private let backend: any BlockBackend
    private let state: Mutex<State>
    // Held while an image is written, so that two writers do not overtake each other.
    private let writing = Mutex(())
    private let work = Mutex<(any WorkItem)?>(nil)
    private let log = Logger("flash")

    /// A chip of an image's size at `start`, with the image's bytes.
    public init(
        name: String, start: GuestPhysical, memory: AddressSpace, backend: any BlockBackend,
        scheduler: any WorkScheduler
    ) throws(CFIFlashError) {
        stateName = name
        self.start = start
        self.memory = memory
        self.backend = backend
        let size = backend.sizeInBytes & ~(CFIFlashModel.blockSize - 1)
        do throws(HostError) { block = try RAMBlock(name: name, size: Int(size)) } catch {
            throw CFIFlashError.memory(error)
        }
        state = Mutex(State(model: CFIFlashModel(size: size, isReadOnly: backend.isReadOnly)))
        // SAFETY: the segment is the block's own memory, which outlives the request that is waited for.
        let segment = unsafe BlockSegment(pointer: block.base, count: Int(size))
        let failure = backend.carryOut(
            BlockRequest(operation: .read, offset: 0, length: size, segments: [segment]) { _ in })
        if failure != 0 { throw CFIFlashError.unreadable(failure) }
        let item = scheduler.makeItem { [weak self] in self?.writeBack() }
        work.withLock { $0 = item }
        follow()
    }

    /// Its bytes are saved with the guest's memory, also while they are not in the map.
    public var ownMemory: [RAMBlock] { [block] }

    // MARK: Accesses

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            ByteLanes.read(offset, size) { place in state.model.read(place) ?? byte(place) }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let mustWrite = state.withLock { state in
            ByteLanes.write(offset, size, value) { place, byte in
                switch state.model.write(place, byte) {
                case .none: break
                case .program(let offset, let bytes): store(offset, bytes, &state)
                case .erase(let offset):
                    store(offset, [UInt8](repeating: 0xFF, count: Int(CFIFlashModel.blockSize)), &state)
                }
            }
            return !state.dirty.isEmpty
        }
        follow()
        if mustWrite { work.withLock { $0 }?.schedule() }
    }

    /// The chip's bytes, whatever mode it is in.
    fileprivate func data(offset: UInt64, size: Int) -> UInt64 { ByteLanes.read(offset, size) { byte($0) } }

    private func byte(_ offset: UInt64) -> UInt8 {
        guard offset < UInt64(block.size) else { return 0xFF }
        // SAFETY: the offset lies in the block.
        return unsafe block.base.load(fromByteOffset: Int(offset), as: UInt8.self)
    }

    /// Changes bytes of the chip. A program command may clear bits or set them: nobody relies on the physics.
    private func store(_ offset: UInt64, _ bytes: [UInt8], _ state: inout State) {
        guard offset <= UInt64(block.size), UInt64(bytes.count) <= UInt64(block.size) - offset else { return }
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            // SAFETY: checked above.
            unsafe (block.base + Int(offset)).copyMemory(from: base, byteCount: source.count)
        }
        memory.noteWrite(block: block, offset: offset, count: UInt64(bytes.count))
        guard let last = bytes.indices.last else { return }
        for number in offset / CFIFlashModel.blockSize...(offset + UInt64(last)) / CFIFlashModel.blockSize {
            state.dirty.insert(number)
        }
    }

    /// Brings the map in line with the mode. One thread at a time does it; another leaves it to that one.
    private func follow() {
        var mine = false
        while true {
            let work = state.withLock { state -> (add: Bool, old: AddressSpace.RangeID?)? in
                if !mine && state.isMapping { return nil }
                let wanted = state.model.mode == .array
                guard wanted != state.isMapped else {
                    state.isMapping = false
                    return nil
                }
                state.isMapping = true
                state.isMapped = wanted
                defer { state.mapping = nil }
                return (wanted, state.mapping)
            }
            guard let (add, old) = work else { return }
            mine = true
            if add {
                let made = memory.add(
                    FlatView.Range(start: start, count: UInt64(block.size), block: block, writable: false))
                state.withLock { $0.mapping = made }
            } else if let old {
                memory.remove(old)
            }
        }
    }

    // MARK: The image

    /// Gives the image all that it does not have. On a thread that may block.
    private func writeBack() {
        writing.withLock { _ in
            while true {
                let (number, bytes) = state.withLock { state -> (UInt64?, [UInt8]) in
                    guard !state.waits, let number = state.dirty.min() else { return (nil, []) }
                    state.dirty.remove(number)
                    let first = number * CFIFlashModel.blockSize
                    return (number, (0..<CFIFlashModel.blockSize).map { byte(first + $0) })
                }
                guard let number else { return }
                var copy = bytes
                let count = copy.count
                let failure = unsafe copy.withUnsafeMutableBytes { buffer -> Int32 in
                    guard let base = buffer.baseAddress else { return 0 }
                    // SAFETY: the request is waited for within the buffer's life.
                    let segment = unsafe BlockSegment(pointer: base, count: count)
                    return backend.carryOut(
                        BlockRequest(
                            operation: .write, offset: number * CFIFlashModel.blockSize, length: UInt64(count),
                            segments: [segment]) { _ in })
                }
                if failure != 0 { log.warning("\(stateName): its image cannot be written: error \(failure)") }
            }
        }
    }

    // MARK: Life

    public func reset() {
        state.withLock { $0.model.reset() }
        follow()
    }
    public func resume() {
        let mustWrite = state.withLock { state in
            state.waits = false
            return !state.dirty.isEmpty
        }
        if mustWrite { work.withLock { $0 }?.schedule() }
    }
    public func pause() { writeBack() }
    public func halt() { writeBack() }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("mode", state.model.mode.rawValue)
            saved.set("expectation", state.model.expectation.rawValue)
            saved.set("status", state.model.status)
            saved.set("buffer", state.model.buffer)
            saved.set("buffer-start", state.model.bufferStart)
            saved.set("buffer-left", state.model.bufferLeft)
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = state.withLock { $0.model }
        let mode: UInt8 = try saved.integer("mode")
        let left: Int = try saved.integer("buffer-left")
        guard
            model.restore(
                mode: mode, expectation: try saved.integer("expectation"), status: try saved.integer("status"),
                buffer: try saved.bytes("buffer"), start: try saved.integer("buffer-start"), left: left)
        else { throw .outOfRange(field: "mode", value: UInt64(mode)) }
        let restored = model
        state.withLock { state in
            state.model = restored
            // The bytes came with memory; the image gets them all, once it is this machine's.
            guard !restored.isReadOnly else { return }
            state.dirty = Set(0..<UInt64(block.size) / CFIFlashModel.blockSize)
            state.waits = true
        }
        follow()
    }
}

/// A chip as those see it who may not command it: its bytes, and nothing comes of writes.
public final class LockedFlash: BusDevice {
    private let chip: CFIFlash

    /// The view of a chip.
    public init(_ chip: CFIFlash) { self.chip = chip }

    public func read(offset: UInt64, size: Int) -> UInt64 { chip.data(offset: offset, size: size) }
    public func write(offset: UInt64, size: Int, value: UInt64) {}
}
