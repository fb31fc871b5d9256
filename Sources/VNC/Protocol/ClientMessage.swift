/// A message of a viewer. RFC 6143, 7.5, and the extensions that the community's protocol registers.
package enum ClientMessage: Equatable {
    case pixelFormat(PixelFormat)
    case encodings([Int32])
    case update(isIncremental: Bool, x: Int, y: Int, width: Int, height: Int)
    case key(symbol: UInt32, isDown: Bool)
    case scanCode(UInt32, symbol: UInt32, isDown: Bool)
    case pointer(buttons: UInt16, x: Int, y: Int)
    case cutText([UInt8])
    /// The extended clipboard's flags, and what belongs to them.
    case clipboard(UInt32, [UInt8])
    case desktopSize(width: Int, height: Int)
    /// One that asks for nothing that is here, such as sound.
    case ignored
}

/// Why a viewer is sent away.
package struct ProtocolViolation: Error, Equatable {
    let reason: String
}

/// Takes messages out of a stream. Nothing is kept of one that is not whole but its bytes, of which there is a limit.
package struct ClientMessageParser {
    /// Longest text of a clipboard.
    static let textLimit = 1 << 20
    /// Most encodings that are listened to.
    private static let encodingLimit = 4096

    private var bytes: [UInt8] = []
    private var start = 0
    /// Whether a pointer's ninth and tenth buttons may come.
    package var hasExtendedMouse = false

    /// A parser of a stream's start.
    package init() {}

    package mutating func append(_ more: [UInt8]) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    private var count: Int { bytes.count - start }
    private func byte(_ offset: Int) -> UInt8 { bytes[start + offset] }
    private func wide(_ offset: Int) -> Int { Int(byte(offset)) << 8 | Int(byte(offset + 1)) }
    private func long(_ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 8 | UInt32(byte(offset + $1)) }
    }

    /// The next message, or nil until there is more.
    package mutating func next() throws(ProtocolViolation) -> ClientMessage? {
        guard count > 0 else { return nil }
        guard let length = try length(), count >= length else { return nil }
        defer { start += length }
        switch byte(0) {
        case 0:
            guard let format = PixelFormat(bytes[(start + 4)..<(start + 20)]) else {
                throw ProtocolViolation(reason: "an impossible pixel format")
            }
            return .pixelFormat(format)
        case 2: return .encodings((0..<wide(2)).map { Int32(bitPattern: long(4 + $0 * 4)) })
        case 3:
            return .update(isIncremental: byte(1) != 0, x: wide(2), y: wide(4), width: wide(6), height: wide(8))
        case 4: return .key(symbol: long(4), isDown: byte(1) != 0)
        case 5:
            let isLong = hasExtendedMouse && byte(1) & 0x80 != 0
            let buttons = UInt16(byte(1) & 0x7F) | (isLong ? UInt16(byte(6)) << 7 : UInt16(byte(1) & 0x80))
            return .pointer(buttons: buttons, x: wide(2), y: wide(4))
        case 6:
            guard Int32(bitPattern: long(4)) < 0 else { return .cutText(Array(bytes[(start + 8)..<(start + length)])) }
            return length >= 12 ? .clipboard(long(8), Array(bytes[(start + 12)..<(start + length)])) : .ignored
        case 251: return .desktopSize(width: wide(2), height: wide(4))
        case 255 where byte(1) == 0: return .scanCode(long(8), symbol: long(4), isDown: wide(2) != 0)
        default: return .ignored
        }
    }

    /// The length of the message that begins; nil until that is known.
    private func length() throws(ProtocolViolation) -> Int? {
        switch byte(0) {
        case 0: return 20
        case 2:
            guard count >= 4 else { return nil }
            guard wide(2) <= Self.encodingLimit else { throw ProtocolViolation(reason: "too many encodings") }
            return 4 + wide(2) * 4
        case 3: return 10
        case 4: return 8
        case 5:
            guard count >= 2 else { return nil }
            return hasExtendedMouse && byte(1) & 0x80 != 0 ? 7 : 6
        case 6:
            guard count >= 8 else { return nil }
            // A negative length is that of the extended clipboard.
            let length = Int(Int32(bitPattern: long(4)).magnitude)
            guard length <= Self.textLimit else { throw ProtocolViolation(reason: "a text of \(length) bytes") }
            return 8 + length
        case 251:
            guard count >= 8 else { return nil }
            return 8 + Int(byte(6)) * 16
        case 255:
            guard count >= 2 else { return nil }
            if byte(1) == 0 { return 12 }
            guard byte(1) == 1 else { throw ProtocolViolation(reason: "an unknown message") }
            guard count >= 4 else { return nil }
            return wide(2) == 2 ? 10 : 4
        default: throw ProtocolViolation(reason: "an unknown message \(byte(0))")
        }
    }
}
