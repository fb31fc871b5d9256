import Foundation
import HostOS
import RPCWire
import TestSupport
import Testing

@Suite("Forks of domains", .serialized, .enabled(if: TestPrograms.hasGuest))
struct ForkTests {
    private static let devices = """
        <serial type='pty'/>
        <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='DISK'/>\
        <target dev='vda' bus='virtio'/></disk>
        """

    @Test("A domain is forked by a command, and all that is one's alone is its own", arguments: ["", "memfd"])
    func fork(memory: String) throws {
        let daemon = try DaemonProcess()
        let disk = daemon.folder + "/disk.qcow2"
        _ = try HostProgram.run(TestPrograms.imageTool, ["create", "-f", "qcow2", disk, "64M"])
        let client = try daemon.client()
        var xml = TestXML.domain(
            "m", devices: Self.devices.replacing("DISK", with: disk), kernel: TestPrograms.kernel)
        if memory == "memfd" {
            xml.replace(
                "<features>",
                with: "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking><features>")
        }
        let parent = try client.call(Remote.DomainCreateXML.self, .init(xmlDesc: xml, flags: 0)).dom
        func forms(_ names: [String]) throws -> [String] {
            try names.map { name in
                let domain = try client.call(Remote.DomainLookupByName.self, .init(name: name)).dom
                let state = try client.call(Remote.DomainGetState.self, .init(dom: domain, flags: 0))
                #expect(state.state == VirDomainState.running, "\(name)")
                return try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
            }
        }
        func own(_ forms: [String], _ start: String) -> Set<String> {
            Set(forms.compactMap { $0.components(separatedBy: start).dropFirst().first.map { String($0.prefix(40)) } })
        }
        let first = try HostProgram.run(TestPrograms.daemon, ["fork", "--root", daemon.folder, "-n", "2", "m"])
        try #require(first.status == 0 && first.output == "m-1\nm-2\n", "\(first)")
        // The copies are machines like others, and can be forked too.
        let second = try HostProgram.run(TestPrograms.daemon, ["fork", "--root", daemon.folder, "--json", "m-1"])
        try #require(second.status == 0 && second.output == "[\"m-1-1\"]\n", "\(second)")

        let all = try forms(["m", "m-1", "m-2", "m-1-1"])
        for part in ["<uuid>", "<mac address='", "<source file='", "<source path='/dev/pts/"] {
            #expect(own(all, part).count == 4, "\(part) \(own(all, part))")
        }
        #expect(all.allSatisfy { $0.contains("<backingStore type='file'") }, "\(all[0])")
        let unknown = try HostProgram.run(TestPrograms.daemon, ["fork", "--root", daemon.folder, "nobody"])
        #expect(unknown.status == 1 && unknown.errors.contains("no domain with matching name 'nobody'"), "\(unknown)")
        for name in ["m-1", "m-2", "m-1-1"] {
            let domain = try client.call(Remote.DomainLookupByName.self, .init(name: name)).dom
            _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
            let gone = try client.failure(Remote.DomainLookupByName.self, .init(name: name))
            #expect(gone?.code == VirErrorNumber.noDomain)
        }
        _ = try client.call(Remote.DomainSuspend.self, .init(dom: parent))
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: parent))
    }
}
