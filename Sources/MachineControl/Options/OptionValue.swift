/// Values as they are written in options.
enum OptionValue {
    /// `on`, `yes`, `true`, `y` and their opposites.
    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "on", "yes", "true", "y": true
        case "off", "no", "false", "n": false
        default: nil
        }
    }

    /// A whole number, decimal or hexadecimal with 0x.
    static func integer(_ text: String) -> Int64? {
        if text.utf8.first == UInt8(ascii: "-") {
            guard let magnitude = unsigned(String(text.dropFirst())), magnitude <= 1 << 63 else { return nil }
            return Int64(truncatingIfNeeded: 0 &- magnitude)
        }
        return unsigned(text).flatMap { Int64(exactly: $0) }
    }

    /// A whole number that is not negative.
    static func unsigned(_ text: String) -> UInt64? {
        let lower = text.lowercased()
        let isHex = lower.hasPrefix("0x")
        let digits = isHex ? String(lower.dropFirst(2)) : lower
        // `UInt64.init` takes a sign, which has no place here.
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return UInt64(digits, radix: isHex ? 16 : 10)
    }

    /// Bytes: a number, perhaps with a fraction, and a suffix of B, K, M, G, T, P or E; without one, times `unit`.
    static func size(_ text: String, unit: UInt64 = 1) -> UInt64? {
        var digits = Substring(text)
        var multiplier = unit
        let isHex = text.hasPrefix("0x") || text.hasPrefix("0X")
        // In hexadecimal B and E are digits.
        if let last = text.utf8.last, let shift = shift(of: last),
            !isHex || (last | 0x20 != 0x62 && last | 0x20 != 0x65)
        {
            multiplier = 1 << shift
            digits = digits.dropLast()
        }
        guard let point = digits.firstIndex(of: ".") else {
            guard let whole = unsigned(String(digits)) else { return nil }
            let (size, overflow) = whole.multipliedReportingOverflow(by: multiplier)
            return overflow ? nil : size
        }
        let fraction = digits[digits.index(after: point)...]
        guard !isHex, multiplier > 1, let whole = unsigned(String(digits[..<point])), !fraction.isEmpty,
            fraction.utf8.allSatisfy({ (48...57).contains($0) }), let part = Double("0.\(fraction)")
        else { return nil }
        let (size, overflow) = whole.multipliedReportingOverflow(by: multiplier)
        // A fraction near 1 of a power of two below 2^61 is at most 2^61.
        let (sum, carry) = size.addingReportingOverflow(UInt64(part * Double(multiplier)))
        return overflow || carry ? nil : sum
    }

    private static func shift(of suffix: UInt8) -> UInt64? {
        switch suffix | 0x20 {
        case UInt8(ascii: "b"): 0
        case UInt8(ascii: "k"): 10
        case UInt8(ascii: "m"): 20
        case UInt8(ascii: "g"): 30
        case UInt8(ascii: "t"): 40
        case UInt8(ascii: "p"): 50
        case UInt8(ascii: "e"): 60
        default: nil
        }
    }

    /// A MAC address: six bytes in hexadecimal, with colons or dashes.
    static func mac(_ text: String) -> [UInt8]? {
        let parts = text.split(whereSeparator: { $0 == ":" || $0 == "-" })
        guard parts.count == 6, text.utf8.count == 17 else { return nil }
        let bytes = parts.compactMap { $0.utf8.count == 2 && $0.first != "+" ? UInt8($0, radix: 16) : nil }
        return bytes.count == 6 ? bytes : nil
    }

    /// A UUID in the form of RFC 9562, 4: its 16 bytes in the order of the text.
    static func uuid(_ text: String) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count == 36 else { return nil }
        var bytes: [UInt8] = []
        var place = 0
        while place < 36 {
            if place == 8 || place == 13 || place == 18 || place == 23 {
                guard characters[place] == UInt8(ascii: "-") else { return nil }
                place += 1
                continue
            }
            guard characters[place] != UInt8(ascii: "+"),
                let byte = UInt8(String(decoding: characters[place..<place + 2], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
            place += 2
        }
        return bytes.count == 16 ? bytes : nil
    }

    /// A PCI address in its usual form `06.0`, of a slot below 32 and perhaps a function below 8, both in hexadecimal
    /// with or without 0x: `6`, `1f.1`, `0x1.0x2`.
    static func pciAddress(_ text: String) -> String? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        func number(_ part: Substring) -> UInt64? { unsigned(part.hasPrefix("0x") ? String(part) : "0x" + part) }
        guard parts.count <= 2, let slot = number(parts[0]), slot < 32 else { return nil }
        guard let function = parts.count == 2 ? number(parts[1]) : 0, function < 8 else { return nil }
        return (slot < 16 ? "0" : "") + String(slot, radix: 16) + ".\(function)"
    }
}
