internal import CLinux

/// What files are: sizes, times, owners, permissions; their file systems.
extension ShareSession {
    /// Tgetattr: all that Linux's stat has (P9_GETATTR_BASIC), whatever was asked for.
    func attributes(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, _) = (try message.u32(), try message.u64())
        try message.finish()
        let status = try mapping.status(of: node(number))
        reply.add(UInt64(0x7FF))
        reply.add(try identities.identity(status))
        reply.add(status.mode)
        reply.add(status.owner)
        reply.add(status.group)
        reply.add(status.links)
        reply.add(status.special)
        for value in [
            status.size, status.block_size, status.blocks, status.accessed, status.accessed_part, status.modified,
            status.modified_part, status.changed, status.changed_part,
        ] {
            reply.add(UInt64(bitPattern: value))
        }
        // When it was made, a generation and a version of its data: not known.
        for _ in 0..<4 { reply.add(UInt64(0)) }
    }

    private enum Change {
        static let mode: UInt32 = 0x01
        static let owner: UInt32 = 0x02
        static let group: UInt32 = 0x04
        static let size: UInt32 = 0x08
        static let accessed: UInt32 = 0x10
        static let modified: UInt32 = 0x20
        static let changed: UInt32 = 0x40
        static let accessedTime: UInt32 = 0x80
        static let modifiedTime: UInt32 = 0x100
    }

    /// Tsetattr.
    func setAttributes(_ message: inout MessageReader) throws(ShareError) {
        let (number, wanted, mode) = (try message.u32(), try message.u32(), try message.u32())
        let (owner, group, size) = (try message.u32(), try message.u32(), try message.u64())
        let (accessed, accessedPart) = (try message.u64(), try message.u64())
        let (modified, modifiedPart) = (try message.u64(), try message.u64())
        try message.finish()
        try requireWritable()
        let node = try node(number)
        if wanted & Change.mode != 0 { try mapping.changeMode(of: node, mode) }
        if wanted & (Change.accessed | Change.modified) != 0 {
            guard accessedPart < 1_000_000_000, modifiedPart < 1_000_000_000 else { throw ShareError(EINVAL) }
            func kind(_ set: UInt32, _ time: UInt32) -> Int32 { wanted & set == 0 ? 0 : wanted & time == 0 ? 1 : 2 }
            try ShareError.check(
                apus_share_set_times(
                    node.fd, kind(Change.accessed, Change.accessedTime), Int64(bitPattern: accessed),
                    Int64(accessedPart), kind(Change.modified, Change.modifiedTime), Int64(bitPattern: modified),
                    Int64(modifiedPart)))
        }
        if wanted & (Change.owner | Change.group) != 0 {
            try mapping.changeOwner(
                of: node, wanted & Change.owner == 0 ? UInt32.max : owner,
                wanted & Change.group == 0 ? UInt32.max : group)
        } else if wanted & 0x1FF == Change.changed {
            // Only the time of the last change: setting nothing sets it.
            try mapping.changeOwner(of: node, UInt32.max, UInt32.max)
        }
        if wanted & Change.size != 0 { try resize(number, node, size) }
    }

    private func resize(_ number: UInt32, _ node: ShareNode, _ size: UInt64) throws(ShareError) {
        guard let size = Int64(exactly: size) else { throw ShareError(EINVAL) }
        guard try mapping.status(of: node).mode & ShareNode.typeMask == ShareNode.regular,
            node.kind == ShareNode.regular
        else { throw ShareError(node.isFolder ? EISDIR : EINVAL) }
        if let file = fids[number]?.file, file.isWritable {
            try ShareError.check(apus_share_resize(file.fd, size))
            return
        }
        try budget.take()
        // O_WRONLY is 1.
        let file = try OpenFile(apus_share_reopen(node.fd, 1), isWritable: true, budget)
        try ShareError.check(apus_share_resize(file.fd, size))
    }

    /// Tstatfs.
    func fileSystem(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let number = try message.u32()
        try message.finish()
        var system = apus_share_system()
        // SAFETY: the call writes the structure that it is given.
        try unsafe ShareError.check(apus_share_system(node(number).fd, &system))
        reply.add(UInt32(truncatingIfNeeded: system.type))
        reply.add(UInt32(truncatingIfNeeded: system.block_size))
        for value in [system.blocks, system.free, system.available, system.files, system.free_files, system.id] {
            reply.add(value)
        }
        reply.add(UInt32(truncatingIfNeeded: system.name_length))
    }
}
