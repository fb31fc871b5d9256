internal import CLinux

/// An IPv4 address.
public struct IPv4Address: Sendable, Hashable, CustomStringConvertible {
    /// The address as a number: 10.0.2.15 is 0x0A00020F.
    public let rawValue: UInt32

    /// An address from its number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// An address from four decimal numbers between dots, without leading zeros (inet_pton(3)).
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.utf8.count <= 3, part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let byte = UInt8(part),
                part.utf8.count == 1 || part.first != "0"
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        rawValue = value
    }

    public var description: String {
        [24, 16, 8, 0].map { String(rawValue >> UInt32($0) & 255) }.joined(separator: ".")
    }

    /// The mask of a network with so many leading bits in common.
    static func mask(_ prefixLength: Int) -> UInt32 {
        prefixLength <= 0 ? 0 : prefixLength >= 32 ? UInt32.max : ~(UInt32.max >> UInt32(prefixLength))
    }
}

/// An IPv6 address.
public struct IPv6Address: Sendable, Hashable, CustomStringConvertible {
    /// Its 16 bytes, in the order of the network.
    public let bytes: [UInt8]

    /// An address in any of the forms of inet_pton(3).
    public init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        // SAFETY: the call writes the 16 bytes of the array; the C string lives for the call.
        guard !text.utf8.contains(0), unsafe text.withCString({ unsafe inet_pton(AF_INET6, $0, &bytes) }) == 1 else {
            return nil
        }
        self.bytes = bytes
    }

    /// An address of 16 bytes; missing ones are 0.
    public init(bytes: [UInt8]) {
        self.bytes = Array((bytes + [UInt8](repeating: 0, count: 16)).prefix(16))
    }

    public var description: String {
        var text = [CChar](repeating: 0, count: 64)
        // SAFETY: the address has 16 bytes, the text room for any IPv6 address.
        _ = unsafe inet_ntop(AF_INET6, bytes, &text, 64)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// This network's address with another last byte.
    func withLastByte(_ byte: UInt8) -> IPv6Address { IPv6Address(bytes: bytes.dropLast() + [byte]) }
}
