internal import DeviceModel
internal import GuestMemory
import Synchronization
internal import VirtQueue

/// What all transports have in common: the status machine, feature negotiation and the set-up of queues. virtio 1.2,
/// 2.1, 2.2 and 3.1.
final class VirtioCore: Sendable {
    /// A queue as the driver sets it up.
    struct QueueSetup: Sendable {
        var size: UInt16
        var descriptors: UInt64 = 0
        var driver: UInt64 = 0
        var device: UInt64 = 0
        var isEnabled = false
    }

    struct State {
        var status: UInt8 = 0
        var driverFeatures: UInt64 = 0
        var deviceFeatureSelect: UInt32 = 0
        var driverFeatureSelect: UInt32 = 0
        var queueSelect: UInt32 = 0
        var queues: [QueueSetup]
        var live: [VirtQueue?] = []
        var isActive: Bool { !live.isEmpty }
    }
    let state: Mutex<State>

    let device: any VirtioDevice
    let memory: AddressSpace
    let interrupt: VirtioInterrupt
    /// What the driver may choose from.
    let offered: UInt64
    let queueSizes: [UInt16]
    /// Whether a driver may do without VERSION_1 and FEATURES_OK.
    let allowsLegacy: Bool
    /// Hears, with no lock held, when queues come to life and when they are gone.
    let activity = Mutex<(@Sendable (_ live: Set<Int>) -> Void)?>(nil)

    init(
        device: any VirtioDevice, memory: AddressSpace, interrupt: VirtioInterrupt, rings: VirtioRingOptions,
        allowsLegacy: Bool, allowsModern: Bool
    ) {
        self.device = device
        self.memory = memory
        self.interrupt = interrupt
        self.allowsLegacy = allowsLegacy
        queueSizes = device.queueSizes
        offered =
            device.features & ~VirtioFeature.reserved | rings.features
            | (allowsModern ? VirtioFeature.version1 : 0) | (allowsLegacy ? VirtioFeature.anyLayout : 0)
        state = Mutex(State(queues: device.queueSizes.map { QueueSetup(size: $0) }))
    }

    // MARK: Status

    var status: UInt8 {
        state.withLock { $0.status } | (interrupt.needsReset ? VirtioStatus.needsReset : 0)
    }

    /// A driver's write of the status: bits are only added, but for 0, which resets.
    func writeStatus(_ value: UInt8) {
        if value == 0 {
            reset()
            return
        }
        let activated = state.withLock { state in
            let new = value & ~state.status
            state.status |= new & (VirtioStatus.acknowledge | VirtioStatus.driver | VirtioStatus.failed)
            if new & VirtioStatus.featuresOK != 0 && acceptsFeatures(state.driverFeatures) {
                state.status |= VirtioStatus.featuresOK
            }
            guard new & VirtioStatus.driverOK != 0 else { return false }
            // 3.1.1, step 6: without FEATURES_OK there is no going on, but legacy drivers do not know it (3.1.2).
            let isLegacy = state.driverFeatures & VirtioFeature.version1 == 0
            guard state.status & VirtioStatus.featuresOK != 0 || (isLegacy && allowsLegacy) else { return false }
            state.status |= VirtioStatus.driverOK
            return activate(&state, progress: nil)
        }
        guard activated else { return }
        tellActivity()
        for queue in queueSizes.indices { device.notify(queue: queue) }
    }

    private func tellActivity() {
        guard let tell = activity.withLock({ $0 }) else { return }
        tell(Set(state.withLock { state in state.live.indices.filter { state.live[$0] != nil } }))
    }

    private func acceptsFeatures(_ features: UInt64) -> Bool {
        features & ~offered == 0 && (allowsLegacy || features & VirtioFeature.version1 != 0)
            && device.accepts(features: features)
    }

    /// Builds the queues and hands them to the device. A ring that cannot be makes a device that needs reset.
    private func activate(
        _ state: inout State, progress: [(QueueProgress, QueueStanding)]?
    ) -> Bool {
        let features = state.driverFeatures & offered
        var live: [VirtQueue?] = []
        for (index, setup) in state.queues.enumerated() {
            guard setup.isEnabled else {
                live.append(nil)
                continue
            }
            let configuration = QueueConfiguration(
                size: setup.size, descriptors: GuestPhysical(setup.descriptors), driver: GuestPhysical(setup.driver),
                device: GuestPhysical(setup.device), isPacked: features & VirtioFeature.packedRing != 0,
                hasEventIndex: features & VirtioFeature.eventIndex != 0,
                hasIndirect: features & VirtioFeature.indirect != 0)
            do throws(VirtQueueError) {
                live.append(
                    try VirtQueue(
                        memory: memory, configuration: configuration, progress: progress?[index].0,
                        standing: progress?[index].1 ?? QueueStanding()))
            } catch {
                interrupt.setNeedsReset()
                return false
            }
        }
        guard !live.isEmpty else { return false }
        state.live = live
        device.activate(
            VirtioActivation(features: features, memory: memory, queues: live, interrupt: interrupt))
        return true
    }

    /// To the state after power-on; returns when the device is out of guest memory.
    func reset() {
        state.withLock { state in
            device.reset()
            state = State(queues: queueSizes.map { QueueSetup(size: $0) })
            interrupt.reset()
        }
        tellActivity()
    }

    /// Holds the device still; the queues' progress is then exact.
    func pause() { state.withLock { _ in device.pause() } }
    func resume() { state.withLock { _ in device.resume() } }
    func halt() {
        state.withLock { state in
            device.reset()
            state.live = []
            device.halt()
        }
    }

    /// A doorbell, on the processor's thread: the device posts work and returns.
    func notify(_ queue: UInt64) {
        if queue < UInt64(queueSizes.count) { device.notify(queue: Int(queue)) }
    }

    // MARK: Features

    /// 32 offered bits, as the driver selects them. Legacy drivers see the low ones by themselves.
    func deviceFeatures(_ select: UInt32) -> UInt32 {
        select < 2 ? UInt32(truncatingIfNeeded: offered >> UInt64(select * 32)) : 0
    }
    /// Stores 32 of the driver's bits; too late once features are agreed on.
    func setDriverFeatures(_ select: UInt32, _ value: UInt32, _ state: inout State) {
        guard select < 2, state.status & (VirtioStatus.featuresOK | VirtioStatus.driverOK) == 0 else { return }
        let shift = UInt64(select * 32)
        state.driverFeatures = state.driverFeatures & ~(0xFFFF_FFFF << shift) | UInt64(value) << shift
    }

    // MARK: Queues

    /// Changes the selected queue, where there is one and the driver may still change it.
    func changeQueue(_ state: inout State, _ body: (inout QueueSetup) -> Void) {
        let index = Int(state.queueSelect)
        guard state.queues.indices.contains(index), !state.isActive else { return }
        body(&state.queues[index])
    }
    /// The selected queue.
    func selected(_ state: borrowing State) -> QueueSetup? {
        let index = Int(state.queueSelect)
        return state.queues.indices.contains(index) ? state.queues[index] : nil
    }
    /// Sets a queue's size: 1 to its largest; others are ignored.
    func setSize(_ size: UInt32, _ state: inout State) {
        let index = Int(state.queueSelect)
        guard queueSizes.indices.contains(index), size > 0, size <= UInt32(queueSizes[index]) else { return }
        changeQueue(&state) { $0.size = UInt16(size) }
    }

    // MARK: Saving

    func exportState() -> DeviceState {
        let device = self.device.exportState()
        return state.withLock { state in
            var result = DeviceState(version: 1)
            result.set("status", state.status)
            result.set("driver-features", state.driverFeatures)
            result.set("device-feature-select", state.deviceFeatureSelect)
            result.set("driver-feature-select", state.driverFeatureSelect)
            result.set("queue-select", state.queueSelect)
            result.set("active", state.isActive)
            result.set(
                "queues",
                state.queues.enumerated().map { index, setup in
                    Self.export(setup, state.live.indices.contains(index) ? state.live[index] : nil)
                })
            result.set("interrupt", [interrupt.exportState()])
            result.set("device", [device])
            return result
        }
    }

    private static func export(_ setup: QueueSetup, _ live: VirtQueue?) -> DeviceState {
        let progress = live?.savedProgress ?? QueueProgress()
        var queue = DeviceState(version: 1)
        queue.set("size", setup.size)
        queue.set("descriptors", setup.descriptors)
        queue.set("driver", setup.driver)
        queue.set("device", setup.device)
        queue.set("enabled", setup.isEnabled)
        queue.set("available", progress.available)
        queue.set("used", progress.used)
        queue.set("available-wrap", progress.availableWrap)
        queue.set("used-wrap", progress.usedWrap)
        if let standing = live?.savedStanding {
            queue.set("unsignalled", standing.unsignalled)
            queue.set("must-signal", standing.mustSignal)
            queue.set("stopped", standing.isStopped)
        }
        return queue
    }

    private func restore(
        _ saved: DeviceState, largest: UInt16
    ) throws(DeviceStateError) -> (QueueSetup, QueueProgress, QueueStanding) {
        var setup = QueueSetup(size: try saved.integer("size"))
        guard setup.size > 0, setup.size <= largest else {
            throw .outOfRange(field: "size", value: UInt64(setup.size))
        }
        setup.descriptors = try saved.integer("descriptors")
        setup.driver = try saved.integer("driver")
        setup.device = try saved.integer("device")
        setup.isEnabled = try saved.bool("enabled")
        return (
            setup,
            QueueProgress(
                available: try saved.integer("available"), used: try saved.integer("used"),
                availableWrap: try saved.bool("available-wrap"), usedWrap: try saved.bool("used-wrap")),
            try Self.standing(saved)
        )
    }

    /// States of older releases do not have it.
    private static func standing(_ saved: DeviceState) throws(DeviceStateError) -> QueueStanding {
        guard saved.fields["stopped"] != nil else { return QueueStanding() }
        return QueueStanding(
            unsignalled: Int(try saved.integer("unsignalled", as: UInt32.self)),
            mustSignal: try saved.bool("must-signal"), isStopped: try saved.bool("stopped"))
    }

    /// Takes a state; the device is paused and goes on at `resume`.
    func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = State(queues: [])
        new.status = try saved.integer("status")
        new.driverFeatures = try saved.integer("driver-features")
        new.deviceFeatureSelect = try saved.integer("device-feature-select")
        new.driverFeatureSelect = try saved.integer("driver-feature-select")
        new.queueSelect = try saved.integer("queue-select")
        let isActive = try saved.bool("active")
        var progress: [(QueueProgress, QueueStanding)] = []
        for (queue, largest) in zip(try saved.list("queues", count: queueSizes.count), queueSizes) {
            let (setup, position, standing) = try restore(queue, largest: largest)
            new.queues.append(setup)
            progress.append((position, standing))
        }
        if new.status & VirtioStatus.featuresOK != 0, new.driverFeatures & ~offered != 0 {
            throw .outOfRange(field: "driver-features", value: new.driverFeatures)
        }
        let interruptState = try saved.list("interrupt", count: 1)[0]
        let deviceState = try saved.list("device", count: 1)[0]
        reset()
        device.pause()
        try device.importState(deviceState)
        try interrupt.importState(interruptState)
        let restored = new
        let positions = progress
        state.withLock { state in
            state = restored
            if isActive { _ = activate(&state, progress: positions) }
        }
        tellActivity()
    }
}
