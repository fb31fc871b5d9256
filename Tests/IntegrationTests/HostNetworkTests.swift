import Foundation
import TestSupport
import Testing

/// Bridges, taps and rules of the host's kernel, inside namespaces of their own.
@Suite(.serialized, .enabled(if: Namespaces.absence == nil, "\(Namespaces.absence ?? "")"))
struct HostNetworkTests {
    private static let program = Repository.root.appendingPathComponent(".build/release/apus").path
    private static var isThere: Bool { FileManager.default.fileExists(atPath: program) }

    private func network(_ spaces: Namespaces, _ folder: TemporaryFolder, _ words: String...) throws -> String {
        let places = ["--run", folder.path("run"), "--state", folder.path("state")]
        return try HostProgram.output("env", spaces.way(0) + [Self.program, "network"] + words + places)
    }

    /// A card in the third namespace, on a bridge of the first.
    private func plug(_ spaces: Namespaces, into bridge: String) throws {
        try spaces.ip(
            "-n", spaces[0], "link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", spaces[2])
        try spaces.ip("-n", spaces[0], "link", "set", "cable", "master", bridge, "up")
        try spaces.ip("-n", spaces[2], "link", "set", "eth0", "up")
    }

    @Test(.enabled(if: isThere)) func aBridgeWithNATShowsOneAddressAndLeavesNothing() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        _ = try network(spaces, folder, "start", "default", "--host")
        defer { _ = try? network(spaces, folder, "destroy", "default") }
        let bridge = try spaces.ip("-n", spaces[0], "addr", "show", "virbr0")
        #expect(bridge.contains("192.168.122.1/24 brd 192.168.122.255") && bridge.contains("52:54:00:"))
        try plug(spaces, into: "virbr0")
        // The machine takes its address, and asks for itself by name.
        let script = folder.path("bound")
        try Data(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/24 dev $interface\nip route add default via $router\n"
                .utf8
        ).write(to: URL(fileURLWithPath: script))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        try spaces.inside(
            2, "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "20", "-x", "hostname:carol", "-s", script)
        #expect(try spaces.inside(2, "busybox", "nslookup", "carol", "192.168.122.1").contains("192.168.122."))
        // Outside, one address is seen: the host's.
        let listener = Process()
        listener.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        listener.arguments =
            spaces.way(1) + [
                "busybox", "nc", "-l", "-p", "8080", "-e", "sh", "-c", "echo hello; cat /proc/net/tcp /proc/net/tcp6",
            ]
        try listener.run()
        defer { listener.terminate() }
        var answer = ""
        let end = Date().addingTimeInterval(60)
        while !answer.contains("hello"), Date() < end {
            answer = (try? spaces.inside(2, "busybox", "nc", "-w", "5", "203.0.113.2", "8080")) ?? ""
        }
        // 203.0.113.1 as the kernel writes it, and nobody of 192.168.122.0/24.
        #expect(answer.contains("017100CB:") && !answer.contains("7AA8C0:"))
        // Killed, it leaves what the next one removes.
        let info = try JSONSerialization.jsonObject(with: Data(try network(spaces, folder, "info", "default").utf8))
        let number = Int32(try #require((info as? [String: Any])?["pid"] as? Int))
        kill(number, SIGKILL)
        while (try? network(spaces, folder, "info", "default")) != nil { Thread.sleep(forTimeInterval: 0.05) }
        _ = try network(spaces, folder, "cleanup")
        #expect(!(try spaces.ip("-n", spaces[0], "link")).contains("virbr0"))
        #expect(!(try spaces.inside(0, "nft", "list", "ruleset")).contains("apus"))
        // Leases outlive it; a network that ends in peace leaves nothing either.
        #expect(try network(spaces, folder, "leases", "default").contains("carol"))
        _ = try network(spaces, folder, "start", "default", "--host")
        _ = try network(spaces, folder, "destroy", "default")
        #expect(!(try spaces.ip("-n", spaces[0], "link")).contains("virbr0"))
    }

    /// A machine that boots from its network gets files of the host's folder, and none beside it.
    @Test(.enabled(if: isThere)) func aBridgeGivesFilesByTFTP() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        let root = folder.path("tftp")
        try FileManager.default.createDirectory(atPath: root + "/pxe", withIntermediateDirectories: true)
        let image = Data((0..<200_000).map { UInt8($0 * 7 & 255) })
        try image.write(to: URL(fileURLWithPath: root + "/pxe/boot.img"))
        try Data("secret".utf8).write(to: URL(fileURLWithPath: folder.path("secret")))
        let xml = """
            <network><name>boot</name><bridge name='virbr8' stp='off'/>
              <ip address='192.168.132.1' prefix='24'><tftp root='\(root)'/></ip></network>
            """
        try Data(xml.utf8).write(to: URL(fileURLWithPath: folder.path("boot.xml")))
        _ = try network(spaces, folder, "start", "--xml", folder.path("boot.xml"), "--host")
        defer { _ = try? network(spaces, folder, "destroy", "boot") }
        try plug(spaces, into: "virbr8")
        try spaces.ip("-n", spaces[2], "addr", "add", "192.168.132.9/24", "dev", "eth0")
        for block in [512, 1400] {
            let copy = folder.path("copy\(block)")
            try spaces.inside(
                2, "busybox", "tftp", "-g", "-b", "\(block)", "-r", "/pxe/boot.img", "-l", copy, "192.168.132.1")
            #expect(try Data(contentsOf: URL(fileURLWithPath: copy)) == image)
        }
        for name in ["../secret", "pxe", "none"] {
            #expect(throws: (any Error).self) {
                try spaces.inside(
                    2, "busybox", "tftp", "-g", "-r", name, "-l", folder.path("stolen"), "192.168.132.1")
            }
        }
        #expect(throws: (any Error).self) {
            try spaces.inside(2, "busybox", "tftp", "-p", "-r", "new", "-l", folder.path("secret"), "192.168.132.1")
        }
        #expect(!FileManager.default.fileExists(atPath: root + "/new"))
    }

    /// What a network of each kind leaves after a kill, and after the next one's start and peaceful end: nothing.
    @Test(.enabled(if: isThere)) func whateverItsKindANetworkLeavesNothing() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        let range = "<dhcp><range start='192.168.131.2' end='192.168.131.9'/></dhcp>"
        let four = "<ip address='192.168.131.1' prefix='24'>\(range)</ip>"
        let six = "<ip family='ipv6' address='fd00:31::1' prefix='64'/>"
        func traces() throws -> [String] {
            var found = [try spaces.ip("-n", spaces[0], "-o", "link"), try spaces.ip("-n", spaces[0], "-o", "addr")]
            found += [try spaces.ip("-n", spaces[0], "route"), try spaces.ip("-n", spaces[0], "-6", "route")]
            found += [try spaces.inside(0, "nft", "list", "ruleset"), try spaces.inside(0, "tc", "qdisc")]
            found.append(try spaces.inside(0, "ss", "-Hlntu0"))
            // Addresses of links come and go by themselves.
            found = found.map { $0.split(separator: "\n").filter { !$0.contains("fe80:") }.joined(separator: "\n") }
            return found + ["\((try? FileManager.default.contentsOfDirectory(atPath: folder.path("run"))) ?? [])"]
        }
        let before = try traces()
        for (forward, more, sign) in [
            ("<forward mode='nat'/>", four, "masquerade"), ("<forward mode='route'/>", four, "ip saddr 192.168.131"),
            ("<forward mode='open'/>", four, ""), ("", four, "reject"),
            ("<forward mode='nat'><nat ipv6='yes'/></forward>", four + six, "table ip6 apus_kind"),
            ("<forward mode='route'/>", six, "ip6 saddr fd00:31"), ("", six, "table ip6 apus_kind"),
            (
                "<forward mode='nat'/><bandwidth><inbound average='100'/><outbound average='100'/></bandwidth>", four,
                "table netdev apus_kind"
            ),
        ] {
            let xml = "<network><name>kind</name>\(forward)<bridge name='virbr7'/>\(more)</network>"
            try Data(xml.utf8).write(to: URL(fileURLWithPath: folder.path("kind.xml")))
            // One is started over what a kill has left.
            for _ in 0..<(sign == "masquerade" ? 2 : 1) {
                _ = try network(spaces, folder, "start", "--xml", folder.path("kind.xml"), "--host")
                #expect(try spaces.ip("-n", spaces[0], "link").contains("virbr7"))
                #expect(try sign.isEmpty || spaces.inside(0, "nft", "list", "ruleset").contains(sign), "\(forward)")
                let info = try JSONSerialization.jsonObject(with: Data(network(spaces, folder, "info", "kind").utf8))
                kill(Int32(try #require((info as? [String: Any])?["pid"] as? Int)), SIGKILL)
                while (try? network(spaces, folder, "info", "kind")) != nil { Thread.sleep(forTimeInterval: 0.02) }
            }
            _ = try network(spaces, folder, "cleanup")
            #expect(try traces() == before, "\(xml)")
            _ = try network(spaces, folder, "start", "--xml", folder.path("kind.xml"), "--host")
            _ = try network(spaces, folder, "destroy", "kind")
            #expect(try traces() == before, "\(xml)")
            #expect(!FileManager.default.fileExists(atPath: folder.path("state/kind.leases")))
        }
    }

    private static let ipv6 = """
        <network><name>six</name><forward mode='nat'><nat ipv6='yes'/></forward><bridge name='virbr6'/>
          <domain name='lab.test'/>
          <bandwidth><inbound average='100000' burst='1024'/><outbound average='100000'/></bandwidth>
          <ip address='192.168.126.1' prefix='24'/>
          <ip family='ipv6' address='fd00:12::1' prefix='64'><dhcp>
            <range start='fd00:12::100' end='fd00:12::1ff'/>
            <host id='0:3:0:1:52:54:0:0:0:9' name='carol' ip='fd00:12::9'/>
          </dhcp></ip>
        </network>
        """

    /// Debian's client takes its address from us, the kernel its way out, and outside one address is seen.
    @Test(.enabled(if: isThere && HostNetworkTests.hasClient)) func aBridgeGivesAddressesOfIPv6AndTranslatesThem()
        throws
    {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        for (place, card, address) in [(0, "em1", "2001:db8::1/64"), (1, "eth0", "2001:db8::2/64")] {
            try spaces.ip("-n", spaces[place], "addr", "add", address, "dev", card, "nodad")
        }
        try Data(Self.ipv6.utf8).write(to: URL(fileURLWithPath: folder.path("six.xml")))
        _ = try network(spaces, folder, "start", "--xml", folder.path("six.xml"), "--host")
        defer { _ = try? network(spaces, folder, "destroy", "six") }
        #expect(try spaces.ip("-n", spaces[0], "addr", "show", "virbr6").contains("fd00:12::1/64"))
        try plug(spaces, into: "virbr6")
        try spaces.ip("-n", spaces[2], "link", "set", "eth0", "down")
        // Its address of the link counts at once: nobody else is there to have it.
        try spaces.inside(2, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad")
        try spaces.ip("-n", spaces[2], "link", "set", "eth0", "address", "52:54:00:00:00:09", "up")
        var files: [String] = []
        for (option, name) in [("-lf", "leases"), ("-pf", "pid"), ("-sf", "bound")] {
            files += [option, folder.path(name)]
        }
        // Debian's own script would write the host's /etc/resolv.conf, which is no part of a network namespace.
        let script = """
            #!/bin/sh
            [ "$reason" != BOUND6 ] || ip -6 addr add "$new_ip6_address/128" dev "$interface"

            """
        try Data(script.utf8).write(to: URL(fileURLWithPath: folder.path("bound")))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path("bound"))
        _ = try HostProgram.output(
            "ip", ["netns", "exec", spaces[2], "dhclient", "-6", "-1", "-D", "LL", "-v"] + files + ["eth0"])
        defer { _ = try? HostProgram.output("dhclient", ["-6", "-x"] + files) }
        #expect(try spaces.ip("-n", spaces[2], "addr", "show", "eth0").contains("fd00:12::9/"))
        #expect(try network(spaces, folder, "leases", "six").contains("52:54:00:00:00:09   fd00:12::9        carol"))
        // Its way to the rest of the network comes by itself, from the router: before or after the address.
        let patience = Date().addingTimeInterval(60)
        while try !spaces.ip("-n", spaces[2], "-6", "route").contains("default via fe80::"), Date() < patience {
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(try spaces.inside(2, "busybox", "nslookup", "-type=aaaa", "carol", "fd00:12::1").contains("fd00:12::9"))
        // Outside there is no way back to fd00:12::/64: an answer means that the host's address was seen.
        let end = Date().addingTimeInterval(60)
        func isAnswered() -> Bool {
            (try? spaces.inside(2, "busybox", "ping6", "-c", "1", "-W", "2", "2001:db8::2")) != nil
        }
        while !isAnswered(), Date() < end {}
        #expect(isAnswered())
        #expect(try spaces.ip("-n", spaces[2], "-6", "route").contains("default via fe80::"))
        // The limits of the whole network are the kernel's.
        #expect(try spaces.inside(0, "tc", "class", "show", "dev", "virbr6").contains("rate 819200Kbit"))
        let rules = try spaces.inside(0, "nft", "list", "ruleset")
        #expect(rules.contains("limit rate over 100000 kbytes/second") && rules.contains("table ip6 apus_six"))
        let info = try JSONSerialization.jsonObject(with: Data(try network(spaces, folder, "info", "six").utf8))
        kill(Int32(try #require((info as? [String: Any])?["pid"] as? Int)), SIGKILL)
        while (try? network(spaces, folder, "info", "six")) != nil { Thread.sleep(forTimeInterval: 0.05) }
        _ = try network(spaces, folder, "cleanup")
        #expect(!(try spaces.ip("-n", spaces[0], "link")).contains("virbr6"))
        #expect(!(try spaces.inside(0, "nft", "list", "ruleset")).contains("apus"))
        #expect(try network(spaces, folder, "leases", "six").contains("carol"))
    }

    private static let hasPasst = (try? runOnHost("which", "passt"))?.status == 0

    /// passt moves a machine's frames by its own socket: with the host's address, without any right.
    @Test(.enabled(if: isThere && Repository.hasGuest && HostNetworkTests.hasPasst))
    func aMachineIsBehindPasst() throws {
        let spaces = try Namespaces.host()
        try spaces.ip("-n", spaces[0], "route", "add", "default", "via", "203.0.113.2")
        let folder = try TemporaryFolder()
        // It gives its rights away before it opens its socket.
        let open = folder.path("socket")
        try FileManager.default.createDirectory(atPath: open, withIntermediateDirectories: false)
        for path in [folder.path(""), open] {
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
        }
        func background(_ place: Int, _ words: String...) throws -> Process {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = spaces.way(place) + words
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
            try process.run()
            return process
        }
        // Else it takes what is for the router as meant for the host.
        let passt = try background(0, "passt", "-f", "-1", "--no-map-gw", "-s", open + "/passt")
        defer { passt.terminate() }
        let server = try background(1, "busybox", "nc", "-ll", "-p", "7000", "-e", "echo", "hello from outside")
        defer { server.terminate() }
        let end = Date().addingTimeInterval(30)
        while !FileManager.default.fileExists(atPath: open + "/passt"), Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        let guest = try GuestMachine(
            program: "/usr/bin/env",
            spaces.way(0) + [
                Repository.program, "-m", "256", "-nographic", "-kernel", Repository.kernel, "-initrd",
                Repository.initramfs, "-append", "console=ttyS0 quiet", "-netdev",
                "stream,id=n,server=off,addr.type=unix,addr.path=\(open)/passt", "-device", "virtio-net-pci,netdev=n",
            ])
        try guest.wait(for: "~ #")
        _ = try guest.shell("until ip route | grep -q default; do sleep 1; done")
        #expect(try guest.shell("ip addr show eth0").contains("203.0.113.1/24"))
        // The server ends first: this passt loses the end of a connection that its client has ended before.
        #expect(try guest.shell("sleep 3 | nc -w 20 203.0.113.2 7000").contains("hello from outside"))
        try guest.type("poweroff -f")
        #expect(try guest.status() == 0)
    }

    private static let hasClient = (try? runOnHost("which", "dhclient"))?.status == 0

    @Test(.enabled(if: isThere)) func aCardMovesUnderABridgeOnlyIfTheGatewayAnswers() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        try spaces.inside(0, "ip", "route", "add", "default", "via", "203.0.113.2")
        try spaces.inside(0, "ip", "addr", "add", "2001:db8::1/64", "dev", "em1", "nodad")
        try spaces.inside(0, "ip", "-6", "route", "add", "2001:db8:9::/48", "via", "2001:db8::2")
        _ = try network(spaces, folder, "bridge", "br0", "--nic", "em1")
        #expect(try spaces.ip("-n", spaces[0], "-6", "route").contains("2001:db8:9::/48 via 2001:db8::2 dev br0"))
        let bridge = try spaces.ip("-n", spaces[0], "addr", "show", "br0")
        #expect(bridge.contains("203.0.113.1/24") && bridge.contains("2001:db8::1/64"))
        #expect(try spaces.ip("-n", spaces[0], "route").contains("default via 203.0.113.2 dev br0"))
        // A machine on it has an address of its own outside.
        try plug(spaces, into: "br0")
        try spaces.ip("-n", spaces[2], "addr", "add", "203.0.113.9/24", "dev", "eth0")
        try spaces.inside(2, "busybox", "arping", "-f", "-w", "60", "-I", "eth0", "203.0.113.2")
    }

    @Test(.enabled(if: isThere)) func aCardMovesBackWhereTheGatewayIsSilent() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        try spaces.inside(0, "ip", "route", "add", "default", "via", "203.0.113.77")
        try spaces.inside(0, "ip", "addr", "add", "2001:db8::1/64", "dev", "em1", "nodad")
        #expect(throws: (any Error).self) {
            try network(spaces, folder, "bridge", "br0", "--nic", "em1", "--wait", "1")
        }
        #expect(!(try spaces.ip("-n", spaces[0], "link")).contains("br0"))
        #expect(try spaces.ip("-n", spaces[0], "addr", "show", "em1").contains("203.0.113.1/24"))
        #expect(try spaces.ip("-n", spaces[0], "route").contains("default via 203.0.113.77 dev em1"))
        #expect(try spaces.ip("-n", spaces[0], "addr", "show", "em1").contains("2001:db8::1/64"))
    }

    /// A machine's tap, by its name, on the host's bridge.
    @Test(.enabled(if: isThere && Repository.hasGuest)) func aMachineHasATapOnABridge() throws {
        let spaces = try Namespaces.host()
        let folder = try TemporaryFolder()
        _ = try network(spaces, folder, "start", "default", "--host")
        defer { _ = try? network(spaces, folder, "destroy", "default") }
        let guest = try GuestMachine(
            program: "/usr/bin/env",
            spaces.way(0) + [
                Repository.program, "-m", "256", "-nographic", "-kernel", Repository.kernel, "-initrd",
                Repository.initramfs, "-append", "console=ttyS0 quiet", "-netdev", "bridge,id=n,br=virbr0,helper=/none",
                "-device", "virtio-net-pci,netdev=n",
            ])
        try guest.wait(for: "~ #")
        _ = try guest.shell("until grep -q nameserver /etc/resolv.conf 2>/dev/null; do sleep 1; done")
        #expect(try guest.shell("ping -c 2 192.168.122.1").contains("2 packets received"))
        try guest.type("poweroff -f")
        #expect(try guest.status() == 0)
        #expect(!(try spaces.ip("-n", spaces[0], "link")).contains("tap0"), "The tap goes with its machine")
    }
}
