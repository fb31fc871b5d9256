internal import CEngine
public import HostOS
internal import Synchronization

/// A piece of guest RAM or ROM: host memory with a name, found in the guest's physical space by an `AddressSpace`.
///
/// The memory may be read and written at any moment by guest processors on other threads, so every access goes
/// through `CEngine`'s access functions or the kernel.
public final class RAMBlock: @unchecked Sendable {
    // The mapping is immutable; the bytes behind it and the page flags are shared memory accessed atomically.

    /// Name for `info mtree` and saved states, `pc.ram`.
    public let name: String
    /// Size in bytes, a multiple of 4096.
    public let size: Int
    /// What lies under it.
    public var backing: Backing {
        switch view.load(ordering: .relaxed) {
        case View.frozen: .privateFile
        case View.anonymous: .anonymous
        default: firstBacking
        }
    }
    let firstBacking: Backing
    /// Whether the mapping is still the first one, one of frozen files with what was changed since, or plain memory.
    enum View {
        static let first: UInt8 = 0
        static let frozen: UInt8 = 1
        static let anonymous: UInt8 = 2
    }
    let view = Atomic<UInt8>(View.first)
    let layers = Mutex<[FrozenLayer]>([])
    let file: Descriptor?
    let mapping: Mapping
    private let flagMapping: Mapping
    private let granuleMapping: Mapping

    /// Where a block's bytes live. Code above never assumes which.
    public enum Backing: Sendable, Equatable {
        /// Private anonymous memory (huge pages and page merging work here).
        case anonymous
        /// A memfd or file, shared with other processes.
        case shared(descriptor: Int32)
        /// A file of which this process has its own changes.
        case privateFile
    }

    /// Flags of one page, set and cleared atomically.
    public enum PageFlag {
        /// Some processor has decoded or translated code from this page.
        public static let code: UInt8 = 1
        /// Written since the migration log was last taken.
        public static let dirtyMigration: UInt8 = 2
        /// Written since the display last looked.
        public static let dirtyDisplay: UInt8 = 4
    }

    /// Private zeroed memory of `size` bytes (rounded up to a page).
    public init(name: String, size: Int) throws(HostError) {
        let rounded = (size + 4095) & ~4095
        self.name = name
        self.size = rounded
        firstBacking = .anonymous
        file = nil
        mapping = try .anonymous(count: rounded)
        flagMapping = try .anonymous(count: max(4096, (rounded >> 12) + 4095 & ~4095))
        granuleMapping = try .anonymous(count: max(4096, (rounded >> 9) + 4095 & ~4095))
    }

    /// The first `size` bytes (a multiple of 4096) of a file, which is at least as long.
    public init(name: String, size: Int, file: Descriptor, isShared: Bool) throws(HostError) {
        let rounded = (size + 4095) & ~4095
        self.name = name
        self.size = rounded
        self.file = file
        firstBacking = isShared ? .shared(descriptor: file.rawValue) : .privateFile
        mapping = try .file(file, count: rounded, isShared: isShared)
        flagMapping = try .anonymous(count: max(4096, (rounded >> 12) + 4095 & ~4095))
        granuleMapping = try .anonymous(count: max(4096, (rounded >> 9) + 4095 & ~4095))
    }

    /// Makes all pages now.
    public func populate() throws(HostError) { try mapping.populate() }

    /// Has pages come from these nodes of the host. Before the first use.
    public func bind(_ policy: Mapping.Policy, nodes: [Int]) throws(HostError) {
        try mapping.bind(policy, nodes: nodes)
    }

    /// First host byte. Valid as long as this object.
    @inlinable public var base: UnsafeMutableRawPointer { unsafe hostBase }
    @usableFromInline var hostBase: UnsafeMutableRawPointer { mapping.base }

    /// One byte of flags a page, `PageFlag`.
    public var pageFlags: UnsafeMutablePointer<UInt8> {
        // SAFETY: the flag mapping has one byte for each page of the block.
        unsafe flagMapping.base.assumingMemoryBound(to: UInt8.self)
    }

    /// One word a page: bit n is set while some processor may hold decoded code of its bytes 64n to 64n+63.
    public var codeGranules: UnsafeMutablePointer<UInt64> {
        // SAFETY: the mapping has one word for each page of the block.
        unsafe granuleMapping.base.assumingMemoryBound(to: UInt64.self)
    }

    /// Advises the kernel about the whole block (`MADV_*`).
    public func advise(_ advice: Int32) { mapping.advise(advice) }

    /// Makes all bytes zero: anonymous memory goes back to the host. While no processor runs.
    public func clear() {
        switch backing {
        case .anonymous: return mapping.discard(offset: 0, count: size)
        case .privateFile where !frozen.isEmpty:
            if (try? mapping.replaceWithZeroes(offset: 0, count: size)) != nil {
                layers.withLock { $0 = [] }
                view.store(View.anonymous, ordering: .relaxed)
                // MADV_HUGEPAGE, as it was before.
                return mapping.advise(14)
            }
        case .shared:
            // Pages go back to the host, for all who have the file.
            if let file, HostFile.punch(file, at: 0, Int64(size)) { return }
        default: break
        }
        // SAFETY: the mapping has `size` bytes.
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    /// Gives whole pages of a range back to the host; they read as zero from then on. Blocks that are shared with
    /// other processes keep theirs.
    func discard(offset: UInt64, count: UInt64) {
        guard offset <= UInt64(size), count <= UInt64(size) - offset else { return }
        switch backing {
        case .anonymous: mapping.discard(offset: Int(offset), count: Int(count))
        case .privateFile where !frozen.isEmpty:
            // The file would show through again. Where there are too many pieces already, the pages stay.
            let (start, end) = (Int(offset) + 4095 & ~4095, (Int(offset) + Int(count)) & ~4095)
            if start < end { try? mapping.replaceWithZeroes(offset: start, count: end - start) }
        case .privateFile, .shared: break
        }
    }
}
