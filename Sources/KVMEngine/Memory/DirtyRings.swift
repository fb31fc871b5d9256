internal import CLinux
internal import HostOS
internal import SystemPackage

/// One processor's ring of pages that the guest wrote (Linux, Documentation/virt/kvm/api.rst, KVM_CAP_DIRTY_LOG_RING).
///
/// Taking entries out is for one thread at a time: whoever holds the lock of the slots.
@safe final class DirtyRing: @unchecked Sendable {
    // The kernel appends entries at any time; each is handed over by its flags. `next` is guarded by the slots' lock.
    private let mapping: Mapping
    private let mask: UInt32
    private var next: UInt32 = 0

    /// Bytes of an entry.
    static let entrySize = 16

    /// The ring of a processor; `entries` is what the machine was told, a power of two.
    init(_ processor: Descriptor, entries: Int) throws(HostError) {
        mapping = try Mapping.shared(
            processor.file, offset: Int64(APUS_KVM_DIRTY_RING_PAGE) * Int64(HostFacts.pageSize),
            count: entries * Self.entrySize)
        mask = UInt32(entries - 1)
    }

    /// Takes all entries out. Returns how many there were.
    func take(_ body: (_ slot: UInt32, _ page: UInt64) -> Void) -> Int {
        var (slot, page): (UInt32, UInt64) = (0, 0)
        var count = 0
        // SAFETY: the mapping holds `mask + 1` entries, and the index is cut to them.
        while unsafe apus_kvm_dirty_take(mapping.base, next & mask, &slot, &page) != 0 {
            next &+= 1
            count += 1
            body(slot, page)
            // What comes in meanwhile is left for the next time.
            if count > Int(mask) { break }
        }
        return count
    }
}
