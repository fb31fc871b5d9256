/// What a discard of the guest's does (`discard=`).
public enum DiscardMode: String, Sendable, CaseIterable {
    /// Nothing: it succeeds and the storage stays.
    case ignore
    /// The storage is given back where the node below can.
    case unmap
}

/// What a write of nothing but zeroes becomes (`detect-zeroes=`).
public enum DetectZeroes: String, Sendable, CaseIterable {
    /// A write.
    case off
    /// A write-zeroes request.
    case on
    /// A write-zeroes request that may give storage back, when `discard=unmap` says so too.
    case unmap
}

/// What of the host's caching a disk uses (`cache=` of `-drive`). The table is QEMU's manual's, option `cache`.
public struct CacheMode: Sendable, Hashable {
    /// The device announces a volatile write cache; otherwise each write is durable when it completes.
    public var writeback: Bool
    /// The host's page cache is bypassed (`O_DIRECT`).
    public var direct: Bool
    /// Flushes do nothing: a crash of the host may lose everything.
    public var noFlush: Bool

    /// A mode of the three choices.
    public init(writeback: Bool, direct: Bool, noFlush: Bool) {
        self.writeback = writeback
        self.direct = direct
        self.noFlush = noFlush
    }

    /// Page cache, flushes kept: the default.
    public static let writeback = CacheMode(writeback: true, direct: false, noFlush: false)
    /// `O_DIRECT`, flushes kept.
    public static let none = CacheMode(writeback: true, direct: true, noFlush: false)
    /// Page cache, each write durable.
    public static let writethrough = CacheMode(writeback: false, direct: false, noFlush: false)
    /// `O_DIRECT`, each write durable.
    public static let directsync = CacheMode(writeback: false, direct: true, noFlush: false)
    /// Page cache, flushes ignored.
    public static let unsafe = CacheMode(writeback: true, direct: false, noFlush: true)

    /// The mode of a `cache=` value.
    public init?(name: String) {
        switch name {
        case "writeback": self = .writeback
        case "none", "off": self = .none
        case "writethrough": self = .writethrough
        case "directsync": self = .directsync
        case "unsafe": self = CacheMode(writeback: true, direct: false, noFlush: true)
        default: return nil
        }
    }
}

/// The options that every node of the graph has.
public struct NodeOptions: Sendable {
    /// The node's name in the graph (`node-name`); the graph makes one up (`#block` and a number) when it is nil.
    public var nodeName: String?
    /// `read-only`.
    public var readOnly = false
    /// `auto-read-only`: open read-only when the file cannot be written.
    public var autoReadOnly = false
    /// `discard`.
    public var discard = DiscardMode.ignore
    /// `detect-zeroes`.
    public var detectZeroes = DetectZeroes.off
    /// `cache.direct`, `cache.no-flush`; `writeback` belongs to the device above and is ignored here.
    public var cache = CacheMode.writeback
    /// `force-share`: read an image that others may write.
    public var forceShare = false

    /// The defaults.
    public init() {}

    /// The defaults, but for what a discard does.
    init(discard: DiscardMode) { self.discard = discard }
}
