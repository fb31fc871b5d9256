internal import CEngine
public import GuestMemory

/// The device's side of a virtqueue in guest memory, split or packed. virtio 1.2, 2.6 to 2.8.
///
/// Everything a driver can put there is checked. After an error the queue yields nothing more. A queue is used by one
/// thread at a time: its device's lock says which.
public final class VirtQueue: @unchecked Sendable {
    // Guarded by the lock of the device that it was given to; no method calls out while it changes a field, so the
    // run-time checks of exclusive access are left out.

    /// A part of the ring: where it is here, and how its pages are marked when it is written.
    @safe struct Area {
        var base: UnsafeMutableRawPointer
        var block: RAMBlock
        var offset: UInt64
    }

    /// A range of the view without its owner, so that a look costs no reference counting.
    @safe private struct Recent {
        var start: UInt64 = 0
        var count: UInt64 = 0
        var base: UnsafeMutableRawPointer?
        var writable = false
    }

    /// What was agreed on.
    public let configuration: QueueConfiguration
    /// Where it lies.
    public let memory: AddressSpace
    /// Why the queue has stopped; nil while it runs.
    @safe @exclusivity(unchecked) public private(set) var error: VirtQueueError?

    @safe @exclusivity(unchecked) var view: FlatView
    @safe @exclusivity(unchecked) var viewAge = 0
    /// The range of the last buffer: most lie in the same one.
    @safe @exclusivity(unchecked) private var recent = Recent()
    @safe @exclusivity(unchecked) var descriptors: Area
    @safe @exclusivity(unchecked) var driver: Area
    @safe @exclusivity(unchecked) var device: Area

    @safe @exclusivity(unchecked) var progress: QueueProgress
    /// Used entries that are written but not yet shown.
    @safe @exclusivity(unchecked) var staged: UInt16 = 0
    /// Packed: the first staged slot and the flags that will show it.
    @safe @exclusivity(unchecked) var stagedFirst: (slot: UInt16, flags: UInt16) = (0, 0)
    /// Split: chains taken and not returned. Packed: their slots.
    @safe @exclusivity(unchecked) var outstanding = 0
    /// Used entries (split) or slots (packed) since the driver was last considered for an interrupt.
    @safe @exclusivity(unchecked) var unsignalled = 0
    /// Interrupt without regard to what the driver asked for: after a restart its wishes may be stale.
    @safe @exclusivity(unchecked) var mustSignal = false

    /// The most pieces of one chain: the queue's size, or what real drivers put in an indirect table if that is more.
    let segmentLimit: Int

    /// A queue at the given progress, as it stood then. Throws where the rings are not in guest memory or not well formed.
    public init(
        memory: AddressSpace, configuration: QueueConfiguration, progress: QueueProgress? = nil,
        standing: QueueStanding = QueueStanding()
    ) throws(VirtQueueError) {
        try configuration.check()
        self.memory = memory
        self.configuration = configuration
        let view = memory.view
        self.view = view
        descriptors = try Self.area(
            view, configuration.descriptors, configuration.descriptorBytes, writable: configuration.isPacked)
        driver = try Self.area(view, configuration.driver, configuration.driverBytes, writable: false)
        device = try Self.area(view, configuration.device, configuration.deviceBytes, writable: true)
        self.progress = progress ?? QueueProgress()
        if progress != nil {
            mustSignal = standing.mustSignal
            unsignalled = standing.unsignalled
            if standing.isStopped { error = .stopped }
        }
        segmentLimit = max(Int(configuration.size), 1024)
        if configuration.isPacked, let progress,
            progress.available >= configuration.size || progress.used >= configuration.size
        {
            throw .indexJump(by: max(progress.available, progress.used))
        }
    }

    private static func area(
        _ view: FlatView, _ address: GuestPhysical, _ count: Int, writable: Bool
    ) throws(VirtQueueError) -> Area {
        guard let range = view.range(at: address), UInt64(count) <= range.end - address, range.writable || !writable
        else { throw .ringOutsideMemory(address) }
        let offset = range.offset + (address - range.start)
        // SAFETY: the range holds `count` bytes at that offset, and the area keeps its block.
        return unsafe Area(base: range.block.base + Int(offset), block: range.block, offset: offset)
    }

    /// Follows the map of memory where it has changed.
    func refresh() throws(VirtQueueError) {
        viewAge = 0
        let current = memory.view
        guard current !== view else { return }
        view = current
        recent = Recent()
        descriptors = try Self.area(
            view, configuration.descriptors, configuration.descriptorBytes, writable: configuration.isPacked)
        driver = try Self.area(view, configuration.driver, configuration.driverBytes, writable: false)
        device = try Self.area(view, configuration.device, configuration.deviceBytes, writable: true)
    }

    // MARK: Taking

    /// Takes the next buffer, if there is one. The first error is thrown; from then on there are no buffers.
    public func pop(into chain: DescriptorChain) throws(VirtQueueError) -> Bool {
        guard error == nil else { return false }
        do throws(VirtQueueError) {
            // A look at the map costs a lock, so it is taken at the start of a run of buffers and now and then.
            viewAge += 1
            if viewAge > 64 { try refresh() }
            let found = configuration.isPacked ? try popPacked(into: chain) : try popSplit(into: chain)
            if !found { viewAge = 64 }
            return found
        } catch {
            self.error = error
            throw error
        }
    }

    /// Puts back the buffer that was taken last, as if it had not been taken.
    public func unpop(_ chain: DescriptorChain) {
        if configuration.isPacked {
            progress.available = retreat(progress.available, by: chain.slots, wrap: &progress.availableWrap)
            outstanding -= Int(chain.slots)
        } else {
            progress.available &-= 1
            outstanding -= 1
        }
    }

    /// True where a buffer is available.
    public var hasBuffers: Bool {
        guard error == nil else { return false }
        return configuration.isPacked ? packedHasBuffers : splitHasBuffers
    }

    /// Adds a piece to a chain, checked.
    func append(_ descriptor: Descriptor, flags: UInt16, to chain: DescriptorChain) throws(VirtQueueError) {
        let address = GuestPhysical(descriptor.address)
        let count = Int(descriptor.count)
        let writable = flags & Descriptor.write != 0
        guard count > 0 else { throw .emptyBuffer(address) }
        guard chain.readable.count + chain.writable.count < segmentLimit else { throw .chainTooLong }
        guard chain.readableCount + chain.writableCount + count <= Int(UInt32.max) else { throw .tooManyBytes }
        if !writable && !chain.writable.isEmpty { throw .readableAfterWritable }
        let segment = unsafe DescriptorChain.Segment(
            address: address, count: count, host: try hostMemory(address, count, writable: writable, chain))
        if writable {
            chain.writable.append(segment)
            chain.writableCount += count
        } else {
            chain.readable.append(segment)
            chain.readableCount += count
        }
    }

    /// The host memory of a piece: nil where it is in several, an error where it is nowhere.
    private func hostMemory(
        _ address: GuestPhysical, _ count: Int, writable: Bool, _ chain: DescriptorChain
    ) throws(VirtQueueError) -> UnsafeMutableRawPointer? {
        let into = address.rawValue &- recent.start
        if into < recent.count, UInt64(count) <= recent.count - into, recent.writable || !writable,
            let base = unsafe recent.base
        {
            // SAFETY: the range holds `count` bytes from there; the chain keeps the view and so the block.
            return unsafe base + Int(into)
        }
        if let range = view.range(at: address), UInt64(count) <= range.end - address, range.writable || !writable {
            // SAFETY: as above.
            unsafe recent = Recent(
                start: range.start.rawValue, count: range.count, base: range.block.base + Int(range.offset),
                writable: range.writable)
            return unsafe range.block.base + Int(range.offset + (address - range.start))
        }
        do {
            // The map itself knows best: this view may be of yesterday.
            try memory.checkRange(address, count: count, direction: writable ? .write : .read)
            return nil
        } catch {
            throw .badBuffer(address, count: UInt32(count))
        }
    }

    // MARK: Returning

    /// Returns a buffer to the driver, with `written` bytes of its writable pieces filled.
    public func push(_ chain: DescriptorChain, written: Int) {
        stage(chain, written: written)
        publish()
    }

    /// Writes a used entry that the driver sees only at `publish`: several buffers become one message that way.
    public func stage(_ chain: DescriptorChain, written: Int) {
        guard error == nil else { return }
        let length = UInt32(clamping: max(written, 0))
        if configuration.isPacked { stagePacked(chain, length) } else { stageSplit(chain, length) }
        chain.view = nil
    }

    /// Shows the driver what was staged.
    public func publish() {
        guard error == nil, staged > 0 else { return }
        if configuration.isPacked { publishPacked() } else { publishSplit() }
        staged = 0
    }

    // MARK: Notification

    /// True where the driver wants an interrupt for what was returned since the last call. virtio 1.2, 2.7.7, 2.8.10.
    public func needsInterrupt() -> Bool {
        guard error == nil, unsignalled > 0 || mustSignal else { return false }
        apus_fence()
        let count = UInt16(clamping: unsignalled)
        let certain = mustSignal || unsignalled > Int(configuration.size)
        unsignalled = 0
        mustSignal = false
        return certain || (configuration.isPacked ? packedWantsInterrupt(count) : splitWantsInterrupt(count))
    }

    /// Asks the driver to notify of new buffers. Returns true where some came before it could know: the device then
    /// goes on taking.
    public func enableNotifications() -> Bool {
        guard error == nil else { return false }
        if configuration.isPacked { setPackedNotifications(true) } else { setSplitNotifications(true) }
        apus_fence()
        return hasBuffers
    }

    /// Tells the driver not to bother while the device takes buffers anyway.
    public func disableNotifications() {
        guard error == nil else { return }
        if configuration.isPacked { setPackedNotifications(false) } else { setSplitNotifications(false) }
    }

    /// How far the device is: what a saved state keeps. Exact only while no buffer is outstanding.
    public var savedProgress: QueueProgress { progress }

    /// What a saved state keeps beside the progress.
    public var savedStanding: QueueStanding {
        QueueStanding(unsignalled: unsignalled, mustSignal: mustSignal, isStopped: error != nil)
    }

    /// Ends the queue, as an error does: its device has met a buffer that it can make nothing of.
    public func stop() { if error == nil { error = .stopped } }

    /// Buffers (split) or slots (packed) that are taken and not returned.
    public var outstandingCount: Int { outstanding }

    func noteWritten(_ area: Area, _ offset: Int, _ count: Int) {
        memory.noteWrite(block: area.block, offset: area.offset + UInt64(offset), count: UInt64(count))
    }

    /// True where an event index asks for a notification of the step from `old` to `new` (2.7.7.2's comparison).
    static func passes(event: UInt16, new: UInt16, old: UInt16) -> Bool { new &- event &- 1 < new &- old }
}
