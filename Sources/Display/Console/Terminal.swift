/// What a terminal makes of bytes: characters in cells, and the sequences of ECMA-48 that programs on a serial line
/// use. A pure value.
struct Terminal: Sendable {
    struct Cell: Equatable, Sendable {
        var code: UInt8 = 0x20
        var ink: UInt8 = 7
        var paper: UInt8 = 0
    }
    private enum Phase: Sendable {
        case text
        case escape
        case sequence
        /// A designation of a character set, whose one byte is passed over.
        case designation
        /// A title and the like, up to its end.
        case string
    }
    let columns: Int
    let rows: Int
    private(set) var cells: [Cell]
    private(set) var column = 0
    private(set) var row = 0
    private(set) var showsCursor = true
    private var style = Cell()
    private var isBold = false
    private var isReversed = false
    private var phase = Phase.text
    private var numbers: [Int] = []
    private var isPrivate = false
    /// The last column is written: the next character starts a line.
    private var mustWrap = false
    private var saved = (column: 0, row: 0)
    private var top = 0
    private var bottom: Int
    /// Bytes of a character of UTF-8 that are still to come.
    private var following = 0

    init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
        bottom = rows - 1
        cells = [Cell](repeating: Cell(), count: columns * rows)
    }

    mutating func write(_ bytes: [UInt8]) { for byte in bytes { put(byte) } }

    private mutating func put(_ byte: UInt8) {
        switch phase {
        case .text: text(byte)
        case .escape: escape(byte)
        case .sequence: sequence(byte)
        case .designation: phase = .text
        case .string: if byte == 0x07 { phase = .text } else if byte == 0x1B { phase = .escape }
        }
    }

    private mutating func text(_ byte: UInt8) {
        switch byte {
        case 0x08:
            column = max(0, column - 1)
            mustWrap = false
        case 0x09: column = min(columns - 1, (column / 8 + 1) * 8)
        case 0x0A...0x0C: lineFeed()
        case 0x0D:
            column = 0
            mustWrap = false
        case 0x1B: phase = .escape
        case 0..<0x20, 0x7F: break
        case 0x80..<0xC0 where following > 0:
            following -= 1
            if following == 0 { show(UInt8(ascii: "?")) }
        case 0xC2..<0xE0: following = 1
        case 0xE0..<0xF0: following = 2
        case 0xF0..<0xF5: following = 3
        default:
            following = 0
            show(byte)
        }
    }

    private mutating func show(_ code: UInt8) {
        if mustWrap {
            column = 0
            lineFeed()
            mustWrap = false
        }
        var cell = style
        cell.code = code
        if isBold { cell.ink |= 8 }
        if isReversed { swap(&cell.ink, &cell.paper) }
        cells[row * columns + column] = cell
        if column == columns - 1 { mustWrap = true } else { column += 1 }
    }

    private mutating func lineFeed() {
        if row == bottom { scroll(1) } else if row < rows - 1 { row += 1 }
    }

    /// Moves the lines of the region up, or down by a negative count.
    private mutating func scroll(_ count: Int) {
        let empty = [Cell](repeating: blank, count: columns)
        for _ in 0..<min(abs(count), bottom - top + 1) {
            if count > 0 {
                cells.removeSubrange((top * columns)..<((top + 1) * columns))
                cells.insert(contentsOf: empty, at: bottom * columns)
            } else {
                cells.removeSubrange((bottom * columns)..<((bottom + 1) * columns))
                cells.insert(contentsOf: empty, at: top * columns)
            }
        }
    }
    private var blank: Cell { Cell(code: 0x20, ink: style.ink, paper: style.paper) }

    private mutating func escape(_ byte: UInt8) {
        phase = .text
        switch byte {
        case UInt8(ascii: "["):
            (numbers, isPrivate) = ([], false)
            phase = .sequence
        case UInt8(ascii: "]"), UInt8(ascii: "P"): phase = .string
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "#"): phase = .designation
        case UInt8(ascii: "7"): saved = (column, row)
        case UInt8(ascii: "8"): move(saved.column, saved.row)
        case UInt8(ascii: "D"): lineFeed()
        case UInt8(ascii: "E"):
            column = 0
            lineFeed()
        case UInt8(ascii: "M"): if row == top { scroll(-1) } else { row = max(0, row - 1) }
        case UInt8(ascii: "c"): self = Terminal(columns: columns, rows: rows)
        default: break
        }
    }

    private mutating func sequence(_ byte: UInt8) {
        switch byte {
        case 0x30...0x39:
            if numbers.isEmpty { numbers = [0] }
            numbers[numbers.count - 1] = min(numbers[numbers.count - 1] * 10 + Int(byte - 0x30), 9999)
        case UInt8(ascii: ";"):
            if numbers.isEmpty { numbers = [0] }
            if numbers.count < 16 { numbers.append(0) }
        case 0x3C...0x3F: isPrivate = true
        case 0x20...0x2F: break
        case 0x40...0x7E:
            phase = .text
            finish(byte)
        case 0x1B: phase = .escape
        default: break
        }
    }

    private mutating func move(_ column: Int, _ row: Int) {
        self.column = min(max(column, 0), columns - 1)
        self.row = min(max(row, 0), rows - 1)
        mustWrap = false
    }

    private mutating func clear(_ range: Range<Int>) {
        for index in range.clamped(to: 0..<cells.count) { cells[index] = blank }
    }

    private mutating func finish(_ byte: UInt8) {
        let first = numbers.first ?? 0
        let count = max(1, first)
        let (line, here) = (row * columns, row * columns + column)
        switch byte {
        case UInt8(ascii: "A"): move(column, row - count)
        case UInt8(ascii: "B"), UInt8(ascii: "e"): move(column, row + count)
        case UInt8(ascii: "C"), UInt8(ascii: "a"): move(column + count, row)
        case UInt8(ascii: "D"): move(column - count, row)
        case UInt8(ascii: "E"): move(0, row + count)
        case UInt8(ascii: "F"): move(0, row - count)
        case UInt8(ascii: "G"), UInt8(ascii: "`"): move(count - 1, row)
        case UInt8(ascii: "d"): move(column, count - 1)
        case UInt8(ascii: "H"), UInt8(ascii: "f"): move((numbers.count > 1 ? max(1, numbers[1]) : 1) - 1, count - 1)
        case UInt8(ascii: "J"): clear(first == 0 ? here..<cells.count : first == 1 ? 0..<(here + 1) : 0..<cells.count)
        case UInt8(ascii: "K"):
            clear(first == 0 ? here..<(line + columns) : first == 1 ? line..<(here + 1) : line..<(line + columns))
        case UInt8(ascii: "P"):
            let gone = min(count, columns - column)
            cells.removeSubrange(here..<(here + gone))
            cells.insert(contentsOf: [Cell](repeating: blank, count: gone), at: line + columns - gone)
        case UInt8(ascii: "@"):
            let new = min(count, columns - column)
            cells.removeSubrange((line + columns - new)..<(line + columns))
            cells.insert(contentsOf: [Cell](repeating: blank, count: new), at: here)
        case UInt8(ascii: "X"): clear(here..<min(here + count, line + columns))
        case UInt8(ascii: "L"), UInt8(ascii: "M"):
            guard top...bottom ~= row else { return }
            let before = top
            top = row
            scroll(byte == UInt8(ascii: "M") ? count : -count)
            top = before
        case UInt8(ascii: "S"): scroll(count)
        case UInt8(ascii: "T"): scroll(-count)
        case UInt8(ascii: "m"): if !isPrivate { setStyle() }
        case UInt8(ascii: "r"):
            let last = numbers.count > 1 && numbers[1] > 0 ? min(numbers[1], rows) : rows
            if count < last { (top, bottom) = (count - 1, last - 1) } else { (top, bottom) = (0, rows - 1) }
            move(0, 0)
        case UInt8(ascii: "s"): saved = (column, row)
        case UInt8(ascii: "u"): move(saved.column, saved.row)
        case UInt8(ascii: "h"), UInt8(ascii: "l"):
            if isPrivate, first == 25 { showsCursor = byte == UInt8(ascii: "h") }
        default: break
        }
    }

    private mutating func setStyle() {
        for number in numbers.isEmpty ? [0] : numbers {
            switch number {
            case 0: (style, isBold, isReversed) = (Cell(), false, false)
            case 1: isBold = true
            case 7: isReversed = true
            case 22: isBold = false
            case 27: isReversed = false
            case 30...37: style.ink = UInt8(number - 30)
            case 39: style.ink = 7
            case 40...47: style.paper = UInt8(number - 40)
            case 49: style.paper = 0
            case 90...97: style.ink = UInt8(number - 90 + 8)
            case 100...107: style.paper = UInt8(number - 100 + 8)
            default: break
            }
        }
    }
}
