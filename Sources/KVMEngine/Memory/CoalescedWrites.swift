internal import CLinux
internal import HostOS
internal import Synchronization

/// Writes that KVM keeps back in a ring until the next exit (KVM_REGISTER_COALESCED_MMIO): for registers whose writes
/// do nothing by themselves. Any thread.
final class CoalescedWrites: Sendable {
    typealias Handler = @Sendable (CoalescedWrite) -> Void

    private struct State {
        var handler: Handler?
        /// The run page of a processor, with the ring in its third page.
        var page: RunPage?
    }
    private let state = Mutex(State())
    private let isUsed = Atomic<Bool>(false)
    /// The same ring, in the page of the processor that looks.
    @inline(__always)
    func drain(seenFrom page: RunPage) {
        if isUsed.load(ordering: .acquiring), page.keepsWrites { drain() }
    }

    /// Takes the ring of a machine, which every processor's run page has.
    func use(_ page: RunPage) { state.withLock { $0.page = page } }

    func setHandler(_ handler: @escaping Handler) { state.withLock { $0.handler = handler } }
    func begin() { isUsed.store(true, ordering: .releasing) }

    /// Hands over what was kept back, in order, before it returns. Cheap where there is nothing.
    func drain() {
        guard isUsed.load(ordering: .acquiring) else { return }
        state.withLock { state in
            guard let page = state.page else { return }
            while let write = page.takeCoalesced() { state.handler?(write) }
        }
    }
}

/// A write that was kept back.
public struct CoalescedWrite: Equatable, Sendable {
    /// True for an I/O port.
    public var isPort: Bool
    /// Port or guest-physical address.
    public var address: UInt64
    /// Bytes, 1 to 8.
    public var size: Int
    /// The value.
    public var value: UInt64
}

extension HardwareEngine {
    /// Whether this KVM keeps writes back: to device memory, to ports.
    public var coalesces: (memory: Bool, ports: Bool) {
        (
            machine.device.capability(KVM_CAP_COALESCED_MMIO) > 0,
            machine.device.capability(KVM_CAP_COALESCED_MMIO) > 0
                && machine.device.capability(KVM_CAP_COALESCED_PIO) > 0
        )
    }

    /// Names who takes writes that were kept back. On a processor's thread at its next exit, or whoever drains; it
    /// must not change ranges.
    public func setCoalescedWriteHandler(_ handler: @escaping @Sendable (CoalescedWrite) -> Void) {
        coalesced.setHandler(handler)
    }

    /// Has writes to a range kept back from now on. Any thread.
    public func coalesceWrites(isPort: Bool, address: UInt64, count: UInt32) throws(KVMError) {
        try zone(APUS_KVM_REGISTER_COALESCED_MMIO, isPort, address, count)
        coalesced.begin()
    }

    /// Lets them come out one by one again, after those that were kept back.
    public func separateWrites(isPort: Bool, address: UInt64, count: UInt32) throws(KVMError) {
        try zone(APUS_KVM_UNREGISTER_COALESCED_MMIO, isPort, address, count)
        coalesced.drain()
    }

    /// Hands over what is kept back: for whoever is about to look at what such writes change. Any thread.
    public func drainCoalescedWrites() { coalesced.drain() }

    private func zone(_ request: UInt, _ isPort: Bool, _ address: UInt64, _ count: UInt32) throws(KVMError) {
        var zone = kvm_coalesced_mmio_zone()
        zone.addr = address
        zone.size = count
        zone.pio = isPort ? 1 : 0
        try KVMError.wrapping { () throws(HostError) in
            try machine.control.send(request, zone, "keep writes at 0x\(String(address, radix: 16)) back")
        }
    }
}
