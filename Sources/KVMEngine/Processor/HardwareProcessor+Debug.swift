internal import CLinux
internal import HostOS

/// What a debugger wants of a processor (KVM_SET_GUEST_DEBUG).
public struct DebugRequest: Equatable, Sendable {
    /// `run` returns `.debug` after each instruction.
    public var singleStep = false
    /// INT3 of the guest's code returns `.debug` instead of reaching the guest.
    public var softwareBreakpoints = false
    /// Linear addresses at which `run` returns `.debug` before the instruction; four at most count.
    public var breakpoints: [UInt64] = []

    /// Nothing.
    public init() {}
}

extension HardwareProcessor {
    /// Replaces what the debugger wants. While it wants anything, the guest's own debug registers do nothing. For the
    /// processor's thread, or others while it is outside `run`.
    public func setDebug(_ request: DebugRequest) throws(KVMError) {
        var debug = kvm_guest_debug()
        if request.singleStep { debug.control |= UInt32(KVM_GUESTDBG_SINGLESTEP) }
        if request.softwareBreakpoints { debug.control |= UInt32(KVM_GUESTDBG_USE_SW_BP) }
        let places = request.breakpoints.prefix(4)
        if !places.isEmpty { debug.control |= UInt32(KVM_GUESTDBG_USE_HW_BP) }
        if debug.control != 0 { debug.control |= UInt32(KVM_GUESTDBG_ENABLE) }
        var slots: [UInt64] = [0, 0, 0, 0]
        var control: UInt64 = 0x600
        for (index, address) in places.enumerated() {
            slots[index] = address
            control |= 2 << UInt64(index * 2)  // global, on execution
        }
        debug.arch.debugreg = (slots[0], slots[1], slots[2], slots[3], 0, 0, 0, control)
        try KVMError.wrapping { () throws(HostError) in
            _ = try self.control.exchange(APUS_KVM_SET_GUEST_DEBUG, &debug, "debug processor \(index)")
        }
    }
}
