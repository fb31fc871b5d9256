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

    /// Reads the table. `read` gives bytes of the file. Everything is bounded: the entries by the header's check,
    /// strings by their 16-bit lengths, the whole by 64 MiB.
    static func table(
        _ header: QCow2Header, path: String,
        read: (_ offset: UInt64, _ count: Int) throws(BlockError) -> [UInt8]
    ) throws(BlockError) -> [QCow2Snapshot] {
        var result: [QCow2Snapshot] = []
        var at = header.snapshotOffset
        for _ in 0..<header.snapshotCount {
            let fixed = try read(at, 40)
            let extraSize = fixed.bigEndian(UInt32.self, at: 36)
            let idSize = Int(fixed.bigEndian(UInt16.self, at: 12))
            let nameSize = Int(fixed.bigEndian(UInt16.self, at: 14))
            guard extraSize <= maximumExtraData else {
                throw .invalidImage(path: path, reason: "a snapshot has \(extraSize) bytes of extra data")
            }
            let rest = try read(at + 40, Int(extraSize) + idSize + nameSize)
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
            guard snapshot.l1Offset & UInt64(header.clusterSize - 1) == 0,
                UInt64(snapshot.l1Size) * 8 <= UInt64(QCow2Header.maximumL1Bytes),
                snapshot.l1Offset <= UInt64(Int64.max) - UInt64(snapshot.l1Size) * 8
            else { throw .invalidImage(path: path, reason: "snapshot '\(snapshot.id)' has no valid L1 table") }
            result.append(snapshot)
            at += (40 + UInt64(rest.count) + 7) / 8 * 8
            guard at - header.snapshotOffset <= maximumTableBytes else {
                throw .invalidImage(path: path, reason: "the snapshot table is over 64 MiB")
            }
        }
        return result
    }
}
