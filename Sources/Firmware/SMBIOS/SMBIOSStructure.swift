/// One structure while it is built: its formatted part, then its strings (SMBIOS 3.7, 6.1).
struct SMBIOSStructure {
    private var formatted: [UInt8]
    private var strings: [[UInt8]] = []

    init(type: UInt8, handle: UInt16) {
        formatted = [type, 0]
        formatted.append(little: handle)
    }

    mutating func append(_ value: some FixedWidthInteger) { formatted.append(little: value) }
    mutating func append(_ bytes: [UInt8]) { formatted += bytes }

    /// Appends a string's number; 0 for an empty one.
    mutating func append(_ text: String) {
        let bytes = text.utf8.filter { $0 != 0 }
        guard !bytes.isEmpty else {
            formatted.append(0)
            return
        }
        strings.append(bytes)
        formatted.append(UInt8(clamping: strings.count))
    }

    /// Adds strings that only their order names.
    mutating func append(unnumbered texts: [String]) { strings += texts.map { $0.utf8.filter { $0 != 0 } } }

    /// The whole structure.
    var bytes: [UInt8] {
        var result = formatted
        result[1] = UInt8(clamping: formatted.count)
        for string in strings { result += string + [0] }
        if strings.isEmpty { result.append(0) }
        return result + [0]
    }
}
