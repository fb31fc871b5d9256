internal import DomainModel
internal import RPCWire

/// A backup of a running machine, while it is under way.
struct Backup: Sendable {
    /// One disk of it.
    struct Disk: Sendable {
        var target: String
        /// The node of the disk's uppermost image, and the one that takes the copy.
        var node: String
        var number: Int
        /// What was made for it, and goes where it was not meant to last.
        var path: String
        var isTemporary: Bool
        /// The bitmap that says what is copied; nil: everything.
        var bitmap: String?
        /// Of a pull: the export's name.
        var export: String?
        var isDone = false

        var job: String { "backup-\(target)" }
        var copy: String { "libvirt-\(number)-format" }
    }

    /// Clients fetch it over NBD; otherwise it is written to images.
    var isPull: Bool
    var disks: [Disk] = []
    /// What a client is shown.
    var document: XMLTree
    /// An NBD server of this backup's was started, and where a client's path leads there.
    var hasServer = false
    var link: String?
    /// What went wrong.
    var failure: String?
}
