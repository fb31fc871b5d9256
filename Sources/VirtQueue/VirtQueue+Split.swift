internal import CEngine
internal import GuestMemory

// Split rings. virtio 1.2, 2.7: the table of descriptors (16 bytes each: address, length, flags, next), the available
// ring (flags, index, entries of 2 bytes, used_event), the used ring (flags, index, entries of 8 bytes, avail_event).
extension VirtQueue {
    private var mask: UInt16 { configuration.size &- 1 }

    var splitHasBuffers: Bool {
        // SAFETY: the area holds 4 bytes and more, aligned to 2.
        unsafe apus_atomic_load16(driver.base + 2) != progress.available
    }

    func popSplit(into chain: DescriptorChain) throws(VirtQueueError) -> Bool {
        // SAFETY: as above. The load is an acquire: entries up to the index are seen.
        let ahead = unsafe apus_atomic_load16(driver.base + 2) &- progress.available
        guard ahead != 0 else { return false }
        guard ahead <= configuration.size else { throw .indexJump(by: ahead) }
        guard outstanding < Int(configuration.size) else { throw .tooManyOutstanding }
        let slot = Int(progress.available & mask)
        // SAFETY: the area has `size` entries of 2 bytes after its first 4, and the slot is less than `size`.
        let head = unsafe apus_load16(driver.base + 4 + 2 * slot)
        chain.clear(view: view)
        chain.id = head
        chain.slots = 1
        // SAFETY: the table has `size` descriptors.
        try unsafe walk(descriptors.base, count: Int(configuration.size), from: head, isIndirect: false, into: chain)
        progress.available &+= 1
        outstanding += 1
        return true
    }

    /// Follows a chain through a table of `count` descriptors.
    private func walk(
        _ table: UnsafeMutableRawPointer, count: Int, from head: UInt16, isIndirect: Bool,
        into chain: DescriptorChain
    ) throws(VirtQueueError) {
        var index = head
        for _ in 0..<count {
            guard Int(index) < count else { throw .badDescriptor(index) }
            // SAFETY: the index is less than the table's count.
            let descriptor = unsafe Self.load(table + Int(index) * Descriptor.size)
            let flags = descriptor.third
            if flags & Descriptor.indirect != 0 {
                guard !isIndirect, configuration.hasIndirect, flags & Descriptor.next == 0 else { throw .badIndirect }
                let (inner, innerCount) = unsafe try indirectTable(descriptor)
                // SAFETY: the table's memory was found whole.
                return try unsafe walk(inner, count: innerCount, from: 0, isIndirect: true, into: chain)
            }
            try append(descriptor, flags: flags, to: chain)
            if flags & Descriptor.next == 0 { return }
            index = descriptor.fourth
        }
        throw .chainTooLong
    }

    /// The table of an indirect descriptor, in one piece of memory.
    func indirectTable(_ descriptor: Descriptor) throws(VirtQueueError) -> (UnsafeMutableRawPointer, Int) {
        let address = GuestPhysical(descriptor.address)
        guard descriptor.count > 0, descriptor.count % 16 == 0 else {
            throw .badIndirectTable(count: descriptor.count)
        }
        if let range = view.range(at: address), UInt64(descriptor.count) <= range.end - address {
            // SAFETY: the range holds that many bytes at that offset, and the view keeps it for this call.
            return unsafe (
                range.block.base + Int(range.offset + (address - range.start)), Int(descriptor.count) / 16
            )
        }
        // The map may have grown since the view was taken.
        if memory.view !== view {
            try refresh()
            return try unsafe indirectTable(descriptor)
        }
        throw .badBuffer(address, count: descriptor.count)
    }

    /// Reads a descriptor once; what the guest changes afterwards is not seen.
    static func load(_ place: UnsafeMutableRawPointer) -> Descriptor {
        // SAFETY: the caller's place has 16 bytes.
        unsafe Descriptor(
            address: apus_load64(place), count: apus_load32(place + 8), third: apus_load16(place + 12),
            fourth: apus_load16(place + 14))
    }

    func stageSplit(_ chain: DescriptorChain, _ length: UInt32) {
        let slot = Int((progress.used &+ staged) & mask)
        // SAFETY: the area has `size` entries of 8 bytes after its first 4, and the slot is less than `size`.
        unsafe apus_store32(device.base + 4 + 8 * slot, UInt32(chain.id))
        unsafe apus_store32(device.base + 8 + 8 * slot, length)
        noteWritten(device, 4 + 8 * slot, 8)
        staged &+= 1
        outstanding -= 1
    }

    func publishSplit() {
        progress.used &+= staged
        unsignalled += Int(staged)
        // SAFETY: the index is 2 bytes at 2. A release: the entries are seen before it.
        unsafe apus_atomic_store16(device.base + 2, progress.used)
        noteWritten(device, 2, 2)
    }

    func splitWantsInterrupt(_ count: UInt16) -> Bool {
        if configuration.hasEventIndex {
            // SAFETY: used_event follows the `size` entries where event indexes were negotiated.
            let event = unsafe apus_atomic_load16(driver.base + 4 + 2 * Int(configuration.size))
            return Self.passes(event: event, new: progress.used, old: progress.used &- count)
        }
        return unsafe apus_atomic_load16(driver.base) & 1 == 0
    }

    func setSplitNotifications(_ enabled: Bool) {
        if configuration.hasEventIndex {
            // An event index left behind is as good as none: it is passed only after 65536 buffers.
            guard enabled else { return }
            let offset = 4 + 8 * Int(configuration.size)
            // SAFETY: avail_event follows the `size` entries where event indexes were negotiated.
            unsafe apus_atomic_store16(device.base + offset, progress.available)
            noteWritten(device, offset, 2)
        } else {
            unsafe apus_atomic_store16(device.base, enabled ? 0 : 1)
            noteWritten(device, 0, 2)
        }
    }
}
