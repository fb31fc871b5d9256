/// The tables of a qcow image, the first version of the format (QEMU's `block/qcow.c`), for reading: two levels of
/// them, and clusters that are packed with zlib.
final class QCowMap: ImageMap {
    private static let compressed: UInt64 = 1 << 63

    let file: any BlockNode
    let size: UInt64
    let backing: String?
    private let clusterSize: UInt64
    private let clusterBits: UInt64
    private let entries: UInt64
    private let l1: [UInt64]
    private var tables: [UInt64: [UInt64]] = [:]
    private var last: (start: UInt64, bytes: [UInt8])?
    let isEncrypted: Bool
    /// Of an encrypted image that was opened with its passphrase.
    private let cipher: DiskCipher?

    var formatName: String { "qcow" }
    var isComplete: Bool { false }
    var description: ImageDescription {
        var description = ImageDescription()
        description.clusterSize = clusterSize
        description.backing = backing
        description.isEncrypted = isEncrypted
        return description
    }

    /// Reads the header. An encrypted image without its passphrase can only be described.
    init(_ file: any BlockNode, isForWriting: Bool, passphrase: [UInt8]?) throws(BlockError) {
        self.file = file
        let path = file.filename
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let (status, head) = file.bytesAndWait(at: 0, count: 48)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        guard head.prefix(4).elementsEqual([0x51, 0x46, 0x49, 0xfb]) else { throw fail("Image not in qcow format") }
        let version = head.bigEndian(UInt32.self, at: 4)
        guard version == 1 else { throw fail("qcow (v\(version)) does not support qcow version \(version)") }
        guard !isForWriting else { throw .unsupported(path: path, feature: "writing to a qcow image") }
        size = head.bigEndian(UInt64.self, at: 24) / 512 * 512
        guard size > 0 else { throw fail("Image size is too small (must be at least 2 bytes)") }
        clusterBits = UInt64(head[32])
        guard (9...16).contains(clusterBits) else { throw fail("Cluster size must be between 512 and 64k") }
        let l2Bits = UInt64(head[33])
        guard (6...13).contains(l2Bits) else { throw fail("L2 table size must be between 512 and 64k") }
        let method = head.bigEndian(UInt32.self, at: 36)
        guard method <= 1 else { throw fail("invalid encryption method in qcow header: \(method)") }
        isEncrypted = method == 1
        // The passphrase itself, cut or filled up.
        let key = passphrase.map { Array(($0 + [UInt8](repeating: 0, count: 16)).prefix(16)) }
        cipher = isEncrypted ? key.flatMap { DiskCipher(name: "aes", mode: "cbc-plain64", key: $0) } : nil
        clusterSize = 1 << clusterBits
        entries = 1 << l2Bits
        let coverage = clusterBits + l2Bits
        let needed = (size >> coverage) + (size & (1 << coverage - 1) == 0 ? 0 : 1)
        guard size <= UInt64(Int64.max), needed <= (32 << 20) / 8 else {
            throw fail("Image too large: its size is \(size)")
        }
        let length = Int(head.bigEndian(UInt32.self, at: 16))
        if length > 0 {
            guard length <= 1023 else { throw fail("Backing file name too long: \(length) bytes") }
            let place = head.bigEndian(UInt64.self, at: 8)
            let bytes = try file.metadataBytes("backing file's name", at: place, count: length)
            backing = bytes.text(at: 0, length: length)
        } else {
            backing = nil
        }
        let bytes = try file.metadataBytes("L1 table", at: head.bigEndian(UInt64.self, at: 40), count: Int(needed) * 8)
        l1 = (0..<Int(needed)).map { bytes.bigEndian(UInt64.self, at: $0 * 8) }
    }

    private func entry(_ cluster: UInt64) throws(ImageFailure) -> UInt64 {
        let number = Int(cluster / entries)
        guard number < l1.count else { throw .corrupt("cluster \(cluster) is behind the L1 table") }
        guard l1[number] != 0 else { return 0 }
        return try table(l1[number])[Int(cluster % entries)]
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let (cluster, inside) = (offset / clusterSize, offset % clusterSize)
        let length = min(clusterSize - inside, size - offset)
        let number = cluster / entries
        if number < l1.count, l1[Int(number)] == 0 {
            // Nothing as far as this table would reach.
            return (.unallocated, min((number + 1) * entries * clusterSize, size) - offset)
        }
        let entry = try entry(cluster)
        if entry == 0 { return (.unallocated, length) }
        if entry & Self.compressed != 0 { return (.packed, length) }
        guard entry <= UInt64(Int64.max) / 2 else { throw .corrupt("cluster at \(entry)") }
        // Encrypted clusters are read whole, as packed ones are.
        return (isEncrypted ? .packed : .data(file, entry + inside), length)
    }

    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        let start = offset / clusterSize * clusterSize
        if let last, last.start == start { return last }
        let entry = try entry(offset / clusterSize)
        guard entry & Self.compressed != 0 else {
            let bytes = try decrypted(entry, start)
            last = (start, bytes)
            return (start, bytes)
        }
        // The length, then the place.
        let shift = 63 - clusterBits
        let place = entry & (1 << shift - 1)
        let count = entry >> shift & (clusterSize - 1)
        let (status, packed) = file.bytesAndWait(at: place, count: Int(count))
        try ImageFailure.check(status)
        guard let bytes = Unpacking.inflate(packed, count: Int(clusterSize), window: -12) else {
            throw .corrupt("the packed cluster at \(place) is broken")
        }
        last = (start, bytes)
        return (start, bytes)
    }

    private func decrypted(_ place: UInt64, _ start: UInt64) throws(ImageFailure) -> [UInt8] {
        guard let cipher else { throw .io(13) }
        var (status, bytes) = file.bytesAndWait(at: place, count: Int(clusterSize))
        try ImageFailure.check(status)
        guard cipher.apply(false, &bytes, firstSector: start / 512) else { throw .corrupt("the cluster at \(place)") }
        return bytes
    }

    private func table(_ place: UInt64) throws(ImageFailure) -> [UInt64] {
        if let table = tables[place] { return table }
        let end = file.sizeInBytes
        guard place <= end, entries * 8 <= end - place else { throw .corrupt("the L2 table at \(place) is cut off") }
        let (status, bytes) = file.bytesAndWait(at: place, count: Int(entries) * 8)
        try ImageFailure.check(status)
        let table = (0..<Int(entries)).map { bytes.bigEndian(UInt64.self, at: $0 * 8) }
        // Tables have 64 KiB at most: a few hundred are enough to read anywhere.
        if tables.count >= 128 { tables.removeAll() }
        tables[place] = table
        return table
    }
}
