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

        /// Whether it is within files of so many bytes.
        func fits(_ sizes: [Int64]) -> Bool {
            guard sizes.indices.contains(file), offset & 4095 == 0, place & 4095 == 0, place >= 0, count >= 0 else {
                return false
            }
            return offset >= 0 && offset <= sizes[file] && count <= sizes[file] - offset
        }
    }

    /// One processor's. Integers alone, which lie in the file as they lie here.
    struct Processor: Equatable {
        /// `CodeFetcher.features`, and whether blocks count their instructions, 0 or 1.
        var features: UInt64 = 0
        var countsInstructions: UInt64 = 0
        /// Generations of places of code, which copies go on from.
        var generation: UInt64 = 0
        /// The decoded operations, and the blocks that they are.
        var operations: UInt64 = 0
        var ops = Piece()
        var blocks = Piece()
        /// What superblocks are made of.
        var parts = Piece()
        /// Stubs of single instructions.
        var stubs: UInt64 = 0
        var stubCode = Piece()
        /// The two views of the translated code, and its parts.
        var writable: UInt64 = 0
        var executable: UInt64 = 0
        var capacity = 0
        /// Whether translated code looks into the TLB, 0 or 1.
        var isTagged: UInt64 = 0
        var hot = Piece()
        var cold = Piece()
        var records = Piece()
        var sites = Piece()
        var linkCount = 0
        /// Blocks that are translated.
        var translated = 0

        /// Whether it is a description, of files of so many bytes.
        func fits(_ sizes: [Int64]) -> Bool {
            capacity >= 0 && linkCount >= 0 && translated >= 0
                && [ops, blocks, parts, stubCode, hot, cold, records, sites].allSatisfy { $0.fits(sizes) }
        }
    }

    /// A decoded block that is still what the guest's memory has.
    struct Block {
        /// Where its first byte is: in which RAM block, by number, and where there.
        var offset: UInt64
        var memory: UInt16
        var count: UInt16
        var mode: UInt16
        var reserved: UInt16 = 0
        /// The path of the superblock that its code is.
        var path: UInt64
        var firstOp: Int32
        var opCount: Int32
    }

    /// A block that is part of a superblock, which another begins: their numbers in the list of blocks.
    struct Part {
        var block: UInt32
        var superblock: UInt32
    }

    /// What the first file begins with; the processors follow.
    struct Head: Equatable {
        var magic: UInt64 = 0x6170_7573_636f_6465
        var program: UInt64
        var processors: UInt64
    }
    /// Processors whose description there is room for before the rest of the file.
    static let mostProcessors = 512
    static let headerBytes =
        (MemoryLayout<Head>.stride + mostProcessors * MemoryLayout<Processor>.stride + 4095) & ~4095

    /// The program of this process: when its file was last changed, which no two builds have in common. Nil where the
    /// host does not tell.
    static var program: UInt64? {
        guard let details = try? HostFile.details("/proc/self/exe") else { return nil }
        return UInt64(bitPattern: details.changed.seconds &* 1_000_000_000 &+ details.changed.nanoseconds)
    }

    /// The processors that files describe, of this program and so many; nil where they do not.
    static func processors(_ files: [HostOS.Descriptor], count: Int) -> [Processor]? {
        guard let file = files.first, files.allSatisfy(\.isSealed), let program else { return nil }
        let wanted = Head(program: program, processors: UInt64(count))
        var head = Head(magic: 0, program: 0, processors: 0)
        var list = [Processor](repeating: Processor(), count: count)
        // SAFETY: both are integers alone, and any bytes are some.
        let isRead =
            unsafe withUnsafeMutableBytes(of: &head) { unsafe fill($0, of: file, at: 0) }
            && list.withUnsafeMutableBytes { unsafe fill($0, of: file, at: Int64(MemoryLayout<Head>.stride)) }
        let sizes = files.map(\.fileSize)
        guard isRead, head == wanted, list.allSatisfy({ $0.fits(sizes) }) else { return nil }
        return list
    }
    private static func fill(_ bytes: UnsafeMutableRawBufferPointer, of file: HostOS.Descriptor, at place: Int64)
        -> Bool
    {
        guard case .moved(bytes.count) = unsafe file.read(into: bytes, at: place) else { return false }
        return true
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

        /// A file of what was noted, beginning with the processors, and those that are given as they are.
        func write(_ processors: [Processor], program: UInt64) throws(HostError) -> [HostOS.Descriptor] {
            let file = try HostOS.Descriptor.memoryFile(name: "apus-frozen-code", count: Int(end), canBeSealed: true)
            let head = Head(program: program, processors: UInt64(processors.count))
            // SAFETY: both are integers alone.
            try file.writeAll(unsafe withUnsafeBytes(of: head) { unsafe [UInt8]($0) }, at: 0)
            try file.writeAll(
                unsafe processors.withUnsafeBytes { unsafe [UInt8]($0) }, at: UInt64(MemoryLayout<Head>.stride))
            for index in unsafe pieces.indices { try unsafe file.writeAll(pieces[index].bytes, at: pieces[index].offset) }
            try file.seal()
            return [file] + files
        }
    }
}
