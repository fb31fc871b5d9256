/// An internal snapshot of a qcow2 image, as its table lists it ("Snapshots" of the specification).
public struct QCow2Snapshot: Sendable, Hashable {
    /// Unique in the image.
    public var id: String
    /// The name that people gave.
    public var name: String
    /// When it was taken, in seconds since 1970.
    public var seconds: UInt32
    /// The nanoseconds after those.
    public var nanoseconds: UInt32
    /// The guest's clock then, in nanoseconds.
    public var guestClock: UInt64
    /// The size of the machine's state saved with it, in bytes; 0 without.
    public var stateSize: UInt64
    /// The disk's size then, in bytes.
    public var diskSize: UInt64
    /// Where its L1 table is.
    public var l1Offset: UInt64
    /// Entries of that table.
    public var l1Size: UInt32

    private static let maximumExtraData: UInt32 = 1024
    private static let maximumTableBytes: UInt64 = 64 << 20

    /// The instructions that had been executed, or all ones when nobody counted.
    public var instructions: UInt64 = .max
    /// Extra data that this program does not know.
    var extra: [UInt8] = []

    /// Reads the table. Everything is bounded: the entries by the header's check, strings by their 16-bit lengths,
    /// the whole by 64 MiB.
    static func table(_ header: QCow2Header, file: any BlockNode) throws(BlockError) -> [QCow2Snapshot] {
        let path = file.filename
        var result: [QCow2Snapshot] = []
        var at = header.snapshotOffset
        for number in 0..<header.snapshotCount {
            let fixed = try file.metadataBytes("snapshot table", at: at, count: 40)
            let extraSize = fixed.bigEndian(UInt32.self, at: 36)
            let idSize = Int(fixed.bigEndian(UInt16.self, at: 12))
            let nameSize = Int(fixed.bigEndian(UInt16.self, at: 14))
            guard extraSize <= maximumExtraData else {
                throw .invalidImage(
                    path: path,
                    reason: "Too much extra metadata in snapshot table entry \(number): \(extraSize) bytes")
            }
            let rest = try file.metadataBytes(
                "snapshot table", at: at + 40, count: Int(extraSize) + idSize + nameSize)
            let text = Int(extraSize)
            var snapshot = QCow2Snapshot(
                id: String(decoding: rest[text..<text + idSize], as: UTF8.self),
                name: String(decoding: rest[(text + idSize)...], as: UTF8.self),
                seconds: fixed.bigEndian(UInt32.self, at: 16), nanoseconds: fixed.bigEndian(UInt32.self, at: 20),
                guestClock: fixed.bigEndian(UInt64.self, at: 24),
                stateSize: UInt64(fixed.bigEndian(UInt32.self, at: 32)), diskSize: header.size,
                l1Offset: fixed.bigEndian(UInt64.self, at: 0), l1Size: fixed.bigEndian(UInt32.self, at: 8))
            if extraSize >= 8 { snapshot.stateSize = rest.bigEndian(UInt64.self, at: 0) }
            if extraSize >= 16 { snapshot.diskSize = rest.bigEndian(UInt64.self, at: 8) }
            if extraSize >= 24 { snapshot.instructions = rest.bigEndian(UInt64.self, at: 16) }
            if extraSize > 24 { snapshot.extra = Array(rest[24..<text]) }
            guard snapshot.l1Offset & UInt64(header.clusterSize - 1) == 0,
                UInt64(snapshot.l1Size) * 8 <= UInt64(QCow2Header.maximumL1Bytes),
                snapshot.l1Offset <= UInt64(Int64.max) - UInt64(snapshot.l1Size) * 8
            else { throw .invalidImage(path: path, reason: "Snapshot '\(snapshot.id)' has no valid L1 table") }
            result.append(snapshot)
            at += (40 + UInt64(rest.count) + 7) / 8 * 8
            guard at - header.snapshotOffset <= maximumTableBytes else {
                throw .invalidImage(path: path, reason: "Snapshot table too large")
            }
        }
        return result
    }

    /// The entry in the table.
    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.store(l1Offset, at: 0)
        bytes.store(l1Size, at: 8)
        bytes.store(UInt16(truncatingIfNeeded: id.utf8.count), at: 12)
        bytes.store(UInt16(truncatingIfNeeded: name.utf8.count), at: 14)
        bytes.store(seconds, at: 16)
        bytes.store(nanoseconds, at: 20)
        bytes.store(guestClock, at: 24)
        bytes.store(UInt32(clamping: stateSize), at: 32)
        bytes.store(UInt32(24 + extra.count), at: 36)
        bytes.store(stateSize, at: 40)
        bytes.store(diskSize, at: 48)
        bytes.store(instructions, at: 56)
        bytes += extra + Array(id.utf8) + Array(name.utf8)
        return bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    }
}
