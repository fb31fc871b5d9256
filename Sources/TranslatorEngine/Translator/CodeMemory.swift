internal import CEngine
internal import HostOS

/// The memory of one processor's translated code: a memory file that is mapped twice, writable here and executable there,
/// with the records beside the code behind it, which translated code writes itself.
///
/// A copy of a machine executes its parent's code where the parent has it: pages of a file that nobody changes. Each
/// becomes its own before it is changed.
@safe final class CodeMemory {
    /// Bytes of code.
    let capacity: Int
    /// Bytes behind the code for records.
    static let recordCapacity = 4 << 20
    private var file: HostOS.Descriptor
    /// Whether copies of the machine may be given the file as it is.
    private var isGivable = true
    private let writable: Mapping
    private let executable: Mapping
    /// Pages of the executable view that are the parent's, a bit each.
    private var foreign: [UInt64] = []

    private static let name = "apus-translated-code"

    /// Empty memory, or one that has a parent's code at its addresses.
    init(capacity: Int, from parent: FrozenCode.Processor? = nil, of files: [HostOS.Descriptor] = []) throws(HostError)
    {
        self.capacity = capacity
        let count = capacity + Self.recordCapacity
        file = try .memoryFile(name: Self.name, count: count, canBeSealed: true)
        writable = try .shared(file.file, count: count, at: parent.map { .exactly(UInt($0.writable)) } ?? .low)
        executable = try .shared(
            file.file, count: count, protection: [.read, .execute],
            at: parent.map { .exactly(UInt($0.executable)) } ?? .low)
        try executable.protect(capacity..<count, [.read, .write])
        if let parent { try take(parent.hot, parent.cold, parent.records, of: files) }
    }

    /// Has code and records be a parent's.
    private func take(
        _ hot: FrozenCode.Piece, _ cold: FrozenCode.Piece, _ records: FrozenCode.Piece, of files: [HostOS.Descriptor]
    ) throws(HostError) {
        isGivable = false
        foreign = [UInt64](repeating: 0, count: (capacity >> 12) / 64 + 1)
        try take(hot, of: files[hot.file])
        try take(cold, of: files[cold.file])
        // What code wrote into its records is its parent's; what this code writes stays here.
        if !records.isEmpty {
            try executable.replace(
                offset: records.place, count: records.pages << 12, with: files[records.file], at: records.offset)
        }
    }

    /// Has whole pages of a piece be the parent's, and the rest a copy.
    private func take(_ piece: FrozenCode.Piece, of source: HostOS.Descriptor) throws(HostError) {
        let pages = piece.count >> 12
        let rest = piece.count & 4095
        if pages > 0 {
            try executable.replaceExecutable(
                offset: piece.place, count: pages << 12, with: source, at: piece.offset, isShared: false)
            for page in piece.place >> 12..<piece.place >> 12 + pages { foreign[page / 64] |= 1 << UInt64(page % 64) }
        }
        guard rest > 0 else { return }
        // SAFETY: the page is this mapping's own.
        let target = unsafe UnsafeMutableRawBufferPointer(start: writable.base + piece.place + pages << 12, count: rest)
        guard case .moved(rest) = unsafe source.read(into: target, at: piece.offset + Int64(pages) << 12) else {
            throw HostError.noDescriptor("read a parent's translated code")
        }
    }

    /// The first byte of the writable view.
    var base: UnsafeMutablePointer<UInt8> { unsafe writable.base.assumingMemoryBound(to: UInt8.self) }
    /// The first byte of the writable view's records.
    var records: UnsafeMutablePointer<UInt8> { unsafe base + capacity }
    /// Bytes of code and records.
    var count: Int { writable.count }
    /// The executable view's first address.
    var start: UInt64 { UInt64(UInt(bitPattern: executable.base)) }
    /// The bytes as they are executed.
    var contents: UnsafeRawPointer { UnsafeRawPointer(executable.base) }

    /// Where a place of the writable view is executed.
    func address(_ place: UnsafeMutablePointer<UInt8>) -> UInt64 { unsafe start + UInt64(place - base) }

    /// Where code is written that is executed at an address: its bytes from `before` to `after`, made this process's own.
    func place(_ address: UInt64, from before: Int, to after: Int) -> UnsafeMutablePointer<UInt8> {
        let offset = Int(address - start)
        makeOwn(offset + before, offset + after)
        return unsafe base + offset
    }
    /// Makes bytes, by their place in the writable view, this process's own.
    func makeOwn(_ place: UnsafeMutableRawPointer, count: Int) {
        let offset = unsafe place - writable.base
        makeOwn(offset, offset + count)
    }
    /// A record, where code has it.
    func record(_ offset: Int) -> UnsafeMutableRawPointer { unsafe executable.base + offset }

    @inline(__always) private func makeOwn(_ first: Int, _ end: Int) {
        if !foreign.isEmpty { copyPages(first, end) }
    }
    @inline(never) private func copyPages(_ first: Int, _ end: Int) {
        for page in max(first, 0) >> 12...max(end - 1, 0) >> 12 where page < capacity >> 12 {
            guard foreign[page / 64] >> UInt64(page % 64) & 1 != 0 else { continue }
            // SAFETY: a page of both views, of which the writable one is nobody's yet.
            unsafe (writable.base + page << 12).copyMemory(from: executable.base + page << 12, byteCount: 4096)
            do throws(HostError) {
                try executable.replaceExecutable(
                    offset: page << 12, count: 4096, with: file, at: Int64(page) << 12, isShared: true)
            } catch {
                // A change that code does not see would have it go on with what is no longer there.
                fatalError("Cannot make a page of translated code this process's own: \(error)")
            }
            foreign[page / 64] &= ~(1 << UInt64(page % 64))
        }
    }

    /// Gives the file to copies of the machine, where this much of it is in use, and goes on from it as they do; nil where
    /// that was done before. Nothing of it is executed. The first `stubs` bytes stay when all other code is dropped.
    func give(
        stubs: Int, hot: FrozenCode.Piece, cold: FrozenCode.Piece, records: FrozenCode.Piece
    ) throws(HostError) -> HostOS.Descriptor? {
        guard isGivable else { return nil }
        let (old, own) = (file, try HostOS.Descriptor.memoryFile(name: Self.name, count: count, canBeSealed: true))
        do throws(HostError) {
            try writable.replaceShared(offset: 0, count: count, with: own, at: 0)
            file = own
            // SAFETY: both views are longer.
            unsafe writable.base.copyMemory(from: executable.base, byteCount: stubs)
            try show()
            try take(hot, cold, records, of: [old])
        } catch { fatalError("Cannot give translated code to copies of the machine: \(error)") }
        try old.seal()
        return old
    }

    /// Has the executable view be that of the file.
    private func show() throws(HostError) {
        try executable.replaceExecutable(offset: 0, count: capacity, with: file, at: 0, isShared: true)
        try executable.replaceShared(offset: capacity, count: Self.recordCapacity, with: file, at: Int64(capacity))
    }

    /// All is this process's own, and to be written anew. Nothing of it is executed.
    func forgetParent() {
        guard !foreign.isEmpty else { return }
        foreign = []
        do throws(HostError) { try show() } catch {
            fatalError("Cannot drop the code that a machine's parent translated: \(error)")
        }
    }

    /// Has the host count pages of the code once, not for each view.
    func trim() { writable.discard(offset: 0, count: capacity) }
}
