internal import CEngine
internal import CLinux
internal import GuestMemory
internal import HostOS

/// Which pages guests wrote, as KVM logs it: one bit a page of a slot.
enum DirtyLog {
    private static let flags = RAMBlock.PageFlag.dirtyMigration | RAMBlock.PageFlag.dirtyDisplay

    /// Marks one page of a slot in its block's page flags. Returns false where the slot has no such page.
    static func mark(_ page: UInt64, of slot: MemorySlots.Slot) -> Bool {
        guard page < slot.range.count >> 12 else { return false }
        // SAFETY: the page lies in the slot's range, and that in the block.
        _ = unsafe apus_atomic_or8(slot.range.block.pageFlags + Int(slot.range.offset >> 12 + page), flags)
        return true
    }

    /// Takes a slot's log into its block's page flags, and has KVM log those pages anew. Returns the pages.
    @discardableResult
    static func collect(_ slot: MemorySlots.Slot, control: Control, clears: Bool) throws(HostError) -> Int {
        let pages = Int(slot.range.count >> 12)
        var words = [UInt64](repeating: 0, count: (pages + 63) / 64)
        try unsafe exchange(&words) { (pointer) throws(HostError) in
            var log = unsafe kvm_dirty_log()
            unsafe log.slot = slot.number
            unsafe log.dirty_bitmap = pointer
            // SAFETY: the bitmap has a bit for each page of the slot.
            try unsafe control.exchange(APUS_KVM_GET_DIRTY_LOG, &log, "read the log of dirty pages")
        }
        var count = 0
        for (index, word) in words.enumerated() where word != 0 {
            for bit in 0..<64 where word >> UInt64(bit) & 1 != 0 && index * 64 + bit < pages {
                if mark(UInt64(index * 64 + bit), of: slot) { count += 1 }
            }
        }
        if clears, count > 0 {
            try unsafe exchange(&words) { (pointer) throws(HostError) in
                var clear = unsafe kvm_clear_dirty_log()
                unsafe clear.slot = slot.number
                unsafe clear.first_page = 0
                unsafe clear.num_pages = UInt32(clamping: pages)
                unsafe clear.dirty_bitmap = pointer
                // SAFETY: as above.
                try unsafe control.exchange(APUS_KVM_CLEAR_DIRTY_LOG, &clear, "clear the log of dirty pages")
            }
        }
        return count
    }

    private static func exchange(
        _ words: inout [UInt64], _ body: (UnsafeMutableRawPointer?) throws(HostError) -> Void
    ) throws(HostError) {
        var failure: HostError?
        unsafe words.withUnsafeMutableBytes { buffer in
            do throws(HostError) { try unsafe body(buffer.baseAddress) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
