internal import HostOS

// Code that a machine's processors have decoded and translated, in sealed memory files that its copies take it from. The
// copies are processes of the same program, and have it at the same addresses: what it says of itself holds there. The
// first file begins with where everything is; nothing in it is of use to another program, or between hosts.
//
// The first copies get the files that operations and code have been in all along, and their parent goes on from these as
// they do. What later ones get is copied.

/// What such a file is made of.
enum FrozenCode {
    /// Bytes of a file, beginning with a page, and where they were in their memory.
    struct Piece: Equatable {
        /// The file, by its number.
        var file = 0
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
        /// Blocks that are translated.
        var translated = 0
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
        static let count = 40
        private(set) var words: [UInt64] = []
        private var next = 0

        init(_ p: Processor) {
            words = [
                p.features, p.countsInstructions ? 1 : 0, p.generation, p.operations, p.stubs, p.writable, p.executable,
            ]
            words += [UInt64(p.capacity), UInt64(p.linkCount), UInt64(p.translated)]
            for piece in [p.ops, p.blocks, p.stubCode, p.hot, p.cold, p.records, p.sites] {
                words += [
                    UInt64(piece.file), UInt64(piece.place), UInt64(bitPattern: piece.offset), UInt64(piece.count),
                ]
            }
            words += [UInt64](repeating: 0, count: Self.count - words.count)
        }
        init(_ words: [UInt64]) { self.words = words }

        private mutating func take() -> UInt64 {
            defer { next += 1 }
            return words[next]
        }
        private mutating func number() -> Int? { Int(exactly: take()) }
        /// A piece of files of so many bytes.
        private mutating func piece(_ sizes: [Int64]) -> Piece? {
            guard let file = number(), let place = number(), let offset = Int64(exactly: take()), let count = number(),
                file < sizes.count, offset & 4095 == 0, place & 4095 == 0, offset <= sizes[file],
                count <= sizes[file] - offset
            else { return nil }
            return Piece(file: file, place: place, offset: offset, count: count)
        }

        /// The description, of files of so many bytes; nil where it is none.
        mutating func processor(_ sizes: [Int64]) -> Processor? {
            var p = Processor()
            p.features = take()
            p.countsInstructions = take() != 0
            p.generation = take()
            p.operations = take()
            p.stubs = take()
            p.writable = take()
            p.executable = take()
            guard let capacity = number(), let links = number(), let translated = number(), let ops = piece(sizes),
                let blocks = piece(sizes), let stubCode = piece(sizes), let hot = piece(sizes), let cold = piece(sizes),
                let records = piece(sizes),
                let sites = piece(sizes)
            else { return nil }
            p.capacity = capacity
            p.linkCount = links
            p.translated = translated
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
        private var end = Int64(FrozenCode.headerBytes)
        /// Files that are given as they are.
        private var files: [HostOS.Descriptor] = []
        /// Whether they may be: more than a few are too many to hand over.
        let givesFiles: Bool

        init(givesFiles: Bool) { self.givesFiles = givesFiles }

        /// Has a file be handed over, and gives its number.
        mutating func add(_ file: HostOS.Descriptor) -> Int {
            if let known = files.firstIndex(where: { $0 === file }) { return known + 1 }
            files.append(file)
            return files.count
        }

        /// Notes bytes, which lie still until `write` has ended.
        mutating func add(_ bytes: UnsafeRawBufferPointer, at place: Int) -> Piece {
            let piece = Piece(place: place, offset: end, count: bytes.count)
            if bytes.count > 0 { unsafe pieces.append((bytes, end)) }
            end += Int64(piece.pages) << 12
            return piece
        }

        /// A file of what was noted, with a header, and those that are given as they are.
        func write(header: [UInt64]) throws(HostError) -> [HostOS.Descriptor] {
            let file = try HostOS.Descriptor.memoryFile(name: "apus-frozen-code", count: Int(end), canBeSealed: true)
            var isComplete = unsafe header.withUnsafeBytes { unsafe Self.write($0, file, 0) }
            for index in pieces.indices where isComplete {
                let piece = unsafe pieces[index]
                isComplete = unsafe Self.write(piece.bytes, file, piece.offset)
            }
            guard isComplete else { throw HostError.noDescriptor("write to a memory file") }
            try file.seal()
            return [file] + files
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
