import Display
import Foundation
import TestSupport
import Testing

/// A machine whose display is a terminal: a pseudo-terminal that `script` makes, and what a terminal shows of its output.
private final class TerminalMachine {
    let machine: GuestMachine
    let monitor: MonitorClient
    /// The terminal's path.
    let path: String
    private var columns: Int
    private var rows: Int
    private var console: TextConsole
    private var taken = 0

    init(_ folder: TemporaryFolder, columns: Int, rows: Int, locale: String = "C.UTF-8", _ arguments: [String]) throws {
        (self.columns, self.rows) = (columns, rows)
        console = TextConsole(name: "", columns: columns, rows: rows, font: ConsoleFont())
        let words = [
            Repository.program, "-accel", "tcg", "-m", "64", "-nodefaults", "-vga", "std", "-display", "curses", "-qmp",
            "unix:\(folder.path("qmp")),server=on,wait=off",
        ]
        let command = (words + arguments).map { "'\($0)'" }.joined(separator: " ")
        machine = try GuestMachine(
            program: "/usr/bin/script",
            [
                "-qfec",
                "tty; stty cols \(columns) rows \(rows); export LC_ALL=\(locale); \(command); echo \"status=$?\"; stty -a; echo end",
                "/dev/null",
            ])
        monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        path =
            machine.console.split(whereSeparator: \.isNewline).first { $0.hasPrefix("/dev/pts/") }.map(String.init)
            ?? ""
    }

    /// The lines that the terminal shows now.
    var lines: [String] {
        let all = Array(machine.console.utf8)
        console.write(Array(all[taken...]))
        taken = all.count
        return console.lines
    }

    func wait(for text: String) throws {
        try wait("'\(text)' is not in the terminal") { lines in lines.contains { $0.contains(text) } }
    }
    func wait(_ complaint: String = "it does not come", until isThere: ([String]) -> Bool) throws {
        let end = Date().addingTimeInterval(120)
        var last: [String] = []
        while Date() < end {
            last = lines
            if isThere(last) { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw MonitorClient.Failed(description: "\(complaint): \(last)")
    }

    /// Gives the terminal another size.
    func resize(columns: Int, rows: Int) throws {
        try HostProgram.output("stty", ["-F", path, "cols", "\(columns)", "rows", "\(rows)"])
        console = TextConsole(name: "", columns: columns, rows: rows, font: ConsoleFont())
        taken = machine.console.utf8.count
    }

    /// What the shell says after the machine's end, which gave the terminal back.
    func afterwards() throws -> String {
        try machine.wait(for: "\nend")
        return String(
            machine.console[(machine.console.range(of: "status=")?.lowerBound ?? machine.console.startIndex)...])
    }
}

@Suite(
    "The display in a terminal", .serialized, .enabled(if: Pixmap.hasFirmware, "needs Debian's package seabios"),
    .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/script"), "needs Debian's package bsdutils"))
struct TerminalScreenTests {
    @Test func firmwareIsReadAndTypedAtInATerminal() throws {
        let folder = try TemporaryFolder()
        let terminal = try TerminalMachine(
            folder, columns: 100, rows: 30,
            [
                "-bios", Pixmap.systemBIOS, "-boot", "menu=on,splash-time=60000", "-monitor", "vc", "-serial", "null",
                "-name", "box",
            ])
        try terminal.wait(for: "Press ESC for boot menu.")
        // 80 by 25 characters stand in the middle.
        let line = try #require(terminal.lines.firstIndex { $0.contains("SeaBIOS (version") })
        #expect(line == 2 && terminal.lines[line].hasPrefix(String(repeating: " ", count: 10) + "SeaBIOS"))
        // The second console is the monitor, which is typed at; the first is the screen again.
        try terminal.machine.press("\u{1B}2")
        try terminal.wait(for: "(qemu)")
        try terminal.machine.press("info name\r")
        try terminal.wait(for: "box")
        try terminal.machine.press("\u{1B}1")
        try terminal.wait(for: "Press ESC for boot menu.")
        // Another size: all is drawn anew. Then a key, which is the first byte of other keys too.
        try terminal.resize(columns: 60, rows: 20)
        try terminal.wait(for: "Press ESC for boot menu.")
        #expect(terminal.lines[0].hasPrefix("SeaBIOS"))
        try terminal.machine.press("\u{1B}")
        try terminal.wait(for: "Select boot device:")
        try terminal.monitor.execute("quit")
        let rest = try terminal.afterwards()
        #expect(rest.hasPrefix("status=0") && rest.contains(" echo ") && rest.contains(" icanon"), "\(rest)")
        #expect(terminal.machine.console.contains("\u{1B}[?1049l"))
    }

    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"),
            "needs Debian's package grub-rescue-pc"))
    func linesOfBoxesAreDrawnAndASignalGivesTheTerminalBack() throws {
        let folder = try TemporaryFolder()
        let terminal = try TerminalMachine(
            folder, columns: 80, rows: 25,
            [
                "-bios", Pixmap.systemBIOS, "-cdrom", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso", "-boot", "d",
                "-monitor",
                "none", "-serial", "null",
            ])
        try terminal.wait(for: "GNU GRUB")
        try terminal.wait(for: "Press enter to boot")
        #expect(terminal.machine.console.contains("┌───") || terminal.machine.console.contains("╔═══"))
        // GRUB's command line, by its key, and a word with a shifted key.
        try terminal.machine.press("c")
        try terminal.wait(for: "grub>")
        for (number, command) in ["echo A_b", "insmod all_video", "loadfont unicode"].enumerated() {
            try terminal.machine.press(command + "\r")
            try terminal.wait { lines in lines.count { $0.hasPrefix("grub>") } == number + 2 }
        }
        #expect(terminal.lines.contains("A_b"))
        // A picture has no text.
        try terminal.machine.press("terminal_output gfxterm\r")
        try terminal.wait(for: "800 x 600 Graphic mode")
        let number = try HostProgram.output("pgrep", ["-P", "\(terminal.machine.identifier)", "-n"])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        // The shell that `script` runs has the machine as its child.
        try HostProgram.output("pkill", ["-TERM", "-P", number])
        let rest = try terminal.afterwards()
        #expect(rest.hasPrefix("status=0") && rest.contains(" echo ") && rest.contains(" icanon"), "\(rest)")
        #expect(terminal.machine.console.contains("\u{1B}[?1049l"))
    }

    @Test func whatCannotBeIsSaidBeforeAnythingIsStarted() throws {
        for (arguments, words) in [
            (["-display", "curses"], "-display curses: Standard output is no terminal"),
            (["-display", "curses", "-serial", "stdio"], "cannot be used with a character back-end on stdio"),
            (["-display", "curses", "-daemonize"], "curses display cannot be used with -daemonize"),
            (["-display", "curses,charset=EBCDIC"], "expects 'CP437'"),
        ] {
            let ended = try HostProgram.run(Repository.program, arguments, joined: true)
            #expect(ended.status == 1 && ended.output.contains(words), "\(ended)")
            #expect(ended.output.split(separator: "\n").count == 1)
        }
    }
}
