public import DeviceModel
public import GuestMemory
internal import Synchronization

/// A codec as the board names it: its model and whom it speaks to.
public struct HDACodecPart: Sendable {
    let address: Int
    let codec: HDACodec
    let backend: any AudioBackend

    /// A codec of a model name (`hda-output`, `hda-duplex`, `hda-micro`) at an address of 0 to 14; nil for a name or an
    /// address that there is not.
    public init?(model: String, address: Int, hasMixer: Bool, backend: any AudioBackend) {
        guard let kind = HDACodec.Kind(rawValue: model), 0..<HDAModel.codecLimit ~= address else { return nil }
        self.address = address
        self.backend = backend
        codec = HDACodec(kind, mixer: hasMixer)
    }
}

/// The High Definition Audio controller of ICH6 (`intel-hda`) or ICH9 (`ich9-intel-hda`) as a PCI function.
public final class HDAController: Device, PCIFunctionDelegate {
    private struct State: Sendable {
        var model: HDAModel
        var isPaused = false
        var drivenLevel = false
        var speaking: Set<Int> = []
    }
    private static let windowSize: UInt64 = 0x4000

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let clock: any VirtualClock
    private let voices: [Int: any AudioVoice]
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A controller with its codecs, of which each address is used once.
    public init(
        codecs: [HDACodecPart], isICH9: Bool, hasMSI: Bool = true, memory: AddressSpace, clock: any VirtualClock,
        stateName: String
    ) {
        self.stateName = stateName
        self.clock = clock
        var models: [Int: HDACodec] = [:]
        var voices: [Int: any AudioVoice] = [:]
        for part in codecs {
            models[part.address] = part.codec
            voices[part.address] = part.backend.makeVoice()
        }
        self.voices = voices
        state = Mutex(State(model: HDAModel(codecs: models, memory: memory)))
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: isICH9 ? 0x293E : 0x2668, classCode: 0x040300, revision: isICH9 ? 3 : 1,
                subsystemVendorID: 0x1AF4, subsystemID: 0x1100),
            interruptPin: 1)
        // The link is in its High Definition mode. (Intel 301473, 18.1.)
        function.defineRegister(0x40, value: UInt8(1))
        if hasMSI { function.addMSI(vectors: 1) }
        function.addBAR(
            0, .memory32(prefetchable: false), size: Self.windowSize,
            regions: [
                PCIBAR.Region(
                    count: Self.windowSize, name: "intel-hda",
                    device: WeakWindow(self, read: { $0.read($1, $2) }, write: { $0.write($1, $2, $3) }))
            ])
        function.setDelegate(self)
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            change { _, _ in }
        }
    }

    /// Brings streams to the present, does something, and tells of what it changed.
    @discardableResult
    private func change<R: Sendable>(_ body: (inout HDAModel, UInt64) -> R) -> R {
        let (result, signals) = state.withLock { state -> (R, Bool) in
            let now = clock.now
            if !state.isPaused, function.command & PCICommand.busMaster != 0 {
                for sound in state.model.advance(now) {
                    voices[sound.codec]?.play(sound.samples, rate: sound.rate, end: now)
                }
            }
            let result = body(&state.model, now)
            return (result, settle(&state, now))
        }
        if signals { function.signalMSI(0) }
        return result
    }

    /// The pin, the timer and voices that fall silent. Returns whether a message is due.
    private func settle(_ state: inout State, _ now: UInt64) -> Bool {
        let (level, isNew, deadline) = state.model.update(now)
        let speaking = state.model.speaking
        for codec in state.speaking.subtracting(speaking) { voices[codec]?.stop() }
        state.speaking = speaking
        timer.set(deadline)
        if level != state.drivenLevel {
            state.drivenLevel = level
            function.setINTx(level)
        }
        return isNew
    }

    // MARK: Registers

    private func read(_ offset: UInt64, _ size: Int) -> UInt64 {
        guard offset < Self.windowSize else { return UInt64.max }
        return change { model, now in
            var value = UInt64(model.read(UInt32(offset & ~3), now)) >> (offset & 3 * 8)
            if size == 8 { value |= UInt64(model.read(UInt32(offset & ~3) + 4, now)) << 32 }
            return value
        }
    }
    private func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        guard offset < Self.windowSize else { return }
        let shift = offset & 3 * 8
        let bits = size >= 4 ? UInt64(UInt32.max) : (1 << UInt64(size * 8)) - 1
        change { model, now in
            model.write(
                UInt32(offset & ~3), UInt32(truncatingIfNeeded: value << shift),
                mask: UInt32(truncatingIfNeeded: bits << shift), now)
            if size == 8 {
                model.write(
                    UInt32(offset & ~3) + 4, UInt32(truncatingIfNeeded: value >> 32), mask: UInt32.max, now)
            }
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
    public func halt() { for voice in voices.values { voice.stop() } }

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
            let told = restored.told
            _ = settle(&state, clock.now)
            state.model.told = told
        }
    }
}
