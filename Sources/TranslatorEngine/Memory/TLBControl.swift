internal import CEngine

// The life of translations. A tag holds the page and an 11-bit generation, so that a flush is one increment; every
// 2,047th flush clears the tables.

extension CPU {
    /// Drops every translation, and with them the jump caches.
    func flushTLB() {
        unsafe p.pointee.tlb_flushes &+= 1
        if tracesMemory { trace("tlb_flush: all\n") }
        unsafe p.pointee.code_generation &+= 1
        unsafe p.pointee.local_supervisor = 0
        unsafe p.pointee.keys_in_use = 0
        unsafe fetchedSlot(0).update(repeating: 0, count: 64)
        owner.fetcher.translator?.tables.flush()
        // Without the set of fetched pages no address space could tell which invalidation is one of its code.
        flushData(userGeneration: owner.fetcher.views.forgetAll())
    }

    /// A new CR3: what global pages of the upper half gave stays (SDM volume 3, 4.10.4.1).
    func flushLocalTranslations() {
        guard unsafe p.pointee.local_supervisor == 0 && p.pointee.paging == 4 && cr4 & CR4.pge != 0 else {
            return flushTLB()
        }
        owner.fetcher.translator?.tables.flushLocal()
        flushData(userGeneration: owner.fetcher.views.generation(self))
    }

    /// Drops what leads to data; code stays where it is.
    func flushDataTranslations() {
        unsafe p.pointee.keys_in_use = 0
        owner.fetcher.translator?.tables.flush()
        flushData(userGeneration: unsafe p.pointee.user_generation)
    }

    /// The interpreter's own TLBs have one generation for all.
    private func flushData(userGeneration: UInt64) {
        unsafe p.pointee.user_generation = userGeneration
        unsafe p.pointee.tlb_generation &+= 1
        if unsafe p.pointee.tlb_generation >= 0x800 {
            unsafe p.pointee.tlb_generation = 2
            for index in 0..<6 { unsafe clear(tlb(0) + index * Int(APUS_TLB_SIZE)) }
        }
        unsafe largeSlot(0).update(repeating: 0, count: 16)
        unsafe p.pointee.large_1g = 0
        updateMemoryMode()
    }

    /// The set of pages that code was fetched from since the last full flush.
    private func fetchedSlot(_ index: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: the array has 64 words.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.fetched)!)
            .assumingMemoryBound(to: UInt64.self) + (index & 63)
    }
    /// Sets of pages are hashed for each half of the address space by itself: what the kernel has everywhere must not
    /// be found where a program has nothing.
    private func hash(_ linear: UInt64, _ shift: UInt64, _ bits: Int) -> Int {
        let number = linear >> shift
        return Int(truncatingIfNeeded: number ^ number >> 12) & (bits / 2 - 1) | (linear >> 63 != 0 ? bits / 2 : 0)
    }
    /// Notes that code is fetched from a page, so that its invalidation is one of code.
    func noteFetched(_ linear: UInt64, isGlobal: Bool) {
        let hash = hash(linear, 12, 4096)
        unsafe fetchedSlot(hash >> 6).pointee |= 1 << UInt64(hash & 63)
        if cpl != 3 && (!isGlobal || linear >> 63 == 0) { unsafe p.pointee.local_supervisor = 1 }
    }
    private func wasFetched(_ linear: UInt64) -> Bool {
        let hash = hash(linear, 12, 4096)
        return unsafe fetchedSlot(hash >> 6).pointee >> UInt64(hash & 63) & 1 != 0
    }

    private func clear(_ table: UnsafeMutablePointer<apus_tlb_entry>) {
        for index in 0..<Int(APUS_TLB_SIZE) {
            unsafe (table + index).pointee.read_tag = 1
            unsafe (table + index).pointee.write_tag = 1
        }
    }

    /// Notes that an entry of a large page was filled, so that INVLPG finds the other pieces.
    func noteLarge(_ linear: UInt64, shift: UInt64) {
        if shift >= 30 {
            unsafe p.pointee.large_1g |= 1 << UInt64(hash(linear, 30, 64))
        } else {
            let region = hash(linear, 21, 1024)
            unsafe largeSlot(region >> 6).pointee |= 1 << UInt64(region & 63)
        }
    }

    /// INVLPG: drops the translations of one page, small or large.
    func invalidatePage(_ linear: UInt64) {
        if tracesMemory { trace("tlb_flush_page: \(hexadecimal(linear, 16))\n") }
        let region = hash(linear, 21, 1024)
        if unsafe p.pointee.large_1g & (1 << UInt64(hash(linear, 30, 64))) != 0 {
            flushTLB()
        } else if unsafe largeSlot(region >> 6).pointee & (1 << UInt64(region & 63)) != 0 {
            let base = linear & ~0x1f_ffff
            var hasCode = false
            for piece in 0..<512 {
                let page = base &+ UInt64(piece) << 12
                dropPage(page)
                if wasFetched(page) { hasCode = true }
            }
            if hasCode { forgetFetches(linear) }
            owner.fetcher.translator?.tables.drop(base, pages: 512)
        } else {
            if wasFetched(linear) { forgetFetches(linear) }
            dropPage(linear & ~0xfff)
            owner.fetcher.translator?.tables.drop(linear & ~0xfff, pages: 1)
        }
    }

    /// Makes code that runs in the address's half be looked up anew.
    private func forgetFetches(_ linear: UInt64) {
        let isLocal = unsafe p.pointee.local_supervisor != 0
        if linear >> 63 != 0 || isLocal { unsafe p.pointee.code_generation &+= 1 }
        unsafe p.pointee.user_generation = owner.fetcher.views.renew()
        updateMemoryMode()
    }

    private func dropPage(_ page: UInt64) {
        let slot = Int((page >> 12) & UInt64(APUS_TLB_SIZE - 1))
        for index in 0..<(owner.fetcher.verifier == nil ? 3 : 6) {
            let e = unsafe tlb(0) + index * Int(APUS_TLB_SIZE) + slot
            if unsafe e.pointee.read_tag & ~0xfff == page {
                unsafe e.pointee.read_tag = 1
                unsafe e.pointee.write_tag = 1
            }
        }
    }

    /// Makes the next write to a physical page take the slow path: it holds code now.
    func protectWrites(physical: UInt64) {
        let page = physical & ~0xfff
        if let range = unsafe range(at: page) {
            let host = unsafe UInt64(UInt(bitPattern: range.pointee.host)) &+ (page &- range.pointee.start)
            owner.fetcher.translator?.tables.protect(host: host)
        }
        for index in 0..<3 {
            let table = unsafe tlb(index)
            for slot in 0..<Int(APUS_TLB_SIZE) where unsafe (table + slot).pointee.physical == page {
                let tag = unsafe (table + slot).pointee.write_tag
                if tag & 0x7ff > 1 { unsafe (table + slot).pointee.write_tag = tag | APUS_TLB_CODE }
            }
        }
    }

    private func largeSlot(_ index: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: the array has 16 words.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.large_2m)!)
            .assumingMemoryBound(to: UInt64.self) + (index & 15)
    }
}
