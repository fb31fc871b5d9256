internal import DeviceModel
public import Network
import Synchronization
internal import VirtQueue

/// The network device with one pair of queues and a control queue. virtio 1.2, 5.1.
///
/// Sending and receiving have locks of their own, so that a back-end may bring a frame while it takes one. Checksums
/// and TCP segments that the driver leaves to the device go on as they are where the back-end takes that, and are
/// finished here where not: a driver is always spared them.
public final class VirtioNet: VirtioDevice {
    /// What `-device virtio-net-…` may set.
    public struct Properties: Equatable, Sendable {
        /// `mac`: 6 bytes.
        public var macAddress: [UInt8]
        /// `host_mtu`; nil for none told.
        public var mtu: UInt16?
        /// `mrg_rxbuf`.
        public var mergesBuffers: Bool
        /// `ctrl_vq`: receive modes, address tables, VLANs.
        public var hasControlQueue: Bool
        /// `csum`, `gso`, `host_tso4`, …: what the driver may leave to the device.
        public var deviceOffloads = FrameOffloads.all
        /// `guest_csum`, `guest_tso4`, …: what the device may leave to the driver.
        public var driverOffloads = FrameOffloads.all
        /// `rx_queue_size`: a power of two, 256 to 1024.
        public var receiveQueueSize: UInt16
        /// `tx_queue_size`, likewise.
        public var transmitQueueSize: UInt16
        /// `mq` with a back-end of several queues: pairs of queues, 1 to 64. Several need the control queue.
        public var queuePairs = 1

        /// The defaults are QEMU's. An address of other than 6 bytes becomes 52:54:00:12:34:56.
        public init(
            macAddress: [UInt8], mtu: UInt16? = nil, mergesBuffers: Bool = true, hasControlQueue: Bool = true,
            receiveQueueSize: UInt16 = 256, transmitQueueSize: UInt16 = 256
        ) {
            func queueSize(_ size: UInt16) -> UInt16 {
                size >= 64 && size <= 1024 && size & (size - 1) == 0 ? size : 256
            }
            self.macAddress = macAddress.count == 6 ? macAddress : [0x52, 0x54, 0, 0x12, 0x34, 0x56]
            self.mtu = mtu
            self.mergesBuffers = mergesBuffers
            self.hasControlQueue = hasControlQueue
            self.receiveQueueSize = queueSize(receiveQueueSize)
            self.transmitQueueSize = queueSize(transmitQueueSize)
        }
    }

    /// Feature bits. virtio 1.2, 5.1.3.
    enum Feature {
        static let checksum: UInt64 = 1 << 0
        static let driverChecksum: UInt64 = 1 << 1
        static let driverOffloads: UInt64 = 1 << 2
        static let driverTCP4: UInt64 = 1 << 7
        static let driverTCP6: UInt64 = 1 << 8
        static let driverECN: UInt64 = 1 << 9
        static let tcp4: UInt64 = 1 << 11
        static let tcp6: UInt64 = 1 << 12
        static let ecn: UInt64 = 1 << 13
        static let mtu: UInt64 = 1 << 3
        static let macAddress: UInt64 = 1 << 5
        static let mergesBuffers: UInt64 = 1 << 15
        static let status: UInt64 = 1 << 16
        static let control: UInt64 = 1 << 17
        static let controlReceive: UInt64 = 1 << 18
        static let controlVLAN: UInt64 = 1 << 19
        static let controlReceiveExtra: UInt64 = 1 << 20
        static let multiQueue: UInt64 = 1 << 22
        static let controlAddress: UInt64 = 1 << 23
        static let needControl =
            controlReceive | controlVLAN | controlReceiveExtra | controlAddress | driverOffloads | multiQueue

        /// What bits 1, 7, 8 and 9 allow the device to leave to the driver.
        static func offloads(_ features: UInt64) -> FrameOffloads {
            guard features & driverChecksum != 0 else { return [] }
            var result = FrameOffloads.checksum
            if features & driverTCP4 != 0 { result.insert(FrameOffloads.tcp4) }
            if features & driverTCP6 != 0 { result.insert(FrameOffloads.tcp6) }
            if features & driverECN != 0 { result.insert(FrameOffloads.ecn) }
            return result
        }
    }
    /// Pairs of queues, and after them the control queue: where its driver asked for several, after all of them.
    enum Queue {
        static let control = 2
        static func receive(_ pair: Int) -> Int { pair * 2 }
        static func transmit(_ pair: Int) -> Int { pair * 2 + 1 }
    }
    /// What can be asked for at most.
    static let mostPairs = 64
    /// Pairs of queues that the card has.
    var pairCount: Int {
        properties.hasControlQueue ? min(max(properties.queuePairs, 1), Self.mostPairs) : 1
    }
    /// The longest frame: 64 KiB and headers.
    static let mostBytes = FrameFinisher.mostBytes
    /// Frames that one turn sends before others get theirs.
    private static let batch = 256

    /// What receiving needs.
    struct ReceiveState {
        /// By pair; nil for those that the driver has not set up.
        var queues: [VirtQueue?] = []
        /// Pairs that the driver uses (5.1.6.5.5).
        var activePairs = 1
        /// The pair of the frame that waits.
        var heldPair = 0
        var interrupt: VirtioInterrupt?
        var memory: [DescriptorChain] = []
        var headerSize = 12
        var merges = false
        var isPaused = false
        /// A frame that came when the driver had too few buffers for it, and what it leaves to be done.
        var held: [UInt8]?
        var heldOffload = FrameOffload.none
        /// What may be left to the driver.
        var offloads: FrameOffloads = []
        var filter = ReceiveFilter()
        var address: ReceiveFilter.Address
    }
    struct TransmitState {
        var queues: [VirtQueue?] = []
        var control: VirtQueue?
        var controlPlace = Queue.control
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var headerSize = 12
        var isPaused = false
        var takesOffloads = false
        var scratch: [UInt8] = []
        var frame = [UInt8](repeating: 0, count: VirtioNet.mostBytes)
    }
    let receiving: Mutex<ReceiveState>
    let transmitting = Mutex(TransmitState())
    let link = Mutex<(isUp: Bool, interrupt: VirtioInterrupt?, features: UInt64)>((true, nil, 0))
    /// Who hears of a change of the filter, and whether the next one is told.
    let filterNews = Mutex<(isExpected: Bool, observer: (@Sendable () -> Void)?)>((true, nil))
    private let properties: Properties
    let backend: any NetworkBackend
    // Set once in `init`, where they need `self`.
    private let work = Mutex<[any WorkItem]>([])

    /// A card whose frames go to `backend`.
    public init(_ properties: Properties, backend: any NetworkBackend, scheduler: any WorkScheduler) {
        self.properties = properties
        self.backend = backend
        receiving = Mutex(ReceiveState(address: ReceiveFilter.address(properties.macAddress)))
        // A queue's number says what it is but for the third, which is the control queue of a driver of one pair.
        let control = scheduler.makeItem { [weak self] in self?.control() }
        var items: [any WorkItem] = []
        for pair in 0..<pairCount {
            let isThird = pair == 1
            items.append(
                scheduler.makeItem { [weak self] in
                    if isThird { self?.control() }
                    self?.refill()
                })
            items.append(scheduler.makeItem { [weak self] in self?.send(pair) })
        }
        if properties.hasControlQueue { items.append(control) }
        work.withLock { $0 = items }
        backend.setReceiver(Receiver(self))
    }

    public var kind: VirtioDeviceKind { .net }
    public var features: UInt64 {
        var result = Feature.macAddress | Feature.status
        let (device, driver) = (properties.deviceOffloads, properties.driverOffloads)
        if device.contains(FrameOffloads.checksum) {
            result |= Feature.checksum
            if device.contains(FrameOffloads.tcp4) { result |= Feature.tcp4 }
            if device.contains(FrameOffloads.tcp6) { result |= Feature.tcp6 }
            if device.contains(FrameOffloads.ecn) { result |= Feature.ecn }
        }
        if driver.contains(FrameOffloads.checksum) {
            result |= Feature.driverChecksum
            // Only a back-end with headers brings segments.
            let brings = backend.offloads.intersection(driver)
            if brings.contains(FrameOffloads.tcp4) { result |= Feature.driverTCP4 }
            if brings.contains(FrameOffloads.tcp6) { result |= Feature.driverTCP6 }
            if brings.contains(FrameOffloads.ecn) { result |= Feature.driverECN }
            if properties.hasControlQueue { result |= Feature.driverOffloads }
        }
        if properties.mtu != nil { result |= Feature.mtu }
        if properties.mergesBuffers { result |= Feature.mergesBuffers }
        if properties.hasControlQueue {
            result |= Feature.control | Feature.needControl & ~Feature.driverOffloads & ~Feature.multiQueue
        }
        if pairCount > 1 { result |= Feature.multiQueue }
        return result
    }
    public var queueSizes: [UInt16] {
        (0..<pairCount).flatMap { _ in [properties.receiveQueueSize, properties.transmitQueueSize] }
            + (properties.hasControlQueue ? [64] : [])
    }
    public var configurationCount: Int { 12 }

    /// 5.1.3.1: what the control queue carries needs the control queue. Segments without checksums are no segments:
    /// such bits are left out of account.
    public func accepts(features: UInt64) -> Bool {
        features & Feature.control != 0 || features & Feature.needControl == 0
    }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        let address = receiving.withLock { $0.address }
        var bytes = (0..<6).map { UInt8(truncatingIfNeeded: address >> UInt64(40 - $0 * 8)) }
        VirtioConfiguration.append(&bytes, UInt16(link.withLock { $0.isUp } ? 1 : 0))
        VirtioConfiguration.append(&bytes, UInt16(pairCount))
        VirtioConfiguration.append(&bytes, properties.mtu ?? 0)
        return VirtioConfiguration.read(bytes, offset: offset, size: size)
    }

    /// Legacy drivers without CTRL_MAC_ADDR write the address here (5.1.4.3).
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        let features = link.withLock { $0.features }
        guard features & (VirtioFeature.version1 | Feature.controlAddress) == 0 else { return }
        receiving.withLock { state in
            for index in 0..<min(size, 4) where offset + index < 6 {
                let shift = UInt64(40 - (offset + index) * 8)
                let byte = UInt64(value >> UInt32(index * 8) & 0xFF)
                state.address = state.address & ~(0xFF << shift) | byte << shift
            }
        }
    }

    /// Plugs the cable in or out: `set_link`.
    public func setLink(up: Bool) {
        let interrupt: VirtioInterrupt? = link.withLock { link in
            defer { link.isUp = up }
            return link.isUp == up ? nil : link.interrupt
        }
        interrupt?.signalConfigurationChange()
        if up { backend.receiverReady() }
    }
    /// The address that the card has now.
    public var macAddress: [UInt8] {
        let address = receiving.withLock { $0.address }
        return (0..<6).map { UInt8(truncatingIfNeeded: address >> UInt64(40 - $0 * 8)) }
    }

    public func announce(_ address: [UInt8]) {
        guard link.withLock({ $0.isUp }) else { return }
        // SAFETY: the frame lives through the call, and who keeps it copies it.
        _ = unsafe Announcement.frame(of: macAddress).withUnsafeBytes { unsafe backend.transmit($0) }
        backend.flush()
    }

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory, features) =
            (context.queues, context.interrupt, context.memory, context.features)
        let merges = features & Feature.mergesBuffers != 0
        // 5.1.6.1: the count of merged buffers is always there but for legacy drivers that do not merge.
        let headerSize = merges || features & VirtioFeature.version1 != 0 ? 12 : 10
        let pairs = features & Feature.multiQueue != 0 ? pairCount : 1
        func queue(_ place: Int) -> VirtQueue? { queues.indices.contains(place) ? queues[place] : nil }
        receiving.withLock { state in
            state.queues = (0..<pairs).map { queue(Queue.receive($0)) }
            state.activePairs = min(state.activePairs, pairs)
            state.interrupt = interrupt
            state.memory = [DescriptorChain(memory: memory)]
            state.headerSize = headerSize
            state.merges = merges
            state.offloads = Feature.offloads(features)
            if features & Feature.controlVLAN != 0 && state.filter.vlans == nil {
                state.filter.vlans = [UInt64](repeating: 0, count: 64)
            }
        }
        transmitting.withLock { state in
            state.queues = (0..<pairs).map { queue(Queue.transmit($0)) }
            state.controlPlace = pairs * 2
            state.control = features & Feature.control != 0 ? queue(pairs * 2) : nil
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
            state.headerSize = headerSize
            state.takesOffloads = features & Feature.checksum != 0
        }
        backend.setReceiverOffloads(Feature.offloads(features))
        link.withLock { link in
            link.interrupt = interrupt
            link.features = features
        }
    }

    public func notify(queue: Int) { schedule(queue) }
    func schedule(_ queue: Int) {
        let item = work.withLock { $0.indices.contains(queue) ? $0[queue] : nil }
        item?.schedule()
    }

    // MARK: Sending

    private func send(_ pair: Int) {
        let isUp = link.withLock { $0.isUp }
        let more = transmitting.withLock { state in
            guard state.queues.indices.contains(pair), let queue = state.queues[pair], let interrupt = state.interrupt,
                let chain = state.chain, !state.isPaused
            else { return false }
            let headerSize = state.headerSize
            let takesOffloads = state.takesOffloads
            if takesOffloads, state.scratch.isEmpty {
                state.scratch = [UInt8](repeating: 0, count: FrameFinisher.mostBytes)
            }
            var (frame, scratch) = ([UInt8](), [UInt8]())
            swap(&frame, &state.frame)
            swap(&scratch, &state.scratch)
            let more = queue.process(Queue.transmit(pair), interrupt, chain, limit: Self.batch) { chain in
                let count = chain.readableCount - headerSize
                guard isUp, count >= 14, count <= frame.count else { return 0 }
                let offload = takesOffloads ? Self.offload(chain) : FrameOffload.none
                // A copy: what the driver changes afterwards must not matter to whoever looked at the frame first.
                unsafe frame.withUnsafeMutableBytes { buffer in
                    let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
                    guard unsafe chain.read(at: headerSize, into: bytes) == count else { return }
                    unsafe scratch.withUnsafeMutableBytes { scratch in
                        _ = unsafe backend.transmit(finishing: bytes, offload, scratch: scratch)
                    }
                }
                return 0
            }
            swap(&frame, &state.frame)
            swap(&scratch, &state.scratch)
            return more
        }
        backend.flush()
        if more { schedule(Queue.transmit(pair)) }
    }

    /// What the header of a chain leaves to be done.
    private static func offload(_ chain: DescriptorChain) -> FrameOffload {
        var header: (UInt64, UInt16) = (0, 0)
        // SAFETY: ten bytes on this stack.
        return unsafe withUnsafeMutableBytes(of: &header) { bytes in
            let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<10])
            guard unsafe chain.read(at: 0, into: bytes) == 10 else { return FrameOffload.none }
            return unsafe FrameOffload(UnsafeRawBufferPointer(bytes)) ?? FrameOffload.none
        }
    }

    // MARK: Life

    public func reset() {
        backend.setReceiverOffloads([])
        receiving.withLock { state in
            state = ReceiveState(
                isPaused: state.isPaused, address: ReceiveFilter.address(properties.macAddress))
        }
        transmitting.withLock { $0 = TransmitState(isPaused: $0.isPaused) }
        link.withLock { link in
            link.interrupt = nil
            link.features = 0
        }
    }
    public func pause() {
        transmitting.withLock { $0.isPaused = true }
        receiving.withLock { $0.isPaused = true }
    }
    public func resume() {
        transmitting.withLock { $0.isPaused = false }
        receiving.withLock { $0.isPaused = false }
        for queue in queueSizes.indices { schedule(queue) }
    }
    public func halt() { backend.setReceiver(nil) }

    /// The card's end of its back-end, which keeps it; the card must not be kept that way.
    private final class Receiver: FrameReceiver {
        private struct Owner: Sendable { weak let device: VirtioNet? }
        private let owner: Owner
        init(_ device: VirtioNet) { owner = Owner(device: device) }
        func canReceive() -> Bool { owner.device?.canReceive() ?? false }
        func receive(_ frame: UnsafeRawBufferPointer) { unsafe owner.device?.receive(frame, FrameOffload.none) }
        func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) {
            unsafe owner.device?.receive(frame, offload)
        }
        var offloads: FrameOffloads { owner.device?.receiving.withLock { $0.offloads } ?? [] }
    }
}
