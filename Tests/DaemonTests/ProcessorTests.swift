import HostOS
import RPCWire
import TestSupport
import Testing

/// Processors that come and go one by one, and ends of guests by whom a client names.
@Suite("Single processors", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct ProcessorTests {
    private static var emulators: [String] {
        [TestPrograms.emulator] + (Program.exists(Program.qemu) ? [Program.qemu] : [])
    }

    @Test("setvcpu, in definitions and in machines that run", arguments: emulators)
    func setvcpu(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
            .replacing("<vcpu>1</vcpu>", with: "<vcpu current='2'>4</vcpu>")
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        try virsh("setvcpu", "m", "3", "--enable", "--config")
        let entries = [
            "<vcpu placement='static' current='3'>4</vcpu>", "<vcpu id='1' enabled='yes' hotpluggable='no'/>",
            "<vcpu id='2' enabled='no' hotpluggable='yes'/>", "<vcpu id='3' enabled='yes' hotpluggable='yes'/>",
        ]
        let defined = try virsh("dumpxml", "m")
        for entry in entries { #expect(defined.contains(entry), "\(defined)") }
        for (list, words) in [
            ("0", "invalid argument: vCPU '0' can't be modified"),
            ("9", "invalid argument: vcpu 9 is not present in persistent config"),
            ("abc", "invalid argument: Failed to parse bitmap 'abc'"),
        ] {
            let refused = try virsh.run("setvcpu", "m", list, "--disable", "--config")
            #expect(refused.errors.contains(words), "\(refused)")
        }
        // The machine has them as they are defined.
        try virsh("start", "m")
        func numbers() throws -> [String] {
            try virsh("vcpuinfo", "m").split(separator: "\n").filter { $0.hasPrefix("VCPU:") }
                .map { String($0.split(separator: " ").last ?? "") }
        }
        #expect(try numbers() == ["0", "1", "3"])
        try virsh("setvcpu", "m", "2", "--enable", "--live")
        #expect(try numbers() == ["0", "1", "2", "3"])
        #expect(try virsh("dumpxml", "m").contains("<vcpu id='2' enabled='yes' hotpluggable='yes'/>"))
        let fixed = try virsh.run("setvcpu", "m", "1", "--disable", "--live")
        #expect(fixed.errors.contains("vCPU '1' can't be unplugged"), "\(fixed)")
        try virsh("destroy", "m")
        try virsh("setvcpus", "m", "2", "--config")
        #expect(try !virsh("dumpxml", "m").contains("<vcpus>"))
    }

    @Test("Ways to end a guest that this has not, and an agent that is not there, are refused")
    func ends() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("create", folder + "/m.xml")
        for (words, error) in [
            (["shutdown", "m", "--mode", "initctl"], "unsupported flags (0x4) in function qemuDomainShutdownFlags"),
            (["reboot", "m", "--mode", "signal"], "unsupported flags (0x8) in function qemuDomainReboot"),
            (["shutdown", "m", "--mode", "agent"], "QEMU guest agent is not configured"),
        ] {
            let refused = try HostProgram.run("virsh", ["-c", Virsh.uri(daemon)] + words)
            #expect(refused.errors.contains(error), "\(refused)")
        }
        // The button is what is left.
        try virsh("shutdown", "m", "--mode", "agent,acpi")
        try virsh("destroy", "m")
    }

    @Test("Node devices are not made or taken away")
    func nodeDevices() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        func attempt(_ capability: String) throws -> String {
            let xml = "<device><name>x</name><parent>computer</parent>\(capability)</device>"
            try HostFile.replace(folder + "/n.xml", with: Array(xml.utf8))
            return try virsh.run("nodedev-create", folder + "/n.xml").errors
        }
        #expect(
            try attempt("<capability type='net'><interface>x</interface></capability>")
                .contains("unsupported configuration: Unsupported device type"))
        #expect(try attempt("").contains("internal error: no device capabilities for 'new device'"))
        #expect(try attempt("<capability type='mdev'/>").contains("Cannot find 'mdevctl' in path"))
        #expect(
            try virsh.run("nodedev-destroy", "computer").errors
                .contains("unsupported configuration: Unsupported device type"))
        #expect(
            try virsh.run("nodedev-destroy", "none").errors.contains("no node device with matching name 'none'"))
    }
}
