internal import CLinux
internal import HostOS

/// Who holds a lock of an image: for the error of whoever may not have it. The kernel names nobody for locks of open
/// files, but shows each process's own in /proc.
enum ImageHolder {
    /// The process that holds a byte of the file that `descriptor` has open, in words: `process 12 (qemu-img)`, or `this
    /// process`. nil where it cannot be seen: it may be another user's, or on another host.
    static func words(_ descriptor: Int32, byte: Int64) -> String? {
        var status = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_fstat(descriptor, &status) == 0 else { return nil }
        let node = UInt64(status.st_ino)
        let own = Int(getpid())
        guard let processes = try? HostFolder.names(in: "/proc"),
            let identity = HostFile.identity("/proc/self/fd/\(descriptor)")
        else { return nil }
        // Looking at all of a busy host may take too long for an error.
        let end = HostClock.monotonic + 1_000_000_000
        for name in processes {
            guard let process = Int(name), let files = try? HostFolder.names(in: "/proc/\(name)/fdinfo") else {
                continue
            }
            for file in files where process != own || file != "\(descriptor)" {
                guard HostClock.monotonic < end else { return nil }
                // The locks of another file may be many thousands, and take the kernel long to tell.
                guard HostFile.identity("/proc/\(name)/fd/\(file)") == identity else { continue }
                guard let text = try? HostFile.contents("/proc/\(name)/fdinfo/\(file)", limit: 1 << 16),
                    holds(String(decoding: text, as: UTF8.self), node, byte)
                else { continue }
                if process == own { return "this process" }
                let program = (try? HostFile.contents("/proc/\(name)/comm", limit: 4096)) ?? []
                let words = String(decoding: program.prefix { $0 != 10 }, as: UTF8.self)
                return words.isEmpty ? "process \(name)" : "process \(name) (\(words))"
            }
        }
        return nil
    }

    /// Whether a description of an open file (proc(5), /proc/PID/fdinfo) has a lock of a byte of a file:
    /// `lock: 1: OFDLCK ADVISORY READ -1 08:02:1234 201 201`.
    static func holds(_ text: String, _ node: UInt64, _ byte: Int64) -> Bool {
        text.split(separator: "\n").contains { line in
            guard line.hasPrefix("lock:") else { return false }
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count >= 9, words[2] == "OFDLCK", let number = words[6].split(separator: ":").last,
                UInt64(number) == node, let first = Int64(words[7]), first <= byte
            else { return false }
            return words[8] == "EOF" || Int64(words[8]).map { $0 >= byte } ?? false
        }
    }
}
