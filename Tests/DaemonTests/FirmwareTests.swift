import Foundation
import HostOS
import TestSupport
import Testing

/// Firmware that the daemon chooses, and its variables. What is expected is what Debian's libvirtd 9.0 answers.
@Suite(
    "Firmware", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && TestPrograms.hasEmulator
            && HostFile.status("/usr/share/qemu/firmware/60-edk2-x86_64.json").kind == .file, "needs virsh and ovmf"))
struct FirmwareTests {
    private static let folder = "/usr/share/OVMF/OVMF_"

    private static func define(
        _ virsh: Virsh, _ name: String, _ machine: String = "q35", os: String = "firmware='efi'", _ inner: String = "",
        features: String = ""
    ) throws -> HostProgram {
        let xml = """
            <domain type='qemu'><name>\(name)</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
            <os \(os)><type arch='x86_64' machine='\(machine)'>hvm</type>\(inner)</os>
            <features><acpi/>\(features)</features>
            <devices><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
            """
        let path = "\(virsh.daemon.folder)/\(name).xml"
        try HostFile.replace(path, with: Array(xml.utf8))
        return try virsh.run("define", path)
    }

    private static func feature(_ name: String, _ enabled: Bool) -> String {
        "<feature enabled='\(enabled ? "yes" : "no")' name='\(name)'/>"
    }

    @Test("What a definition asks for decides the code and the variables")
    func chosen() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let (secure, keys) = (Self.feature("secure-boot", true), Self.feature("enrolled-keys", true))
        let cases: [(String, String, String, String, String)] = [
            ("a", "q35", "", "CODE_4M.ms", "VARS_4M.ms"), ("b", "pc", "", "CODE_4M", "VARS_4M"),
            ("c", "q35", "<firmware>\(secure)\(keys)</firmware>", "CODE_4M.ms", "VARS_4M.ms"),
            (
                "d", "q35", "<firmware>\(secure)\(Self.feature("enrolled-keys", false))</firmware>", "CODE_4M.secboot",
                "VARS_4M"
            ),
            ("e", "q35", "<firmware>\(Self.feature("secure-boot", false))</firmware>", "CODE_4M", "VARS_4M"),
            ("g", "q35", "<loader secure='yes'/>", "CODE_4M.ms", "VARS_4M.ms"),
        ]
        for (name, machine, inner, code, variables) in cases {
            #expect(try Self.define(virsh, name, machine, inner).status == 0)
            #expect(try virsh("dumpxml", name).contains("<os firmware='efi'>"))
            try virsh("start", name, "--paused")
            let live = try virsh("dumpxml", name)
            let isSecure = code != "CODE_4M"
            let attributes = isSecure ? "readonly='yes' secure='yes' type='pflash'" : "readonly='yes' type='pflash'"
            #expect(live.contains("<os>\n"), "\(name)")
            #expect(live.contains("<loader \(attributes)>\(Self.folder)\(code).fd</loader>"), "\(live)")
            let path = "\(daemon.folder)/lib/qemu/nvram/\(name)_VARS.fd"
            #expect(live.contains("<nvram template='\(Self.folder)\(variables).fd'>\(path)</nvram>"), "\(live)")
            #expect(live.contains("<smm state='on'/>") == isSecure)
            #expect(try HostFile.contents(path) == HostFile.contents("\(Self.folder)\(variables).fd"))
            try virsh("destroy", name)
            #expect(try virsh("dumpxml", name).contains("<os firmware='efi'>"))
        }
    }

    @Test("What cannot be is refused in libvirt's words")
    func refused() throws {
        let virsh = Virsh(daemon: try DaemonProcess())
        let keys = Self.feature("enrolled-keys", true)
        let flash = "readonly='yes' type='pflash'"
        let refusals: [(String, String, String, String)] = [
            ("firmware='foo'", "q35", "", "XML error: unknown firmware value foo"),
            (
                "firmware='efi'", "q35", "<firmware>\(Self.feature("secure-boot", false))\(keys)</firmware>",
                "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' is disabled"
            ),
            (
                "firmware='efi'", "q35", "<loader type='rom'/>",
                "loader attribute 'type' cannot be specified when firmware autoselection is enabled"
            ),
            (
                "firmware='efi'", "q35", "<nvram template='/x'/>",
                "nvram attribute 'template' cannot be specified when firmware autoselection is enabled"
            ),
            ("firmware='bios'", "q35", "<nvram>/x</nvram>", "firmware type 'bios' does not support nvram"),
            ("", "q35", "<nvram>/x</nvram>", "no loader path specified and firmware auto selection disabled"),
            (
                "", "q35", "<firmware>\(keys)</firmware>",
                "cannot use feature-based firmware autoselection when firmware autoselection is disabled"
            ),
            (
                "", "q35", "<loader \(flash) stateless='yes'>/x</loader><nvram>/x</nvram>",
                "NVRAM is not permitted when loader is stateless"
            ),
            (
                "", "pc", "<loader \(flash) secure='yes'>/x</loader>",
                "unsupported configuration: Secure boot is supported with q35 machine types only"
            ),
            (
                "", "q35", "<loader \(flash) secure='yes'>/x</loader>",
                "unsupported configuration: Secure boot requires SMM feature enabled"
            ),
        ]
        for (os, machine, inner, words) in refusals {
            let result = try Self.define(virsh, "r", machine, os: os, inner)
            #expect(result.errors.contains("error: \(words)\n"), "\(result.errors)")
        }
        let secure = "<firmware>\(Self.feature("secure-boot", true))</firmware>"
        let cases: [(String, String, String, String, String, String)] = [
            ("f", "pc", "firmware='efi'", secure, "", "operation failed: Unable to find any firmware to satisfy 'efi'"),
            ("i", "q35", "firmware='bios'", "", "", "operation failed: Unable to find any firmware to satisfy 'bios'"),
            (
                "y", "q35", "firmware='efi'", "", "<smm state='off'/>",
                "Requested operation is not valid: domain has SMM turned off but chosen firmware requires it"
            ),
            (
                "x", "q35", "", "<loader \(flash)>/tmp/none.fd</loader>", "",
                "operation failed: unable to find any master var store for loader: /tmp/none.fd"
            ),
        ]
        for (name, machine, os, inner, features, words) in cases {
            #expect(try Self.define(virsh, name, machine, os: os, inner, features: features).status == 0)
            #expect(try virsh.run("start", name).errors.contains("error: \(words)\n"), "\(name)")
        }
    }

    @Test("Variables last, are made anew, are renamed, stay or go")
    func variables() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        func path(_ name: String) -> String { "\(daemon.folder)/lib/qemu/nvram/\(name)_VARS.fd" }
        #expect(try Self.define(virsh, "m", "pc").status == 0)
        try virsh("start", "m", "--paused")
        try virsh("destroy", "m")
        let template = try HostFile.contents(Self.folder + "VARS_4M.fd")
        let changed = Array("changed".utf8) + template.dropFirst(7)
        try HostFile.replace(path("m"), with: changed)
        try virsh("start", "m", "--paused")
        try virsh("destroy", "m")
        #expect(try HostFile.contents(path("m")) == changed)
        try virsh("start", "m", "--paused", "--reset-nvram")
        try virsh("destroy", "m")
        #expect(try HostFile.contents(path("m")) == template)
        let refused = try virsh.run("undefine", "m")
        #expect(refused.errors.contains("Requested operation is not valid: cannot undefine domain with nvram"))
        try virsh("domrename", "m", "n")
        #expect(HostFile.status(path("m")).kind == .nothing && HostFile.status(path("n")).kind == .file)
        try virsh("undefine", "n", "--keep-nvram")
        #expect(HostFile.status(path("n")).kind == .file)
        #expect(try Self.define(virsh, "n", "pc").status == 0)
        try virsh("undefine", "n", "--nvram")
        #expect(HostFile.status(path("n")).kind == .nothing)
        // A loader that is named gets variables by its descriptor.
        let loader = "<loader readonly='yes' type='pflash'>\(Self.folder)CODE_4M.fd</loader>"
        #expect(try Self.define(virsh, "j", "q35", os: "", loader).status == 0)
        #expect(try virsh("dumpxml", "j").contains("<nvram>\(path("j"))</nvram>"))
        try virsh("start", "j", "--paused")
        #expect(try virsh("dumpxml", "j").contains("<nvram template='\(Self.folder)VARS_4M.fd'>\(path("j"))</nvram>"))
        try virsh("destroy", "j")
    }

    @Test("Capabilities say what there is, as libvirtd's")
    func capabilities() throws {
        let virsh = Virsh(daemon: try DaemonProcess())
        func loaders(_ machine: String) throws -> String {
            let text = try virsh("domcapabilities", "--machine", machine, "--virttype", "qemu")
            let start = try #require(text.range(of: "<enum name='firmware'>"))
            let end = try #require(text.range(of: "</os>"))
            return text[start.lowerBound..<end.lowerBound].filter { $0 != " " && $0 != "\n" }
        }
        let first = "<enumname='firmware'><value>efi</value></enum><loadersupported='yes'>"
        let kinds =
            "<enumname='type'><value>rom</value><value>pflash</value></enum>"
            + "<enumname='readonly'><value>yes</value><value>no</value></enum>"
        func value(_ name: String) -> String { "<value>\(Self.folder)\(name).fd</value>" }
        #expect(
            try loaders("pc") == first + value("CODE_4M") + kinds
                + "<enumname='secure'><value>no</value></enum></loader>")
        #expect(
            try loaders("q35") == first + value("CODE_4M.ms") + value("CODE_4M.secboot") + value("CODE_4M") + kinds
                + "<enumname='secure'><value>yes</value><value>no</value></enum></loader>")
    }

    @Test(
        "virt-install installs by UEFI, and the firmware speaks",
        .enabled(if: HostFile.status("/usr/bin/virt-install").kind == .file))
    func install() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let words = [
            "--connect", Virsh.uri(daemon), "--name", "u", "--memory", "256", "--vcpus", "1", "--virt-type", "qemu",
            "--boot", "uefi", "--import", "--disk", "none", "--osinfo", "detect=off,require=off", "--network", "none",
            "--graphics", "none", "--noautoconsole", "--machine", "q35",
        ]
        let installed = try HostProgram.run("virt-install", words)
        #expect(installed.status == 0, "\(installed)")
        let live = try virsh("dumpxml", "u")
        #expect(live.contains("OVMF_CODE_4M.ms.fd</loader>") && live.contains("<smm state='on'/>"))
        let uuid = try virsh("domuuid", "u").filter { $0 != "\n" }
        let pause = Bell()
        func said(_ words: String) -> Bool {
            let log = (try? HostFile.contents("\(daemon.folder)/run/qemu/\(uuid)/charserial0.log")) ?? []
            return String(decoding: log, as: UTF8.self).contains(words)
        }
        for _ in 0..<600 where !said("BdsDxe") { pause.wait(nanoseconds: 100_000_000) }
        #expect(said("BdsDxe"))
        try virsh("destroy", "u")
        try virsh("undefine", "u", "--nvram")
    }
}
