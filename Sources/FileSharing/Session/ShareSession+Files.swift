internal import CLinux

/// What is done with open files.
extension ShareSession {
    /// Flags of opening, which the protocol has as Linux does on x86 (fcntl.h); the others say nothing to a server.
    private enum Flags {
        static let access: UInt32 = 0o3
        static let exclusive: UInt32 = 0o200
        static let truncate: UInt32 = 0o1000
        static let folder: UInt32 = 0o200000
        /// O_TRUNC, O_APPEND, O_DSYNC, O_SYNC.
        static let kept: UInt32 = 0o1000 | 0o2000 | 0o10000 | 0o4010000
    }

    /// Opens a file that is there.
    private func open(_ node: ShareNode, _ flags: UInt32) throws(ShareError) -> OpenFile {
        let access = flags & Flags.access
        guard access < 3 else { throw ShareError(EINVAL) }
        let isChange = access != 0 || flags & Flags.truncate != 0
        switch try mapping.status(of: node).mode & ShareNode.typeMask {
        case ShareNode.regular:
            if flags & Flags.folder != 0 { throw ShareError(ENOTDIR) }
            if isChange { try requireWritable() }
        case ShareNode.folder: if isChange { throw ShareError(EISDIR) }
        case ShareNode.link: throw ShareError(ELOOP)
        // A FIFO or device would be the host's, and could keep us waiting for ever.
        default: throw ShareError(ENXIO)
        }
        // The kind that the host has, too: with mapped attributes the two may differ.
        guard node.kind == ShareNode.regular || node.isFolder else { throw ShareError(ENXIO) }
        try budget.take()
        let wanted = node.isFolder ? Int32(Flags.folder) : Int32(access | flags & Flags.kept)
        return try OpenFile(apus_share_reopen(node.fd, wanted), isWritable: access != 0, budget)
    }

    /// Tlopen.
    func open(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, flags) = (try message.u32(), try message.u32())
        try message.finish()
        guard try fid(number).file == nil else { throw ShareError(EBUSY) }
        let node = try node(number)
        let file = try open(node, flags)
        let identity = try identity(of: node)
        fids[number]?.file = file
        reply.add(identity)
        reply.add(UInt32(0))
    }

    /// Tlcreate: makes a file in the fid's folder and opens it; the fid is the file from then on.
    func create(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, name, flags) = (try message.u32(), try message.name(), try message.u32())
        let (mode, group) = (try message.u32(), try message.u32())
        try message.finish()
        try requireWritable()
        let fid = try fid(number)
        guard fid.file == nil, fid.attribute == nil else { throw ShareError(EBUSY) }
        guard flags & Flags.access < 3 else { throw ShareError(EINVAL) }
        let (node, file) = try openNew(fid, name, flags, mode, group)
        let identity = try identity(of: node)
        fids[number]?.node = node
        fids[number]?.file = file
        reply.add(identity)
        reply.add(UInt32(0))
    }

    private func openNew(
        _ fid: Fid, _ name: FileName, _ flags: UInt32, _ mode: UInt32, _ group: UInt32
    ) throws(ShareError) -> (ShareNode, OpenFile) {
        let access = flags & Flags.access
        let permissions = mapping.isMapped ? mapping.fileMode : mode & 0o777
        try budget.take()
        // A name that is taken is never opened by it: a link, a FIFO or a device may have it.
        // SAFETY: a name's bytes end with a zero.
        let raw = unsafe apus_share_create(
            fid.node.fd, name.bytes, Int32(access | flags & Flags.kept), permissions)
        if raw == -Int(EEXIST), flags & Flags.exclusive == 0 {
            budget.give()
            let node = try child(of: fid.node, name)
            return (node, try open(node, flags))
        }
        let file = try OpenFile(raw, isWritable: access != 0, budget)
        do throws(ShareError) {
            let node = try ShareNode(of: file.descriptor, in: fid.node, name)
            try mapping.settle(node, .init(mode: ShareNode.regular | mode & 0o7777, owner: fid.owner, group: group))
            return (node, file)
        } catch {
            unsafe _ = apus_share_remove(fid.node.fd, name.bytes, 0)
            throw error
        }
    }

    /// Tread, of a file or of an extended attribute.
    func read(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, offset, count) = (try message.u32(), try message.u64(), try message.u32())
        try message.finish()
        let fid = try fid(number)
        guard let place = Int64(exactly: offset) else { throw ShareError(EINVAL) }
        if let attribute = fid.attribute {
            guard attribute.target == nil else { throw ShareError(EINVAL) }
            let start = min(Int(place), attribute.bytes.count)
            let part = attribute.bytes[start...].prefix(Int(count))
            try unsafe reply.addData(most: part.count) { buffer throws(ShareError) in
                // SAFETY: no more than the buffer holds is copied.
                unsafe buffer.copyBytes(from: part.prefix(buffer.count))
                return buffer.count
            }
            return
        }
        guard let file = fid.file, !fid.node.isFolder else { throw ShareError(fid.node.isFolder ? EISDIR : EBADF) }
        try unsafe reply.addData(most: Int(count)) { buffer throws(ShareError) in
            // SAFETY: the call writes at most the buffer's bytes.
            try unsafe ShareError.check(apus_share_read(file.fd, buffer.baseAddress, buffer.count, place))
        }
    }

    /// Twrite, to a file or to an extended attribute that is to be set.
    func write(
        _ message: inout MessageReader, _ request: [UInt8], _ reply: inout ReplyWriter
    ) throws(ShareError) {
        let (number, offset, count) = (try message.u32(), try message.u64(), try message.u32())
        let data = try message.data(count)
        try message.finish()
        let fid = try fid(number)
        guard let place = Int64(exactly: offset), !place.addingReportingOverflow(Int64(data.count)).overflow else {
            throw ShareError(EINVAL)
        }
        if fid.attribute != nil {
            reply.add(UInt32(try writeExtended(number, Int(place), request[data])))
            return
        }
        guard let file = fid.file, file.isWritable else { throw ShareError(EBADF) }
        var done = 0
        while done < data.count {
            // SAFETY: the bytes from `lowerBound + done` to `upperBound` lie within the request.
            let step = unsafe request.withUnsafeBytes {
                unsafe apus_share_write(
                    file.fd, $0.baseAddress.unsafelyUnwrapped + data.lowerBound + done, data.count - done,
                    place + Int64(done))
            }
            if step < 0, done == 0 { try ShareError.check(step) }
            if step <= 0 { break }
            done += step
        }
        if options.writesThrough { try ShareError.check(apus_share_sync(file.fd, 1)) }
        reply.add(UInt32(done))
    }

    /// Tfsync.
    func sync(_ message: inout MessageReader) throws(ShareError) {
        let (number, onlyData) = (try message.u32(), try message.u32())
        try message.finish()
        guard let file = try fid(number).file else { throw ShareError(EBADF) }
        try ShareError.check(apus_share_sync(file.fd, onlyData == 0 ? 0 : 1))
    }

    /// Tlock: the guest keeps its own locks; the folder has no other guest. Success.
    func lock(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, _, flags) = (try message.u32(), try message.integer(UInt8.self), try message.u32())
        _ = (try message.u64(), try message.u64(), try message.u32())
        try message.skipString()
        try message.finish()
        _ = try node(number)
        // P9_LOCK_FLAGS_BLOCK is 1.
        guard flags & ~1 == 0 else { throw ShareError(EINVAL) }
        reply.add(UInt8(0))
    }

    /// Tgetlock: nobody else has a lock (F_UNLCK, 2).
    func getLock(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, _) = (try message.u32(), try message.integer(UInt8.self))
        let (start, length, process) = (try message.u64(), try message.u64(), try message.u32())
        let client = try message.string()
        try message.finish()
        _ = try node(number)
        reply.add(UInt8(2))
        reply.add(start)
        reply.add(length)
        reply.add(process)
        reply.add(string: client)
    }
}
