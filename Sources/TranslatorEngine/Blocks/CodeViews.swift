internal import CEngine

/// The pages that user code of the last few address spaces was fetched from.
///
/// A write of CR3 drops what the processor knows of user pages, and with it every remembered place of code. Where the
/// page tables of an address space that comes back still lead its code pages to where they were, the generation that
/// its code was found in is taken up again.
@safe final class CodeViews {
    private static let viewCount = 8
    private static let pageCapacity = 128

    private struct View {
        var cr3: UInt64 = .max
        /// The user generation of its places.
        var generation: UInt64 = 0
        /// Pages noted; more than fit mean that the view cannot come back.
        var count = 0
        /// When it was last in use.
        var turn: UInt64 = 0
    }

    private let views: UnsafeMutablePointer<View>
    private let pages: UnsafeMutablePointer<(linear: UInt64, host: UInt)>
    private var current = 0
    private var turn: UInt64 = 0
    private(set) var lastGeneration: UInt64 = 1

    init() {
        unsafe views = .allocate(capacity: Self.viewCount)
        unsafe views.initialize(repeating: View(), count: Self.viewCount)
        unsafe pages = .allocate(capacity: Self.viewCount * Self.pageCapacity)
        unsafe pages.initialize(repeating: (0, 0), count: Self.viewCount * Self.pageCapacity)
    }

    deinit {
        unsafe views.deallocate()
        unsafe pages.deallocate()
    }

    /// Notes a page that user code is fetched from in the current address space.
    func note(_ linear: UInt64, host: UInt) {
        let view = unsafe views + current
        let count = unsafe view.pointee.count
        if count < Self.pageCapacity { unsafe pages[current * Self.pageCapacity + count] = (linear, host) }
        unsafe view.pointee.count = min(count, Self.pageCapacity) + 1
    }

    /// A generation for the current address space in which nothing is known.
    func renew() -> UInt64 {
        lastGeneration += 1
        unsafe views[current].generation = lastGeneration
        unsafe views[current].count = 0
        return lastGeneration
    }

    /// Generations up to this one were a parent's.
    func goOn(from generation: UInt64) { lastGeneration = max(lastGeneration, generation) }

    /// Forgets all address spaces, and gives a generation in which nothing is known.
    func forgetAll() -> UInt64 {
        for index in 0..<Self.viewCount { unsafe views[index].cr3 = .max }
        return renew()
    }

    /// The user generation of the address space that CR3 now names.
    func generation(_ cpu: CPU) -> UInt64 {
        let cr3 = unsafe cpu.p.pointee.s.cr3
        turn += 1
        var oldest = 0
        for index in 0..<Self.viewCount {
            let view = unsafe views + index
            if unsafe view.pointee.cr3 == cr3 {
                current = index
                unsafe view.pointee.turn = turn
                return holds(cpu, index) ? unsafe view.pointee.generation : renew()
            }
            if unsafe view.pointee.turn < views[oldest].turn { oldest = index }
        }
        current = oldest
        unsafe views[current].cr3 = cr3
        unsafe views[current].turn = turn
        return renew()
    }

    /// Whether all pages of a view are where they were.
    private func holds(_ cpu: CPU, _ index: Int) -> Bool {
        let count = unsafe views[index].count
        guard count <= Self.pageCapacity else { return false }
        let list = unsafe pages + index * Self.pageCapacity
        var path = CodePath()
        for number in 0..<count {
            guard unsafe path.host(cpu, list[number].linear) == list[number].host else { return false }
        }
        return true
    }
}

/// Walks four-level tables for user code without a trace, and keeps the last table of pages for its neighbours.
private struct CodePath {
    private var region: UInt64 = .max
    private var table: UInt64 = 0

    /// The host's page of a page that user code can be fetched from with no bit to be set; nil for others.
    mutating func host(_ cpu: CPU, _ linear: UInt64) -> UInt? {
        let mask = unsafe cpu.p.pointee.physical_mask
        var reserved = ~mask & 0x000f_ffff_ffff_f000
        reserved |= PTE.noExecute
        let wanted = PTE.present | PTE.user | PTE.accessed
        if linear >> 21 != region {
            var at = unsafe cpu.p.pointee.s.cr3 & mask
            for level in [UInt64(39), 30, 21] {
                guard let entry = cpu.loadEntry(at &+ (linear >> level & 0x1ff) << 3) else { return nil }
                // Large pages are looked at anew each time.
                guard entry & wanted == wanted, entry & (reserved | PTE.large) == 0 else { return nil }
                at = entry & mask
            }
            region = linear >> 21
            table = at
        }
        guard let entry = cpu.loadEntry(table &+ (linear >> 12 & 0x1ff) << 3) else { return nil }
        guard entry & wanted == wanted, entry & reserved == 0 else { return nil }
        guard let range = unsafe cpu.range(at: entry & mask) else { return nil }
        return unsafe UInt(bitPattern: range.pointee.host) &+ UInt((entry & mask) &- range.pointee.start)
    }
}
