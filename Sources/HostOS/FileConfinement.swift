internal import CLinux

/// The files that a process may reach: a ruleset of Landlock. Everything that it does not name is refused by the
/// kernel, for the process and all that it starts, for ever.
public final class FileConfinement: Sendable {
    /// What may be done with a file, or with all below a folder.
    public struct Rights: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        /// Running programs (`LANDLOCK_ACCESS_FS_EXECUTE` and so on, linux/landlock.h).
        public static let execute = Rights(rawValue: 1 << 0)
        /// Writing files that are there, and making them shorter.
        public static let write = Rights(rawValue: 1 << 1 | 1 << 14)
        /// Reading files, and lists of files.
        public static let read = Rights(rawValue: 1 << 2 | 1 << 3)
        /// Making and removing files, folders, sockets and links.
        public static let change = Rights(
            rawValue: 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12)
        /// Moving files from folder to folder.
        public static let move = Rights(rawValue: 1 << 13)
    }

    /// The ruleset.
    let descriptor: Descriptor
    private let handled: UInt64
    /// Rights that mean something for a file that is no folder.
    private static let ofFiles: UInt64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14

    /// The rights that the host's kernel knows.
    static let handledRights: UInt64 = {
        let version = apus_landlock_version()
        return (1 << 13) - 1 | (version >= 2 ? 1 << 13 : 0) | (version >= 3 ? 1 << 14 : 0)
    }()

    /// Whether the host's kernel has this.
    public static var isSupported: Bool { apus_landlock_version() > 0 }

    /// A ruleset that allows nothing yet. An error where the kernel has none.
    public init() throws(HostError) {
        let version = apus_landlock_version()
        guard version > 0 else { throw HostError(reason: apus_errno(), "confine a process to its files") }
        handled = FileConfinement.handledRights
        // Sockets without a path, and signals, of processes outside.
        let raw = apus_landlock_ruleset(handled, version >= 6 ? 3 : 0, version)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "confine a process to its files") }
        descriptor = Descriptor(owning: raw)
    }

    /// Allows a file, or a folder with all below it; false where there is none.
    @discardableResult
    public func allow(_ path: String, _ rights: Rights) throws(HostError) -> Bool {
        // SAFETY: the C string lives for the call. O_PATH opens what may be neither read nor written.
        let raw = unsafe path.withCString { unsafe apus_open($0, 0o10000000 | O_CLOEXEC, 0) }
        guard raw >= 0 else { return false }
        let file = Descriptor(owning: raw)
        var wanted = rights.rawValue & handled
        if HostFile.status(path).kind != .folder { wanted &= FileConfinement.ofFiles }
        guard apus_landlock_allow(descriptor.rawValue, file.rawValue, wanted) == 0 else {
            throw HostError(reason: apus_errno(), "allow '\(path)' to a confined process")
        }
        return true
    }
}
