internal import CEngine
internal import LocalAPIC
internal import X86

// Calls of the hypervisor, in KVM's convention (Linux, Documentation/virt/kvm/x86/hypercalls.rst): the number in RAX,
// arguments in RBX, RCX, RDX and RSI, the result in RAX. VMCALL and VMMCALL are the same here as under KVM, so that a
// guest need not know the vendor of the host.
private enum Hypercall {
    static let sendIPI: UInt64 = 10
    static let unknown = UInt64(bitPattern: -1000)
    static let notPermitted = UInt64(bitPattern: -1)
}

extension SoftwareProcessor {
    /// KVM_HC_SEND_IPI: a message to each processor of a bitmap of 128 APIC IDs from `first`. How many there were.
    fileprivate func sendMessages(low: UInt64, high: UInt64, first: UInt64, command: UInt64) -> UInt64 {
        guard let first = UInt32(exactly: first),
            let mode = InterruptMessage.DeliveryMode(rawValue: UInt8(command >> 8 & 7)), mode == .fixed || mode == .nonMaskable
        else { return 0 }
        var sent: UInt64 = 0
        for bit in 0..<128 as Range<UInt32> where (bit < 64 ? low >> bit : high >> (bit - 64)) & 1 != 0 {
            let (target, isOverflow) = first.addingReportingOverflow(bit)
            guard !isOverflow, target != .max, engine?.hasProcessor(apicID: target) == true else { continue }
            apply(
                .interprocessorInterrupt(
                    InterruptMessage(
                        destination: target, isWide: true, deliveryMode: mode,
                        vector: UInt8(truncatingIfNeeded: command))))
            sent += 1
        }
        return sent
    }
}

let hypercall: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let owner = cpu.owner
        // Only a guest that was shown KVM's signature has somebody to call.
        guard owner.model.showsKVM else { throw cpu.raise(Vector.undefined) }
        let mask: UInt64 = cpu.code64 ? .max : 0xffff_ffff
        let result: UInt64 =
            if cpu.cpl != 0 {
                Hypercall.notPermitted
            } else if cpu.rax & mask == Hypercall.sendIPI {
                owner.sendMessages(
                    low: cpu.gpr(3) & mask, high: cpu.rcx & mask, first: cpu.rdx & mask, command: cpu.gpr(6) & mask)
            } else {
                Hypercall.unknown
            }
        cpu.rax = result & mask
        return op.next
    }
}
