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
