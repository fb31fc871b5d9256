import HostOS
import RPCWire
import TestSupport
import Testing

/// Emulated TPMs: a process of swtpm for each machine, and what it remembers.
@Suite(
    "TPMs", .serialized, .enabled(if: TestPrograms.hasGuest && TestPrograms.hasVirsh, "needs 'make guest' and virsh"),
    .enabled(if: Program.exists("/usr/bin/swtpm"), "needs swtpm"))
struct TPMTests {
    private static func xml(_ more: String = "", inside: String = "", folder: String) -> String {
        let devices = """
            <tpm model='tpm-crb'><backend type='emulator' version='2.0'\(more)>\(inside)</backend></tpm>\(GuestShell.device(folder))
            """
        return TestXML.domain("m", uuid: uuid, devices: devices, kernel: TestPrograms.kernel)
    }
    private static let uuid = "5e9a3c0e-3c31-4d52-9a4c-2f3a6f1f7a51"

    /// The processes that hold a folder's TPMs.
    private static func servers(_ folder: String) -> [Int32] {
        ((try? HostFolder.names(in: "/proc")) ?? []).compactMap { Int32($0) }.filter { number in
            let words = (try? HostFile.contents("/proc/\(number)/cmdline", limit: 1 << 16)) ?? []
            return words.starts(with: Array("/usr/bin/swtpm\0".utf8))
                && String(decoding: words, as: UTF8.self).contains("dir=\(folder)/")
        }
    }

    /// How often the guest's TPM was reset in its life (TPM2_ReadClock): a new one begins anew.
    private static func resets(_ folder: String) throws -> UInt32 {
        let guest = try GuestShell(folder)
        _ = try guest.run("modprobe tpm_crb")
        let answer = try guest.run(
            #"printf '\200\1\0\0\0\12\0\0\1\201' >/q; exec 3<>/dev/tpm0; cat /q >&3; "#
                + #"head -c 35 <&3 | hexdump -v -e '/1 "%02x"'"#)
        // A header without an error, the time since its start, its clock.
        try #require(answer.count == 70 && answer.hasPrefix("80010000002300000000"), "\(answer)")
        return try #require(UInt32(answer.dropFirst(52).prefix(8), radix: 16))
    }

    @Test("A defined machine's TPM remembers from start to start, and goes with the definition unless it is kept")
    func persistent() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let state = "\(folder)/lib/swtpm/\(Self.uuid)/tpm2"
        try HostFile.replace(folder + "/m.xml", with: Array(Self.xml(folder: folder).utf8))
        try virsh("define", folder + "/m.xml")
        #expect(HostFile.status(state).kind == .nothing)
        try virsh("start", "m")
        #expect(Self.servers(folder).count == 1)
        if HostIdentity.userID == 0, FileConfinement.isSupported {
            // It is kept to its machine as that is: by user, root and network.
            let server = try #require(Self.servers(folder).first)
            let machine = try #require(try DaemonProcess.machine(folder, "m"))
            func line(_ process: Int32) throws -> String {
                let text = String(decoding: try HostFile.contents("/proc/\(process)/status"), as: UTF8.self)
                return text.split(separator: "\n").first { $0.hasPrefix("Uid:") }.map(String.init) ?? ""
            }
            #expect(try line(server) == line(machine))
            #expect(HostFile.status("/proc/\(server)/root/etc/shadow").kind == .nothing)
            #expect(HostFile.status("/proc/\(server)/root\(state)").kind == .folder)
            #expect(
                try HostFile.target(ofLink: "/proc/\(server)/ns/net") != HostFile.target(ofLink: "/proc/self/ns/net"))
        }
        let first = try Self.resets(folder)
        try virsh("destroy", "m")
        #expect(Self.servers(folder).isEmpty)
        try virsh("start", "m")
        #expect(try Self.resets(folder) > first)
        try virsh("destroy", "m")
        try virsh("undefine", "m", "--keep-tpm")
        #expect(HostFile.status(state).kind == .folder)
        try virsh("define", folder + "/m.xml")
        try virsh("undefine", "m")
        #expect(HostFile.status(state).kind == .nothing)
    }

    @Test("What a TPM remembers is encrypted by a secret, and needs it")
    func encrypted() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let uuid = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"
        try HostFile.replace(
            folder + "/secret.xml",
            with: Array(
                "<secret><uuid>\(uuid)</uuid><usage type='vtpm'><name>t</name></usage></secret>".utf8))
        try virsh("secret-define", folder + "/secret.xml")
        try HostFile.replace(folder + "/key", with: Array("a pass phrase".utf8))
        try virsh("secret-set-value", uuid, "--file", folder + "/key", "--plain")
        let xml = Self.xml(inside: "<encryption secret='\(uuid)'/>", folder: folder)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        var count: [UInt32] = []
        for _ in 0..<2 {
            try virsh("start", "m")
            count.append(try Self.resets(folder))
            try virsh("destroy", "m")
        }
        #expect(count[1] > count[0])
        let state = "\(folder)/lib/swtpm/\(Self.uuid)/tpm2"
        #expect(try HostFolder.names(in: state).allSatisfy { !$0.contains("key") })
        try HostFile.replace(folder + "/key", with: Array("another phrase".utf8))
        try virsh("secret-set-value", uuid, "--file", folder + "/key", "--plain")
        #expect(try virsh.run("start", "m").status == 1)
    }

    @Test("A machine that was never defined takes its TPM along, unless that is to persist")
    func transient() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let state = "\(folder)/lib/swtpm/\(Self.uuid)"
        for (more, isKept) in [("", false), (" persistent_state='yes'", true)] {
            try HostFile.replace(folder + "/m.xml", with: Array(Self.xml(more, folder: folder).utf8))
            try virsh("create", folder + "/m.xml", "--paused")
            #expect(HostFile.status(state + "/tpm2").kind == .folder)
            #expect(Self.servers(folder).count == 1)
            // A machine that is killed has no TPM left behind either.
            try HostProcess(number: try #require(try DaemonProcess.machine(folder, "m"))).kill()
            while try virsh("list", "--all", "--name") != "\n" {}
            #expect(Self.servers(folder).isEmpty)
            #expect((HostFile.status(state).kind == .folder) == isKept)
        }
    }
}
