/// The numbers of the NBD protocol ("The NBD protocol", NetworkBlockDevice/nbd, doc/proto.md). All of it is big-endian.
enum NBD {
    static let defaultPort = "10809"
    /// `NBDMAGIC`.
    static let initialMagic: UInt64 = 0x4e42_444d_4147_4943
    /// `IHAVEOPT`.
    static let optionMagic: UInt64 = 0x4948_4156_454f_5054
    /// What follows `NBDMAGIC` from a server of the old style.
    static let oldMagic: UInt64 = 0x0000_4202_8186_1253
    static let optionReplyMagic: UInt64 = 0x0003_e889_0455_65a9
    static let requestMagic: UInt32 = 0x2560_9513
    static let simpleReplyMagic: UInt32 = 0x6744_6698
    static let structuredReplyMagic: UInt32 = 0x668e_33ef

    /// The largest payload of a request or reply that either side takes.
    static let maximumPayload = 32 << 20
    /// The longest string of the protocol.
    static let maximumString = 4096
    /// The longest data of an option or of the reply to one.
    static let maximumOption = 64 << 10
    static let requestSize = 28

    enum HandshakeFlag {
        static let fixedNewstyle: UInt16 = 1
        static let noZeroes: UInt16 = 2
    }

    enum Option {
        static let exportName: UInt32 = 1
        static let abort: UInt32 = 2
        static let list: UInt32 = 3
        static let startTLS: UInt32 = 5
        static let info: UInt32 = 6
        static let go: UInt32 = 7
        static let structuredReply: UInt32 = 8
        static let listMetaContext: UInt32 = 9
        static let setMetaContext: UInt32 = 10
    }

    enum Reply {
        static let acknowledge: UInt32 = 1
        static let server: UInt32 = 2
        static let info: UInt32 = 3
        static let metaContext: UInt32 = 4
        static let errorBit: UInt32 = 1 << 31
        static let unsupported: UInt32 = 1 << 31 | 1
        static let policy: UInt32 = 1 << 31 | 2
        static let invalid: UInt32 = 1 << 31 | 3
        static let tlsRequired: UInt32 = 1 << 31 | 5
        static let unknown: UInt32 = 1 << 31 | 6
        static let blockSizeRequired: UInt32 = 1 << 31 | 8
        static let tooBig: UInt32 = 1 << 31 | 9
    }

    enum Info {
        static let export: UInt16 = 0
        static let name: UInt16 = 1
        static let description: UInt16 = 2
        static let blockSize: UInt16 = 3
    }

    enum TransmissionFlag {
        static let hasFlags: UInt16 = 1
        static let readOnly: UInt16 = 1 << 1
        static let flush: UInt16 = 1 << 2
        static let forceUnitAccess: UInt16 = 1 << 3
        static let trim: UInt16 = 1 << 5
        static let writeZeroes: UInt16 = 1 << 6
        static let dontFragment: UInt16 = 1 << 7
        static let multipleConnections: UInt16 = 1 << 8
        static let cache: UInt16 = 1 << 10
        static let fastZero: UInt16 = 1 << 11
    }

    enum Command {
        static let read: UInt16 = 0
        static let write: UInt16 = 1
        static let disconnect: UInt16 = 2
        static let flush: UInt16 = 3
        static let trim: UInt16 = 4
        static let cache: UInt16 = 5
        static let writeZeroes: UInt16 = 6
        static let blockStatus: UInt16 = 7
    }

    enum CommandFlag {
        static let forceUnitAccess: UInt16 = 1
        static let noHole: UInt16 = 1 << 1
        static let dontFragment: UInt16 = 1 << 2
        static let requestOne: UInt16 = 1 << 3
        static let fastZero: UInt16 = 1 << 4
    }

    enum Chunk {
        static let none: UInt16 = 0
        static let data: UInt16 = 1
        static let hole: UInt16 = 2
        static let blockStatus: UInt16 = 5
        static let errorBit: UInt16 = 1 << 15
        static let error: UInt16 = 1 << 15 | 1
        static let errorOffset: UInt16 = 1 << 15 | 2
        static let doneFlag: UInt16 = 1
    }

    enum StateFlag {
        static let hole: UInt32 = 1
        static let zero: UInt32 = 2
        static let dirty: UInt32 = 1
    }

    static let allocationContext = "base:allocation"
    static let depthContext = "qemu:allocation-depth"
    static let bitmapPrefix = "qemu:dirty-bitmap:"

    /// The number that stands for an `errno` value of the host on the wire. The protocol's are Linux's.
    static func wireError(_ status: Int32) -> UInt32 {
        switch status {
        case 0, 1, 5, 12, 22, 28, 75, 95, 108: UInt32(status)
        case 13, 30: 1
        case 27, 122: 28
        default: 22
        }
    }

    /// The `errno` value of a number on the wire; a number that the protocol does not have counts as `EINVAL`.
    static func status(_ wire: UInt32) -> Int32 {
        switch wire {
        case 0, 1, 5, 12, 22, 28, 75, 95, 108: Int32(wire)
        default: 22
        }
    }
}

/// Why a connection cannot be used.
struct NBDFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    static let closed = NBDFailure("The other end closed the connection")
}

/// Big-endian numbers in the order of the wire.
struct NBDBytes {
    var bytes: [UInt8] = []

    init() {}

    mutating func put<Number: FixedWidthInteger>(_ value: Number) {
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> Number(shift)))
        }
    }

    /// A string with its length before it.
    mutating func put(text: String) {
        put(UInt32(truncatingIfNeeded: text.utf8.count))
        bytes += Array(text.utf8)
    }
}

/// Takes numbers and strings of what the other end sent; nil where there is not enough.
struct NBDParser {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var remaining: Int { bytes.count - at }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
        let size = Number.bitWidth / 8
        guard remaining >= size else { return nil }
        defer { at += size }
        return bytes.bigEndian(type, at: at)
    }

    /// `count` bytes as text; nil also for a string that is too long or no UTF-8.
    mutating func text(_ count: Int) -> String? {
        guard count >= 0, count <= NBD.maximumString, remaining >= count else { return nil }
        defer { at += count }
        return String(validating: bytes[at..<at + count], as: UTF8.self)
    }

    /// A string with its length before it.
    mutating func text() -> String? {
        guard let count = number(UInt32.self), count <= UInt32(NBD.maximumString) else { return nil }
        return text(Int(count))
    }
}
