internal import CEngine
internal import HostOS
internal import SystemPackage

/// The translations that translated code uses: for each memory mode a table of all pages of the 48-bit address space,
/// reserved and mostly untouched. Sixteen bytes a page: for reads and for writes the distance from linear to host
/// address plus 1, or 0 where the slow path must decide. It holds a part of what the processor's TLBs hold, and is
/// dropped with them.
///
/// Dropped entries are zeroes in pages that stay. Every process of a guest lies at random addresses of its own, so that
/// such pages would only ever become more: what the tables touch is counted, and beyond a limit all is given back.
///
/// Where the host has no room for them there is none, and translated code looks into the interpreter's TLB, whose tags it
/// compares.
@safe final class FlatTables {
    private static let tableBytes = 1 << 40
    private static let logCapacity = 32768
    /// Pages of the tables that may be touched, 16 MiB.
    private static let touchedLimit = 4096
    /// Slots for the set of them, a power of two.
    private static let touchedSlots = 8192
    /// Bytes below each table through which translated code sees the processor's structure.
    static var headerBytes: Int { unsafe (MemoryLayout<apus_vcpu>.stride + 4095) & ~4095 }

    /// Where each table begins.
    private let bases: (UInt, UInt, UInt)
    private let first: Mapping
    private let second: Mapping
    private let third: Mapping
    /// There are no tables: translated code looks into the TLB.
    let isTagged: Bool
    /// Filled entries of each table, as byte offsets, for the lower and the upper half; flushes undo them.
    private let logs: UnsafeMutablePointer<UInt64>
    private let counts: UnsafeMutablePointer<Int>
    /// The set of the touched pages, by their numbers plus 1, with open addressing.
    private let touched: UnsafeMutablePointer<UInt32>
    private var touchedCount = 0
    private let locals: UnsafeMutablePointer<UInt64>
    private var localCount = 0
    private static let localCapacity = 64
    private let caches: InlineCaches

    /// Tables above views of the structure in `file`, or the views alone; what they drop, inline caches drop too. Throws
    /// where so much address space cannot be had.
    init(_ file: FileDescriptor, _ caches: InlineCaches, isTagged: Bool) throws(HostError) {
        self.caches = caches
        self.isTagged = isTagged
        func table() throws(HostError) -> Mapping {
            isTagged
                ? try .shared(file, count: Self.headerBytes)
                : try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        }
        first = try table()
        second = try table()
        third = try table()
        bases = (Self.start(first), Self.start(second), Self.start(third))
        unsafe logs = .allocate(capacity: 6 * Self.logCapacity)
        unsafe counts = .allocate(capacity: 6)
        unsafe locals = .allocate(capacity: Self.localCapacity)
        unsafe counts.initialize(repeating: 0, count: 6)
        unsafe touched = .allocate(capacity: Self.touchedSlots)
        unsafe touched.initialize(repeating: 0, count: Self.touchedSlots)
    }

    deinit {
        unsafe logs.deallocate()
        unsafe counts.deallocate()
        unsafe touched.deallocate()
        unsafe locals.deallocate()
    }

    /// The address of a mode's table.
    func base(_ mode: Int) -> UInt { mode == 0 ? bases.0 : mode == 1 ? bases.1 : bases.2 }
    private static func start(_ mapping: borrowing Mapping) -> UInt { UInt(bitPattern: mapping.base) + UInt(headerBytes) }

    private static func offset(_ linear: UInt64) -> UInt64 { (linear >> 12 & 0xf_ffff_ffff) << 4 }
    private func entry(_ mode: Int, _ offset: UInt64) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: offsets are made of 36 bits of a page's number, the table's length.
        unsafe UnsafeMutablePointer(bitPattern: base(mode) + UInt(offset)).unsafelyUnwrapped
    }

    /// Notes that translated code looks for a page: its entry takes the host's memory even where it stays empty.
    func touch(_ mode: Int, _ linear: UInt64) {
        if isTagged { return }
        let slot = slot(mode, linear)
        guard unsafe touched[slot] == 0 else { return }
        unsafe touched[slot] = Self.number(mode, linear)
        touchedCount += 1
        if touchedCount == Self.touchedLimit { release() }
    }

    /// The number, never zero, of the table's page that has an entry: a page has those of 1 MiB.
    private static func number(_ mode: Int, _ linear: UInt64) -> UInt32 {
        (UInt32(truncatingIfNeeded: linear >> 20) & 0xfff_ffff | UInt32(mode) << 28) + 1
    }

    /// Where the set has a page of a table, or where it would enter it.
    private func slot(_ mode: Int, _ linear: UInt64) -> Int {
        let page = Self.number(mode, linear)
        var slot = Int((page &* 0x9e37_79b1) >> 19)
        // The set is never more than half full.
        while unsafe touched[slot] != 0 && touched[slot] != page { slot = (slot + 1) & (Self.touchedSlots - 1) }
        return slot
    }

    /// Drops everything, and the memory with it.
    private func release() {
        caches.drop()
        unsafe counts.update(repeating: 0, count: 6)
        localCount = 0
        unsafe touched.update(repeating: 0, count: Self.touchedSlots)
        touchedCount = 0
        first.makeSparse(from: Self.headerBytes)
        second.makeSparse(from: Self.headerBytes)
        third.makeSparse(from: Self.headerBytes)
    }

    /// Enters a page; `addend` is host minus linear address.
    func fill(_ mode: Int, _ linear: UInt64, addend: UInt64, writable: Bool) {
        if isTagged { return }
        touch(mode, linear)
        let half = mode * 2 + Int(linear >> 63)
        if unsafe counts[half] == Self.logCapacity { flush(half) }
        let offset = Self.offset(linear)
        let entry = unsafe entry(mode, offset)
        let old = unsafe (entry[0], entry[1])
        if old.0 != 0 && (old.0 != addend &+ 1 || old.1 != 0 && !writable) { caches.drop(linear & ~0xfff, pages: 1) }
        if old.0 == 0 {
            unsafe logs[half * Self.logCapacity + counts[half]] = offset
            unsafe counts[half] += 1
        }
        unsafe entry[0] = addend &+ 1
        unsafe entry[1] = writable ? addend &+ 1 : 0
    }

    /// Empties half a table.
    private func flush(_ half: Int) {
        caches.drop()
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

    /// Drops the pages of a range within an aligned 2 MiB.
    func drop(_ linear: UInt64, pages: Int) {
        caches.drop(linear, pages: pages)
        for mode in 0..<3 {
            // What was never touched is empty, and stays without memory. There is a look for each 1 MiB.
            for first in stride(from: 0, to: pages, by: 256) {
                let from = linear &+ UInt64(first) << 12
                guard unsafe touched[slot(mode, from)] != 0 else { continue }
                let start = unsafe entry(mode, Self.offset(from))
                unsafe start.update(repeating: 0, count: min(pages - first, 256) * 2)
            }
        }
    }

    /// Makes writes of the page at a host address take the slow path.
    func protect(host: UInt64) {
        caches.drop(host: host)
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
