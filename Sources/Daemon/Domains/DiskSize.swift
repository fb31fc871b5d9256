internal import DomainModel
internal import HostOS

/// Sizes of disks, by the formats that definitions name: what a guest wrote into an image of format raw is no head of one.
extension DomainFigures {
    /// Bytes of a disk as its guest sees it; 0 where nothing tells.
    static func capacity(_ disk: XMLTree) -> UInt64 {
        guard let path = path(disk) else { return 0 }
        let size = physical(path)
        if disk.child("driver")?["type"] ?? "raw" != "raw" { return ImageHead.virtualSize(path) ?? size }
        let encryption = disk.child("encryption") ?? disk.at("source", "encryption")
        guard encryption?["format"] == "luks" else { return size }
        return size - min(size, headerSize(path))
    }

    /// Bytes of a file or block device.
    static func physical(_ path: String) -> UInt64 {
        let status = HostFile.status(path)
        // A device's status has none.
        let size = status.kind == .blockDevice ? (try? HostFile.size(path)) ?? 0 : status.size
        return UInt64(max(0, size))
    }

    /// How much of an image of LUKS is not the disk (LUKS1 On-Disk Format, "phdr"): its `payload-offset` is in sectors.
    private static func headerSize(_ path: String) -> UInt64 {
        guard let file = try? HostFile.open(path, HostFile.Mode.read, nonBlocking: true),
            let head = try? file.readAvailable(limit: 108), head.count == 108,
            head.starts(with: [0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE, 0, 1])
        else { return 0 }
        return head[104..<108].reduce(0) { $0 << 8 | UInt64($1) } * 512
    }
}
