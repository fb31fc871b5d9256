internal import CLinux
internal import GuestMemory
internal import HostOS
internal import Synchronization
internal import SystemPackage

/// KVM's memory slots, kept equal to the ranges of an address space. Any thread; the owner sees to it that no
/// processor is inside KVM_RUN while slots go (KVM cannot replace one in a single step).
final class MemorySlots: Sendable {
    /// A range that KVM knows.
    struct Slot: Sendable {
        let number: UInt32
        let range: FlatView.Range
        /// Dirty pages are logged.
        var isLogged: Bool
    }
    struct State: Sendable {
        var slots: [Slot] = []
        var isLogging = false
        /// The processors' rings of written pages; empty where pages are logged in a map.
        var rings: [DirtyRing] = []
        /// The generation of the view that the slots follow.
        var generation: UInt64 = 0
    }
    private let control: Control
    private let limit: Int
    /// Pages that were read from the log are logged anew only when they are cleared: one walk for both is saved.
    let protectsManually: Bool
    let state = Mutex(State())

    init(_ machine: KVMVirtualMachine, usesRings: Bool) {
        control = machine.control
        limit = max(machine.device.capability(KVM_CAP_NR_MEMSLOTS), 32)
        let offered = machine.device.capability(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & 1 != 0
        protectsManually =
            offered && !usesRings
            && (try? machine.enable(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1, "protect pages by hand")) != nil
    }

    /// Follows a view. Views older than one that was followed are left alone.
    func follow(_ view: FlatView) throws(KVMError) {
        let wanted = Self.merged(view.ranges)
        try state.withLock { (state) throws(KVMError) in
            guard view.generation > state.generation else { return }
            state.generation = view.generation
            // Entries name slots by their numbers.
            try harvest(&state)
            for slot in state.slots where !wanted.contains(where: { Self.isSame($0, slot.range) }) {
                if slot.isLogged, state.rings.isEmpty {
                    _ = try? DirtyLog.collect(slot, control: control, clears: false)
                }
                try set(slot, exists: false)
            }
            state.slots.removeAll { slot in !wanted.contains { Self.isSame($0, slot.range) } }
            for range in wanted where !state.slots.contains(where: { Self.isSame(range, $0.range) }) {
                let used = Set(state.slots.map(\.number))
                guard let number = (0..<UInt32(limit)).first(where: { !used.contains($0) }) else {
                    throw KVMError.slot(
                        address: range.start.rawValue, count: range.count,
                        HostError("use more than \(limit) memory slots", .noSpace))
                }
                let slot = Slot(number: number, range: range, isLogged: state.isLogging)
                try set(slot, exists: true)
                state.slots.append(slot)
            }
        }
    }

    /// Takes what the rings hold into the blocks' page flags, and has KVM log these pages anew. Returns the pages.
    @discardableResult
    func harvest(_ state: inout State) throws(KVMError) -> Int { try drain(&state).pages }

    private func drain(_ state: inout State) throws(KVMError) -> (pages: Int, entries: Int) {
        guard !state.rings.isEmpty else { return (0, 0) }
        var pages = 0
        var taken = 0
        for ring in state.rings {
            taken += ring.take { number, page in
                guard let slot = state.slots.first(where: { $0.number == number }) else { return }
                if DirtyLog.mark(page, of: slot) { pages += 1 }
            }
        }
        if taken > 0 {
            try KVMError.wrapping { () throws(HostError) in
                _ = try control.request(APUS_KVM_RESET_DIRTY_RINGS, "reset the rings of dirty pages")
            }
        }
        return (pages, taken)
    }

    /// The same, for a processor whose ring is full: its thread, outside KVM_RUN. Returns the entries.
    func harvest() throws(KVMError) -> Int {
        try state.withLock { (state) throws(KVMError) in try drain(&state).entries }
    }

    /// Tells KVM of one slot, or that it is gone.
    func set(_ slot: Slot, exists: Bool) throws(KVMError) {
        var region = kvm_userspace_memory_region()
        region.slot = slot.number
        region.guest_phys_addr = slot.range.start.rawValue
        region.memory_size = exists ? slot.range.count : 0
        // SAFETY: the address is only handed to the kernel; the block lives as long as the slot names it.
        region.userspace_addr = UInt64(UInt(bitPattern: unsafe slot.range.block.base)) + slot.range.offset
        region.flags = 0
        if exists, !slot.range.writable { region.flags |= UInt32(KVM_MEM_READONLY) }
        if exists, slot.isLogged { region.flags |= UInt32(KVM_MEM_LOG_DIRTY_PAGES) }
        do throws(HostError) {
            try control.send(APUS_KVM_SET_USER_MEMORY_REGION, region, "set a memory slot")
        } catch {
            throw .slot(address: slot.range.start.rawValue, count: slot.range.count, error)
        }
    }

    private static func isSame(_ a: FlatView.Range, _ b: FlatView.Range) -> Bool {
        a.start == b.start && a.count == b.count && a.block === b.block && a.offset == b.offset
            && a.writable == b.writable
    }

    /// Joins neighbours that go on in the same block, so that cuts which are healed cost no slot.
    static func merged(_ ranges: [FlatView.Range]) -> [FlatView.Range] {
        var result: [FlatView.Range] = []
        for range in ranges {
            if let last = result.last, last.end == range.start, last.block === range.block,
                last.offset + last.count == range.offset, last.writable == range.writable
            {
                result[result.count - 1] = FlatView.Range(
                    start: last.start, count: last.count + range.count, block: last.block, offset: last.offset,
                    writable: last.writable)
            } else {
                result.append(range)
            }
        }
        return result
    }
}
