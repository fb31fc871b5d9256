import Display
import Synchronization
import TestSupport
import Testing

struct TextConsoleTests {
    private func console(_ text: String, columns: Int = 10, rows: Int = 4) -> TextConsole {
        let console = TextConsole(name: "c", columns: columns, rows: rows, font: ConsoleFont())
        console.write(Array(text.utf8))
        return console
    }

    @Test(arguments: [
        ("ab\r\ncd", ["ab", "cd", "", ""]), ("0123456789x", ["0123456789", "x", "", ""]),
        ("0123456789\r\nx", ["0123456789", "x", "", ""]), ("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]),
        ("abc\u{8}\u{8}X", ["aXc", "", "", ""]), ("a\tb", ["a       b", "", "", ""]),
        ("\u{1B}[3;2Hx\u{1B}[Hy", ["y", "", " x", ""]), ("abc\u{1B}[2D\u{1B}[Kx", ["ax", "", "", ""]),
        ("abc\r\u{1B}[1P", ["bc", "", "", ""]), ("abc\r\u{1B}[2@", ["  abc", "", "", ""]),
        ("1\r\n2\r\n3\u{1B}[2;1H\u{1B}[L", ["1", "", "2", "3"]), ("1\r\n2\r\n3\u{1B}[1;1H\u{1B}[M", ["2", "3", "", ""]),
        ("abc\u{1B}[2J\u{1B}[Hd", ["d", "", "", ""]), ("\u{1B}]0;title\u{7}x", ["x", "", "", ""]),
        ("\u{1B}[2;3r1\r\n2\r\n3\r\n4", ["1", "3", "4", ""]), ("\u{E9}x", ["?x", "", "", ""]),
        ("\u{1B}[999;999Hx\u{1B}[999A\u{1B}[999Dy", ["y", "", "", "         x"]),
    ] as [(String, [String])])
    func sequencesMoveAndClear(text: String, lines: [String]) {
        #expect(console(text).lines == lines)
    }

    @Test func coloursAndCursorAreDrawn() {
        let console = console("\u{1B}[31;44mA\u{1B}[7mA\u{1B}[0;1mA")
        let picture = Screen(name: "", source: console).picture
        #expect((picture.width, picture.height) == (80, 64))
        // The box glyph's upper edge is ink, its middle paper.
        #expect(picture.pixel(3, 2) == 0xAA0000)
        #expect(picture.pixel(3, 5) == 0x0000AA)
        #expect(picture.pixel(11, 2) == 0x0000AA)
        #expect(picture.pixel(19, 2) == 0xFFFFFF)
        #expect(picture.pixel(27, 2) == 0xAAAAAA)
        console.write(Array("\u{1B}[?25l".utf8))
        #expect(Screen(name: "", source: console).picture.pixel(27, 2) == 0)
    }

    @Test func keysSendWhatATerminalsDo() {
        let console = console("")
        let typed = Mutex<[UInt8]>([])
        console.setInput { bytes in typed.withLock { $0 += bytes } }
        for (symbol, control) in [(0x61, false), (0x63, true), (0xFF0D, false), (0xFF08, false), (0xFF52, false), (0xFFE1, false)]
            as [(UInt32, Bool)]
        { console.type(symbol: symbol, control: control) }
        let wanted: [UInt8] = [0x61, 3, 13, 0x7F, 0x1B, 0x5B, 0x41]
        #expect(typed.withLock { $0 } == wanted)
    }

    @Test func noiseStaysOnTheScreen() {
        var state: UInt64 = 1
        for _ in 0..<FuzzRounds.times(300) {
            let console = TextConsole(
                name: "c", columns: Int(state >> 40 % 9) + 1, rows: Int(state >> 50 % 5) + 1, font: ConsoleFont())
            for _ in 0..<300 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let letters = Array("\u{1B}[;0123456789ABCDHJKLMPSTXrmsuhl@?c78DEM\r\n\txyz".utf8)
                let byte = letters[Int(state >> 33) % letters.count]
                console.write([state >> 60 == 0 ? UInt8(truncatingIfNeeded: state >> 20) : byte])
            }
            #expect(!console.lines.isEmpty)
        }
    }

    @Test func theFontIsFoundByItsFirstGlyphs() {
        var image = [UInt8](repeating: 0xFF, count: 10000)
        #expect(ConsoleFont(image: image) == nil)
        let first: [UInt8] = [0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E, 0, 0, 0, 0]
        image.replaceSubrange(5000..<5018, with: [UInt8](repeating: 0, count: 18))
        image.replaceSubrange(5018..<5032, with: first)
        image[5000 + 65 * 16 + 3] = 0x18
        #expect(ConsoleFont(image: image)?.row(3, of: 65) == 0x18)
        #expect(ConsoleFont(image: [1, 2, 3]) == nil)
    }
}
