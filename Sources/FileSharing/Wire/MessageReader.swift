internal import CLinux

/// A message of 9P2000.L as a guest has sent it: little-endian integers and counted strings, one behind the other. What
/// is not there is an error (EINVAL).
struct MessageReader {
    private let bytes: [UInt8]
    private var place: Int
    private let end: Int

    /// A message's bytes from `start` to `end`, which lie within `bytes`.
    init(_ bytes: [UInt8], from start: Int, to end: Int) {
        self.bytes = bytes
        self.end = min(end, bytes.count)
        place = min(start, self.end)
    }

    /// The next integer.
    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws(ShareError) -> T {
        let size = MemoryLayout<T>.size
        guard end - place >= size else { throw ShareError(EINVAL) }
        var value: T = 0
        for index in 0..<size { value |= T(truncatingIfNeeded: bytes[place + index]) << T(index * 8) }
        place += size
        return value
    }
    mutating func u16() throws(ShareError) -> UInt16 { try integer(UInt16.self) }
    mutating func u32() throws(ShareError) -> UInt32 { try integer(UInt32.self) }
    mutating func u64() throws(ShareError) -> UInt64 { try integer(UInt64.self) }

    /// The next string's bytes.
    mutating func string() throws(ShareError) -> [UInt8] {
        let count = Int(try u16())
        guard end - place >= count else { throw ShareError(EINVAL) }
        defer { place += count }
        return [UInt8](bytes[place..<(place + count)])
    }
    /// The next string as a name in a folder.
    mutating func name() throws(ShareError) -> FileName { try FileName(try string()) }
    /// Skips a string.
    mutating func skipString() throws(ShareError) { _ = try string() }

    /// The place of the next `count` bytes.
    mutating func data(_ count: UInt32) throws(ShareError) -> Range<Int> {
        guard Int(count) <= end - place else { throw ShareError(EINVAL) }
        defer { place += Int(count) }
        return place..<(place + Int(count))
    }

    /// Nothing may follow.
    func finish() throws(ShareError) {
        if place != end { throw ShareError(EINVAL) }
    }
}
