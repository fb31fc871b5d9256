public import Foundation

/// A program of the host that a test ran to its end.
public struct HostProgram: Equatable, Sendable, CustomStringConvertible {
    /// Its exit status, or 128 and the signal that ended it.
    public let status: Int32
    public let output: String
    public let errors: String

    public var description: String { "status \(status): \(output)\(errors)" }

    /// It did not end in time, and was killed.
    public struct Late: Error, CustomStringConvertible {
        public let program: String
        public let output: String
        public var description: String { "\(program) did not end: \(output)" }
    }

    /// It was to succeed, and did not.
    public struct Failed: Error, CustomStringConvertible {
        public let description: String
    }

    /// Runs a program, found on the PATH where its name has no slash, and waits for its end.
    ///
    /// - Parameters:
    ///   - input: what it reads, at most what a pipe holds (64 KiB): all is there before it starts, so that nothing is
    ///     written to a program that has ended, whose SIGPIPE would end the tests. Nothing where not given.
    ///   - joined: what it complains of stands in its output, where it was said.
    ///   - seconds: after them it is killed.
    /// - Throws: ``Late``; errors of Foundation where it does not start.
    public static func run(
        _ program: String, _ arguments: [String] = [], input: String? = nil, in folder: URL? = nil,
        joined: Bool = false, seconds: Double = 120
    ) throws -> HostProgram {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("apus-run.\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        // Files, because a pipe that nobody empties would stop a program that says much.
        let output = try Self.file(place.appendingPathComponent("output"))
        let errors = joined ? output : try Self.file(place.appendingPathComponent("errors"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program.contains("/") ? program : "/usr/bin/env")
        process.arguments = program.contains("/") ? arguments : [program] + arguments
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output.handle
        process.standardError = errors.handle
        if let input {
            precondition(input.utf8.count <= 65536)
            let pipe = Pipe()
            try pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try pipe.fileHandleForWriting.close()
            process.standardInput = pipe
        }
        try withoutBlockedSignals { try process.run() }
        let number = process.processIdentifier
        let watchdog = DispatchWorkItem { kill(number, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: watchdog)
        let (wasSignalled, code) = Self.end(of: process)
        watchdog.cancel()
        func text(_ url: URL) throws -> String { String(decoding: try Data(contentsOf: url), as: UTF8.self) }
        let said = try text(output.url)
        if wasSignalled, code == SIGKILL { throw Late(program: program, output: said) }
        return HostProgram(
            status: wasSignalled ? 128 + code : code, output: said, errors: joined ? "" : try text(errors.url))
    }

    /// Threads of Dispatch block most signals, and what they start has that from them: a program that cannot be ended.
    public static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var (none, before) = (sigset_t(), sigset_t())
        // SAFETY: both sets live for the calls.
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    /// How a process ended. Foundation's own wait lasts until all have ended that it started in turn, machines that go on
    /// by themselves among them: the kernel is asked instead.
    private static func end(of process: Process) -> (wasSignalled: Bool, code: Int32) {
        var info = unsafe siginfo_t()
        var result: Int32
        repeat {
            result = unsafe waitid(P_PID, id_t(process.processIdentifier), &info, WEXITED | WNOWAIT)
        } while result == -1 && errno == EINTR
        if result == 0 { return unsafe (info.si_code != Int32(CLD_EXITED), info._sifields._sigchld.si_status) }
        // Foundation was first.
        process.waitUntilExit()
        return (process.terminationReason == .uncaughtSignal, process.terminationStatus)
    }

    /// Runs a program that is to succeed, and returns what it wrote and complained of.
    @discardableResult
    public static func output(_ program: String, _ arguments: [String], seconds: Double = 120) throws -> String {
        let ended = try run(program, arguments, joined: true, seconds: seconds)
        guard ended.status == 0 else {
            throw Failed(description: "\(program) \(arguments.joined(separator: " ")): \(ended)")
        }
        return ended.output
    }

    private static func file(_ url: URL) throws -> (url: URL, handle: FileHandle) {
        try Data().write(to: url)
        return (url, try FileHandle(forWritingTo: url))
    }
}

extension HostProgram {
    /// What a program said, with a folder's name replaced.
    public static func like(_ ended: HostProgram, without folder: String) -> HostProgram {
        HostProgram(
            status: ended.status, output: ended.output.replacingOccurrences(of: folder, with: "@DIR@"),
            errors: ended.errors.replacingOccurrences(of: folder, with: "@DIR@"))
    }
}
