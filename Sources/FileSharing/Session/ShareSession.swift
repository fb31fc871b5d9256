internal import CLinux
public import HostOS
internal import SystemPackage

/// One guest's session of 9P2000.L with a shared folder: a request's bytes in, a reply's bytes out. Linux's
/// `Documentation/filesystems/9p.rst` and diod's `protocol.md` describe the messages.
///
/// A guest names files by numbers of its own (fids), each of which stands for a descriptor here; the host is only ever
/// asked for one name in such a descriptor, and never follows a link. So nothing outside of the folder can be named.
///
/// One thread at a time: whoever owns a session keeps it behind a lock of its own. Calls take as long as the host's file
/// system does.
public final class ShareSession: @unchecked Sendable {
    // All of it changes under the lock of the session's owner only.

    /// The most bytes of a message.
    public static let mostBytes = 1 << 20
    /// Bytes of the shortest message: size, type and tag.
    public static let headCount = ReplyWriter.headCount
    /// Bytes for which a guest has to have room, whatever it asks.
    public static let leastRoom = ReplyWriter.dataStart
    private static let leastMessage = 4096

    /// What a fid stands for.
    struct Fid {
        var node: ShareNode
        /// The user of the guest that attached: the owner of what is made.
        var owner: UInt32
        /// Once it is open.
        var file: OpenFile?
        /// Where it stands for an extended attribute.
        var attribute: ExtendedAttribute?
    }
    /// A fid's extended attribute: what is read from it, or what is to be set.
    struct ExtendedAttribute {
        var bytes: [UInt8]
        /// Nil where it is only read.
        var target: (name: [UInt8], flags: Int32, written: Int)?
    }

    let options: ShareOptions
    let mapping: SecurityMapping
    let root: ShareNode
    let budget: DescriptorBudget
    var identities: Identities
    var fids: [UInt32: Fid] = [:]
    /// Bytes of all extended attributes that fids hold.
    var attributeBytes = 0
    /// The agreed size of messages; 0 before there is one.
    private var messageSize = 0

    static let mostFids = 1 << 16
    static let noFid = UInt32.max

    /// A session with a folder, which must be there. The process is allowed more open files, as far as it may be.
    public init(_ options: ShareOptions) throws(HostError) {
        self.options = options
        mapping = SecurityMapping(
            model: options.securityModel, fileMode: options.fileMode & 0o777, folderMode: options.folderMode & 0o777)
        // Up to two descriptors a fid; the machine's own work keeps a quarter and no less than 64.
        let allowed = apus_share_descriptors(3 * ShareSession.mostFids)
        budget = DescriptorBudget(max(16, min(2 * ShareSession.mostFids, allowed - max(allowed / 4, 64))))
        do throws(ShareError) {
            root = try ShareNode(root: options.path, budget)
        } catch {
            throw HostError("share the folder '\(options.path)'", Errno(rawValue: error.number))
        }
        identities = Identities(root: root)
    }

    /// Whether a guest uses the folder: it has fids.
    public var isInUse: Bool { !fids.isEmpty }

    /// Forgets all that the guest has opened and agreed on.
    public func reset() {
        fids.removeAll()
        attributeBytes = 0
        messageSize = 0
    }

    /// The reply to a request of at most `mostBytes` bytes, at most `room` bytes long. Nil where a request has not even
    /// a tag or the guest has no room for an error: then there is no way to go on.
    public func reply(to request: [UInt8], room: Int) -> [UInt8]? {
        guard request.count >= Self.headCount, room >= Self.leastRoom else { return nil }
        var head = MessageReader(request, from: 0, to: Self.headCount)
        guard let size = try? head.integer(UInt32.self), let type = try? head.integer(UInt8.self),
            let tag = try? head.u16()
        else { return nil }
        do throws(ShareError) {
            let most = messageSize == 0 ? Self.leastMessage : messageSize
            guard size >= Self.headCount, size <= request.count else { throw ShareError(EINVAL) }
            guard size <= most || type == MessageType.version else { throw ShareError(EMSGSIZE) }
            guard messageSize > 0 || type == MessageType.version else { throw ShareError(EINVAL) }
            let message = MessageReader(request, from: Self.headCount, to: Int(size))
            var writer = ReplyWriter(type: type &+ 1, tag: tag, limit: min(room, most))
            try answer(type, message, request, &writer)
            guard let reply = writer.whole() else { throw ShareError(ENOBUFS) }
            return reply
        } catch {
            return ReplyWriter.error(error.number, tag: tag)
        }
    }

    private func answer(
        _ type: UInt8, _ message: consuming MessageReader, _ request: [UInt8], _ reply: inout ReplyWriter
    ) throws(ShareError) {
        var message = message
        switch type {
        case MessageType.version: try version(&message, &reply)
        case MessageType.attach: try attach(&message, &reply)
        // All requests are answered in their order: there is none left to end.
        case MessageType.flush:
            _ = try message.u16()
            try message.finish()
        case MessageType.walk: try walk(&message, &reply)
        case MessageType.clunk: try clunk(&message)
        case MessageType.remove: try remove(&message)
        case MessageType.lopen: try open(&message, &reply)
        case MessageType.lcreate: try create(&message, &reply)
        case MessageType.read: try read(&message, &reply)
        case MessageType.write: try write(&message, request, &reply)
        case MessageType.fsync: try sync(&message)
        case MessageType.lock: try lock(&message, &reply)
        case MessageType.getlock: try getLock(&message, &reply)
        case MessageType.readdir: try readFolder(&message, &reply)
        case MessageType.mkdir: try makeFolder(&message, &reply)
        case MessageType.symlink: try makeLink(&message, &reply)
        case MessageType.mknod: try makeSpecial(&message, &reply)
        case MessageType.link: try addName(&message)
        case MessageType.rename: try rename(&message)
        case MessageType.renameat: try renameAt(&message)
        case MessageType.unlinkat: try unlinkAt(&message)
        case MessageType.readlink: try readLink(&message, &reply)
        case MessageType.getattr: try attributes(&message, &reply)
        case MessageType.setattr: try setAttributes(&message)
        case MessageType.statfs: try fileSystem(&message, &reply)
        case MessageType.xattrwalk: try readExtended(&message, &reply)
        case MessageType.xattrcreate: try createExtended(&message)
        // Tauth, and what the protocol has for older dialects.
        default: throw ShareError(EOPNOTSUPP)
        }
    }

    /// Tversion: the dialect and the size of messages. What was before is forgotten.
    private func version(_ message: inout MessageReader, _ reply: inout ReplyWriter) throws(ShareError) {
        let size = try message.u32()
        let dialect = try message.string()
        try message.finish()
        reset()
        let ours = Array("9P2000.L".utf8)
        guard dialect == ours else {
            reply.add(size)
            reply.add(string: Array("unknown".utf8))
            return
        }
        guard size >= Self.leastMessage else { throw ShareError(EMSGSIZE) }
        messageSize = min(Int(size), Self.mostBytes)
        reply.add(UInt32(messageSize))
        reply.add(string: ours)
    }

    // MARK: What the messages share

    /// What a fid stands for; EBADF for a number that stands for nothing.
    func fid(_ number: UInt32) throws(ShareError) -> Fid {
        guard let fid = fids[number] else { throw ShareError(EBADF) }
        return fid
    }
    /// The file of a fid that is no extended attribute.
    func node(_ number: UInt32) throws(ShareError) -> ShareNode {
        let fid = try fid(number)
        guard fid.attribute == nil else { throw ShareError(EBADF) }
        return fid.node
    }
    /// EROFS where the guest may change nothing.
    func requireWritable() throws(ShareError) {
        if options.isReadOnly { throw ShareError(EROFS) }
    }
    /// Makes a new fid.
    func add(_ fid: Fid, as number: UInt32) throws(ShareError) {
        guard number != Self.noFid, fids[number] == nil else { throw ShareError(EINVAL) }
        guard fids.count < Self.mostFids else { throw ShareError(EMFILE) }
        fids[number] = fid
    }
    /// What the protocol calls a file.
    func identity(of node: ShareNode) throws(ShareError) -> FileIdentity {
        try identities.identity(try mapping.status(of: node))
    }
    /// The file of a name in a folder.
    func child(of folder: ShareNode, _ name: FileName) throws(ShareError) -> ShareNode {
        let node = try ShareNode(in: folder, name)
        if options.devices == .forbid, node.device != root.device { throw ShareError(ENODEV) }
        return node
    }
}
