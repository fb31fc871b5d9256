public import DeviceModel
internal import Synchronization

/// `isa-debug-exit`: a write of `v` ends the machine with the status `v << 1 | 1`.
public final class DebugExit: BusDevice, Device {
    public let stateName: String
    private let onExit: @Sendable (UInt32) -> Void

    /// `onExit` gets the exit status, on the processor's thread; the machine's process ends with its low 8 bits.
    public init(name: String = "isa-debug-exit", onExit: @escaping @Sendable (UInt32) -> Void) {
        stateName = name
        self.onExit = onExit
    }

    /// Puts it on a bus of I/O ports: `iobase` and `iosize`.
    public func attach(to bus: Bus, base: UInt64 = 0x501, count: UInt64 = 2) {
        bus.add(self, start: base, count: max(1, count), name: stateName)
    }

    public func read(offset: UInt64, size: Int) -> UInt64 { 0 }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        onExit(UInt32(truncatingIfNeeded: value) << 1 | 1)
    }

    public func reset() {}
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try state.requireVersion(1...1) }
}

/// `isa-debugcon`: each byte written goes to a character back-end (firmware logs at 402, Bochs' port E9).
public final class DebugConsole: BusDevice, Device {
    public let stateName: String
    private let backend: any CharacterPort
    private let readback: UInt8
    /// Held while a byte leaves: back-ends are called from one thread at a time.
    private let output = Mutex(())

    /// `readback` is what the port reads, by which guests recognise it.
    public init(name: String = "isa-debugcon", backend: any CharacterPort, readback: UInt8 = 0xE9) {
        stateName = name
        self.backend = backend
        self.readback = readback
    }

    /// Puts it on a bus of I/O ports.
    public func attach(to bus: Bus, port: UInt64 = 0xE9) { bus.add(self, start: port, count: 1, name: stateName) }

    public func read(offset: UInt64, size: Int) -> UInt64 { UInt64(readback) }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        output.withLock { _ in backend.write([UInt8(truncatingIfNeeded: value)]) }
    }

    public func reset() {}
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try state.requireVersion(1...1) }
}

/// `pvpanic`: a guest says that it has crashed (QEMU's docs/specs/pvpanic).
public final class PVPanic: BusDevice, Device {
    /// What happened, and what the device offers to hear.
    public struct Event: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The guest's kernel panicked.
        public static let panicked = Event(rawValue: 1)
        /// It did, and its crash kernel takes over.
        public static let crashLoaded = Event(rawValue: 2)
    }
    /// The usual port.
    public static let port: UInt64 = 0x505

    public let stateName: String
    private let events: Event
    private let onEvent: @Sendable (Event) -> Void

    /// Offers `events`; `onEvent` runs on the processor's thread with those that the guest told, and is not called
    /// without any.
    public init(
        name: String = "pvpanic", events: Event = Event(rawValue: 3), onEvent: @escaping @Sendable (Event) -> Void
    ) {
        stateName = name
        self.events = events
        self.onEvent = onEvent
    }

    /// Puts it on a bus of I/O ports.
    public func attach(to bus: Bus, port: UInt64 = PVPanic.port) {
        bus.add(self, start: port, count: 1, name: stateName)
    }

    public func read(offset: UInt64, size: Int) -> UInt64 { UInt64(events.rawValue) }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        let told = Event(rawValue: UInt8(truncatingIfNeeded: value)).intersection(events)
        if !told.isEmpty { onEvent(told) }
    }

    public func reset() {}
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try state.requireVersion(1...1) }
}

/// Port 80, where firmware writes how far it has come; also what old kernels write to for a short delay.
public final class POSTCodeLatch: BusDevice, Device {
    public let stateName: String
    private let value = Mutex<UInt8>(0)

    /// A latch that holds 0.
    public init(name: String = "post-code") { stateName = name }

    /// Puts it on a bus of I/O ports.
    public func attach(to bus: Bus) { bus.add(self, start: 0x80, count: 1, name: stateName) }

    /// The last code written.
    public var code: UInt8 { value.withLock { $0 } }

    public func read(offset: UInt64, size: Int) -> UInt64 { UInt64(code) }
    public func write(offset: UInt64, size: Int, value new: UInt64) {
        value.withLock { $0 = UInt8(truncatingIfNeeded: new) }
    }

    public func reset() { value.withLock { $0 = 0 } }
    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("code", code)
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let restored: UInt8 = try saved.integer("code")
        value.withLock { $0 = restored }
    }
}
