import HostOS
import TestSupport
import Testing

/// A service manager's part: sockets that it listens on, and what it is told.
@Suite("Service", .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasEmulator))
struct ServiceTests {
    /// Listens, starts the daemon with the socket as descriptor 3, waits until it is ready, asks it, and ends it.
    private static let program = """
        import os, socket, subprocess, sys, signal
        root, apus, emulator = sys.argv[1:4]
        sock = socket.socket(socket.AF_UNIX); sock.bind(root + "/libvirt-sock"); sock.listen(8)
        notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); notes.bind(root + "/notify"); notes.settimeout(60)
        # A client that comes before the daemon does waits for it.
        early = subprocess.Popen(["virsh", "-c", "qemu+unix:///session?socket=" + root + "/libvirt-sock", "list"],
                                 stdout=subprocess.DEVNULL)
        child = os.fork()
        if child == 0:
            os.dup2(sock.fileno(), 3); os.set_inheritable(3, True)
            os.closerange(4, 100)
            environment = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=root + "/notify")
            os.execve(apus, ["apus", "daemon", "--root", root, "--emulator", emulator, "--networks", "switch"], environment)
        print(notes.recv(100).decode().split("\\n")[0], early.wait(60))
        print(oct(os.stat(root + "/libvirt-sock").st_mode & 0o777))
        os.kill(child, signal.SIGTERM)
        print(notes.recv(100).decode())
        print(os.waitpid(child, 0)[1], os.path.exists(root + "/libvirt-sock"))
        """

    /// An ordinary user's clients find no daemon: libvirt's own start one by its name, ours by itself.
    @Test("A user's client starts the daemon, which ends when nobody needs it", .enabled(if: HostIdentity.userID == 0))
    func autostart() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-user-")
        defer { HostFile.removeTree(folder) }
        try HostFile.link(folder + "/libvirtd", to: TestPrograms.daemon)
        try HostFile.setOwner(folder, 65_534, group: 65_534)
        try HostFile.setPermissions(folder, 0o755)
        func run(_ words: [String], _ environment: String...) throws -> HostProgram {
            try HostProgram.run(
                "/usr/bin/setpriv",
                ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/env", "-i", "HOME=\(folder)"]
                    + ["XDG_RUNTIME_DIR=\(folder)/run", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment + words)
        }
        func number() -> Int32? {
            let text = (try? HostFile.contents(folder + "/run/libvirt/apus.pid")) ?? []
            return Int32(String(decoding: text, as: UTF8.self).filter(\.isNumber))
        }
        func end() throws {
            let daemon = try HostProcess(number: try #require(number()))
            daemon.send(signal: 15)
            #expect(daemon.waitForEnd(milliseconds: 30_000))
        }
        let ours = try run([TestPrograms.daemon, "list", "--all", "--name"])
        #expect(ours.status == 0 && ours.errors.isEmpty, "\(ours)")
        try end()
        let refused = try run([TestPrograms.daemon, "list"], "LIBVIRT_AUTOSTART=0")
        #expect(refused.status == 1 && refused.errors.contains("Failed to connect socket"), "\(refused)")
        let theirs = try run(
            ["/usr/bin/virsh", "-c", "qemu:///session", "list", "--all", "--name"], "LIBVIRTD_PATH=\(folder)")
        #expect(theirs.status == 0, "\(theirs)")
        #expect(number() != nil)
        try end()
        // One that nobody needs.
        let brief = try run([TestPrograms.daemon, "daemon", "-d", "--timeout", "1"])
        #expect(brief.status == 0, "\(brief)")
        let idle = try HostProcess(number: try #require(number()))
        #expect(idle.waitForEnd(milliseconds: 30_000))
        // The networks that were begun go on without.
        for file in (try? HostFolder.names(in: folder + "/run/apus/networks")) ?? [] {
            let text = (try? HostFile.contents("\(folder)/run/apus/networks/\(file)/pid")) ?? []
            if let number = Int32(String(decoding: text, as: UTF8.self).filter(\.isNumber)) {
                try? HostProcess(number: number).kill()
            }
        }
        // Units for systemd.
        let written = try run([TestPrograms.daemon, "daemon", "--install-user"])
        #expect(written.status == 0 && written.output.contains("apus.socket"), "\(written)")
        let unit = String(
            decoding: try HostFile.contents(folder + "/.config/systemd/user/apus.service"), as: UTF8.self)
        let program = try #require(HostFile.realPath(TestPrograms.daemon))
        #expect(unit.contains("ExecStart=\(program) daemon --timeout 120\n"))
        #expect(try run([TestPrograms.daemon, "daemon", "--uninstall-user"]).status == 0)
        #expect(HostFile.status(folder + "/.config/systemd/user/apus.service").kind == .nothing)
    }

    @Test("It takes the sockets that it is given, says when it is ready, and leaves them when it goes")
    func activation() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let said = try HostProgram.output(
            "/usr/bin/python3", ["-c", Self.program, folder, TestPrograms.daemon, TestPrograms.emulator])
        #expect(said == "READY=1 0\n0o700\nSTOPPING=1\n0 True\n")
        // The network goes on without its daemon.
        let text = (try? HostFile.contents("\(folder)/run/switch/default/pid")) ?? []
        if let number = Int32(String(decoding: text, as: UTF8.self).filter(\.isNumber)) {
            try? HostProcess(number: number).kill()
        }
    }
}
