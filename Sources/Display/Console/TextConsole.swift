internal import Synchronization

/// A text console: a terminal of the VT100's kind drawn as a picture, for monitors and serial ports. Any thread.
public final class TextConsole: PictureSource, TerminalInput {
    private let terminal: Mutex<Terminal>
    private let font: ConsoleFont
    private let onInput = Mutex<(@Sendable ([UInt8]) -> Void)?>(nil)
    /// Its name, for viewers and monitors.
    public let name: String

    /// A console of so many characters, 80 by 25 as usual.
    public init(name: String, columns: Int = 80, rows: Int = 25, font: ConsoleFont) {
        self.name = name
        self.font = font
        terminal = Mutex(Terminal(columns: min(max(columns, 1), 400), rows: min(max(rows, 1), 200)))
    }

    /// Names who takes what is typed.
    public func setInput(_ handler: (@Sendable ([UInt8]) -> Void)?) { onInput.withLock { $0 = handler } }

    /// Shows bytes.
    public func write(_ bytes: [UInt8]) { terminal.withLock { $0.write(bytes) } }

    /// The lines as text, without the spaces at their ends.
    public var lines: [String] {
        terminal.withLock { terminal in
            (0..<terminal.rows).map { row in
                let cells = terminal.cells[(row * terminal.columns)..<((row + 1) * terminal.columns)]
                let bytes = cells.map(\.code).reversed().drop { $0 == 0x20 }.reversed()
                return String(decoding: bytes, as: UTF8.self)
            }
        }
    }

    public func type(symbol: UInt32, control: Bool) {
        let bytes = Self.bytes(symbol, control)
        if !bytes.isEmpty { onInput.withLock { $0 }?(bytes) }
    }

    /// What a terminal's key sends.
    private static func bytes(_ symbol: UInt32, _ control: Bool) -> [UInt8] {
        func sequence(_ end: String) -> [UInt8] { [0x1B, 0x5B] + Array(end.utf8) }
        switch symbol {
        case 0x20...0x7E:
            let byte = UInt8(symbol)
            return control && byte >= 0x40 ? [byte & 0x1F] : [byte]
        case 0xFFB0...0xFFB9: return [UInt8(0x30 + symbol - 0xFFB0)]
        case 0xFF0D, 0xFF8D: return [0x0D]
        case 0xFF08: return [0x7F]
        case 0xFF09: return [0x09]
        case 0xFF1B: return [0x1B]
        case 0xFF50: return sequence("1~")
        case 0xFF51: return sequence("D")
        case 0xFF52: return sequence("A")
        case 0xFF53: return sequence("C")
        case 0xFF54: return sequence("B")
        case 0xFF55: return sequence("5~")
        case 0xFF56: return sequence("6~")
        case 0xFF57: return sequence("4~")
        case 0xFFFF: return sequence("3~")
        default: return []
        }
    }

    public var text: ScreenText? {
        let terminal = terminal.withLock { $0 }
        var page = TextPage(columns: terminal.columns, rows: terminal.rows)
        for row in 0..<page.rows {
            for column in 0..<page.columns {
                let cell = terminal.cells[row * terminal.columns + column]
                page.cells[row * page.columns + column] = TextPage.Cell(
                    code: cell.code, ink: cell.ink, paper: cell.paper)
            }
        }
        if terminal.showsCursor, terminal.row < page.rows, terminal.column < page.columns {
            page.cursor = terminal.row * page.columns + terminal.column
        }
        return .page(page)
    }

    public func draw(into picture: inout Picture) {
        let terminal = terminal.withLock { $0 }
        let (columns, rows) = (terminal.columns, terminal.rows)
        picture.resize(width: columns * ConsoleFont.width, height: rows * ConsoleFont.height)
        var pixels = [UInt32](repeating: 0, count: picture.width)
        for y in 0..<picture.height {
            let (row, line) = (y / ConsoleFont.height, y % ConsoleFont.height)
            for column in 0..<columns {
                let cell = terminal.cells[row * columns + column]
                var (ink, paper) = (Self.colours[Int(cell.ink & 15)], Self.colours[Int(cell.paper & 15)])
                if terminal.showsCursor, terminal.row == row, terminal.column == column { swap(&ink, &paper) }
                let bits = font.row(line, of: cell.code)
                for dot in 0..<8 { pixels[column * 8 + dot] = bits >> UInt8(7 - dot) & 1 != 0 ? ink : paper }
            }
            picture.setRow(y, pixels)
        }
    }

    private static let colours: [UInt32] = [
        0x000000, 0xAA0000, 0x00AA00, 0xAAAA00, 0x0000AA, 0xAA00AA, 0x00AAAA, 0xAAAAAA,
        0x555555, 0xFF5555, 0x55FF55, 0xFFFF55, 0x5555FF, 0xFF55FF, 0x55FFFF, 0xFFFFFF,
    ]
}
