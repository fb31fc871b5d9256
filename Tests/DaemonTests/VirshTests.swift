import Daemon
import HostOS
import RPCWire
import Testing

/// Debian's own client, as it is.
@Suite("virsh", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasEmulator))
struct VirshTests {
    private struct Output {
        let status: Int32
        let text: String
        let errors: String
    }

    private static func read(_ descriptor: Descriptor) throws -> String {
        var bytes: [UInt8] = []
        while descriptor.wait(for: .read, milliseconds: 120_000) != [] {
            let part = try descriptor.readAvailable(limit: 65_536)
            if part.isEmpty { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func start(_ arguments: [String]) throws -> (HostProcess, Descriptor, Descriptor) {
        let output = try DescriptorPair.pipe()
        let errors = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            "/usr/bin/virsh", arguments: ["virsh"] + arguments, environment: ["LC_ALL=C", "HOME=/tmp"],
            descriptors: [null, output.output, errors.output])
        return (process, output.input, errors.input)
    }

    private static func virsh(_ daemon: DaemonProcess, _ words: [String]) throws -> Output {
        let uri = "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock"
        let (process, output, errors) = try start(["-c", uri] + words)
        let text = try read(output)
        let complaints = try read(errors)
        #expect(process.waitForEnd(milliseconds: 60_000))
        return Output(status: process.reap() ?? -1, text: text, errors: complaints)
    }

    @Test("Commands that ask about the host")
    func host() throws {
        let daemon = try DaemonProcess()
        for command in ["version", "uri", "hostname", "nodeinfo", "capabilities", "domcapabilities", "freecell"] {
            let output = try Self.virsh(daemon, [command])
            #expect(output.status == 0, "\(command): \(output.errors)")
            #expect(!output.text.isEmpty)
        }
        #expect(try Self.virsh(daemon, ["list", "--all"]).text == " Id   Name   State\n--------------------\n\n")
    }

    @Test("Define, look, change, rename and undefine")
    func definitions() throws {
        let daemon = try DaemonProcess()
        let path = daemon.folder + "/domain.xml"
        try HostFile.replace(path, with: Array(TestXML.domain("vm").utf8))
        #expect(try Self.virsh(daemon, ["define", path]).text == "Domain 'vm' defined from \(path)\n\n")
        #expect(try Self.virsh(daemon, ["domstate", "vm"]).text == "shut off\n\n")
        let list = try Self.virsh(daemon, ["list", "--all"]).text
        #expect(list == " Id   Name   State\n-----------------------\n -    vm     shut off\n\n")
        let info = try Self.virsh(daemon, ["dominfo", "vm"]).text
        #expect(info.contains("Max memory:     131072 KiB"))
        #expect(info.contains("Autostart:      disable"))
        #expect(try Self.virsh(daemon, ["autostart", "vm"]).status == 0)
        #expect(try Self.virsh(daemon, ["dominfo", "vm"]).text.contains("Autostart:      enable"))
        #expect(try Self.virsh(daemon, ["setvcpus", "vm", "2", "--config", "--maximum"]).status == 0)
        #expect(try Self.virsh(daemon, ["setmaxmem", "vm", "256M", "--config"]).status == 0)
        #expect(try Self.virsh(daemon, ["vcpupin", "vm", "1", "0", "--config"]).status == 0)
        let xml = try Self.virsh(daemon, ["dumpxml", "vm"]).text
        #expect(xml.contains("<vcpu placement='static' current='1'>2</vcpu>"))
        #expect(xml.contains("<memory unit='KiB'>262144</memory>"))
        #expect(xml.contains("<vcpupin vcpu='1' cpuset='0'/>"))
        #expect(try Self.virsh(daemon, ["desc", "vm", "--config", "some", "words"]).status == 0)
        #expect(try Self.virsh(daemon, ["desc", "vm"]).text == "some words\n")
        #expect(try Self.virsh(daemon, ["domrename", "vm", "other"]).status == 0)
        #expect(try Self.virsh(daemon, ["undefine", "other"]).text == "Domain 'other' has been undefined\n\n")
        let gone = try Self.virsh(daemon, ["dominfo", "other"])
        #expect(gone.status != 0)
        #expect(gone.errors.contains("failed to get domain 'other'"))
    }

    @Test("Pools and volumes")
    func storage() throws {
        let daemon = try DaemonProcess()
        let folder = daemon.folder + "/images"
        for words in [
            ["pool-define-as", "p", "dir", "--target", folder], ["pool-build", "p"], ["pool-start", "p"],
            ["pool-autostart", "p"], ["vol-create-as", "p", "a.raw", "1M"], ["vol-info", "a.raw", "--pool", "p"],
            ["vol-dumpxml", "a.raw", "p"], ["vol-path", "a.raw", "--pool", "p"], ["pool-refresh", "p"],
            ["pool-info", "p"], ["pool-dumpxml", "p"], ["vol-delete", "a.raw", "--pool", "p"], ["pool-destroy", "p"],
            ["pool-undefine", "p"],
        ] {
            let output = try Self.virsh(daemon, words)
            #expect(output.status == 0, "\(words): \(output.errors)")
        }
        let none = try Self.virsh(daemon, ["pool-info", "p"])
        #expect(none.errors.contains("Storage pool not found: no storage pool with matching name 'p'"))
    }

    @Test("A machine from its start to its end", .enabled(if: TestPrograms.hasGuest))
    func machine() throws {
        let daemon = try DaemonProcess()
        let path = daemon.folder + "/domain.xml"
        let xml = TestXML.domain("vm", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        try HostFile.replace(path, with: Array(xml.utf8))
        for words in [
            ["create", path], ["domstate", "vm", "--reason"], ["suspend", "vm"], ["resume", "vm"], ["domstats", "vm"],
            ["vcpuinfo", "vm"], ["ttyconsole", "vm"], ["qemu-monitor-command", "vm", "--hmp", "info status"],
            ["qemu-monitor-command", "vm", "{\"execute\":\"query-status\"}"], ["destroy", "vm"],
        ] {
            let output = try Self.virsh(daemon, words)
            #expect(output.status == 0, "\(words): \(output.errors)")
        }
        #expect(try Self.virsh(daemon, ["list", "--all", "--name"]).text == "\n")
    }
}
