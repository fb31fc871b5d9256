public import FileSharing

/// A folder of the host that a guest may share (`-fsdev local`).
public struct SharedFolderConfiguration: Equatable, Sendable {
    /// Its name.
    public var id: String
    /// The folder, and how it is shared.
    public var options: ShareOptions

    /// A folder of a name.
    public init(id: String, options: ShareOptions) {
        self.id = id
        self.options = options
    }
}
