internal import CLinux
internal import SystemPackage

extension HostFile {
    /// Gives a file to another user, and to another group unless that is nil.
    public static func setOwner(_ path: String, _ user: UInt32, group: UInt32? = nil) throws(HostError) {
        // SAFETY: the C string lives for the call.
        guard unsafe path.withCString({ unsafe apus_set_owner($0, user, group ?? UInt32.max) }) == 0 else {
            throw HostError(reason: apus_errno(), "give '\(path)' to user \(user)")
        }
    }

    /// An extended attribute of a file, of at most 4 KiB; nil: it has none of that name (xattr(7)).
    public static func attribute(_ path: String, _ name: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        // SAFETY: the call writes at most the array's count; the C strings live for it.
        let count = unsafe path.withCString { path in
            unsafe name.withCString { name in
                unsafe bytes.withUnsafeMutableBytes { unsafe apus_attribute(path, name, $0.baseAddress, $0.count) }
            }
        }
        return count < 0 ? nil : Array(bytes[..<Int(count)])
    }

    /// Sets an extended attribute.
    public static func setAttribute(_ path: String, _ name: String, _ bytes: [UInt8]) throws(HostError) {
        // SAFETY: the bytes and the C strings live for the call.
        let status = unsafe path.withCString { path in
            unsafe name.withCString { name in
                unsafe bytes.withUnsafeBytes { unsafe apus_set_attribute(path, name, $0.baseAddress, $0.count) }
            }
        }
        guard status == 0 else { throw HostError(reason: apus_errno(), "set attribute '\(name)' of '\(path)'") }
    }

    /// Takes an extended attribute away; no error where there is none.
    public static func removeAttribute(_ path: String, _ name: String) {
        // SAFETY: the C strings live for the call.
        _ = unsafe path.withCString { path in unsafe name.withCString { unsafe apus_remove_attribute(path, $0) } }
    }
}

/// Who besides a file's owner and group may do what with it (acl(5)).
public struct AccessList: Equatable, Sendable {
    struct Entry: Equatable {
        var tag: UInt16
        var rights: UInt16
        var id: UInt32
    }
    // linux/posix_acl.h
    private enum Tag {
        static let owner: UInt16 = 1
        static let user: UInt16 = 2
        static let group: UInt16 = 4
        static let namedGroup: UInt16 = 8
        static let mask: UInt16 = 16
        static let other: UInt16 = 32
    }
    private static let attribute = "system.posix_acl_access"
    private static let version: UInt32 = 2
    private static let nobody = UInt32.max

    var entries: [Entry]

    /// Of permission bits alone.
    public init(mode: UInt32) {
        entries = [
            Entry(tag: Tag.owner, rights: UInt16(mode >> 6 & 7), id: Self.nobody),
            Entry(tag: Tag.group, rights: UInt16(mode >> 3 & 7), id: Self.nobody),
            Entry(tag: Tag.other, rights: UInt16(mode & 7), id: Self.nobody),
        ]
    }

    /// Reads the kernel's form; nil: it is none.
    public init?(_ bytes: [UInt8]) {
        func number(_ place: Int, _ count: Int) -> UInt32 {
            (0..<count).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) }
        }
        guard bytes.count >= 4, (bytes.count - 4) % 8 == 0, number(0, 4) == Self.version else { return nil }
        entries = stride(from: 4, to: bytes.count, by: 8).map { place in
            Entry(tag: UInt16(number(place, 2)), rights: UInt16(number(place + 2, 2)), id: number(place + 4, 4))
        }
    }

    /// The kernel's form.
    public var bytes: [UInt8] {
        func bytes(_ number: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
        }
        return entries.reduce(into: bytes(Self.version, 4)) { text, entry in
            text += bytes(UInt32(entry.tag), 2) + bytes(UInt32(entry.rights), 2) + bytes(entry.id, 4)
        }
    }

    /// Lets a user read, and write. False: others that are named would then be able to do more, too.
    public mutating func allow(user: UInt32, writing: Bool) -> Bool {
        let rights: UInt16 = writing ? 6 : 4
        remove(user: user)
        if let mask = entries.firstIndex(where: { $0.tag == Tag.mask }) {
            guard entries[mask].rights & rights == rights else { return false }
        } else {
            let group = entries.first { $0.tag == Tag.group }?.rights ?? 0
            entries.append(Entry(tag: Tag.mask, rights: group | rights, id: Self.nobody))
        }
        entries.append(Entry(tag: Tag.user, rights: rights, id: user))
        // The kernel wants them in the order of tags and numbers.
        entries.sort { ($0.tag, $0.id) < ($1.tag, $1.id) }
        return true
    }

    /// Takes a user's own entry away; what was there for others stays.
    public mutating func remove(user: UInt32) {
        let count = entries.count
        entries.removeAll { $0.tag == Tag.user && $0.id == user }
        guard entries.count < count, !entries.contains(where: { $0.tag == Tag.user || $0.tag == Tag.namedGroup })
        else { return }
        entries.removeAll { $0.tag == Tag.mask }
    }

    /// Of a file.
    public init(of path: String) throws(HostError) {
        if let bytes = HostFile.attribute(path, Self.attribute), let list = AccessList(bytes) {
            self = list
        } else {
            self.init(mode: try HostFile.details(path).mode)
        }
    }

    /// Makes it a file's.
    public func apply(to path: String) throws(HostError) { try HostFile.setAttribute(path, Self.attribute, bytes) }
}
