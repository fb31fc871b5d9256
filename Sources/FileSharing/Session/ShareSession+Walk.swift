internal import CLinux

/// From one file to another: attaching, walking, and the end of fids.
extension ShareSession {
    /// Tattach: a fid for the shared folder. There is no authentication.
    func attach(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, authentication) = (try message.u32(), try message.u32())
        try message.skipString()
        try message.skipString()
        let owner = try message.u32()
        try message.finish()
        guard authentication == Self.noFid else { throw ShareError(EOPNOTSUPP) }
        let identity = try identity(of: root)
        try add(Fid(node: root, owner: owner), as: number)
        reply.add(identity)
    }

    /// Twalk: name after name, from a fid's file to another's. As many steps are told as could be gone; the new fid is
    /// there only if all could.
    func walk(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, new, count) = (try message.u32(), try message.u32(), try message.u16())
        guard count <= 16 else { throw ShareError(EINVAL) }
        var names: [[UInt8]] = []
        for _ in 0..<count { names.append(try message.string()) }
        try message.finish()
        var fid = try fid(number)
        guard fid.attribute == nil, new != Self.noFid, new == number || fids[new] == nil else {
            throw ShareError(EINVAL)
        }
        // An open fid keeps its place: reads and writes go there.
        guard new != number || fid.file == nil || names.isEmpty else { throw ShareError(EBUSY) }
        var identities: [FileIdentity] = []
        do throws(ShareError) {
            for name in names {
                fid.node = try step(from: fid.node, name)
                identities.append(try identity(of: fid.node))
            }
        } catch {
            if identities.isEmpty { throw error }
        }
        if identities.count == names.count {
            if new == number {
                fids[number]?.node = fid.node
            } else {
                try add(Fid(node: fid.node, owner: fid.owner), as: new)
            }
        }
        reply.add(UInt16(identities.count))
        for identity in identities { reply.add(identity) }
    }

    private func step(from node: ShareNode, _ name: [UInt8]) throws(ShareError) -> ShareNode {
        if name == [0x2E, 0x2E] {
            guard node.isFolder else { throw ShareError(ENOTDIR) }
            return node.parent ?? node
        }
        return try child(of: node, try FileName(name))
    }

    /// Tclunk: the end of a fid. An extended attribute that was to be set is set now.
    func clunk(_ message: inout MessageReader) throws(ShareError) {
        let number = try message.u32()
        try message.finish()
        let fid = try fid(number)
        forget(number)
        if let attribute = fid.attribute { try store(attribute, of: fid.node) }
    }

    /// Tremove: the end of a file, and of the fid in any case.
    func remove(_ message: inout MessageReader) throws(ShareError) {
        let number = try message.u32()
        try message.finish()
        let fid = try fid(number)
        forget(number)
        try requireWritable()
        guard fid.attribute == nil, let folder = fid.node.parent, let name = fid.node.name else {
            throw ShareError(EINVAL)
        }
        guard fid.node.isInPlace() else { throw ShareError(ENOENT) }
        // SAFETY: a name's bytes end with a zero.
        try unsafe ShareError.check(apus_share_remove(folder.fd, name.bytes, fid.node.isFolder ? 1 : 0))
    }

    private func forget(_ number: UInt32) {
        attributeBytes -= fids.removeValue(forKey: number)?.attribute?.bytes.count ?? 0
    }
}
