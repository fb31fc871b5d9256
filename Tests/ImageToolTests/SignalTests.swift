import CLinux
import HostOS
import TestSupport
import Testing

/// What the program does with signals that are no reason to end, as `qemu-img` does.
@Suite(.enabled(if: builtProgram != nil, "apus-img has not been built"))
struct SignalTests {
    /// Starts the program with signals as a shell leaves them; its output goes to a descriptor, its errors to a file.
    private func start(_ words: [String], output: Int32, errors: String) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments: [UnsafeMutablePointer<CChar>?] =
            unsafe ([builtProgram!] + words).map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        return unsafe posix_spawn(&child, builtProgram!, &actions, &attributes, &arguments, nil) == 0 ? child : -1
    }

    /// Whether a process holds SIGUSR1 back, which it does once it has come to its main function.
    private func holdsBack(_ child: pid_t) -> Bool {
        let text = String(decoding: (try? HostFile.contents("/proc/\(child)/status")) ?? [], as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }
        let mask = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) } ?? 0
        return mask & 1 << UInt64(SIGUSR1 - 1) != 0
    }

    /// SIGUSR1 asks how far the work is; with `-p` that is shown anyway.
    @Test(arguments: [false, true]) func howFarItIs(_ showsProgress: Bool) throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(16 << 20, seed: 7))
        let null = unsafe apus_open("/dev/null", O_WRONLY, 0)
        defer { close(null) }
        let words =
            ["convert", "-r", "16M", "-O", "qcow2"] + (showsProgress ? ["-p"] : [])
            + [folder.file("disk.raw"), folder.file("new")]
        let child = start(words, output: null, errors: folder.file("errors"))
        try #require(child > 0)
        let end = HostClock.monotonic + 60_000_000_000
        while !holdsBack(child) && HostClock.monotonic < end { usleep(1000) }
        #expect(holdsBack(child))
        var status: Int32 = 0
        while unsafe waitpid(child, &status, WNOHANG) == 0 {
            _ = CLinux.kill(child, HostClock.monotonic < end ? SIGUSR1 : SIGKILL)
            usleep(5000)
        }
        #expect(status == 0)
        #expect(folder.image("compare", "@disk.raw", "@new").status == 0)
        let lines = String(decoding: folder.read("errors"), as: UTF8.self).split(separator: "\n")
        #expect(showsProgress ? lines.isEmpty : !lines.isEmpty, "\(lines)")
        for line in lines { #expect(line.hasPrefix("    (") && line.hasSuffix("/100%)"), "\(line)") }
    }

    /// Nobody reads what it prints any more: that ends neither its work nor makes it fail.
    @Test func aReaderThatHasGone() throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(4 << 20, seed: 8))
        var pipes: [Int32] = [0, 0]
        try #require(unsafe pipe2(&pipes, O_CLOEXEC) == 0)
        close(pipes[0])
        defer { close(pipes[1]) }
        let child = start(
            ["convert", "-p", "-O", "qcow2", folder.file("disk.raw"), folder.file("new")], output: pipes[1],
            errors: folder.file("errors"))
        try #require(child > 0)
        var status: Int32 = 0
        _ = unsafe waitpid(child, &status, 0)
        #expect(status == 0)
        #expect(folder.image("compare", "@disk.raw", "@new").status == 0)
    }
}
