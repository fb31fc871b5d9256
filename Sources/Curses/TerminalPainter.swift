package import Display

/// Brings a terminal from what it shows to what it ought to show, by the sequences of ECMA-48 that all terminals know.
/// A pure value.
package struct TerminalPainter: Sendable {
    private struct Glyph: Equatable, Sendable {
        var scalar: UInt32 = 0x20
        var ink: UInt8 = 7
        var paper: UInt8 = 0
        var blinks = false
    }
    /// The largest terminal that is painted, along each side; what is beyond stays empty.
    static let limit = 512
    /// What a terminal is told first: another screen, whose lines do not wrap.
    package static let greeting = Array("\u{1B}[?1049h\u{1B}[?7l\u{1B}[0m\u{1B}[2J".utf8)
    /// What gives the terminal back as it was.
    package static let farewell = Array("\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l".utf8)

    private let isUnicode: Bool
    private var columns = 0
    private var rows = 0
    /// What the terminal shows, of `columns` times `rows`; empty while that is not known.
    private var shown: [Glyph] = []
    private var showsCursor = true
    /// Where the terminal's cursor stands, as far as is known.
    private var place = -1
    private var style: Glyph?

    /// A painter of a terminal that shows Unicode, or ASCII alone.
    package init(isUnicode: Bool) { self.isUnicode = isUnicode }

    /// The bytes that show a text in the middle of a terminal of some size; none where it shows that.
    package mutating func paint(_ text: ScreenText, columns: Int, rows: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        let (columns, rows) = (min(max(columns, 1), Self.limit), min(max(rows, 1), Self.limit))
        if columns != self.columns || rows != self.rows || shown.isEmpty {
            (self.columns, self.rows) = (columns, rows)
            // No glyph is like this one: all are painted once, as a terminal's own colours may be others.
            shown = [Glyph](repeating: Glyph(scalar: 0), count: columns * rows)
            (place, style) = (-1, nil)
            bytes += Array("\u{1B}[0m\u{1B}[2J".utf8)
        }
        let (wanted, cursor) = compose(text)
        for row in 0..<rows { paint(row, wanted, &bytes) }
        shown = wanted
        if let cursor {
            if place != cursor { move(to: cursor, &bytes) }
            if !showsCursor { bytes += Array("\u{1B}[?25h".utf8) }
        } else if showsCursor {
            bytes += Array("\u{1B}[?25l".utf8)
        }
        showsCursor = cursor != nil
        return bytes
    }

    // MARK: What there is to show

    private func compose(_ text: ScreenText) -> (glyphs: [Glyph], cursor: Int?) {
        let page: TextPage
        switch text {
        case .page(let shown): page = shown
        case .graphics(let width, let height): page = Self.note("\(width) x \(height) Graphic mode")
        case .blank: page = Self.note("Blank screen")
        }
        var glyphs = [Glyph](repeating: Glyph(), count: columns * rows)
        // A smaller page stands in the middle; of a larger one the part around the cursor is seen.
        let place = page.cursor ?? 0
        let at = (column: place % page.columns, row: place / page.columns)
        let left = Self.offset(page.columns, in: columns, around: at.column)
        let top = Self.offset(page.rows, in: rows, around: at.row)
        for row in max(0, top)..<max(max(0, top), min(rows, page.rows + top)) {
            for column in max(0, left)..<max(max(0, left), min(columns, page.columns + left)) {
                let cell = page.cells[(row - top) * page.columns + column - left]
                glyphs[row * columns + column] = Glyph(
                    scalar: CodePage437.scalar(cell.code, isUnicode: isUnicode), ink: cell.ink & 15,
                    paper: cell.paper & 15, blinks: cell.blinks)
            }
        }
        guard page.cursor != nil else { return (glyphs, nil) }
        return (glyphs, (at.row + top) * columns + at.column + left)
    }

    /// How far a page of a length is moved, so that it stands in the middle, or a place of it is in sight.
    private static func offset(_ length: Int, in room: Int, around place: Int) -> Int {
        length <= room ? (room - length) / 2 : -min(max(0, place - room + 1), length - room)
    }

    private static func note(_ words: String) -> TextPage {
        let bytes = Array(words.utf8)
        var page = TextPage(columns: bytes.count, rows: 1)
        for (index, byte) in bytes.enumerated() { page.cells[index].code = byte }
        return page
    }

    // MARK: Bytes

    private mutating func paint(_ row: Int, _ wanted: [Glyph], _ bytes: inout [UInt8]) {
        let start = row * columns
        var column = 0
        while column < columns {
            let index = start + column
            guard wanted[index] != shown[index] else {
                column += 1
                continue
            }
            // A few characters that stay cost less than a way around them.
            if place >= start, place < index, index - place <= 4 {
                for between in place..<index { put(wanted[between], &bytes) }
            } else if place != index {
                move(to: index, &bytes)
            }
            put(wanted[index], &bytes)
            column += 1
            // Where the cursor stands after the last column, terminals differ.
            place = column < columns ? index + 1 : -1
        }
    }

    private mutating func move(to index: Int, _ bytes: inout [UInt8]) {
        bytes += Array("\u{1B}[\(index / columns + 1);\(index % columns + 1)H".utf8)
        place = index
    }

    private mutating func put(_ glyph: Glyph, _ bytes: inout [UInt8]) {
        if style?.ink != glyph.ink || style?.paper != glyph.paper || style?.blinks != glyph.blinks {
            let ink = glyph.ink < 8 ? 30 + Int(glyph.ink) : 82 + Int(glyph.ink)
            let paper = glyph.paper < 8 ? 40 + Int(glyph.paper) : 92 + Int(glyph.paper)
            bytes += Array("\u{1B}[0;\(glyph.blinks ? "5;" : "")\(ink);\(paper)m".utf8)
            style = glyph
        }
        switch glyph.scalar {
        case 0..<0x80: bytes.append(UInt8(glyph.scalar))
        case 0x80..<0x800: bytes += [UInt8(0xC0 | glyph.scalar >> 6), UInt8(0x80 | glyph.scalar & 0x3F)]
        default:
            bytes += [
                UInt8(0xE0 | glyph.scalar >> 12 & 15), UInt8(0x80 | glyph.scalar >> 6 & 0x3F),
                UInt8(0x80 | glyph.scalar & 0x3F),
            ]
        }
    }
}
