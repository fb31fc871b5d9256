import Foundation
import Testing

/// A picture of 24 bits a pixel, as `screendump` writes it, and the text on it.
struct Pixmap: Equatable {
    let width: Int
    let height: Int
    let bytes: [UInt8]

    init?(ppm data: Data) {
        let head = data.prefix(32).split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
        guard head.count == 4, String(decoding: head[0], as: UTF8.self) == "P6" else { return nil }
        let size = String(decoding: head[1], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        guard size.count == 2 else { return nil }
        (width, height) = (size[0], size[1])
        bytes = Array(data.dropFirst(head[0].count + head[1].count + head[2].count + 3))
        guard bytes.count == width * height * 3 else { return nil }
    }
    init(width: Int, height: Int, bytes: [UInt8]) {
        (self.width, self.height, self.bytes) = (width, height, bytes)
    }

    /// The lines of text of cells 16 pixels high, read by the glyphs of a font.
    func text(_ font: [ArraySlice<UInt8>: Character], cell: Int = 9) -> [String] {
        (0..<(height / 16)).map { row in
            let cells = (0..<(width / cell)).map { column -> Character in
                let glyph = (0..<16).map { line -> UInt8 in
                    (0..<8).reduce(0) { bits, dot in
                        let place = ((row * 16 + line) * width + column * cell + dot) * 3
                        return bits << 1 | (bytes[place] > 0x40 ? 1 : 0)
                    }
                }
                return font[glyph[...]] ?? "~"
            }
            return String(cells).trimmingCharacters(in: .whitespaces)
        }
    }

    static let videoBIOS = "/usr/share/seabios/vgabios-stdvga.bin"
    static let systemBIOS = "/usr/share/seabios/bios-256k.bin"
    static var hasFirmware: Bool {
        [videoBIOS, systemBIOS, Repository.program].allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }
    /// The printable characters by their glyphs in the VGA BIOS's image: the face, character 1, is where the font is.
    static func font() throws -> [ArraySlice<UInt8>: Character] {
        let image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: videoBIOS)))
        let face: [UInt8] = [0, 0, 0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E, 0, 0, 0, 0]
        let place = try #require((16..<(image.count - 4096)).first { image[$0..<($0 + 16)].elementsEqual(face) })
        var font: [ArraySlice<UInt8>: Character] = [:]
        for code in (32...126).reversed() {
            let start = place - 16 + code * 16
            font[Array(image[start..<(start + 16)])[...]] = Character(UnicodeScalar(UInt8(code)))
        }
        return font
    }
}

/// A viewer of few words: no authentication, raw pixels.
final class RawViewer {
    private let socket: Int32
    private(set) var picture = Pixmap(width: 0, height: 0, bytes: [])

    init(path: String, encodings: [Int32] = [-223]) throws {
        socket = try MonitorClient.connect(path, seconds: 60)
        _ = try take(12)
        try send(Array("RFB 003.008\n".utf8))
        _ = try take(Int(try take(1)[0]))
        try send([1])
        _ = try take(4)
        try send([1])
        let head = try take(24)
        _ = try take(Int(head[22]) << 8 | Int(head[23]))
        resize(Int(head[0]) << 8 | Int(head[1]), Int(head[2]) << 8 | Int(head[3]))
        var message: [UInt8] = [2, 0, 0, UInt8(encodings.count + 1), 0, 0, 0, 0]
        for encoding in encodings {
            for shift in [24, 16, 8, 0] { message.append(UInt8(truncatingIfNeeded: encoding >> Int32(shift))) }
        }
        try send(message)
    }

    /// Asks for another size.
    func want(width: Int, height: Int) throws {
        let size = [UInt8(width >> 8), UInt8(width & 0xFF), UInt8(height >> 8), UInt8(height & 0xFF)]
        try send([251, 0] + size + [1, 0] + [0, 0, 0, 0, 0, 0, 0, 0] + size + [0, 0, 0, 0])
    }
    deinit { close(socket) }

    private func resize(_ width: Int, _ height: Int) {
        picture = Pixmap(width: width, height: height, bytes: [UInt8](repeating: 0, count: width * height * 3))
    }
    private func send(_ bytes: [UInt8]) throws {
        let count = unsafe Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        guard count == bytes.count else { throw MonitorClient.Failed(description: "the viewer cannot send") }
    }
    private func take(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            var wanted = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&wanted, 1, 60_000) > 0 else {
                throw MonitorClient.Failed(description: "nothing comes by VNC")
            }
            let moved = unsafe bytes.withUnsafeMutableBytes {
                // SAFETY: what is left of the array.
                unsafe recv(socket, $0.baseAddress! + done, count - done, 0)
            }
            guard moved > 0 else { throw MonitorClient.Failed(description: "the VNC server hung up") }
            done += moved
        }
        return bytes
    }

    private func key(_ symbol: Int, down: UInt8) throws {
        try send([4, down, 0, 0, 0, 0, UInt8(symbol >> 8), UInt8(symbol & 0xFF)])
    }
    /// Keys that go down together, and up again.
    func press(_ symbols: Int...) throws {
        for symbol in symbols { try key(symbol, down: 1) }
        for symbol in symbols.reversed() { try key(symbol, down: 0) }
    }

    /// Asks for the whole picture and takes it.
    func look() throws {
        while true {
            try send([3, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
            let head = try take(4)
            var isPicture = false
            for _ in 0..<(Int(head[2]) << 8 | Int(head[3])) {
                let box = try take(12)
                let numbers = (0..<4).map { Int(box[$0 * 2]) << 8 | Int(box[$0 * 2 + 1]) }
                guard box[8] == 0 else {
                    // The extended form has a list of screens behind it.
                    if box[10] == 0xFE, box[11] == 0xCC { _ = try take(4 + 16 * Int(try take(4)[0]) - 4) }
                    resize(numbers[2], numbers[3])
                    continue
                }
                isPicture = true
                let pixels = try take(numbers[2] * numbers[3] * 4)
                var bytes = picture.bytes
                for index in 0..<(numbers[2] * numbers[3]) {
                    let (x, y) = (numbers[0] + index % numbers[2], numbers[1] + index / numbers[2])
                    for part in 0..<3 { bytes[(y * picture.width + x) * 3 + part] = pixels[index * 4 + 2 - part] }
                }
                picture = Pixmap(width: picture.width, height: picture.height, bytes: bytes)
            }
            if isPicture { return }
        }
    }
}

/// What a machine shows, and what is typed at it.
@Suite(.serialized, .enabled(if: Pixmap.hasFirmware, "needs Debian's package seabios"))
struct ScreenTests {
    private static let machine = [
        "-accel", "tcg", "-m", "32", "-nodefaults", "-vga", "std", "-bios", Pixmap.systemBIOS, "-boot", "menu=on",
        "-monitor", "none", "-serial", "null",
    ]

    /// Looks until the text is there, for two minutes at most.
    private func wait(
        for text: String, _ monitor: MonitorClient, _ folder: TemporaryFolder
    ) throws -> (lines: [String], picture: Pixmap) {
        let font = try Pixmap.font()
        let end = Date().addingTimeInterval(120)
        var lines: [String] = []
        while Date() < end {
            try monitor.execute("screendump", ["filename": folder.path("screen.ppm")])
            let data = try Data(contentsOf: URL(fileURLWithPath: folder.path("screen.ppm")))
            let picture = try #require(Pixmap(ppm: data))
            lines = picture.text(font)
            if lines.contains(where: { $0.contains(text) }) { return (lines, picture) }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw MonitorClient.Failed(description: "'\(text)' is not on the screen: \(lines)")
    }

    @Test func firmwareIsReadOnTheScreenAndTypedAt() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            Self.machine + [
                "-vnc", "unix:\(folder.path("vnc"))", "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
            ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)

        let (lines, first) = try wait(for: "Press ESC for boot menu.", monitor, folder)
        #expect((first.width, first.height) == (720, 400))
        #expect(lines.first?.hasPrefix("SeaBIOS (version ") == true)
        // A key by VNC opens the menu, one by the monitor leaves it.
        let viewer = try RawViewer(path: folder.path("vnc"))
        try viewer.press(0xFF1B)
        let menu = try wait(for: "Select boot device:", monitor, folder)
        try monitor.execute("stop")
        _ = menu
        try monitor.execute("screendump", ["filename": folder.path("screen.ppm")])
        try viewer.look()
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.path("screen.ppm")))
        #expect(Pixmap(ppm: data) == viewer.picture)
        try monitor.execute("screendump", ["filename": folder.path("screen.png"), "format": "png"])
        let png = try Data(contentsOf: URL(fileURLWithPath: folder.path("screen.png")))
        #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        #expect(try monitor.human("info vnc").contains("Client:"))
        try monitor.wait(forEvent: "VNC_INITIALIZED", seconds: 60)
        #expect(try monitor.human("sendkey esc") == "")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func aScreenGoesWithItsMachine() throws {
        let folder = try TemporaryFolder()
        let state = folder.path("state")
        func start(_ name: String, _ more: [String] = []) throws -> (GuestMachine, MonitorClient) {
            let machine = try GuestMachine(
                Self.machine + more + [
                    "-vnc", "unix:\(folder.path("\(name).vnc"))", "-qmp",
                    "unix:\(folder.path(name)),server=on,wait=off",
                ])
            return (machine, try MonitorClient(path: folder.path(name), seconds: 60))
        }
        let (machine, monitor) = try start("one")
        _ = try wait(for: "Press ESC for boot menu.", monitor, folder)
        let viewer = try RawViewer(path: folder.path("one.vnc"))
        try monitor.execute("stop")
        try viewer.look()
        let picture = viewer.picture
        try monitor.execute("migrate", ["uri": "file:\(state)"])
        let end = Date().addingTimeInterval(60)
        func isSaved() throws -> Bool {
            (try monitor.execute("query-migrate") as? [String: Any])?["status"] as? String == "completed"
        }
        while try !isSaved(), Date() < end {
            Thread.sleep(forTimeInterval: 0.02)
        }
        // Who looks at it sees what it was last, until its process ends: then nothing more comes, and no half of a message.
        try viewer.look()
        #expect(viewer.picture == picture)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        do {
            try viewer.look()
            Issue.record("There is still a picture")
        } catch { #expect("\(error)".contains("hung up") || "\(error)".contains("cannot send"), "\(error)") }

        let (next, other) = try start("two", ["-incoming", "file:\(state)"])
        while (try other.execute("query-status") as? [String: Any])?["status"] as? String == "inmigrate", Date() < end {
            Thread.sleep(forTimeInterval: 0.02)
        }
        let newcomer = try RawViewer(path: folder.path("two.vnc"))
        try newcomer.look()
        #expect(newcomer.picture == picture)
        // It stood when it was saved; what is typed at it then arrives.
        try other.execute("cont")
        try newcomer.press(0xFF1B)
        _ = try wait(for: "Select boot device:", other, folder)
        try other.execute("quit")
        #expect(try next.status() == 0)
    }

    @Test func theMonitorIsBesideTheScreen() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine([
            "-accel", "tcg", "-m", "32", "-S", "-nodefaults", "-vga", "std", "-name", "box", "-bios", Pixmap.systemBIOS,
            "-monitor", "vc", "-serial", "vc", "-vnc", "unix:\(folder.path("vnc"))",
        ])
        let viewer = try RawViewer(path: folder.path("vnc"))
        let font = try Pixmap.font()
        try viewer.press(0xFFE3, 0xFFE9, 0x32)
        for letter in "info name".unicodeScalars { try viewer.press(Int(letter.value)) }
        try viewer.press(0xFF0D)
        let end = Date().addingTimeInterval(60)
        var lines: [String] = []
        while !lines.contains("box"), Date() < end {
            try viewer.look()
            lines = viewer.picture.text(font, cell: 8)
        }
        #expect(lines.contains { $0.hasPrefix("(qemu) info name") }, "\(lines)")
        #expect(lines.contains("box"), "\(lines)")
        // The first console is the adapter again, which shows nothing yet.
        try viewer.press(0xFFE3, 0xFFE9, 0x31)
        try viewer.look()
        #expect(viewer.picture.bytes.allSatisfy { $0 == 0 })
        try viewer.press(0xFFE3, 0xFFE9, 0x32)
        for letter in "quit".unicodeScalars { try viewer.press(Int(letter.value)) }
        // The machine may be gone before the key is up again.
        try? viewer.press(0xFF0D)
        #expect(try machine.status() == 0)
    }

    /// A viewer of another make: Python's, with its own TLS.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/python3"), "needs Debian's package python3"))
    func aViewerComesByTLS() throws {
        let folder = try TemporaryFolder()
        let steps = """
            cd '\(folder.path("."))'
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca-cert.pem -subj /CN=ca -days 30
            openssl req -newkey rsa:2048 -nodes -keyout server-key.pem -out request -subj /CN=localhost
            openssl x509 -req -in request -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -out server-cert.pem -days 30
            """
        try #require(try runOnHost("sh", "-ec", steps).status == 0)
        let machine = try GuestMachine(
            Self.machine + [
                "-object", "tls-creds-x509,id=t,dir=\(folder.path(".")),endpoint=server,verify-peer=off", "-object",
                "secret,id=s,data=word", "-S", "-vnc", "unix:\(folder.path("vnc")),tls-creds=t,password-secret=s",
                "-qmp",
                "unix:\(folder.path("qmp")),server=on,wait=off",
            ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        // Plain text is not offered, the other end is who it says, and the password goes through TLS.
        let script = """
            import socket, ssl, struct, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1] + '/vnc'); s.settimeout(60)
            def take(n):
                b = b''
                while len(b) < n:
                    d = s.recv(n - len(b))
                    assert d, 'hung up'
                    b += d
                return b
            take(12); s.sendall(b'RFB 003.008\\n'); assert take(2) == b'\\x01\\x13'
            s.sendall(b'\\x13'); assert take(2) == b'\\0\\x02'
            s.sendall(b'\\0\\x02'); assert take(2) == b'\\0\\x01'
            kind = take(4); assert kind == struct.pack('>I', 261), kind
            s.sendall(kind); assert take(1) == b'\\x01'
            context = ssl.create_default_context(cafile=sys.argv[1] + '/ca-cert.pem')
            context.check_hostname = False
            s = context.wrap_socket(s, server_hostname='localhost')
            assert len(take(16)) == 16
            s.sendall(b'x' * 16); result = take(4); assert result == b'\\0\\0\\0\\x01', result
            print('asked by', s.version())
            """
        let ended = try runOnHost("python3", "-c", script, folder.path("."))
        #expect(ended.output.hasPrefix("asked by TLSv1."), "\(ended.output)")
        #expect(try monitor.human("info vnc").contains("Auth: vencrypt (Sub: x509-vnc)"))
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func firmwareHearsAUSBKeyboard() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            Self.machine + [
                "-display", "none", "-machine", "pc,i8042=off", "-usb", "-device", "usb-kbd", "-device", "usb-tablet",
                "-qmp",
                "unix:\(folder.path("qmp")),server=on,wait=off",
            ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        _ = try wait(for: "Press ESC for boot menu.", monitor, folder)
        #expect(try monitor.human("info mice") == "* Mouse #0: QEMU HID Tablet (absolute)\n")
        #expect(
            try monitor.human("info usb")
                == "  Device 0.1, Port 1, Speed 12 Mb/s, Product usb-kbd\n  Device 0.2, Port 2, Speed 12 Mb/s, Product usb-tablet\n"
        )
        try monitor.execute("send-key", ["keys": [["type": "qcode", "data": "esc"]]])
        _ = try wait(for: "Select boot device:", monitor, folder)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func mistakesAreToldByTheMonitor() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            Self.machine + [
                "-S", "-display", "vnc=unix:\(folder.path("vnc")),password=on", "-qmp",
                "unix:\(folder.path("qmp")),server=on,wait=off",
            ])
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        func fails(_ command: String, _ arguments: [String: Any], _ words: String) {
            do {
                try monitor.execute(command, arguments)
                Issue.record("\(command) did not fail")
            } catch { #expect("\(error)".contains(words), "\(error)") }
        }
        fails("screendump", ["filename": folder.path("no/such/folder")], "No such file")
        fails("screendump", ["filename": folder.path("x"), "device": "nobody"], "Device 'nobody' not found")
        fails("screendump", ["filename": folder.path("x"), "format": "gif"], "'gif'")
        fails("set_password", ["protocol": "spice", "password": "x"], "SPICE")
        fails("expire_password", ["protocol": "vnc", "time": "soon"], "'soon'")
        fails("send-key", ["keys": [["type": "qcode", "data": "any"]]], "'any'")
        try monitor.execute("set_password", ["protocol": "vnc", "password": "secret"])
        try monitor.execute("expire_password", ["protocol": "vnc", "time": "+60"])
        #expect(try monitor.human("change vnc password other") == "")
        let answer = try #require(try monitor.execute("query-vnc") as? [String: Any])
        #expect(answer["auth"] as? String == "vnc" && answer["family"] as? String == "unix")
        let mice = try #require(try monitor.execute("query-mice") as? [[String: Any]])
        #expect(mice.first?["name"] as? String == "QEMU PS/2 Mouse")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
