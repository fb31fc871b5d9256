/// Cuts the byte stream of GDB's remote protocol into packets, and makes packets of replies (GDB's manual, "Remote
/// Protocol", Overview).
package struct RemoteFramer {
    package enum Event: Equatable {
        /// The content of a packet whose sum is right.
        case packet([UInt8])
        /// A packet whose sum is wrong.
        case damaged
        /// The last reply is to be sent again.
        case again
        /// Ctrl-C.
        case interrupt
    }
    /// The longest content that is taken; longer packets are damaged.
    package static let limit = 0x8000

    private enum State {
        case idle
        case content
        case escaped
        case firstDigit
        case secondDigit(UInt8)
    }
    private var state = State.idle
    private var content: [UInt8] = []
    private var sum: UInt8 = 0
    private var isTooLong = false

    /// At the start of the stream.
    package init() {}

    /// Takes a byte; gives what it completes.
    package mutating func take(_ byte: UInt8) -> Event? {
        switch state {
        case .idle:
            switch byte {
            case UInt8(ascii: "$"): begin()
            case UInt8(ascii: "-"): return .again
            case 3: return .interrupt
            default: break
            }
        case .content:
            switch byte {
            case UInt8(ascii: "#"): state = .firstDigit
            case UInt8(ascii: "$"): begin()
            case UInt8(ascii: "}"):
                sum &+= byte
                state = .escaped
            default: add(byte, raw: byte)
            }
        case .escaped:
            state = .content
            add(byte ^ 0x20, raw: byte)
        case .firstDigit: state = .secondDigit(byte)
        case .secondDigit(let first):
            state = .idle
            defer { content = [] }
            guard !isTooLong, let high = Hexadecimal.digit(first), let low = Hexadecimal.digit(byte),
                high << 4 | low == sum
            else { return .damaged }
            return .packet(content)
        }
        return nil
    }

    private mutating func begin() {
        state = .content
        content = []
        sum = 0
        isTooLong = false
    }

    private mutating func add(_ byte: UInt8, raw: UInt8) {
        sum &+= raw
        guard content.count < Self.limit else {
            isTooLong = true
            return
        }
        content.append(byte)
    }

    /// A packet of a reply.
    package static func packet(_ content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "$")]
        var sum: UInt8 = 0
        for byte in content {
            switch byte {
            case UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "*"), UInt8(ascii: "}"):
                bytes += [UInt8(ascii: "}"), byte ^ 0x20]
                sum &+= UInt8(ascii: "}") &+ (byte ^ 0x20)
            default:
                bytes.append(byte)
                sum &+= byte
            }
        }
        return bytes + [UInt8(ascii: "#")] + Hexadecimal.text([sum])
    }
}

/// Numbers and bytes in hexadecimal digits.
enum Hexadecimal {
    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Two digits a byte.
    static func text(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// The bytes of digits; nil where they are not pairs of digits.
    static func bytes(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 2)
        var at = text.startIndex
        while at < text.endIndex {
            guard let high = digit(text[at]), let low = digit(text[at + 1]) else { return nil }
            result.append(high << 4 | low)
            at += 2
        }
        return result
    }

    /// A number of 1 to 16 digits.
    static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count <= 16 else { return nil }
        var value: UInt64 = 0
        for byte in text {
            guard let digit = digit(byte) else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
