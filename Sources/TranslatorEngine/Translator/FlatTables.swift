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
    /// Filled entries of each table, as byte offsets; full flushes undo them.
    private let logs: UnsafeMutablePointer<UInt64>
    private var counts: (Int, Int, Int) = (0, 0, 0)

    /// Tables above views of the structure in `file`. Throws where so much address space cannot be had.
    init(_ file: FileDescriptor) throws(HostError) {
        first = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        second = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        third = try .sparse(count: Self.tableBytes, header: Self.headerBytes, of: file)
        unsafe logs = .allocate(capacity: 3 * Self.logCapacity)
    }

    deinit { unsafe logs.deallocate() }

    /// The address of a mode's table.
    func base(_ mode: Int) -> UInt {
        let start = mode == 0 ? first.base : mode == 1 ? second.base : third.base
        return unsafe UInt(bitPattern: start) + UInt(Self.headerBytes)
    }

    private subscript(count mode: Int) -> Int {
        get { mode == 0 ? counts.0 : mode == 1 ? counts.1 : counts.2 }
        set {
            switch mode {
            case 0: counts.0 = newValue
            case 1: counts.1 = newValue
            default: counts.2 = newValue
            }
        }
    }

    private static func offset(_ linear: UInt64) -> UInt64 { (linear >> 12 & 0xf_ffff_ffff) << 4 }
    private func entry(_ mode: Int, _ offset: UInt64) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: offsets are made of 36 bits of a page's number, the table's length.
        unsafe UnsafeMutablePointer(bitPattern: base(mode) + UInt(offset)).unsafelyUnwrapped
    }

    /// Enters a page; `addend` is host minus linear address.
    func fill(_ mode: Int, _ linear: UInt64, addend: UInt64, writable: Bool) {
        if self[count: mode] == Self.logCapacity { flush(mode) }
        let offset = Self.offset(linear)
        let entry = unsafe entry(mode, offset)
        unsafe logs[mode * Self.logCapacity + self[count: mode]] = offset
        self[count: mode] += 1
        unsafe entry[0] = addend &+ 1
        unsafe entry[1] = writable ? addend &+ 1 : 0
    }

    private func flush(_ mode: Int) {
        let log = unsafe logs + mode * Self.logCapacity
        for position in 0..<self[count: mode] {
            let entry = unsafe entry(mode, log[position])
            unsafe entry[0] = 0
            unsafe entry[1] = 0
        }
        self[count: mode] = 0
    }

    /// Drops everything.
    func flush() { for mode in 0..<3 { flush(mode) } }

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
        for mode in 0..<3 {
            let log = unsafe logs + mode * Self.logCapacity
            for position in 0..<self[count: mode] {
                let offset = unsafe log[position]
                let entry = unsafe entry(mode, offset)
                guard unsafe entry[1] != 0 else { continue }
                // Bits 12 to 47 of the linear address are enough to know the host's page.
                let page = unsafe (entry[1] &- 1) &+ offset << 8
                if (page ^ host) & 0xffff_ffff_f000 == 0 { unsafe entry[1] = 0 }
            }
        }
    }
}
