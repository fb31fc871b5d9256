import Foundation
import HostOS
import TestSupport
import Testing

/// Folders that virtiofsd shares with machines.
@Suite("virtiofs", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct FileServerTests {
    private static let virtiofsd = "/usr/lib/qemu/virtiofsd"

    /// The processes of a program that were started with a word.
    private func processes(_ program: String, _ word: String) -> Int {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.filter { Int($0) != nil } ?? []
        return numbers.count { number in
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(number)/cmdline") else { return false }
            let words = String(decoding: bytes, as: UTF8.self)
            return words.hasPrefix(program) && words.contains(word)
        }
    }

    @Test(
        "virtiofsd comes with its machine and goes with it",
        .enabled(if: HostIdentity.userID == 0 && Program.exists(virtiofsd), "needs root and Debian's virtiofsd"))
    func life() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        try HostFolder.make(folder + "/shared")
        let devices = """
            <filesystem type='mount'><driver type='virtiofs' queue='512'/>
            <binary path='\(Self.virtiofsd)'><sandbox mode='chroot'/></binary>
            <source dir='\(folder)/shared'/><target dir='data'/></filesystem><serial type='pty'/>
            """
        let plain = TestXML.domain(
            "m", uuid: "5b1c2d3e-4f50-4162-8374-8596a7b8c9d0", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(plain.utf8))
        try virsh("define", folder + "/m.xml")
        // Its memory has to be one that two processes can have.
        let refused = try virsh.run("start", "m")
        #expect(refused.errors.contains("'virtiofs' requires shared memory"))
        let memory = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking><vcpu>"
        try HostFile.replace(folder + "/m.xml", with: Array(plain.replacing("<vcpu>", with: memory).utf8))
        try virsh("define", folder + "/m.xml")
        try virsh("start", "m")
        #expect(processes(Self.virtiofsd, folder) > 0)
        if FileConfinement.isSupported {
            // It reaches the folder alone, and its machine's namespaces keep the rest away.
            let number = try #require(
                try HostFolder.names(in: "/proc").first { number in
                    guard Int(number) != nil, let words = try? HostFile.contents("/proc/\(number)/cmdline") else {
                        return false
                    }
                    return String(decoding: words, as: UTF8.self).hasPrefix(Self.virtiofsd + "\0--fd=3")
                })
            let status = String(decoding: try HostFile.contents("/proc/\(number)/status"), as: UTF8.self)
            #expect(status.contains("NoNewPrivs:\t1\n"))
            #expect(
                try HostFile.target(ofLink: "/proc/\(number)/ns/net") != HostFile.target(ofLink: "/proc/self/ns/net"))
        }
        let tree = try virsh("qemu-monitor-command", "m", "--hmp", "info qtree")
        #expect(tree.contains("dev: vhost-user-fs-pci, id \"fs0\"") && tree.contains("tag = \"data\""))
        #expect(try virsh("domcapabilities").contains("<value>virtiofs</value>"))
        try virsh("destroy", "m")
        #expect(processes(Self.virtiofsd, folder) == 0)
        // One that is not there is named.
        let missing = plain.replacing("<vcpu>", with: memory).replacing(Self.virtiofsd, with: "/nowhere/virtiofsd")
        try HostFile.replace(folder + "/m.xml", with: Array(missing.utf8))
        try virsh("define", folder + "/m.xml")
        #expect(try virsh.run("start", "m").errors.contains("/nowhere/virtiofsd"))
    }

    @Test("A machine has sockets to its host, in its folder")
    func sockets() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let devices = "<vsock model='virtio'><cid auto='no' address='77'/></vsock><serial type='pty'/>"
        let xml = TestXML.domain("v", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(daemon.folder + "/v.xml", with: Array(xml.utf8))
        try virsh("create", daemon.folder + "/v.xml")
        #expect(
            try virsh("qemu-monitor-command", "v", "--hmp", "info qtree").contains(
                "dev: virtio-vsock-pci, id \"vsock0\""))
        try virsh("destroy", "v")
    }
}
