import CEngine
import TestSupport
import X86

// Registers of cases.
extension PrivilegedGenerator {
    private typealias Place = PrivilegedGuest.Place

    mutating func makeState(_ item: inout PrivilegedCase) {
        var state = initial
        state.waiting_for_sipi = 0
        state.halted = 0
        makeControl(&state, item)
        makeSegments(&state, item)
        makeRegisters(&state, item)
        item.state = state
    }

    private mutating func bits(_ mask: UInt64, _ percent: UInt64) -> UInt64 {
        var result: UInt64 = 0
        for bit in UInt64(0)..<64 where mask >> bit & 1 != 0 && random.chance(percent) { result |= 1 << bit }
        return result
    }

    private mutating func makeControl(_ state: inout apus_x86_state, _ item: PrivilegedCase) {
        // PE, ET, NE; MP, WP and AM; EM and TS
        state.cr0 = item.mode == .real ? 0x30 : 0x31
        state.cr0 |= bits(0x5_0002, 50) | bits(0xc, 3)
        if item.mode != .real { state.cr0 |= 1 << 31 }
        // OSFXSR, OSXMMEXCPT, PSE; VME, PVI, TSD, DE, PGE, PCE
        state.cr4 = 0x610 | bits(0x18f, 30)
        for (name, bit) in [("umip", 11), ("smep", 20), ("smap", 21)] as [(String, UInt64)] where model.has(name) {
            state.cr4 |= bits(1 << bit, 30)
        }
        if model.has("fsgsbase") { state.cr4 |= bits(1 << 16, 60) }
        if model.has("pku") { state.cr4 |= bits(1 << 22, 30) }
        if model.has("xsave") {
            state.cr4 |= 0x4_0000
            state.xcr0 = model.has("avx") ? 7 : 3
        }
        if item.mode.isLong {
            state.cr4 |= 0x20
            state.efer = 0xd00 | (random.chance(90) ? 1 : 0)
        }
        if item.mode != .real { state.cr3 = Place.tables }
        state.star = 0x0023_0018 << 32
        state.lstar = UserCase.codeBase + random.below(256)
        state.cstar = UserCase.codeBase
        state.sfmask = random.chance(70) ? 0x4_7700 : random.next() & 0x3f_7fd7
        state.sysenter_cs = random.chance(80) ? 0x08 : 0
        state.sysenter_esp = Place.stack
        state.sysenter_eip = UserCase.codeBase + random.below(256)
        state.pkru = UInt32(truncatingIfNeeded: random.chance(50) ? 0 : random.next() & ~3)
        if random.chance(5) { state.dr.7 = random.next() & 0xffff_03ff | 0x400 }
        state.dr.0 = UserCase.dataBase + random.below(4096)
        state.dr.1 = UserCase.codeBase + random.below(64)
        state.gdtr = apus_x86_table(base: Place.gdt, limit: 0xff, reserved: 0)
        state.idtr = apus_x86_table(base: Place.idt, limit: item.mode.isLong ? 0xfff : 0x7ff, reserved: 0)
        if item.mode == .real { state.idtr = apus_x86_table(base: 0, limit: 0x3ff, reserved: 0) }
    }

    private mutating func makeSegments(_ state: inout apus_x86_state, _ item: PrivilegedCase) {
        let level = UInt16(item.level)
        if item.mode.isReal {
            let rights: UInt16 = item.mode == .real ? 0x93 : 0xf3
            for number in 0..<6 {
                let selector = number == 1 ? 0 : number == 2 ? UInt16(0) : UInt16(random.below(0x4000))
                set(
                    &state, number, UInt64(selector) << 4, 0xffff, selector,
                    number == 1 && item.mode == .real ? 0x9b : rights)
            }
        } else {
            let isLong = item.mode == .long
            let is32 = item.mode.is32
            let code: UInt16 = isLong ? 0xa9b : is32 ? 0xc9b : 0x89b
            let selectors: (UInt16, UInt16) =
                level == 3
                ? (isLong ? 0x33 : 0x23, 0x2b)
                : level == 1 ? (isLong ? 0x61 : 0x51, 0x59) : (isLong ? 0x18 : 0x08, 0x10)
            let data = 0xc93 | level << 5
            for number in [0, 2, 3, 4, 5] { set(&state, number, 0, .max, selectors.1, data) }
            // Code of 16 bits reaches 64 KiB: its base is the code's.
            let base = isLong || is32 ? 0 : UserCase.codeBase
            set(&state, 1, base, base == 0 ? .max : 0xffff, selectors.0, code | level << 5)
            if !isLong && random.chance(30) {
                // Some segment that is not flat: a base, a limit, read-only, expand-down, none at all.
                let number = [0, 3, 3, 4, 2][Int(random.below(5))]
                let rights = data & ~0x80f | [0x3, 0x1, 0x7, 0x3, 0x80f][Int(random.below(number == 2 ? 1 : 5))]
                let limit =
                    random.chance(50) ? UInt32.max : UInt32(truncatingIfNeeded: UserCase.dataBase + random.below(8192))
                set(&state, number, random.chance(60) ? 0 : random.below(4096), limit, selectors.1, rights)
            }
        }
        for number in 4...5 where random.chance(50) && item.mode == .long {
            set(&state, number, UserCase.dataBase + random.below(4096), .max, 0x2b, 0xc93 | level << 5)
        }
        state.kernel_gs_base = random.chance(70) ? UserCase.dataBase + random.below(4096) : random.next()
        if state.kernel_gs_base >> 47 != 0 { state.kernel_gs_base |= 0xffff_8000_0000_0000 }
        set(&state, 6, 0, 0, 0, 0)
        set(&state, 7, Place.tss, 0x89, 0x38, 0x8b)
    }

    private func set(
        _ state: inout apus_x86_state, _ number: Int, _ base: UInt64, _ limit: UInt32, _ selector: UInt16,
        _ attributes: UInt16
    ) {
        let segment = apus_x86_segment(base: base, limit: limit, selector: selector, attributes: attributes)
        // SAFETY: there are eight segments.
        unsafe withUnsafeMutableBytes(of: &state.segment) { bytes in
            unsafe bytes.storeBytes(
                of: segment, toByteOffset: number * MemoryLayout<apus_x86_segment>.stride, as: apus_x86_segment.self)
        }
    }

    private mutating func makeRegisters(_ state: inout apus_x86_state, _ item: PrivilegedCase) {
        let isSmall = item.mode.isReal
        var values = (0..<16).map { _ in instructions.value() }
        for number in instructions.pointers {
            let address = instructions.dataAddress()
            values[Int(number)] = isSmall ? random.below(0x1_0000) : address
        }
        values[4] = (isSmall ? Place.stack : instructions.dataAddress()) & ~7
        values[15] = random.below(64)
        if item.mode != .long {
            for number in 0..<16 { values[number] = number < 8 ? values[number] & 0xffff_ffff : 0 }
        }
        // SAFETY: there are sixteen registers.
        unsafe withUnsafeMutableBytes(of: &state.gpr) { registers in
            for number in 0..<16 {
                unsafe registers.storeBytes(of: values[number], toByteOffset: number * 8, as: UInt64.self)
            }
        }
        state.rflags =
            2 | random.next() & 0x8d5 | bits(0x4_4600, 20) | (random.chance(50) ? 0x3000 : bits(0x3000, 50))
            | bits(0x20_0000, 20) | bits(0x100, 2)
        if item.mode == .virtual8086 { state.rflags |= 0x2_0000 }
        let linear =
            item.mode.isReal
            ? Place.code : item.mode == .protected16 || item.mode == .compatibility16 ? 0 : UserCase.codeBase
        state.rip = linear + UInt64(item.start)
    }
}
