import DomainCommandLine
import DomainModel
import Foundation
import TestSupport
import Testing

/// Real programs take the lines: each is started with its processors stopped, asked for its state and told to end.
@Suite struct AcceptanceTests {
    static let qemu = "/usr/bin/qemu-system-x86_64"
    static let apus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: ".build/release/apus-vmm").path

    static func isThere(_ program: String) -> Bool { FileManager.default.isExecutableFile(atPath: program) }

    private static let guests: [(String, String)] = [
        ("pc", ""),
        ("q35", ""),
        (
            "q35",
            """
            <disk type='file'><driver name='qemu' type='raw' cache='none' detect_zeroes='on'/><source file='@raw'/>
            <target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
            <disk type='file'><source file='@second'/><target dev='sdb' bus='scsi'/><shareable/></disk>
            <disk type='file'><source file='@third'/><target dev='sdc' bus='usb'/></disk>
            <controller type='scsi' model='virtio-scsi'><driver queues='2'/></controller>
            <interface type='user'><model type='virtio'/><mtu size='1400'/></interface>
            <interface type='user'><model type='e1000e'/></interface>
            <serial type='pty'/><console type='pty'/><console type='pty'><target type='virtio'/></console>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <input type='tablet' bus='usb'/><input type='keyboard' bus='virtio'/>
            <graphics type='vnc'><listen type='socket' socket='@vnc'/></graphics>
            <sound model='ich9'/><sound model='ac97'/>
            <video><model type='virtio'/></video><video><model type='virtio'/></video>
            <watchdog model='i6300esb'/><rng model='virtio'><rate bytes='1024'/><backend model='builtin'/></rng>
            <panic model='isa'/><memballoon model='virtio' autodeflate='on'><stats period='10'/></memballoon>
            """
        ),
        (
            "pc",
            """
            <disk type='file'><source file='@raw'/><target dev='hda' bus='ide'/>
            <blockio logical_block_size='512'/></disk>
            <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
            <disk type='file' device='floppy'><target dev='fda'/></disk>
            <disk type='file'><source file='@second'/><target dev='sda' bus='scsi'/></disk>
            <controller type='usb' model='ich9-ehci1' index='0'/>
            <controller type='usb' model='ich9-uhci1' index='0'/><controller type='usb' model='ich9-uhci2' index='0'/>
            <controller type='usb' model='ich9-uhci3' index='0'/>
            <interface type='user'/><interface type='user'><model type='e1000'/></interface>
            <serial type='null'/><parallel type='null'/><hub type='usb'/>
            <graphics type='vnc'><listen type='socket' socket='@vnc'/></graphics>
            <video><model type='vga'/></video><sound model='es1370'/>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
            """
        ),
    ]

    /// What our machine has.
    private static let ownGuests: [(String, String)] = [
        ("pc", ""),
        (
            "pc",
            """
            <disk type='file'><driver name='qemu' type='raw'/><source file='@raw'/>
            <target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
            <interface type='user'><model type='virtio'/></interface>
            <interface type='user'><model type='e1000'/></interface>
            <serial type='pty'/><console type='pty'/>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><panic model='isa'/>
            """
        ),
    ]

    /// Starts the program on a line; what it answered on its monitor, and its complaints.
    private func answer(_ program: String, _ arguments: [String]) throws -> (monitor: String, complaints: String) {
        let commands = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n{\"execute\":\"quit\"}\n"
        let ended = try HostProgram.run(program, arguments + ["-qmp", "stdio"], input: commands)
        return (ended.output, ended.errors)
    }

    private func check(_ program: String, _ guest: (String, String), isOwn: Bool) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-line-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["raw", "second", "third"] {
            try Data(count: 1 << 20).write(to: folder.appending(path: name))
        }
        let devices = guest.1.replacingOccurrences(of: "@", with: folder.path + "/")
        let domain = try makeDomain(machine: guest.0, devices, more: "<vcpu>2</vcpu><features><acpi/></features>")
        var known: Set<String>?
        if isOwn {
            let help = try answer(program, ["-device", "help"])
            let parts = (help.monitor + help.complaints).components(separatedBy: "name \"").dropFirst()
            known = Set(parts.map { String($0.prefix { $0 != "\"" }) })
        }
        let plan = LaunchPlan(
            folder: folder.path, monitor: LaunchPlan.Monitor.path(folder.appending(path: "monitor.sock").path),
            isSandboxed: !isOwn, usesQEMUExtras: !isOwn, knownDrivers: known)
        let arguments = try QEMUArguments(domain, plan: plan)

        let (monitor, complaints) = try answer(program, arguments.words)

        #expect(monitor.contains("\"status\": \"prelaunch\""), "\(complaints)")
        // USB is what a domain has by default and our machine has not yet.
        if isOwn { #expect(arguments.omitted.allSatisfy { $0.hasPrefix("piix3-usb-uhci") }, "\(arguments.omitted)") }
    }

    @Test(.enabled(if: isThere(qemu)), arguments: guests.indices)
    func qemuTakesTheLine(number: Int) throws { try check(Self.qemu, Self.guests[number], isOwn: false) }

    @Test(.enabled(if: isThere(apus)), arguments: ownGuests.indices)
    func ourMachineTakesTheLine(number: Int) throws { try check(Self.apus, Self.ownGuests[number], isOwn: true) }
}
