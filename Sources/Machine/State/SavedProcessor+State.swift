internal import CEngine
internal import DeviceModel

// The named fields of a saved processor. Arrays are bytes as the C structures lay them out, which `CEngine`'s headers
// promise to keep; integers have names of their own.
extension SavedProcessor {
    private struct Word {
        let name: String
        let offset: Int
        let size: Int
        /// Zero where an older release wrote the state.
        var isOptional = false
    }
    private static func word<Root, Value>(_ name: String, _ path: KeyPath<Root, Value>, _: Root.Type) -> Word {
        Word(name: name, offset: MemoryLayout<Root>.offset(of: path) ?? 0, size: MemoryLayout<Value>.size)
    }
    private static func field<Value>(_ name: String, _ path: KeyPath<apus_x86_state, Value>) -> Word {
        word(name, path, apus_x86_state.self)
    }
    private static func optional(_ word: Word) -> Word {
        Word(name: word.name, offset: word.offset, size: word.size, isOptional: true)
    }
    private static func apicField<Value>(_ name: String, _ path: KeyPath<apus_local_apic, Value>) -> Word {
        word(name, path, apus_local_apic.self)
    }
    private static func event<Value>(_ name: String, _ path: KeyPath<apus_x86_events, Value>) -> Word {
        word(name, path, apus_x86_events.self)
    }

    private static var registerWords: [Word] {
        [
            field("gpr", \.gpr), field("rip", \.rip), field("rflags", \.rflags), field("segments", \.segment),
            field("gdt-base", \.gdtr.base), field("gdt-limit", \.gdtr.limit), field("idt-base", \.idtr.base),
            field("idt-limit", \.idtr.limit), field("cr0", \.cr0), field("cr2", \.cr2), field("cr3", \.cr3),
            field("cr4", \.cr4), field("xcr0", \.xcr0), field("efer", \.efer), field("dr", \.dr),
            field("star", \.star), field("lstar", \.lstar), field("cstar", \.cstar), field("sfmask", \.sfmask),
            field("kernel-gs-base", \.kernel_gs_base), field("sysenter-cs", \.sysenter_cs),
            field("sysenter-esp", \.sysenter_esp), field("sysenter-eip", \.sysenter_eip), field("pat", \.pat),
            field("tsc-aux", \.tsc_aux), field("tsc-adjust", \.tsc_adjust), field("misc-enable", \.misc_enable),
            field("spec-ctrl", \.spec_ctrl), field("debugctl", \.debugctl), field("xss", \.xss),
            field("mtrr-def-type", \.mtrr_def_type), field("mtrr-fixed", \.mtrr_fixed),
            field("mtrr-base", \.mtrr_base), field("mtrr-mask", \.mtrr_mask), field("tsc-offset", \.tsc_offset),
            field("kvm-system-time", \.kvm_system_time), field("kvm-wall-clock", \.kvm_wall_clock),
            field("kvm-steal-time", \.kvm_steal_time), field("kvm-pv-eoi", \.kvm_pv_eoi),
            field("kvm-poll-control", \.kvm_poll_control), field("kvm-async-pf", \.kvm_async_pf),
            field("kvm-async-pf-vector", \.kvm_async_pf_vector), field("halted", \.halted),
            field("waiting-for-sipi", \.waiting_for_sipi), field("nmi-blocked", \.nmi_blocked),
            field("interrupt-shadow", \.interrupt_shadow), field("smm", \.smm), field("fx", \.fx),
            field("ymm", \.ymm), field("pkru", \.pkru), optional(field("pkrs", \.pkrs)),
            optional(field("smbase", \.smbase)), optional(field("smi-count", \.smi_count)),
        ]
    }
    private static var apicWords: [Word] {
        [
            apicField("irr", \.irr), apicField("tmr", \.tmr), apicField("isr", \.isr), apicField("base", \.base),
            apicField("id", \.id), apicField("tpr", \.tpr), apicField("ldr", \.ldr), apicField("dfr", \.dfr),
            apicField("svr", \.svr), apicField("esr", \.esr), apicField("esr-shadow", \.esr_shadow),
            apicField("icr-low", \.icr_low), apicField("icr-high", \.icr_high), apicField("lvt", \.lvt),
            apicField("timer-divide", \.timer_divide), apicField("timer-initial", \.timer_initial),
            apicField("timer-deadline", \.timer_deadline_ns), apicField("tsc-deadline", \.tsc_deadline),
        ]
    }
    private static var eventWords: [Word] {
        [
            event("nmi-pending", \.nmi_pending), event("init-pending", \.init_pending),
            event("sipi-pending", \.sipi_pending), event("sipi-vector", \.sipi_vector),
            event("interrupt-injected", \.interrupt_injected), event("interrupt-vector", \.interrupt_vector),
            event("interrupt-soft", \.interrupt_soft), event("exception-pending", \.exception_pending),
            event("exception-injected", \.exception_injected), event("exception-vector", \.exception_vector),
            event("exception-has-error", \.exception_has_error),
            event("exception-has-payload", \.exception_has_payload), event("exception-error", \.exception_error),
            event("exception-payload", \.exception_payload), optional(event("smi-pending", \.smi_pending)),
        ]
    }

    private static func export(_ words: [Word], _ buffer: UnsafeRawBufferPointer) -> DeviceState {
        var state = DeviceState(version: 1)
        for word in words {
            // SAFETY: the offsets and sizes are those of fields of the structure.
            let bytes = unsafe Array(buffer[word.offset..<word.offset + word.size])
            if word.size > 8 {
                state.set(word.name, bytes)
            } else {
                state.set(word.name, bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
            }
        }
        return state
    }

    private static func take(
        _ state: DeviceState, _ words: [Word], _ put: (Int, [UInt8]) -> Void
    ) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        for word in words where !word.isOptional || state.fields[word.name] != nil {
            if word.size > 8 {
                put(word.offset, try state.bytes(word.name, count: word.size))
            } else {
                let value: UInt64 = try state.integer(word.name)
                guard word.size == 8 || value >> UInt64(word.size * 8) == 0 else {
                    throw .outOfRange(field: word.name, value: value)
                }
                put(word.offset, (0..<word.size).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) })
            }
        }
    }

    /// The processor as a section.
    var exported: DeviceState {
        var state = DeviceState(version: 1)
        state.set("registers", [unsafe withUnsafeBytes(of: registers) { unsafe Self.export(Self.registerWords, $0) }])
        state.set("apic", [unsafe withUnsafeBytes(of: apic) { unsafe Self.export(Self.apicWords, $0) }])
        state.set("events", [unsafe withUnsafeBytes(of: events) { unsafe Self.export(Self.eventWords, $0) }])
        return state
    }

    /// The processor of a section.
    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let registers = try state.list("registers", count: 1)[0]
        try Self.take(registers, Self.registerWords) { offset, bytes in
            unsafe withUnsafeMutableBytes(of: &self.registers) { buffer in
                for (index, byte) in bytes.enumerated() { unsafe buffer[offset + index] = byte }
            }
        }
        let apic = try state.list("apic", count: 1)[0]
        try Self.take(apic, Self.apicWords) { offset, bytes in
            unsafe withUnsafeMutableBytes(of: &self.apic) { buffer in
                for (index, byte) in bytes.enumerated() { unsafe buffer[offset + index] = byte }
            }
        }
        let events = try state.list("events", count: 1)[0]
        try Self.take(events, Self.eventWords) { offset, bytes in
            unsafe withUnsafeMutableBytes(of: &self.events) { buffer in
                for (index, byte) in bytes.enumerated() { unsafe buffer[offset + index] = byte }
            }
        }
        try check()
    }

    /// Refuses what no processor can be in, so that engines need not look.
    private func check() throws(DeviceStateError) {
        func require(_ isPossible: Bool, _ field: String, _ value: UInt64) throws(DeviceStateError) {
            if !isPossible { throw .outOfRange(field: field, value: value) }
        }
        let (protected, paging) = (registers.cr0 & 1 != 0, registers.cr0 >> 31 & 1 != 0)
        try require(registers.cr0 >> 32 == 0 && (protected || !paging), "cr0", registers.cr0)
        try require(registers.cr0 & 0x6000_0000 != 0x2000_0000, "cr0", registers.cr0)
        let (enabled, active) = (registers.efer & 0x100 != 0, registers.efer & 0x400 != 0)
        try require(active == (enabled && paging), "efer", registers.efer)
        try require(!active || registers.cr4 & 0x20 != 0, "cr4", registers.cr4)
        try require(registers.xcr0 & 1 != 0, "xcr0", registers.xcr0)
        for (name, flag) in [
            ("halted", registers.halted), ("waiting-for-sipi", registers.waiting_for_sipi),
            ("nmi-blocked", registers.nmi_blocked),
        ] { try require(flag <= 1, name, UInt64(flag)) }
        try require(registers.smm <= 3 && registers.smm != 2, "smm", UInt64(registers.smm))
        try require(registers.smbase >> 32 == 0, "smbase", registers.smbase)
        try require(registers.interrupt_shadow <= 2, "interrupt-shadow", UInt64(registers.interrupt_shadow))
    }
}
