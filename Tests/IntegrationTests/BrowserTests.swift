import Foundation
import Testing

private func isThere(_ paths: String...) -> Bool { paths.allSatisfy { FileManager.default.fileExists(atPath: $0) } }

/// Debian's Chromium with Debian's noVNC, as a viewer.
@Suite(
    .serialized, .enabled(if: Pixmap.hasFirmware, "needs Debian's package seabios"),
    .enabled(
        if: isThere("/usr/bin/chromium", "/usr/share/novnc/vnc_lite.html", "/usr/bin/python3"),
        "needs Debian's packages chromium, novnc and python3"))
struct BrowserTests {
    @Test func aBrowserShowsThePictureAndTypes() throws {
        let folder = try TemporaryFolder()
        let port = try LoopbackSocket.freePort()
        let machine = try GuestMachine([
            "-accel", "tcg", "-m", "32", "-nodefaults", "-vga", "std", "-bios", Pixmap.systemBIOS, "-boot",
            "menu=on,splash-time=60000", "-vnc", "none,websocket=127.0.0.1:\(port)", "-qmp",
            "unix:\(folder.path("qmp")),server=on,wait=off",
        ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        let font = try Pixmap.font()
        let dump = folder.path("dump.ppm")
        func screen() throws -> Pixmap {
            try monitor.execute("screendump", ["filename": dump])
            return try #require(Pixmap(ppm: try Data(contentsOf: URL(fileURLWithPath: dump))))
        }
        func wait(for text: String) throws {
            let end = Date().addingTimeInterval(120)
            while try !screen().text(font).contains(where: { $0.contains(text) }) {
                guard Date() < end else { throw MonitorClient.Failed(description: "'\(text)' is not on the screen") }
                Thread.sleep(forTimeInterval: 0.05)
            }
        }
        try wait(for: "Press ESC for boot menu.")

        let browser = try GuestMachine(
            program: Repository.root.appendingPathComponent("Scripts/browse-vnc").path, ["\(port)"])
        try browser.wait(for: "ready: Connected", seconds: 120)
        var asked = 0
        /// What noVNC's canvas shows.
        func seen() throws -> Pixmap {
            asked += 1
            let file = folder.path("seen\(asked).ppm")
            try browser.type("look \(file)")
            // Its answers come in order, a line each.
            let end = Date().addingTimeInterval(60)
            while browser.console.components(separatedBy: "ok look").count <= asked, Date() < end {
                Thread.sleep(forTimeInterval: 0.01)
            }
            return try #require(Pixmap(ppm: try Data(contentsOf: URL(fileURLWithPath: file))), "\(browser.console)")
        }
        /// Whether the browser comes to show what the stopped machine shows.
        func showsTheSame() throws -> Bool {
            let wanted = try screen()
            let end = Date().addingTimeInterval(60)
            while Date() < end {
                if try seen() == wanted { return true }
                Thread.sleep(forTimeInterval: 0.05)
            }
            return false
        }
        try monitor.execute("stop")
        #expect(try showsTheSame())
        try monitor.execute("cont")
        try browser.type("key Escape")
        try wait(for: "Select boot device:")
        try monitor.execute("stop")
        #expect(try showsTheSame())
        // noVNC's font is the guest's: what is read there is what the firmware wrote.
        #expect(try seen().text(font).contains { $0.contains("Select boot device:") })
        let viewers = try monitor.human("info vnc")
        #expect(viewers.contains("Client: 127.0.0.1:"), "\(viewers)")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
