internal import DomainModel
internal import HostOS
internal import RPCWire

/// Whether disks may be used by another host while they are still open here.
enum SharedStorage {
    private static let shared: Set<String> = [
        "nfs", "nfs4", "ocfs2", "gfs2", "afs", "smb3", "cifs", "smbfs", "ceph", "gpfs", "lustre", "beegfs", "pvfs2",
        "fuse.glusterfs", "fuse.ceph", "fuse.sshfs", "fuse.quobyte", "fuse.vxfs",
    ]

    /// Whether a path lies on a file system of several hosts.
    static func isShared(_ path: String, mounts: String) -> Bool {
        var (best, kind) = (0, "")
        for line in mounts.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 2 else { continue }
            let folder = words[1] == "/" ? "/" : String(words[1]) + "/"
            if path.hasPrefix(folder), folder.utf8.count >= best {
                (best, kind) = (folder.utf8.count, String(words[2]))
            }
        }
        return shared.contains(kind)
    }

    /// Refuses what would damage disks; those that are copied are each end's own.
    static func check(_ live: XMLTree, except isCopied: (XMLTree) -> Bool) throws(LibvirtError) {
        func fail(_ words: String) -> LibvirtError {
            LibvirtError(code: VirErrorNumber.migrateUnsafe, message: "Unsafe migration: \(words)", detail: words)
        }
        let mounts = HostDescription.text("/proc/self/mounts")
        for disk in DomainFigures.devices(live, "disk") {
            guard disk.child("readonly") == nil, !isCopied(disk), let path = DomainFigures.path(disk) else { continue }
            if disk["type"] == "file", !isShared(path, mounts: mounts) {
                throw fail("Migration without shared storage is unsafe")
            }
            let cache = disk.child("driver")?["cache"] ?? "default"
            guard cache == "none" || cache == "directsync" else {
                throw fail("Migration may lead to data corruption if disks use cache other than none or directsync")
            }
        }
    }
}
