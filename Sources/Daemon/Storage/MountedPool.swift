internal import DomainModel
internal import HostOS
internal import RPCWire

/// Pools that are a file system which is mounted while they run: of a device (`fs`) or of another host (`netfs`).
struct MountedPool: Sendable {
    /// What is mounted: a device, or `host:folder`.
    let source: String
    /// The kernel's name; nil: what is found there.
    let format: String?
    let path: String

    /// Nil: the pool is a folder that is simply there.
    init?(_ tree: XMLTree, _ path: String) throws(LibvirtError) {
        let source = tree.child("source")
        switch tree["type"] {
        case "fs":
            guard let device = source?.child("device")?["path"], device.hasPrefix("/") else {
                throw StorageDriver.fail(.xml("missing storage pool source device name"))
            }
            self.source = device
        case "netfs":
            guard let host = source?.child("host")?["name"], !host.isEmpty, !host.hasPrefix("-") else {
                throw StorageDriver.fail(.xml("missing storage pool source host name"))
            }
            guard let folder = source?.child("dir")?["path"], folder.hasPrefix("/") else {
                throw StorageDriver.fail(.xml("missing storage pool source path"))
            }
            let isShare = source?.child("format")?["type"] == "cifs"
            self.source = isShare ? "//\(host)\(folder)" : "\(host):\(folder)"
        default: return nil
        }
        let format = source?.child("format")?["type"]
        self.format = format == nil || format == "auto" ? (tree["type"] == "netfs" ? "nfs" : nil) : format
        guard self.format?.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" }) ?? true,
            self.format?.hasPrefix("-") != true
        else { throw StorageDriver.fail(.xml("unknown pool format type \(format ?? "")")) }
        self.path = path
    }

    /// Whether something is mounted there.
    var isMounted: Bool {
        HostDescription.text("/proc/self/mounts").split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.count > 1 && MountedPool.plain(words[1]) == path
        }
    }

    /// The kernel writes blanks and backslashes as three octal digits.
    private static func plain(_ word: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(word.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func mount() throws(LibvirtError) {
        guard !isMounted else { return }
        var words: [String] = []
        if let format { words += ["-t", format] }
        // Nothing on it runs or is a device: it is there for its files.
        try StorageDriver.run("/usr/bin/mount", words + ["-o", "nodev,nosuid,noexec", source, path])
    }

    func unmount() throws(LibvirtError) {
        if isMounted { try StorageDriver.run("/usr/bin/umount", [path]) }
    }

    /// Makes the folder, and with `overwrites` or on an empty device a file system.
    func build(overwrites: Bool, keeps: Bool) throws(LibvirtError) {
        do throws(HostError) { try HostFolder.make(path, permissions: 0o711) } catch {
            throw StorageDriver.fail(.system("\(error)"))
        }
        guard overwrites || keeps, source.hasPrefix("/"), let format else { return }
        if keeps, !overwrites, let head = try? HostFile.open(source, HostFile.Mode.read).readAvailable(limit: 1 << 16),
            head.contains(where: { $0 != 0 })
        {
            throw StorageDriver.fail(
                .operationInvalid("Format of device '\(source)' does not match the expected format '\(format)'"))
        }
        try StorageDriver.run("/usr/sbin/mkfs", ["-t", format, source])
    }
}
