public import CEngine
internal import CLinux
public import Execution
internal import GuestMemory
internal import HostOS
internal import LocalAPIC
internal import Synchronization
internal import SystemPackage
internal import X86

/// One processor of KVM, run by its own thread.
///
/// Halting and the waiting for a start-up message happen inside KVM_RUN: `run` does not come back for them.
public final class HardwareProcessor: Processor, @unchecked Sendable {
    // What is not atomic or locked belongs to the processor's thread, and to others while it is outside `run`.

    public let index: Int
    let apicID: UInt32
    let control: Control
    let page: RunPage
    /// What a debugger wants.
    var debug = DebugRequest()
    let memory: AddressSpace
    let machine: KVMVirtualMachine
    private let shared: Shared
    /// Its local APIC where that is not KVM's.
    let local: UserLocalAPIC?
    /// Delivers such APICs' messages.
    private(set) weak var router: LocalAPICRouter?

    /// What the processors of a machine have in common.
    struct Shared: Sendable {
        let gate: RunGate
        let slots: MemorySlots
        let coalesced: CoalescedWrites
        let extras: Extras
        /// The timers of local APICs that are not KVM's; nil where they are.
        let timers: LocalTimers?
    }

    /// What KVM made of the processor at power-on: what is not in the neutral state is reset to it.
    let initial: PowerOnState
    let tscOffset: UInt64

    let attention = Atomic<UInt32>(0)
    private let inside = Atomic<Bool>(false)
    private let thread = Atomic<Int32>(0)
    private var threadToken: UInt = 0
    private let failure = Mutex<String?>(nil)

    /// The accesses of the last exit that were not handed out or answered yet.
    private var transfer = Transfer()
    /// KVM has to be entered once more to end the last exit's instruction.
    private(set) var needsCompletion = false
    /// An exit that came while an instruction was ended for a look at the state.
    private var kept: Exit?
    /// How often the ring of written pages was full and had nothing in it, one after another.
    private var futileHarvests = 0
    private static let futileLimit = 1000
    /// A vector of the 8259A that KVM was not given yet.
    var acknowledged: UInt8?

    /// Bits of `attention`.
    enum Attention {
        static let kick: UInt32 = 1
        static let nonMaskable: UInt32 = 2
        static let external: UInt32 = 4
        static let failure: UInt32 = 8
        static let local: UInt32 = 16
    }

    init(
        index: Int, apicID: UInt32, _ machine: KVMVirtualMachine, _ request: HardwareEngine.Request, _ shared: Shared
    ) throws(KVMError) {
        self.index = index
        self.apicID = apicID
        self.machine = machine
        self.shared = shared
        memory = request.memory
        tscOffset = request.tscOffset
        local = shared.timers.map { UserLocalAPIC($0) }
        do throws(HostError) {
            let number = try machine.control.request(APUS_KVM_CREATE_VCPU, UInt(apicID), "make processor \(index)")
            let control = Control(descriptor: Descriptor(owning: number))
            self.control = control
            page = try RunPage(control.descriptor, size: machine.device.runPageSize)
            if let wanted = request.model.tscKHz, wanted != machine.tscKHz {
                // Without scaling in hardware the guest keeps the host's frequency.
                _ = try? control.request(APUS_KVM_SET_TSC_KHZ, UInt(wanted), "set the frequency of the TSC")
            }
            var table = CPUIDEntry.encode(request.model.cpuidTable(apicID: apicID))
            try control.exchange(APUS_KVM_SET_CPUID2, bytes: &table, "tell processor \(index) its CPUID")
            initial = try PowerOnState(
                control, machine.device, signature: request.model.signature, hasLocalAPIC: shared.timers == nil)
        } catch { throw .failed(error) }
        local?.connect(self)
        reset()
    }

    func connect(_ router: LocalAPICRouter) { self.router = router }

    // MARK: Running

    public func run() -> Exit {
        if attention.load(ordering: .relaxed) & Attention.failure != 0, let exit = failed() { return exit }
        if let exit = kept {
            kept = nil
            return exit
        }
        if let exit = transfer.next(page) { return exit }
        if threadToken != Kick.token {
            threadToken = Kick.token
            thread.store(Kick.adopt(), ordering: .relaxed)
        }
        while true {
            if let local {
                if let exit = attend(local) { return exit }
            } else if let exit = attend() {
                return exit
            }
            let status = enter()
            if status != 0 {
                if status == EINTR || status == EAGAIN { continue }
                return .error(describe("KVM_RUN: \(Errno(rawValue: status))"))
            }
            // Writes that were kept back came before this exit.
            shared.coalesced.drain(seenFrom: page)
            if let exit = decode() { return exit }
        }
    }

    /// Sees to what other threads want before the guest goes on.
    private func attend() -> Exit? {
        let bits = attention.load(ordering: .sequentiallyConsistent)
        if bits == 0, acknowledged == nil {
            page.requestWindow(false)
            return nil
        }
        if bits & Attention.failure != 0, let exit = failed() { return exit }
        if bits & Attention.kick != 0 {
            if needsCompletion {
                page.requestExit(true)
            } else {
                attention.bitwiseAnd(~Attention.kick, ordering: .sequentiallyConsistent)
                return .interrupted
            }
        }
        if bits & Attention.nonMaskable != 0 {
            attention.bitwiseAnd(~Attention.nonMaskable, ordering: .sequentiallyConsistent)
            _ = try? control.request(APUS_KVM_NMI, "post a non-maskable interrupt")
        }
        if acknowledged == nil, bits & Attention.external != 0, !needsCompletion, page.takesInterrupt {
            return .interruptAcknowledge
        }
        if let vector = acknowledged, queue(vector) { acknowledged = nil }
        page.requestWindow(acknowledged != nil || bits & Attention.external != 0)
        return nil
    }

    /// Gives KVM a vector of the 8259A. False where it still holds another one, which goes in with the next entry.
    private func queue(_ vector: UInt8) -> Bool {
        var interrupt = kvm_interrupt()
        interrupt.irq = UInt32(vector)
        do throws(HostError) {
            try control.exchange(APUS_KVM_INTERRUPT, &interrupt, "deliver interrupt \(vector) of the 8259A")
        } catch {
            if error.errno == .fileExists { return false }
            fail("\(error)")
        }
        return true
    }

    /// KVM_RUN. Gives the reason of a failure, or 0.
    private func enter() -> Int32 {
        inside.store(true, ordering: .sequentiallyConsistent)
        while shared.gate.isClosed {
            inside.store(false, ordering: .sequentiallyConsistent)
            shared.gate.wait()
            inside.store(true, ordering: .sequentiallyConsistent)
        }
        let status = apus_kvm_enter(control.descriptor.rawValue)
        page.clearExitRequest()
        if let local { left(local) }
        // Whoever still sees true sends a signal in vain, or looks again.
        inside.store(false, ordering: .releasing)
        needsCompletion = false
        return status
    }

    /// What the exit asks for; nil where the guest simply goes on.
    private func decode() -> Exit? {
        switch Int32(truncatingIfNeeded: page.reason) {
        case KVM_EXIT_IO:
            needsCompletion = true
            transfer.start(page.io)
            return transfer.next(page)
        case KVM_EXIT_MMIO:
            needsCompletion = true
            if let local, local.owns(page.mmio.address) { return access(page.mmio, local) }
            transfer.start(page.mmio)
            return transfer.next(page)
        case KVM_EXIT_IOAPIC_EOI: return .endOfInterrupt(vector: page.eoiVector)
        case KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_INTR, KVM_EXIT_SET_TPR, KVM_EXIT_TPR_ACCESS: return nil
        case KVM_EXIT_HLT:
            guard let local else { return .halt }
            local.isHalted = true
            return nil
        case KVM_EXIT_DEBUG: return debugStop()
        case KVM_EXIT_SHUTDOWN: return .shutdown
        case KVM_EXIT_SYSTEM_EVENT:
            switch Int32(truncatingIfNeeded: page.systemEvent) {
            // A PC has no such call to power off by: what KVM tells of is the end of a processor, as a triple fault is.
            case KVM_SYSTEM_EVENT_SHUTDOWN, KVM_SYSTEM_EVENT_RESET: return .shutdown
            case KVM_SYSTEM_EVENT_CRASH: return .error(describe("the guest reports a crash"))
            default: return .error(describe("KVM tells of an unknown event of the system, \(page.systemEvent)"))
            }
        case KVM_EXIT_X86_RDMSR:
            needsCompletion = true
            if page.modelSpecificRegister == Extras.coreThreadRegister, let count = shared.extras.coreThreadCount {
                page.answerModelSpecificRegister(count)
            } else {
                page.refuseModelSpecificRegister()
            }
            return nil
        case KVM_EXIT_X86_WRMSR:
            needsCompletion = true
            page.refuseModelSpecificRegister()
            return nil
        case KVM_EXIT_DIRTY_RING_FULL:
            do throws(KVMError) {
                // Another thread may have emptied it since.
                futileHarvests = try shared.slots.harvest() == 0 ? futileHarvests + 1 : 0
            } catch { return .error(describe("\(error)")) }
            return futileHarvests < Self.futileLimit
                ? nil : .error(describe("KVM has lost written pages: its ring is full and empty at the same time"))
        case KVM_EXIT_FAIL_ENTRY:
            return .error(describe("KVM cannot enter the guest: reason 0x\(hex(page.hardwareReason))"))
        case KVM_EXIT_INTERNAL_ERROR: return .error(describe(internalError()))
        default: return .error(describe("KVM left the guest for an unknown reason, \(page.reason)"))
        }
    }

    public func complete(read value: UInt64) { transfer.answer(value, page) }

    public func acknowledge(vector: UInt8?) {
        acknowledged = vector
    }

    // MARK: Any thread

    public func kick() { post(Attention.kick) }

    public func injectNMI() { post(Attention.nonMaskable) }

    /// The line of the 8259A.
    func setExternalInterrupt(_ level: Bool) {
        if level {
            post(Attention.external)
        } else {
            attention.bitwiseAnd(~Attention.external, ordering: .sequentiallyConsistent)
        }
    }

    /// Makes every later `run` return an error: the machine cannot go on.
    func fail(_ words: String) {
        failure.withLock { $0 = $0 ?? words }
        post(Attention.failure)
    }

    private func post(_ bit: UInt32) {
        let old = attention.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue
        if old & bit == 0 || bit == Attention.kick || bit == Attention.local { interrupt() }
    }

    /// Fetches the thread out of KVM_RUN, or keeps it from staying there.
    func interrupt() {
        page.requestExit(true)
        if isInside { Kick.send(thread.load(ordering: .relaxed)) }
        local?.bell.ring()
    }
    /// Something came for the local APIC that this process has.
    func lookAtLocalAPIC() { post(Attention.local) }
    /// The exit that says why the machine cannot go on; nil where it can.
    func failed() -> Exit? { failure.withLock { $0 }.map { .error(describe($0)) } }

    /// The thread is inside KVM_RUN, or about to be.
    var isInside: Bool { inside.load(ordering: .sequentiallyConsistent) }

    // MARK: State

    /// A non-maskable interrupt was posted and KVM was not told yet.
    var waitsForNonMaskable: Bool {
        attention.load(ordering: .sequentiallyConsistent) & Attention.nonMaskable != 0
    }
    /// The vector of the 8259A that KVM was not given yet.
    var acknowledgedVector: UInt8? { acknowledged }

    public var hasOutstandingAccess: Bool { transfer.isActive || kept != nil }

    public var state: apus_x86_state {
        get {
            settle()
            do throws(HostError) {
                var state = try readState()
                if let local {
                    state.halted = local.isHalted ? 1 : 0
                    state.waiting_for_sipi = local.waitsForStart ? 1 : 0
                }
                return state
            } catch {
                fail("The state of processor \(index) cannot be read: \(error)")
                return apus_x86_state()
            }
        }
        set {
            settle()
            write(newValue)
        }
    }

    /// Ends the instruction of the last exit, so that registers are those after it. An access that it still has to
    /// make is kept for the next `run`.
    private func settle() {
        guard needsCompletion, !transfer.isActive else { return }
        page.requestExit(true)
        guard enter() == 0 else { return }
        shared.coalesced.drain(seenFrom: page)
        kept = decode()
    }

    private func write(_ state: apus_x86_state) {
        if let local {
            local.isHalted = state.halted != 0
            local.waitsForStart = state.waiting_for_sipi != 0
            local.interruptFlag = state.rflags & 0x200 != 0
            local.isWindowStale = true
        }
        do throws(HostError) { try writeState(state) } catch {
            fail("KVM refuses the state of processor \(index): \(error)")
        }
    }

    public func reset() {
        settle()
        // An access half done is forgotten: KVM is entered once to drop it.
        transfer = Transfer()
        settle()
        kept = nil
        acknowledged = nil
        attention.bitwiseAnd(~(Attention.nonMaskable | Attention.failure), ordering: .sequentiallyConsistent)
        failure.withLock { $0 = nil }
        local?.reset(id: apicID, bootProcessor: index == 0)
        do throws(HostError) { try initial.restore(control, apicBase: local?.apic.base) } catch { fail("\(error)") }
        var state = initial.state
        state.tsc_offset = tscOffset
        state.waiting_for_sipi = index == 0 ? 0 : 1
        write(state)
    }
}
