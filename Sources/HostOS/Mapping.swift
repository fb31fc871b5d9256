internal import CLinux
public import SystemPackage

/// Memory mapped into this process; unmapped when the value ends.
///
/// The owner hands out `base` only to code whose life it bounds.
@safe public struct Mapping: ~Copyable, @unchecked Sendable {
    /// First byte, aligned to a page.
    @safe public let base: UnsafeMutableRawPointer
    /// Length in bytes, a multiple of the page size.
    public let count: Int

    /// What the pages may be used for.
    public struct Protection: OptionSet, Sendable {
        /// The `PROT_*` bits.
        public let rawValue: Int32
        /// A set from `PROT_*` bits.
        public init(rawValue: Int32) { self.rawValue = rawValue }
        /// Loads.
        public static let read = Protection(rawValue: PROT_READ)
        /// Stores.
        public static let write = Protection(rawValue: PROT_WRITE)
        /// Instruction fetches.
        public static let execute = Protection(rawValue: PROT_EXEC)
    }

    /// Private zero-filled memory. Pages come into being when they are touched; nothing is reserved.
    public static func anonymous(
        count: Int, protection: Protection = [.read, .write], at place: Place = .anywhere
    ) throws(HostError) -> Mapping {
        try Mapping(
            count: count, protection: protection, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            descriptor: -1, offset: 0, at: place, what: "\(count) bytes of memory")
    }

    /// A shared view of a file.
    public static func shared(
        _ file: FileDescriptor, offset: Int64 = 0, count: Int, protection: Protection = [.read, .write],
        at place: Place = .anywhere
    ) throws(HostError) -> Mapping {
        try Mapping(
            count: count, protection: protection, flags: MAP_SHARED, descriptor: file.rawValue, offset: offset,
            at: place,
            what: "\(count) bytes of a file")
    }

    private init(
        count: Int, protection: Protection, flags: Int32, descriptor: Int32, offset: Int64, at place: Place,
        what: String
    ) throws(HostError) {
        do throws(Errno) {
            unsafe base = try Self.map(count, protection, flags, descriptor, offset, at: place)
        } catch { throw HostError("map \(what)", error) }
        self.count = count
    }

    /// Takes over a range that `mmap` returned.
    init(owning base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// Changes what a part of the pages may be used for. `range` is in bytes, of whole pages within the mapping.
    public func protect(_ range: Range<Int>, _ protection: Protection) throws(HostError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "A mapping protects its own pages")
        // SAFETY: the range is within this mapping.
        guard unsafe mprotect(base + range.lowerBound, range.count, protection.rawValue) == 0 else {
            throw HostError("protect \(range.count) bytes of memory", Errno(rawValue: apus_errno()))
        }
    }

    /// Tells the kernel how the range will be used (`MADV_*`). Advice that the kernel lacks is ignored.
    public func advise(_ advice: Int32) {
        // SAFETY: the range is this mapping's own.
        _ = unsafe madvise(base, count, advice)
    }

    deinit {
        // SAFETY: the range is this mapping's own, and its owner ends with it.
        _ = unsafe munmap(base, count)
    }
}
