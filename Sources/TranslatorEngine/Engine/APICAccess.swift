internal import CEngine
internal import LocalAPIC

// The local APIC's page, and what its writes cause.
extension CPU {
    /// A register of the APIC's page; nil where the address lies elsewhere.
    func apicRead(_ physical: UInt64, size: Int) -> UInt64? {
        guard unsafe physical & ~0xfff == p.pointee.apic.base & 0xf_ffff_ffff_f000 else { return nil }
        let apic = owner.apic
        guard apic.mode == .xAPIC else { return nil }
        // Registers have 32 bits every 16 bytes; other accesses read part of one, or zero between them.
        let offset = UInt32(physical & 0xff0)
        let within = physical & 15
        guard within < 4 else { return 0 }
        let value = UInt64(apic.read(offset: offset, now: owner.now())) >> (within * 8)
        return size >= 8 ? value : value & ((1 << UInt64(size * 8)) - 1)
    }

    /// Writes a register of the APIC's page; false where the address lies elsewhere.
    func apicWrite(_ physical: UInt64, _ value: UInt64, size: Int) -> Bool {
        guard unsafe physical & ~0xfff == p.pointee.apic.base & 0xf_ffff_ffff_f000 else { return false }
        let owner = owner
        guard owner.apic.mode == .xAPIC else { return false }
        guard physical & 15 == 0 else { return true }
        owner.apply(
            owner.apic.write(
                offset: UInt32(physical & 0xff0), value: UInt32(truncatingIfNeeded: value), now: owner.now(),
                tsc: timeStampCounter))
        return true
    }
}

extension SoftwareProcessor {
    /// Carries out what a write of the APIC asks for.
    func apply(_ effect: APIC.Effect) {
        // Any write may have changed a priority or unmasked something.
        cpu.maskedEvents = true
        switch effect {
        case .nothing: break
        case .interprocessorInterrupt(let message):
            // Code that others are told to look at is dropped by this processor first.
            takeMessages()
            engine?.deliver(message, from: index)
        case .endOfInterrupt(let vector):
            endedInterrupts.append(vector)
            post(UInt32(APUS_PENDING_EOI))
        case .timerChanged: advanceTimer()
        }
        if apic.pendingVector != nil { post(UInt32(APUS_PENDING_INTERRUPT)) }
    }
}
