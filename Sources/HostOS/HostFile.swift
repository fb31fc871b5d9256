internal import CLinux
internal import SystemPackage

/// Files by name, with errors that name them. Any thread.
public enum HostFile {
    /// How a file is opened.
    public enum Mode: Sendable {
        /// For reading; it must exist.
        case read
        /// For reading and writing; it must exist.
        case readWrite
        /// For writing, made or emptied first.
        case replace
        /// For writing at its end, made if it is not there.
        case append
        /// Write-only, as it is: the writing end of a FIFO.
        case write
    }

    /// Opens a file. New files get mode 0666 less the process's mask unless `permissions` says otherwise. Without
    /// `followsLinks` a path that ends in a symbolic link is an error: for folders that others write to.
    public static func open(
        _ path: String, _ mode: Mode, permissions: UInt32 = 0o666, nonBlocking: Bool = false, followsLinks: Bool = true
    ) throws(HostError) -> Descriptor {
        var flags: Int32
        switch mode {
        case .read: flags = O_RDONLY
        case .readWrite: flags = O_RDWR
        case .replace: flags = O_WRONLY | O_CREAT | O_TRUNC
        case .append: flags = O_WRONLY | O_CREAT | O_APPEND
        case .write: flags = O_WRONLY
        }
        flags |= O_CLOEXEC | O_NOCTTY | (nonBlocking ? O_NONBLOCK : 0) | (followsLinks ? 0 : O_NOFOLLOW)
        // SAFETY: the C string lives for the call.
        let raw = unsafe path.withCString { unsafe apus_open($0, flags, permissions) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "open '\(path)'") }
        return Descriptor(owning: raw)
    }

    /// A path from the root, for who goes to another folder later; as it is where the current folder has no name.
    public static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = workingFolder else { return path }
        return folder == "/" ? "/" + path : folder + "/" + path
    }

    /// The size in bytes of a file or block device.
    public static func size(_ path: String) throws(HostError) -> Int64 {
        let file = try open(path, Mode.read, nonBlocking: true)
        let size = apus_file_size(file.rawValue)
        guard size >= 0 else { throw HostError(reason: apus_errno(), "tell the size of '\(path)'") }
        return size
    }

    /// The bytes of a whole file. A file of more than `limit` bytes is an error (`fileTooLarge`).
    public static func contents(_ path: String, limit: Int = 1 << 30) throws(HostError) -> [UInt8] {
        let file = try open(path, Mode.read)
        // Files of /proc have size 0 and yet bytes: the size is only where to begin.
        let expected = Int(max(0, min(apus_file_size(file.rawValue), Int64(limit))))
        var bytes = [UInt8]()
        bytes.reserveCapacity(expected + 1)
        while true {
            let want = max(4096, expected - bytes.count + 1)
            let part: [UInt8]
            do { part = try file.readAvailable(limit: want) } catch {
                throw HostError("read '\(path)'", error.errno)
            }
            if part.isEmpty { return bytes }
            guard bytes.count + part.count <= limit else {
                throw HostError("read '\(path)' of more than \(limit) bytes", Errno.fileTooLarge)
            }
            if bytes.isEmpty && part.count == expected { bytes = part } else { bytes += part }
        }
    }

    /// Removes a file's name; no error if there is none.
    public static func remove(_ path: String) throws(HostError) {
        // SAFETY: the C string lives for the call.
        if unsafe path.withCString({ unsafe unlink($0) }) != 0 {
            let reason = apus_errno()
            if reason != ENOENT { throw HostError(reason: reason, "remove '\(path)'") }
        }
    }

    /// Removes a folder and all in it, as far as that is allowed. Links are removed, not followed.
    public static func removeTree(_ path: String) {
        // SAFETY: the C string lives for the call.
        _ = unsafe path.withCString { unsafe apus_remove_tree($0) }
    }

    /// A new empty folder for temporary files, with a name of its own.
    public static func makeTemporaryFolder(prefix: String = "/tmp/apus-") throws(HostError) -> String {
        var template = Array((prefix + "XXXXXX").utf8CString)
        // SAFETY: the template is this array, ends in a zero byte, and is only rewritten in place.
        let made = unsafe template.withUnsafeMutableBufferPointer { buffer -> Bool in
            guard let base = buffer.baseAddress else { return false }
            return unsafe mkdtemp(base) != nil
        }
        guard made else { throw HostError(reason: apus_errno(), "make a folder '\(prefix)XXXXXX'") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension HostFile {
    /// Has relative paths begin in a folder, for the whole process.
    public static func enter(_ path: String) throws(HostError) {
        guard unsafe chdir(path) == 0 else { throw HostError(reason: apus_errno(), "enter '\(path)'") }
    }

    /// The folder in which relative paths begin; nil where it has been removed.
    public static var workingFolder: String? {
        var buffer = [CChar](repeating: 0, count: 4097)
        // SAFETY: the kernel writes at most the array's count, and a zero byte.
        guard unsafe getcwd(&buffer, buffer.count) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
