import HostOS
import RPCWire
import Testing

/// Debian's virt-viewer on an X server without a screen: what the guest shows is in its window.
@Suite(
    "virt-viewer", .serialized,
    .enabled(if: TestPrograms.hasEmulator && Program.exists("/usr/share/seabios/bios-256k.bin"), "needs SeaBIOS"),
    .enabled(if: WindowServer.isThere, "needs virt-viewer and Xvfb"))
struct ViewerTests {
    @Test("It is handed the screen by descriptor, and shows what the guest draws", arguments: ["vnc", "spice"])
    func shows(kind: String) throws {
        let daemon = try DaemonProcess()
        let (client, folder) = (try daemon.client(), daemon.folder)
        _ = try client.call(
            Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: VirDomainEventID.graphics, dom: nil))
        // Nobody can listen on a port of the host, and there is a password: who has the daemon's word needs neither.
        let devices =
            "<graphics type='\(kind)' passwd='secret'><listen type='none'/></graphics><video><model type='vga'/></video>"
        let xml = TestXML.domain("m", devices: devices)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        defer { _ = try? client.call(Remote.DomainDestroy.self, .init(dom: domain)) }
        let screen = try WindowServer(folder)
        let viewer = try screen.show([
            "virt-viewer", "--attach", "-c", "qemu+unix:///session?socket=\(folder)/libvirt-sock", "m",
        ])
        #expect(try client.event(Remote.DomainEventCallbackGraphics.self).phase == VirDomainEventGraphicsPhase.connect)
        let ready = try client.event(Remote.DomainEventCallbackGraphics.self)
        #expect(ready.phase == VirDomainEventGraphicsPhase.initialize)
        #expect(ready.remote.family == VirDomainEventGraphicsAddressType.unix)
        // The letters of the firmware, which finds nothing to start: light grey, as a VGA has it, and no window of GTK.
        let deadline = HostClock.monotonic + 60_000_000_000
        var count = 0
        while count < 1000, HostClock.monotonic < deadline, !viewer.hasEnded(within: 200) {
            count = try screen.count(red: 0xAA, green: 0xAA, blue: 0xAA)
        }
        #expect(count >= 1000, "\(viewer.said)")
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }
}
