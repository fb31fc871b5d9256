internal import HostOS

/// The little that is asked of an image without opening it as one.
enum ImageHead {
    /// The size that a guest sees, where the head tells it: qcow2 keeps it at byte 24, big-endian.
    static func virtualSize(_ path: String) -> UInt64? {
        guard let file = try? HostFile.open(path, HostFile.Mode.read, nonBlocking: true),
            let head = try? file.readAvailable(limit: 32), head.count == 32,
            Array(head[0..<4]) == [0x51, 0x46, 0x49, 0xFB]
        else { return nil }
        return head[24..<32].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
