import Foundation
import Testing

/// A machine that dies leaves its user's terminal as it was.
@Suite(.serialized, .enabled(if: Pixmap.hasFirmware, "needs Debian's package seabios"))
struct TerminalCrashTests {
    private static let crashes = [SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS]

    /// Starts a machine in a terminal, and ends it by a signal once its guest runs.
    private func crash(_ signal: Int32, backtrace: String, _ arguments: [String]) throws -> (Int32?, Bool) {
        let terminal = try Terminal()
        let modes = terminal.localModes
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Repository.program)
        process.arguments = ["-accel", "tcg", "-m", "16", "-nodefaults"] + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "TERM": "xterm", "SWIFT_BACKTRACE": backtrace]
        process.standardInput = terminal.slave
        process.standardOutput = terminal.slave
        process.standardError = terminal.slave
        // Tests run on threads that hold back most signals, which what is started there would do, too.
        var (all, before) = (sigset_t(), sigset_t())
        _ = unsafe sigfillset(&all)
        _ = unsafe pthread_sigmask(SIG_UNBLOCK, &all, &before)
        let started = Result { try process.run() }
        _ = unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        try started.get()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let deadline = Date().addingTimeInterval(60)
        while terminal.localModes & tcflag_t(ICANON) != 0, Date() < deadline { Thread.sleep(forTimeInterval: 0.01) }
        // The monitor answers, and the engine runs the guest: by Ctrl-A C, or by Alt-2 on the second console.
        terminal.type(arguments.contains("curses") ? "\u{1B}2" : "\u{1}c")
        try terminal.wait(for: "(qemu)")
        terminal.type("info status\r")
        try terminal.wait(for: "VM status: running")
        kill(process.processIdentifier, signal)
        let end = Date().addingTimeInterval(60)
        var status: Int32?
        while status == nil, Date() < end {
            Thread.sleep(forTimeInterval: 0.005)
            status = ProcessEnd.status(of: process)
        }
        return (status, terminal.localModes == modes)
    }

    @Test("A signal of a crash ends it, and gives the terminal back", arguments: crashes)
    func endsIt(_ signal: Int32) throws {
        let (status, isAsBefore) = try crash(
            signal, backtrace: "enable=no", ["-nographic", "-serial", "mon:stdio"])
        #expect(status == 128 + signal)
        #expect(isAsBefore)
    }

    /// The handlers of Swift's backtraces are there before all others.
    @Test("What prints a backtrace does so to a terminal that is as it was", arguments: [SIGSEGV, SIGQUIT])
    func isSeen(_ signal: Int32) throws {
        let (status, isAsBefore) = try crash(
            signal, backtrace: "enable=yes,color=no,interactive=no,symbolicate=off,threads=crashed",
            ["-display", "curses", "-vga", "std", "-monitor", "vc"])
        #expect(status == 128 + signal)
        #expect(isAsBefore)
    }
}
