public import DeviceModel
public import GuestMemory
internal import Synchronization

/// The AC'97 controller of Intel's 82801AA as a PCI function: QEMU's `AC97`.
///
/// Window 0 (I/O, 1024 ports) is the codec's mixer, window 1 (I/O, 256 ports) has the bus masters.
public final class AC97: Device {
    private struct State: Sendable {
        var model: AC97Model
        var isPaused = false
        var drivenLevel = false
        var isSpeaking = false
    }

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let clock: any VirtualClock
    private let voice: any AudioVoice
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A controller that is heard at a back-end.
    public init(backend: any AudioBackend, memory: AddressSpace, clock: any VirtualClock, stateName: String) {
        self.stateName = stateName
        self.clock = clock
        voice = backend.makeVoice()
        state = Mutex(State(model: AC97Model(memory: memory)))
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x2415, classCode: 0x040100, revision: 1, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        for (index, count, isMixer) in [(0, 1024, true), (1, 256, false)] as [(Int, UInt64, Bool)] {
            let window = WeakWindow(
                self, read: { $0.read(isMixer, $1, $2) }, write: { $0.write(isMixer, $1, $2, $3) })
            function.addBAR(
                index, .io, size: count,
                regions: [PCIBAR.Region(count: count, name: isMixer ? "ac97-nam" : "ac97-nabm", device: window)])
        }
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            change { _, _ in }
        }
    }

    @discardableResult
    private func change<R: Sendable>(_ body: (inout AC97Model, UInt64) -> R) -> R {
        state.withLock { state in
            let now = clock.now
            if !state.isPaused, function.command & PCICommand.busMaster != 0 {
                for sound in state.model.advance(now) { voice.play(sound.samples, rate: sound.rate, end: now) }
            }
            let result = body(&state.model, now)
            settle(&state, now)
            return result
        }
    }

    /// The pin, the timer, and silence.
    private func settle(_ state: inout State, _ now: UInt64) {
        let (level, deadline) = state.model.update(now)
        timer.set(deadline)
        if state.isSpeaking, !state.model.isSpeaking { voice.stop() }
        state.isSpeaking = state.model.isSpeaking
        if level != state.drivenLevel {
            state.drivenLevel = level
            function.setINTx(level)
        }
    }

    private func read(_ isMixer: Bool, _ offset: UInt64, _ size: Int) -> UInt64 {
        guard offset < 1024 else { return UInt64.max }
        return change { model, _ in
            if !isMixer { return ByteLanes.read(offset, size) { model.readMaster(Int($0)) } }
            // An access to the codec ends the hold of its semaphore.
            model.semaphore = false
            let low = UInt64(model.readMixer(Int(offset & ~1))) >> (offset & 1 * 8)
            return size < 4 ? low : low | UInt64(model.readMixer(Int(offset & ~1) + 2)) << 16
        }
    }
    private func write(_ isMixer: Bool, _ offset: UInt64, _ size: Int, _ value: UInt64) {
        guard offset < 1024 else { return }
        change { model, now in
            guard isMixer else {
                return ByteLanes.write(offset, size, value) { model.writeMaster(Int($0), $1, now) }
            }
            model.semaphore = false
            guard size >= 2, offset & 1 == 0 else { return }
            model.writeMixer(Int(offset), UInt16(truncatingIfNeeded: value))
            if size >= 4 { model.writeMixer(Int(offset) + 2, UInt16(truncatingIfNeeded: value >> 16)) }
        }
    }

    // MARK: Life

    public func reset() {
        change { model, _ in model.reset() }
        function.reset()
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        change { _, _ in }
    }
    public func halt() { voice.stop() }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("model", [state.model.exportState()])
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = state.withLock { $0.model }
        try model.importState(try saved.list("model", count: 1)[0])
        try function.importState(try saved.list("pci", count: 1)[0])
        let restored = model
        state.withLock { state in
            state.model = restored
            settle(&state, clock.now)
        }
    }
}
