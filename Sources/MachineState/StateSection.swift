/// The frame around each part of a stream. A stream is a head of 16 bytes, sections, and the end section:
///
///     head: "APUSSTAT", format u32, reserved u32
///     section: kind u8, reserved u8, length of the name u16, version u32, length of the payload u64,
///              checksum of the payload u64, checksum of all before and of the name u64, name, payload
struct SectionHead: Equatable {
    enum Kind {
        static let values: UInt8 = 1
        static let memory: UInt8 = 2
        static let end: UInt8 = 3
        /// Memory whose contents are packed: behind the runs method u32, reserved u32, packed bytes.
        static let packed: UInt8 = 4
    }
    static let magic = Array("APUSSTAT".utf8)
    static let format: UInt32 = 1
    static let size = 32
    static let nameLimit = 255
    /// The most bytes of a section with values; guards the reader's memory.
    static let valuesLimit: UInt64 = 64 << 20

    var kind: UInt8
    var name: String
    var version: UInt32 = 0
    var count: UInt64
    var checksum: UInt64

    /// The frame's bytes, with the name.
    var encoded: [UInt8] {
        let text = Array(name.utf8)
        var bytes: [UInt8] = [kind, 0]
        StateCoding.append(UInt16(text.count), to: &bytes)
        StateCoding.append(version, to: &bytes)
        StateCoding.append(count, to: &bytes)
        StateCoding.append(checksum, to: &bytes)
        StateCoding.append(Self.check(bytes, text), to: &bytes)
        return bytes + text
    }

    static func check(_ bytes: [UInt8], _ name: [UInt8]) -> UInt64 {
        var sum = StateChecksum()
        sum.add(bytes)
        sum.add(name)
        return sum.value
    }
}

/// A run of pages of one block of guest memory.
public struct PageRun: Equatable, Sendable {
    /// The first page's number in its block.
    public var first: UInt64
    /// Pages, at least 1.
    public var count: UInt32
    /// All of them hold zeroes only, and are not in the stream.
    public var isZero: Bool

    /// A run of all parts.
    public init(first: UInt64, count: UInt32, isZero: Bool) {
        self.first = first
        self.count = count
        self.isZero = isZero
    }

    /// The most runs of a section.
    public static let runLimit = 512
    /// The most pages with contents in a section.
    public static let pageLimit = 256
    static let pageSize = 4096
    static let encodedSize = 16
}
