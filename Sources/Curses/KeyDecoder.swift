/// A key as a terminal tells of it.
package struct TypedKey: Equatable, Sendable {
    /// Its symbol (X11's keysyms).
    package var symbol: UInt32
    package var shift = false
    package var control = false
    package var alt = false

    /// A key of all parts.
    package init(symbol: UInt32, shift: Bool = false, control: Bool = false, alt: Bool = false) {
        (self.symbol, self.shift, self.control, self.alt) = (symbol, shift, control, alt)
    }
}

/// Finds keys in what a terminal sends: characters, control characters, and the sequences of xterm, the VT220, the Linux
/// console and rxvt. A pure value.
///
/// The escape key sends the byte that sequences begin with: it is one alone when nothing has followed for a while, which
/// the caller tells by `flush`.
package struct KeyDecoder: Sendable {
    private enum Phase: Sendable {
        case text
        case escape
        /// After `ESC [`, `ESC [ [` or `ESC O`, each with alt held or not.
        case sequence
        case linux
        case single
        /// In a character of UTF-8 beyond ASCII, which no key of the guest's has.
        case character(left: Int)
    }
    private var phase = Phase.text
    private var numbers: [Int] = []
    private var hasAlt = false
    private var isOpaque = false

    /// A decoder that has taken nothing.
    package init() {}

    /// Whether more may follow, so that `flush` is due when it does not.
    package var isWaiting: Bool { if case .text = phase { hasAlt } else { true } }

    /// Takes a byte, and tells of the key that it ends.
    package mutating func take(_ byte: UInt8) -> TypedKey? {
        switch phase {
        case .text: return text(byte)
        case .escape:
            phase = .text
            switch byte {
            case UInt8(ascii: "["):
                (phase, numbers, isOpaque) = (.sequence, [], false)
                return nil
            case UInt8(ascii: "O"):
                (phase, numbers) = (.single, [])
                return nil
            case 0x1B:
                // Escape with alt, or the first byte of a sequence with alt.
                if hasAlt { return finish(TypedKey(symbol: 0xFF1B, alt: true)) }
                (phase, hasAlt) = (.escape, true)
                return nil
            default:
                hasAlt = true
                return text(byte)
            }
        case .sequence: return sequence(byte)
        case .linux:
            guard 0x41...0x45 ~= byte else { return finish(nil) }
            return finish(TypedKey(symbol: 0xFFBE + UInt32(byte - 0x41)))
        case .single:
            switch byte {
            case 0x30...0x39:
                numbers = [min((numbers.first ?? 0) * 10 + Int(byte - 0x30), 99)]
                return nil
            default: return finish(Self.letter(byte).map { with($0, numbers.first ?? 1) })
            }
        case .character(let left):
            guard 0x80...0xBF ~= byte else {
                phase = .text
                hasAlt = false
                return text(byte)
            }
            if left > 1 { phase = .character(left: left - 1) } else { return finish(nil) }
            return nil
        }
    }

    /// Nothing has followed: what is there is all.
    package mutating func flush() -> TypedKey? {
        switch phase {
        case .escape: return finish(TypedKey(symbol: 0xFF1B, alt: hasAlt))
        // Alt with a letter that sequences begin with.
        case .sequence where numbers.isEmpty && !isOpaque: return finish(TypedKey(symbol: 0x5B, alt: true))
        case .single where numbers.isEmpty: return finish(TypedKey(symbol: 0x4F, shift: true, alt: true))
        default: return finish(nil)
        }
    }

    private mutating func finish(_ key: TypedKey?) -> TypedKey? {
        var key = key
        if hasAlt { key?.alt = true }
        (phase, numbers, hasAlt, isOpaque) = (.text, [], false, false)
        return key
    }

    private mutating func text(_ byte: UInt8) -> TypedKey? {
        switch byte {
        case 0x1B:
            phase = .escape
            return nil
        case 0x00: return finish(TypedKey(symbol: 0x20, control: true))
        case 0x08, 0x7F: return finish(TypedKey(symbol: 0xFF08))
        case 0x09: return finish(TypedKey(symbol: 0xFF09))
        case 0x0A, 0x0D: return finish(TypedKey(symbol: 0xFF0D))
        case 0x01...0x1A: return finish(TypedKey(symbol: UInt32(byte) + 0x60, control: true))
        // Backslash, bracket, circumflex and underscore.
        case 0x1C, 0x1D: return finish(TypedKey(symbol: UInt32(byte) + 0x40, control: true))
        case 0x1E: return finish(TypedKey(symbol: 0x36, shift: true, control: true))
        case 0x1F: return finish(TypedKey(symbol: 0x2D, shift: true, control: true))
        case 0x20...0x7E: return finish(TypedKey(symbol: UInt32(byte)))
        case 0xC2...0xDF: phase = .character(left: 1)
        case 0xE0...0xEF: phase = .character(left: 2)
        case 0xF0...0xF4: phase = .character(left: 3)
        default: return finish(nil)
        }
        return nil
    }

    private mutating func sequence(_ byte: UInt8) -> TypedKey? {
        switch byte {
        case UInt8(ascii: "[") where numbers.isEmpty && !isOpaque:
            phase = .linux
            return nil
        case 0x30...0x39:
            if numbers.isEmpty { numbers = [0] }
            numbers[numbers.count - 1] = min(numbers[numbers.count - 1] * 10 + Int(byte - 0x30), 9999)
            return nil
        case UInt8(ascii: ";"):
            if numbers.isEmpty { numbers = [0] }
            if numbers.count < 8 { numbers.append(0) }
            return nil
        // rxvt's shift, control and both end a sequence that is a number.
        case UInt8(ascii: "$") where numbers.count == 1, UInt8(ascii: "^") where numbers.count == 1,
            UInt8(ascii: "@") where numbers.count == 1:
            let number = byte == UInt8(ascii: "$") ? 2 : byte == UInt8(ascii: "^") ? 5 : 6
            return finish(Self.number(numbers[0]).map { with($0, number) })
        case 0x20...0x2F, 0x3A, 0x3C...0x3F:
            // Answers of the terminal's, not keys.
            isOpaque = true
            return nil
        case 0x1B:
            _ = finish(nil)
            phase = .escape
            return nil
        case 0x40...0x7E:
            if isOpaque { return finish(nil) }
            if byte == UInt8(ascii: "Z") { return finish(TypedKey(symbol: 0xFF09, shift: true)) }
            let symbol = byte == UInt8(ascii: "~") ? Self.number(numbers.first ?? 0) : Self.letter(byte)
            return finish(symbol.map { with($0, numbers.count > 1 ? numbers[1] : 1) })
        default: return finish(nil)
        }
    }

    /// A key with xterm's number of modifiers: one more than shift 1, alt 2 and control 4.
    private func with(_ symbol: UInt32, _ modifiers: Int) -> TypedKey {
        let bits = max(0, modifiers - 1)
        return TypedKey(symbol: symbol, shift: bits & 1 != 0, control: bits & 4 != 0, alt: bits & 2 != 0)
    }

    private static func letter(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A"): 0xFF52
        case UInt8(ascii: "B"): 0xFF54
        case UInt8(ascii: "C"): 0xFF53
        case UInt8(ascii: "D"): 0xFF51
        case UInt8(ascii: "F"): 0xFF57
        case UInt8(ascii: "H"): 0xFF50
        case UInt8(ascii: "M"): 0xFF8D
        case UInt8(ascii: "P")...UInt8(ascii: "S"): 0xFFBE + UInt32(byte) - 0x50
        default: nil
        }
    }

    private static func number(_ number: Int) -> UInt32? {
        switch number {
        case 1, 7: 0xFF50
        case 2: 0xFF63
        case 3: 0xFFFF
        case 4, 8: 0xFF57
        case 5: 0xFF55
        case 6: 0xFF56
        // F1 to F5, F6 to F10, F11 and F12, with a gap before each.
        case 11...15: 0xFFBE + UInt32(number - 11)
        case 17...21: 0xFFC3 + UInt32(number - 17)
        case 23, 24: 0xFFC8 + UInt32(number - 23)
        default: nil
        }
    }
}
