/// Reference counts as a check finds them: pages that come into being where something is counted, so that a file of
/// any length costs no more than what is in it.
@safe struct ReferenceCounts: ~Copyable {
    private static let pageBits: UInt64 = 16
    private static let pageSize = 1 << 16

    private var pages: [UInt64: UnsafeMutablePointer<UInt16>] = unsafe [:]
    private var current: UnsafeMutablePointer<UInt16>?
    private var currentIndex: UInt64 = .max
    /// What goes beyond 65535, of the few clusters that have so many.
    private var overflow: [UInt64: UInt32] = [:]

    deinit { unsafe pages.values.forEach { unsafe $0.deallocate() } }

    /// Adds a reference to a cluster.
    @inline(__always)
    mutating func add(_ cluster: UInt64) {
        if cluster >> ReferenceCounts.pageBits != currentIndex { turn(to: cluster >> ReferenceCounts.pageBits) }
        // SAFETY: the index is masked to the page's size; the page lives as long as this value.
        let place = unsafe current!.advanced(by: Int(cluster & 0xffff))
        if unsafe place.pointee == .max { overflow[cluster, default: 0] += 1 } else { unsafe place.pointee += 1 }
    }

    /// How many references a cluster has.
    @inline(__always)
    mutating func count(_ cluster: UInt64) -> UInt32 {
        if cluster >> ReferenceCounts.pageBits != currentIndex {
            guard let page = unsafe pages[cluster >> ReferenceCounts.pageBits] else { return 0 }
            unsafe current = page
            currentIndex = cluster >> ReferenceCounts.pageBits
        }
        // SAFETY: as above.
        let count = unsafe current!.advanced(by: Int(cluster & 0xffff)).pointee
        return count == .max ? UInt32(count) + overflow[cluster, default: 0] : UInt32(count)
    }

    private mutating func turn(to index: UInt64) {
        if let page = unsafe pages[index] {
            unsafe current = page
        } else {
            let page = UnsafeMutablePointer<UInt16>.allocate(capacity: ReferenceCounts.pageSize)
            unsafe page.initialize(repeating: 0, count: ReferenceCounts.pageSize)
            unsafe pages[index] = page
            unsafe current = page
        }
        currentIndex = index
    }

    /// The numbers of the pages that hold counts, in order.
    var pageIndices: [UInt64] { unsafe pages.keys.sorted() }
    /// The first cluster of a page.
    static func first(ofPage index: UInt64) -> UInt64 { index << pageBits }
    /// Clusters in a page.
    static var clustersInPage: UInt64 { UInt64(pageSize) }

    /// Forgets everything.
    mutating func reset() {
        unsafe pages.values.forEach { unsafe $0.deallocate() }
        unsafe pages = [:]
        unsafe current = nil
        currentIndex = .max
        overflow = [:]
    }
}
