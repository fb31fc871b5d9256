public import DeviceModel
import Synchronization
internal import VirtQueue

/// The console device: one console, or many named ports. virtio 1.2, 5.3.
///
/// A port's input waits in a small buffer of its own until the driver has room. Back-ends are called with no lock
/// held.
public final class VirtioConsole: VirtioDevice {
    /// A port: `-device virtconsole` or `-device virtserialport`.
    public struct Port: Sendable {
        /// Number; 0 is for a console.
        public var id: Int
        /// `name`: `org.qemu.guest_agent.0`; nil for none.
        public var name: String?
        /// True for a console, false for a plain port.
        public var isConsole: Bool
        /// The other side; nil for nobody.
        public var backend: (any CharacterPort)?
        /// Hears when a program of the guest opens or closes it. Called by the device's worker, or by who resets or
        /// restores it, with no lock held.
        public var onGuestOpen: (@Sendable (Bool) -> Void)?

        /// A port.
        public init(
            id: Int, name: String? = nil, isConsole: Bool, backend: (any CharacterPort)?,
            onGuestOpen: (@Sendable (Bool) -> Void)? = nil
        ) {
            self.id = id
            self.name = name
            self.isConsole = isConsole
            self.backend = backend
            self.onGuestOpen = onGuestOpen
        }
    }

    /// What `-device virtio-serial-…` may set.
    public struct Properties: Equatable, Sendable {
        /// `max_ports`, 1 to 31; 1 makes a device without control queues.
        public var maxPorts: Int
        /// `emergency-write`.
        public var hasEmergencyWrite: Bool

        /// The defaults are QEMU's.
        public init(maxPorts: Int = 31, hasEmergencyWrite: Bool = true) {
            self.maxPorts = min(max(maxPorts, 1), 31)
            self.hasEmergencyWrite = hasEmergencyWrite
        }
    }

    enum Feature {
        static let size: UInt64 = 1 << 0
        static let multiport: UInt64 = 1 << 1
        static let emergencyWrite: UInt64 = 1 << 2
    }
    private static let queueSize: UInt16 = 128
    /// Bytes of input that wait for the driver, for each port.
    static let inputLimit = 4096
    /// Bytes that are taken from the driver before the back-end gets them.
    private static let outputLimit = 65536
    static let controlReceiveQueue = 2
    static let controlTransmitQueue = 3

    struct PortState {
        var input: [UInt8] = []
        var isGuestOpen = false
        /// What was told of that.
        var toldOpen = false
        var isHostOpen: Bool
    }
    struct State {
        var queues: [VirtQueue?] = []
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var isMultiport = false
        var isPaused = false
        var columns: UInt16 = 0
        var rows: UInt16 = 0
        var ports: [PortState]
        /// Control messages that wait for the driver's buffers.
        var control: [[UInt8]] = []
    }
    let state: Mutex<State>
    let ports: [Port]
    private let properties: Properties
    private let work = Mutex<(any WorkItem)?>(nil)
    private let receivers: Mutex<[Receiver]> = Mutex([])

    /// A device with the given ports; numbers are distinct and below `maxPorts`. Without multiple ports only the
    /// first counts.
    public init(_ properties: Properties = Properties(), ports: [Port], scheduler: any WorkScheduler) {
        self.properties = properties
        let used =
            properties.maxPorts == 1
            ? Array(ports.prefix(1)) : ports.filter { (0..<properties.maxPorts).contains($0.id) }
        self.ports = used
        state = Mutex(State(ports: used.map { PortState(isHostOpen: $0.backend != nil) }))
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
        let made = used.indices.map { Receiver(self, port: $0) }
        receivers.withLock { $0 = made }
        for (port, receiver) in zip(used, made) { port.backend?.setReceiver(receiver) }
    }

    public var kind: VirtioDeviceKind { .console }
    private var hasMultiport: Bool { properties.maxPorts > 1 }
    public var features: UInt64 {
        Feature.size | (hasMultiport ? Feature.multiport : 0)
            | (properties.hasEmergencyWrite ? Feature.emergencyWrite : 0)
    }
    public var queueSizes: [UInt16] {
        [UInt16](repeating: Self.queueSize, count: hasMultiport ? properties.maxPorts * 2 + 2 : 2)
    }
    public var configurationCount: Int { 12 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        var bytes: [UInt8] = []
        let (columns, rows) = state.withLock { ($0.columns, $0.rows) }
        VirtioConfiguration.append(&bytes, columns)
        VirtioConfiguration.append(&bytes, rows)
        VirtioConfiguration.append(&bytes, UInt32(properties.maxPorts))
        VirtioConfiguration.append(&bytes, UInt32(0))
        return VirtioConfiguration.read(bytes, offset: offset, size: size)
    }

    /// 5.3.4: a byte for the console before, or without, any queue.
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        guard offset == 8, properties.hasEmergencyWrite else { return }
        ports.first { $0.isConsole }?.backend?.write([UInt8(truncatingIfNeeded: value)])
    }

    /// Tells the driver the size of the console's window, in characters.
    public func setSize(columns: UInt16, rows: UInt16) {
        state.withLock { state in
            state.columns = columns
            state.rows = rows
            if state.isMultiport {
                for (index, port) in ports.enumerated() where port.isConsole { queueResize(index, &state) }
            } else {
                state.interrupt?.signalConfigurationChange()
            }
        }
        schedule()
    }

    /// Tells the driver whether somebody is at the other end of a port.
    public func setHostOpen(_ isOpen: Bool, port id: Int) {
        guard let index = ports.firstIndex(where: { $0.id == id }) else { return }
        state.withLock { state in
            guard state.ports[index].isHostOpen != isOpen else { return }
            state.ports[index].isHostOpen = isOpen
            if state.isMultiport {
                queueControl(Control.portOpen, port: index, value: isOpen ? 1 : 0, &state)
            }
        }
        schedule()
    }

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory) = (context.queues, context.interrupt, context.memory)
        let isMultiport = context.features & Feature.multiport != 0
        state.withLock { state in
            state.queues = queues
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
            state.isMultiport = isMultiport
        }
    }

    public func notify(queue: Int) { schedule() }
    func schedule() { work.withLock { $0 }?.schedule() }

    /// Everything that there is to do, on the scheduler's thread.
    private func perform() {
        let hasMore = state.withLock { state in
            guard !state.isPaused else { return false }
            let hasMore = takeControl(&state)
            sendControl(&state)
            return hasMore
        }
        tellOpenPorts()
        for index in ports.indices {
            while let bytes = takeOutput(index) {
                if !bytes.isEmpty { ports[index].backend?.write(bytes) }
            }
            let hasRoom = state.withLock { state in
                let before = state.ports[index].input.count
                deliverInput(index, &state)
                return before > state.ports[index].input.count || before == 0
            }
            if hasRoom && receiveCapacity(index) > 0 { ports[index].backend?.acceptInput() }
        }
        if hasMore { schedule() }
    }

    /// Tells who listens of ports that the guest has opened or closed.
    func tellOpenPorts() {
        for (index, port) in ports.enumerated() {
            let change: Bool? = state.withLock { state in
                let isOpen = state.ports[index].isGuestOpen
                guard isOpen != state.ports[index].toldOpen else { return nil }
                state.ports[index].toldOpen = isOpen
                return isOpen
            }
            if let change { port.onGuestOpen?(change) }
        }
    }

    /// The queues of a port (5.3.2): the first port's come before those of control.
    private func queue(_ index: Int, transmit: Bool, _ state: borrowing State) -> (Int, VirtQueue)? {
        let id = ports[index].id
        if id > 0 && !state.isMultiport { return nil }
        let number = (id == 0 || !state.isMultiport ? 0 : id * 2 + 2) + (transmit ? 1 : 0)
        guard state.queues.indices.contains(number), let queue = state.queues[number] else { return nil }
        return (number, queue)
    }

    /// Bytes from the driver, or nil where there are none.
    private func takeOutput(_ index: Int) -> [UInt8]? {
        state.withLock { state in
            guard !state.isPaused, let interrupt = state.interrupt, let chain = state.chain,
                let (number, queue) = queue(index, transmit: true, state)
            else { return nil }
            var bytes: [UInt8] = []
            var more = true
            for _ in 0..<VirtQueue.turnLimit where more && bytes.count < Self.outputLimit {
                more = queue.process(number, interrupt, chain, limit: 1) { chain in
                    // A buffer may name more memory than the console will ever show; the rest of it is dropped.
                    bytes += chain.bytes(at: 0, count: Self.outputLimit)
                    return 0
                }
            }
            return bytes.isEmpty && !more ? nil : bytes
        }
    }

    /// Moves waiting input into the driver's buffers.
    private func deliverInput(_ index: Int, _ state: inout State) {
        guard !state.isPaused, let interrupt = state.interrupt, let chain = state.chain,
            let (number, queue) = queue(index, transmit: false, state)
        else { return }
        var input = state.ports[index].input
        // Bounded: a driver may give buffers without room for ever.
        for _ in 0..<VirtQueue.turnLimit where !input.isEmpty {
            let more = queue.process(number, interrupt, chain, limit: 1) { chain in
                let count = chain.write(at: 0, bytes: input)
                input.removeFirst(count)
                return count
            }
            if !more { break }
        }
        state.ports[index].input = input
    }

    fileprivate func receiveCapacity(_ index: Int) -> Int {
        state.withLock { state in
            guard !state.isPaused, state.interrupt != nil, queue(index, transmit: false, state) != nil,
                !state.isMultiport || state.ports[index].isGuestOpen
            else { return 0 }
            return max(0, Self.inputLimit - state.ports[index].input.count)
        }
    }

    fileprivate func receive(_ bytes: [UInt8], _ index: Int) {
        state.withLock { state in
            let room = max(0, Self.inputLimit - state.ports[index].input.count)
            state.ports[index].input += bytes.prefix(room)
            deliverInput(index, &state)
        }
    }

    public func reset() {
        state.withLock { state in
            state.queues = []
            state.interrupt = nil
            state.chain = nil
            state.isMultiport = false
            state.control = []
            for index in state.ports.indices {
                state.ports[index].isGuestOpen = false
                state.ports[index].input = []
            }
        }
        tellOpenPorts()
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        schedule()
    }
    public func halt() { for port in ports { port.backend?.setReceiver(nil) } }

    /// A port's end of its back-end, which keeps it; the device must not be kept that way.
    private final class Receiver: CharacterReceiver {
        private struct Owner: Sendable { weak let device: VirtioConsole? }
        private let owner: Owner
        private let port: Int
        init(_ device: VirtioConsole, port: Int) {
            owner = Owner(device: device)
            self.port = port
        }
        func receiveCapacity() -> Int { owner.device?.receiveCapacity(port) ?? 0 }
        func receive(_ bytes: [UInt8]) { owner.device?.receive(bytes, port) }
    }
}
