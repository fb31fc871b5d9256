internal import CEngine

// The life of translations. A tag holds the page and an 11-bit generation, so that a flush is one increment; every
// 2,047th flush clears the tables.

extension CPU {
    /// Drops every translation, and with them the jump cache.
    func flushTLB() {
        unsafe p.pointee.code_generation &+= 1
        unsafe p.pointee.fetch_page = 1
        unsafe p.pointee.tlb_generation &+= 1
        if unsafe p.pointee.tlb_generation >= 0x800 {
            unsafe p.pointee.tlb_generation = 2
            for index in 0..<3 { unsafe clear(tlb(index)) }
        }
        owner.fetcher.translator?.tables.flush()
        unsafe largeSlot(0).update(repeating: 0, count: 16)
        unsafe p.pointee.large_1g = 0
        updateMemoryMode()
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
            unsafe p.pointee.large_1g |= 1 << ((linear >> 30) & 63)
        } else {
            let hash = Int((linear >> 21) & 1023)
            unsafe largeSlot(hash >> 6).pointee |= 1 << UInt64(hash & 63)
        }
    }

    /// INVLPG: drops the translations of one page, small or large.
    func invalidatePage(_ linear: UInt64) {
        // Code translations are few and cheap to find again.
        unsafe p.pointee.code_generation &+= 1
        unsafe p.pointee.fetch_page = 1
        updateMemoryMode()
        let hash = Int((linear >> 21) & 1023)
        if unsafe p.pointee.large_1g & (1 << ((linear >> 30) & 63)) != 0 {
            flushTLB()
        } else if unsafe largeSlot(hash >> 6).pointee & (1 << UInt64(hash & 63)) != 0 {
            let base = linear & ~0x1f_ffff
            for piece in 0..<512 { dropPage(base &+ UInt64(piece) << 12) }
            owner.fetcher.translator?.tables.drop(base, pages: 512)
        } else {
            dropPage(linear & ~0xfff)
            owner.fetcher.translator?.tables.drop(linear & ~0xfff, pages: 1)
        }
    }

    private func dropPage(_ page: UInt64) {
        let slot = Int((page >> 12) & UInt64(APUS_TLB_SIZE - 1))
        for index in 0..<3 {
            let e = unsafe tlb(index) + slot
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
