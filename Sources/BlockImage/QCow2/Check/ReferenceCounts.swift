/// Reference counts as a check finds them: pages that come into being where something is counted, so that a file of
/// any length costs no more than what is in it.
@safe struct ReferenceCounts: ~Copyable {
    private static let pageBits: UInt64 = 16
    private static let pageSize = 1 << 16

    private var pages: [UInt64: UnsafeMutablePointer<UInt32>] = unsafe [:]
    private var current: UnsafeMutablePointer<UInt32>?
    private var currentIndex: UInt64 = .max

    deinit { for unsafe page in unsafe pages.values { unsafe page.deallocate() } }

    /// Adds a reference to a cluster.
    @inline(__always)
    mutating func add(_ cluster: UInt64) {
        if cluster >> ReferenceCounts.pageBits != currentIndex { turn(to: cluster >> ReferenceCounts.pageBits) }
        // SAFETY: the index is masked to the page's size; the page lives as long as this value.
        unsafe current!.advanced(by: Int(cluster & 0xffff)).pointee &+= 1
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
        return unsafe current!.advanced(by: Int(cluster & 0xffff)).pointee
    }

    private mutating func turn(to index: UInt64) {
        if let page = unsafe pages[index] {
            unsafe current = page
        } else {
            let page = UnsafeMutablePointer<UInt32>.allocate(capacity: ReferenceCounts.pageSize)
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
        for unsafe page in unsafe pages.values { unsafe page.deallocate() }
        unsafe pages = [:]
        unsafe current = nil
        currentIndex = .max
    }
}
