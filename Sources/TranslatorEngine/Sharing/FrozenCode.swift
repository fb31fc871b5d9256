internal import HostOS

// Code that a machine's processors have decoded and translated, in a sealed memory file that its copies take it from. The
// copies are processes of the same program, and have it at the same addresses: what it says of itself holds there. The
// file's first page says where everything is; nothing in it is of use to another program, or between hosts.

/// What such a file is made of.
enum FrozenCode {
    /// Bytes of the file, beginning with a page, and where they were in their memory.
    struct Piece: Equatable {
        /// Where they began in the code's memory, or 0.
        var place = 0
        /// Where they are in the file.
        var offset: Int64 = 0
        var count = 0
        var pages: Int { (count + 4095) >> 12 }
        var isEmpty: Bool { count == 0 }
    }

    /// One processor's.
    struct Processor: Equatable {
        /// `CodeFetcher.features`, and whether blocks count their instructions.
        var features: UInt64 = 0
        var countsInstructions = false
        /// Generations of places of code, which copies go on from.
        var generation: UInt64 = 0
        /// The decoded operations, and the blocks that they are.
        var operations: UInt64 = 0
        var ops = Piece()
        var blocks = Piece()
        /// Stubs of single instructions.
        var stubs: UInt64 = 0
        var stubCode = Piece()
        /// The two views of the translated code, and its parts.
        var writable: UInt64 = 0
        var executable: UInt64 = 0
        var capacity = 0
        var hot = Piece()
        var cold = Piece()
        var records = Piece()
        var sites = Piece()
        var linkCount = 0
    }

    /// A decoded block that is still what the guest's memory has.
    struct Block {
        /// Where its first byte is: in which RAM block, by number, and where there.
        var offset: UInt64
        var memory: UInt16
        var count: UInt16
        var mode: UInt16
        var reserved: UInt16 = 0
        var firstOp: Int32
        var opCount: Int32
    }

    static let magic: UInt64 = 0x6170_7573_636f_6465
    /// Processors whose description a header has room for.
    static let mostProcessors = 512
    static let headerBytes = ((3 + mostProcessors * Words.count) * 8 + 4095) & ~4095

    /// The program of this process: when its file was last changed, which no two builds have in common. Nil where the
    /// host does not tell.
    static var program: UInt64? {
        guard let details = try? HostFile.details("/proc/self/exe") else { return nil }
        return UInt64(bitPattern: details.changed.seconds &* 1_000_000_000 &+ details.changed.nanoseconds)
    }

    /// A processor's description as numbers.
    struct Words {
        static let count = 36
        private(set) var words: [UInt64] = []
        private var next = 0

        init(_ p: Processor) {
            words = [p.features, p.countsInstructions ? 1 : 0, p.generation, p.operations, p.stubs, p.writable, p.executable]
            words += [UInt64(p.capacity), UInt64(p.linkCount)]
            for piece in [p.ops, p.blocks, p.stubCode, p.hot, p.cold, p.records, p.sites] {
                words += [UInt64(piece.place), UInt64(bitPattern: piece.offset), UInt64(piece.count)]
            }
            words += [UInt64](repeating: 0, count: Self.count - words.count)
        }
        init(_ words: [UInt64]) { self.words = words }

        private mutating func take() -> UInt64 {
            defer { next += 1 }
            return words[next]
        }
        private mutating func number() -> Int? { Int(exactly: take()) }
        /// A piece of a file of `size` bytes.
        private mutating func piece(_ size: Int64) -> Piece? {
            guard let place = number(), let offset = Int64(exactly: take()), let count = number() else { return nil }
            guard offset & 4095 == 0, place & 4095 == 0, offset <= size, count <= size - offset else { return nil }
            return Piece(place: place, offset: offset, count: count)
        }

        /// The description, of a file of `size` bytes; nil where it is none.
        mutating func processor(_ size: Int64) -> Processor? {
            var p = Processor()
            p.features = take()
            p.countsInstructions = take() != 0
            p.generation = take()
            p.operations = take()
            p.stubs = take()
            p.writable = take()
            p.executable = take()
            guard let capacity = number(), let links = number(), let ops = piece(size), let blocks = piece(size),
                let stubCode = piece(size), let hot = piece(size), let cold = piece(size), let records = piece(size),
                let sites = piece(size)
            else { return nil }
            p.capacity = capacity
            p.linkCount = links
            p.ops = ops
            p.blocks = blocks
            p.stubCode = stubCode
            p.hot = hot
            p.cold = cold
            p.records = records
            p.sites = sites
            return p
        }
    }

    /// Collects what goes into a file. Bytes are the processors' own until it is written.
    @safe struct Writer {
        var processor = Processor()
        private(set) var pieces: [(bytes: UnsafeRawBufferPointer, offset: Int64)] = unsafe []
        private(set) var end = Int64(FrozenCode.headerBytes)

        /// Notes bytes, which lie still until `write` has ended.
        mutating func add(_ bytes: UnsafeRawBufferPointer, at place: Int) -> Piece {
            let piece = Piece(place: place, offset: end, count: bytes.count)
            if bytes.count > 0 { unsafe pieces.append((bytes, end)) }
            end += Int64(piece.pages) << 12
            return piece
        }

        /// The file of what was noted, with a header.
        func write(header: [UInt64]) throws(HostError) -> HostOS.Descriptor {
            let file = try HostOS.Descriptor.memoryFile(name: "apus-frozen-code", count: Int(end), canBeSealed: true)
            var isComplete = unsafe header.withUnsafeBytes { unsafe Self.write($0, file, 0) }
            for unsafe piece in unsafe pieces where isComplete {
                isComplete = unsafe Self.write(piece.bytes, file, piece.offset)
            }
            guard isComplete else { throw HostError.noDescriptor("write to a memory file") }
            try file.seal()
            return file
        }
        private static func write(_ bytes: UnsafeRawBufferPointer, _ file: HostOS.Descriptor, _ place: Int64) -> Bool {
            var rest = unsafe bytes
            var place = place
            while unsafe !rest.isEmpty {
                guard case .moved(let moved) = unsafe file.write(rest, at: place) else { return false }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(moved))
                place += Int64(moved)
            }
            return true
        }
    }
}
