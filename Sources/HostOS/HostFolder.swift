internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Folders and names in them. Any thread.
public enum HostFolder {
    /// Makes a folder and those above it. One that is there stays as it is.
    public static func make(_ path: String, permissions: UInt32 = 0o755) throws(HostError) {
        // SAFETY: the C string lives for the call.
        if unsafe path.withCString({ unsafe apus_make_folder($0, permissions) }) == 0 { return }
        var reason = apus_errno()
        if reason == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try make(String(path[..<slash]), permissions: permissions)
            if unsafe path.withCString({ unsafe apus_make_folder($0, permissions) }) == 0 { return }
            reason = apus_errno()
        }
        guard reason == EEXIST else { throw HostError(reason: reason, "make folder '\(path)'") }
    }

    /// The names in a folder in the order of their bytes, without `.` and `..`.
    public static func names(in path: String) throws(HostError) -> [String] {
        // SAFETY: the folder is open until the call below; each name is copied before the next is read.
        guard let folder = unsafe path.withCString({ unsafe apus_open_folder($0) }) else {
            throw HostError(reason: apus_errno(), "list folder '\(path)'")
        }
        defer { unsafe apus_close_folder(folder) }
        var names: [String] = []
        while let name = unsafe apus_next_entry(folder) {
            let text = unsafe String(cString: name)
            if text != "." && text != ".." { names.append(text) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}

extension HostFile {
    /// Where a symbolic link leads.
    public static func target(ofLink path: String) throws(HostError) -> String {
        var bytes = [CChar](repeating: 0, count: 4096)
        // SAFETY: the call writes at most one byte less than the buffer has.
        let count = unsafe readlink(path, &bytes, bytes.count - 1)
        guard count > 0 else { throw HostError(reason: apus_errno(), "read link '\(path)'") }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What is at a path, links followed.
    public enum PathKind: Int32, Sendable {
        /// Nothing, or it cannot be seen.
        case nothing
        /// A regular file.
        case file
        /// A folder.
        case folder
        /// A Unix socket.
        case socket
        /// A block device.
        case blockDevice
        /// Something else.
        case other
    }

    /// What is at a path, its size and what it takes on the disk, in bytes.
    public static func status(_ path: String) -> (kind: PathKind, size: Int64, allocated: Int64) {
        var size: Int64 = 0
        var allocated: Int64 = 0
        // SAFETY: the C string and the numbers live for the call.
        let kind = unsafe path.withCString { unsafe apus_path_kind($0, &size, &allocated) }
        return (PathKind(rawValue: kind) ?? PathKind.other, size, allocated)
    }

    private static let replacements = Atomic<UInt64>(0)

    /// Puts a file in the place of another in one step: whoever reads sees the old bytes or the new ones, also after
    /// the host lost its power.
    public static func replace(_ path: String, with bytes: [UInt8], permissions: UInt32 = 0o600) throws(HostError) {
        // A name of its own: two who write the same file at once must not write into each other's bytes.
        let number = replacements.wrappingAdd(1, ordering: .relaxed).newValue
        let temporary = "\(path).new.\(HostIdentity.processID).\(number)"
        let file = try open(temporary, Mode.replace, permissions: permissions)
        do throws(HostError) {
            try file.writeAll(bytes)
            guard apus_fsync(file.rawValue) == 0 else { throw HostError(reason: apus_errno(), "write '\(path)'") }
            try rename(temporary, to: path)
        } catch {
            try? remove(temporary)
            throw error
        }
    }

    /// Gives a file another name, in the place of one that has it.
    public static func rename(_ path: String, to name: String) throws(HostError) {
        // SAFETY: the C strings live for the call.
        guard unsafe path.withCString({ from in unsafe name.withCString { unsafe apus_rename(from, $0) } }) == 0 else {
            throw HostError(reason: apus_errno(), "rename '\(path)' to '\(name)'")
        }
    }

    /// Makes a symbolic link at `path`. No error if one is there.
    public static func link(_ path: String, to target: String) throws(HostError) {
        // SAFETY: the C strings live for the call.
        if unsafe target.withCString({ target in unsafe path.withCString { unsafe apus_link_to(target, $0) } }) != 0 {
            let reason = apus_errno()
            guard reason == EEXIST else { throw HostError(reason: reason, "make link '\(path)'") }
        }
    }

    /// Sets who may do what.
    public static func setPermissions(_ path: String, _ permissions: UInt32) throws(HostError) {
        // SAFETY: the C string lives for the call.
        guard unsafe path.withCString({ unsafe apus_chmod($0, permissions) }) == 0 else {
            throw HostError(reason: apus_errno(), "set the permissions of '\(path)'")
        }
    }
}

extension HostFile {
    /// Who may do what with a file, and when something was done with it.
    public struct Details: Sendable {
        /// Permission bits.
        public let mode: UInt32
        /// The owner's number.
        public let owner: UInt32
        /// The group's number.
        public let group: UInt32
        /// Seconds since 1970 and nanoseconds.
        public let accessed, modified, changed: (seconds: Int64, nanoseconds: Int64)
    }

    /// The details of what is at a path, links followed.
    public static func details(_ path: String) throws(HostError) -> Details {
        var values = [Int64](repeating: 0, count: 9)
        // SAFETY: the call writes the nine numbers of the array.
        guard unsafe path.withCString({ unsafe apus_path_details($0, &values) }) == 0 else {
            throw HostError(reason: apus_errno(), "look at '\(path)'")
        }
        return Details(
            mode: UInt32(truncatingIfNeeded: values[0]), owner: UInt32(truncatingIfNeeded: values[1]),
            group: UInt32(truncatingIfNeeded: values[2]), accessed: (values[3], values[4]),
            modified: (values[5], values[6]), changed: (values[7], values[8]))
    }

    /// The size of the file system that a path is on, and what is free of it, in bytes.
    public static func fileSystem(_ path: String) throws(HostError) -> (size: UInt64, free: UInt64) {
        var values = [UInt64](repeating: 0, count: 2)
        // SAFETY: the call writes the two numbers of the array.
        guard unsafe path.withCString({ unsafe apus_file_system($0, &values) }) == 0 else {
            throw HostError(reason: apus_errno(), "look at the file system of '\(path)'")
        }
        return (values[0], values[1])
    }

    /// The size of an open file or block device in bytes; 0 for what has none.
    public static func size(of file: Descriptor) -> Int64 { max(0, apus_file_size(file.rawValue)) }

    /// Makes an open file so long: what is beyond is cut, what is missing reads as zeroes.
    public static func setSize(_ file: Descriptor, _ size: Int64) throws(HostError) {
        guard apus_truncate(file.rawValue, size) == 0 else {
            throw HostError(reason: apus_errno(), "set a file's size")
        }
    }

    /// Takes room on the disk for the first bytes of an open file, as far as the file system can.
    public static func allocate(_ file: Descriptor, _ count: Int64) throws(HostError) {
        guard count > 0, apus_fallocate(file.rawValue, 0, 0, count) != 0 else { return }
        let reason = apus_errno()
        if reason != EOPNOTSUPP { throw HostError(reason: reason, "take room for a file") }
    }

    /// Gives the space of a file's bytes back; they read as zeroes and the size stays. False: the file system cannot.
    @discardableResult
    public static func punch(_ file: Descriptor, at offset: Int64, _ count: Int64) -> Bool {
        // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        count > 0 && apus_fallocate(file.rawValue, 3, offset, count) == 0
    }

    /// Takes the first bytes of an open file away, whole blocks of 4096; what follows is the file then. False: the file
    /// system cannot.
    public static func collapse(_ file: Descriptor, _ count: Int64) -> Bool {
        // FALLOC_FL_COLLAPSE_RANGE
        count > 0 && apus_fallocate(file.rawValue, 8, 0, count) == 0
    }

    /// A descriptor that is readable after each write to a file; what is read from it only says so.
    public static func watch(_ path: String) throws(HostError) -> Descriptor {
        // SAFETY: the C string lives for the call.
        let raw = unsafe path.withCString { unsafe apus_watch_file($0) }
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "watch '\(path)'") }
        return Descriptor(owning: raw)
    }

    /// The path without links and dots; nil if there is nothing.
    public static func realPath(_ path: String) -> String? {
        // SAFETY: the C string lives for the call; the result is a C string of the C library, freed once it is copied.
        unsafe path.withCString { path in
            guard let real = unsafe realpath(path, nil) else { return nil }
            defer { unsafe free(real) }
            return unsafe String(cString: real)
        }
    }

    /// Moves to a place of an open file.
    public static func seek(_ file: Descriptor, _ offset: Int64) throws(HostError) {
        guard apus_seek(file.rawValue, offset, SEEK_SET) == offset else {
            throw HostError(reason: apus_errno(), "seek in a file")
        }
    }

    /// From `offset` on: whether there is data and not a hole, and where that ends. The end of the file ends it too.
    public static func extent(_ file: Descriptor, at offset: Int64) -> (isData: Bool, end: Int64) {
        let size = apus_file_size(file.rawValue)
        // Looking moves the file's place too.
        defer { _ = apus_seek(file.rawValue, offset, SEEK_SET) }
        // SEEK_DATA is 3, SEEK_HOLE 4 (lseek(2)).
        let data = apus_seek(file.rawValue, offset, 3)
        if data < 0 { return (apus_errno() != ENXIO, size) }
        if data > offset { return (false, min(data, size)) }
        let hole = apus_seek(file.rawValue, offset, 4)
        return (true, hole < 0 ? size : hole)
    }

    /// Removes an empty folder.
    public static func removeFolder(_ path: String) throws(HostError) {
        // SAFETY: the C string lives for the call.
        guard unsafe path.withCString({ unsafe apus_remove_folder($0) }) == 0 else {
            throw HostError(reason: apus_errno(), "remove folder '\(path)'")
        }
    }
}

extension HostFile {
    /// What tells a file from all others of this host while it is there: its device and number. Nil: it cannot be seen.
    public static func identity(_ path: String) -> String? {
        var status = stat()
        // SAFETY: the C string and the record live for the call.
        guard unsafe path.withCString({ unsafe stat($0, &status) }) == 0 else { return nil }
        return "\(status.st_dev):\(status.st_ino)"
    }
}
