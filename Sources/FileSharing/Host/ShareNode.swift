internal import CLinux
internal import HostOS
internal import Synchronization

/// How many descriptors a session may hold.
final class DescriptorBudget: Sendable {
    private let left: Atomic<Int>

    /// So many, and no more than the process may have open without its other work going short.
    init(_ count: Int) { left = Atomic(count) }

    /// Takes one; EMFILE where there is none left.
    func take() throws(ShareError) {
        if left.subtract(1, ordering: .relaxed).newValue < 0 {
            give()
            throw ShareError(EMFILE)
        }
    }
    func give() { left.add(1, ordering: .relaxed) }
}

/// A file below the shared folder, as a descriptor that can be used for nothing but naming it (O_PATH), with the folder
/// that it was found in. What the host does to names changes neither.
final class ShareNode: @unchecked Sendable {
    // `parent` and `name` change under the lock of the session's owner only.
    let descriptor: Descriptor
    /// The host's file system and number of the file.
    let device: UInt64
    let inode: UInt64
    /// The type bits of the host's mode.
    let kind: UInt32
    /// Where it was found; nil for the shared folder itself.
    private(set) var parent: ShareNode?
    /// Its name there.
    private(set) var name: FileName?
    private let budget: DescriptorBudget

    static let typeMask: UInt32 = 0o170000
    static let folder: UInt32 = 0o040000
    static let regular: UInt32 = 0o100000
    static let link: UInt32 = 0o120000

    /// The shared folder itself.
    convenience init(root path: String, _ budget: DescriptorBudget) throws(ShareError) {
        try budget.take()
        let text = Array(path.utf8) + [0]
        // SAFETY: the array ends with a zero and lives for the call.
        let raw = unsafe apus_share_root(text)
        try self.init(raw, parent: nil, name: nil, budget)
    }

    /// The file of a name in a folder, whatever it is; a link is not followed.
    convenience init(in folder: ShareNode, _ name: FileName) throws(ShareError) {
        try folder.budget.take()
        // SAFETY: a name's bytes end with a zero.
        let raw = unsafe apus_share_child(folder.descriptor.rawValue, name.bytes)
        try self.init(raw, parent: folder, name: name, folder.budget)
    }

    /// A file that was just made in a folder, by a descriptor of it.
    convenience init(of file: Descriptor, in folder: ShareNode, _ name: FileName) throws(ShareError) {
        try folder.budget.take()
        try self.init(apus_share_pin(file.rawValue), parent: folder, name: name, folder.budget)
    }

    /// Takes over a descriptor for which the budget has been asked, or says why there is none.
    private init(
        _ raw: Int, parent: ShareNode?, name: FileName?, _ budget: DescriptorBudget
    ) throws(ShareError) {
        var status = apus_share_status()
        // SAFETY: the call writes the structure that it is given.
        let failure = raw < 0 ? raw : unsafe apus_share_status(Int32(raw), &status)
        guard failure >= 0 else {
            if raw >= 0 { _ = apus_close(Int32(raw)) }
            budget.give()
            throw ShareError(Int32(truncatingIfNeeded: -failure))
        }
        descriptor = Descriptor(owning: Int32(raw))
        device = status.device
        inode = status.inode
        kind = status.mode & ShareNode.typeMask
        self.parent = parent
        self.name = name
        self.budget = budget
    }

    deinit {
        budget.give()
        // One after the other: a long chain of folders would need as long a stack.
        var next = parent.take()
        while isKnownUniquelyReferenced(&next) { next = next?.parent.take() }
    }

    var fd: Int32 { descriptor.rawValue }
    var isFolder: Bool { kind == ShareNode.folder }

    func isSame(_ other: ShareNode) -> Bool { device == other.device && inode == other.inode }

    /// Whether its name leads to it still.
    func isInPlace() -> Bool {
        guard let parent, let name else { return false }
        var status = apus_share_status()
        // SAFETY: a name's bytes end with a zero, and the call writes the structure that it is given.
        guard unsafe apus_share_status_at(parent.fd, name.bytes, &status) == 0 else { return false }
        return status.device == device && status.inode == inode
    }

    /// It has another name now, in a folder that is not below itself: a circle would never be let go of.
    func move(to folder: ShareNode, _ name: FileName) {
        parent = folder
        self.name = name
    }

    /// What the host says of it.
    func status() throws(ShareError) -> apus_share_status {
        var status = apus_share_status()
        // SAFETY: the call writes the structure that it is given.
        try unsafe ShareError.check(apus_share_status(fd, &status))
        return status
    }
}

/// An open file or folder of a session.
final class OpenFile: @unchecked Sendable {
    // `place` changes under the lock of the session's owner only.
    let descriptor: Descriptor
    let isWritable: Bool
    /// Of a folder: the cookie of the entry that comes next; nil where the kernel's place is unknown.
    var place: UInt64? = 0
    private let budget: DescriptorBudget

    /// Takes over the result of a call that opens, for which the budget has been asked.
    init(_ raw: Int, isWritable: Bool, _ budget: DescriptorBudget) throws(ShareError) {
        guard raw >= 0 else {
            budget.give()
            throw ShareError(Int32(truncatingIfNeeded: -raw))
        }
        descriptor = Descriptor(owning: Int32(raw))
        self.isWritable = isWritable
        self.budget = budget
    }
    deinit { budget.give() }

    var fd: Int32 { descriptor.rawValue }
}
