public import DeviceModel
public import GuestMemory
internal import Network
import Synchronization

/// A network card of a PCI bus around a pure model: windows, interrupts, and the way to its back-end.
///
/// Frames go out on a worker; the back-end is called with no lock held, so it may bring a frame while it takes one.
public final class PCICard: Device, NetworkCard, PCIFunctionDelegate {
    private struct State: Sendable {
        var model: any CardModel
        var isPaused = false
        /// A frame that came when there was no room for it.
        var held: [UInt8]?
        /// The back-end was told that there is no room: it waits for news.
        var hasRefused = false
        /// When to look for buffers that the driver gives without a word.
        var nextLook: UInt64?
        var drivenLevel = false
    }
    /// Nanoseconds between two looks for buffers, which are at its multiples: no saved state needs to know of them.
    private static let lookPeriod: UInt64 = 10_000_000
    /// A window onto the model's registers.
    struct WindowKind {
        var index: Int
        var kind: PCIBAR.Kind
        var size: UInt64
        var name: String
        /// Beside the registers, as tables of vectors.
        var others: [PCIBAR.Region] = []
        var hasRegisters = true
    }

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let rom: RAMBlock?
    private let savesROM: Bool
    private let backend: any NetworkBackend
    private let clock: any VirtualClock
    private let state: Mutex<State>
    private let timer = LateTimer()
    private let work = Mutex<(send: any WorkItem, refill: any WorkItem)?>(nil)

    init(
        _ model: any CardModel, function: PCIFunction, windows: [WindowKind], backend: any NetworkBackend,
        clock: any VirtualClock, scheduler: any WorkScheduler, rom: RAMBlock?, savesROM: Bool, stateName: String
    ) {
        self.stateName = stateName
        self.rom = rom
        self.savesROM = savesROM
        self.function = function
        self.backend = backend
        self.clock = clock
        state = Mutex(State(model: model))
        let send = scheduler.makeItem { [weak self] in self?.send() }
        let refill = scheduler.makeItem { [weak self] in self?.refill() }
        work.withLock { $0 = (send, refill) }
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            let now = clock.now
            let effects = change { state in
                let looks = state.nextLook.map { $0 <= now } ?? false
                if looks { state.nextLook = nil }
                return CardEffects(transmits: state.model.polls, receives: looks)
            }
            schedule(effects)
        }
        for window in windows {
            var regions = window.others
            if window.hasRegisters {
                let index = window.index
                let answers = WeakWindow(
                    self, read: { $0.read(index, $1, $2) }, write: { $0.write(index, $1, $2, $3) })
                regions.append(PCIBAR.Region(count: window.size, name: window.name, device: answers))
            }
            function.addBAR(window.index, window.kind, size: window.size, regions: regions)
        }
        if let rom { OptionROM.add(rom, to: function) }
        function.setDelegate(self)
        backend.setReceiver(Receiver(self))
    }

    /// Changes the state, then the pin, messages and the timer.
    private func change<R: Sendable>(_ body: (inout State) -> R) -> R {
        let (result, messages) = state.withLock { state -> (R, UInt32) in
            let result = body(&state)
            return (result, settle(&state))
        }
        deliver(messages)
        return result
    }

    private func settle(_ state: inout State) -> UInt32 {
        let mode: CardInterruptMode =
            function.isMSIXEnabled ? .vectors : function.isMSIEnabled ? .message : .pin
        let now = clock.now
        let signals = state.model.update(now, mode)
        if signals.level != state.drivenLevel {
            state.drivenLevel = signals.level
            function.setINTx(signals.level)
        }
        if state.hasRefused, state.model.refillsSilently {
            if state.nextLook.map({ $0 <= now }) ?? true { state.nextLook = (now / Self.lookPeriod &+ 1) &* Self.lookPeriod }
        } else {
            state.nextLook = nil
        }
        timer.set([signals.deadline, state.nextLook].compactMap { $0 }.min())
        return signals.messages
    }

    private func deliver(_ messages: UInt32) {
        guard messages != 0 else { return }
        let isMSIX = function.isMSIXEnabled
        for vector in 0..<32 where messages >> UInt32(vector) & 1 != 0 {
            if isMSIX { function.signalMSIX(vector) } else { function.signalMSI(0) }
        }
    }

    /// A frame's road into and out of memory is open only to a bus master.
    private var isMaster: Bool { function.command & PCICommand.busMaster != 0 }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        guard offset <= PCIRegister.command + 1, offset + size > PCIRegister.command, isMaster else { return }
        schedule(CardEffects(transmits: true, receives: true))
    }

    private func schedule(_ effects: CardEffects) {
        guard effects.transmits || effects.receives, let items = work.withLock({ $0 }) else { return }
        if effects.transmits { items.send.schedule() }
        if effects.receives { items.refill.schedule() }
    }

    // MARK: Registers

    private func read(_ window: Int, _ offset: UInt64, _ size: Int) -> UInt64 {
        let now = clock.now
        return change { $0.model.read(window, offset, size, now) }
    }

    private func write(_ window: Int, _ offset: UInt64, _ size: Int, _ value: UInt64) {
        let now = clock.now
        let effects = change { state in
            var effects = state.model.write(window, offset, size, value, now)
            // New buffers are news only to who waits for them.
            if !state.hasRefused && state.held == nil { effects.receives = false }
            return effects
        }
        schedule(effects)
    }

    // MARK: Sending

    private func send() {
        guard isMaster else { return }
        var frames = CardFrames()
        var hasMore = true
        while hasMore {
            frames.removeAll()
            let (more, goesOut) = change { state -> (Bool, Bool) in
                guard !state.isPaused else { return (false, false) }
                let more = state.model.transmit(clock.now, into: &frames)
                let isLoopback = state.model.isLoopback
                if isLoopback { loopBack(frames, &state) }
                return (more, !isLoopback && state.model.hasLink)
            }
            hasMore = more
            guard goesOut, !frames.ends.isEmpty else { continue }
            var start = 0
            unsafe frames.bytes.withUnsafeBytes { bytes in
                for end in frames.ends {
                    // SAFETY: ends rise and the last is the count.
                    _ = unsafe backend.transmit(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                    start = end
                }
            }
            backend.flush()
        }
    }

    private func loopBack(_ frames: CardFrames, _ state: inout State) {
        var start = 0
        for end in frames.ends {
            unsafe frames.bytes.withUnsafeBytes { bytes in
                // SAFETY: as above.
                _ = unsafe state.model.receive(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), clock.now)
            }
            start = end
        }
    }

    // MARK: Receiving

    /// New buffers: the frame that waited goes first, then the back-end's.
    private func refill() {
        let isMaster = isMaster
        let isReady = change { state in
            guard !state.isPaused, isMaster else { return false }
            if let held = state.held {
                let now = clock.now
                // A frame that still finds no room leaves no trace: it was counted as missed when it came.
                var model = state.model
                guard model.canReceive, unsafe held.withUnsafeBytes({ unsafe model.receive($0, now) }) else {
                    return false
                }
                state.model = model
                state.held = nil
            }
            guard state.hasRefused, state.model.canReceive else { return false }
            state.hasRefused = false
            return true
        }
        if isReady { backend.receiverReady() }
    }

    private func canReceive() -> Bool {
        let isMaster = isMaster
        let (isReady, looks) = state.withLock { state in
            let isReady = isMaster && !state.isPaused && state.held == nil && state.model.canReceive
            if !isReady { state.hasRefused = true }
            return (isReady, !isReady && state.nextLook == nil && state.model.refillsSilently)
        }
        if looks { change { _ in } }
        return isReady
    }

    private func receive(_ frame: UnsafeRawBufferPointer) {
        guard frame.count <= Ethernet.mostBytes, isMaster else { return }
        change { state in
            guard state.held == nil, state.model.hasLink else { return }
            // SAFETY: the caller's frame lives over the call.
            if state.isPaused || !(unsafe state.model.receive(frame, clock.now)) {
                state.held = unsafe [UInt8](frame)
                state.hasRefused = true
            }
        }
    }

    public func setLink(up: Bool) {
        change { $0.model.setLink(up) }
        schedule(CardEffects(transmits: up, receives: up))
    }

    public func announce(_ address: [UInt8]) {
        guard address.count == 6, state.withLock({ $0.model.hasLink }) else { return }
        // SAFETY: the frame lives through the call, and who keeps it copies it.
        _ = unsafe Announcement.frame(of: address).withUnsafeBytes { unsafe backend.transmit($0) }
        backend.flush()
    }

    // MARK: Life

    public func reset() {
        change { state in
            state.model.reset()
            state.held = nil
        }
        function.reset()
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        change { $0.isPaused = false }
        schedule(CardEffects(transmits: true, receives: true))
    }
    public func halt() { backend.setReceiver(nil) }

    /// The option ROM belongs to a saved machine, but for the e1000's: older states have none. Its contents are the host's.
    public var ownMemory: [RAMBlock] { savesROM ? rom.map { [$0] } ?? [] : [] }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("model", [state.model.exportState()])
            saved.set("held", state.held ?? [])
            saved.set("pin", state.drivenLevel)
            state.model.exportBeside(&saved)
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = state.withLock { $0.model }
        try model.importState(try saved.list("model", count: 1)[0])
        try model.importBeside(saved)
        let held = try saved.bytes("held")
        guard held.count <= Ethernet.mostBytes else {
            throw .outOfRange(field: "held", value: UInt64(held.count))
        }
        try function.importState(try saved.list("pci", count: 1)[0])
        let restored = model
        let pin = saved.fields["pin"] == nil ? nil : try saved.bool("pin")
        state.withLock { state in
            state.model = restored
            state.held = held.isEmpty ? nil : held
            state.hasRefused = true
            state.nextLook = nil
            // The pin is as the controllers remember it. What has become due since, and messages, come with `resume`:
            // the processors that would take them have their own state still to come.
            var model = restored
            state.drivenLevel = pin ?? model.update(clock.now, .pin).level
            if function.isMSIXEnabled || function.isMSIEnabled, pin == nil { state.drivenLevel = false }
            function.setINTx(state.drivenLevel)
        }
    }

    /// The card's end of its back-end, which keeps it; the card must not be kept that way.
    private final class Receiver: FrameReceiver {
        private struct Owner: Sendable { weak let card: PCICard? }
        private let owner: Owner
        init(_ card: PCICard) { owner = Owner(card: card) }
        func canReceive() -> Bool { owner.card?.canReceive() ?? false }
        func receive(_ frame: UnsafeRawBufferPointer) { unsafe owner.card?.receive(frame) }
    }
}
