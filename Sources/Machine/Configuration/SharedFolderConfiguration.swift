/// A folder of the host that a guest may share (`-fsdev local`).
public struct SharedFolderConfiguration: Equatable, Sendable {
    /// Who says whose files are, in QEMU's words.
    public enum SecurityModel: String, Equatable, Sendable, CaseIterable {
        /// The host's owners and modes.
        case passthrough
        /// The same, as far as the host allows.
        case none
        /// Extended attributes of the files.
        case mapped = "mapped-xattr"
    }
    /// What becomes of other file systems below the folder, in QEMU's words.
    public enum Devices: String, Equatable, Sendable, CaseIterable {
        /// As `remap`.
        case warn
        /// Their files get numbers of their own.
        case remap
        /// They are not shown.
        case forbid
    }

    /// Its name.
    public var id: String
    /// The folder.
    public var path: String
    /// Who says whose files are.
    public var securityModel: SecurityModel
    /// The guest may change nothing.
    public var isReadOnly = false
    /// What the guest has written is on the disk before it hears of it (`writeout=immediate`).
    public var writesThrough = false
    /// The host's mode of new files where owners and modes are mapped.
    public var fileMode: UInt32 = 0o600
    /// The host's mode of new folders there.
    public var folderMode: UInt32 = 0o700
    /// What becomes of other file systems.
    public var devices = Devices.warn

    /// A folder.
    public init(id: String, path: String, securityModel: SecurityModel) {
        self.id = id
        self.path = path
        self.securityModel = securityModel
    }
}
