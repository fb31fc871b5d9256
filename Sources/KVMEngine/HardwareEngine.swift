internal import CLinux
public import Execution
public import GuestMemory
internal import HostOS
internal import LocalAPIC
internal import Synchronization
internal import SystemPackage
public import X86

/// The engine that runs guests on the host's own virtualization: `Execution` over /dev/kvm.
///
/// The local APICs are KVM's. PIC, IOAPIC and PIT are the board's (a split interrupt controller), or KVM's too.
public final class HardwareEngine: Engine {
    public let name = "kvm"
    public let processors: [HardwareProcessor]
    /// The machine, for what is beside the protocol.
    public let machine: KVMVirtualMachine
    let slots: MemorySlots
    let coalesced: CoalescedWrites
    /// Written pages are logged in rings, not in a map.
    public let usesDirtyRings: Bool
    /// PIC, IOAPIC and PIT as they were made, where they are KVM's.
    let controllers: KernelControllerState?
    /// Interrupts as messages and as lines of descriptors.
    public let routes: InterruptRoutes
    /// Delivers messages where the local APICs are this process's.
    let router: LocalAPICRouter?
    private let timers: LocalTimers?
    private let memory: AddressSpace
    private let gate: RunGate
    /// What goes on in the kernel by itself, as it was when the machine's time stopped.
    struct Standing: Sendable {
        /// The guests' clock.
        var clock: UInt64?
        /// KVM's PIT.
        var pit: kvm_pit_state2?
        /// When it stopped, by the host's monotonic clock, for the timers of this process's local APICs.
        var stopped: UInt64?
    }
    let standing = Mutex(Standing())

    /// What an engine is made from.
    public struct Request: Sendable {
        /// Guest RAM; all else is device memory.
        public var memory: AddressSpace
        /// The local APIC's ID of each processor, in order; at least one. The first is the boot processor's.
        public var apicIDs: [UInt32]
        /// The processor that guests see.
        public var model: ResolvedCPU
        /// Guest TSC minus host TSC at power-on.
        public var tscOffset: UInt64
        /// PIC, IOAPIC and PIT are KVM's.
        public var hasKernelControllers = false
        /// The local APICs are this process's too, and KVM has no interrupt controller at all.
        public var hasUserLocalAPICs = false
        /// Entries of each processor's ring of written pages, a power of two from 1024 to 65536; 0 for a map.
        public var dirtyRingEntries = 0
        /// Guests idle the host's processor by themselves: HLT, MWAIT and PAUSE do not leave the guest.
        public var keepsIdleInGuest = false
        /// Cores and threads of a socket, for MSR_CORE_THREAD_COUNT; nil where guests do not find it.
        public var coresAndThreads: (cores: Int, threads: Int)?

        /// A request of all parts.
        public init(memory: AddressSpace, apicIDs: [UInt32], model: ResolvedCPU, tscOffset: UInt64 = 0) {
            self.memory = memory
            self.apicIDs = apicIDs
            self.model = model
            self.tscOffset = tscOffset
        }
    }

    /// Makes the processors and gives KVM the memory; nothing runs.
    public init(_ machine: KVMVirtualMachine, _ request: Request) throws(KVMError) {
        self.machine = machine
        memory = request.memory
        let device = machine.device
        let keepsAPICs = request.hasUserLocalAPICs && !request.hasKernelControllers
        guard request.hasKernelControllers || keepsAPICs || device.hasSplitInterruptController else {
            throw .missing("split interrupt controllers", since: "4.4")
        }
        guard device.capability(KVM_CAP_IMMEDIATE_EXIT) != 0 else { throw .missing("immediate exits", since: "4.13") }
        let limit = max(device.capability(KVM_CAP_MAX_VCPUS), 4)
        guard request.apicIDs.count <= limit else { throw .tooManyProcessors(request.apicIDs.count, limit: limit) }
        usesDirtyRings = request.dirtyRingEntries > 0
        let extras = try Extras(machine, request)
        controllers = try KVMError.wrapping { () throws(HostError) in
            var state: KernelControllerState?
            if request.hasKernelControllers {
                state = try KernelControllerState(making: machine.control)
            } else if !keepsAPICs {
                try machine.enable(
                    KVM_CAP_SPLIT_IRQCHIP, UInt64(InterruptRoutes.controllerPins), "split the interrupt controller")
            }
            if !keepsAPICs, request.apicIDs.contains(where: { $0 > 254 }) {
                // 32-bit IDs, and 0xFF as a destination like any other.
                try machine.enable(KVM_CAP_X2APIC_API, 3, "widen APIC IDs")
            }
            if let boot = request.apicIDs.first, boot != 0 {
                try machine.control.request(APUS_KVM_SET_BOOT_CPU_ID, UInt(boot), "name the boot processor")
            }
            return state
        }
        routes = InterruptRoutes(machine, hasKernelControllers: request.hasKernelControllers)
        let slots = MemorySlots(machine, usesRings: usesDirtyRings)
        self.slots = slots
        let coalesced = CoalescedWrites()
        self.coalesced = coalesced
        let gate = RunGate()
        self.gate = gate
        Kick.prepare()
        let timers = keepsAPICs ? LocalTimers() : nil
        self.timers = timers
        var made: [HardwareProcessor] = []
        for (index, id) in request.apicIDs.enumerated() {
            let shared = HardwareProcessor.Shared(
                gate: gate, slots: slots, coalesced: coalesced, extras: extras, timers: timers)
            made.append(try HardwareProcessor(index: index, apicID: id, machine, request, shared))
        }
        processors = made
        if let timers {
            let router = LocalAPICRouter(made.compactMap(\.local))
            self.router = router
            for processor in made { processor.connect(router) }
            try KVMError.wrapping { () throws(HostError) in try timers.start(router.apics) }
        } else {
            router = nil
        }
        if let first = made.first { coalesced.use(first.page) }
        if usesDirtyRings {
            let rings = try KVMError.wrapping { () throws(HostError) in
                var rings: [DirtyRing] = []
                for processor in made {
                    rings.append(try DirtyRing(processor.control.descriptor, entries: request.dirtyRingEntries))
                }
                return rings
            }
            slots.state.withLock { $0.rings = rings }
        }
        try slots.follow(request.memory.view)
        request.memory.observeLayout { [weak self] view in self?.follow(view) }
    }

    deinit { timers?.stop() }

    /// A change of the physical map. Any thread, a processor's own outside `run` too.
    private func follow(_ view: FlatView) {
        var failure: KVMError?
        // A slot that goes and comes back in another form must not be seen missing.
        gate.whileOutside(processors) {
            do throws(KVMError) { try slots.follow(view) } catch { failure = error }
        }
        if let failure {
            for processor in processors { processor.fail("\(failure)") }
        }
    }

    /// Runs `body` while no processor is inside KVM_RUN. Any thread, a processor's own outside `run` too.
    func whileOutside(_ body: () -> Void) { gate.whileOutside(processors, body) }

    public func deliverMSI(address: UInt64, data: UInt32) {
        guard let router else { return routes.signal(address: address, data: data) }
        if let message = InterruptMessage(messageAddress: address, data: data) { router.deliver(message, from: nil) }
    }

    /// Guests that keep time by KVM's clock do not see the pause.
    public func timeStopped() {
        coalesced.drain()
        var state = Standing()
        state.stopped = HostClock.monotonic
        for apic in router?.apics ?? [] { apic.disarm() }
        state.clock = try? guestClock
        if controllers != nil {
            var pit = kvm_pit_state2()
            let read = try? machine.control.exchange(APUS_KVM_GET_PIT2, &pit, "read the timer")
            if read != nil { state.pit = pit }
        }
        let now = state
        standing.withLock { $0 = now }
    }

    public func timeStarted() {
        let state = standing.withLock { standing -> Standing in
            defer { standing = Standing() }
            return standing
        }
        if let router, let stopped = state.stopped {
            let pause = HostClock.monotonic &- stopped
            for apic in router.apics { apic.shift(by: pause) }
        }
        if let clock = state.clock { try? setGuestClock(clock) }
        // Its counters begin anew: a channel that waits for a long time must not find that time gone by.
        if let pit = state.pit { try? machine.control.send(APUS_KVM_SET_PIT2, pit, "set the timer") }
    }

    /// The guests' clock as it was when time stopped, and will be when it starts; nil while time goes on.
    public var standingClock: UInt64? {
        get { standing.withLock { $0.clock } }
        set { standing.withLock { $0.clock = newValue } }
    }

    public func setExternalInterrupt(_ level: Bool) { processors.first?.setExternalInterrupt(level) }
}
