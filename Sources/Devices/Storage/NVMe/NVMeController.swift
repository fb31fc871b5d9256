public import BlockImage
public import DeviceModel
public import GuestMemory
internal import HostOS
import Synchronization

/// What `-device nvme` may set.
public struct NVMeProperties: Sendable {
    /// `serial`, of which 20 bytes count.
    public var serial: String
    /// `logical_block_size`: 512 or 4096.
    public var blockSize = 512
    /// Whether writes may wait in caches.
    public var writeCache = true

    /// A controller of a serial number.
    public init(serial: String) { self.serial = serial }
}

/// An NVMe controller with one namespace. NVM Express 1.3.
///
/// Commands are taken on a worker; their data moves with no lock held.
public final class NVMeController: Device, BusDevice {
    struct State {
        var model = NVMeModel()
        /// Rises when what is under way is void.
        var life: UInt64 = 0
        var inFlight = 0
        var isPaused = false
        var cachesWrites: Bool
        /// Values of features that are kept.
        var features: [UInt8: UInt32] = [:]
        /// Commands that wait for an event, of which there is none.
        var waiting = 0
        /// What the namespace's commands are that are under way, by a running number.
        var active: [UInt64: Command] = [:]
        var nextNumber: UInt64 = 0
        /// Those of a saved machine whose errors had stopped it.
        var restored: [Command] = []
    }
    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    let memory: AddressSpace
    let backend: PatientBackend
    let properties: NVMeProperties
    let state: Mutex<State>
    let idle: Bell
    private let work = Mutex<(any WorkItem)?>(nil)
    private static let vectors = Int(NVMeModel.queueLimit) + 1

    /// A controller on an image.
    public init(
        _ properties: NVMeProperties, backend: any BlockBackend, memory: AddressSpace, scheduler: any WorkScheduler,
        stateName: String
    ) {
        self.properties = properties
        let bell = Bell()
        idle = bell
        self.backend = PatientBackend(backend) { bell.ring() }
        self.memory = memory
        self.stateName = stateName
        state = Mutex(State(cachesWrites: properties.writeCache))
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1B36, deviceID: 0x0010, classCode: 0x010802, revision: 2, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        let item = scheduler.makeItem { [weak self] in self?.takeCommands() }
        work.withLock { $0 = item }
        let table = function.addMSIX(vectors: Self.vectors, bar: 0, tableOffset: 0x2000, pendingOffset: 0x3000)
        function.addBAR(
            0, .memory64(prefetchable: false), size: 0x4000,
            regions: [PCIBAR.Region(count: 0x2000, name: "nvme", device: WeakWindow(self))] + table)
    }

    func schedule() { work.withLock { $0 }?.schedule() }

    /// Blocks of the namespace.
    var blocks: UInt64 { backend.sizeInBytes / UInt64(properties.blockSize) }

    // MARK: Registers

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { $0.model.read(offset, size: size) }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let effect = state.withLock { state -> NVMeModel.Effect in
            let effect = state.model.write(offset, value, size: size)
            if effect == .restarted {
                state.life &+= 1
                state.waiting = 0
            }
            settle(state)
            return effect
        }
        switch effect {
        case .none, .restarted: break
        case .work: schedule()
        case .room(let queue): flushWaiting(queue)
        }
    }

    /// Brings the pin up to date. Takes only locks of the function and below.
    func settle(_ state: State) { function.setINTx(!function.isMSIXEnabled && state.model.pin) }

    // MARK: Answers

    /// Posts the answer of a command; `life` is that in which it was taken.
    func post(_ entry: NVMeModel.Entry, life: UInt64) {
        let vector = state.withLock { state -> UInt16? in
            guard life == state.life, let (address, bytes, vector) = state.model.place(entry) else { return nil }
            // Under the lock, so that entries appear in the order of their phases.
            try? memory.write(GuestPhysical(address), bytes: bytes)
            settle(state)
            return vector
        }
        if let vector { function.signalMSIX(Int(vector)) }
    }

    /// Ends a command that was taken.
    func finish(_ entry: NVMeModel.Entry, life: UInt64) {
        post(entry, life: life)
        state.withLock { $0.inFlight -= 1 }
        idle.ring()
    }

    private func flushWaiting(_ queue: UInt16) {
        let (entries, life) = state.withLock { state -> ([NVMeModel.Entry], UInt64) in
            defer { state.model.completions[queue]?.waiting = [] }
            return (state.model.completions[queue]?.waiting ?? [], state.life)
        }
        for entry in entries { post(entry, life: life) }
    }

    // MARK: Life

    /// Waits until no command is under way, but for those that wait for the machine to go on.
    private func drain() {
        while state.withLock({ $0.inFlight > backend.heldCount }) { idle.wait(nanoseconds: 100_000_000) }
    }
    public func reset() {
        let wasPaused = state.withLock { state in
            defer {
                state.isPaused = true
                state.life &+= 1
            }
            return state.isPaused
        }
        backend.cancel()
        drain()
        function.reset()
        state.withLock { state in
            state = State(life: state.life, isPaused: wasPaused, cachesWrites: properties.writeCache)
            settle(state)
        }
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        drain()
    }
    public func resume() {
        let restored = state.withLock { state in
            state.isPaused = false
            defer { state.restored = [] }
            state.inFlight += state.restored.count
            return state.restored
        }
        backend.retry()
        for command in restored { perform(command) }
        schedule()
    }
    public func halt() { pause() }
}
