public import DeviceModel
public import GuestMemory
public import Network
import Synchronization

/// The Intel 82540EM as a device of a PCI bus: QEMU's `e1000`.
///
/// Window 0 (memory, 128 KiB) holds the registers, window 1 (I/O, 64 bytes) an address and a data port to them.
/// Frames go out on a worker; the back-end is called with no lock held, so it may bring a frame while it takes one.
public final class E1000: Device, NetworkCard, PCIFunctionDelegate {
    private struct State {
        var model: E1000Model
        /// The address port. SDM 13.2.2.1.
        var ioAddress: UInt32 = 0
        var isPaused = false
        /// A frame that came when there were too few buffers for it.
        var held: [UInt8]?
        /// The back-end was told that there is no room: it waits for news.
        var hasRefused = false
        var drivenLevel = false
    }
    private static let memorySize: UInt64 = 128 << 10
    private static let portCount: UInt64 = 64

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let backend: any NetworkBackend
    private let clock: any VirtualClock
    private let state: Mutex<State>
    private let timer = LateTimer()
    // Set once in `init`, where they need `self`.
    private let work = Mutex<(send: any WorkItem, refill: any WorkItem)?>(nil)
    // The worker's alone.
    private let outgoing = Mutex(CardFrames())

    /// A card whose frames go to `backend`; an address of other than 6 bytes becomes 52:54:00:12:34:56.
    public init(
        macAddress: [UInt8], memory: AddressSpace, backend: any NetworkBackend, clock: any VirtualClock,
        scheduler: any WorkScheduler, stateName: String
    ) {
        self.stateName = stateName
        self.backend = backend
        self.clock = clock
        state = Mutex(State(model: E1000Model(macAddress: macAddress, memory: memory)))
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x100E, classCode: 0x020000, revision: 3, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        let send = scheduler.makeItem { [weak self] in self?.send() }
        let refill = scheduler.makeItem { [weak self] in self?.refill() }
        work.withLock { $0 = (send, refill) }
        timer.make(clock) { [weak self] in
            guard let self else { return }
            self.timer.fired()
            self.state.withLock { self.settle(&$0) }
        }
        function.addBAR(
            0, .memory32(prefetchable: false), size: Self.memorySize,
            regions: [PCIBAR.Region(count: Self.memorySize, name: "e1000-mmio", device: Window(self, isIO: false))])
        function.addBAR(
            1, .io, size: Self.portCount,
            regions: [PCIBAR.Region(count: Self.portCount, name: "e1000-io", device: Window(self, isIO: true))])
        function.setDelegate(self)
        backend.setReceiver(Receiver(self))
    }

    /// The interrupt pin and the timer after any change of the model, whose lock is held.
    private func settle(_ state: inout State) {
        let (level, deadline) = state.model.update(clock.now)
        if level != state.drivenLevel {
            state.drivenLevel = level
            function.setINTx(level)
        }
        timer.set(deadline)
    }

    /// A frame's road into and out of memory is open only to a bus master.
    private var isMaster: Bool { function.command & PCICommand.busMaster != 0 }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        guard offset <= PCIRegister.command + 1, offset + size > PCIRegister.command, isMaster else { return }
        schedule(E1000Model.Effects(transmits: true, receives: true))
    }

    private func schedule(_ effects: E1000Model.Effects) {
        guard effects.transmits || effects.receives, let items = work.withLock({ $0 }) else { return }
        if effects.transmits { items.send.schedule() }
        if effects.receives { items.refill.schedule() }
    }

    // MARK: Registers

    private func readMemory(offset: UInt64, size: Int) -> UInt64 {
        guard offset < Self.memorySize else { return UInt64.max }
        return state.withLock { state in
            // A narrow read takes its bytes of the dword, a wide one two dwords.
            var value = UInt64(state.model.read(UInt32(offset & ~3))) >> (offset & 3 * 8)
            if size == 8 { value |= UInt64(state.model.read(UInt32(offset & ~3) + 4)) << 32 }
            settle(&state)
            return value
        }
    }

    private func writeMemory(offset: UInt64, size: Int, value: UInt64) {
        // Registers are written as a whole. SDM 13.2.1.
        guard offset < Self.memorySize, offset & 3 == 0, size >= 4 else { return }
        let effects = state.withLock { state in
            var effects = write(UInt32(offset), UInt32(truncatingIfNeeded: value), &state)
            if size == 8 {
                let more = write(UInt32(offset) + 4, UInt32(truncatingIfNeeded: value >> 32), &state)
                effects.transmits = effects.transmits || more.transmits
                effects.receives = effects.receives || more.receives
            }
            settle(&state)
            return effects
        }
        schedule(effects)
    }

    /// A register write; new receive buffers are news only to who waits for them.
    private func write(_ offset: UInt32, _ value: UInt32, _ state: inout State) -> E1000Model.Effects {
        var effects = state.model.write(offset, value)
        if effects.receives && !state.hasRefused && state.held == nil { effects.receives = false }
        return effects
    }

    /// The address port at 0, the data port at 4. SDM 13.2.2.
    private func readPorts(offset: UInt64, size: Int) -> UInt64 {
        let address = state.withLock { $0.ioAddress }
        switch offset {
        case 0: return UInt64(address)
        case 4: return readMemory(offset: UInt64(address), size: min(size, 4))
        default: return 0
        }
    }
    private func writePorts(offset: UInt64, size: Int, value: UInt64) {
        switch offset {
        case 0 where size >= 4: state.withLock { $0.ioAddress = UInt32(truncatingIfNeeded: value) & 0x1_FFFC }
        case 4 where size >= 4:
            let address = state.withLock { $0.ioAddress }
            writeMemory(offset: UInt64(address), size: 4, value: value & 0xFFFF_FFFF)
        default: break
        }
    }

    // MARK: Sending

    private func send() {
        guard isMaster else { return }
        outgoing.withLock { frames in
            var hasMore = true
            while hasMore {
                frames.removeAll()
                let (more, goesOut) = state.withLock { state in
                    guard !state.isPaused else { return (false, false) }
                    let more = state.model.transmit(clock.now, into: &frames)
                    let isLoopback = state.model.isLoopback
                    if isLoopback { loopBack(frames, &state) }
                    settle(&state)
                    return (more, !isLoopback && state.model.hasLink)
                }
                hasMore = more
                guard goesOut else { continue }
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
    }

    private func loopBack(_ frames: borrowing CardFrames, _ state: inout State) {
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
        let isReady = state.withLock { state in
            guard !state.isPaused, isMaster else { return false }
            if let held = state.held {
                guard state.model.canReceive, unsafe held.withUnsafeBytes({ unsafe deliver($0, &state) }) else {
                    return false
                }
                state.held = nil
            }
            guard state.hasRefused, state.model.canReceive else { return false }
            state.hasRefused = false
            return true
        }
        if isReady { backend.receiverReady() }
    }

    private func deliver(_ frame: UnsafeRawBufferPointer, _ state: inout State) -> Bool {
        let isTaken = unsafe state.model.receive(frame, clock.now)
        settle(&state)
        return isTaken
    }

    private func canReceive() -> Bool {
        let isMaster = isMaster
        return state.withLock { state in
            let isReady = isMaster && !state.isPaused && state.held == nil && state.model.canReceive
            if !isReady { state.hasRefused = true }
            return isReady
        }
    }

    private func receive(_ frame: UnsafeRawBufferPointer) {
        guard frame.count <= E1000Model.mostBytes, isMaster else { return }
        state.withLock { state in
            guard state.held == nil, state.model.hasLink else { return }
            if state.isPaused || !(unsafe deliver(frame, &state)) {
                state.held = unsafe [UInt8](frame)
                state.hasRefused = true
            }
        }
    }

    public func setLink(up: Bool) {
        state.withLock { state in
            state.model.setLink(up)
            settle(&state)
        }
        schedule(E1000Model.Effects(transmits: up, receives: up))
    }

    // MARK: Life

    public func reset() {
        state.withLock { state in
            state.model.reset()
            state.ioAddress = 0
            state.held = nil
            settle(&state)
        }
        function.reset()
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { state in
            state.isPaused = false
            settle(&state)
        }
        schedule(E1000Model.Effects(transmits: true, receives: true))
    }
    public func halt() { backend.setReceiver(nil) }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("model", [state.model.exportState()])
            saved.set("io-address", state.ioAddress)
            saved.set("held", state.held ?? [])
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = state.withLock { $0.model }
        try model.importState(try saved.list("model", count: 1)[0])
        let address: UInt32 = try saved.integer("io-address")
        let held = try saved.bytes("held")
        guard held.count <= E1000Model.mostBytes else {
            throw .outOfRange(field: "held", value: UInt64(held.count))
        }
        try function.importState(try saved.list("pci", count: 1)[0])
        let restored = model
        state.withLock { state in
            state.model = restored
            state.ioAddress = address & 0x1_FFFC
            state.held = held.isEmpty ? nil : held
            state.hasRefused = true
            state.drivenLevel = restored.level
            function.setINTx(restored.level)
            settle(&state)
        }
    }

    /// A window, which the function keeps: it must not keep the card, which keeps the function.
    private final class Window: BusDevice {
        private struct Owner: Sendable { weak let card: E1000? }
        private let owner: Owner
        private let isIO: Bool

        init(_ card: E1000, isIO: Bool) {
            owner = Owner(card: card)
            self.isIO = isIO
        }
        func read(offset: UInt64, size: Int) -> UInt64 {
            guard let card = owner.card else { return UInt64.max }
            return isIO ? card.readPorts(offset: offset, size: size) : card.readMemory(offset: offset, size: size)
        }
        func write(offset: UInt64, size: Int, value: UInt64) {
            guard let card = owner.card else { return }
            if isIO {
                card.writePorts(offset: offset, size: size, value: value)
            } else {
                card.writeMemory(offset: offset, size: size, value: value)
            }
        }
    }

    /// The card's end of its back-end, which keeps it; the card must not be kept that way.
    private final class Receiver: FrameReceiver {
        private struct Owner: Sendable { weak let card: E1000? }
        private let owner: Owner
        init(_ card: E1000) { owner = Owner(card: card) }
        func canReceive() -> Bool { owner.card?.canReceive() ?? false }
        func receive(_ frame: UnsafeRawBufferPointer) { unsafe owner.card?.receive(frame) }
    }
}
