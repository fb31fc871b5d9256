internal import CLinux

/// Who a guest thinks that files belong to, and what kind of files they are: what a security model makes of the host's
/// files. The names and layouts of the attributes are QEMU's (its documentation of `-fsdev`, `mapped-xattr`).
struct SecurityMapping {
    let model: ShareOptions.SecurityModel
    let fileMode: UInt32
    let folderMode: UInt32

    /// What a guest wants of a new file.
    struct Wishes {
        /// Type and permissions.
        var mode: UInt32
        var owner: UInt32
        var group: UInt32
        /// The device that it stands for.
        var special: UInt64 = 0
    }

    var isMapped: Bool { model == .mapped }

    private enum Key: String {
        case owner = "user.virtfs.uid"
        case group = "user.virtfs.gid"
        case mode = "user.virtfs.mode"
        case special = "user.virtfs.rdev"
        var bytes: [UInt8] { Array(rawValue.utf8) + [0] }
    }

    /// The number that an attribute holds; nil where there is none of this size.
    private func number<T: FixedWidthInteger>(_ key: Key, of node: ShareNode, _ type: T.Type) -> T? {
        var value: T = 0
        let size = MemoryLayout<T>.size
        // SAFETY: the call writes at most the `size` bytes of the number; the key's bytes end with a zero.
        let count = unsafe withUnsafeMutableBytes(of: &value) {
            unsafe apus_share_attribute(node.fd, key.bytes, $0.baseAddress, size)
        }
        return count == size ? T(littleEndian: value) : nil
    }
    private func set(_ key: Key, of node: ShareNode, _ value: some FixedWidthInteger) throws(ShareError) {
        let bytes = value.littleEndian
        // SAFETY: the call reads the number's bytes; the key's bytes end with a zero.
        let result = unsafe withUnsafeBytes(of: bytes) {
            unsafe apus_share_set_attribute(node.fd, key.bytes, $0.baseAddress, $0.count, 0)
        }
        try ShareError.check(result)
    }

    /// What the guest is told of a file.
    func status(of node: ShareNode) throws(ShareError) -> apus_share_status {
        var status = try node.status()
        guard isMapped, node.kind == ShareNode.regular || node.isFolder else { return status }
        if let owner = number(.owner, of: node, UInt32.self) { status.owner = owner }
        if let group = number(.group, of: node, UInt32.self) { status.group = group }
        if let mode = number(.mode, of: node, UInt32.self) {
            // A folder is one, whatever is written on it, and no other file may be called one.
            let kind = mode & ShareNode.typeMask
            let isFitting = node.isFolder ? kind == ShareNode.folder : Self.kinds.contains(kind)
            status.mode = isFitting ? mode : status.mode & ShareNode.typeMask | mode & 0o7777
        }
        if let special = number(.special, of: node, UInt64.self) { status.special = special }
        if status.mode & ShareNode.typeMask == ShareNode.link { status.mode |= 0o777 }
        return status
    }

    /// What a regular file may stand for: a FIFO, a device of either kind, a link, a socket, or itself.
    private static let kinds: Set<UInt32> = [0o010000, 0o020000, 0o060000, 0o100000, 0o120000, 0o140000]

    /// Gives a file that was just made what the guest wants of it.
    func settle(_ node: ShareNode, _ wishes: Wishes) throws(ShareError) {
        guard isMapped else {
            try changeOwner(of: node, wishes.owner, wishes.group)
            if node.kind == ShareNode.link { return }
            do throws(ShareError) {
                try ShareError.check(apus_share_set_mode(node.fd, wishes.mode & 0o7777))
            } catch where model == .none { return }
            return
        }
        try set(.owner, of: node, wishes.owner)
        try set(.group, of: node, wishes.group)
        try set(.mode, of: node, wishes.mode)
        if wishes.special != 0 { try set(.special, of: node, wishes.special) }
    }

    /// Changes owners; `UInt32.max` leaves one as it is.
    func changeOwner(of node: ShareNode, _ owner: UInt32, _ group: UInt32) throws(ShareError) {
        guard isMapped else {
            let result = apus_share_set_owner(node.fd, owner, group)
            if model != .none || result != -Int(EPERM) { try ShareError.check(result) }
            return
        }
        if owner != UInt32.max { try set(.owner, of: node, owner) }
        if group != UInt32.max { try set(.group, of: node, group) }
    }

    /// Changes permissions.
    func changeMode(of node: ShareNode, _ mode: UInt32) throws(ShareError) {
        if node.kind == ShareNode.link { throw ShareError(EOPNOTSUPP) }
        guard isMapped else {
            try ShareError.check(apus_share_set_mode(node.fd, mode & 0o7777))
            return
        }
        let kind = try status(of: node).mode & ShareNode.typeMask
        try set(.mode, of: node, kind | mode & 0o7777)
    }
}
