internal import CLinux
internal import SystemPackage

/// The locks by which QEMU's processes, and ours, keep from spoiling each other's images: open-file-description
/// locks on single bytes. Byte 100 + n says "I use permission n", byte 200 + n "I let nobody else use permission n".
/// All are read locks, which never collide; a user tests for the bytes that exclude it.
enum ImageLock {
    /// The permissions that matter to a file (the numbers are QEMU's).
    private enum Permission: Int64, CaseIterable {
        case consistentRead = 0
        case write = 1
        case resize = 3

        var name: String {
            switch self {
            case .consistentRead: "read"
            case .write: "write"
            case .resize: "resize"
            }
        }
    }

    private static let usedBase: Int64 = 100
    private static let unsharedBase: Int64 = 200

    /// Takes the locks of a reader or a writer on a descriptor; they go with it. Throws when another user excludes
    /// this one, or, if `insists`, when the file system has no locks.
    static func acquire(
        _ descriptor: Int32, path: String, writes: Bool, forceShare: Bool, insists: Bool
    ) throws(BlockError) {
        if forceShare && !writes {
            // Reads what others may be writing: only somebody who forbids readers stands in the way.
            try test(descriptor, path, unsharedBase, .consistentRead, insists)
            return
        }
        let used: [Permission] = writes ? [.consistentRead, .write, .resize] : [.consistentRead]
        let unshared: [Permission] = [.write, .resize]
        do throws(BlockError) {
            for permission in used { try lock(descriptor, path, usedBase + permission.rawValue, insists) }
            for permission in unshared { try lock(descriptor, path, unsharedBase + permission.rawValue, insists) }
            for permission in used { try test(descriptor, path, unsharedBase, permission, insists) }
            for permission in unshared { try test(descriptor, path, usedBase, permission, insists) }
        } catch {
            release(descriptor)
            throw error
        }
    }

    /// Gives up all locks of a descriptor.
    static func release(_ descriptor: Int32) {
        for permission in Permission.allCases {
            _ = apus_lock_byte(descriptor, usedBase + permission.rawValue, 0)
            _ = apus_lock_byte(descriptor, unsharedBase + permission.rawValue, 0)
        }
    }

    private static func lock(_ descriptor: Int32, _ path: String, _ byte: Int64, _ insists: Bool) throws(BlockError) {
        guard apus_lock_byte(descriptor, byte, 1) < 0 else { return }
        let reason = Errno(rawValue: apus_errno())
        // Someone holds the byte for writing; nobody does by the rules above, but other programs lock whole files.
        if reason == .resourceTemporarilyUnavailable || reason == .permissionDenied {
            throw BlockError.inUse(path: path, access: "any", holder: ImageHolder.words(descriptor, byte: byte))
        }
        if insists { throw BlockError.system(path: path, operation: "lock", reason) }
    }

    private static func test(
        _ descriptor: Int32, _ path: String, _ base: Int64, _ permission: Permission, _ insists: Bool
    ) throws(BlockError) {
        let byte = base + permission.rawValue
        switch apus_lock_test(descriptor, byte) {
        case 0: return
        case 1:
            let holder = ImageHolder.words(descriptor, byte: byte)
            throw base == usedBase
                ? BlockError.usedByOthers(path: path, access: permission.name, holder: holder)
                : BlockError.inUse(path: path, access: permission.name, holder: holder)
        default:
            if insists { throw BlockError.system(path: path, operation: "lock", Errno(rawValue: apus_errno())) }
        }
    }
}
