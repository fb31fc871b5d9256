/// Small writes to the page cache that wait for the end of their batch, and whether more are taken: after a slow one the
/// next go another way, twice as many each time that it happens again soon.
struct SmallWrites {
    /// A write that takes longer, in nanoseconds, was not just copied.
    static let patience: UInt64 = 500_000
    private static let largest: UInt64 = 64 << 10
    /// What a batch may take of its thread's time.
    private static let most: UInt64 = 512 << 10
    private static let longestDetour = 4096

    private var writes: [BlockRequest] = []
    private var bytes: UInt64 = 0
    /// How many are turned away still, and how many will be the next time.
    private var turnedAway = 0
    private var detour = 16
    private var quick = 0

    /// Keeps a request, if it is one to be carried out by a blocking call.
    mutating func take(_ request: BlockRequest, _ access: FileAccess) -> Bool {
        guard request.operation == .write, request.length <= Self.largest, !request.forceUnitAccess, !access.isDirect,
            !access.isBlockDevice, bytes + request.length <= Self.most
        else { return false }
        guard turnedAway == 0 else {
            turnedAway -= 1
            return false
        }
        writes.append(request)
        bytes += request.length
        return true
    }

    /// Gives out what was kept.
    mutating func hand() -> [BlockRequest] {
        defer { (writes, bytes) = ([], 0) }
        return writes
    }

    /// One was slow.
    mutating func turnAway() {
        turnedAway = detour
        detour = min(detour * 2, Self.longestDetour)
        quick = 0
    }

    /// So many were quick.
    mutating func commend(_ count: Int) {
        quick += count
        if quick > detour { (detour, quick) = (16, 0) }
    }
}
