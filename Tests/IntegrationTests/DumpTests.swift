import Foundation
import Testing

/// Files of guest memory, opened by the programs that they are for.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct DumpTests {
    /// What describes the guest's kernel (`make guest/debug/vmlinux`).
    private static let symbols = Repository.root.appendingPathComponent("guest/debug/vmlinux").path
    private static func has(_ programs: String...) -> Bool {
        programs.allSatisfy { FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)") }
    }
    private static let mark = "apus-was-here-\(UInt32.random(in: 0...UInt32.max))"

    /// Has a guest with two processors say something in its log, and writes its memory in all forms.
    private func dump(_ folder: TemporaryFolder) throws {
        let machine = try GuestMachine(booting: [
            "-accel", "tcg", "-machine", "pc", "-smp", "2", "-m", "192", "-nic", "none", "-device", "vmcoreinfo",
            "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
        ])
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.output(of: "dmesg -n 1; echo \(Self.mark) >/dev/kmsg")
        func dump(_ name: String, _ more: [String: Any] = [:]) throws {
            try monitor.execute(
                "dump-guest-memory",
                ["paging": false, "protocol": "file:\(folder.path(name))"].merging(more) { $1 })
        }
        try dump("core")
        try dump("mapped", ["paging": true])
        try dump("flat", ["format": "kdump-zlib"])
        #expect(
            try monitor.failure(
                "dump-guest-memory",
                ["paging": true, "protocol": "file:\(folder.path("x"))", "format": "kdump-zlib"]
            ).contains("paging"))
        let size = try FileManager.default.attributesOfItem(atPath: folder.path("flat"))[.size] as? UInt64 ?? 0
        #expect(size > 1 << 20 && size < 150 << 20)
        #expect(try machine.output(of: "echo on") == "on")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    /// By what the kernel has told of itself alone: where its log is follows from the note.
    @Test(.enabled(if: has("makedumpfile"), "needs makedumpfile"))
    func theGuestsLogIsInEveryForm() throws {
        let folder = try TemporaryFolder()
        try dump(folder)
        let made = try runOnHost("/bin/sh", "-c", "makedumpfile -R \(folder.path("plain")) <\(folder.path("flat"))")
        #expect(made.status == 0, "\(made.output)")
        for name in ["core", "mapped", "plain"] {
            let read = try runOnHost(
                "makedumpfile", "--dump-dmesg", "-f", folder.path(name), folder.path("\(name).log"))
            // In dumps by page tables makedumpfile does not find the kernel's sections wherever KASLR may put them.
            if name == "mapped", read.output.contains("Could not validate mem_section") { continue }
            #expect(read.status == 0, "\(name): \(read.output)")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path("\(name).log")))
            let log = String(decoding: bytes, as: UTF8.self)
            #expect(log.contains("Linux version") && log.contains(Self.mark), "\(name)")
        }
        guard Self.has("gdb") else { return }
        for name in ["core", "mapped"] {
            let seen = try runOnHost(
                "gdb", "-batch", "-nx", "-c", folder.path(name), "-ex", "info threads", "-ex", "p/x $cs")
            #expect(seen.output.contains("LWP 1") && seen.output.contains("LWP 2"), "\(seen.output)")
            #expect(seen.output.contains("$1 = 0x10") || seen.output.contains("$1 = 0x33"), "\(seen.output)")
        }
    }

    @Test(
        .enabled(if: has("crash", "gdb"), "needs crash and gdb"),
        .enabled(if: FileManager.default.fileExists(atPath: symbols), "needs 'make guest/debug/vmlinux'"))
    func crashAndGDBKnowTheKernel() throws {
        let folder = try TemporaryFolder()
        try dump(folder)
        let commands = try folder.file(
            "commands", Array("sys\nlog\np init_task.comm\nps\nquit\n".utf8))
        for name in ["core", "flat"] {
            let seen = try runOnHost(
                "crash", "-s", "--no_modules", "-i", commands, Self.symbols, folder.path(name))
            for words in ["CPUS: 2", "NODENAME: apus", Self.mark, "\"swapper/0", "[swapper/1]"] {
                #expect(seen.output.contains(words), "\(name): '\(words)' is not in \(seen.output.suffix(3000))")
            }
            #expect(!seen.output.contains("corrupt"), "\(name): \(seen.output.prefix(3000))")
            #expect(seen.status == 0)
        }
        // The kernel lies elsewhere at each boot; it says where.
        let strings = try runOnHost("sh", "-c", "strings \(folder.path("core")) | grep -m 1 ^KERNELOFFSET=")
        let offset = strings.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let place = try #require(offset.split(separator: "=").last)
        let seen = try runOnHost(
            "gdb", "-batch", "-nx", "-c", folder.path("mapped"), "-ex", "symbol-file -o 0x\(place) \(Self.symbols)",
            "-ex", "p linux_banner", "-ex", "p init_task.comm", "-ex", "p init_uts_ns.name.nodename")
        for words in ["Linux version", "swapper", "\"apus"] {
            #expect(seen.output.contains(words), "\(seen.output)")
        }
    }
}
