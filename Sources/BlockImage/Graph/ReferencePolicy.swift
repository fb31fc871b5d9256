internal import CLinux
internal import Synchronization

/// Which files that an image names (backing images, data files, extents) are opened.
///
/// An image is a stranger's writing: what it names would be opened with the rights of whoever looks at it. QEMU
/// follows every name; here that is so for one's own images.
public struct ReferencePolicy: Sendable {
    /// Whose images are believed.
    public enum Trust: Sendable {
        /// Everybody's.
        case all
        /// Those that belong to the user of this process, or to root.
        case own
        /// Nobody's.
        case none
    }
    /// Whose images are believed.
    public var trust: Trust
    /// Files that the user has named, which others may name too.
    public var named: Set<String>
    /// How to have a name followed all the same, for whoever is told that it is not.
    public var advice = "make the image your own, or name what is below it yourself (backing.file.filename=)"

    /// The default: one's own images are believed.
    public init(trust: Trust = .own, named: Set<String> = []) {
        self.trust = trust
        self.named = named
    }

    /// Throws unless the image in `file` may have `name`, as it stands there, opened.
    func check(_ name: String, _ what: String, in file: any BlockNode) throws(BlockError) {
        guard trust != .all, !(trust == .own && Self.isOwn(file)) else { return }
        guard !named.contains(name) else { return }
        if let path = try? BlockDriver.resolve(name, of: file.filename), named.contains(path) { return }
        throw .message(
            "'\(file.filename)' names '\(name)' as its \(what), which is not followed:"
                + " the image is another user's, or was called untrusted; \(advice)")
    }

    /// Whether what is at the bottom is a file of the user's own, or root's.
    private static func isOwn(_ file: any BlockNode) -> Bool {
        var node = file
        while let below = node.children.first(where: { $0.role == "file" || $0.role == "image" })?.node { node = below }
        guard let bottom = node as? FileNode, let owner = bottom.owner else { return false }
        return owner == geteuid() || owner == 0
    }
}

extension FileNode {
    /// Who the file belongs to; nil where that cannot be told.
    var owner: UInt32? {
        var status = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_fstat(access.descriptor, &status) == 0 else { return nil }
        return status.st_uid
    }
}
