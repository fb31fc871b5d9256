internal import CLinux
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

    /// Puts a file in the place of another in one step: whoever reads sees the old bytes or the new ones, also after
    /// the host lost its power.
    public static func replace(_ path: String, with bytes: [UInt8], permissions: UInt32 = 0o600) throws(HostError) {
        let temporary = path + ".new"
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
