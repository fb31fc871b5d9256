internal import CLinux

/// What files are called in the protocol: 64 bits that no two files share, though inodes of two file systems do.
struct Identities {
    private var devices: [UInt64: UInt64] = [:]
    private struct Place: Hashable {
        let device: UInt64
        let inode: UInt64
    }
    /// Files whose inode leaves no room for the file system's number.
    private var others: [Place: UInt64] = [:]
    /// Bits of an inode that are its own.
    private static let inodeBits: UInt64 = 48
    private static let mostDevices = 0x7FFF
    private static let mostOthers = 1 << 20

    /// The first file system: its inodes stay what they are.
    init(root: ShareNode) { devices[root.device] = 0 }

    /// A file's 64 bits; ENFILE where there are too many file systems.
    mutating func path(device: UInt64, inode: UInt64) throws(ShareError) -> UInt64 {
        if inode >> Self.inodeBits == 0 {
            if let index = devices[device] { return index << Self.inodeBits | inode }
            guard devices.count < Self.mostDevices else { throw ShareError(ENFILE) }
            let index = UInt64(devices.count)
            devices[device] = index
            return index << Self.inodeBits | inode
        }
        let place = Place(device: device, inode: inode)
        if let path = others[place] { return path }
        guard others.count < Self.mostOthers else { throw ShareError(ENFILE) }
        let path = 1 << 63 | UInt64(others.count)
        others[place] = path
        return path
    }

    /// What the protocol calls a file of which the guest is told this.
    mutating func identity(_ status: apus_share_status) throws(ShareError) -> FileIdentity {
        FileIdentity(
            type: Self.type(status.mode),
            version: UInt32(truncatingIfNeeded: status.modified ^ (status.modified_part << 2) ^ (status.size << 8)),
            path: try path(device: status.device, inode: status.inode))
    }

    static func type(_ mode: UInt32) -> UInt8 {
        switch mode & ShareNode.typeMask {
        case ShareNode.folder: FileIdentity.folder
        case ShareNode.link: FileIdentity.link
        default: 0
        }
    }
}
