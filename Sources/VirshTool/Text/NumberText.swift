/// Numbers as C's functions read them, and sizes with units.
enum NumberText {
    /// A whole number: decimal, `0x…`, or octal with a leading zero; spaces before it are allowed.
    static func integer(_ text: String) -> Int128? {
        var rest = text.drop { $0 == " " || $0 == "\t" }
        let negative = rest.first == "-"
        if negative || rest.first == "+" { rest = rest.dropFirst() }
        let value: Int128?
        if rest.hasPrefix("0x") || rest.hasPrefix("0X") {
            value = plain(rest.dropFirst(2), 16)
        } else if rest.count > 1, rest.first == "0" {
            value = plain(rest.dropFirst(), 8)
        } else {
            value = plain(rest, 10)
        }
        return value.map { negative ? -$0 : $0 }
    }

    private static func plain(_ digits: Substring, _ radix: Int) -> Int128? {
        guard let first = digits.first, first != "-", first != "+", digits.utf8.count <= 24 else { return nil }
        return Int128(digits, radix: radix)
    }

    /// A decimal number with libvirt's units: `b`, `KiB`, `K`, `KB`, … up to `EiB`.
    static func scaled(_ text: String, _ scale: UInt64) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits) else { return nil }
        let suffix = text[digits.endIndex...].drop { $0 == " " }
        guard let unit = suffix.isEmpty ? scale : unit(suffix.lowercased()) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : product
    }

    private static func unit(_ suffix: String) -> UInt64? {
        if suffix == "b" || suffix == "byte" || suffix == "bytes" { return 1 }
        guard let first = suffix.first, let place = Array("kmgtpe").firstIndex(of: first) else { return nil }
        let power = place + 1
        switch suffix.dropFirst() {
        case "", "ib": return 1 << UInt64(10 * power)
        case "b": return (0..<power).reduce(UInt64(1)) { value, _ in value * 1000 }
        default: return nil
        }
    }

    /// A size in the largest unit that leaves it over 1: value and unit.
    static func pretty(_ bytes: UInt64) -> (value: Double, unit: String) {
        var value = Double(bytes)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
            if value < 1024 { return (value, unit) }
            value /= 1024
        }
        return (value, "EiB")
    }

    /// A number with so many digits behind the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (abs(value) * scale).rounded(.toNearestOrEven)
        guard scaled < 9e18 else { return "\(value)" }
        let all = String(UInt64(scaled))
        let padded = String(repeating: "0", count: max(0, digits + 1 - all.utf8.count)) + all
        let sign = value < 0 && scaled > 0 ? "-" : ""
        return sign + (digits == 0 ? padded : "\(padded.dropLast(digits)).\(padded.suffix(digits))")
    }

    /// Text in a field of its width, at the left or the right.
    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
