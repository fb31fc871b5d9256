import Foundation
import Synchronization
import TestSupport
import Testing

/// Where the repository is, and what tests find there.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let kernel = root.appendingPathComponent("guest/vmlinuz").path
    static let initramfs = root.appendingPathComponent("guest/initramfs.cpio.gz").path
    /// A Debian on a disk without partitions, with its own kernel and initrd.
    static let debianDisk = root.appendingPathComponent("guest/debian.raw").path
    static let debianKernel = root.appendingPathComponent("guest/debian-vmlinuz").path
    static let debianInitrd = root.appendingPathComponent("guest/debian-initrd").path
    /// What `make run` boots its guest with.
    static let runScript = root.appendingPathComponent("Scripts/run-guest").path
    /// The program beside the tests.
    static let apus = root.appendingPathComponent(".build/release/apus").path
    static let program = root.appendingPathComponent(".build/release/apus-vmm").path

    static var hasGuest: Bool {
        [kernel, initramfs, program].allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }
    static var hasDebian: Bool {
        [debianKernel, debianInitrd, debianDisk].allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }
}

/// A machine of its own process, with its serial console on pipes.
final class GuestMachine: Sendable {
    private let process: Process
    private let input: FileHandle
    private let output: FileHandle
    private let text = Mutex("")
    private let isAtEnd = Atomic(false)

    struct TimedOut: Error, CustomStringConvertible {
        let wanted: String
        let seen: String
        var description: String { "'\(wanted)' did not come; the last of the console: \(seen.suffix(6000))" }
    }

    /// Starts the program with the arguments, in the repository's folder.
    init(program: String = Repository.program, _ arguments: [String]) throws {
        let (toGuest, fromGuest) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.currentDirectoryURL = Repository.root
        process.arguments = arguments
        process.standardInput = toGuest
        process.standardOutput = fromGuest
        process.standardError = fromGuest
        input = toGuest.fileHandleForWriting
        output = fromGuest.fileHandleForReading
        try process.run()
        output.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            guard !data.isEmpty else {
                handle.readabilityHandler = nil
                self?.isAtEnd.store(true, ordering: .releasing)
                return
            }
            self?.text.withLock { $0 += String(decoding: data, as: UTF8.self) }
        }
    }

    /// Debian's kernel with the project's initramfs, its console on the standard streams.
    convenience init(booting arguments: [String], append: String = "") throws {
        try self.init(
            ["-m", "512", "-nographic", "-kernel", Repository.kernel, "-initrd", Repository.initramfs]
                + ["-append", "console=ttyS0 \(append)"] + arguments)
    }

    deinit { if isRunning { process.terminate() } }
    /// Whether the process has yet to end.
    private var isRunning: Bool { ProcessEnd.status(of: process) == nil }

    /// All that the console has shown.
    var console: String { text.withLock { $0 } }
    var identifier: Int32 { process.processIdentifier }
    /// Whether nobody can write to the console any more.
    var isFinished: Bool { isAtEnd.load(ordering: .acquiring) }

    /// Waits for a text on the console, behind its first `skipped` characters.
    func wait(for wanted: String, after skipped: Int = 0, seconds: Double = 240) throws {
        func isThere() -> Bool { skipped == 0 ? console.contains(wanted) : console.dropFirst(skipped).contains(wanted) }
        let end = Date().addingTimeInterval(seconds)
        while !isThere() {
            guard Date() < end, isRunning || isThere() else {
                Thread.sleep(forTimeInterval: 0.2)
                if isThere() { return }
                throw TimedOut(wanted: wanted, seen: console)
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// Types a line.
    func type(_ line: String) throws { try press(line + "\n") }

    /// Types characters as they are.
    func press(_ text: String) throws { try input.write(contentsOf: Data(text.utf8)) }

    /// Types a command and waits for the end of its output, which is returned.
    func shell(_ command: String, seconds: Double = 240) throws -> String {
        let mark = "mark\(UInt32.random(in: 0..<1_000_000))"
        let before = console.count
        // The echo of the line shows the mark cut in two; only the output has it whole.
        try type("\(command); echo \(mark.prefix(4))''\(mark.dropFirst(4))")
        try wait(for: mark, seconds: seconds)
        return String(console.dropFirst(before))
    }

    /// Types a command and returns the lines that it writes, and nothing around them.
    func output(of command: String, seconds: Double = 240) throws -> String {
        let mark = "mark\(UInt32.random(in: 0..<1_000_000))"
        let (head, tail) = (mark.prefix(4), mark.dropFirst(4))
        // The echo of the line shows the marks cut in two; only the output has them whole.
        try type("echo \(head)''\(tail); \(command); echo; echo \(head)''\(tail)end")
        try wait(for: "\(mark)end", seconds: seconds)
        let lines = console.replacingOccurrences(of: "\r", with: "")
        let start = try #require(lines.range(of: "\(mark)\n")).upperBound
        let end = try #require(lines.range(of: "\(mark)end", range: start..<lines.endIndex)).lowerBound
        return lines[start..<end].trimmingCharacters(in: .newlines)
    }

    /// When the guest's monotonic clock was 0 by the host's clock, in seconds: between two moments, as its answer takes a
    /// while.
    func clockZero() throws -> ClosedRange<Double> {
        let before = Date().timeIntervalSince1970
        let text = try output(of: "cut -d' ' -f1 /proc/uptime")
        let uptime = try #require(Double(text.split(separator: "\n").first ?? ""))
        return before - uptime...Date().timeIntervalSince1970 - uptime
    }

    /// Has the guest's shell make a file of a few bytes.
    func write(_ bytes: [UInt8], to path: String) throws {
        _ = try output(of: "rm -f \(path)")
        for start in stride(from: 0, to: bytes.count, by: 64) {
            let part = bytes[start..<min(start + 64, bytes.count)]
            let text = part.map { "\\0" + String($0, radix: 8) }.joined()
            _ = try output(of: "printf '%b' '\(text)' >>\(path)")
        }
    }

    /// All that the process wrote, once it has ended.
    func remainder() throws -> String {
        let end = Date().addingTimeInterval(5)
        while !isAtEnd.load(ordering: .acquiring), Date() < end { Thread.sleep(forTimeInterval: 0.01) }
        return console
    }

    /// The exit status, after at most `seconds`.
    func status(seconds: Double = 120) throws -> Int32 {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if let status = ProcessEnd.status(of: process) { return status }
            guard Date() < end else {
                // What its threads are at, for whoever looks for the reason.
                let threads = (try? HostProgram.run("bash", ["-c", "cat /proc/\(identifier)/task/*/{comm,wchan,status}"]))
                process.terminate()
                throw TimedOut(
                    wanted: "the end of process \(identifier)", seen: console + (threads?.output.suffix(1000) ?? ""))
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }
}
