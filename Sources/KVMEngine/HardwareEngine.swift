internal import CLinux
public import Execution
public import GuestMemory
internal import HostOS
internal import Synchronization
internal import SystemPackage
public import X86

/// The engine that runs guests on the host's own virtualization: `Execution` over /dev/kvm.
///
/// The local APICs are KVM's; PIC and IOAPIC are the board's (a split interrupt controller).
public final class HardwareEngine: Engine {
    public let name = "kvm"
    public let processors: [HardwareProcessor]
    /// The machine, for what is beside the protocol.
    public let machine: KVMVirtualMachine
    let slots: MemorySlots
    /// Interrupts as messages and as lines of descriptors.
    public let routes: InterruptRoutes
    private let memory: AddressSpace
    private let gate: RunGate
    /// What the guests' clock showed when the machine's time stopped; nil while it goes.
    private let standing = Mutex<UInt64?>(nil)

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
        guard device.hasSplitInterruptController else { throw .missing("split interrupt controllers", since: "4.4") }
        guard device.capability(KVM_CAP_IMMEDIATE_EXIT) != 0 else { throw .missing("immediate exits", since: "4.13") }
        let limit = max(device.capability(KVM_CAP_MAX_VCPUS), 4)
        guard request.apicIDs.count <= limit else { throw .tooManyProcessors(request.apicIDs.count, limit: limit) }
        try KVMError.wrapping { () throws(HostError) in
            try machine.enable(
                KVM_CAP_SPLIT_IRQCHIP, UInt64(InterruptRoutes.controllerPins), "split the interrupt controller")
            if request.apicIDs.contains(where: { $0 > 254 }) {
                // 32-bit IDs, and 0xFF as a destination like any other.
                try machine.enable(KVM_CAP_X2APIC_API, 3, "widen APIC IDs")
            }
            if let boot = request.apicIDs.first, boot != 0 {
                try machine.control.request(APUS_KVM_SET_BOOT_CPU_ID, UInt(boot), "name the boot processor")
            }
        }
        routes = InterruptRoutes(machine)
        slots = MemorySlots(machine)
        let gate = RunGate()
        self.gate = gate
        Kick.prepare()
        var made: [HardwareProcessor] = []
        for (index, id) in request.apicIDs.enumerated() {
            made.append(try HardwareProcessor(index: index, apicID: id, machine, request, gate))
        }
        processors = made
        try slots.follow(request.memory.view)
        request.memory.observeLayout { [weak self] view in self?.follow(view) }
    }

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

    public func deliverMSI(address: UInt64, data: UInt32) { routes.signal(address: address, data: data) }

    /// Guests that keep time by KVM's clock do not see the pause.
    public func timeStopped() { standing.withLock { $0 = try? guestClock } }

    public func timeStarted() {
        let time = standing.withLock { standing -> UInt64? in
            defer { standing = nil }
            return standing
        }
        if let time { try? setGuestClock(time) }
    }

    public func setExternalInterrupt(_ level: Bool) { processors.first?.setExternalInterrupt(level) }
}
