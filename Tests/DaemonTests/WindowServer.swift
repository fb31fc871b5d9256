import HostOS

/// An X server whose picture is a file.
final class WindowServer {
    let number: String
    private let process: HostProcess
    private let folder: String
    private var picture: String { folder + "/Xvfb_screen0" }

    init(_ folder: String) throws {
        self.folder = folder
        let pipe = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        process = try HostProcess.spawn(
            "/usr/bin/Xvfb",
            arguments: ["Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-fbdir", folder, "-nolisten", "tcp"],
            environment: ["HOME=\(folder)", "PATH=/usr/bin:/bin"], descriptors: [null, pipe.output, null])
        var line: [UInt8] = []
        while !line.contains(10) {
            guard pipe.input.wait(for: .read, milliseconds: 30_000) != [] else { throw TestClient.Ended(said: "No display") }
            line += try pipe.input.readAvailable(limit: 16)
        }
        number = String(decoding: line.prefix { $0 != 10 }, as: UTF8.self)
    }

    /// How many pixels have a colour; a file of the X Window Dump, whose first number is the size of what precedes
    /// the pixels, but for its table of colours.
    func count(red: UInt8, green: UInt8, blue: UInt8) throws -> Int {
        let bytes = try HostFile.contents(picture)
        func word(_ index: Int) -> Int { bytes[index * 4..<index * 4 + 4].reduce(0) { $0 << 8 | Int($1) } }
        let start = word(0) + word(19) * 12
        var count = 0
        for place in stride(from: start, to: bytes.count - 3, by: 4)
        where bytes[place] == blue && bytes[place + 1] == green && bytes[place + 2] == red { count += 1 }
        return count
    }

    static var isThere: Bool { Program.exists("/usr/bin/virt-viewer") && Program.exists("/usr/bin/Xvfb") }

    /// A program with windows, which ends with this.
    final class Viewer {
        private let process: HostProcess
        private let log: String

        fileprivate init(_ words: [String], display: String, folder: String) throws {
            log = folder + "/viewer.log"
            let output = try HostFile.open(log, .append)
            process = try HostProcess.spawn(
                "/usr/bin/\(words[0])", arguments: words,
                environment: [
                    "DISPLAY=:\(display)", "HOME=\(folder)", "XDG_RUNTIME_DIR=\(folder)", "PATH=/usr/bin:/bin",
                    "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "LC_ALL=C.UTF-8", "GSETTINGS_BACKEND=memory",
                ], descriptors: [output, output, output])
        }
        func hasEnded(within milliseconds: Int32) -> Bool { process.waitForEnd(milliseconds: milliseconds) }
        /// What it complains of.
        var said: String { String(decoding: (try? HostFile.contents(log)) ?? [], as: UTF8.self) }

        deinit {
            process.send(signal: 15)
            if !process.waitForEnd(milliseconds: 20_000) { process.kill() }
            process.reap()
        }
    }
    func show(_ words: [String]) throws -> Viewer { try Viewer(words, display: number, folder: folder) }

    deinit {
        process.send(signal: 15)
        if !process.waitForEnd(milliseconds: 20_000) { process.kill() }
        process.reap()
    }
}
