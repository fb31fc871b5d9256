import Foundation
import TestSupport
import Testing

/// `apus network` in a folder of its own.
private final class NetworkTool: Sendable {
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

    @Test(.enabled(if: NetworkTool.isThere)) func bridgesAreWrittenForEveryHost() throws {
        let tool = try NetworkTool()
        let root = tool.folder.path("root")
        for style in ["ifupdown", "networkmanager", "netplan", "systemd-networkd", "ifcfg"] {
            try tool.run(
                "bridge", "br0", "--nic", "em1", "--write", style, "--root", root, "--address", "192.168.4.200/24",
                "--gateway", "192.168.4.1", "--dns", "192.168.4.2")
        }
        func text(_ path: String) throws -> String { try String(contentsOfFile: root + path, encoding: .utf8) }
        let bridge = try text("/etc/sysconfig/network-scripts/ifcfg-br0")
        for line in [
            "TYPE=\"Bridge\"", "BOOTPROTO=\"static\"", "NAME=\"br0\"", "DEVICE=\"br0\"", "ONBOOT=\"yes\"",
            "IPADDR=\"192.168.4.200\"", "NETMASK=\"255.255.255.0\"", "GATEWAY=\"192.168.4.1\"",
        ] { #expect(bridge.contains(line)) }
        #expect(try text("/etc/sysconfig/network-scripts/ifcfg-em1").contains("BRIDGE=\"br0\""))
        #expect(try text("/etc/network/interfaces.d/br0").contains("bridge_ports em1"))
        #expect(try text("/etc/netplan/60-br0.yaml").contains("addresses: [192.168.4.200/24]"))
        #expect(try text("/etc/systemd/network/60-em1.network").contains("Bridge=br0"))
        #expect(
            try text("/etc/NetworkManager/system-connections/br0.nmconnection").contains(
                "address1=192.168.4.200/24,192.168.4.1"))
        #expect(throws: (any Error).self) { try tool.run("bridge", "br0", "--nic", "../x", "--write", "ifcfg") }
    }
}
