internal import CLinux
internal import HostOS
internal import SystemPackage

/// What a machine of KVM is told before its processors are made.
struct Extras: Sendable {
    /// MSR_CORE_THREAD_COUNT, which KVM does not know: its reads come out.
    let coreThreadCount: UInt64?

    /// Number of MSR_CORE_THREAD_COUNT (SDM volume 4, table 2-20).
    static let coreThreadRegister: UInt32 = 0x35

    init(_ machine: KVMVirtualMachine, _ request: HardwareEngine.Request) throws(KVMError) {
        if request.dirtyRingEntries > 0 { try Self.useRings(machine, request.dirtyRingEntries) }
        if request.keepsIdleInGuest {
            let exits = machine.capability(KVM_CAP_X86_DISABLE_EXITS)
            guard exits > 0 else { throw .missing("guests that idle the host's processor", since: "4.17") }
            try KVMError.wrapping { () throws(HostError) in
                try machine.enable(KVM_CAP_X86_DISABLE_EXITS, UInt64(exits), "let guests idle the host's processor")
            }
        }
        coreThreadCount =
            Self.comesOut(machine) ? request.coresAndThreads.map { Self.count($0.cores, $0.threads) } : nil
    }

    private static func useRings(_ machine: KVMVirtualMachine, _ entries: Int) throws(KVMError) {
        // The second form asks for the order of accesses that is used here; x86 keeps it in both.
        let kinds = [KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING]
        guard let kind = kinds.first(where: { machine.capability($0) > 0 }) else {
            throw .missing("rings of dirty pages", since: "5.11")
        }
        let limit = machine.capability(kind) / DirtyRing.entrySize
        guard entries >= 1024, entries <= limit, entries & (entries - 1) == 0 else {
            throw .ringSize(entries, limit: limit)
        }
        try KVMError.wrapping { () throws(HostError) in
            try machine.enable(kind, UInt64(entries * DirtyRing.entrySize), "log dirty pages in rings")
        }
    }

    /// Has reads of the register come out; false where this KVM cannot.
    private static func comesOut(_ machine: KVMVirtualMachine) -> Bool {
        guard machine.capability(KVM_CAP_X86_USER_SPACE_MSR) > 0, machine.capability(KVM_CAP_X86_MSR_FILTER) > 0,
            (try? machine.enable(KVM_CAP_X86_USER_SPACE_MSR, UInt64(KVM_MSR_EXIT_REASON_FILTER), "see registers"))
                != nil
        else { return false }
        return apus_kvm_filter_msr(
            machine.control.descriptor.rawValue, coreThreadRegister, UInt32(KVM_MSR_FILTER_READ)) == 0
    }

    private static func count(_ cores: Int, _ threads: Int) -> UInt64 {
        UInt64(min(max(cores, 1), 0xFFFF)) << 16 | UInt64(min(max(threads, 1), 0xFFFF))
    }
}
