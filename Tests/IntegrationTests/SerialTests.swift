import Foundation
import Testing

/// The places that a serial port can lead to, with Linux at the other end.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct SerialTests {
    private static func boot(_ folder: TemporaryFolder, _ more: [String]) throws -> GuestMachine {
        let machine = try GuestMachine(
            ["-m", "256", "-accel", "tcg", "-display", "none", "-monitor", "none", "-nic", "none", "-serial", "stdio"]
                + ["-kernel", Repository.kernel, "-initrd", Repository.initramfs]
                + ["-append", "console=ttyS0 quiet"] + more)
        try machine.wait(for: "Type poweroff to end.")
        return machine
    }

    /// Has a port of the guest answer a line, and talks to it.
    private static func talk(
        _ machine: GuestMachine, _ port: String, read: (Double) -> Data?, write: (Data) -> Void
    ) throws {
        let answering = "stty raw -echo; echo ready; read line; echo \"$line, says \(port)\""
        _ = try machine.output(of: "(\(answering)) <>/dev/\(port) >&0 2>/dev/null & true")
        let greeting = HostBytes.text(until: "ready\n", seconds: 120, read)
        #expect(greeting.hasSuffix("ready\n"), "\(port): \(greeting)")
        write(Data("Hello\n".utf8))
        let answer = HostBytes.text(until: "Hello, says \(port)\n", seconds: 120, read)
        #expect(answer.hasSuffix("Hello, says \(port)\n"), "\(port): \(answer)")
    }

    @Test func portsLeadToSocketsAndTerminals() throws {
        let folder = try TemporaryFolder()
        let listener = try LoopbackSocket.listening()
        let machine = try Self.boot(
            folder,
            ["-serial", "unix:\(folder.path("socket")),server=on,wait=off"]
                + ["-serial", "tcp:127.0.0.1:\(listener.port)", "-serial", "pty"])
        let socket = try MonitorClient.connect(folder.path("socket"), seconds: 60)
        defer { close(socket) }
        try Self.talk(machine, "ttyS1", read: { HostBytes.read(socket, seconds: $0) }) { data in
            try? FileHandle(fileDescriptor: socket).write(contentsOf: data)
        }
        let connection = try #require(listener.accepted())
        try Self.talk(machine, "ttyS2", read: connection.read) { connection.write($0) }

        // The program says where the terminal is.
        let note = try #require(machine.console.split(whereSeparator: \.isNewline).first { $0.contains("redirected") })
        #expect(note.contains("char device redirected to /dev/pts/") && note.contains("(label serial3)"))
        let path = try #require(note.split(separator: " ").first { $0.hasPrefix("/dev/pts/") })
        let terminal = FileHandle(
            fileDescriptor: unsafe open(String(path), O_RDWR | O_NOCTTY), closeOnDealloc: true)
        try Self.talk(machine, "ttyS3", read: { HostBytes.read(terminal.fileDescriptor, seconds: $0) }) { data in
            try? terminal.write(contentsOf: data)
        }
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    @Test func portsLeadToFilesAndNowhere() throws {
        let folder = try TemporaryFolder()
        let port = try LoopbackSocket.freePort()
        let machine = try Self.boot(
            folder,
            ["-serial", "file:\(folder.path("file"))", "-serial", "null", "-serial", "chardev:line"]
                + ["-chardev", "socket,id=line,host=127.0.0.1,port=\(port),server=on,wait=off"])
        _ = try machine.output(of: "stty -F /dev/ttyS1 raw; seq 2000 >/dev/ttyS1")
        #expect(try machine.output(of: "stty -F /dev/ttyS2 raw; seq 2000 >/dev/ttyS2; echo $?") == "0")
        let connection = try LoopbackSocket.connected(to: port)
        try Self.talk(machine, "ttyS3", read: connection.read) { connection.write($0) }
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        let written = try String(contentsOfFile: folder.path("file"), encoding: .utf8)
        #expect(written == (1...2000).map { "\($0)\n" }.joined())
    }
}
