internal import CEngine

/// Where a linear address leads.
@safe struct Place {
    var physical: UInt64
    /// The host address of the byte, nil for device memory.
    var host: UnsafeMutableRawPointer?
    /// False for ROM: writes go nowhere.
    var writable: Bool
    /// True where the page holds decoded code of some processor.
    var code: Bool
}

/// Bits of a page fault's error code.
enum PageFaultError {
    /// The rights of a protection key forbid the access.
    static let key: UInt32 = 0x20
}

/// Page-table entry bits (SDM volume 3, 4.5).
enum PTE {
    static let present: UInt64 = 1
    static let writable: UInt64 = 2
    static let user: UInt64 = 4
    static let accessed: UInt64 = 0x20
    static let dirty: UInt64 = 0x40
    static let large: UInt64 = 0x80
    static let global: UInt64 = 0x100
    static let noExecute: UInt64 = 1 << 63
}

extension CPU {
    /// Translates a linear address, sets accessed and dirty bits, and fills the current TLB for `.current` accesses.
    func translate(_ linear: UInt64, _ kind: AccessKind, _ privilege: Privilege) throws(Leave) -> Place {
        if privilege == .current && kind != .fetch {
            // A page with code is writable by the slow path alone; its translation is still good.
            let e = unsafe p.pointee.tlb + Int((linear >> 12) & UInt64(APUS_TLB_SIZE - 1))
            let wanted = (linear & ~0xfff) | tag
            // A write to a page that held code walks again: the code may be gone by now.
            let found = unsafe kind == .read ? e.pointee.read_tag == wanted : e.pointee.write_tag == wanted
            if found {
                return unsafe Place(
                    physical: e.pointee.physical | linear & 0xfff,
                    host: UnsafeMutableRawPointer(bitPattern: UInt(linear &+ e.pointee.addend)), writable: true,
                    code: e.pointee.write_tag & APUS_TLB_CODE != 0)
            }
        }
        let isWatched = kind != .fetch && watchesData ? try isWatched(page: linear) : false
        let walk = try walk(linear, kind, privilege)
        if kind == .fetch {
            noteFetched(linear, isGlobal: walk.isGlobal)
        } else if !walk.isGlobal && linear >> 63 != 0 {
            owner.fetcher.translator?.tables.noteLocal(linear)
        }
        let physical = walk.physical
        guard let range = unsafe range(at: physical) else {
            return unsafe Place(physical: physical, host: nil, writable: true, code: false)
        }
        let offset = unsafe physical &- range.pointee.start
        let page = Int(offset >> 12)
        let writable = unsafe range.pointee.writable != 0
        let code = unsafe apus_atomic_load8(range.pointee.page_flags + page) & 1 != 0
        let host = unsafe UnsafeMutableRawPointer(range.pointee.host + Int(offset))
        if kind == .write && writable {
            // Dirty for migration and display (flags 2 and 4), noted once per TLB fill and per log reset.
            _ = unsafe apus_atomic_or8(range.pointee.page_flags + page, 6)
        }
        if isVerifying && kind == .write {
            if code { throw leaveToRunAlone() }
            if isReference && writable { unsafe owner.fetcher.verifier?.note(host) }
        }
        if privilege == .current && kind != .fetch && !isWatched {
            let e = unsafe p.pointee.tlb + Int((linear >> 12) & UInt64(APUS_TLB_SIZE - 1))
            let key = (linear & ~0xfff) | tag
            let hostPage = UInt64(UInt(bitPattern: host)) & ~0xfff
            unsafe e.pointee.addend = hostPage &- (linear & ~0xfff)
            unsafe e.pointee.physical = physical & ~0xfff
            unsafe e.pointee.read_tag = key
            // Not every page may be written, and the first write of a clean one must set its dirty bit.
            unsafe e.pointee.write_tag = kind == .write && writable && !isReference ? (code ? key | APUS_TLB_CODE : key) : 1
            unsafe p.pointee.tlb_misses &+= 1
            if walk.shift > 12 { noteLarge(linear, shift: walk.shift) }
        }
        return unsafe Place(physical: physical, host: host, writable: writable, code: code)
    }

    /// The RAM at a guest-physical address.
    func range(at physical: UInt64) -> UnsafeMutablePointer<apus_ram_range>? {
        let count = unsafe Int(p.pointee.range_count)
        for index in 0..<count {
            let range = unsafe p.pointee.ranges + index
            if unsafe physical &- range.pointee.start < range.pointee.count { return unsafe range }
        }
        return nil
    }

    /// Reads a page-table entry; entries outside RAM read as not present.
    private func entry(_ physical: UInt64, size: Int) -> UInt64 {
        if size == 8 { return loadEntry(physical) ?? 0 }
        guard let range = unsafe range(at: physical) else { return 0 }
        return UInt64(unsafe apus_atomic_load32(range.pointee.host + Int(physical &- range.pointee.start)))
    }

    /// A page-table entry of eight bytes; nil outside RAM.
    func loadEntry(_ physical: UInt64) -> UInt64? {
        guard let range = unsafe range(at: physical) else { return nil }
        return unsafe apus_atomic_load64(range.pointee.host + Int(physical &- range.pointee.start))
    }

    /// Sets bits of a page-table entry atomically; false where it changed meanwhile and the walk must start again.
    private func setEntry(_ physical: UInt64, size: Int, old: UInt64, bits: UInt64) -> Bool {
        if isReference { return true }
        guard let range = unsafe range(at: physical) else { return true }
        let offset = unsafe physical &- range.pointee.start
        let host = unsafe range.pointee.host + Int(offset)
        let done =
            size == 8
            ? unsafe apus_atomic_cas64(host, old, old | bits)
            : unsafe apus_atomic_cas32(host, UInt32(truncatingIfNeeded: old), UInt32(truncatingIfNeeded: old | bits))
        if done && (unsafe apus_atomic_or8(range.pointee.page_flags + Int(offset >> 12), 6)) & 1 != 0 {
            noteStore(physical, size: size)
        }
        return done
    }

    /// The result of a page walk.
    private struct Walk {
        var physical: UInt64
        /// log2 of the page's size.
        var shift: UInt64
        /// Survives a write of CR3.
        var isGlobal = false
    }

    private func walk(_ linear: UInt64, _ kind: AccessKind, _ privilege: Privilege) throws(Leave) -> Walk {
        let paging = unsafe p.pointee.paging
        if paging == 0 { return Walk(physical: linear & 0xffff_ffff, shift: 12) }
        if paging == 4 && !isCanonical(linear) {
            throw raise(Vector.general, error: 0)
        }
        while true {
            if let walk = try walkOnce(linear, kind, privilege, paging) { return walk }
        }
    }

    /// One attempt; nil where an entry changed under it.
    private func walkOnce(
        _ linear: UInt64, _ kind: AccessKind, _ privilege: Privilege, _ paging: UInt8
    ) throws(Leave) -> Walk? {
        let cr0 = unsafe p.pointee.s.cr0
        let cr4 = unsafe p.pointee.s.cr4
        let nxEnabled = unsafe p.pointee.s.efer & (1 << 11) != 0
        let mask = unsafe p.pointee.physical_mask
        let user = privilege == .current && cpl == 3
        var error: UInt32 = kind == .write ? 2 : 0
        if user { error |= 4 }
        if kind == .fetch && (nxEnabled || cr4 & (1 << 20) != 0) { error |= 16 }

        let size = paging == 2 ? 4 : 8
        var level: Int
        var table: UInt64
        var permissions: UInt64 = PTE.writable | PTE.user
        var noExecute = false
        switch paging {
        case 4:
            level = 4
            table = unsafe p.pointee.s.cr3 & mask
        case 3:
            let pdpte = unsafe pdpteSlot(Int(linear >> 30) & 3).pointee
            guard pdpte & 1 != 0 else { throw pageFault(linear, error) }
            level = 2
            table = pdpte & mask
        default:
            level = 2
            table = unsafe p.pointee.s.cr3 & 0xffff_f000
        }

        while true {
            let shift = paging == 2 ? UInt64(level == 2 ? 22 : 12) : UInt64(12 + 9 * (level - 1))
            let index = (linear >> shift) & (paging == 2 ? 0x3ff : 0x1ff)
            let address = table &+ index &* UInt64(size)
            let value = entry(address, size: size)
            guard value & PTE.present != 0 else { throw pageFault(linear, error) }
            let leaf = level == 1 || (value & PTE.large != 0 && (level == 2 && (paging != 2 || cr4 & 0x10 != 0) || level == 3))
            if paging != 2 {
                var reserved = ~mask & 0x000f_ffff_ffff_f000
                if !nxEnabled { reserved |= PTE.noExecute }
                if leaf && level > 1 { reserved |= ((1 << shift) - 1) & ~0x1fff }
                if level == 4 { reserved |= PTE.large }
                if paging == 3 { reserved |= 0x7ff0_0000_0000_0000 & ~mask }
                if value & reserved != 0 { throw pageFault(linear, error | 8 | 1) }
                if value & PTE.noExecute != 0 { noExecute = true }
            } else if leaf && level == 2 && value & 0x20_0000 != 0 {
                throw pageFault(linear, error | 8 | 1)
            }
            permissions &= value
            if !leaf {
                if value & PTE.accessed == 0 && !setEntry(address, size: size, old: value, bits: PTE.accessed) { return nil }
                table = paging == 2 ? value & 0xffff_f000 : value & mask
                level -= 1
                continue
            }
            let isDeniedByKey =
                paging == 4 && kind != .fetch
                && keyDenies(entry: value, isUserPage: permissions & PTE.user != 0, isWrite: kind == .write, user: user)
            try check(
                linear, kind, privilege, user, permissions, noExecute && nxEnabled, cr0, cr4,
                isDeniedByKey ? error | PageFaultError.key : error, isDenied: isDeniedByKey)
            var bits: UInt64 = 0
            if value & PTE.accessed == 0 { bits |= PTE.accessed }
            if kind == .write && value & PTE.dirty == 0 { bits |= PTE.dirty }
            if bits != 0 && !setEntry(address, size: size, old: value, bits: bits) { return nil }
            let offsetMask: UInt64 = (1 << shift) - 1
            var frame = paging == 2 ? value & 0xffff_f000 : value & mask
            if paging == 2 && level == 2 {
                // PSE-36: bits 13-20 are bits 32-39 of the address.
                frame = value & 0xffc0_0000 | ((value >> 13) & 0xff) << 32
            }
            return Walk(
                physical: frame & ~offsetMask | linear & offsetMask, shift: shift,
                isGlobal: value & PTE.global != 0 && cr4 & CR4.pge != 0)
        }
    }

    /// Throws the page fault of a permission that is missing (SDM volume 3, 4.6.1).
    private func check(
        _ linear: UInt64, _ kind: AccessKind, _ privilege: Privilege, _ user: Bool, _ permissions: UInt64,
        _ noExecute: Bool, _ cr0: UInt64, _ cr4: UInt64, _ error: UInt32, isDenied: Bool
    ) throws(Leave) {
        let userPage = permissions & PTE.user != 0
        var denied = false
        if user {
            denied = !userPage || kind == .write && permissions & PTE.writable == 0
        } else if userPage {
            switch kind {
            case .fetch: denied = cr4 & (1 << 20) != 0  // SMEP
            case .read, .write:
                // SMAP; AC suspends it for explicit accesses only.
                denied = cr4 & (1 << 21) != 0 && (privilege == .system || systemFlags & Flag.ac == 0 || cpl == 3)
            }
        }
        if !user && kind == .write && permissions & PTE.writable == 0 && cr0 & (1 << 16) != 0 { denied = true }
        if kind == .fetch && noExecute { denied = true }
        if denied || isDenied { throw pageFault(linear, error | 1) }
    }

    func pdpteSlot(_ index: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: the index is masked to the array's four entries.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.pdpte)!)
            .assumingMemoryBound(to: UInt64.self) + (index & 3)
    }
}
