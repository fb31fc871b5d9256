internal import HostOS

/// Keeps the logs of machines as large as libvirt's virtlogd does: up to 2 MiB, with three older parts beside it, `.0` the
/// newest. The writer is another process, which appends and knows nothing of this.
enum RotatedLog {
    /// Bytes after which a log is begun anew.
    static let limit: Int64 = 2 << 20
    /// Older parts that are kept.
    static let backups = 3
    private static let block: Int64 = 4096

    /// Begins a log anew that has become too long; whether it had. What is written meanwhile is in one or the other.
    @discardableResult
    static func turn(_ path: String) -> Bool {
        guard HostFile.status(path).size > limit,
            let file = try? HostFile.open(path, HostFile.Mode.readWrite, nonBlocking: true, followsLinks: false)
        else { return false }
        // Whole blocks go, and never all: so the kernel can take them off the front.
        let cut = (HostFile.size(of: file) - 1) / block * block
        guard cut > limit - block else { return false }
        do throws(HostError) {
            try HostFile.remove("\(path).\(backups - 1)")
            for number in stride(from: backups - 2, through: 0, by: -1)
            where HostFile.status("\(path).\(number)").kind != .nothing {
                try HostFile.rename("\(path).\(number)", to: "\(path).\(number + 1)")
            }
            let older = try HostFile.open("\(path).0", HostFile.Mode.replace, permissions: 0o600)
            // Of what came faster than it was seen, the end counts.
            try HostFile.seek(file, max(0, cut - limit))
            var left = min(cut, limit)
            while left > 0 {
                let part = try file.readAvailable(limit: Int(min(left, 1 << 18)))
                guard !part.isEmpty else { break }
                try older.writeAll(part)
                left -= Int64(part.count)
            }
            // Where the file system cannot, what came in between is lost.
            if !HostFile.collapse(file, cut) { try HostFile.setSize(file, 0) }
            return true
        } catch { return false }
    }
}
