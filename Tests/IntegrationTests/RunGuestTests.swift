import Foundation
import Testing

/// The guest of `make run`, started as that starts it.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct RunGuestTests {
    private static let arguments = [Repository.program, "-accel", "tcg", "-append", "console=ttyS0", "-m", "512"]

    /// Waits until the DHCP client of the guest is done.
    private static let waitForAddress = """
        for i in $(seq 600); do grep -q nameserver /etc/resolv.conf 2>/dev/null && break; sleep 0.1; done
        """

    @Test func itHasAnAddressARouteAndAServerOfNames() throws {
        let payload = Data((0..<(4 << 20)).map { _ in UInt8.random(in: 0...255) })
        let folder = try TemporaryFolder()
        try payload.write(to: URL(fileURLWithPath: folder.path("payload")))
        let sum = String(try runOnHost("sha256sum", folder.path("payload")).output.prefix(64))
        let server = try HostWebServer(["/payload": payload])
        let machine = try GuestMachine(program: Repository.runScript, Self.arguments)
        try machine.wait(for: "Type poweroff to end.")

        _ = try machine.output(of: Self.waitForAddress)
        let address = try machine.output(of: "ip -4 -o addr show dev eth0")
        #expect(address.contains("inet 10.0.2.15/24"), "\(address)")
        let route = try machine.output(of: "ip route")
        #expect(route.contains("default via 10.0.2.2 dev eth0"), "\(route)")
        #expect(try machine.output(of: "cat /etc/resolv.conf") == "nameserver 10.0.2.3")
        // Twice, as the first connection also asks for the gateway's hardware address.
        for _ in 0..<2 {
            let fetched = try machine.output(of: "wget -qO - http://10.0.2.2:\(server.port)/payload | sha256sum")
            #expect(fetched.hasSuffix("\(sum)  -"), "\(fetched)")
        }
        let missing = try machine.output(of: "wget -qO - http://10.0.2.2:\(server.port)/nothing 2>&1; echo $?")
        #expect(missing.contains("404") && missing.hasSuffix("1"), "\(missing)")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }

    /// The user's own options about networks take the place of the card.
    @Test func itTakesAnotherNetwork() throws {
        let port = try LoopbackSocket.freePort()
        let machine = try GuestMachine(
            program: Repository.runScript,
            Self.arguments + ["-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:\(port)-:80"]
                + ["-device", "virtio-net-pci,netdev=n"])
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.output(of: Self.waitForAddress)
        #expect(try machine.output(of: "ls /sys/class/net") == "eth0  lo")
        // The host reaches a server in the guest.
        _ = try machine.output(of: "mkdir /www; seq 100000 >/www/numbers; httpd -p 80 -h /www")
        let connection = try LoopbackSocket.connected(to: port)
        connection.write(Data("GET /numbers HTTP/1.0\r\n\r\n".utf8))
        let answer = HostBytes.text(until: "\n99999\n100000\n") { connection.read(seconds: $0) }
        #expect(answer.hasPrefix("HTTP/1.1 200 OK") || answer.hasPrefix("HTTP/1.0 200 OK"), "\(answer.prefix(200))")
        #expect(answer.hasSuffix("\n99999\n100000\n"), "\(answer.suffix(200))")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }

    /// In a terminal: raw while it runs, Ctrl-A C to the monitor and back, Ctrl-A X to end, then as it was.
    @Test func itIsAtHomeInATerminal() throws {
        let terminal = try Terminal()
        let before = terminal.localModes
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Repository.runScript)
        process.currentDirectoryURL = Repository.root
        process.arguments = Self.arguments
        process.standardInput = terminal.slave
        process.standardOutput = terminal.slave
        process.standardError = terminal.slave
        try process.run()
        defer { if process.isRunning { process.terminate() } }

        try terminal.wait(for: "Type poweroff to end.")
        #expect(terminal.localModes & tcflag_t(ICANON | ECHO | ISIG) == 0)
        // Ctrl-C is the guest's: it ends a program there, not the machine.
        terminal.type("echo started; sleep 1000\n")
        try terminal.wait(for: "\nstarted\n")
        terminal.type("\u{3}")
        try terminal.wait(for: "# ")
        terminal.type("echo $((6 * 7))\n")
        try terminal.wait(for: "\n42\n")
        terminal.type("\u{1}c")
        try terminal.wait(for: "(qemu) ")
        terminal.type("info status\n")
        try terminal.wait(for: "VM status: running")
        terminal.type("\u{1}c")
        terminal.type("echo $((6 * 8))\n")
        try terminal.wait(for: "\n48\n")
        terminal.type("\u{1}x")
        try terminal.wait(for: "Terminated")
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(terminal.localModes == before)
    }
}

/// A pseudo-terminal with both of its ends.
final class Terminal {
    private let master: Int32
    let slave: FileHandle

    init() throws {
        var ends: (master: Int32, slave: Int32) = (-1, -1)
        try #require(unsafe openpty(&ends.master, &ends.slave, nil, nil, nil) == 0)
        master = ends.master
        slave = FileHandle(fileDescriptor: ends.slave, closeOnDealloc: true)
    }

    deinit { close(master) }

    /// The slave's `c_lflag`.
    var localModes: tcflag_t {
        var modes = termios()
        _ = unsafe tcgetattr(slave.fileDescriptor, &modes)
        return modes.c_lflag
    }

    func type(_ text: String) { try? FileHandle(fileDescriptor: master).write(contentsOf: Data(text.utf8)) }

    /// Waits for a text among what the terminal shows from now on.
    func wait(for wanted: String) throws {
        let text = HostBytes.text(until: wanted, seconds: 240) { HostBytes.read(master, seconds: $0) }
        try #require(text.contains(wanted), "'\(wanted)' did not come")
    }
}
