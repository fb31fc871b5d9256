internal import CEngine
internal import HostOS
internal import SystemPackage

/// The translations that translated code uses: for each memory mode a table of all pages of the 48-bit address space,
/// reserved and mostly untouched. Sixteen bytes a page: for reads and for writes the distance from linear to host
/// address plus 1, or 0 where the slow path must decide. It holds a part of what the processor's TLBs hold, and is
/// dropped with them.
@safe final class FlatTables {
    private static let tableBytes = 1 << 40
    private static let logCapacity = 8192
    /// Bytes below each table through which translated code sees the processor's structure.
    static var headerBytes: Int { (MemoryLayout<apus_vcpu>.stride + 4095) & ~4095 }

    private let first: Mapping
    private let second: Mapping
    private let third: Mapping
    /// Filled entries of each table, as byte offsets, for the lower and the upper half; flushes undo them.
    private let logs: UnsafeMutablePointer<UInt64>
    private let counts: UnsafeMutablePointer<Int>
    private let locals: UnsafeMutablePointer<UInt64>
    private var localCount = 0
    private static let localCapacity = 64

    /// Tables above views of the structure in `file`. Throws where so much address space cannot be had.
    init(_ file: FileDescriptor) throws(HostError) {
        first = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        second = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        third = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        unsafe logs = .allocate(capacity: 6 * Self.logCapacity)
        unsafe counts = .allocate(capacity: 6)
        unsafe locals = .allocate(capacity: Self.localCapacity)
        unsafe counts.initialize(repeating: 0, count: 6)
    }

    deinit {
        unsafe logs.deallocate()
        unsafe counts.deallocate()
        unsafe locals.deallocate()
    }

    /// The address of a mode's table.
    func base(_ mode: Int) -> UInt {
        let start = mode == 0 ? first.base : mode == 1 ? second.base : third.base
        return unsafe UInt(bitPattern: start) + UInt(Self.headerBytes)
    }

    private static func offset(_ linear: UInt64) -> UInt64 { (linear >> 12 & 0xf_ffff_ffff) << 4 }
    private func entry(_ mode: Int, _ offset: UInt64) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: offsets are made of 36 bits of a page's number, the table's length.
        unsafe UnsafeMutablePointer(bitPattern: base(mode) + UInt(offset)).unsafelyUnwrapped
    }

    /// Enters a page; `addend` is host minus linear address.
    func fill(_ mode: Int, _ linear: UInt64, addend: UInt64, writable: Bool) {
        let half = mode * 2 + Int(linear >> 63)
        if unsafe counts[half] == Self.logCapacity { flush(half) }
        let offset = Self.offset(linear)
        let entry = unsafe entry(mode, offset)
        if unsafe entry[0] == 0 {
            unsafe logs[half * Self.logCapacity + counts[half]] = offset
            unsafe counts[half] += 1
        }
        unsafe entry[0] = addend &+ 1
        unsafe entry[1] = writable ? addend &+ 1 : 0
    }

    /// Empties half a table.
    private func flush(_ half: Int) {
        let log = unsafe logs + half * Self.logCapacity
        for position in 0..<(unsafe counts[half]) {
            let entry = unsafe entry(half >> 1, log[position])
            unsafe entry[0] = 0
            unsafe entry[1] = 0
        }
        unsafe counts[half] = 0
    }

    /// Drops everything.
    func flush() { for half in 0..<6 { flush(half) } }
    /// Notes a page of the upper half that is not global: the next write of CR3 drops it.
    func noteLocal(_ linear: UInt64) {
        if localCount < Self.localCapacity { unsafe locals[localCount] = linear & ~0xfff }
        localCount = min(localCount, Self.localCapacity) + 1
    }

    /// Drops what a write of CR3 drops: the lower halves, and pages of the upper that are not global.
    func flushLocal() {
        for mode in 0..<3 { flush(mode * 2) }
        if localCount > Self.localCapacity {
            for mode in 0..<3 { flush(mode * 2 + 1) }
        } else {
            for index in 0..<localCount { unsafe drop(locals[index], pages: 1) }
        }
        localCount = 0
    }

    /// Drops the pages of a range of at most 2 MiB.
    func drop(_ linear: UInt64, pages: Int) {
        for mode in 0..<3 {
            let start = unsafe entry(mode, Self.offset(linear))
            // A run within one aligned 2 MiB region does not wrap.
            unsafe start.update(repeating: 0, count: pages * 2)
        }
    }

    /// Makes writes of the page at a host address take the slow path.
    func protect(host: UInt64) {
        for half in 0..<6 {
            let log = unsafe logs + half * Self.logCapacity
            for position in 0..<(unsafe counts[half]) {
                let offset = unsafe log[position]
                let entry = unsafe entry(half >> 1, offset)
                guard unsafe entry[1] != 0 else { continue }
                // Bits 12 to 47 of the linear address are enough to know the host's page.
                let page = unsafe (entry[1] &- 1) &+ offset << 8
                if (page ^ host) & 0xffff_ffff_f000 == 0 { unsafe entry[1] = 0 }
            }
        }
    }
}
