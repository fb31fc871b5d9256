/// Numbers as `qemu-io` writes and reads them.
enum IOText {
    /// A size with a unit and three digits after the point, where they are not all zero.
    static func size(_ value: Double) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var scaled = value
        var unit = 0
        while unit < units.count && scaled >= 1024 {
            scaled /= 1024
            unit += 1
        }
        let text = Formatting.c(unit == 0 ? "%f" : "%.3f", scaled)
        let name = unit == 0 ? "bytes" : units[unit - 1]
        var rest = text[...]
        while let point = rest.firstIndex(of: ".") {
            if rest[point...].hasPrefix(".000") { return "\(text[..<point]) \(name)" }
            rest = rest[rest.index(after: point)...]
        }
        return "\(text) \(name)"
    }

    static func size(_ value: UInt64) -> String { size(Double(value)) }

    /// A pattern byte, decimal, octal or hexadecimal.
    static func pattern(_ text: String) -> UInt8? {
        let value: Int?
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            value = Int(text.dropFirst(2), radix: 16)
        } else if text.hasPrefix("0") && text.utf8.count > 1 {
            value = Int(text, radix: 8)
        } else {
            value = Int(text)
        }
        return value.flatMap { UInt8(exactly: $0) }
    }

    /// What was done, how long it took, and how fast that was.
    static func report(
        _ verb: String, offset: UInt64, count: UInt64, nanoseconds: UInt64, isBrief: Bool
    ) -> String {
        let seconds = max(Double(nanoseconds) / 1e9, 1e-9)
        let whole = UInt64(seconds)
        let (hours, minutes) = (Int32(truncatingIfNeeded: whole / 3600), Int32(whole / 60 % 60))
        let rest = seconds - Double(whole / 60 * 60)
        let isLong = hours > 0 || minutes > 0
        let (rate, operations) = (Double(count) / seconds, 1 / seconds)
        if isBrief {
            let time = Formatting.c("%u:%02u:%05.2f", hours, minutes, rest)
            return Formatting.c("%llu,1,", count) + time + Formatting.c(",%.3f,%.3f\n", rate, operations)
        }
        let time = isLong ? Formatting.c("%u:%02u:%05.2f", hours, minutes, rest) : Formatting.c("%05.2f sec", rest)
        return "\(verb) \(count)/\(count) bytes at offset \(offset)\n"
            + "\(size(count)), 1 ops; \(time) (\(size(rate))/sec and \(Formatting.c("%.4f", operations)) ops/sec)\n"
    }

    /// Bytes in rows of sixteen, with what is a letter or a digit of them.
    static func dump(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> String {
        var text = ""
        var at = 0
        while at < bytes.count {
            // SAFETY: the caller's memory is valid for the call; the range lies inside it.
            let row = unsafe bytes[at..<min(at + 16, bytes.count)]
            text += Formatting.c("%08llx:  ", offset + UInt64(at))
            var letters = ""
            for unsafe byte in unsafe row {
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16) + " "
                let isLetter = (byte >= 48 && byte <= 57) || (byte | 0x20 >= 97 && byte | 0x20 <= 122)
                letters.unicodeScalars.append(isLetter ? Unicode.Scalar(byte) : ".")
            }
            text += " \(letters)\n"
            at += 16
        }
        return text
    }
}
