internal import CLinux

/// What is in folders: listing, making, renaming, removing.
extension ShareSession {
    /// Treaddir: entries from a cookie on (d_off of getdents64(2)), as many as fit.
    func readFolder(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, cookie, count) = (try message.u32(), try message.u64(), try message.u32())
        try message.finish()
        let fid = try fid(number)
        guard let file = fid.file, fid.node.isFolder else { throw ShareError(fid.node.isFolder ? EBADF : ENOTDIR) }
        if file.place != cookie {
            guard let place = Int64(exactly: cookie) else { throw ShareError(EINVAL) }
            file.place = nil
            try ShareError.check(apus_share_seek(file.fd, place))
        }
        let room = min(Int(count), reply.limit - ReplyWriter.dataStart)
        var entries: [UInt8] = []
        var last = cookie
        var isFull = false
        // An entry of the kernel's takes at least as many bytes as its name and 20 more.
        var buffer = [UInt8](repeating: 0, count: min(max(room, 512), 1 << 16))
        file.place = nil
        while !isFull {
            // SAFETY: the call writes at most the buffer's bytes.
            let read = try ShareError.check(
                unsafe buffer.withUnsafeMutableBytes {
                    unsafe apus_share_entries(file.fd, $0.baseAddress, $0.count)
                })
            if read == 0 { break }
            var place = 0
            while let entry = FolderEntry(buffer[..<read], at: place) {
                place += entry.count
                guard FolderEntry.headCount + entry.name.count <= room - entries.count else {
                    isFull = true
                    break
                }
                try append(entry, of: fid.node, to: &entries)
                last = entry.next
            }
            // One turn is enough where it filled most of the room: the next request goes on.
            if entries.count > room / 2 {
                if !isFull { file.place = last }
                break
            }
        }
        if isFull, entries.isEmpty { throw ShareError(EINVAL) }
        try unsafe reply.addData(most: entries.count) { buffer throws(ShareError) in
            // SAFETY: no more than the buffer holds is copied.
            unsafe buffer.copyBytes(from: entries.prefix(buffer.count))
            return buffer.count
        }
    }

    private func append(_ entry: FolderEntry, of folder: ShareNode, to entries: inout [UInt8]) throws(ShareError) {
        // Where the folder's parent is outside, it is its own.
        let isParent = entry.name.elementsEqual([0x2E, 0x2E])
        let inode = isParent ? (folder.parent ?? folder).inode : entry.inode
        let device = isParent ? (folder.parent ?? folder).device : folder.device
        // With mapped attributes only a look at each file would tell what it is (DT_UNKNOWN, 0).
        let kind = mapping.isMapped && entry.kind != 4 ? 0 : entry.kind
        var writer = ReplyWriter(type: 0, tag: 0, limit: 512)
        writer.add(
            FileIdentity(
                type: kind == 4 ? FileIdentity.folder : kind == 10 ? FileIdentity.link : 0, version: 0,
                path: try identities.path(device: device, inode: inode)))
        writer.add(entry.next)
        writer.add(kind)
        writer.add(string: Array(entry.name))
        entries += writer.bytes[ReplyWriter.headCount...]
    }

    /// Does something with a file that was just made, or removes it again.
    private func settle(
        in folder: ShareNode, _ name: FileName, isFolder: Bool = false, _ wishes: SecurityMapping.Wishes,
        _ reply: inout ReplyWriter
    ) throws(ShareError) {
        do throws(ShareError) {
            let node = try ShareNode(in: folder, name)
            try mapping.settle(node, wishes)
            reply.add(try identity(of: node))
        } catch {
            // SAFETY: a name's bytes end with a zero.
            _ = unsafe apus_share_remove(folder.fd, name.bytes, isFolder ? 1 : 0)
            throw error
        }
    }

    /// A regular file that stands for something else, with what is to be in it.
    private func makeStandIn(in folder: ShareNode, _ name: FileName, _ content: [UInt8]) throws(ShareError) {
        try budget.take()
        // O_WRONLY is 1.
        // SAFETY: a name's bytes end with a zero.
        let raw = unsafe apus_share_create(folder.fd, name.bytes, 1, mapping.fileMode)
        let file = try OpenFile(raw, isWritable: true, budget)
        guard !content.isEmpty else { return }
        // SAFETY: the call reads the array's bytes.
        let written = unsafe apus_share_write(file.fd, content, content.count, 0)
        if written != content.count {
            unsafe _ = apus_share_remove(folder.fd, name.bytes, 0)
            throw ShareError(written < 0 ? Int32(truncatingIfNeeded: -written) : ENOSPC)
        }
    }

    /// Tmkdir.
    func makeFolder(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, name) = (try message.u32(), try message.name())
        let (mode, group) = (try message.u32(), try message.u32())
        try message.finish()
        try requireWritable()
        let (owner, folder) = (try fid(number).owner, try node(number))
        let permissions = mapping.isMapped ? mapping.folderMode : mode & 0o777
        // SAFETY: a name's bytes end with a zero.
        try unsafe ShareError.check(apus_share_make_folder(folder.fd, name.bytes, permissions))
        try settle(
            in: folder, name, isFolder: true,
            .init(mode: ShareNode.folder | mode & 0o7777, owner: owner, group: group), &reply)
    }

    /// Tsymlink: a link to anything; only the guest follows it.
    func makeLink(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, name) = (try message.u32(), try message.name())
        let (target, group) = (try message.string(), try message.u32())
        try message.finish()
        try requireWritable()
        guard !target.isEmpty, !target.contains(0) else { throw ShareError(ENOENT) }
        guard target.count < 4096 else { throw ShareError(ENAMETOOLONG) }
        let (owner, folder) = (try fid(number).owner, try node(number))
        if mapping.isMapped {
            try makeStandIn(in: folder, name, target)
        } else {
            // SAFETY: both end with a zero.
            try unsafe ShareError.check(apus_share_make_link(target + [0], folder.fd, name.bytes))
        }
        try settle(in: folder, name, .init(mode: ShareNode.link | 0o777, owner: owner, group: group), &reply)
    }

    /// Tmknod: a FIFO, a socket, a device, or an empty file.
    func makeSpecial(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, name, mode) = (try message.u32(), try message.name(), try message.u32())
        let (major, minor, group) = (try message.u32(), try message.u32(), try message.u32())
        try message.finish()
        try requireWritable()
        let kind = mode & ShareNode.typeMask
        guard [0o010000, 0o020000, 0o060000, 0o100000, 0o140000].contains(kind), mode <= 0o177777 else {
            throw ShareError(EINVAL)
        }
        let (owner, folder) = (try fid(number).owner, try node(number))
        var wishes = SecurityMapping.Wishes(mode: mode, owner: owner, group: group)
        if mapping.isMapped {
            try makeStandIn(in: folder, name, [])
            if kind == 0o020000 || kind == 0o060000 { wishes.special = apus_share_device(major, minor) }
        } else {
            // SAFETY: a name's bytes end with a zero.
            try unsafe ShareError.check(
                apus_share_make_special(folder.fd, name.bytes, kind | mode & 0o777, major, minor))
        }
        try settle(in: folder, name, wishes, &reply)
    }

    /// Tlink: another name for a file.
    func addName(_ message: inout MessageReader) throws(ShareError) {
        let (folder, file, name) = (try message.u32(), try message.u32(), try message.name())
        try message.finish()
        try requireWritable()
        // SAFETY: a name's bytes end with a zero.
        try unsafe ShareError.check(apus_share_add_name(node(file).fd, node(folder).fd, name.bytes))
    }

    /// Treadlink.
    func readLink(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let number = try message.u32()
        try message.finish()
        let node = try node(number)
        guard try mapping.status(of: node).mode & ShareNode.typeMask == ShareNode.link else {
            throw ShareError(EINVAL)
        }
        var target = [UInt8](repeating: 0, count: 4096)
        let count: Int
        if node.kind == ShareNode.link {
            // SAFETY: the call writes at most the array's bytes.
            count = try unsafe ShareError.check(apus_share_target(node.fd, &target, target.count))
        } else {
            try budget.take()
            let file = try OpenFile(apus_share_reopen(node.fd, 0), isWritable: false, budget)
            // SAFETY: as above.
            count = try unsafe ShareError.check(apus_share_read(file.fd, &target, target.count, 0))
        }
        reply.add(string: Array(target[..<count]))
    }

    /// Trename: a file gets another name, which only its fid says.
    func rename(_ message: inout MessageReader) throws(ShareError) {
        let (number, folder, name) = (try message.u32(), try message.u32(), try message.name())
        try message.finish()
        try requireWritable()
        let moved = try node(number)
        guard let from = moved.parent, let old = moved.name else { throw ShareError(EBUSY) }
        guard moved.isInPlace() else { throw ShareError(ENOENT) }
        try move(from, old, to: node(folder), name)
    }

    /// Trenameat.
    func renameAt(_ message: inout MessageReader) throws(ShareError) {
        let (from, old) = (try message.u32(), try message.name())
        let (to, new) = (try message.u32(), try message.name())
        try message.finish()
        try requireWritable()
        try move(node(from), old, to: node(to), new)
    }

    private func move(_ from: ShareNode, _ old: FileName, to: ShareNode, _ new: FileName) throws(ShareError) {
        // SAFETY: both names end with a zero.
        try unsafe ShareError.check(apus_share_rename(from.fd, old.bytes, to.fd, new.bytes))
        // Every file that was known by its old name is known by the new one, each once. What is above the new folder
        // stays: what is known of it is old, or it could not be moved there.
        var seen: Set<ObjectIdentifier> = []
        var above: ShareNode? = to
        while let node = above {
            seen.insert(ObjectIdentifier(node))
            above = node.parent
        }
        for fid in fids.values {
            var next: ShareNode? = fid.node
            while let node = next, seen.insert(ObjectIdentifier(node)).inserted {
                next = node.parent
                guard node.name == old, let parent = node.parent, parent.isSame(from) else { continue }
                node.move(to: to, new)
                // A file of the same name from before this one is not what has moved.
                if !node.isInPlace() { node.move(to: parent, old) }
            }
        }
    }

    /// Tunlinkat.
    func unlinkAt(_ message: inout MessageReader) throws(ShareError) {
        let (folder, name, flags) = (try message.u32(), try message.name(), try message.u32())
        try message.finish()
        try requireWritable()
        // AT_REMOVEDIR
        guard flags & ~0x200 == 0 else { throw ShareError(EINVAL) }
        // SAFETY: a name's bytes end with a zero.
        try unsafe ShareError.check(apus_share_remove(node(folder).fd, name.bytes, flags == 0 ? 0 : 1))
    }
}

/// An entry that getdents64(2) wrote: inode, cookie of the next, its size, kind and name.
private struct FolderEntry {
    /// Bytes of an entry in a reply, without its name.
    static let headCount = FileIdentity.count + 8 + 1 + 2

    let inode: UInt64
    let next: UInt64
    let count: Int
    let kind: UInt8
    let name: ArraySlice<UInt8>

    init?(_ bytes: ArraySlice<UInt8>, at place: Int) {
        guard bytes.endIndex - place >= 20 else { return nil }
        func number(_ offset: Int, _ size: Int) -> UInt64 {
            (0..<size).reduce(0) { $0 | UInt64(bytes[place + offset + $1]) << UInt64($1 * 8) }
        }
        inode = number(0, 8)
        next = number(8, 8)
        count = Int(number(16, 2))
        kind = bytes[place + 18]
        guard count >= 20, bytes.endIndex - place >= count else { return nil }
        name = bytes[(place + 19)..<(place + count)].prefix { $0 != 0 }
    }
}
