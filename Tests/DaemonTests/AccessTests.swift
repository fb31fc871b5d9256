import Foundation
import HostOS
import TestSupport
import Testing

/// Who is let in by the host's polkit: a polkit of the test's own, on a bus of its own, in a mount namespace.
@Suite(
    "Access by polkit", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && TestPrograms.hasEmulator && getuid() == 0
            && [
                "/usr/bin/pkcheck", "/usr/bin/dbus-daemon", "/usr/lib/polkit-1/polkitd", "/usr/bin/setpriv",
                "/usr/share/polkit-1/actions/org.libvirt.unix.policy",
            ].allSatisfy { HostFile.status($0).kind == .file }, "needs root, polkit, dbus-daemon and libvirt's actions")
)
struct AccessTests {
    /// Starts the two, then becomes the daemon.
    private static let script = """
        mount -t tmpfs none /etc/polkit-1/rules.d && mkdir -p /run/dbus && mount -t tmpfs none /run/dbus || exit 1
        cat > /etc/polkit-1/rules.d/10-test.rules <<END
        polkit.addRule(function(action, subject) {
            if (action.id != "org.libvirt.unix.manage") return polkit.Result.NOT_HANDLED;
            if (subject.user == "daemon") return polkit.Result.YES;
            if (subject.user == "nobody") return polkit.Result.NO;
            return polkit.Result.AUTH_ADMIN;
        });
        END
        chmod 755 /etc/polkit-1/rules.d /run/dbus
        cat > /run/dbus/bus.conf <<END
        <busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
        <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy>
        </busconfig>
        END
        setpriv --pdeathsig TERM dbus-daemon --config-file=/run/dbus/bus.conf --nofork --nopidfile > /dev/null 2>&1 &
        while ! [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
        /usr/lib/polkit-1/polkitd --no-debug > /dev/null 2>&1 &
        exec "$@"
        """

    @Test("Those that polkit lets in manage machines, others look at most")
    func polkit() throws {
        let daemon = try DaemonProcess(
            way: ["/usr/bin/unshare", "-m", "/bin/sh", "-c", Self.script, "sh"], options: ["--access", "polkit"])
        try HostFile.setPermissions(daemon.folder, 0o755)
        func virsh(_ user: String, _ socket: String, _ words: String...) throws -> HostProgram {
            try HostProgram.run(
                "/usr/bin/setpriv",
                ["--reuid=\(user)", "--regid=nogroup", "--clear-groups", "/usr/bin/virsh", "-c"]
                    + ["qemu+unix:///session?socket=\(daemon.folder)/\(socket)"] + words)
        }
        try HostFile.replace(daemon.folder + "/m.xml", with: Array(TestXML.domain("m").utf8), permissions: 0o644)
        // The first who asks may come before polkit is there.
        let pause = Bell()
        for _ in 0..<100 where try virsh("daemon", "libvirt-sock", "list").status != 0 {
            pause.wait(nanoseconds: 100_000_000)
        }
        let defined = try virsh("daemon", "libvirt-sock", "define", daemon.folder + "/m.xml")
        #expect(defined.status == 0, "\(defined)")
        let refused = try virsh("nobody", "libvirt-sock", "list", "--all")
        #expect(refused.errors.contains("authentication failed: access denied by policy"), "\(refused)")
        // Who could say a password, and has no agent to be asked by.
        let unasked = try virsh("bin", "libvirt-sock", "list", "--all")
        #expect(unasked.errors.contains("authentication unavailable: no polkit agent available"), "\(unasked)")
        #expect(try virsh("nobody", "libvirt-sock-ro", "list", "--all", "--name").output.contains("m"))
        #expect(try virsh("root", "libvirt-sock", "undefine", "m").status == 0)
    }

    @Test("Before polkit has said its word nothing is answered")
    func early() throws {
        let daemon = try DaemonProcess(
            way: ["/usr/bin/unshare", "-m", "/bin/sh", "-c", Self.script, "sh"], options: ["--access", "polkit"])
        try HostFile.setPermissions(daemon.folder, 0o755)
        let program = """
            import socket, struct, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            def call(number, payload=b""):
                s.sendall(struct.pack(">IIIiiIi", 28 + len(payload), 0x20008086, 1, number, 0, number, 0) + payload)
                head = s.recv(4, socket.MSG_WAITALL)
                body = s.recv(struct.unpack(">I", head)[0] - 4, socket.MSG_WAITALL)
                return struct.unpack(">i", body[20:24])[0], body[24:]
            # CONNECT_OPEN, CONNECT_LIST_ALL_DOMAINS, CONNECT_SUPPORTS_FEATURE, AUTH_LIST
            print([call(1, struct.pack(">Ii", 0, 0))[0], call(273, struct.pack(">iI", 1, 0))[0], call(60, struct.pack(">i", 14))[0]])
            print(call(66)[1].hex())
            """
        let answer = try HostProgram.output(
            "/usr/bin/setpriv",
            ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c", program]
                + [daemon.folder + "/libvirt-sock"])
        #expect(answer == "[1, 1, 1]\n0000000100000002\n")
    }
}
