import CLinux
import HostOS
import Testing

/// What ends a process, each in a process of its own. `Scripts/run-tests` runs them after the others: what waits for
/// their ends waits for any child, and would turn in circles at those of other tests.
@Suite(
    .enabled(if: unsafe getenv("APUS_EXIT_TESTS") != nil, "run apart from tests with children, by APUS_EXIT_TESTS=1"))
struct ProcessTests {
    private func echoes(_ terminal: Descriptor) -> Bool {
        var modes = termios()
        return unsafe tcgetattr(terminal.rawValue, &modes) == 0 && modes.c_lflag & tcflag_t(ECHO) != 0
    }

    /// A pseudo-terminal that echoes, as a user's does.
    private func makeTerminal() throws -> (master: Descriptor, user: Descriptor, path: String) {
        let (master, path) = try PseudoTerminal.open()
        let user = try HostFile.open(path, .readWrite)
        var modes = termios()
        try #require(unsafe tcgetattr(user.rawValue, &modes) == 0)
        modes.c_lflag |= tcflag_t(ECHO)
        try #require(unsafe tcsetattr(user.rawValue, TCSANOW, &modes) == 0)
        return (master, user, path)
    }

    @Test func aFatalSignalRestoresTheTerminal() async throws {
        let (master, user, path) = try makeTerminal()
        await #expect(processExitsWith: .signal(SIGTERM)) { [path = path as String] in
            let terminal = try HostFile.open(path, .readWrite)
            let guardian = try RawTerminal(terminal, signals: false)
            var modes = termios()
            guard guardian != nil, unsafe tcgetattr(terminal.rawValue, &modes) == 0, modes.c_lflag & tcflag_t(ECHO) == 0
            else { exit(3) }
            kill(getpid(), SIGTERM)
            sleep(10)
        }
        #expect(echoes(user))
        #expect(master.kind == .terminal)
    }

    /// Something else has a handler for crashes already, which prints a backtrace, say: it has its turn afterwards.
    @Test func aCrashRestoresTheTerminalBeforeAnotherHandlerSeesIt() async throws {
        let (master, user, path) = try makeTerminal()
        await #expect(processExitsWith: .signal(SIGSEGV)) { [path = path as String] in
            var other = sigaction()
            unsafe other.__sigaction_handler.sa_sigaction = { number, _, _ in
                // As Swift's backtracer does: the fault that comes again is the end.
                var standard = sigaction()
                _ = unsafe sigaction(number, &standard, nil)
            }
            other.sa_flags = SA_SIGINFO
            guard unsafe sigaction(SIGSEGV, &other, nil) == 0 else { exit(3) }
            let terminal = try HostFile.open(path, .readWrite)
            let guardian = try RawTerminal(terminal, signals: false)
            guard guardian != nil else { exit(4) }
            let nowhere = unsafe UnsafeMutablePointer<Int>(bitPattern: 8)
            unsafe nowhere?.pointee = 1
            exit(5)
        }
        #expect(echoes(user))
        #expect(master.kind == .terminal)
    }

    @Test func theExitOfTheProcessRestoresTheTerminal() async throws {
        let (master, user, path) = try makeTerminal()
        await #expect(processExitsWith: .exitCode(7)) { [path = path as String] in
            let terminal = try HostFile.open(path, .readWrite)
            let guardian = try RawTerminal(terminal, signals: true)
            guard guardian != nil else { exit(3) }
            exit(7)
        }
        #expect(echoes(user))
        #expect(master.kind == .terminal)
    }

    @Test func theParentOfADaemonWaitsUntilItIsReady() async throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/pid"
        await #expect(processExitsWith: .exitCode(0)) { [path = path as String] in
            let daemon = try Daemonization()
            _ = try PIDFile(path)
            try daemon.ready()
            _exit(0)
        }
        let text = String(decoding: try HostFile.contents(path), as: UTF8.self)
        #expect(Int32(text.dropLast()) ?? 0 > 1)
    }

    @Test func aDaemonThatFailsIsToldOf() async {
        await #expect(processExitsWith: .exitCode(1)) {
            _ = try Daemonization()
            _exit(0)
        }
    }

    @Test func aSignalIsReadWithItsSender() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let signals = try SignalDescriptor([Signals.user1, Signals.terminate])
            // Blocked in this thread; so send it to this thread alone.
            pthread_kill(pthread_self(), Signals.user1)
            let received = signals.next()
            exit(received?.signal == Signals.user1 && received?.processID == getpid() && signals.next() == nil ? 0 : 1)
        }
    }
}
