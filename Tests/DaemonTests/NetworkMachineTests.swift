import Daemon
import HostOS
import TestSupport
import Testing

/// Machines on networks of the daemon, with Debian's virsh: first without privilege in our own switch, then on a bridge
/// of the kernel, in a network namespace that goes with the test.
@Suite("Machines on networks", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct NetworkMachineTests {
    private let folder: String
    private let way: [String]
    private let kind: String

    init() throws {
        folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        (way, kind) = ([], "switch")
    }

    private init(namespace: String) throws {
        folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        (way, kind) = (["/usr/sbin/ip", "netns", "exec", namespace], "bridge")
    }

    private func daemon() throws -> DaemonProcess {
        try DaemonProcess(folder: folder, way: way, options: ["--networks", kind])
    }

    private func virsh(_ line: String) throws -> Program {
        try Program(
            ["/usr/bin/virsh", "-c", "qemu+unix:///session?socket=\(folder)/libvirt-sock"]
                + line.split(separator: " ").map(String.init))
    }

    @discardableResult
    private func done(_ line: String) throws -> String {
        let output = try virsh(line)
        #expect(output.status == 0, "\(line): \(output.errors)")
        return output.text
    }

    /// What a command says once it says enough; after two minutes whatever it says.
    private func awaited(_ line: String, _ isEnough: (String) -> Bool) throws -> String {
        let deadline = HostClock.monotonic + 120_000_000_000
        let pause = Bell()
        while true {
            let text = try virsh(line).text
            if isEnough(text) || HostClock.monotonic > deadline { return text }
            pause.wait(nanoseconds: 300_000_000)
        }
    }

    private func define(
        _ name: String, _ mac: String, type: String = "network", source: String = "network='default'",
        more: String = "", initramfs: String = TestPrograms.initramfs
    ) throws {
        let card = """
            <interface type='\(type)'><mac address='\(mac)'/><source \(source)/><model type='virtio'/>\(more)</interface>
            """
        let xml = TestXML.domain(name, devices: card + "<serial type='pty'/>", kernel: TestPrograms.kernel)
            .replacing(TestPrograms.initramfs, with: initramfs)
        try HostFile.replace("\(folder)/\(name).xml", with: Array(xml.utf8))
        try done("define \(folder)/\(name).xml")
    }

    /// The process of the network.
    private func network() throws -> HostProcess {
        let text = String(decoding: try HostFile.contents("\(folder)/run/switch/default/pid"), as: UTF8.self)
        let number = try #require(Int32(text.split(whereSeparator: \.isWhitespace).first ?? ""))
        return try HostProcess(number: number)
    }

    private func end(_ process: HostProcess) {
        process.kill()
        #expect(process.waitForEnd(milliseconds: 60_000))
    }

    private var left: [String] {
        let files = (try? HostFolder.names(in: folder + "/lib/network")) ?? []
        return files + ((try? HostFolder.names(in: folder + "/run/switch")) ?? [])
    }

    @Test("In a switch: leases, neighbours and counters; a killed daemon and a killed network come back")
    func inASwitch() throws {
        defer { DaemonProcess.clear(folder) }
        let first = try daemon()
        let entry = folder + "/host.xml"
        try HostFile.replace(entry, with: Array("<host mac='52:54:00:00:00:0a' ip='192.168.122.77'/>".utf8))
        try done("net-update default add ip-dhcp-host \(entry) --live --config")
        let rules = """
            <filter name='quiet'><rule action='accept' direction='out'><udp dstportstart='67'/></rule>\
            <rule action='drop' direction='out'><tcp srcipaddr='$IP' dstportstart='$PORTS'/></rule></filter>
            """
        try HostFile.replace(folder + "/filter.xml", with: Array(rules.utf8))
        try done("nwfilter-define \(folder)/filter.xml")
        let filter = """
            <filterref filter='quiet'><parameter name='IP' value='192.168.122.77'/>\
            <parameter name='PORTS' value='25'/><parameter name='PORTS' value='26'/></filterref>
            """
        try define("alice", "52:54:00:00:00:0a", more: filter)
        try done("start alice")
        let list = try done("domiflist alice")
        #expect(list.contains("vnet0") && list.contains("default"))
        let leases = try awaited("net-dhcp-leases default") { $0.contains("52:54:00:00:00:0a") }
        #expect(leases.contains("192.168.122.77/24"))
        #expect(try done("domifaddr alice").contains("192.168.122.77/24"))
        #expect(try awaited("domifaddr alice --source arp") { $0.contains("122.77") }.contains("192.168.122.77"))
        #expect(try !done("domifstat alice vnet0").contains("rx_packets 0"))
        let ports = { () -> String in
            (try? Program([
                TestPrograms.daemon, "network", "ports", "default", "--run", folder + "/run/switch", "--state",
                folder + "/lib/network",
            ]).text) ?? ""
        }
        // Limited while it runs, and not any more.
        try done("domiftune alice 52:54:00:00:00:0a --inbound 2000,0,256 --outbound 1000 --live --config")
        #expect(ports().contains("\"average\": 2048000") && ports().contains("\"average\": 1024000"))
        #expect(try done("domiftune alice vnet0").contains("inbound.average: 2000"))
        try done("domiftune alice vnet0 --inbound 0 --outbound 0 --live")
        #expect(!ports().contains("average"))
        try refusesDevicesOfTheHost()
        // The switch is killed: it comes back with the port, and the machine connects again by itself.
        let old = try network()
        end(old)
        let deadline = HostClock.monotonic + 120_000_000_000
        let pause = Bell()
        while !ports().contains("\"connected\": true"), HostClock.monotonic < deadline {
            pause.wait(nanoseconds: 200_000_000)
        }
        #expect(ports().contains("\"machine\": \"alice\"") && ports().contains("dstportstart='26'"))
        #expect(try network().number != old.number)
        #expect(try done("net-list").contains("active"))
        // Both are killed: the next daemon has the network, the machine and the lease.
        first.kill()
        end(try network())
        let second = try daemon()
        #expect(try done("net-dhcp-leases default").contains("192.168.122.77/24"))
        #expect(ports().contains("\"machine\": \"alice\""))
        try done("destroy alice")
        #expect(!ports().contains("alice"))
        try done("net-destroy default")
        #expect(left.isEmpty, "\(left)")
        withExtendedLifetime(second) {}
    }

    /// A card of the host is a machine's only where all is there that it takes: the answer says what is not.
    private func refusesDevicesOfTheHost() throws {
        let none = "<address type='pci' domain='0xfffe' bus='0xfe' slot='0x1f' function='0x7'/>"
        let card = "<interface type='hostdev'><mac address='52:54:00:00:00:1d'/><source>\(none)</source></interface>"
        let xml = TestXML.domain("dora", devices: card, kernel: TestPrograms.kernel)
        try HostFile.replace("\(folder)/dora.xml", with: Array(xml.utf8))
        try done("define \(folder)/dora.xml")
        let refusal = "'fffe:fe:1f.7' cannot be given to a machine: there is no such device"
        #expect(try virsh("start dora").errors.contains(refusal))
        let pool = "<network><name>pool</name><forward mode='hostdev' managed='yes'>\(none)</forward></network>"
        try HostFile.replace("\(folder)/pool.xml", with: Array(pool.utf8))
        try done("net-create \(folder)/pool.xml")
        try define("emil", "52:54:00:00:00:0e", source: "network='pool'")
        #expect(try virsh("start emil").errors.contains(refusal))
        try done("net-destroy pool")
    }

    @Test(
        "On a bridge: taps, rules and leases go with their network, whatever was killed",
        .enabled(if: Self.absence == nil, "\(Self.absence ?? "")"))
    func onABridge() throws {
        let inside = try NetworkNamespace()
        defer { inside.remove() }
        let test = try NetworkMachineTests(namespace: inside.name)
        defer { DaemonProcess.clear(test.folder) }
        let first = try test.daemon()
        #expect(try inside("ip", "addr", "show", "virbr0").contains("192.168.122.1/24"))
        #expect(try inside("nft", "list", "ruleset").contains("table ip apus_default"))
        let more = """
            <bandwidth><inbound average='4000'/><outbound average='8000'/></bandwidth><port isolated='yes'/>\
            <filterref filter='clean-traffic'/>
            """
        try test.define("alice", "52:54:00:00:00:0b", more: more)
        try test.done("start alice")
        #expect(try inside("ip", "link", "show", "vnet0").contains("fe:54:00:00:00:0b"))
        #expect(try inside("ip", "link", "show", "vnet0").contains("master virbr0"))
        let leases = try test.awaited("net-dhcp-leases default") { $0.contains("52:54:00:00:00:0b") }
        #expect(leases.contains("192.168.122."))
        // Its filter and its limits are the kernel's, and change while it runs.
        let rules = try inside("nft", "list", "table", "bridge", "apus_ports")
        #expect(rules.contains("ether saddr != 52:54:00:00:00:0b drop"))
        #expect(rules.contains("limit rate over 8000 kbytes"))
        #expect(try inside("tc", "class", "show", "dev", "vnet0").contains("rate 32768Kbit"))
        #expect(try inside("ip", "-d", "link", "show", "vnet0").contains("isolated on"))
        try test.done("domiftune alice vnet0 --inbound 1000 --outbound 0 --live")
        #expect(try inside("tc", "class", "show", "dev", "vnet0").contains("rate 8192Kbit"))
        #expect(try !inside("nft", "list", "table", "bridge", "apus_ports").contains("limit rate"))
        first.kill()
        test.end(try test.network())
        let second = try test.daemon()
        #expect(try inside("ip", "link", "show", "vnet0").contains("master virbr0"))
        #expect(try inside("nft", "list", "table", "bridge", "apus_ports").contains("52:54:00:00:00:0b"))
        #expect(try test.done("net-dhcp-leases default").contains("52:54:00:00:00:0b"))
        // Nobody looks while the machine, the network's process and the daemon end: the next one tidies up.
        let machine = try #require(try DaemonProcess.machine(test.folder, "alice"))
        let processes = [try test.network(), try HostProcess(number: machine)]
        second.kill()
        for process in processes { test.end(process) }
        #expect(try inside("nft", "list", "table", "bridge", "apus_ports").contains("52:54:00:00:00:0b"))
        let third = try test.daemon()
        #expect(try test.done("domstate alice").contains("shut off"))
        #expect(try !inside("ip", "link").contains("vnet0"))
        #expect(try !inside("nft", "list", "ruleset").contains("apus_ports"))
        #expect(try inside("ip", "link", "show", "virbr0").contains("52:54:00"))
        // One that is on the bridge as on any other of the host: the host's own neighbours tell where it is.
        try test.define(
            "bert", "52:54:00:00:00:1b", type: "bridge", source: "bridge='virbr0'",
            more: "<filterref filter='no-mac-spoofing'/>")
        try test.done("start bert")
        #expect(try inside("nft", "list", "ruleset").contains("52:54:00:00:00:1b"))
        let mine = try test.awaited("net-dhcp-leases default") { $0.contains("52:54:00:00:00:1b") }
        let line = try #require(mine.split(separator: "\n").first { $0.contains("52:54:00:00:00:1b") })
        let place = try #require(line.split(separator: " ").first { $0.hasPrefix("192.168.122.") })
        let address = String(try #require(place.split(separator: "/").first))
        _ = try inside("busybox", "ping", "-c", "1", "-W", "20", address)
        #expect(try test.done("domifaddr bert --source arp").contains(address))
        try HostFile.replace(test.folder + "/ssh", with: Array("#!/bin/sh\necho \"$*\"\n".utf8), permissions: 0o755)
        let words = try inside(
            "env", "PATH=\(test.folder)", "LIBVIRT_DEFAULT_URI=qemu+unix:///session?socket=\(test.folder)/libvirt-sock",
            TestPrograms.daemon, "ssh", "--run", test.folder + "/run/switch", "--state", test.folder + "/lib/network",
            "root@bert")
        #expect(words == "-o HostKeyAlias=bert -p 22 root@\(address)\n")
        try test.done("destroy bert")
        #expect(try !inside("ip", "link").contains("vnet0"))
        #expect(try !inside("nft", "list", "ruleset").contains("apus_ports"))
        try test.done("net-destroy default")
        #expect(try !inside("ip", "link").contains("virbr0"))
        #expect(try !inside("nft", "list", "ruleset").contains("apus"))
        #expect(test.left.isEmpty, "\(test.left)")
        withExtendedLifetime(third) {}
    }

    private static let sharing = """
        <network><name>shared</name><forward mode='nat' dev='em1'/>
          <bridge name='virbr9' stp='off' macTableManager='libvirt'/>
          <bandwidth><inbound average='1000' peak='2000'/></bandwidth>
          <ip address='192.168.129.1' prefix='24'/><ip address='192.168.130.1' prefix='24'/>
          <route address='10.77.0.0' prefix='16' gateway='192.168.129.9'/>
        </network>
        """

    @Test(
        "On a bridge: machines with a part of the bandwidth, routes, more addresses, a table that learns nothing",
        .enabled(if: Self.absence == nil, "\(Self.absence ?? "")"))
    func onASharedBridge() throws {
        let inside = try NetworkNamespace()
        defer { inside.remove() }
        let test = try NetworkMachineTests(namespace: inside.name)
        defer { DaemonProcess.clear(test.folder) }
        let daemon = try test.daemon()
        try HostFile.replace(test.folder + "/net.xml", with: Array(Self.sharing.utf8))
        try test.done("net-create \(test.folder)/net.xml")
        #expect(try inside("ip", "addr", "show", "virbr9").contains("192.168.130.1/24"))
        #expect(try inside("ip", "route").contains("10.77.0.0/16 via 192.168.129.9 dev virbr9"))
        #expect(try inside("nft", "list", "table", "ip", "apus_shared").contains("oifname \"em1\""))
        func floor(_ rate: Int) -> String { "<bandwidth><inbound average='500' floor='\(rate)'/></bandwidth>" }
        try test.define("alice", "52:54:00:00:00:0d", source: "network='shared'", more: floor(400))
        try test.define("greta", "52:54:00:00:00:1e", source: "network='shared'", more: floor(1601))
        try test.define("hugo", "52:54:00:00:00:1f", more: floor(100))
        try test.done("start alice")
        let classes = try inside("tc", "class", "show", "dev", "virbr9")
        #expect(classes.contains("1:3 parent 1:1") && classes.contains("rate 3276Kbit ceil 16384Kbit"), "\(classes)")
        #expect(try inside("tc", "filter", "show", "dev", "virbr9").contains("flowid 1:3"))
        #expect(try inside("bridge", "fdb", "show", "dev", "vnet0").contains("52:54:00:00:00:0d master virbr9 static"))
        #expect(try inside("bridge", "-d", "link", "show", "dev", "vnet0").contains("learning off flood off"))
        // No more than there is, and nothing of a network without a limit.
        #expect(try test.virsh("start greta").errors.contains("would overcommit 'peak' on network 'shared'"))
        #expect(try test.virsh("start hugo").errors.contains("network 'default' has no inbound QoS set"))
        try test.done("destroy alice")
        #expect(try !inside("tc", "class", "show", "dev", "virbr9").contains("1:3"))
        try test.done("net-destroy shared")
        #expect(try !inside("ip", "link").contains("virbr9"))
        withExtendedLifetime(daemon) {}
    }

    @Test(
        "In a switch: leases of IPv6, as virsh shows them",
        .enabled(if: ClientInitramfs.absence == nil, "\(ClientInitramfs.absence ?? "")"))
    func leasesOfIPv6() throws {
        defer { DaemonProcess.clear(folder) }
        let daemon = try daemon()
        let xml = """
            <network><name>six</name><forward mode='nat'/><ip address='192.168.127.1' prefix='24'/>
              <ip family='ipv6' address='fd00:77::1' prefix='64'><dhcp>
                <range start='fd00:77::100' end='fd00:77::1ff'/></dhcp></ip></network>
            """
        try HostFile.replace(folder + "/six.xml", with: Array(xml.utf8))
        try done("net-create \(folder)/six.xml")
        let initramfs = folder + "/initramfs"
        try ClientInitramfs.make(
            from: TestPrograms.initramfs, scripts: TestPrograms.root + "/Scripts", at: initramfs)
        try define("frida", "52:54:00:00:00:1c", source: "network='six'", initramfs: initramfs)
        try done("start frida")
        let leases = try awaited("net-dhcp-leases six") { $0.contains("52:54:00:00:00:1c") }
        #expect(leases.contains("ipv6") && leases.contains("fd00:77::1") && leases.contains("/64"), "\(leases)")
        #expect(leases.contains("00:03:00:01:52:54:00:00:00:1c"), "\(leases)")
        #expect(try done("domifaddr frida").contains("fd00:77::1"))
        #expect(try awaited("domifaddr frida --source arp") { $0.contains("fd00:77::1") }.contains("ipv6"))
        try done("destroy frida")
        try done("net-destroy six")
        withExtendedLifetime(daemon) {}
    }

    @Test(
        "On a card of the host: a macvtap that goes with its machine",
        .enabled(if: Self.absence == nil, "\(Self.absence ?? "")"))
    func onACard() throws {
        let inside = try NetworkNamespace()
        defer { inside.remove() }
        _ = try inside("ip", "link", "add", "em1", "type", "veth", "peer", "name", "peer")
        for card in ["em1", "peer"] { _ = try inside("ip", "link", "set", card, "up") }
        let test = try NetworkMachineTests(namespace: inside.name)
        defer { DaemonProcess.clear(test.folder) }
        let first = try test.daemon()
        let limits = "<bandwidth><inbound average='1000'/><outbound average='2000' burst='256'/></bandwidth>"
        let (type, source) = ("direct", "dev='em1' mode='bridge'")
        let filter = "<filterref filter='clean-traffic'/>"
        try test.define("dora", "52:54:00:00:00:2c", type: type, source: source, more: filter)
        #expect(try test.virsh("start dora").errors.contains("filterref is not supported"))
        try test.define("carol", "52:54:00:00:00:0c", type: type, source: source, more: limits)
        let started = try test.virsh("start carol")
        guard !started.errors.contains("Unknown device type") else { return }
        #expect(started.status == 0, "\(started.errors)")
        let link = try inside("ip", "-d", "link", "show", "macvtap0")
        #expect(link.contains("macvtap mode bridge") && link.contains("52:54:00:00:00:0c"), "\(link)")
        func limit(_ words: String...) throws -> String {
            try Program(["/usr/sbin/ip", "netns", "exec", inside.name, "tc"] + words + ["dev", "macvtap0"]).text
        }
        #expect(try limit("class", "show").contains("rate 16384Kbit"))
        #expect(try inside("nft", "list", "ruleset").contains("limit rate over 1000 kbytes/second"))
        try test.done("domiftune carol macvtap0 --inbound 0 --outbound 500 --live")
        #expect(try limit("class", "show").contains("rate 4096Kbit"))
        #expect(try !inside("nft", "list", "ruleset").contains("limit rate"))
        try test.done("domiftune carol macvtap0 --inbound 300 --live")
        // The guest asks for an address: its frames leave by the card.
        let deadline = HostClock.monotonic + 120_000_000_000
        let pause = Bell()
        func came() throws -> Bool {
            try Int(inside("cat", "/sys/class/net/macvtap0/statistics/tx_packets").filter(\.isNumber)) ?? 0 > 0
        }
        while try !came(), HostClock.monotonic < deadline { pause.wait(nanoseconds: 300_000_000) }
        #expect(try came())
        // Nobody looks while both end: the next daemon tidies up.
        let machine = try #require(try DaemonProcess.machine(test.folder, "carol"))
        first.kill()
        test.end(try HostProcess(number: machine))
        let second = try test.daemon()
        #expect(try !inside("ip", "link").contains("macvtap"))
        #expect(try !inside("nft", "list", "ruleset").contains("apus_port_"))
        withExtendedLifetime(second) {}
    }

    /// Why bridges cannot be tested here; nil where they can.
    private static let absence: String? = {
        guard HostIdentity.userID == 0 else { return "not root" }
        for program in ["/usr/sbin/ip", "/usr/sbin/nft"] where !Program.exists(program) { return "no \(program)" }
        guard HostFile.status("/dev/net/tun").kind != .nothing else { return "no /dev/net/tun" }
        let name = "apus\(String(UInt32.random(in: 0...0xFFFFFF), radix: 16))"
        guard (try? Program(["/usr/sbin/ip", "netns", "add", name]))?.status == 0 else {
            return "this host forbids network namespaces"
        }
        _ = try? Program(["/usr/sbin/ip", "netns", "del", name])
        return nil
    }()
}

/// A network namespace of a test's own.
private struct NetworkNamespace {
    let name = "apus\(String(UInt32.random(in: 0...0xFFFFFF), radix: 16))"

    init() throws { #expect(try Program(["/usr/sbin/ip", "netns", "add", name]).status == 0) }
    func remove() { _ = try? Program(["/usr/sbin/ip", "netns", "del", name]) }
    /// What a command says that runs in it.
    func callAsFunction(_ words: String...) throws -> String {
        try Program(["/usr/sbin/ip", "netns", "exec", name] + words).text
    }
}
