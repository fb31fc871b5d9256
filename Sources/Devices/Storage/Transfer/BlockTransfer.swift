package import BlockImage
package import GuestMemory

/// A run of guest memory that a command names.
package struct GuestSegment: Equatable, Sendable {
    package var address: UInt64
    package var count: Int
    package init(address: UInt64, count: Int) {
        self.address = address
        self.count = count
    }
}

/// Guest memory in pieces, as a command's list of regions names it.
package struct GuestScatter: Sendable {
    package var segments: [GuestSegment] = []
    package init(_ segments: [GuestSegment] = []) { self.segments = segments }

    /// Bytes of all pieces.
    package var count: Int { segments.reduce(0) { $0 &+ $1.count } }

    /// Calls `body` with the pieces of `count` bytes from byte `start` on, and where each lies among these.
    private func forEach(_ start: Int, _ count: Int, _ body: (UInt64, Int, Int) -> Bool) -> Bool {
        var skip = start
        var done = 0
        for segment in segments where done < count {
            if skip >= segment.count {
                skip -= segment.count
                continue
            }
            let run = min(segment.count - skip, count - done)
            if !body(segment.address &+ UInt64(skip), run, done) { return false }
            done += run
            skip = 0
        }
        return done == count
    }

    /// Copies bytes to guest memory from byte `start` of the scatter on. False where any of it is no memory.
    package func write(_ bytes: UnsafeRawBufferPointer, at start: Int, to memory: AddressSpace) -> Bool {
        forEach(start, bytes.count) { address, run, place in
            // SAFETY: `forEach` gives runs within the count that it was called with.
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[place..<place + run])
            return (try? unsafe memory.write(GuestPhysical(address), from: part)) != nil
        }
    }

    /// Copies bytes from guest memory. False where any of it is no memory.
    package func read(_ bytes: UnsafeMutableRawBufferPointer, at start: Int, from memory: AddressSpace) -> Bool {
        forEach(start, bytes.count) { address, run, place in
            // SAFETY: as above.
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + run])
            return (try? unsafe memory.read(GuestPhysical(address), into: part)) != nil
        }
    }

    /// The same with an array.
    package func write(_ bytes: [UInt8], to memory: AddressSpace) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe write($0, at: 0, to: memory) }
    }
    /// The first `count` bytes, or nil.
    package func read(_ count: Int, from memory: AddressSpace) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return unsafe bytes.withUnsafeMutableBytes { unsafe read($0, at: 0, from: memory) } ? bytes : nil
    }
}

/// Moves a run of a disk to or from a scatter in guest memory, piece by piece, through memory of its own: so that what
/// a guest does to its buffers meanwhile hurts nobody but the guest.
@safe package final class BlockTransfer: @unchecked Sendable {
    // One piece is out at a time: whoever has it in hand (the submitter, the image, the completion) uses the memory
    // and the position.
    private static let pieceSize = 256 << 10
    private let backend: any BlockBackend
    private let isWrite: Bool
    private let offset: UInt64
    private let count: Int
    private let scatter: GuestScatter
    private let memory: AddressSpace
    private let forceUnitAccess: Bool
    private let finish: @Sendable (Int32) -> Void
    private let buffer: UnsafeMutableRawPointer
    private var position = 0

    /// `ENXIO`-like codes of this class: a scatter that is no memory.
    package static let badAddress: Int32 = 14

    private init(
        _ backend: any BlockBackend, isWrite: Bool, offset: UInt64, count: Int, scatter: GuestScatter,
        memory: AddressSpace, forceUnitAccess: Bool, finish: @escaping @Sendable (Int32) -> Void
    ) {
        self.backend = backend
        self.isWrite = isWrite
        self.offset = offset
        self.count = count
        self.scatter = scatter
        self.memory = memory
        self.forceUnitAccess = forceUnitAccess
        self.finish = finish
        unsafe buffer = .allocate(byteCount: max(min(count, Self.pieceSize), 1), alignment: 4096)
    }
    deinit { unsafe buffer.deallocate() }

    /// Starts a transfer. `finish` is called once, with 0 or an `errno` value: with no lock held, from any thread, this
    /// one too.
    package static func start(
        _ backend: any BlockBackend, isWrite: Bool, offset: UInt64, count: Int, scatter: GuestScatter,
        memory: AddressSpace, forceUnitAccess: Bool = false, finish: @escaping @Sendable (Int32) -> Void
    ) {
        guard count > 0 else { return finish(0) }
        BlockTransfer(
            backend, isWrite: isWrite, offset: offset, count: count, scatter: scatter, memory: memory,
            forceUnitAccess: forceUnitAccess, finish: finish
        ).next()
    }

    private func next() {
        let run = min(count - position, Self.pieceSize)
        guard run > 0 else { return finish(0) }
        // SAFETY: the buffer holds `run` bytes, and nobody else uses it now.
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: run)
        if isWrite, !(unsafe scatter.read(bytes, at: position, from: memory)) { return finish(Self.badAddress) }
        let segment = unsafe BlockSegment(pointer: buffer, count: run)
        backend.submit(
            BlockRequest(
                operation: isWrite ? .write : .read, offset: offset + UInt64(position), length: UInt64(run),
                segments: [segment], forceUnitAccess: forceUnitAccess
            ) { [self] error in
                guard error == 0 else { return finish(error) }
                // SAFETY: as above.
                let bytes = unsafe UnsafeRawBufferPointer(start: buffer, count: run)
                if !isWrite, !(unsafe scatter.write(bytes, at: position, to: memory)) {
                    return finish(Self.badAddress)
                }
                position += run
                next()
            })
    }
}
