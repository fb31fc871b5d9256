internal import CLinux
public import Execution
internal import HostOS

// Debuggers (KVM_SET_GUEST_DEBUG): the four debug registers, single steps, and INT3 that the debugger has put into
// memory. While a debugger wants anything, the guest's own debug registers do nothing.
extension HardwareProcessor {
    public var debugAbilities: DebugAbilities? {
        guard machine.device.capability(KVM_CAP_SET_GUEST_DEBUG) != 0 else { return nil }
        return DebugAbilities(pointLimit: 4, watchLength: 8, watchesReads: false)
    }

    public func setDebug(_ request: DebugRequest) -> Bool {
        guard let registers = Self.debugRegisters(request) else { return false }
        var words = kvm_guest_debug()
        if request.singleStep { words.control |= UInt32(KVM_GUESTDBG_SINGLESTEP) }
        if !request.breakpointInstructions.isEmpty { words.control |= UInt32(KVM_GUESTDBG_USE_SW_BP) }
        if registers.7 & 0xff != 0 { words.control |= UInt32(KVM_GUESTDBG_USE_HW_BP) }
        if words.control != 0 { words.control |= UInt32(KVM_GUESTDBG_ENABLE) }
        if request.singleStep && request.holdsInterrupts {
            let known = machine.device.capability(KVM_CAP_SET_GUEST_DEBUG2)
            words.control |= UInt32(KVM_GUESTDBG_BLOCKIRQ) & UInt32(truncatingIfNeeded: known)
        }
        words.arch.debugreg = registers
        do throws(HostError) {
            try control.exchange(APUS_KVM_SET_GUEST_DEBUG, &words, "debug processor \(index)")
        } catch { return false }
        debug = request
        return true
    }

    /// DR0 to DR7 (SDM volume 3, 17.2); nil for what they cannot express.
    private static func debugRegisters(
        _ request: DebugRequest
    ) -> (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)? {
        var slots: [(address: UInt64, kind: UInt64, length: UInt64)] = request.breakpoints.sorted().map { ($0, 0, 0) }
        for point in request.watchpoints {
            let length: UInt64
            switch point.count {
            case 1: length = 0
            case 2: length = 1
            case 4: length = 3
            case 8: length = 2
            default: return nil
            }
            guard point.address & (point.count - 1) == 0, point.kind != .read else { return nil }
            slots.append((point.address, point.kind == .write ? 1 : 3, length))
        }
        guard slots.count <= 4 else { return nil }
        var addresses: [UInt64] = [0, 0, 0, 0]
        var control: UInt64 = 0x600
        for (index, slot) in slots.enumerated() {
            let number = UInt64(index)
            addresses[index] = slot.address
            control |= 2 << (number * 2)  // global
            control |= (slot.kind | slot.length << 2) << (16 + number * 4)
        }
        return (addresses[0], addresses[1], addresses[2], addresses[3], 0, 0, 0, control)
    }

    /// The exit of KVM_EXIT_DEBUG; nil for an INT3 of the guest's own, which goes to the guest.
    func debugStop() -> Exit? {
        let cause = page.debug
        if cause.exception == 3 {
            guard !debug.breakpointInstructions.contains(cause.pc) else {
                return .debug(.breakpointInstruction(cause.pc))
            }
            var words = kvm_guest_debug()
            words.control = UInt32(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP)
            do throws(HostError) {
                try control.exchange(APUS_KVM_SET_GUEST_DEBUG, &words, "hand INT3 to the guest")
            } catch { return .error("\(error)") }
            _ = setDebug(debug)
            return nil
        }
        let reached = debug.breakpoints.count + debug.watchpoints.count
        let points = debug.breakpoints.sorted()
        for number in 0..<min(reached, 4) where cause.dr6 >> UInt64(number) & 1 != 0 {
            if number < points.count { return .debug(.breakpoint(points[number])) }
            let point = debug.watchpoints[number - points.count]
            return .debug(.watchpoint(address: point.address, kind: point.kind))
        }
        return .debug(.step)
    }
}
