import HostOS
import RPCWire
import TestSupport
import Testing

/// What a running machine's screens, disks and places tell those who subscribed; media that need not be there, and disks
/// with passwords.
@Suite("Events of devices", .serialized, .enabled(if: TestPrograms.hasGuest && TestPrograms.hasVirsh))
struct DeviceEventTests {
    private static let emulators: [String?] = Program.exists(Program.qemu) ? [nil, Program.qemu] : [nil]

    private static func program(_ emulator: String?) -> String {
        emulator.map { "<emulator>\($0)</emulator>" } ?? ""
    }

    private static func subscribe(_ client: TestClient, _ events: Int32...) throws {
        for event in events {
            _ = try client.call(
                Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: event, dom: nil))
        }
    }

    @Test("A viewer, a pinned processor, a drive whose medium is missing", arguments: emulators)
    func events(emulator: String?) throws {
        let daemon = try DaemonProcess()
        let client = try daemon.client()
        try Self.subscribe(client, VirDomainEventID.graphics, VirDomainEventID.diskChange, VirDomainEventID.tunable)
        let devices = """
            \(Self.program(emulator))
            <disk type='file' device='cdrom'><source file='\(daemon.folder)/none.iso' startupPolicy='optional'/>
            <target dev='hda' bus='ide'/></disk>
            <disk type='file' device='disk'><source file='\(daemon.folder)/none.raw' startupPolicy='optional'/>
            <target dev='vda' bus='virtio'/></disk>
            <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>
            """
        let xml = TestXML.domain("m", devices: devices)
        let domain = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        let drive = try client.event(Remote.DomainEventCallbackDiskChange.self)
        let disk = try client.event(Remote.DomainEventCallbackDiskChange.self)
        #expect(drive.oldSrcPath == daemon.folder + "/none.iso" && drive.newSrcPath == nil)
        #expect(drive.reason == VirConnectDomainEventDiskChangeReason.changeMissingOnStart)
        #expect(disk.reason == VirConnectDomainEventDiskChangeReason.dropMissingOnStart)
        let live = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        #expect(live.contains("dev='hda'") && !live.contains("none.iso") && !live.contains("dev='vda'"))
        _ = try client.call(Remote.DomainPinVCPU.self, .init(dom: domain, vcpu: 0, cpumap: [1]))
        let tuned = try client.event(Remote.DomainEventCallbackTunable.self)
        #expect(tuned.params == [.init(field: "cputune.vcpupin0", value: .string("0"))])
        let port = try #require(live.split(separator: "port='").dropFirst().first?.prefix { $0.isNumber })
        let address = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: String(port)).first)
        var viewer: Descriptor? = try Socket.connect(address)
        let came = try client.event(Remote.DomainEventCallbackGraphics.self)
        #expect(came.phase == VirDomainEventGraphicsPhase.connect)
        #expect(came.local == .init(family: 0, node: "127.0.0.1", service: String(port)))
        #expect(came.remote.node == "127.0.0.1" && came.authScheme == "none" && came.subject.isEmpty)
        #expect(viewer != nil)
        viewer = nil
        #expect(
            try client.event(Remote.DomainEventCallbackGraphics.self).phase == VirDomainEventGraphicsPhase.disconnect)
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
        // Without the word, a machine needs its medium.
        let strict = xml.replacing(" startupPolicy='optional'", with: "")
        #expect(try client.failure(Remote.DomainCreateXML.self, .init(xmlDesc: strict, flags: 0)) != nil)
    }

    @Test(
        "A disk whose password is a secret starts with it, joins with it, and nothing of it stays", arguments: emulators
    )
    func encrypted(emulator: String?) throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let folder = daemon.folder
        try HostFile.replace(folder + "/key", with: Array("a pass phrase".utf8))
        for name in ["a", "b"] {
            try HostProgram.output(
                TestPrograms.imageTool,
                [
                    "create", "-q", "-f", "luks", "--object", "secret,id=s,file=\(folder)/key", "-o",
                    "key-secret=s,iter-time=10", "\(folder)/\(name).luks", "8M",
                ])
        }
        let uuid = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"
        let usage = "<usage type='volume'><volume>v</volume></usage>"
        let secret = "<secret ephemeral='no' private='yes'><uuid>\(uuid)</uuid>\(usage)</secret>"
        try HostFile.replace(folder + "/secret.xml", with: Array(secret.utf8))
        try virsh("secret-define", folder + "/secret.xml")
        func disk(_ name: String, _ target: String, _ reference: String) -> String {
            """
            <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='\(folder)/\(name).luks'>
            <encryption format='luks'><secret type='passphrase' \(reference)/></encryption></source>
            <target dev='\(target)' bus='virtio'/></disk>
            """
        }
        let devices = Self.program(emulator) + disk("a", "vda", "uuid='\(uuid)'") + "<serial type='pty'/>"
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        let unset = try virsh.run("start", "m")
        #expect(unset.errors.contains("secret '\(uuid)' does not have a value"), "\(unset)")
        try virsh("secret-set-value", uuid, "--file", folder + "/key", "--plain")
        try virsh("start", "m")
        // The disk is what its guest sees of it, without the header.
        let sizes = try virsh("domblkinfo", "m", "vda").split(separator: "\n").map { $0.split(separator: " ")[1] }
        #expect(sizes[0] == "8388608" && UInt64(sizes[2]) ?? 0 > 8 << 20, "\(sizes)")
        try HostFile.replace(folder + "/b.xml", with: Array(disk("b", "vdb", "usage='v'").utf8))
        try virsh("attach-device", "m", folder + "/b.xml", "--live")
        #expect(try virsh("domblklist", "m").contains("b.luks"))
        let own = "\(folder)/run/qemu/\(try virsh("domuuid", "m").filter { $0 != "\n" })"
        #expect(try HostFolder.names(in: own).allSatisfy { !$0.contains("secret") })
        try virsh("destroy", "m")
        try HostFile.replace(folder + "/wrong", with: Array("another phrase".utf8))
        try virsh("secret-set-value", uuid, "--file", folder + "/wrong", "--plain")
        #expect(try virsh.run("start", "m").status == 1)
    }
}
