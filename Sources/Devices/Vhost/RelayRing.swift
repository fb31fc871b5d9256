internal import CEngine
internal import HostOS

/// Memory of rings that a back-end shares: a memory file of a fixed size, so that nobody takes pages from under it.
final class RingMemory: Sendable {
    let file: Descriptor
    let count: Int
    private let mapping: Mapping

    init(count: Int) throws(HostError) {
        let size = (max(count, 1) + 4095) & ~4095
        file = try Descriptor.memoryFile(name: "vhost-user-rings", count: size, canBeSealed: true)
        file.sealSize()
        mapping = try Mapping.file(file, count: size, isShared: true)
        self.count = size
    }

    @safe var base: UnsafeMutableRawPointer { mapping.base }
}

/// The driver's side of a split ring whose device is a back-end: virtio 1.2, 2.7. What the back-end writes is read once,
/// checked, then used; what chains are made of is remembered here and not read back. Guarded by its queue's lock.
struct RelayRing {
    /// A part of a buffer, in the back-end's addresses.
    struct Piece {
        var address: UInt64
        var count: UInt32
        var isWritable: Bool
    }

    /// Pieces that one buffer may have: what back-ends take (libvhost-user's VIRTQUEUE_MAX_SIZE).
    static let mostPieces = 1024
    private static let descriptorBytes = 16
    private static let tableBytes = mostPieces * descriptorBytes
    private enum Flag {
        static let next: UInt16 = 1
        static let write: UInt16 = 2
        static let indirect: UInt16 = 4
    }

    /// Entries, a power of two.
    let size: UInt16
    private let memory: RingMemory
    private let start: Int
    private let hasTables: Bool
    private var free: [UInt16]
    /// How many descriptors the chain that begins at a descriptor has, 0 for none, and which.
    private var lengths: [UInt16]
    private var links: [UInt16]
    private var available: UInt16 = 0
    private var published: UInt16 = 0
    private var used: UInt16 = 0

    /// Bytes of a ring, its tables included; a multiple of a page.
    static func bytes(size: UInt16, hasTables: Bool) -> Int {
        (usedOffset(size) + 4 + 8 * Int(size) + 2 + 4095) & ~4095 + (hasTables ? Int(size) * tableBytes : 0)
    }
    private static func usedOffset(_ size: UInt16) -> Int {
        (availableOffset(size) + 4 + 2 * Int(size) + 2 + 63) & ~63
    }
    private static func availableOffset(_ size: UInt16) -> Int { Int(size) * descriptorBytes }

    /// A ring in zeroed memory from `start` on. With `hasTables` buffers of several pieces take one descriptor
    /// (VIRTIO_F_INDIRECT_DESC).
    init(_ memory: RingMemory, start: Int, size: UInt16, hasTables: Bool) {
        precondition(start + Self.bytes(size: size, hasTables: hasTables) <= memory.count, "Rings lie in their memory")
        self.memory = memory
        self.start = start
        self.size = size
        self.hasTables = hasTables
        free = (0..<size).reversed()
        lengths = [UInt16](repeating: 0, count: Int(size))
        links = lengths
    }

    /// Where this process has its parts.
    var parts: KernelVhost.RingParts {
        // SAFETY: addresses, which the kernel checks by itself.
        unsafe KernelVhost.RingParts(
            descriptors: pointer(0), available: pointer(Self.availableOffset(size)),
            used: pointer(Self.usedOffset(size)))
    }
    // Where the back-end has them.
    var descriptors: UInt64 { VhostMemory.ringAddress + UInt64(start) }
    var availableRing: UInt64 { descriptors + UInt64(Self.availableOffset(size)) }
    var usedRing: UInt64 { descriptors + UInt64(Self.usedOffset(size)) }

    private func pointer(_ offset: Int) -> UnsafeMutableRawPointer {
        // SAFETY: offsets are made of the layout that `init` has checked.
        unsafe memory.base + start + offset
    }
    private var tables: Int { (Self.usedOffset(size) + 4 + 8 * Int(size) + 2 + 4095) & ~4095 }

    // MARK: Adding

    /// Whether a buffer of so many pieces can ever be added.
    func takes(_ count: Int) -> Bool { count > 0 && count <= (hasTables ? Self.mostPieces : Int(size)) }

    /// Adds a buffer, which `publish` shows; its number, or nil where there is no room now.
    mutating func add(_ pieces: [Piece]) -> UInt16? {
        let usesTable = hasTables && pieces.count > 1
        let needed = usesTable ? 1 : pieces.count
        guard takes(pieces.count), free.count >= needed else { return nil }
        let head = free.removeLast()
        lengths[Int(head)] = UInt16(needed)
        if usesTable {
            let table = tables + Int(head) * Self.tableBytes
            for (index, piece) in pieces.enumerated() {
                write(
                    piece, at: table + index * Self.descriptorBytes,
                    next: index + 1 < pieces.count ? UInt16(index + 1) : nil)
            }
            let place = Int(head) * Self.descriptorBytes
            // SAFETY: a descriptor of the ring.
            unsafe apus_store64(pointer(place), descriptors + UInt64(table))
            unsafe apus_store32(pointer(place + 8), UInt32(pieces.count * Self.descriptorBytes))
            unsafe apus_store16(pointer(place + 12), Flag.indirect)
            unsafe apus_store16(pointer(place + 14), 0)
        } else {
            var slot = head
            for (index, piece) in pieces.enumerated() {
                let next = index + 1 < pieces.count ? free.removeLast() : nil
                write(piece, at: Int(slot) * Self.descriptorBytes, next: next)
                if let next {
                    links[Int(slot)] = next
                    slot = next
                }
            }
        }
        // SAFETY: an entry of the ring.
        unsafe apus_store16(pointer(Self.availableOffset(size) + 4 + 2 * Int(available & (size - 1))), head)
        available &+= 1
        return head
    }

    private func write(_ piece: Piece, at place: Int, next: UInt16?) {
        // SAFETY: a descriptor of the ring or of a table.
        unsafe apus_store64(pointer(place), piece.address)
        unsafe apus_store32(pointer(place + 8), piece.count)
        unsafe apus_store16(
            pointer(place + 12), (piece.isWritable ? Flag.write : 0) | (next == nil ? 0 : Flag.next))
        unsafe apus_store16(pointer(place + 14), next ?? 0)
    }

    /// Shows what was added; true where the back-end wants to be told.
    mutating func publish() -> Bool {
        guard published != available else { return false }
        published = available
        apus_fence()
        // SAFETY: the index of the available ring, and the flags of the used one.
        unsafe apus_atomic_store16(pointer(Self.availableOffset(size) + 2), available)
        apus_fence()
        return unsafe apus_load16(pointer(Self.usedOffset(size))) & 1 == 0
    }

    // MARK: Taking back

    /// A buffer that the back-end has returned: its number, and the bytes that it says it wrote; nil where there is none.
    mutating func take(_ queue: Int) throws(VhostError) -> (id: UInt16, written: UInt32)? {
        // SAFETY: the index of the used ring.
        let index = unsafe apus_atomic_load16(pointer(Self.usedOffset(size) + 2))
        guard index != used else { return nil }
        guard index &- used <= size else { throw .badRing(queue, "its used index goes from \(used) to \(index)") }
        let place = Self.usedOffset(size) + 4 + 8 * Int(used & (size - 1))
        // SAFETY: an entry of the ring.
        let id = unsafe apus_load32(pointer(place))
        let written = unsafe apus_load32(pointer(place + 4))
        guard id < UInt32(size), lengths[Int(id)] > 0 else {
            throw .badRing(queue, "it returns buffer \(id), which it has not")
        }
        used &+= 1
        let head = UInt16(id)
        var slot = head
        for _ in 0..<lengths[Int(head)] {
            free.append(slot)
            slot = links[Int(slot)]
        }
        lengths[Int(head)] = 0
        return (head, written)
    }
}
