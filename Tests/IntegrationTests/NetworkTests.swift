import Foundation
import TestSupport
import Testing

/// `apus network` in a folder of its own.
final class NetworkTool: Sendable {
    static let program = Repository.root.appendingPathComponent(".build/release/apus").path
    static var isThere: Bool { FileManager.default.fileExists(atPath: program) }
    let folder: TemporaryFolder
    /// What goes before the program: nothing, or the way into a network namespace.
    private let way: [String]

    init(way: [String] = []) throws {
        folder = try TemporaryFolder()
        self.way = way
    }

    /// Runs a command and returns what it writes.
    @discardableResult
    func run(_ words: String...) throws -> String {
        let words = [Self.program, "network"] + words + ["--run", folder.path("run"), "--state", folder.path("state")]
        return try HostProgram.output("env", way + words).trimmingCharacters(in: .newlines)
    }

    /// How `apus ssh root@NAME uptime` calls ssh.
    func shell(_ name: String, port: Int) throws -> String {
        let bin = folder.path("bin")
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try Data("#!/bin/sh\necho \"$*\"\n".utf8).write(to: URL(fileURLWithPath: bin + "/ssh"))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bin + "/ssh")
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = [
            "ssh", "--run", folder.path("run"), "--state", folder.path("state"), "--port", "\(port)", "root@" + name,
            "uptime",
        ]
        process.environment = ["PATH": bin + ":/usr/bin:/bin"]
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    /// The number of a network's process.
    func number(of name: String) throws -> Int32 {
        let text = try run("info", name)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return Int32(try #require(object?["pid"] as? Int))
    }
}

@Suite(.serialized) struct NetworkTests {
    /// Two machines, the host's web server, and a port of the host, all without root.
    @Test(.enabled(if: Repository.hasGuest && NetworkTool.isThere))
    func machinesOnTheDefaultNetworkMeetByName() throws {
        let tool = try NetworkTool()
        try tool.run("start", "default")
        defer { _ = try? tool.run("destroy", "default") }
        let server = try HostWebServer(["/index.html": Data("from the host".utf8)])
        var guests: [GuestMachine] = []
        for (number, name) in ["alice", "bob"].enumerated() {
            let mac = "52:54:00:00:00:0\(number + 1)"
            // One speaks QEMU's plain framing, the other hands segments over whole.
            let socket =
                number == 0
                ? try tool.run(
                    "port-add", "default", "vnet0", "--mac", mac, "--machine", name, "--filter", "clean-traffic",
                    "--headers")
                : try tool.run("port-add", "default", "vnet1", "--mac", mac, "--machine", name)
            let headers = number == 0 ? "on" : "off"
            guests.append(
                try GuestMachine(
                    booting: [
                        "-m", "256", "-netdev",
                        "stream,id=n,addr.type=unix,addr.path=\(socket),reconnect=1,vnet_hdr=\(headers)",
                        "-device", "virtio-net-pci,netdev=n,mac=\(mac)",
                    ], append: "quiet"))
        }
        for guest in guests {
            try guest.wait(for: "~ #")
            // The address comes in the background.
            _ = try guest.shell("until grep -q nameserver /etc/resolv.conf 2>/dev/null; do sleep 1; done")
        }
        #expect(try guests[0].shell("ping -c 2 bob").contains("2 packets received"))
        #expect(try guests[1].shell("ping -c 2 alice").contains("2 packets received"))
        for guest in guests {
            let page = try guest.shell("wget -q -O - http://192.168.122.1:\(server.port)/index.html")
            #expect(page.contains("from the host"))
        }
        let leases = try tool.run("leases", "default")
        let line = try #require(leases.split(separator: "\n").first { $0.contains("00:00:00:01") })
        let address = String(try #require(line.split(separator: " ").dropFirst().first))
        let port = try LoopbackSocket.freePort()
        try tool.run("forward", "default", "tcp:127.0.0.1:\(port)-\(address):7")
        _ = try guests[0].shell("(nc -l -p 7 -e cat &); sleep 1")
        let connection = try LoopbackSocket.connected(to: port)
        #expect(connection.write(Data("through the forward\n".utf8)))
        let echo = HostBytes.text(until: "forward") { connection.read(seconds: $0) }
        #expect(echo.contains("through the forward"))
        // `apus ssh` knows a way in by the machine's name: the one that is there, or one of its own.
        #expect(try tool.shell("alice", port: 7) == "-o HostKeyAlias=alice -p \(port) root@127.0.0.1 uptime")
        _ = try guests[1].shell("(nc -l -p 9 -e cat &); sleep 1")
        let words = try tool.shell("bob", port: 9).split(separator: " ")
        let way = try #require(words.firstIndex(of: "-p").flatMap { Int(words[$0 + 1]) })
        let second = try LoopbackSocket.connected(to: way)
        #expect(second.write(Data("to bob\n".utf8)))
        #expect(HostBytes.text(until: "bob") { second.read(seconds: $0) }.contains("to bob"))
        let ports = try tool.run("ports", "default")
        #expect(ports.contains("\"machine\": \"alice\""))
        for guest in guests { try guest.type("poweroff -f") }
        for guest in guests { #expect(try guest.status() == 0) }
    }

    /// A machine whose network's process was killed finds the next one; leases stay.
    @Test(.enabled(if: NetworkTool.isThere)) func aNetworkThatWasKilledComesBack() throws {
        let tool = try NetworkTool()
        try tool.run("start", "default")
        let number = try tool.number(of: "default")
        #expect(try tool.run("start", "default").contains("started"), "Once more is no error")
        #expect(try tool.number(of: "default") == number)
        kill(number, SIGKILL)
        let end = Date().addingTimeInterval(60)
        while (try? tool.run("info", "default")) != nil, Date() < end { Thread.sleep(forTimeInterval: 0.05) }
        try tool.run("start", "default")
        #expect(try tool.number(of: "default") != number)
        try tool.run("destroy", "default")
        let left = try FileManager.default.contentsOfDirectory(atPath: tool.folder.path("run"))
        #expect(left.isEmpty)
    }

    private static let ipv6Absence =
        !NetworkTool.isThere || !Repository.hasGuest ? "no guest or no apus" : ClientInitramfs.absence

    private static func ipv6(_ name: String, _ address: String, _ dhcp: String = "") -> String {
        """
        <network><name>\(name)</name><forward mode='nat'/><domain name='\(name).test'/>
          <ip family='ipv6' address='\(address)' prefix='64'>\(dhcp)</ip>
        </network>
        """
    }

    /// Two machines on networks of IPv6 alone: one that gives addresses, and one where machines make their own.
    @Test(.enabled(if: ipv6Absence == nil, "\(ipv6Absence ?? "")")) func machinesMeetByIPv6() throws {
        let tool = try NetworkTool()
        let range = "<dhcp><range start='fd00:77::100' end='fd00:77::1ff'/></dhcp>"
        for (name, xml) in [("six", Self.ipv6("six", "fd00:77::1", range)), ("own", Self.ipv6("own", "fd00:78::1"))] {
            try Data(xml.utf8).write(to: URL(fileURLWithPath: tool.folder.path(name)))
            try tool.run("start", "--xml", tool.folder.path(name))
        }
        defer { for name in ["six", "own"] { _ = try? tool.run("destroy", name) } }
        let initramfs = tool.folder.path("initramfs")
        try ClientInitramfs.make(
            from: Repository.initramfs, scripts: Repository.root.appendingPathComponent("Scripts").path, at: initramfs)
        var guests: [GuestMachine] = []
        for (number, name) in ["alice", "bob"].enumerated() {
            var options = ["-m", "256", "-nographic", "-kernel", Repository.kernel, "-initrd", initramfs]
            options += ["-append", "console=ttyS0 quiet"]
            for (card, network) in ["six", "own"].enumerated() {
                let mac = "52:54:00:00:0\(card):0\(number + 1)"
                let socket = try tool.run("port-add", network, "vnet\(number)", "--mac", mac, "--machine", name)
                options += ["-netdev", "stream,id=n\(card),addr.type=unix,addr.path=\(socket),reconnect=1"]
                options += ["-device", "virtio-net-pci,netdev=n\(card),mac=\(mac)"]
            }
            guests.append(try GuestMachine(options))
        }
        for guest in guests {
            try guest.wait(for: "~ #")
            for (card, prefix) in [("eth0", "fd00:77::1"), ("eth1", "fd00:78::")] {
                // Usable once nobody else has it (RFC 4862, 5.4).
                _ = try guest.shell(
                    "until ip -6 addr show dev \(card) | grep -v tentative | grep -q \(prefix); do sleep 1; done")
            }
            for gateway in ["fd00:77::1", "fd00:78::1"] {
                #expect(try guest.shell("ping6 -c 2 \(gateway)").contains("2 packets received"))
            }
        }
        let leases = try tool.run("leases", "six")
        let line = try #require(leases.split(separator: "\n").first { $0.contains("52:54:00:00:00:02") })
        let bob = String(try #require(line.split(separator: " ").dropFirst().first))
        #expect(leases.contains("52:54:00:00:00:01   fd00:77::1") && bob.hasPrefix("fd00:77::1") && bob != "fd00:77::1")
        #expect(try tool.run("addresses", "own").contains("fd00:78::5054:ff:fe00:102"))
        // By name: what DHCP gave, and what a machine made itself and told its neighbours.
        for (network, server, place, bytes) in [
            ("six", "fd00:77::1", bob, "fd000077" + String(repeating: "0", count: 20) + "01"),
            ("own", "fd00:78::1", "fd00:78::5054:ff:fe00:102", "fd00007800000000505400fffe000102"),
        ] {
            _ = try guests[0].shell("echo nameserver \(server) >/etc/resolv.conf")
            #expect(try guests[0].output(of: "nslookup -type=aaaa bob").contains(place))
            #expect(try guests[0].shell("ping6 -c 2 bob").contains("2 packets received"))
            // The same over TCP: a question of 30 bytes, whose answer ends with the address.
            let question: [UInt8] =
                [0, 30, 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3] + Array("bob".utf8) + [3] + Array(network.utf8)
                + [4] + Array("test".utf8) + [0, 0, 28, 0, 1]
            let text = question.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let answer = try guests[0].shell(
                "printf '\(text)' | nc \(server) 53 | tail -c 16 | hexdump -ve '1/1 \"%02x\"'")
            #expect(answer.contains(bytes), "\(answer)")
        }
        for guest in guests { try guest.type("poweroff -f") }
        for guest in guests { #expect(try guest.status() == 0) }
    }
}
