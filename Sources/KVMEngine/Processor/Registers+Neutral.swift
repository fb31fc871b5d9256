internal import CEngine
internal import CLinux

// The neutral state and KVM's structures, each into the other. Pure.

extension kvm_regs {
    init(_ state: apus_x86_state) {
        let g = state.gpr
        self.init()
        (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi) = (g.0, g.1, g.2, g.3, g.4, g.5, g.6, g.7)
        (r8, r9, r10, r11, r12, r13, r14, r15) = (g.8, g.9, g.10, g.11, g.12, g.13, g.14, g.15)
        rip = state.rip
        rflags = state.rflags | 2
    }

    func copy(to state: inout apus_x86_state) {
        state.gpr = (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15)
        state.rip = rip
        state.rflags = rflags
    }
}

extension kvm_segment {
    /// `attributes` of the neutral state are descriptor bits 40-47 and 52-55.
    init(_ segment: apus_x86_segment) {
        let a = segment.attributes
        func bits(_ shift: UInt16, _ mask: UInt16) -> UInt8 { UInt8(a >> shift & mask) }
        self.init()
        base = segment.base
        limit = segment.limit
        selector = segment.selector
        type = bits(0, 15)
        s = bits(4, 1)
        dpl = bits(5, 3)
        present = bits(7, 1)
        avl = bits(8, 1)
        l = bits(9, 1)
        db = bits(10, 1)
        g = bits(11, 1)
        unusable = 1 - present
    }

    var neutral: apus_x86_segment {
        var a = UInt16(type & 15) | UInt16(s & 1) << 4 | UInt16(dpl & 3) << 5 | UInt16(avl & 1) << 8
        a |= UInt16(l & 1) << 9 | UInt16(db & 1) << 10 | UInt16(g & 1) << 11
        if present != 0, unusable == 0 { a |= 1 << 7 }
        return apus_x86_segment(base: base, limit: limit, selector: selector, attributes: a)
    }

    /// VM entry wants a busy task segment that is there (SDM volume 3, 27.3.1.2).
    var asTaskRegister: kvm_segment {
        var result = self
        if result.present == 0 { result.type = 11 }
        result.type |= 2
        result.present = 1
        result.s = 0
        result.unusable = 0
        return result
    }
}

extension kvm_sregs {
    /// Sets what the neutral state has; the APIC's base, CR8 and pending interrupts stay.
    mutating func set(_ state: apus_x86_state) {
        let g = state.segment
        (es, cs, ss, ds) = (kvm_segment(g.0), kvm_segment(g.1), kvm_segment(g.2), kvm_segment(g.3))
        (fs, gs, ldt, tr) = (kvm_segment(g.4), kvm_segment(g.5), kvm_segment(g.6), kvm_segment(g.7).asTaskRegister)
        gdt = kvm_dtable(state.gdtr)
        idt = kvm_dtable(state.idtr)
        cr0 = state.cr0
        cr2 = state.cr2
        cr3 = state.cr3
        cr4 = state.cr4
        efer = state.efer
        interrupt_bitmap = (0, 0, 0, 0)
    }

    func copy(to state: inout apus_x86_state) {
        state.segment = (
            es.neutral, cs.neutral, ss.neutral, ds.neutral, fs.neutral, gs.neutral, ldt.neutral, tr.neutral
        )
        state.gdtr = gdt.neutral
        state.idtr = idt.neutral
        state.cr0 = cr0
        state.cr2 = cr2
        state.cr3 = cr3
        state.cr4 = cr4
        state.efer = efer
    }
}

extension kvm_dtable {
    init(_ table: apus_x86_table) {
        self.init()
        base = table.base
        limit = UInt16(truncatingIfNeeded: table.limit)
    }
    var neutral: apus_x86_table { apus_x86_table(base: base, limit: UInt32(limit), reserved: 0) }
}

extension kvm_debugregs {
    init(_ state: apus_x86_state) {
        let d = state.dr
        self.init()
        db = (d.0, d.1, d.2, d.3)
        dr6 = UInt64(UInt32(truncatingIfNeeded: d.6))
        dr7 = UInt64(UInt32(truncatingIfNeeded: d.7))
    }

    func copy(to state: inout apus_x86_state) {
        state.dr = (db.0, db.1, db.2, db.3, 0, 0, dr6, dr7)
    }
}
