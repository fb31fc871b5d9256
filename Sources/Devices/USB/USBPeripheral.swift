public import BlockImage
public import DeviceModel
public import Display
internal import HostOS
internal import Synchronization

/// Where USB devices are connected: a host controller, or a hub. Any thread.
public protocol USBHost: AnyObject, Sendable {
    /// Its ports, which count from 0.
    var portCount: Int { get }
    /// Connects a device. False where the port has no speed that the device knows.
    func connect(_ device: USBPeripheral, port: Int) -> Bool
    /// Takes the device of a port away.
    func disconnect(port: Int)
}

/// A USB device: a function behind its control endpoint, and what the function works on. It is connected to one host
/// at a time, which calls it under its own lock; it calls nobody while it holds its own.
public final class USBPeripheral: Device {
    private struct State: Sendable {
        var device: USBDevice
        /// Who is to look again for data that were not there.
        var wake: (@Sendable () -> Void)?
        var children: [USBPeripheral?] = []
        var isWorking = false
        var isPaused = false
        /// Work that waits for the machine to go on.
        var heldWork: USBDiskWork?
        var disk: USBDisk?
    }
    public let stateName: String
    /// Its model: `usb-tablet`.
    public let model: String
    private let state: Mutex<State>
    private var disk: USBDisk? { state.withLock { $0.disk } }
    private let idle = Bell()
    private let onLights: @Sendable (UInt8) -> Void

    init(
        _ function: any USBFunction, model: String, stateName: String, disk: USBDisk? = nil, childCount: Int = 0,
        onLights: @escaping @Sendable (UInt8) -> Void = { _ in }
    ) {
        self.model = model
        self.stateName = stateName
        self.onLights = onLights
        state = Mutex(
            State(
                device: USBDevice(function), children: [USBPeripheral?](repeating: nil, count: childCount), disk: disk))
    }

    // MARK: Kinds

    /// `usb-kbd`. `onLights` hears of its lights: scroll 1, num 2, caps 4. `isOld`: of USB 1.1.
    public static func keyboard(
        stateName: String, isOld: Bool = false, serial: String? = nil,
        onLights: @escaping @Sendable (UInt8) -> Void = { _ in }
    ) -> USBPeripheral {
        USBPeripheral(
            HIDFunction(.keyboard, isOld: isOld, serial: serial ?? "42"), model: "usb-kbd", stateName: stateName,
            onLights: onLights)
    }
    /// `usb-mouse`.
    public static func mouse(stateName: String, isOld: Bool = false, serial: String? = nil) -> USBPeripheral {
        USBPeripheral(
            HIDFunction(.mouse, isOld: isOld, serial: serial ?? "42"), model: "usb-mouse", stateName: stateName)
    }
    /// `usb-tablet`.
    public static func tablet(stateName: String, isOld: Bool = false, serial: String? = nil) -> USBPeripheral {
        USBPeripheral(
            HIDFunction(.tablet, isOld: isOld, serial: serial ?? "42"), model: "usb-tablet", stateName: stateName)
    }
    /// `usb-hub`.
    public static func hub(stateName: String, ports: Int = 8, serial: String? = nil) -> USBPeripheral {
        let count = min(max(ports, 1), HubFunction.portLimit)
        return USBPeripheral(
            HubFunction(ports: count, serial: serial ?? "314159"), model: "usb-hub", stateName: stateName,
            childCount: count)
    }
    /// `usb-storage`: a disk, or a CD drive. `isRemovable`: a medium that may be taken out.
    public static func storage(
        _ unit: SCSIUnitProperties, backend: (any BlockBackend)?, isRemovable: Bool, stateName: String,
        serial: String? = nil
    ) -> USBPeripheral {
        let function = MassStorageFunction(
            SCSIUnit(unit, size: backend?.sizeInBytes, isReadOnly: backend?.isReadOnly ?? false),
            isRemovable: isRemovable, serial: serial ?? "1")
        return USBPeripheral(
            function, model: "usb-storage", stateName: stateName, disk: backend.map { USBDisk($0) })
    }

    // MARK: For hosts

    /// Whether it knows a speed.
    func knows(_ speed: USBSpeed) -> Bool { state.withLock { $0.device.function.speeds.contains(speed) } }
    /// The speed at which it is connected.
    var speed: USBSpeed { state.withLock { $0.device.speed } }
    /// What it tells of itself in monitors.
    public var speedText: String {
        switch speed {
        case .low: "1.5"
        case .full: "12"
        case .high: "480"
        case .superSpeed: "5000"
        }
    }

    /// Connects it at a speed that it knows. `wake` is called with no lock held, from any thread.
    func connected(at speed: USBSpeed, wake: @escaping @Sendable () -> Void) {
        let children = state.withLock { state in
            state.device.reset()
            state.device.speed = speed
            state.wake = wake
            return state.children
        }
        for child in children { child?.setWake(wake) }
    }
    /// Nobody asks it any more.
    func disconnected() {
        let children = state.withLock { state in
            state.device.reset()
            state.wake = nil
            return state.children
        }
        for child in children { child?.setWake(nil) }
    }
    private func setWake(_ wake: (@Sendable () -> Void)?) {
        let children = state.withLock { state in
            state.wake = wake
            return state.children
        }
        for child in children { child?.setWake(wake) }
    }

    /// A reset of its port.
    func busReset() { change { $0.device.reset() } }

    /// The device of an address at this one or behind it.
    func find(address: UInt8) -> USBPeripheral? {
        let (mine, children) = state.withLock { state -> (UInt8, [USBPeripheral?]) in
            let hub = state.device.function as? HubFunction
            return (
                state.device.address,
                state.children.enumerated().map { port, child in hub?.isEnabled(port) == true ? child : nil }
            )
        }
        if mine == address { return self }
        for child in children { if let found = child?.find(address: address) { return found } }
        return nil
    }

    /// The device behind it at a route string, four bits a hub. USB 3.0, 8.9.
    func find(route: UInt32) -> USBPeripheral? {
        let port = Int(route & 15)
        guard port > 0 else { return self }
        let child = state.withLock { $0.children.indices.contains(port - 1) ? $0.children[port - 1] : nil }
        return child?.find(route: route >> 4)
    }

    /// A transaction with it.
    package func transact(_ token: USBToken, endpoint: UInt8, output: [UInt8] = [], limit: Int = 0) -> USBResult {
        change { $0.device.transact(token, endpoint: endpoint, output: output, limit: limit) }
    }

    /// A request without data: SET ADDRESS, which xHCI makes itself.
    func setAddress(_ address: UInt8) {
        _ = transact(.setup, endpoint: 0, output: [0, 5, address, 0, 0, 0, 0, 0])
        _ = transact(.input, endpoint: 0)
    }

    private func change<R: Sendable>(_ body: (inout State) -> R) -> R {
        let (result, effects, children) = state.withLock { state -> (R, [USBEffect], [USBPeripheral?]) in
            let result = body(&state)
            return (result, state.device.function.takeEffects(), state.children)
        }
        for effect in effects {
            switch effect {
            case .lights(let lights):
                // The class counts num, caps, scroll; PS/2 scroll, num, caps.
                onLights(lights << 1 & 6 | lights >> 2 & 1)
            case .resetPort(let port): if children.indices.contains(port) { children[port]?.busReset() }
            case .disk(let work): start(work)
            }
        }
        return result
    }

    // MARK: The disk

    private func start(_ work: USBDiskWork) {
        guard let disk else {
            // Nobody waits: the host that asked hears of it at once.
            return change { $0.device.function.diskEnded(nil) }
        }
        let mayStart = state.withLock { state in
            if state.isPaused { state.heldWork = work } else { state.isWorking = true }
            return !state.isPaused
        }
        if mayStart { disk.perform(work) { [self] bytes in ended(bytes) } }
    }

    private func ended(_ bytes: [UInt8]?) {
        change { state in
            state.isWorking = false
            state.device.function.diskEnded(bytes)
        }
        idle.ring()
        state.withLock { $0.wake }?()
    }

    // MARK: Input

    /// A keyboard or pointer of the guest's.
    public var input: any KeyboardInput & PointerInput { Input(self) }

    private final class Input: KeyboardInput, PointerInput {
        private let device: USBPeripheral
        let isAbsolute: Bool

        init(_ device: USBPeripheral) {
            self.device = device
            isAbsolute = device.model == "usb-tablet"
        }
        var pointerName: String { isAbsolute ? "QEMU HID Tablet" : "QEMU HID Mouse" }
        func key(code: UInt8, down: Bool) { device.withHID { $0.key(code, down: down) } }
        func pointer(_ event: PointerEvent) { device.withHID { $0.pointer(event) } }
    }

    private func withHID(_ body: (inout HIDFunction) -> Void) {
        let wake = state.withLock { state -> (@Sendable () -> Void)? in
            guard var function = state.device.function as? HIDFunction else { return nil }
            body(&function)
            state.device.function = function
            return state.wake
        }
        wake?()
    }

    // MARK: Device

    public func reset() {
        finishWork()
        change { $0.device.reset() }
    }
    private func finishWork() {
        let held = state.withLock { state -> Bool in
            defer { state.heldWork = nil }
            return state.heldWork != nil
        }
        disk?.cancel()
        drain()
        if held { ended(nil) }
    }
    private func drain() {
        while state.withLock({ $0.isWorking }), disk?.isHeld != true { idle.wait(nanoseconds: 100_000_000) }
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        drain()
    }
    public func resume() {
        let work = state.withLock { state -> USBDiskWork? in
            state.isPaused = false
            defer { state.heldWork = nil }
            return state.heldWork
        }
        disk?.retry()
        if let work { start(work) }
    }
    public func halt() {
        state.withLock { $0.isPaused = true }
        disk?.cancel()
        drain()
    }

    public func exportState() -> DeviceState { state.withLock { $0.device.exportState() } }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let attached = state.withLock { $0.device }
        var device = attached
        try device.importState(saved)
        let taken = device
        state.withLock { state in
            state.device = taken
            // What was under way on the disk begins again.
            if let function = taken.function as? MassStorageFunction { state.heldWork = function.workUnderWay }
        }
    }
}

/// The ports of a hub.
extension USBPeripheral: USBHost {
    public var portCount: Int { state.withLock { $0.children.count } }

    public func connect(_ device: USBPeripheral, port: Int) -> Bool {
        guard device !== self, device.knows(.full) || device.knows(.low) else { return false }
        let speed: USBSpeed = device.knows(.full) ? .full : .low
        let (isFree, wake) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
            guard state.children.indices.contains(port), state.children[port] == nil else { return (false, nil) }
            state.children[port] = device
            return (true, state.wake)
        }
        guard isFree else { return false }
        device.connected(at: speed) { wake?() }
        change { state in
            guard var hub = state.device.function as? HubFunction else { return }
            hub.connect(port, speed: speed)
            state.device.function = hub
        }
        wake?()
        return true
    }

    public func disconnect(port: Int) {
        let (child, wake) = state.withLock { state -> (USBPeripheral?, (@Sendable () -> Void)?) in
            guard state.children.indices.contains(port) else { return (nil, nil) }
            defer { state.children[port] = nil }
            return (state.children[port], state.wake)
        }
        guard let child else { return }
        child.disconnected()
        change { state in
            guard var hub = state.device.function as? HubFunction else { return }
            hub.disconnect(port)
            state.device.function = hub
        }
        wake?()
    }
}

/// The CD drive that a `usb-storage` may be: channel 0, unit 0.
extension USBPeripheral: RemovableMediaHost {
    private func drive<R: Sendable>(_ body: (inout IDEDrive) -> R) -> R? {
        state.withLock { state in
            guard var function = state.device.function as? MassStorageFunction, function.unit.properties.isCD else {
                return nil
            }
            defer { state.device.function = function }
            return body(&function.unit.drive)
        }
    }
    public func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        drive { [$0.isTrayOpen, $0.isLocked] }.map { ($0[0], $0[1]) }
    }
    public func setTray(channel: Int, unit: Int, isOpen: Bool) { drive { $0.moveTray(isOpen: isOpen) } }
    public func requestEject(channel: Int, unit: Int) { drive { $0.mediumEvent = IDEDrive.ejectEvent } }
    public func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?) {
        guard drive({ _ in true }) != nil else { return }
        let wasPaused = state.withLock { state in
            defer { state.isPaused = true }
            return state.isPaused
        }
        finishWork()
        state.withLock { $0.disk = backend.map { USBDisk($0) } }
        drive { $0.insert(size: backend?.sizeInBytes) }
        state.withLock { $0.isPaused = wasPaused }
    }
}
