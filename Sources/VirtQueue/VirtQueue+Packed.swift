internal import CEngine
internal import GuestMemory

// Packed rings. virtio 1.2, 2.8: one ring of descriptors (address, length, buffer id, flags) that the device writes
// used ones over, and two event suppression structures (offset and wrap counter, flags).
extension VirtQueue {
    private static let notifyEnable: UInt16 = 0
    private static let notifyDisable: UInt16 = 1
    private static let notifyAtDescriptor: UInt16 = 2

    /// `slot` moved on by `count` (at most the ring's size), with its wrap counter.
    private func advance(_ slot: UInt16, by count: UInt16, wrap: inout Bool) -> UInt16 {
        let next = Int(slot) + Int(count)
        if next < Int(configuration.size) { return UInt16(next) }
        wrap.toggle()
        return UInt16(next - Int(configuration.size))
    }

    /// The opposite of `advance`.
    func retreat(_ slot: UInt16, by count: UInt16, wrap: inout Bool) -> UInt16 {
        if slot >= count { return slot - count }
        wrap.toggle()
        return UInt16(Int(slot) + Int(configuration.size) - Int(count))
    }

    private func flagsPlace(_ slot: UInt16) -> UnsafeMutableRawPointer {
        // SAFETY: the ring has `size` descriptors, and slots are kept below that.
        unsafe descriptors.base + Int(slot) * Descriptor.size + 14
    }

    private static func isAvailable(_ flags: UInt16, wrap: Bool) -> Bool {
        (flags & Descriptor.packedAvailable != 0) == wrap && (flags & Descriptor.packedUsed != 0) != wrap
    }

    var packedHasBuffers: Bool {
        // SAFETY: flags are 2 bytes, aligned.
        Self.isAvailable(
            unsafe apus_atomic_load16(flagsPlace(progress.available)), wrap: progress.availableWrap)
    }

    func popPacked(into chain: DescriptorChain) throws(VirtQueueError) -> Bool {
        // The load is an acquire: the rest of the chain is written before its first flags.
        guard packedHasBuffers else { return false }
        chain.clear(view: view)
        var slot = progress.available
        var wrap = progress.availableWrap
        var count: UInt16 = 0
        while true {
            guard count < configuration.size else { throw .chainTooLong }
            // SAFETY: the slot is less than `size`.
            let descriptor = unsafe Self.load(descriptors.base + Int(slot) * Descriptor.size)
            let flags = descriptor.fourth
            count += 1
            slot = advance(slot, by: 1, wrap: &wrap)
            chain.id = descriptor.third
            if flags & Descriptor.indirect != 0 {
                // 2.8.19: an indirect descriptor stands alone.
                guard configuration.hasIndirect, flags & Descriptor.next == 0, count == 1 else { throw .badIndirect }
                try takeIndirect(descriptor, into: chain)
                break
            }
            try append(descriptor, flags: flags, to: chain)
            if flags & Descriptor.next == 0 { break }
        }
        guard outstanding + Int(count) <= Int(configuration.size) else { throw .tooManyOutstanding }
        chain.slots = count
        outstanding += Int(count)
        progress.available = slot
        progress.availableWrap = wrap
        return true
    }

    /// All descriptors of an indirect table, in order; of their flags only WRITE counts (2.8.8).
    private func takeIndirect(_ descriptor: Descriptor, into chain: DescriptorChain) throws(VirtQueueError) {
        let (table, count) = unsafe try indirectTable(descriptor)
        for index in 0..<count {
            // SAFETY: the table has `count` descriptors.
            let inner = unsafe Self.load(table + index * Descriptor.size)
            if inner.fourth & Descriptor.indirect != 0 { throw .badIndirect }
            try append(inner, flags: inner.fourth, to: chain)
        }
    }

    func stagePacked(_ chain: DescriptorChain, _ length: UInt32) {
        let slot = progress.used
        var flags = progress.usedWrap ? Descriptor.packedAvailable | Descriptor.packedUsed : 0
        if !chain.writable.isEmpty { flags |= Descriptor.write }
        // SAFETY: the slot is less than `size`.
        let place = unsafe descriptors.base + Int(slot) * Descriptor.size
        unsafe apus_store32(place + 8, length)
        unsafe apus_store16(place + 12, chain.id)
        if staged == 0 {
            stagedFirst = (slot, flags)
        } else {
            unsafe apus_atomic_store16(place + 14, flags)
        }
        noteWritten(descriptors, Int(slot) * Descriptor.size + 8, 8)
        staged &+= 1
        progress.used = advance(slot, by: chain.slots, wrap: &progress.usedWrap)
        outstanding -= Int(chain.slots)
        unsignalled += Int(chain.slots)
    }

    func publishPacked() {
        // SAFETY: flags are 2 bytes, aligned. A release: everything staged is seen before them.
        unsafe apus_atomic_store16(flagsPlace(stagedFirst.slot), stagedFirst.flags)
        noteWritten(descriptors, Int(stagedFirst.slot) * Descriptor.size + 14, 2)
    }

    func packedWantsInterrupt(_ count: UInt16) -> Bool {
        // SAFETY: the area is 4 bytes, aligned; offset and flags are read as one.
        let both = unsafe apus_atomic_load32(driver.base)
        let flags = UInt16(truncatingIfNeeded: both >> 16) & 3
        guard configuration.hasEventIndex, flags == Self.notifyAtDescriptor else {
            return flags != Self.notifyDisable
        }
        var event = UInt16(truncatingIfNeeded: both) & 0x7FFF
        if (both & 0x8000 != 0) != progress.usedWrap { event &-= configuration.size }
        return Self.passes(event: event, new: progress.used, old: progress.used &- count)
    }

    func setPackedNotifications(_ enabled: Bool) {
        var value = UInt32(enabled ? Self.notifyEnable : Self.notifyDisable) << 16
        if enabled && configuration.hasEventIndex {
            value =
                UInt32(Self.notifyAtDescriptor) << 16 | UInt32(progress.available)
                | (progress.availableWrap ? 0x8000 : 0)
        }
        // SAFETY: the area is 4 bytes, aligned; a driver sees offset and flags change as one.
        unsafe apus_atomic_store32(device.base, value)
        noteWritten(device, 0, 4)
    }
}
