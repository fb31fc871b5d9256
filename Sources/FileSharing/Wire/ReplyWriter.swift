internal import CLinux

/// A reply of 9P2000.L: size, type, tag, and what the type has. It never becomes longer than its limit.
struct ReplyWriter {
    /// Bytes of a reply's head: its size, type and tag.
    static let headCount = 7
    /// Bytes before the data of Rread and Rreaddir.
    static let dataStart = 11

    private(set) var bytes: [UInt8]
    /// The most bytes.
    let limit: Int
    private var isTooLong = false

    /// A reply of a type that may have `limit` bytes, at least 11.
    init(type: UInt8, tag: UInt16, limit: Int) {
        self.limit = limit
        bytes = [0, 0, 0, 0, type, UInt8(truncatingIfNeeded: tag), UInt8(truncatingIfNeeded: tag >> 8)]
    }

    /// Rlerror of an error number.
    static func error(_ number: Int32, tag: UInt16) -> [UInt8] {
        var writer = ReplyWriter(type: MessageType.error, tag: tag, limit: 11)
        writer.add(UInt32(bitPattern: number))
        return writer.finish()
    }

    /// How many more bytes fit.
    var room: Int { limit - bytes.count }

    mutating func add(_ value: some FixedWidthInteger & UnsignedInteger) {
        let size = MemoryLayout.size(ofValue: value)
        guard size <= room else { return isTooLong = true }
        for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8))) }
    }
    /// A counted string; at most 65,535 bytes.
    mutating func add(string: [UInt8]) {
        guard string.count <= 0xFFFF, string.count + 2 <= room else { return isTooLong = true }
        add(UInt16(string.count))
        bytes += string
    }
    mutating func add(_ qid: FileIdentity) {
        guard room >= FileIdentity.count else { return isTooLong = true }
        bytes.append(qid.type)
        add(qid.version)
        add(qid.path)
    }

    /// A count and the bytes of that count which `fill` writes. `fill` gets room for `most` bytes, or for as many as
    /// fit, and returns how many it wrote.
    mutating func addData(
        most: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(ShareError) -> Int
    ) throws(ShareError) {
        let count = max(0, min(most, limit - Self.dataStart))
        guard bytes.count == Self.headCount else { return isTooLong = true }
        var failure: ShareError?
        let head = bytes
        bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.dataStart + count) { buffer, initialized in
            // SAFETY: the buffer has room for the head, the count and `count` bytes, and all that `initialized` counts
            // has been written.
            let raw = UnsafeMutableRawBufferPointer(buffer)
            unsafe raw.copyBytes(from: head)
            var done = 0
            do throws(ShareError) {
                done = unsafe min(count, max(0, try fill(.init(rebasing: raw[Self.dataStart..<(Self.dataStart + count)]))))
            } catch {
                failure = error
            }
            unsafe raw.storeBytes(of: UInt32(done).littleEndian, toByteOffset: Self.headCount, as: UInt32.self)
            initialized = Self.dataStart + done
        }
        if let failure { throw failure }
    }

    /// Ends the reply: its bytes, or nil where they did not fit.
    mutating func whole() -> [UInt8]? { isTooLong ? nil : finish() }

    /// Writes the size, in place, and gives the bytes away: a copy would be one of all data.
    private mutating func finish() -> [UInt8] {
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: bytes.count >> (index * 8)) }
        return bytes
    }
}

/// What the protocol calls a file: a qid.
struct FileIdentity: Equatable {
    /// Bytes of it in a message.
    static let count = 13
    static let folder: UInt8 = 0x80
    static let link: UInt8 = 0x02

    var type: UInt8
    var version: UInt32
    var path: UInt64
}

/// The types of messages: a request's, or its reply's less one. Linux's `include/net/9p/9p.h` numbers them so.
enum MessageType {
    static let error: UInt8 = 7
    static let statfs: UInt8 = 8
    static let lopen: UInt8 = 12
    static let lcreate: UInt8 = 14
    static let symlink: UInt8 = 16
    static let mknod: UInt8 = 18
    static let rename: UInt8 = 20
    static let readlink: UInt8 = 22
    static let getattr: UInt8 = 24
    static let setattr: UInt8 = 26
    static let xattrwalk: UInt8 = 30
    static let xattrcreate: UInt8 = 32
    static let readdir: UInt8 = 40
    static let fsync: UInt8 = 50
    static let lock: UInt8 = 52
    static let getlock: UInt8 = 54
    static let link: UInt8 = 70
    static let mkdir: UInt8 = 72
    static let renameat: UInt8 = 74
    static let unlinkat: UInt8 = 76
    static let version: UInt8 = 100
    static let auth: UInt8 = 102
    static let attach: UInt8 = 104
    static let flush: UInt8 = 108
    static let walk: UInt8 = 110
    static let read: UInt8 = 116
    static let write: UInt8 = 118
    static let clunk: UInt8 = 120
    static let remove: UInt8 = 122
}
