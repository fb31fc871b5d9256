internal import CEngine
internal import GuestMemory

// Written code. A page that holds decoded code carries a flag, and 64-byte granules of it a bit each, shared by all
// processors. Stores to flagged pages take the slow path, which looks at the bits; blocks whose granules are written
// are dropped by every processor.

/// What processors tell each other about code, handled between blocks.
enum CodeMessage: Sendable {
    /// Blocks that hold any of these bytes are stale.
    case drop(host: UInt, count: UInt)
    /// A page holds code from now on: writes to it must take the slow path.
    case protect(physical: UInt64, host: UInt)
    /// The items of the log are others: all blocks are made anew.
    case traceChanged
}

extension CPU {
    /// The RAM at a host address.
    private func range(atHost host: UInt) -> UnsafeMutablePointer<apus_ram_range>? {
        for index in 0..<Int(unsafe p.pointee.range_count) {
            let range = unsafe p.pointee.ranges + index
            if unsafe UInt64(host &- UInt(bitPattern: range.pointee.host)) < range.pointee.count { return unsafe range }
        }
        return nil
    }

    static func granules(offset: Int, count: Int) -> UInt64 {
        let first = UInt64(offset >> 6)
        let last = UInt64((offset + max(count, 1) - 1) >> 6)
        return (last >= 63 ? ~0 : (1 << (last + 1)) - 1) & ~((1 << first) - 1)
    }

    /// Notes that bytes of one page are about to be decoded.
    func markCode(host: UInt, count: Int) {
        guard let range = unsafe range(atHost: host) else { return }
        let offset = unsafe host &- UInt(bitPattern: range.pointee.host)
        let page = Int(offset >> 12)
        _ = unsafe apus_atomic_or64(
            range.pointee.granules + page, Self.granules(offset: Int(offset & 4095), count: count))
        let old = unsafe apus_atomic_or8(range.pointee.page_flags + page, RAMBlock.PageFlag.code)
        if old & RAMBlock.PageFlag.code == 0 {
            let physical = unsafe range.pointee.start + UInt64(offset & ~4095)
            protectWrites(physical: physical)
            owner.tellOthers(CodeMessage.protect(physical: physical, host: host & ~4095))
        }
    }

    /// Called after a store of this processor to a page that carries the code flag; one page at most.
    func noteStore(_ physical: UInt64, size: Int) {
        guard let range = unsafe range(at: physical) else { return }
        let offset = unsafe physical &- range.pointee.start
        let page = Int(offset >> 12)
        let within = Int(offset & 4095)
        let touched = Self.granules(offset: within, count: min(size, 4096 - within))
        let word = unsafe range.pointee.granules + page
        apus_fence()
        let hit = unsafe apus_atomic_load64(word) & touched
        guard hit != 0 else { return }
        let left = unsafe apus_atomic_and64(word, ~hit) & ~hit
        let host = unsafe UInt(bitPattern: range.pointee.host) &+ UInt(page << 12)
        let first = UInt(hit.trailingZeroBitCount) * 64
        let end = UInt(64 - hit.leadingZeroBitCount) * 64
        if owner.fetcher.cache.drop(host &+ first, count: end - first) { unsafe p.pointee.code_changed = 1 }
        owner.tellOthers(CodeMessage.drop(host: host &+ first, count: end - first))
        if left == 0 {
            let flags = unsafe range.pointee.page_flags + page
            _ = unsafe apus_atomic_and8(flags, ~RAMBlock.PageFlag.code)
            // Another processor may have marked the page meanwhile, and seen the flag still set.
            if unsafe apus_atomic_load64(word) != 0 { _ = unsafe apus_atomic_or8(flags, RAMBlock.PageFlag.code) }
        }
    }

    /// Handles a message of another processor or of a device.
    func handle(_ message: CodeMessage) {
        switch message {
        case .traceChanged: takeTraceItems()
        case .drop(let host, let count): owner.fetcher.cache.drop(host, count: count)
        case .protect(let physical, let host):
            protectWrites(physical: physical)
            // What this processor wrote by the fast path until now, others may have decoded too early.
            owner.fetcher.cache.drop(host, count: 4096)
            owner.tellOthers(CodeMessage.drop(host: host, count: 4096))
        }
    }
}
