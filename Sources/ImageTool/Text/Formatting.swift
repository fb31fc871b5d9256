internal import CLinux

/// Text as C's `printf` makes it, for outputs that programs read.
enum Formatting {
    /// `snprintf`. The arguments must fit the format, which is a constant.
    static func c(_ format: String, _ arguments: any CVarArg...) -> String {
        var buffer = [CChar](repeating: 0, count: 512)
        // SAFETY: the C library writes at most the buffer's size; the arguments live for the call.
        let count = unsafe withVaList(arguments) { list in
            unsafe buffer.withUnsafeMutableBufferPointer { bytes in
                unsafe vsnprintf(bytes.baseAddress!, bytes.count, format, list)
            }
        }
        let length = max(0, min(Int(count), buffer.count - 1))
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A number of bytes with three digits and a unit, as in `1.21 MiB`.
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        // 1000 of a unit are written as 0.977 of the next.
        var unit = 0
        while unit < units.count - 1 && Double(bytes) / Double(UInt64(1) << UInt64(10 * unit)) >= 1000 { unit += 1 }
        let value = Double(bytes) / Double(UInt64(1) << UInt64(10 * unit))
        return c("%0.3g ", value) + units[unit]
    }

    /// `text` with spaces before or after it up to a width.
    static func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
        let fill = String(repeating: " ", count: max(0, width - text.utf8.count))
        return left ? text + fill : fill + text
    }

    /// A time of the host's in its time zone.
    static func localTime(_ seconds: UInt32) -> String {
        var time = time_t(seconds)
        var parts = unsafe tm()
        // SAFETY: both outlive the call.
        guard unsafe localtime_r(&time, &parts) != nil else { return "" }
        return unsafe c(
            "%04d-%02d-%02d %02d:%02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
            parts.tm_min, parts.tm_sec)
    }

    /// The text of an `errno` value.
    static func reason(_ status: Int32) -> String {
        // SAFETY: the text is the C library's own and copied at once.
        unsafe strerror(status).map { unsafe String(cString: $0) } ?? "Unknown error \(status)"
    }
}
