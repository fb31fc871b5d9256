/// One piece of a VMDK disk: a range of a flat file, nothing but zeroes, or a sparse file with tables of grains
/// ("Hosted Sparse Extents").
final class VMDKExtent {
    /// Bits of a sparse header's flags.
    enum Flag {
        static let newLines: UInt32 = 1
        static let redundantTable: UInt32 = 2
        static let zeroGrains: UInt32 = 4
        static let compressed: UInt32 = 1 << 16
        static let markers: UInt32 = 1 << 17
    }

    enum Kind {
        case flat(offset: UInt64)
        case zero
        case sparse(Sparse)
    }

    struct Sparse {
        var grainSize: UInt64
        var entriesPerTable: UInt64
        var directory: PagedTable<UInt32>
        var redundant: PagedTable<UInt32>?
        var flags: UInt32
        /// Where the next grain goes.
        var end: UInt64
        var isCompressed: Bool { flags & Flag.compressed != 0 }
        var hasZeroGrains: Bool { flags & Flag.zeroGrains != 0 }
    }

    /// The largest packed grain that is unpacked in memory.
    private static let maximumPacked: UInt64 = 16 << 20
    static let magic: [UInt8] = Array("KDMV".utf8)
    let file: any BlockNode
    /// The word of the descriptor.
    let word: String
    /// First byte on the disk, and length.
    let start: UInt64
    let length: UInt64
    var kind: Kind
    private var tables: [UInt64: [UInt32]] = [:]
    /// Where an embedded descriptor is, and how long it may be.
    var descriptorPlace: (offset: UInt64, size: Int)?

    init(file: any BlockNode, word: String, start: UInt64, length: UInt64, kind: Kind) {
        (self.file, self.word, self.start, self.length, self.kind) = (file, word, start, length, kind)
    }

    /// A sparse extent of a file. `sectors` is what the descriptor says, nil for an embedded one.
    static func sparse(
        _ file: any BlockNode, word: String, start: UInt64, sectors: UInt64?
    ) throws(BlockError) -> VMDKExtent {
        let path = file.filename
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        var head = try file.metadataBytes("header", at: 0, count: 512)
        guard Array(head.prefix(4)) == magic else { throw fail("The file is no hosted sparse extent") }
        if head.littleEndian(UInt64.self, at: 56) == .max {
            // The directory is at the end: a footer before the last marker says where.
            let size = file.sizeInBytes
            guard size >= 1536 else { throw fail("The footer is missing") }
            let footer = try file.metadataBytes("footer", at: size - 1536, count: 1536)
            guard Array(footer[512..<516]) == magic, footer.littleEndian(UInt32.self, at: 12) == 3 else {
                throw fail("Invalid footer")
            }
            head = Array(footer[512..<1024])
        }
        let version = head.littleEndian(UInt32.self, at: 4)
        guard version <= 3 else { throw .unsupported(path: path, feature: "VMDK version \(version)") }
        let flags = head.littleEndian(UInt32.self, at: 8)
        guard flags & Flag.newLines == 0 || Array(head[73..<77]) == [10, 32, 13, 10] else {
            throw fail("The header was damaged by a transfer as text")
        }
        guard flags & Flag.compressed == 0 || head.littleEndian(UInt64.self, at: 20) <= maximumPacked / 512 else {
            throw fail("Packed grains of \(head.littleEndian(UInt64.self, at: 20)) sectors are too large")
        }
        let capacity = head.littleEndian(UInt64.self, at: 12)
        let granularity = head.littleEndian(UInt64.self, at: 20)
        let entries = UInt64(head.littleEndian(UInt32.self, at: 44))
        guard granularity >= 1, granularity <= 0x200000, granularity & (granularity - 1) == 0 else {
            throw fail("Invalid granularity, image may be corrupt")
        }
        guard entries == 512 else { throw fail("L2 table size too big") }
        guard capacity <= UInt64(Int64.max) / 512, capacity > 0 || sectors == nil else {
            throw fail("The extent has \(capacity) sectors, too many")
        }
        let length = sectors ?? capacity
        guard length <= capacity else { throw fail("The descriptor and the extent disagree on its size") }
        let coverage = granularity * entries
        let directorySize = (capacity + coverage - 1) / coverage
        guard directorySize <= 512 << 20 / 4 else { throw fail("L1 size too big") }
        func directory(_ sector: UInt64) throws(BlockError) -> PagedTable<UInt32> {
            guard sector <= UInt64(Int64.max) / 512 else { throw fail("The grain directory lies at sector \(sector)") }
            // There may be thousands of extents: each keeps little.
            return try PagedTable(
                file, "grain directory", at: sector * 512, count: Int(directorySize), pageSize: 4096, kept: 16)
        }
        let main = try directory(head.littleEndian(UInt64.self, at: 56))
        let second =
            flags & Flag.redundantTable != 0 ? try directory(head.littleEndian(UInt64.self, at: 48)) : nil
        let sparse = Sparse(
            grainSize: granularity * 512, entriesPerTable: entries, directory: main, redundant: second, flags: flags,
            end: (file.sizeInBytes + 511) / 512 * 512)
        let extent = VMDKExtent(file: file, word: word, start: start, length: length * 512, kind: .sparse(sparse))
        let (offset, size) = (head.littleEndian(UInt64.self, at: 28), head.littleEndian(UInt64.self, at: 36))
        if offset > 0, offset <= UInt64(Int64.max) / 512, size > 0 {
            extent.descriptorPlace = (offset * 512, Int(min(size, UInt64(VMDKDescriptor.maximumSize) / 512)) * 512)
        }
        return extent
    }

    /// The table that holds a grain's entry, and the entry's index; nil when there is none.
    private func table(
        _ sparse: Sparse, _ grain: UInt64
    ) throws(ImageFailure) -> (place: UInt64, entries: [UInt32], index: Int)? {
        let number = Int(grain / sparse.entriesPerTable)
        guard number < sparse.directory.count else { throw .corrupt("grain \(grain) is behind the directory") }
        let sector = try sparse.directory.number(number)
        guard sector != 0 else { return nil }
        let place = UInt64(sector) * 512
        let index = Int(grain % sparse.entriesPerTable)
        if let entries = tables[place] { return (place, entries, index) }
        let (status, bytes) = file.bytesAndWait(at: place, count: Int(sparse.entriesPerTable) * 4)
        try ImageFailure.check(status)
        let entries = (0..<Int(sparse.entriesPerTable)).map { bytes.littleEndian(UInt32.self, at: $0 * 4) }
        if tables.count >= 64 { tables.removeAll() }
        tables[place] = entries
        return (place, entries, index)
    }

    /// What is at an offset of the extent.
    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        switch kind {
        case .zero: return (.zero, length - offset)
        case .flat(let host):
            let (at, end) = (host + offset, file.sizeInBytes)
            // What a file for reading lacks is zero, and known to be without reading it.
            if file.isReadOnly && at >= end { return (.zero, length - offset) }
            return (.data(file, at), file.isReadOnly ? min(length - offset, end - at) : length - offset)
        case .sparse(let sparse):
            let inside = offset % sparse.grainSize
            let rest = min(sparse.grainSize - inside, length - offset)
            guard let (_, entries, index) = try table(sparse, offset / sparse.grainSize) else {
                return (.unallocated, rest)
            }
            let entry = entries[index]
            if entry == 0 { return (.unallocated, rest) }
            if entry == 1 && sparse.hasZeroGrains { return (.zero, rest) }
            return sparse.isCompressed ? (.packed, rest) : (.data(file, UInt64(entry) * 512 + inside), rest)
        }
    }

    /// The content of a packed grain.
    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        guard case .sparse(let sparse) = kind, let (_, entries, index) = try table(sparse, offset / sparse.grainSize)
        else { throw .corrupt("nothing is packed here") }
        let place = UInt64(entries[index]) * 512
        var (status, head) = file.bytesAndWait(at: place, count: 12)
        try ImageFailure.check(status)
        var size = Int(sparse.grainSize) * 2
        var from = place
        if sparse.flags & Flag.markers != 0 {
            size = Int(head.littleEndian(UInt32.self, at: 8))
            from += 12
            guard size > 0, size <= Int(sparse.grainSize) * 2 else {
                throw .corrupt("a grain has \(size) packed bytes")
            }
        }
        (status, head) = file.bytesAndWait(at: from, count: size)
        try ImageFailure.check(status)
        let start = offset / sparse.grainSize * sparse.grainSize
        guard let bytes = Unpacking.inflate(head, count: Int(sparse.grainSize), window: 15, mayBeShort: true) else {
            throw .corrupt("a packed grain is broken")
        }
        return (start, bytes)
    }

    /// Room for a grain at the end of the file.
    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock {
        guard case .sparse(let sparse) = kind, !sparse.isCompressed else { throw .io(95) }
        let grain = offset / sparse.grainSize
        guard try table(sparse, grain) != nil else { throw .io(95) }
        let host = (sparse.end + sparse.grainSize - 1) / sparse.grainSize * sparse.grainSize
        guard host / 512 < UInt64(UInt32.max) else { throw .io(27) }
        return NewBlock(
            start: grain * sparse.grainSize, length: sparse.grainSize, file: file, host: host,
            isZero: host >= file.sizeInBytes && file.growsWithZeroes)
    }

    /// Points a grain's entry, in both tables, to a place of the file that ends at `end`.
    func link(_ start: UInt64, host: UInt64, end: UInt64) throws(ImageFailure) {
        guard case .sparse(var sparse) = kind else { return }
        let grain = start / sparse.grainSize
        try set(sparse, grain, UInt32(host / 512))
        sparse.end = max(sparse.end, end)
        kind = .sparse(sparse)
    }

    /// Makes a grain zero without storage; false where the extent has no such grains.
    func clear(_ offset: UInt64) throws(ImageFailure) -> Bool {
        guard case .sparse(let sparse) = kind, sparse.hasZeroGrains, try table(sparse, offset / sparse.grainSize) != nil
        else { return false }
        try set(sparse, offset / sparse.grainSize, 1)
        return true
    }

    private func set(_ sparse: Sparse, _ grain: UInt64, _ value: UInt32) throws(ImageFailure) {
        guard let found = try table(sparse, grain) else { throw .corrupt("no grain table") }
        let (place, index) = (found.place, found.index)
        var entries = found.entries
        var bytes = [UInt8](repeating: 0, count: 4)
        bytes.storeLittle(value, at: 0)
        let number = Int(grain / sparse.entriesPerTable)
        if let redundant = sparse.redundant, number < redundant.count, case let sector = try redundant.number(number),
            sector != 0
        {
            let copy = UInt64(sector) * 512 + UInt64(index) * 4
            try ImageFailure.check(file.writeAndWait(at: copy, bytes: bytes))
        }
        try ImageFailure.check(file.writeAndWait(at: place + UInt64(index) * 4, bytes: bytes))
        entries[index] = value
        tables[place] = entries
    }

    /// Stores a packed grain at the end of the file, with its marker.
    func writePacked(_ offset: UInt64, _ packed: [UInt8]) throws(ImageFailure) {
        guard case .sparse(let sparse) = kind, sparse.isCompressed, offset % sparse.grainSize == 0 else {
            throw .io(22)
        }
        // A grain that is there stays: packed images are written once.
        guard case .unallocated = try find(offset).piece else { throw .io(5) }
        let host = (sparse.end + 511) / 512 * 512
        guard host / 512 < UInt64(UInt32.max) else { throw .io(27) }
        var bytes = [UInt8](repeating: 0, count: 12)
        bytes.storeLittle((start + offset) / 512, at: 0)
        bytes.storeLittle(UInt32(packed.count), at: 8)
        bytes += packed
        bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
        try ImageFailure.check(file.writeAndWait(at: host, bytes: bytes))
        try link(offset, host: host, end: host + UInt64(bytes.count))
    }
}
