public import BlockImage
public import DeviceModel
internal import HostOS
import Synchronization
internal import VirtQueue

/// A logical unit and its image, as the board puts them on a SCSI host.
public struct SCSIPlace: Sendable {
    /// Its target, 0 to 255.
    public var target: UInt8
    /// Its number at the target, 0 to 16383.
    public var lun: UInt16
    /// What it is.
    public var properties: SCSIUnitProperties
    /// Its image; nil for an empty CD drive.
    public var backend: (any BlockBackend)?

    /// A unit of all parts.
    public init(target: UInt8, lun: UInt16, properties: SCSIUnitProperties, backend: (any BlockBackend)?) {
        self.target = target
        self.lun = lun
        self.properties = properties
        self.backend = backend
    }
}

/// The SCSI host device. virtio 1.2, 5.6.
///
/// A worker takes commands from the rings; their data goes from the image to the driver's buffers. One lock, which is
/// not held while an image is called.
public final class VirtioSCSI: VirtioDevice {
    struct Key: Hashable, Comparable {
        var target: UInt8
        var lun: UInt16
        static func < (a: Key, b: Key) -> Bool { (a.target, a.lun) < (b.target, b.lun) }
    }
    struct Unit {
        var model: SCSIUnit
        var backend: PatientBackend?
        /// What the next command is told instead of being done: a reset, or a change of what is there.
        var attention: IDEDrive.Sense?
        var isTrayOpen = false
    }
    struct State {
        var units: [Key: Unit] = [:]
        var queues: [VirtQueue?] = []
        var interrupt: VirtioInterrupt?
        var makeChain: (() -> DescriptorChain)?
        var features: UInt64 = 0
        var inFlight = 0
        var isPaused = false
        var isStopping = false
        /// Events that found no buffer: the driver has to look at everything.
        var hasMissedEvents = false
    }
    enum Feature {
        static let inOut: UInt64 = 1 << 0
        static let hotplug: UInt64 = 1 << 1
        static let change: UInt64 = 1 << 2
    }
    static let senseSize = 96
    static let cdbSize = 32
    static let requestHeader = 19 + cdbSize
    static let responseHeader = 12 + senseSize

    let state = Mutex(State())
    let idle = Bell()
    private let queueCount: Int
    private let queueSize: UInt16
    // Set once in `init`, where it needs `self`.
    private let work = Mutex<(any WorkItem)?>(nil)
    private let trayObserver = Mutex<IDEController.TrayObserver?>(nil)

    /// A host with the given units and 1 to 64 request queues.
    public init(_ places: [SCSIPlace], queues: Int = 1, queueSize: UInt16 = 256, scheduler: any WorkScheduler) {
        queueCount = min(max(queues, 1), 64)
        self.queueSize = queueSize.nonzeroBitCount == 1 && queueSize <= 1024 ? queueSize : 256
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
        state.withLock { state in
            for place in places { state.units[Key(target: place.target, lun: place.lun)] = unit(place) }
        }
        for place in places { watchSize(of: place) }
    }

    private func watchSize(of place: SCSIPlace) {
        let key = Key(target: place.target, lun: place.lun)
        if !place.properties.isCD { place.backend?.observeSize { [weak self] in self?.sizeChanged(key) } }
    }

    private func unit(_ place: SCSIPlace) -> Unit {
        Unit(
            model: SCSIUnit(
                place.properties, size: place.backend?.sizeInBytes, isReadOnly: place.backend?.isReadOnly ?? true),
            backend: patient(place.backend))
    }
    private func patient(_ image: (any BlockBackend)?) -> PatientBackend? {
        image.map { PatientBackend($0) { [idle] in idle.ring() } }
    }

    public var kind: VirtioDeviceKind { .scsi }
    public var features: UInt64 { Feature.hotplug | Feature.change }
    public var queueSizes: [UInt16] { [UInt16](repeating: queueSize, count: 2 + queueCount) }
    public var configurationCount: Int { 36 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, UInt32(queueCount))
        VirtioConfiguration.append(&bytes, UInt32(queueSize) - 2)
        VirtioConfiguration.append(&bytes, UInt32(0xFFFF))
        VirtioConfiguration.append(&bytes, UInt32(128))
        VirtioConfiguration.append(&bytes, UInt32(16))
        VirtioConfiguration.append(&bytes, UInt32(Self.senseSize))
        VirtioConfiguration.append(&bytes, UInt32(Self.cdbSize))
        VirtioConfiguration.append(&bytes, UInt16(0))
        VirtioConfiguration.append(&bytes, UInt16(255))
        VirtioConfiguration.append(&bytes, UInt32(16383))
        return VirtioConfiguration.read(bytes, offset: offset, size: size)
    }

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory, features) =
            (context.queues, context.interrupt, context.memory, context.features)
        state.withLock { state in
            state.queues = queues
            state.interrupt = interrupt
            state.features = features
            state.makeChain = { DescriptorChain(memory: memory) }
        }
    }

    public func notify(queue: Int) { schedule() }
    func schedule() { work.withLock { $0 }?.schedule() }

    // MARK: Units that come and go

    /// Adds a unit. False where its place is taken. The driver hears of it.
    public func add(_ place: SCSIPlace) -> Bool {
        let key = Key(target: place.target, lun: place.lun)
        let isAdded = state.withLock { state in
            guard state.units[key] == nil else { return false }
            state.units[key] = unit(place)
            // Units of the target that are there already say that there are others now.
            for other in state.units.keys where other.target == key.target && other != key {
                state.units[other]?.attention = IDEDrive.Sense(key: 6, code: 0x3F, qualifier: 0x0E)
            }
            sendEvent(key, reason: 1, &state)
            return true
        }
        if isAdded { watchSize(of: place) }
        return isAdded
    }

    /// A disk has another size: the driver hears of it by an event, and by the next command that it gives.
    private func sizeChanged(_ key: Key) {
        state.withLock { state in
            guard let size = state.units[key]?.backend?.sizeInBytes else { return }
            let attention = IDEDrive.Sense(key: 6, code: 0x2A, qualifier: 9)
            state.units[key]?.model.drive.size = size
            state.units[key]?.attention = attention
            // 5.6.6.3.3, parameter change.
            guard state.features & Feature.change != 0 else { return }
            postEvent(3, key, UInt32(attention.code) | UInt32(attention.qualifier) << 8, &state)
        }
    }

    /// Whether any unit is at a target.
    public func hasTarget(_ target: UInt8) -> Bool {
        state.withLock { $0.units.keys.contains { $0.target == target } }
    }

    /// Takes a unit away, once none of its commands is under way. The driver hears of it.
    public func remove(target: UInt8, lun: UInt16) {
        let key = Key(target: target, lun: lun)
        let gone = state.withLock { state -> Unit? in
            guard let unit = state.units.removeValue(forKey: key) else { return nil }
            sendEvent(key, reason: 2, &state)
            return unit
        }
        gone?.backend?.cancel()
        drain()
    }

    /// The driver is told of a unit that came (1) or went (2): 5.6.6.3.1, transport reset.
    private func sendEvent(_ key: Key, reason: UInt32, _ state: inout State) {
        guard state.features & Feature.hotplug != 0 else { return }
        postEvent(1, key, reason, &state)
    }
    func postEvent(_ kind: UInt32, _ key: Key, _ reason: UInt32, _ state: inout State) {
        guard state.queues.count > 1, let queue = state.queues[1], let chain = state.makeChain?() else { return }
        do throws(VirtQueueError) {
            guard try queue.pop(into: chain) else {
                state.hasMissedEvents = true
                return
            }
        } catch {
            state.interrupt?.setNeedsReset()
            return
        }
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, state.hasMissedEvents ? kind | 0x8000_0000 : kind)
        // As REPORT LUNS has it: Linux takes the two for the same unit only then.
        bytes += [1, key.target, key.lun < 256 ? 0 : 0x40 | UInt8(key.lun >> 8 & 0x3F), UInt8(key.lun & 0xFF), 0, 0, 0, 0]
        VirtioConfiguration.append(&bytes, reason)
        state.hasMissedEvents = false
        queue.push(chain, written: chain.write(at: 0, bytes: bytes))
        if queue.needsInterrupt() { state.interrupt?.signalQueue(1) }
    }

    // MARK: Media

    /// Who hears of trays: the target, and the unit's number.
    public func observeTrays(_ observer: IDEController.TrayObserver?) { trayObserver.withLock { $0 = observer } }

    func noteTrays() {
        let moved = state.withLock { state -> [(Key, Bool)] in
            var moved: [(Key, Bool)] = []
            for (key, unit) in state.units where unit.isTrayOpen != unit.model.drive.isTrayOpen {
                state.units[key]?.isTrayOpen = unit.model.drive.isTrayOpen
                moved.append((key, unit.model.drive.isTrayOpen))
            }
            return moved
        }
        guard let observer = trayObserver.withLock({ $0 }) else { return }
        for (key, isOpen) in moved { observer(Int(key.target), Int(key.lun), isOpen) }
    }

    // MARK: Life

    /// Whether requests wait whose errors have stopped the machine: they are no part of the saved state.
    public var hasStoppedRequests: Bool {
        state.withLock { $0.units.values.contains { ($0.backend?.heldCount ?? 0) > 0 } }
    }

    /// Waits until no command is under way, but for those that wait for the machine to go on.
    func drain() {
        while state.withLock({ state in
            state.inFlight > state.units.values.reduce(0) { $0 + ($1.backend?.heldCount ?? 0) }
        }) { idle.wait(nanoseconds: 100_000_000) }
    }
    public func reset() {
        let units = state.withLock { state in
            state.isStopping = true
            return state.units.values.map(\.backend)
        }
        for image in units { image?.cancel() }
        drain()
        state.withLock { state in
            var units = state.units
            for key in units.keys {
                units[key]?.model.reset()
                units[key]?.attention = nil
            }
            state = State(units: units, isPaused: state.isPaused)
        }
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        drain()
    }
    public func resume() {
        let images = state.withLock { state in
            state.isPaused = false
            return state.units.values.map(\.backend)
        }
        for image in images { image?.retry() }
        schedule()
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("missed-events", state.hasMissedEvents)
            saved.set(
                "units",
                state.units.sorted { $0.key < $1.key }.map { key, unit in
                    var part = DeviceState(version: 1)
                    part.set("target", key.target)
                    part.set("lun", key.lun)
                    part.set("drive", [unit.model.drive.exportState()])
                    if let attention = unit.attention {
                        part.set("attention", [attention.key, attention.code, attention.qualifier])
                    }
                    return part
                })
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var units = state.withLock { $0.units }
        let hasMissed = try saved.bool("missed-events")
        for part in try saved.list("units") {
            let key = Key(target: try part.integer("target"), lun: try part.integer("lun"))
            guard units[key] != nil else { throw .outOfRange(field: "target", value: UInt64(key.target)) }
            try units[key]?.model.drive.importState(try part.list("drive", count: 1)[0])
            if part.fields["attention"] != nil {
                let sense = try part.bytes("attention", count: 3)
                units[key]?.attention = IDEDrive.Sense(key: sense[0] & 15, code: sense[1], qualifier: sense[2])
            }
        }
        let restored = units
        state.withLock { state in
            state.units = restored
            state.hasMissedEvents = hasMissed
        }
    }
}

extension VirtioSCSI: RemovableMediaHost {
    private func drive<R>(_ channel: Int, _ unit: Int, _ body: (inout IDEDrive) -> R) -> R? {
        guard let target = UInt8(exactly: channel), let lun = UInt16(exactly: unit) else { return nil }
        return state.withLock { state in
            let key = Key(target: target, lun: lun)
            guard var found = state.units[key], found.model.properties.isCD else { return nil }
            defer { state.units[key] = found }
            return body(&found.model.drive)
        }
    }
    public func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        drive(channel, unit) { ($0.isTrayOpen, $0.isLocked) }
    }
    public func setTray(channel: Int, unit: Int, isOpen: Bool) {
        _ = drive(channel, unit) { $0.moveTray(isOpen: isOpen) }
        noteTrays()
    }
    public func requestEject(channel: Int, unit: Int) {
        _ = drive(channel, unit) { $0.mediumEvent = IDEDrive.ejectEvent }
    }
    public func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?) {
        guard drive(channel, unit, { _ in true }) != nil else { return }
        let wasPaused = state.withLock { state in
            defer { state.isPaused = true }
            return state.isPaused
        }
        let key = Key(target: UInt8(truncatingIfNeeded: channel), lun: UInt16(truncatingIfNeeded: unit))
        state.withLock { $0.units[key]?.backend }?.cancel()
        drain()
        let image = patient(backend)
        state.withLock { state in
            state.units[key]?.backend = image
            state.units[key]?.model.drive.insert(size: backend?.sizeInBytes)
            state.isPaused = wasPaused
        }
        if !wasPaused { schedule() }
    }
}
