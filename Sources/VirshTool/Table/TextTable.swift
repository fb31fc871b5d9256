/// Rows of text in columns, as wide as their widest cell.
struct TextTable {
    private var rows: [[String]]

    /// A table with the names of its columns.
    init(_ header: String...) { rows = [header] }
    init(header: [String]) { rows = [header] }

    /// Adds a row with as many cells as the header has.
    mutating func add(_ cells: String...) { rows.append(cells.map(TextTable.printable)) }
    mutating func add(cells: [String]) { rows.append(cells.map(TextTable.printable)) }

    /// A cell is one line: control characters and broken text are written as their bytes.
    private static func printable(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 32 || $0 == 127 }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.value < 32 || scalar.value == 127 {
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.utf8.count == 1 ? "0" : "") + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// How many places of a terminal a text takes.
    static func width(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 128 }) { return text.utf8.count }
        return text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        // Wide and full-width forms of UAX #11, in coarse blocks.
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// The whole table. Without the header it is rows alone.
    func text(withHeader: Bool) -> String {
        var widths = [Int](repeating: 0, count: rows[0].count)
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], TextTable.width(cell)) }
        }
        var text = ""
        for (number, row) in rows.enumerated() where number > 0 || withHeader {
            for (index, cell) in row.enumerated() {
                text += " " + cell
                if index < row.count - 1 {
                    text += String(repeating: " ", count: widths[index] - TextTable.width(cell) + 2)
                }
            }
            text += "\n"
            if number == 0 { text += String(repeating: "-", count: widths.reduce(0) { $0 + $1 + 3 }) + "\n" }
        }
        return text
    }
}
