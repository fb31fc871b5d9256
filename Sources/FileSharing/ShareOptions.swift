/// A folder of the host that a guest shares, as `-fsdev local` describes it.
public struct ShareOptions: Equatable, Sendable {
    /// Whose a file is, and what kind of file it is: who says so.
    public enum SecurityModel: String, Equatable, Sendable, CaseIterable {
        /// The host: files have the owners and modes that the guest gives them, which needs root.
        case passthrough
        /// As `passthrough`, but owners that cannot be set are not missed.
        case none
        /// Extended attributes of the files, `user.virtfs.…`: the host's own owners and modes are never the guest's.
        case mapped = "mapped-xattr"
    }

    /// What becomes of files of several file systems below the folder.
    public enum Devices: String, Equatable, Sendable, CaseIterable {
        /// As `remap`.
        case warn
        /// Each file has a number of its own.
        case remap
        /// Other file systems than the folder's own are not shown.
        case forbid
    }

    /// The folder.
    public var path: String
    /// Who says whose a file is.
    public var securityModel: SecurityModel
    /// The guest may change nothing.
    public var isReadOnly = false
    /// What was written is on the disk before the guest hears of it.
    public var writesThrough = false
    /// The mode of new files on the host (`mapped-xattr`).
    public var fileMode: UInt32 = 0o600
    /// The mode of new folders on the host (`mapped-xattr`).
    public var folderMode: UInt32 = 0o700
    /// What becomes of other file systems.
    public var devices = Devices.warn

    /// A folder, shared with QEMU's defaults.
    public init(path: String, securityModel: SecurityModel) {
        self.path = path
        self.securityModel = securityModel
    }
}

/// A request that failed: a number of Linux's, as the protocol carries it.
struct ShareError: Error, Equatable {
    /// The number, above 0.
    let number: Int32
    init(_ number: Int32) { self.number = number }

    /// The result of a call of `share.h`, or its error.
    @discardableResult
    static func check(_ result: Int) throws(ShareError) -> Int {
        if result < 0 { throw ShareError(Int32(truncatingIfNeeded: -result)) }
        return result
    }
}
