public import BlockImage
public import DeviceModel
public import GuestMemory
internal import HostOS
import Synchronization

/// A drive and its image, as the board puts them on a controller.
public struct IDEUnit: Sendable {
    /// What the drive is.
    public var properties: IDEDriveProperties
    /// Its image; nil for an empty CD drive.
    public var backend: (any BlockBackend)?

    /// A drive.
    public init(_ properties: IDEDriveProperties, backend: (any BlockBackend)?) {
        self.properties = properties
        self.backend = backend
    }
}

/// The PIIX3's IDE function: two channels at the ports of the old PC, each with two drives and a bus master. Intel
/// 290550 (82371SB).
///
/// Requests go to images on a worker, one of a channel at a time and with no lock held.
public final class IDEController: Device, PCIFunctionDelegate {
    /// The ports of a channel's command block; its device control register is 0x206 above them.
    public static let ports: [UInt64] = [0x1F0, 0x170]
    /// The channels' interrupts.
    public static let interrupts = [14, 15]
    private static let busMasterBAR = 4

    /// Memory for the bytes of one request.
    @safe private final class Bounce: @unchecked Sendable {
        // Whoever has the request in hand uses the memory: the worker up to `submit`, then the image, then the
        // completion. One request of a channel is out at a time.
        let pointer: UnsafeMutableRawPointer
        init() { unsafe pointer = .allocate(byteCount: IDEChannel.mostBytes, alignment: 4096) }
        deinit { unsafe pointer.deallocate() }
        func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer {
            unsafe UnsafeMutableRawBufferPointer(start: pointer, count: min(count, IDEChannel.mostBytes))
        }
    }
    private struct State {
        var model: IDEChannel
        var backends: [(any BlockBackend)?]
        var isInFlight = false
        var isPaused = false
        /// A request waits for the machine to stop and go on, after an error.
        var isHeld = false
        var drivenLevel = false
        /// The trays that are open, as the observer knows it.
        var openTrays: [Bool]
    }
    private final class Channel: Sendable {
        let state: Mutex<State>
        let line: InterruptLine
        let bounce = Bounce()
        /// Rung when nothing is in flight.
        let idle = Bell()
        init(_ model: IDEChannel, _ line: InterruptLine, _ backends: [(any BlockBackend)?]) {
            state = Mutex(State(model: model, backends: backends, openTrays: model.openTrays))
            self.line = line
        }
    }

    public let stateName: String
    /// What a `PCIBus` attaches, at function 1 of the PIIX3's slot.
    public let function: PCIFunction
    private let channels: [Channel]
    // Set once in `init`, where they need `self`.
    private let work = Mutex<[any WorkItem]>([])
    private let trayObserver = Mutex<TrayObserver?>(nil)

    /// Hears that a tray moved, on any thread, with no lock held.
    public typealias TrayObserver = @Sendable (_ channel: Int, _ unit: Int, _ isOpen: Bool) -> Void

    /// A controller with drives `units[channel][unit]`; nil is no drive. `lines` are interrupts 14 and 15.
    public init(
        units: [[IDEUnit?]], memory: AddressSpace, lines: [InterruptLine], scheduler: any WorkScheduler,
        stateName: String = "piix3-ide"
    ) {
        precondition(lines.count == 2, "An IDE controller has two interrupts")
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x7010, classCode: 0x010180, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        // Both channels decode their ports from the start, as firmware that is not always there would have it; the
        // timings that drivers write beside that mean nothing here.
        function.defineRegister(0x40, value: UInt32(0x8000_8000), writable: UInt32.max)
        function.defineRegister(0x44, value: UInt8(0), writable: UInt8.max)
        channels = (0..<2).map { channel in
            let mine = (0..<2).map { unit in
                units.indices.contains(channel) && units[channel].indices.contains(unit) ? units[channel][unit] : nil
            }
            let drives = mine.map { unit in
                unit.map {
                    IDEDrive(
                        $0.properties, size: $0.backend?.sizeInBytes, isReadOnly: $0.backend?.isReadOnly ?? true)
                }
            }
            return Channel(IDEChannel(drives, memory: memory), lines[channel], mine.map { $0?.backend })
        }
        for (channel, mine) in units.prefix(2).enumerated() {
            for (number, unit) in mine.prefix(2).enumerated() {
                guard let backend = unit?.backend else { continue }
                backend.observeSize { [weak self] in
                    self?.channels[channel].state.withLock { $0.model.setSize(of: number, $0.backends[number]?.sizeInBytes) }
                }
            }
        }
        let items = (0..<2).map { channel in scheduler.makeItem { [weak self] in self?.perform(channel) } }
        work.withLock { $0 = items }
        function.addBAR(
            Self.busMasterBAR, .io, size: 16,
            regions: [PCIBAR.Region(count: 16, name: "piix-bmdma", device: busMasterWindow)])
        function.setDelegate(self)
    }

    /// Puts both channels at their ports.
    public func attach(to bus: Bus) {
        for (channel, base) in Self.ports.enumerated() {
            bus.add(commandWindow(channel), start: base, count: 8, name: "ide")
            bus.add(controlWindow(channel), start: base + 0x206, count: 1, name: "ide")
        }
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        guard offset <= PCIRegister.command + 1, offset + size > PCIRegister.command else { return }
        followMaster()
    }
    private func followMaster() {
        let isMaster = function.command & PCICommand.busMaster != 0
        for channel in channels { channel.state.withLock { $0.model.isMaster = isMaster } }
    }

    // MARK: Registers

    /// Does something with a channel's model, then brings the interrupt and the worker up to date.
    private func access<R: Sendable>(_ index: Int, _ body: (inout IDEChannel) -> R) -> R {
        let channel = channels[index]
        let (result, hasWork, moved) = channel.state.withLock { state in
            let result = body(&state.model)
            settle(channel, &state)
            let trays = state.model.openTrays
            let moved = trays == state.openTrays ? nil : (state.openTrays, trays)
            state.openTrays = trays
            return (result, state.model.hasRequest && !state.isInFlight && !state.isPaused && !state.isHeld, moved)
        }
        if hasWork { schedule(index) }
        if let (before, after) = moved, let observer = trayObserver.withLock({ $0 }) {
            for unit in after.indices where before[unit] != after[unit] { observer(index, unit, after[unit]) }
        }
        return result
    }
    private func settle(_ channel: Channel, _ state: inout State) {
        let level = state.model.level
        guard level != state.drivenLevel else { return }
        state.drivenLevel = level
        channel.line.set(level)
    }
    private func schedule(_ index: Int) {
        let item = work.withLock { $0.indices.contains(index) ? $0[index] : nil }
        item?.schedule()
    }

    /// Lets the worker have the processor for a moment where the guest polls for a request that is under way.
    private func yieldToRequest(_ index: Int) {
        guard channels[index].state.withLock({ $0.isInFlight && !$0.isPaused }) else { return }
        channels[index].idle.wait(nanoseconds: 50_000)
    }

    private func readCommand(_ index: Int, offset: UInt64, size: Int) -> UInt64 {
        if offset == 7 { yieldToRequest(index) }
        return access(index) { model in
            guard offset == 0 else { return ByteLanes.read(offset, size) { model.read($0) } }
            return size == 1 ? 0xFF : UInt64(model.readData(size: min(size, 4)))
        }
    }
    private func writeCommand(_ index: Int, offset: UInt64, size: Int, value: UInt64) {
        access(index) { model in
            guard offset == 0 else {
                ByteLanes.write(offset, size, value) { if $0 < 8 { model.write($0, $1) } }
                return
            }
            if size > 1 { model.writeData(UInt32(truncatingIfNeeded: value), size: min(size, 4)) }
        }
    }
    private func readBusMaster(offset: UInt64, size: Int) -> UInt64 {
        guard offset < 16 else { return UInt64.max }
        return access(Int(offset >> 3)) { model in
            ByteLanes.read(offset & 7, min(size, 8 - Int(offset & 7))) { model.readBusMaster($0) }
        }
    }
    private func writeBusMaster(offset: UInt64, size: Int, value: UInt64) {
        guard offset < 16 else { return }
        access(Int(offset >> 3)) { model in
            ByteLanes.write(offset & 7, min(size, 8 - Int(offset & 7)), value) { model.writeBusMaster($0, $1) }
        }
    }

    // MARK: Requests

    /// Hands a channel's request to its image.
    private func perform(_ index: Int) {
        let channel = channels[index]
        let taken = channel.state.withLock { state -> (request: IDERequest, backend: (any BlockBackend)?)? in
            guard !state.isInFlight, !state.isPaused, !state.isHeld, let request = state.model.takeRequest() else { return nil }
            state.isInFlight = true
            if request.operation == .write {
                unsafe state.model.copyData(to: channel.bounce.bytes(request.count))
            }
            return (request, state.backends.indices.contains(request.drive) ? state.backends[request.drive] : nil)
        }
        guard let (request, image) = taken else { return }
        let bytes = unsafe channel.bounce.bytes(request.count)
        guard let backend = image else { return complete(index, request, nil, error: 5) }
        var operation = BlockRequest.Operation.flush
        var segments: [BlockSegment] = []
        switch request.operation {
        case .read: operation = .read
        case .write: operation = .write
        case .discard: operation = .discard
        case .flush: break
        }
        if request.operation == .read || request.operation == .write, let base = bytes.baseAddress {
            // SAFETY: the memory lives as long as the channel, which the completion keeps.
            unsafe segments.append(BlockSegment(pointer: base, count: request.count))
        }
        backend.submit(
            BlockRequest(
                operation: operation, offset: request.offset, length: UInt64(request.count), segments: segments,
                forceUnitAccess: request.forceUnitAccess
            ) { [self] error in complete(index, request, backend, error: error) })
        (backend as? any BatchingBackend)?.poll()
    }

    /// An image is done: any thread.
    private func complete(_ index: Int, _ request: IDERequest, _ backend: (any BlockBackend)?, error failure: Int32) {
        let channel = channels[index]
        let action =
            failure == 0
            ? BlockErrorAction.ignore : backend?.judge(failure, isWrite: request.operation != .read) ?? .report
        let error = action == .ignore ? 0 : failure
        let hasWork = channel.state.withLock { state in
            state.isInFlight = false
            if action == .stop {
                state.isHeld = state.model.retry(request)
                return false
            }
            let count = request.operation == .read ? request.count : 0
            unsafe state.model.complete(
                request.number, error: error, UnsafeRawBufferPointer(channel.bounce.bytes(count)))
            settle(channel, &state)
            return state.model.hasRequest && !state.isPaused
        }
        channel.idle.ring()
        if hasWork { schedule(index) }
    }

    // MARK: Media

    /// Who hears of trays that guests and `setTray` move.
    public func observeTrays(_ observer: TrayObserver?) { trayObserver.withLock { $0 = observer } }

    /// A CD drive's tray; nil where there is no such drive.
    public func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        guard channels.indices.contains(channel) else { return nil }
        return channels[channel].state.withLock { $0.model.tray(of: unit) }
    }

    /// Moves a CD drive's tray, locked or not.
    public func setTray(channel: Int, unit: Int, isOpen: Bool) {
        guard channels.indices.contains(channel) else { return }
        access(channel) { $0.setTray(of: unit, isOpen: isOpen) }
    }

    /// Tells the guest that somebody pressed the button of a drive whose tray it has locked.
    public func requestEject(channel: Int, unit: Int) {
        guard channels.indices.contains(channel) else { return }
        access(channel) { $0.requestEject(of: unit) }
    }

    /// Puts another image into a CD drive, or none. The tray should be open: the guest hears of it when it closes.
    /// Waits for a request on its way to the image before; not for the thread that completes requests.
    public func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?) {
        guard channels.indices.contains(channel) else { return }
        let place = channels[channel]
        let wasPaused = place.state.withLock { state in
            defer { state.isPaused = true }
            return state.isPaused
        }
        while place.state.withLock({ $0.isInFlight }) { place.idle.wait(nanoseconds: 100_000_000) }
        place.state.withLock { state in
            if state.backends.indices.contains(unit) { state.backends[unit] = backend }
            state.model.setMedium(of: unit, size: backend?.sizeInBytes)
            state.isPaused = wasPaused
        }
        if !wasPaused { schedule(channel) }
    }

    // MARK: Life

    private func drain() {
        for channel in channels {
            while channel.state.withLock({ $0.isInFlight }) { channel.idle.wait(nanoseconds: 100_000_000) }
        }
    }

    public func reset() {
        // What is still with an image must not be answered to by the machine's next life.
        let before = channels.map { channel in
            channel.state.withLock { state in
                let isPaused = state.isPaused
                state.isPaused = true
                return isPaused
            }
        }
        drain()
        for (index, channel) in channels.enumerated() {
            channel.state.withLock { state in
                state.model.reset()
                state.isHeld = false
                state.isPaused = before[index]
                settle(channel, &state)
            }
        }
        function.reset()
        followMaster()
    }
    public func pause() {
        for channel in channels { channel.state.withLock { $0.isPaused = true } }
        drain()
    }
    public func resume() {
        for (index, channel) in channels.enumerated() {
            channel.state.withLock { state in
                state.isPaused = false
                state.isHeld = false
            }
            schedule(index)
        }
    }
    public func halt() { pause() }

    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("pci", [function.exportState()])
        saved.set("channels", channels.map { channel in channel.state.withLock { $0.model.exportState() } })
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let parts = try saved.list("channels", count: channels.count)
        var models: [IDEChannel] = []
        for (channel, part) in zip(channels, parts) {
            var model = channel.state.withLock { $0.model }
            try model.importState(part)
            models.append(model)
        }
        try function.importState(try saved.list("pci", count: 1)[0])
        for (channel, model) in zip(channels, models) {
            channel.state.withLock { state in
                state.model = model
                state.drivenLevel = model.level
                state.openTrays = model.openTrays
                channel.line.set(model.level)
            }
        }
        followMaster()
    }

    // MARK: Windows

    /// The ports of a channel's command block, which the bus keeps.
    private func commandWindow(_ channel: Int) -> any BusDevice {
        WeakWindow(
            self, read: { $0.readCommand(channel, offset: $1, size: $2) },
            write: { $0.writeCommand(channel, offset: $1, size: $2, value: $3) })
    }
    /// The port of its control block.
    private func controlWindow(_ channel: Int) -> any BusDevice {
        WeakWindow(
            self,
            read: { owner, _, _ in
                owner.yieldToRequest(channel)
                return owner.access(channel) { UInt64($0.alternateStatus) }
            },
            write: { owner, _, _, value in
                owner.access(channel) { $0.writeControl(UInt8(truncatingIfNeeded: value)) }
            })
    }
    /// The bus master's ports, which the function keeps.
    private var busMasterWindow: any BusDevice {
        WeakWindow(
            self, read: { $0.readBusMaster(offset: $1, size: $2) },
            write: { $0.writeBusMaster(offset: $1, size: $2, value: $3) })
    }
}
