import HostOS
import RPCWire
import TestSupport
import Testing

/// Channels that a guest opens while nobody listens, and how long virsh waits for what happens.
@Suite(
    "Waiting for events", .serialized,
    .enabled(if: TestPrograms.hasGuest && TestPrograms.hasVirsh, "needs 'make guest' and virsh"))
struct GuestEventTests {
    @Test("The state of channels is asked of machines that are taken up", .enabled(if: Program.exists(Program.qemu)))
    func takenUp() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        let channels = ["one", "two"].map { "<channel type='unix'><target type='virtio' name='\($0)'/></channel>" }
        let program = "<emulator>\(Program.qemu)</emulator>"
        let xml = TestXML.domain(
            "m", devices: program + channels.joined() + GuestShell.device(folder), kernel: TestPrograms.kernel)
        var daemon: DaemonProcess? = try DaemonProcess(folder: folder)
        _ = try daemon?.client().call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0))
        let guest = try GuestShell(folder)
        daemon?.kill()
        // Nobody hears of it.
        _ = try guest.run("exec 5<>$(ls /dev/vport*p1)")
        daemon = try DaemonProcess(folder: folder)
        let live = try Virsh(daemon: daemon!)("dumpxml", "m")
        #expect(live.contains("name='one' state='connected'"))
        #expect(live.contains("name='two' state='disconnected'"))
        try Virsh(daemon: daemon!)("destroy", "m")
    }

    @Test("virsh waits for events as long as it is told to", .enabled(if: TestPrograms.hasVirsh))
    func patience() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let start = HostClock.monotonic
        let none = try virsh.run("event", "--all", "--loop", "--timeout", "1")
        #expect(HostClock.monotonic - start >= 1_000_000_000)
        #expect(none.status == 1 && none.output.contains("event loop timed out\nevents received: 0"), "\(none)")
        // One that comes ends it at once.
        try HostFile.replace(folder + "/m.xml", with: Array(TestXML.domain("m").utf8))
        let output = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let listener = try HostProcess.spawn(
            "/usr/bin/virsh",
            arguments: [
                "virsh", "-c", "qemu+unix:///session?socket=\(folder)/libvirt-sock", "event", "--event", "lifecycle",
                "--timeout", "60",
            ], environment: ["LC_ALL=C", "HOME=/tmp"], descriptors: [null, output.output, output.output])
        // It has subscribed at some moment: until then each definition goes unheard.
        while !listener.waitForEnd(milliseconds: 100) {
            guard HostClock.monotonic - start < 60_000_000_000 else { break }
            try virsh("define", folder + "/m.xml")
        }
        #expect(listener.reap() == 0)
        let said = String(decoding: try output.input.readAvailable(limit: 4096), as: UTF8.self)
        #expect(said.hasPrefix("event 'lifecycle' for domain 'm': Defined"), "\(said)")
    }
}
