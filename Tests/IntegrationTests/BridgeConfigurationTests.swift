import Foundation
import TestSupport
import Testing

/// The written configurations of `apus network bridge --write`, read by the programs that they are for: in a network
/// namespace with a card of its own, whose bridge then is what was asked for.
@Suite(.serialized) struct BridgeConfigurationTests {
    /// A program that configures hosts: what it needs, and how it is run with the written files below `$1`. It is left
    /// running where it is a service, and the script ends when `br0` is ready or after some seconds.
    struct Reader: CustomTestStringConvertible, Sendable {
        let style: String
        let needs: [String]
        let script: String
        var testDescription: String { style }

        /// Why it cannot be tried here; nil where it can.
        var absence: String? {
            if let absence = Namespaces.absence { return absence }
            guard NetworkTool.isThere else { return "the tests' build has no apus" }
            return needs.first { !FileManager.default.fileExists(atPath: $0) }.map { "no \($0)" }
        }
    }

    /// Waits for the bridge and ends the service.
    private static let wait = """
        n=0
        ready() { ip route show dev br0 2>/dev/null | grep -q default && ip link show em1 | grep -q 'master br0'; }
        until ready || [ $n -ge 100 ]; do n=$((n+1)); sleep 0.1; done
        """
    /// systemd-networkd by itself: without udev, which it does not miss where /sys cannot be written.
    private static let networkd = """
        mount -o remount,ro /sys; mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/network
        mount --bind $from /etc/systemd/network
        /lib/systemd/systemd-networkd 2>$1/log & service=$!
        \(wait)
        kill $service; wait $service || true
        """

    static let readers = [
        Reader(
            style: "ifupdown", needs: ["/usr/sbin/ifup", "/usr/sbin/brctl"],
            script: """
                mount -t tmpfs tmpfs /run; mkdir /run/network
                echo "source $1/etc/network/interfaces.d/*" >$1/interfaces
                ifquery -i $1/interfaces br0 >$1/query; ifup -i $1/interfaces em1 br0
                """),
        Reader(
            style: "systemd-networkd", needs: ["/lib/systemd/systemd-networkd"],
            script: "from=$1/etc/systemd/network\n" + networkd),
        Reader(
            style: "netplan", needs: ["/usr/sbin/netplan", "/lib/systemd/systemd-networkd"],
            script: "netplan generate --root-dir $1\nfrom=$1/run/systemd/network\n" + networkd),
        Reader(
            style: "networkmanager", needs: ["/usr/sbin/NetworkManager", "/usr/bin/dbus-daemon"],
            script: """
                mount -o remount,ro /sys; mount -t tmpfs tmpfs /run; mkdir -p /run/dbus /run/NetworkManager
                mount --bind $1/etc/NetworkManager/system-connections /etc/NetworkManager/system-connections
                mount -t tmpfs tmpfs /var/lib/NetworkManager
                printf '%s' '<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
                <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
                <allow eavesdrop="false"/></policy></busconfig>' >/run/bus.conf
                printf '[main]\\nplugins=keyfile\\nauth-polkit=false\\ndns=none\\nno-auto-default=*\\n' >/run/nm.conf
                dbus-daemon --config-file=/run/bus.conf --nofork & bus=$!
                until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
                NetworkManager --no-daemon --config=/run/nm.conf --config-dir=/run/none >$1/log 2>&1 & service=$!
                \(wait)
                kill $service; wait $service || true; kill $bus
                """),
    ]

    private static func write(_ style: String, _ root: String, _ way: [String] = []) throws {
        _ = try HostProgram.output(
            "env",
            way + [
                Repository.apus, "network", "bridge", "br0", "--nic", "em1", "--write", style, "--root", root,
                "--address", "192.168.4.200/24", "--gateway", "192.168.4.1", "--dns", "192.168.4.2",
            ])
    }

    @Test(arguments: readers.filter { $0.absence == nil }) func itsProgramMakesTheBridge(reader: Reader) throws {
        let spaces = try Namespaces(2)
        try spaces.cable()
        let folder = try TemporaryFolder()
        let root = folder.path("root")
        try Self.write(reader.style, root, spaces.way(0))
        // systemd-networkd reads as a user of its own.
        for path in [folder.path(""), root] {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        let run = try HostProgram.run(
            "ip",
            ["netns", "exec", spaces[0], "unshare", "-m", "sh", "-c", "set -e\n" + reader.script, "sh", root],
            joined: true)
        let log = (try? String(contentsOfFile: root + "/log", encoding: .utf8)) ?? ""
        #expect(run.status == 0, "\(run) \(log.suffix(2000))")
        let bridge = try spaces.ip("-n", spaces[0], "addr", "show", "br0")
        let card = try spaces.ip("-n", spaces[0], "link", "show", "em1")
        #expect(bridge.contains("inet 192.168.4.200/24"), "\(bridge) \(log.suffix(2000))")
        #expect(card.contains("master br0"))
        #expect(try spaces.ip("-n", spaces[0], "route").contains("default via 192.168.4.1 dev br0"))
        // Other hosts know this one by its card's address.
        let hardware = try #require(card.split(separator: "link/ether ").last?.prefix(17))
        #expect(bridge.contains("link/ether \(hardware)"), "\(bridge)")
    }

    private static let missing = readers.compactMap { reader in reader.absence.map { "\(reader.style): \($0)" } }

    /// Those that are not here are named where tests are skipped.
    @Test(.enabled(if: missing.isEmpty, "\(missing.joined(separator: "; "))")) func allProgramsAreHere() {
        #expect(Self.missing.isEmpty)
    }

    /// RHEL's files, as the documents that this project follows have them.
    @Test(.enabled(if: NetworkTool.isThere)) func filesOfRHELAreTheKnownOnes() throws {
        let folder = try TemporaryFolder()
        try Self.write("ifcfg", folder.path("root"))
        func text(_ name: String) throws -> String {
            try String(contentsOfFile: folder.path("root/etc/sysconfig/network-scripts/" + name), encoding: .utf8)
        }
        #expect(
            try text("ifcfg-br0") == """
                TYPE="Bridge"
                BOOTPROTO="static"
                NAME="br0"
                DEVICE="br0"
                ONBOOT="yes"
                IPADDR="192.168.4.200"
                NETMASK="255.255.255.0"
                GATEWAY="192.168.4.1"
                DNS1="192.168.4.2"

                """)
        #expect(
            try text("ifcfg-em1") == """
                TYPE="Ethernet"
                NAME="em1"
                DEVICE="em1"
                ONBOOT="yes"
                BRIDGE="br0"

                """)
        #expect(throws: (any Error).self) {
            try HostProgram.output(
                Repository.apus, ["network", "bridge", "br0", "--nic", "../x", "--write", "ifcfg", "--root", "/none"])
        }
    }

    /// What the host's own file says against the new one is told, and left as it is.
    @Test(.enabled(if: NetworkTool.isThere)) func aCardThatIsConfiguredElsewhereIsTold() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path("root/etc/network"), withIntermediateDirectories: true)
        let own = "auto em1\niface em1 inet dhcp\n"
        try Data(own.utf8).write(to: URL(fileURLWithPath: folder.path("root/etc/network/interfaces")))
        let run = try HostProgram.run(
            Repository.apus,
            ["network", "bridge", "br0", "--nic", "em1", "--write", "ifupdown", "--root", folder.path("root")])
        #expect(run.status == 0 && run.errors.contains("configures 'em1' too") && run.errors.contains("source"))
        #expect(try String(contentsOfFile: folder.path("root/etc/network/interfaces"), encoding: .utf8) == own)
    }
}
