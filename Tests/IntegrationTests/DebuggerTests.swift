import Foundation
import Synchronization
import Testing

/// GDB of Debian on a process of its own, with what it has printed.
private final class Debugger: Sendable {
    static let program = "/usr/bin/gdb"
    private let process = Process()
    private let input: FileHandle
    private let text = Mutex("")

    /// Starts it on a machine's door.
    init(_ socket: String) throws {
        let (toIt, fromIt) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = ["-nx", "-q"]
        process.standardInput = toIt
        process.standardOutput = fromIt
        process.standardError = fromIt
        input = toIt.fileHandleForWriting
        try process.run()
        fromIt.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            guard !data.isEmpty else {
                handle.readabilityHandler = nil
                return
            }
            self?.text.withLock { $0 += String(decoding: data, as: UTF8.self) }
        }
        for line in [
            "set pagination off", "set confirm off", "set width 0", "set architecture i386:x86-64",
            "target remote \(socket)",
        ] { try type(line) }
        _ = try run("echo attached\\n")
    }

    deinit { if process.isRunning { process.terminate() } }

    var output: String { text.withLock { $0 } }
    func type(_ line: String) throws { try input.write(contentsOf: Data((line + "\n").utf8)) }

    /// Types commands; gives what they print, when the last of them has ended.
    func run(_ commands: String..., seconds: Double = 120) throws -> String {
        let before = output.count
        let mark = "mark\(UInt32.random(in: 100_000..<1_000_000))"
        for command in commands { try type(command) }
        try type("echo \(mark)\\n")
        try wait(for: mark, after: before, seconds: seconds)
        return String(output.dropFirst(before))
    }

    func wait(for wanted: String, after position: Int, seconds: Double = 120) throws {
        let end = Date().addingTimeInterval(seconds)
        while !output.dropFirst(position).contains(wanted) {
            guard Date() < end else { throw GuestMachine.TimedOut(wanted: wanted, seen: output) }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }
}

/// A real debugger on Debian's kernel, from outside of the guest.
@Suite(
    .serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"),
    .enabled(if: FileManager.default.fileExists(atPath: Debugger.program), "needs gdb"))
struct DebuggerTests {
    private let folder: URL
    private var door: String { folder.appendingPathComponent("gdb").path }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-gdb-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Boots to the shell and asks for the addresses of kernel symbols.
    private func boot(_ processors: Int) throws -> (GuestMachine, (String) throws -> String) {
        let machine = try GuestMachine(
            booting: [
                "-accel", "tcg", "-smp", "\(processors)", "-nic", "none", "-gdb", "unix:\(door)",
            ])
        try machine.wait(for: "Type poweroff to end.")
        return (
            machine,
            { name in
                let text = try machine.shell("grep ' \(name)$' /proc/kallsyms")
                let line = text.split(whereSeparator: \.isNewline).first {
                    $0.hasSuffix(" \(name)") && $0.hasPrefix("ffff")
                }
                return "0x" + (try #require(line).split(separator: " ")[0])
            }
        )
    }

    @Test("Breakpoints, steps, watchpoints, memory and registers of Debian's kernel", arguments: [1, 2])
    func debugsAKernel(processors: Int) throws {
        let (machine, address) = try boot(processors)
        defer { try? FileManager.default.removeItem(at: folder) }
        let call = try address("__x64_sys_sethostname")
        let jiffies = try address("jiffies")
        let oops = try address("panic_on_oops")

        let debugger = try Debugger(door)
        #expect(debugger.output.contains("attached"))
        let threads = try debugger.run("info threads")
        for number in 1...processors { #expect(threads.contains("CPU#\(number - 1)"), "\(threads)") }

        // A system call of the shell's child stops at its first instruction.
        try machine.type("hostname first")
        var text = try debugger.run("break *\(call)", "continue", "p/x $rip", "p $cs & 3")
        #expect(text.contains("Breakpoint 1, \(call)"), "\(text)")
        #expect(text.contains("= \(call)"))
        text = try debugger.run("stepi", "p/x $rip != \(call)", "x/2i $rip")
        #expect(text.contains("= 0x1"), "\(text)")
        // The call returns at once with -EPERM.
        text = try debugger.run(
            "set $rip = \(call)", "set $rax = -1", "set $rip = *(long *)$rsp", "set $rsp = $rsp + 8")
        #expect(!text.contains("Could not"), "\(text)")

        // The kernel's clock ticks under a watchpoint.
        text = try debugger.run("delete", "watch *(unsigned long *)\(jiffies)", "continue", "continue")
        #expect(text.contains("Hardware watchpoint 2: *(unsigned long *)\(jiffies)"), "\(text)")
        #expect(text.components(separatedBy: "New value = ").count == 3, "\(text)")

        // A variable of the kernel's changes.
        text = try debugger.run("delete", "set *(int *)\(oops) = 7", "p *(int *)\(oops)")
        #expect(text.contains("= 7"), "\(text)")
        text = try debugger.run("monitor info status")
        #expect(text.contains("VM status: paused (debug)"), "\(text)")

        // It goes on to its end.
        let before = debugger.output.count
        try debugger.type("continue")
        try machine.wait(for: "Operation not permitted")
        #expect(try machine.shell("cat /proc/sys/kernel/panic_on_oops").contains("\n7"))
        #expect(try !machine.shell("hostname").contains("first"))
        try machine.type("poweroff -f")
        try debugger.wait(for: "exited normally", after: before)
        #expect(try machine.status() == 0)
        #expect(!machine.console.contains("BUG:"))
    }

    @Test("A hardware breakpoint before the first instruction, Ctrl-C, and a detached guest goes on")
    func fromTheFirstInstruction() throws {
        let machine = try GuestMachine(
            booting: ["-accel", "tcg", "-nic", "none", "-S", "-gdb", "unix:\(door)"], append: "nokaslr")
        defer { try? FileManager.default.removeItem(at: folder) }
        let end = Date().addingTimeInterval(60)
        while !FileManager.default.fileExists(atPath: door), Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        let debugger = try Debugger(door)
        // startup_64 of an uncompressed kernel, where the decompressor leaves it.
        let text = try debugger.run("hbreak *0x1000000", "tbreak *0xffffffff81000070", "p $pc", "p $cr0")
        #expect(text.contains("PE ET NE PG"), "\(text)")
        #expect(!machine.console.contains("Linux version"))
        let before = debugger.output.count
        try debugger.type("delete")
        try debugger.type("continue &")
        try debugger.wait(for: "Continuing", after: before)
        try machine.wait(for: "Type poweroff to end.")
        let stopped = debugger.output.count
        try debugger.type("interrupt")
        try debugger.wait(for: "SIGINT", after: stopped)
        let gone = debugger.output.count
        try debugger.type("detach")
        try debugger.wait(for: "detached", after: gone)
        #expect(try machine.shell("echo $((6 * 7))").contains("\n42"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }
}
