internal import CLinux

/// Extended attributes: those of users, and access control lists. The others are the host's.
extension ShareSession {
    /// The most bytes of one (XATTR_SIZE_MAX), and of all that fids hold.
    private static let mostBytesOfOne = 1 << 16
    private static let mostBytesOfAll = 1 << 24

    /// Where mapped attributes keep what the guest must not see.
    private static let hidden: StaticString = "user.virtfs."
    private static let lists: StaticString = "system.posix_acl_"
    private static let mappedLists: StaticString = "user.virtfs.system.posix_acl_"

    /// The host's name for an attribute, with its zero; nil for one that the guest has nothing to do with.
    private func hostName(_ name: [UInt8]) throws(ShareError) -> [UInt8]? {
        guard !name.isEmpty, !name.contains(0) else { throw ShareError(EINVAL) }
        guard name.count <= 255 else { throw ShareError(ERANGE) }
        if name.hasPrefix("user.") { return mapping.isMapped && name.hasPrefix(Self.hidden) ? nil : name + [0] }
        guard name.hasPrefix(Self.lists) else { return nil }
        // What the guest calls an owner is not one of the host's.
        return mapping.isMapped ? Array("user.virtfs.".utf8) + name + [0] : name + [0]
    }

    /// The names of a list of the host's that the guest may see, in the guest's words.
    private func guestNames(_ list: ArraySlice<UInt8>) -> [UInt8] {
        var names: [UInt8] = []
        for name in list.split(separator: 0).map(Array.init) {
            if mapping.isMapped, name.hasPrefix(Self.hidden) {
                if name.hasPrefix(Self.mappedLists) { names += name.dropFirst("\(Self.hidden)".utf8.count) + [0] }
            } else if name.hasPrefix("user.") || name.hasPrefix(Self.lists) {
                names += name + [0]
            }
        }
        return names
    }

    /// Txattrwalk: a new fid for the value of an attribute, or without a name for the list of names.
    func readExtended(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let (number, new, name) = (try message.u32(), try message.u32(), try message.string())
        try message.finish()
        let (owner, node) = (try fid(number).owner, try node(number))
        var bytes = [UInt8](repeating: 0, count: Self.mostBytesOfOne)
        if name.isEmpty {
            // SAFETY: the call writes at most the array's bytes.
            let count = unsafe apus_share_attributes(node.fd, &bytes, bytes.count)
            // A file system without attributes has an empty list.
            bytes = count == -Int(EOPNOTSUPP) ? [] : guestNames(bytes[..<(try ShareError.check(count))])
        } else {
            guard let hostName = try hostName(name) else {
                throw ShareError(name.hasPrefix("user.") ? ENODATA : EOPNOTSUPP)
            }
            // SAFETY: the call writes at most the array's bytes; the name ends with a zero.
            let count = try unsafe ShareError.check(
                apus_share_attribute(node.fd, hostName, &bytes, bytes.count))
            bytes.removeLast(bytes.count - count)
        }
        guard attributeBytes + bytes.count <= Self.mostBytesOfAll else { throw ShareError(ENOSPC) }
        try add(Fid(node: node, owner: owner, attribute: ExtendedAttribute(bytes: bytes)), as: new)
        attributeBytes += bytes.count
        reply.add(UInt64(bytes.count))
    }

    /// Txattrcreate: the fid is an attribute from now on, which its last write completes and its end sets.
    func createExtended(_ message: inout MessageReader) throws(ShareError) {
        let (number, name) = (try message.u32(), try message.string())
        let (size, flags) = (try message.u64(), try message.u32())
        try message.finish()
        try requireWritable()
        _ = try node(number)
        guard try fid(number).file == nil else { throw ShareError(EBUSY) }
        // XATTR_CREATE and XATTR_REPLACE
        guard flags <= 2 else { throw ShareError(EINVAL) }
        guard size <= Self.mostBytesOfOne, attributeBytes + Int(size) <= Self.mostBytesOfAll else {
            throw ShareError(ENOSPC)
        }
        guard let hostName = try hostName(name) else { throw ShareError(EOPNOTSUPP) }
        attributeBytes += Int(size)
        fids[number]?.attribute = ExtendedAttribute(
            bytes: [UInt8](repeating: 0, count: Int(size)), target: (hostName, Int32(flags), 0))
    }

    /// Writes a part of an attribute that is to be set.
    func writeExtended(_ number: UInt32, _ place: Int, _ data: ArraySlice<UInt8>) throws(ShareError) -> Int {
        guard let attribute = fids[number]?.attribute, let target = attribute.target else { throw ShareError(EINVAL) }
        guard place <= attribute.bytes.count, data.count <= attribute.bytes.count - place else {
            throw ShareError(ENOSPC)
        }
        fids[number]?.attribute?.bytes.replaceSubrange(place..<(place + data.count), with: data)
        fids[number]?.attribute?.target?.written = max(target.written, place + data.count)
        return data.count
    }

    /// Sets an attribute whose fid ends; one of no bytes is removed.
    func store(_ attribute: ExtendedAttribute, of node: ShareNode) throws(ShareError) {
        guard let target = attribute.target else { return }
        guard target.written == attribute.bytes.count else { throw ShareError(EINVAL) }
        // SAFETY: the calls read the array's bytes; the name ends with a zero.
        if attribute.bytes.isEmpty {
            try unsafe ShareError.check(apus_share_remove_attribute(node.fd, target.name))
        } else {
            try unsafe ShareError.check(
                apus_share_set_attribute(
                    node.fd, target.name, attribute.bytes, attribute.bytes.count, target.flags))
        }
    }
}
