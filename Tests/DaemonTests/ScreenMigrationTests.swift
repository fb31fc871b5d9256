import HostOS
import RPCWire
import TestSupport
import Testing

/// A real viewer, which follows its machine to another daemon.
@Suite(
    "Migration with a viewer", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest),
    .enabled(if: WindowServer.isThere, "needs virt-viewer and Xvfb"))
struct ScreenMigrationTests {
    private static let emulators: [String?] = Program.exists(Program.qemu) ? [nil, Program.qemu] : [nil]

    @Test("A viewer of SPICE goes with the machine, with its password", arguments: emulators)
    func follows(emulator: String?) throws {
        let (source, destination) = (try DaemonProcess(), try DaemonProcess())
        let (here, there) = (try source.client(), try destination.client())
        for client in [here, there] {
            _ = try client.call(
                Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.graphics, dom: nil))
        }
        let program = emulator.map { "<emulator>\($0)</emulator>" } ?? ""
        let devices = """
            \(program)<graphics type='spice' autoport='yes' listen='127.0.0.1' passwd='secret'/>
            <video><model type='vga'/></video>
            """
        let xml = TestXML.domain("m", devices: devices)
        let domain = try here.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? here.call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let shown = try here.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        let screen = try WindowServer(source.folder)
        let viewer = try screen.show(
            ["remote-viewer", "spice://127.0.0.1:\(try ScreenTests.port(shown))?password=secret"])
        while try here.event(Remote.DomainEventCallbackGraphics.self).phase != VirDomainEventGraphicsPhase.initialize {}
        // All of its channels are there before it is to leave.
        let virsh = Virsh(daemon: source)
        func channels(_ virsh: Virsh) throws -> Int {
            let answer = try virsh("qemu-monitor-command", "m", #"{"execute": "query-spice"}"#)
            return answer.ranges(of: "\"connection-id\"").count
        }
        let pause = Bell()
        func wait(_ virsh: Virsh) throws {
            let deadline = HostClock.monotonic + 60_000_000_000
            while try channels(virsh) < 4, HostClock.monotonic < deadline { pause.wait(nanoseconds: 50_000_000) }
        }
        try wait(virsh)
        // Addresses that are none keep the machine here, and its viewer.
        for bad in ["spice", "vnc://127.0.0.1:5900", "spice://127.0.0.1", "spice://:1", "spice://h:1?tlsPort=70000"] {
            let refused = try virsh.run(
                "migrate", "--live", "--unsafe", "--graphicsuri", bad, "m", Virsh.uri(destination), "tcp:127.0.0.1:0")
            #expect(refused.errors.contains("unable to parse graphics URI '\(bad)'"), "\(refused)")
        }
        try virsh("migrate", "--live", "--unsafe", "m", Virsh.uri(destination), "tcp:127.0.0.1:0")
        let other = Virsh(daemon: destination)
        defer { _ = try? other.run("destroy", "m") }
        #expect(try other.state("m") == "running (migrated)")
        while try there.event(Remote.DomainEventCallbackGraphics.self).phase != VirDomainEventGraphicsPhase.initialize {}
        try wait(other)
        #expect(try channels(other) >= 4, "\(viewer.said)")
        #expect(!viewer.hasEnded(within: 0), "\(viewer.said)")
    }
}
