import CLinux

/// Programs of the host that tests compare with.
enum Tool {
    static let qemuIO = find("qemu-io")
    static let qemuImg = find("qemu-img")

    private static func find(_ name: String) -> String? {
        let path = "/usr/bin/\(name)"
        return unsafe access(path, X_OK) == 0 ? path : nil
    }

    /// Runs a program without output; its exit status, -1 when it did not end by itself.
    static func run(_ words: [String]) -> Int32 { capture(words).status }

    /// Runs a program; its exit status and what it wrote to both outputs.
    static func capture(_ words: [String]) -> (status: Int32, output: String) {
        var pipes: [Int32] = [0, 0]
        guard unsafe pipe2(&pipes, O_CLOEXEC) == 0 else { return (-1, "") }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, pipes[1], 2)
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        let started = unsafe posix_spawn(&child, words[0], &actions, nil, &arguments, nil)
        close(pipes[1])
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(pipes[0], $0.baseAddress, $0.count) }
            if count <= 0 { break }
            output += chunk[..<count]
        }
        close(pipes[0])
        guard started == 0 else { return (-1, "") }
        var status: Int32 = 0
        guard unsafe waitpid(child, &status, 0) == child else { return (-1, "") }
        return (status & 0x7f == 0 ? (status >> 8) & 0xff : -1, String(decoding: output, as: UTF8.self))
    }
}
