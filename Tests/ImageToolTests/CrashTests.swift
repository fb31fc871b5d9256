import CLinux
import HostOS
import TestSupport
import Testing

/// The program as it was built beside the tests.
let builtProgram: String? = {
    var buffer = [CChar](repeating: 0, count: 4096)
    // SAFETY: the kernel writes at most the buffer's size less one.
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let here = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    return [here + "apus-img", ".build/release/apus-img"].first { unsafe access($0, X_OK) == 0 }
}()

/// The program is killed in the middle of its work: what it leaves is whole, but for leaks.
@Suite(.enabled(if: builtProgram != nil, "apus-img has not been built"))
struct CrashTests {
    /// Starts the program and sends it a signal after some microseconds. How many microseconds it lived on.
    @discardableResult
    private func kill(after delay: UInt32, by signal: Int32 = SIGKILL, _ words: [String]) -> UInt64 {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for stream in 0...2 { unsafe posix_spawn_file_actions_addopen(&actions, Int32(stream), "/dev/null", O_RDWR, 0) }
        var arguments: [UnsafeMutablePointer<CChar>?] =
            unsafe ([builtProgram!] + words).map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        guard unsafe posix_spawn(&child, builtProgram!, &actions, nil, &arguments, nil) == 0 else { return 0 }
        usleep(delay)
        _ = CLinux.kill(child, signal)
        let start = HostClock.monotonic
        var status: Int32 = 0
        _ = unsafe waitpid(child, &status, 0)
        return (HostClock.monotonic - start) / 1000
    }

    private func isWhole(_ folder: Folder, _ name: String) -> Bool {
        let found = folder.image("check", "@\(name)")
        guard found.status == 0 || found.status == 3 else { return false }
        guard Tool.isThere else { return true }
        return [0, 3].contains(folder.qemu("check", "@\(name)").status)
    }

    /// Ctrl-C ends long work at once. What was read from is as it was, and what was written to shows what it showed.
    @Test(arguments: ["convert", "commit", "rebase", "amend", "resize", "check", "dd", "compare"])
    func interrupted(_ command: String) throws {
        let folder = try Folder()
        folder.write("base.raw", mixedBytes(16 << 20, seed: 5))
        folder.write("top.raw", mixedBytes(16 << 20, seed: 6))
        var numbers = SplitMix64(state: UInt64(command.utf8.count))
        for _ in 0..<4 {
            folder.image("convert", "-O", "qcow2", "-o", "cluster_size=4k", "@base.raw", "@base")
            folder.image("create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", "@top")
            folder.image("convert", "-n", "-O", "qcow2", "@top.raw", "@top")
            let before = (folder.read("base"), folder.read("top"))
            let words: [String] =
                switch command {
                case "convert": ["convert", "-c", "-O", "qcow2", folder.file("top"), folder.file("new")]
                case "commit": ["commit", folder.file("top")]
                case "rebase": ["rebase", "-b", "", folder.file("top")]
                case "amend": ["amend", "-o", "refcount_bits=64", folder.file("top")]
                case "resize": ["resize", "--preallocation=full", folder.file("top"), "64M"]
                case "check": ["check", "-r", "all", folder.file("top")]
                case "dd": ["dd", "-O", "raw", "if=\(folder.file("top"))", "of=\(folder.file("new"))"]
                default: ["compare", folder.file("top"), folder.file("top.raw")]
                }
            let rest = kill(after: 1000 + UInt32(numbers.next() % 30000), by: SIGINT, words)
            #expect(rest < 5_000_000, "it lived on for \(rest) µs")
            if command != "commit" { #expect(folder.read("base") == before.0) }
            if ["convert", "dd", "compare"].contains(command) { #expect(folder.read("top") == before.1) }
            #expect(isWhole(folder, "base") && isWhole(folder, "top"))
            #expect(folder.image("compare", "@top.raw", "@top").status == 0)
        }
    }

    @Test func convertIntoAnImage() throws {
        let folder = try Folder()
        folder.write("new.raw", mixedBytes(24 << 20, seed: 1))
        folder.write("old.raw", mixedBytes(24 << 20, seed: 2))
        var numbers = SplitMix64(state: 9)
        for round in 0..<10 {
            let options = round % 2 == 0 ? "cluster_size=4k" : "extended_l2=on"
            folder.image("convert", "-O", "qcow2", "-o", options, "@old.raw", "@disk")
            let words = ["convert", "-n", "-O", "qcow2", folder.file("new.raw"), folder.file("disk")]
            kill(after: 2000 + UInt32(numbers.next() % 40000), words)
            #expect(isWhole(folder, "disk"), "round \(round)")
        }
    }

    @Test func snapshots() throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(16 << 20, seed: 4))
        var numbers = SplitMix64(state: 10)
        for round in 0..<12 {
            folder.image("convert", "-O", "qcow2", "-o", "cluster_size=1k", "@disk.raw", "@disk")
            if round % 3 != 0 { folder.image("snapshot", "-c", "first", "@disk") }
            let action = [["-c", "new"], ["-d", "first"], ["-a", "first"]][round % 3]
            kill(after: 1500 + UInt32(numbers.next() % 12000), ["snapshot"] + action + [folder.file("disk")])
            #expect(folder.image("compare", "@disk.raw", "@disk").status == 0, "round \(round)")
            // Whoever opens it next makes the counts anew.
            #expect(folder.image("snapshot", "-c", "after", "@disk").status == 0, "round \(round)")
            #expect(isWhole(folder, "disk"), "round \(round)")
            #expect(folder.image("compare", "@disk.raw", "@disk").status == 0, "round \(round)")
        }
    }

    @Test func commits() throws {
        let folder = try Folder()
        folder.write("base.raw", mixedBytes(16 << 20, seed: 5))
        folder.write("top.raw", mixedBytes(16 << 20, seed: 6))
        var numbers = SplitMix64(state: 11)
        for round in 0..<8 {
            folder.image("convert", "-O", "qcow2", "-o", "cluster_size=4k", "@base.raw", "@base")
            folder.image("create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", "@top")
            folder.image("convert", "-n", "-O", "qcow2", "@top.raw", "@top")
            kill(after: 2000 + UInt32(numbers.next() % 30000), ["commit", folder.file("top")])
            #expect(isWhole(folder, "base") && isWhole(folder, "top"), "round \(round)")
            #expect(folder.image("compare", "@top.raw", "@top").status == 0, "round \(round)")
        }
    }
}
