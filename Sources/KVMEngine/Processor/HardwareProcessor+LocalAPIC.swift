internal import CEngine
internal import CLinux
internal import Execution
internal import HostOS
internal import LocalAPIC
internal import Synchronization

// The processor of a machine whose local APICs are this process's: KVM is given each interrupt when it can take it,
// and tells of HLT and of changes of the task priority.
extension HardwareProcessor {
    /// Sees to messages, interrupts and halting before the guest goes on.
    func attend(_ local: UserLocalAPIC) -> Exit? {
        while true {
            let bits = attention.load(ordering: .sequentiallyConsistent)
            if bits & Attention.failure != 0, let exit = failed() { return exit }
            if bits & (Attention.kick | Attention.local) != 0, needsCompletion {
                page.requestExit(true)
                enterWith(local, wants: false)
                return nil
            }
            if bits & Attention.kick != 0 {
                attention.bitwiseAnd(~Attention.kick, ordering: .sequentiallyConsistent)
                return .interrupted
            }
            if bits & Attention.local != 0 {
                attention.bitwiseAnd(~Attention.local, ordering: .sequentiallyConsistent)
                takeMessages(local)
            }
            if bits & Attention.nonMaskable != 0, !local.waitsForStart {
                attention.bitwiseAnd(~Attention.nonMaskable, ordering: .sequentiallyConsistent)
                _ = try? control.request(APUS_KVM_NMI, "post a non-maskable interrupt")
                local.isHalted = false
            }
            if local.waitsForStart {
                local.bell.wait(nanoseconds: nil)
                continue
            }
            let external = bits & Attention.external != 0 && local.apic.acceptsExternalInterrupt
            var wants = acknowledged != nil || external || local.apic.pendingVector != nil
            if local.isHalted {
                guard wants, local.interruptFlag else {
                    local.bell.wait(nanoseconds: nil)
                    continue
                }
                local.isHalted = false
            }
            if wants, !needsCompletion, !local.isWindowStale, page.takesInterrupt {
                if acknowledged == nil, external { return .interruptAcknowledge }
                if let vector = acknowledged {
                    acknowledged = nil
                    inject(vector)
                } else if local.apic.pendingVector != nil {
                    inject(local.apic.acknowledge())
                }
                // KVM holds one at a time.
                local.isWindowStale = true
                wants = external || local.apic.pendingVector != nil
            }
            enterWith(local, wants: wants)
            return nil
        }
    }

    private func enterWith(_ local: UserLocalAPIC, wants: Bool) {
        page.requestWindow(wants)
        page.taskPriority = local.apic.cr8
    }

    private func inject(_ vector: UInt8) {
        var interrupt = kvm_interrupt()
        interrupt.irq = UInt32(vector)
        do throws(HostError) {
            try control.exchange(APUS_KVM_INTERRUPT, &interrupt, "deliver interrupt \(vector)")
        } catch { fail("\(error)") }
    }

    /// What KVM_RUN changed of the APIC.
    func left(_ local: UserLocalAPIC) {
        local.isWindowStale = false
        local.interruptFlag = page.interruptFlag
        if page.taskPriority != local.apic.cr8 { local.apic.cr8 = page.taskPriority }
        let base = page.apicBase
        if base != local.apic.base { _ = local.apic.writeBase(base, physicalBits: 52, offersX2APIC: false) }
    }

    private func takeMessages(_ local: UserLocalAPIC) {
        let messages = local.takeMessages()
        if messages & UserLocalAPIC.Message.timer != 0 { local.advanceTimer() }
        if messages & UserLocalAPIC.Message.initialize != 0 { initialize(local) }
        guard messages & UserLocalAPIC.Message.startUp != 0, local.waitsForStart else { return }
        var state = self.state
        state.segment.1.selector = UInt16(local.startPage) << 8
        state.segment.1.base = UInt64(local.startPage) << 12
        state.rip = 0
        state.waiting_for_sipi = 0
        self.state = state
    }

    /// INIT (SDM volume 3, table 10-1): registers as after power-on, but for those of x87 and SSE, model-specific ones
    /// and the bits of CR0 that say how caches are used.
    private func initialize(_ local: UserLocalAPIC) {
        local.apic.initReset()
        local.arm()
        var state = self.state
        let fresh = initial.state
        let caching = state.cr0 & 0x6000_0000
        (state.gpr, state.rip, state.rflags) = (fresh.gpr, fresh.rip, fresh.rflags)
        (state.segment, state.gdtr, state.idtr) = (fresh.segment, fresh.gdtr, fresh.idtr)
        state.cr0 = fresh.cr0 & ~0x6000_0000 | caching
        (state.cr2, state.cr3, state.cr4, state.efer) = (0, 0, 0, 0)
        (state.dr, state.interrupt_shadow, state.nmi_blocked, state.halted) = (fresh.dr, 0, 0, 0)
        state.waiting_for_sipi = index == 0 ? 0 : 1
        self.state = state
    }

    /// An access to device memory that is the APIC's. An exit, or nil where the guest goes on.
    func access(_ mmio: apus_kvm_mmio, _ local: UserLocalAPIC) -> Exit? {
        let offset = Int(APUS_KVM_MMIO_DATA)
        let size = mmio.length >= 8 ? 8 : mmio.length >= 4 ? 4 : mmio.length >= 2 ? 2 : 1
        if mmio.is_write == 0 {
            page.store(local.read(mmio.address, size: size), offset, size: size)
            return nil
        }
        switch local.write(mmio.address, page.load(offset, size: size)) {
        case .nothing: return nil
        case .interprocessorInterrupt(let message):
            router?.deliver(message, from: index)
            return nil
        case .endOfInterrupt(let vector): return .endOfInterrupt(vector: vector)
        case .timerChanged:
            local.advanceTimer()
            return nil
        }
    }
}
