import Curses
import Display
import TestSupport
import Testing

/// What is painted is read back by the console that monitors have: a terminal too.
struct TerminalPainterTests {
    /// A terminal that follows what a painter sends.
    private struct Shown {
        let console: TextConsole
        var painter: TerminalPainter
        let (columns, rows): (Int, Int)
        init(_ columns: Int, _ rows: Int, isUnicode: Bool = false) {
            console = TextConsole(name: "", columns: columns, rows: rows, font: ConsoleFont())
            painter = TerminalPainter(isUnicode: isUnicode)
            (self.columns, self.rows) = (columns, rows)
            console.write(TerminalPainter.greeting)
        }
        mutating func show(_ text: ScreenText) -> Int {
            let bytes = painter.paint(text, columns: columns, rows: rows)
            console.write(bytes)
            return bytes.count
        }
        var page: TextPage? { if case .page(let page)? = console.text { page } else { nil } }
    }

    private func page(_ lines: [String], columns: Int, cursor: Int? = nil) -> TextPage {
        var page = TextPage(columns: columns, rows: lines.count)
        for (row, line) in lines.enumerated() {
            for (column, byte) in line.utf8.enumerated() { page.cells[row * columns + column].code = byte }
        }
        page.cursor = cursor
        return page
    }

    @Test func aPageStandsInTheMiddleAndThenOnlyChangesAreSent() throws {
        var shown = Shown(20, 6)
        var page = page(["ab", "cd"], columns: 10, cursor: 11)
        page.cells[1].ink = 12
        page.cells[1].paper = 3
        #expect(shown.show(.page(page)) > 0)
        #expect(shown.console.lines == ["", "", "     ab", "     cd", "", ""])
        let seen = try #require(shown.page)
        #expect(seen.cursor == 3 * 20 + 6)
        #expect((seen.cells[46].ink, seen.cells[46].paper) == (12, 3))
        #expect(shown.show(.page(page)) == 0)
        page.cells[10].code = UInt8(ascii: "X")
        #expect(1...24 ~= shown.show(.page(page)))
        #expect(shown.console.lines[3] == "     Xd")
    }

    @Test func ofALargerPageTheCursorIsInSight() throws {
        let lines = (0..<30).map { "line \($0) and more of it" }
        var shown = Shown(12, 5)
        _ = shown.show(.page(page(lines, columns: 40, cursor: 0)))
        #expect(shown.console.lines[0] == "line 0 and m")
        _ = shown.show(.page(page(lines, columns: 40, cursor: 29 * 40 + 20)))
        #expect(shown.console.lines[4] == "nd more of i")
        #expect(try #require(shown.page).cursor == 59)
    }

    @Test func picturesAreNamedByTheirSize() {
        var shown = Shown(40, 3)
        _ = shown.show(.graphics(width: 1024, height: 768))
        #expect(shown.console.lines[1].contains("1024 x 768 Graphic mode"))
        #expect(shown.page?.cursor == nil)
        _ = shown.show(.blank)
        #expect(shown.console.lines[1].contains("Blank screen"))
    }

    @Test func charactersOfThePCAreUnicodeOrLookAlike() {
        var codes = TextPage(columns: 6, rows: 1)
        for (index, code) in [0xC9, 0xCD, 0x01, 0xB0, 0x80, 0xFF].enumerated() { codes.cells[index].code = UInt8(code) }
        var unicode = TerminalPainter(isUnicode: true)
        var ascii = TerminalPainter(isUnicode: false)
        #expect(String(decoding: unicode.paint(.page(codes), columns: 6, rows: 1), as: UTF8.self).contains("╔═☺░Ç"))
        #expect(String(decoding: ascii.paint(.page(codes), columns: 6, rows: 1), as: UTF8.self).contains("+=?#?"))
    }

    @Test func anythingThatIsShownIsWhatThereIs() throws {
        for seed in 0..<UInt64(FuzzRounds.times(60)) {
            var numbers = SplitMix64(state: seed)
            func number(_ limit: UInt64) -> Int { Int(numbers.next() % limit) }
            var shown = Shown(1 + number(40), 1 + number(12))
            let (columns, rows) = (1 + number(30), 1 + number(14))
            var page = TextPage(columns: columns, rows: rows)
            for _ in 0..<20 {
                for _ in 0..<number(30) {
                    page.cells[number(UInt64(page.cells.count))] = TextPage.Cell(
                        code: UInt8(0x20 + number(0x5F)), ink: UInt8(number(256)), paper: UInt8(number(256)),
                        blinks: number(2) == 0)
                }
                page.cursor = number(3) == 0 ? nil : number(UInt64(page.cells.count))
                _ = shown.show(.page(page))
                let seen = try #require(shown.page)
                #expect((seen.cursor == nil) == (page.cursor == nil))
                let at = page.cursor ?? 0
                func offset(_ length: Int, _ room: Int, _ place: Int) -> Int {
                    length <= room ? (room - length) / 2 : -min(max(0, place - room + 1), length - room)
                }
                let left = offset(columns, shown.columns, at % columns)
                let top = offset(rows, shown.rows, at / columns)
                for row in 0..<shown.rows {
                    for column in 0..<shown.columns {
                        let (x, y) = (column - left, row - top)
                        let isInside = x >= 0 && y >= 0 && x < columns && y < rows
                        var wanted = isInside ? page.cells[y * columns + x] : TextPage.Cell()
                        (wanted.ink, wanted.paper, wanted.blinks) = (wanted.ink & 15, wanted.paper & 15, false)
                        #expect(seen.cells[row * shown.columns + column] == wanted)
                    }
                }
            }
        }
    }
}
