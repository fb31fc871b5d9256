import HostOS
import RPCWire
import TestSupport
import Testing

/// Machines that go over several connections, with TLS, and ahead of their memory.
@Suite("Migration, faster and secret", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct SecureMigrationTests {
    private static let emulators: [String?] = Program.exists(Program.qemu) ? [nil, Program.qemu] : [nil]

    /// Certificates with QEMU's names.
    private static func makeCertificates(_ folder: String) throws {
        try ListenerTests.makeCertificates(folder)
        for (old, new) in [
            ("cacert", "ca-cert"), ("servercert", "server-cert"), ("serverkey", "server-key"),
            ("clientcert", "client-cert"), ("clientkey", "client-key"),
        ] { try HostFile.rename("\(folder)/\(old).pem", to: "\(folder)/\(new).pem") }
    }

    private static func isRunning(_ virsh: Virsh) throws {
        #expect(try virsh.state("m") == "running (migrated)")
        try virsh("suspend", "m")
        try virsh("resume", "m")
    }

    @Test("Memory goes over several connections, by a client and by itself", arguments: emulators)
    func parallel(emulator: String?) throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let (virsh, other) = (try MigrationTests.define(source, emulator), Virsh(daemon: destination))
        try MigrationTests.waitForBoot(source)
        let words = ["migrate", "--live", "--unsafe", "--parallel"]
        let done = try HostProgram.run(
            "virsh",
            ["-c", Virsh.uri(source)] + words + ["--parallel-connections", "3", "m", Virsh.uri(destination)]
                + ["tcp:127.0.0.1:0"])
        #expect(done.status == 0, "\(done)")
        try Self.isRunning(other)
        let back = try HostProgram.run(
            "virsh", ["-c", Virsh.uri(destination)] + words + ["--p2p", "m", Virsh.uri(source)])
        #expect(back.status == 0, "\(back)")
        try Self.isRunning(virsh)
        try virsh("destroy", "m")
    }

    @Test(
        "With TLS the state and the disks are secret, and go to the named host alone",
        .enabled(if: ListenerTests.hasOpenSSL), arguments: emulators)
    func secret(emulator: String?) throws {
        let pki = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-pki-")
        defer { HostFile.removeTree(pki) }
        try Self.makeCertificates(pki)
        let options = ["--migrate-pki", pki]
        let (source, destination) = (try DaemonProcess(options: options), try DaemonProcess(options: options))
        let (virsh, other) = (try MigrationTests.define(source, emulator), Virsh(daemon: destination))
        try MigrationTests.waitForBoot(source)
        func migrate(_ words: String...) throws -> HostProgram {
            try virsh.run(["migrate", "--live", "--unsafe", "--tls"] + words + ["m", Virsh.uri(destination)])
        }
        // The certificate is localhost's.
        let stranger = try migrate("--tls-destination", "elsewhere", "--migrateuri", "tcp:127.0.0.1:0")
        #expect(stranger.errors.contains("job 'migration out' failed"), "\(stranger)")
        #expect(try virsh.state("m").hasPrefix("running"))
        let done = try migrate("--migrateuri", "tcp:127.0.0.1:0", "--parallel")
        #expect(done.status == 0, "\(done)")
        try Self.isRunning(other)
        // Nothing of the keys is left, and it can go again.
        let uuid = try other("domuuid", "m").filter { $0 != "\n" }
        #expect(HostFile.status("\(destination.folder)/run/qemu/\(uuid)/pki").kind == .nothing)
        let back = try other.run([
            "migrate", "--live", "--unsafe", "--tls", "--p2p", "--tls-destination", "localhost", "m", Virsh.uri(source),
        ])
        #expect(back.status == 0, "\(back)")
        try Self.isRunning(virsh)
        try virsh("destroy", "m")
        // Without certificates it does not go, and says why; the daemon's part alone.
        guard emulator == nil else { return }
        let bare = try DaemonProcess(options: ["--migrate-pki", pki + "/none"])
        let one = try MigrationTests.define(bare)
        let refused = try one.run(["migrate", "--live", "--unsafe", "--tls", "m", Virsh.uri(destination)])
        #expect(refused.errors.contains("\(pki)/none/ca-cert.pem"), "\(refused)")
        #expect(try one.state("m").hasPrefix("running"))
        try one("destroy", "m")
    }

    @Test("Memory follows a machine that runs there already", arguments: emulators)
    func postcopy(emulator: String?) throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let (virsh, other) = (try MigrationTests.define(source, emulator), Virsh(daemon: destination))
        try MigrationTests.waitForBoot(source)
        #expect(try virsh.run("migrate-postcopy", "m").errors.contains("outgoing migration is in progress"))
        // So slow that it would take minutes.
        try virsh("migrate-setspeed", "m", "1")
        let uri = Virsh.uri(destination)
        let migration = try HostThread(name: "migrate") { [source] in
            let done = try? HostProgram.run(
                "virsh",
                ["-c", Virsh.uri(source), "migrate", "--live", "--unsafe", "--postcopy", "m", uri, "tcp:127.0.0.1:0"])
            #expect(done?.status == 0, "\(String(describing: done))")
        }
        let pause = Bell()
        for _ in 0..<1000 {
            if try virsh.run("migrate-postcopy", "m").status == 0 { break }
            pause.wait(nanoseconds: 10_000_000)
        }
        migration.join()
        try Self.isRunning(other)
        #expect(try virsh.state("m") == "shut off (migrated)")
        try other("destroy", "m")
    }
}
