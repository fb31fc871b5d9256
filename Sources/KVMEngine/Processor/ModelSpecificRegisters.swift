internal import CEngine
internal import CLinux

/// The model-specific registers of the neutral state, by number (Intel SDM volume 4; Linux,
/// Documentation/virt/kvm/x86/msr.rst). The time-stamp counter goes another way.
struct StateRegister {
    let number: UInt32
    /// Bytes from the start of the neutral state.
    let offset: Int

    /// All of them.
    static let all: [StateRegister] = {
        typealias S = apus_x86_state
        var list: [StateRegister] = []
        func add(_ number: UInt32, _ field: PartialKeyPath<S>) {
            if let offset = MemoryLayout<S>.offset(of: field) {
                list.append(StateRegister(number: number, offset: offset))
            }
        }
        func add(_ numbers: [UInt32], _ field: PartialKeyPath<S>) {
            guard let offset = MemoryLayout<S>.offset(of: field) else { return }
            for (index, number) in numbers.enumerated() {
                list.append(StateRegister(number: number, offset: offset + index * 8))
            }
        }
        add(0xC000_0081, \S.star)
        add(0xC000_0082, \S.lstar)
        add(0xC000_0083, \S.cstar)
        add(0xC000_0084, \S.sfmask)
        add(0xC000_0102, \S.kernel_gs_base)
        add(0x174, \S.sysenter_cs)
        add(0x175, \S.sysenter_esp)
        add(0x176, \S.sysenter_eip)
        add(0x277, \S.pat)
        add(0xC000_0103, \S.tsc_aux)
        add(0x3B, \S.tsc_adjust)
        add(0x1A0, \S.misc_enable)
        add(0x48, \S.spec_ctrl)
        add(0x1D9, \S.debugctl)
        add(0xDA0, \S.xss)
        add([0x250, 0x258, 0x259] + Array(0x268...0x26F), \S.mtrr_fixed)
        add((0..<8).map { 0x200 + $0 * 2 }, \S.mtrr_base)
        add((0..<8).map { 0x201 + $0 * 2 }, \S.mtrr_mask)
        add(0x2FF, \S.mtrr_def_type)
        add(0x4B56_4D01, \S.kvm_system_time)
        add(0x4B56_4D00, \S.kvm_wall_clock)
        add(0x4B56_4D03, \S.kvm_steal_time)
        add(0x4B56_4D04, \S.kvm_pv_eoi)
        add(0x4B56_4D05, \S.kvm_poll_control)
        // The vector is there before faults are told of by it.
        add(0x4B56_4D06, \S.kvm_async_pf_vector)
        add(0x4B56_4D02, \S.kvm_async_pf)
        return list
    }()
}

/// KVM_GET_MSRS and KVM_SET_MSRS (struct kvm_msrs: a header of 8 bytes, then number, 0, value of 16 bytes each).
enum RegisterExchange {
    private static let headerSize = 8
    private static let entrySize = 16

    private static func encode(_ entries: ArraySlice<(number: UInt32, value: UInt64)>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerSize + entries.count * entrySize)
        bytes.put(UInt32(entries.count), at: 0)
        for (index, entry) in entries.enumerated() {
            bytes.put(entry.number, at: headerSize + index * entrySize)
            bytes.put(entry.value, at: headerSize + index * entrySize + 8)
        }
        return bytes
    }

    /// The values of registers; nil for those that KVM does not have. KVM stops at the first of these, so the rest is
    /// asked for again.
    static func read(_ numbers: [UInt32], _ control: Control) -> [UInt64?] {
        var result: [UInt64?] = []
        while result.count < numbers.count {
            let rest = numbers[result.count...].map { (number: $0, value: UInt64(0)) }
            var bytes = encode(rest[...])
            let done = Int((try? control.exchange(APUS_KVM_GET_MSRS, bytes: &bytes, "read registers")) ?? 0)
            for index in 0..<min(done, rest.count) {
                result.append(bytes.get(headerSize + index * entrySize + 8, as: UInt64.self))
            }
            if done < rest.count { result.append(nil) }
        }
        return result
    }

    /// The neutral state's registers; those that KVM does not have stay as they are.
    static func read(into state: inout apus_x86_state, _ control: Control) {
        let values = read(StateRegister.all.map(\.number), control)
        unsafe withUnsafeMutableBytes(of: &state) { bytes in
            for (register, value) in zip(StateRegister.all, values) {
                guard let value else { continue }
                // SAFETY: the offsets are those of fields of 8 bytes.
                unsafe bytes.storeBytes(of: value, toByteOffset: register.offset, as: UInt64.self)
            }
        }
    }

    /// Writes registers. Returns the numbers of those that KVM refused.
    @discardableResult
    static func write(_ entries: [(number: UInt32, value: UInt64)], _ control: Control) -> [UInt32] {
        var refused: [UInt32] = []
        var position = 0
        while position < entries.count {
            var bytes = encode(entries[position...])
            let done = Int((try? control.exchange(APUS_KVM_SET_MSRS, bytes: &bytes, "write registers")) ?? 0)
            position += done
            if position < entries.count {
                refused.append(entries[position].number)
                position += 1
            }
        }
        return refused
    }
}
