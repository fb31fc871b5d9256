internal import CEngine

// Protection keys (SDM volume 3, 4.6.2): four bits of each page's entry choose two bits of PKRU, for user pages, or of
// IA32_PKRS, for supervisor pages. They concern data alone, in 4-level paging.
extension CPU {
    /// Whether the key of a page's entry forbids an access to data, and notes that the key is in use.
    func keyDenies(entry: UInt64, isUserPage: Bool, isWrite: Bool, user: Bool) -> Bool {
        guard cr4 & (isUserPage ? CR4.pke : CR4.pks) != 0 else { return false }
        let key = entry >> 59 & 15
        unsafe p.pointee.keys_in_use |= 1 << UInt16(key)
        let rights = unsafe (isUserPage ? p.pointee.s.pkru : p.pointee.s.pkrs) >> UInt32(2 * key)
        if rights & 1 != 0 { return true }
        // Supervisor writes ignore the key's write-disable bit as they ignore the page's, without CR0.WP.
        return isWrite && rights & 2 != 0 && (user || cr0 & CR0.wp != 0)
    }

    /// Sets PKRU and IA32_PKRS. Translations were made under the old rights: they go where the rights of a key change
    /// that one of them may have. A system that gives its programs no keys changes no such rights.
    func setKeyRights(user: UInt32, supervisor: UInt32) {
        let changed = unsafe (p.pointee.s.pkru ^ user) | (p.pointee.s.pkrs ^ supervisor)
        unsafe p.pointee.s.pkru = user
        unsafe p.pointee.s.pkrs = supervisor
        let used = unsafe p.pointee.keys_in_use
        for key in 0..<16 as Range<UInt32> where changed >> (2 * key) & 3 != 0 && used >> UInt16(key) & 1 != 0 {
            return flushDataTranslations()
        }
    }
}

let rdpkru: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        guard cpu.cr4 & CR4.pke != 0 else { throw cpu.raise(Vector.undefined) }
        guard cpu.rcx & 0xffff_ffff == 0 else { throw cpu.raise(Vector.general, error: 0) }
        cpu.rax = unsafe UInt64(cpu.p.pointee.s.pkru)
        cpu.rdx = 0
        return op.next
    }
}
let wrpkru: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        guard cpu.cr4 & CR4.pke != 0 else { throw cpu.raise(Vector.undefined) }
        guard (cpu.rcx | cpu.rdx) & 0xffff_ffff == 0 else { throw cpu.raise(Vector.general, error: 0) }
        cpu.setKeyRights(user: UInt32(truncatingIfNeeded: cpu.rax), supervisor: unsafe cpu.p.pointee.s.pkrs)
        return op.next
    }
}
