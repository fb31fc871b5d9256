import Foundation
import Testing

/// What a user sees whose command line or files are wrong: one line that names it, status 1, and nothing started.
@Suite(.enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct FailureTests {
    /// Arguments, and what the line must name.
    struct Mistake: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        let names: [String]

        init(_ line: String, names: String...) {
            arguments = line.split(separator: " ").map { $0 == "KERNEL" ? Repository.kernel : String($0) }
            self.names = names
        }
        var testDescription: String { arguments.joined(separator: " ") }
    }

    @Test(arguments: [
        Mistake("-kernel KERNEL -m 0", names: "-m 0"),
        Mistake("-kernel KERNEL -m -5", names: "-5"),
        Mistake("-kernel KERNEL -m lots", names: "lots"),
        Mistake("-kernel KERNEL -m 999999999G", names: "999999999G"),
        Mistake("-kernel KERNEL -m 8", names: "vmlinuz", "memory"),
        Mistake("-kernel KERNEL -m 32", names: "vmlinuz", "memory"),
        Mistake("-kernel KERNEL -smp 0", names: "'cpus'", "greater than zero"),
        Mistake("-kernel KERNEL -smp -1", names: "-1"),
        Mistake("-kernel KERNEL -smp 100000", names: "100000"),
        Mistake("-kernel KERNEL -smp 4,maxcpus=2", names: "maxcpus (2)"),
        Mistake("-kernel KERNEL -smp 2,sockets=3", names: "sockets (3)"),
    ])
    func memoryAndProcessors(_ mistake: Mistake) throws { try expectOneLine(mistake.arguments, mistake.names) }

    @Test(arguments: [
        Mistake("-kernel /nonexistent", names: "/nonexistent", "No such file"),
        Mistake("-kernel /tmp", names: "/tmp", "directory"),
        Mistake("-kernel KERNEL -initrd /nonexistent", names: "/nonexistent", "No such file"),
        Mistake("-kernel KERNEL -initrd /tmp", names: "/tmp", "directory"),
        Mistake("-append quiet", names: "-kernel"),
        Mistake("-initrd /dev/null", names: "-kernel"),
        Mistake("-hda /nonexistent", names: "/nonexistent", "no such file"),
        Mistake("/nonexistent", names: "/nonexistent", "no such file"),
        Mistake("-drive file=/nonexistent,if=virtio", names: "/nonexistent", "no such file"),
        Mistake("-drive file=/tmp,format=raw", names: "/tmp", "directory"),
        Mistake("-drive file=/dev/null,format=tape", names: "tape", "raw"),
        Mistake("-drive file=/dev/null,colour=red", names: "colour"),
        Mistake("-blockdev driver=tape,node-name=a", names: "tape", "raw"),
        Mistake("-blockdev {\"driver\":", names: "JSON"),
        Mistake("-device virtio-blk-pci,drive=nope", names: "nope"),
        Mistake("-device virtio-blk-pci", names: "drive"),
    ])
    func files(_ mistake: Mistake) throws { try expectOneLine(mistake.arguments, mistake.names) }

    @Test(arguments: [
        Mistake("-colour", names: "-colour"),
        Mistake("--colour", names: "--colour"),
        Mistake("-M z80", names: "z80", "pc", "microvm"),
        Mistake("-M pc,colour=red", names: "colour"),
        Mistake("-accel abacus", names: "abacus", "tcg"),
        Mistake("-cpu z80", names: "z80", "-cpu help"),
        Mistake("-cpu qemu64,+colour", names: "colour"),
        Mistake("-cpu qemu64,+vmx,enforce", names: "vmx"),
        Mistake("-device abacus", names: "abacus", "-device help"),
        Mistake("-device virtio-net-pci,colour=red", names: "colour", "virtio-net-pci,help"),
        Mistake("-device virtio-net-pci,mac=zz", names: "zz"),
        Mistake("-device virtio-rng-pci,addr=99", names: "99"),
        Mistake("-netdev pigeon,id=a", names: "pigeon", "user"),
        Mistake("-netdev user", names: "'id'"),
        Mistake("-netdev user,id=a,colour=red", names: "colour"),
        Mistake("-netdev user,id=a,hostfwd=door", names: "door"),
        Mistake("-netdev user,id=a,net=999.1.2.3", names: "999.1.2.3"),
        Mistake("-netdev user,id=a -netdev user,id=a", names: "Duplicate", "'a'"),
        Mistake("-device virtio-net-pci,netdev=nope", names: "nope"),
        Mistake("-nic pigeon", names: "pigeon"),
        Mistake("-serial drum", names: "drum"),
        Mistake("-serial unix:/nonexistent/socket", names: "/nonexistent/socket"),
        Mistake("-chardev drum,id=a", names: "drum"),
        Mistake("-chardev stdio", names: "'id'"),
        Mistake("-monitor drum", names: "drum"),
        Mistake("-qmp unix:/nonexistent/socket", names: "/nonexistent/socket"),
        Mistake("-pidfile /nonexistent/file", names: "/nonexistent/file"),
        Mistake("-rtc sundial", names: "sundial"),
        Mistake("-uuid x", names: "UUID"),
        Mistake("-display telescope", names: "telescope"),
        Mistake("-object abacus", names: "abacus"),
        Mistake("-smbios abacus", names: "-smbios"),
        Mistake("-fw_cfg abacus", names: "-fw_cfg"),
        Mistake("-name", names: "-name"),
    ])
    func options(_ mistake: Mistake) throws {
        try expectOneLine(["-kernel", Repository.kernel] + mistake.arguments, mistake.names)
    }

    /// Files that are no kernels, or only the first part of one.
    @Test func kernels() throws {
        let kernel = try Data(contentsOf: URL(fileURLWithPath: Repository.kernel))
        let program = try Data(contentsOf: URL(fileURLWithPath: Repository.program), options: .mappedIfSafe)
        var noMagic = kernel.prefix(1 << 20)
        noMagic.replaceSubrange(514..<518, with: Data("XXXX".utf8))
        // Multiboot's magic with a sum that is wrong, and with a load address behind all memory.
        let wrongSum: [UInt32] = [0x1bad_b002, 0, 0]
        let farAway: [UInt32] = [
            0x1bad_b002, 0x1_0000, 0 &- 0x1bad_b002 &- 0x1_0000, 0xf000_0000, 0xf000_0000, 0, 0, 0xf000_0000,
        ]
        let files: [(name: String, data: Data)] = [
            ("empty", Data()), ("zeros", Data(count: 4096)), ("short", kernel.prefix(300)),
            ("headers", kernel.prefix(100_000)), ("nomagic", noMagic), ("elf7", program.prefix(7)),
            ("elf64", program.prefix(64)), ("program", program.prefix(1 << 20)),
            ("wrongsum", unsafe wrongSum.withUnsafeBytes { unsafe Data($0) } + Data(count: 8192)),
            ("faraway", unsafe farAway.withUnsafeBytes { unsafe Data($0) } + Data(count: 8192)),
        ]
        let folder = try TemporaryFolder()
        for (name, data) in files {
            let path = folder.path(name)
            try data.write(to: URL(fileURLWithPath: path))
            try expectOneLine(["-kernel", path], ["'\(path)'"])
        }
    }

    /// Neither a file nor a process stays behind.
    @Test func nothingIsStarted() throws {
        let folder = try TemporaryFolder()
        try expectOneLine(
            ["-kernel", "/nonexistent", "-daemonize", "-pidfile", folder.path("pid")], ["/nonexistent"],
            display: ["-display", "none"])
        #expect(!FileManager.default.fileExists(atPath: folder.path("pid")))
    }

    private func expectOneLine(
        _ arguments: [String], _ names: [String], display: [String] = ["-nographic"],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let machine = try GuestMachine(display + arguments)
        let status = try machine.status()
        let text = try machine.remainder()
        #expect(status == 1, "\(text)", sourceLocation: sourceLocation)
        #expect(text.split(separator: "\n").count == 1, "\(text)", sourceLocation: sourceLocation)
        #expect(text.hasPrefix("apus-vmm: "), "\(text)", sourceLocation: sourceLocation)
        for name in names { #expect(text.contains(name), "\(text)", sourceLocation: sourceLocation) }
    }
}
