import Curses
import Display
import HostOS
import Synchronization
import Testing

/// The display in a pseudo-terminal.
@Suite struct CursesDisplayTests {
    private final class Page: PictureSource {
        let shown = Mutex(ScreenText.blank)
        var text: ScreenText? { shown.withLock { $0 } }
        func draw(into picture: inout Picture) {}
    }

    /// Reads what the display sends until a text has come.
    private func wait(_ master: Descriptor, for text: String) throws -> String {
        var bytes: [UInt8] = []
        for _ in 0..<2000 {
            _ = master.wait(for: [.read], milliseconds: 30)
            if master.wait(for: [.read], milliseconds: 0).contains(.read) {
                bytes += try master.readAvailable(limit: 4096)
            }
            let seen = String(decoding: bytes, as: UTF8.self)
            if seen.contains(text) { return seen }
        }
        Issue.record("'\(text)' did not come: \(String(decoding: bytes, as: UTF8.self))")
        return ""
    }

    @Test func textComesKeysGoAndTheTerminalIsGivenBack() throws {
        let (master, path) = try PseudoTerminal.open()
        let user = try HostFile.open(path, .readWrite)
        let page = Page()
        page.shown.withLock { $0 = .graphics(width: 640, height: 480) }
        let monitor = TextConsole(name: "monitor", columns: 40, rows: 5, font: ConsoleFont())
        let typed = Mutex<[UInt8]>([])
        monitor.setInput { bytes in typed.withLock { $0 += bytes } }
        monitor.write(Array("the monitor".utf8))
        let pressed = Mutex<[[UInt8]]>([])
        let consoles = [
            DisplayConsole(screen: Screen(name: "vga", source: page)),
            DisplayConsole(screen: Screen(name: "monitor", source: monitor), terminal: monitor),
        ]
        let display = try CursesDisplay(consoles: consoles, input: user, output: user, isUnicode: true) { chord in
            pressed.withLock { $0.append(chord) }
            return true
        }
        try display.start()
        #expect(try wait(master, for: "640 x 480 Graphic mode").contains("\u{1B}[?1049h"))
        page.shown.withLock { $0 = .page(TextPage(columns: 2, rows: 1)) }
        _ = try wait(master, for: "\u{1B}[")
        try master.writeAll(Array("a\u{1B}OP".utf8))
        try master.writeAll(Array("\u{1B}2".utf8))
        _ = try wait(master, for: "the monitor")
        try master.writeAll(Array("info\r".utf8))
        for _ in 0..<2000 where typed.withLock({ $0.count < 5 }) { _ = user.wait(for: [.error], milliseconds: 5) }
        #expect(typed.withLock { $0 } == Array("info\r".utf8))
        #expect(pressed.withLock { $0 } == [[0x1E], [0x3B]])
        display.close()
        display.close()
        #expect(try wait(master, for: "\u{1B}[?1049l").contains("\u{1B}[?25h"))
        // Another may take the terminal now.
        #expect(try RawTerminal(user, signals: false) != nil)
    }

    @Test func whatIsNoTerminalIsRefused() throws {
        let pipe = try DescriptorPair.pipe()
        let screen = DisplayConsole(screen: Screen(name: "", source: Page()))
        let error = #expect(throws: CursesError.self) {
            try CursesDisplay(consoles: [screen], input: pipe.input, output: pipe.output, isUnicode: true) { _ in true }
        }
        #expect(error?.description == "Standard output is no terminal")
        #expect(throws: CursesError.self) {
            try CursesDisplay(consoles: [], input: pipe.input, output: pipe.output, isUnicode: true) { _ in true }
        }
    }
}
