public import CEngine
public import GuestMemory
internal import HostOS

extension GuestProgram {
    /// Memory with the program in it.
    public func makeMemory() throws -> AddressSpace {
        let block = try RAMBlock(name: "ram", size: GuestLayout.ramSize)
        let memory = AddressSpace()
        memory.add(FlatView.Range(start: GuestPhysical(0), count: UInt64(block.size), block: block))
        try memory.write(GuestPhysical(GuestLayout.code), bytes: code)
        try Self.writeTables(memory)
        for piece in data { try memory.write(GuestPhysical(piece.address), bytes: piece.bytes) }
        return memory
    }

    private static func writeTables(_ memory: AddressSpace) throws {
        let descriptors: [UInt64] = [
            0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x00CF_FB00_0000_FFFF,
            0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF, 0x0000_8B00_0000_0067 | GuestLayout.tss << 16, 0,
        ]
        for (index, descriptor) in descriptors.enumerated() {
            try memory.store(GuestPhysical(GuestLayout.gdt + UInt64(index) * 8), descriptor)
        }
        try memory.store(GuestPhysical(GuestLayout.tss + 4), GuestLayout.stack)
        // Everything where it is, for rings 0 and 3: 4 MiB of RAM, and the devices at F000_0000.
        let root = GuestLayout.pageTables
        let (pointers, low, high) = (root + 0x1000, root + 0x2000, root + 0x3000)
        try memory.store(GuestPhysical(root), pointers | 7)
        try memory.store(GuestPhysical(pointers), low | 7)
        try memory.store(GuestPhysical(pointers + 24), high | 7)
        for index in UInt64(0)..<2 { try memory.store(GuestPhysical(low + index * 8), index << 21 | 0x87) }
        // Device memory, uncached; the local APIC lies at FEE0_0000.
        for address in [UInt64(0xF000_0000), 0xFEE0_0000] {
            let index = (address - 0xC000_0000) >> 21
            try memory.store(GuestPhysical(high + index * 8), address & ~0x1F_FFFF | 0x97)
        }
    }

    /// The state of the first processor at the program's first instruction, from the one after power-on.
    public func enter(_ state: inout apus_x86_state) {
        func segment(_ selector: UInt16, _ attributes: UInt16, limit: UInt32 = .max) -> apus_x86_segment {
            apus_x86_segment(base: 0, limit: limit, selector: selector, attributes: attributes)
        }
        func use(code: apus_x86_segment, data: apus_x86_segment) {
            let local = segment(0, 0x82)
            let task = apus_x86_segment(base: GuestLayout.tss, limit: 0x67, selector: 0x38, attributes: 0x8B)
            state.segment = (data, code, data, data, data, data, local, task)
        }
        state.rip = GuestLayout.code
        state.gpr.4 = mode == .user ? GuestLayout.userStack : GuestLayout.stack
        state.rflags = 2
        state.waiting_for_sipi = 0
        switch mode {
        case .real:
            use(code: segment(0, 0x9B, limit: 0xFFFF), data: segment(0, 0x93, limit: 0xFFFF))
            return
        case .protected:
            use(code: segment(0x18, 0xC9B), data: segment(0x10, 0xC93))
            state.cr0 = 0x11
        case .long, .user:
            let isUser = mode == .user
            use(
                code: isUser ? segment(0x33, 0xAFB) : segment(0x08, 0xA9B),
                data: isUser ? segment(0x2B, 0xCF3) : segment(0x10, 0xC93))
            state.cr0 = 0x8000_0033
            state.cr3 = GuestLayout.pageTables
            state.cr4 = needs.contains(.avx2) ? 0x4_0620 : 0x620  // PAE, OSFXSR, OSXMMEXCPT; OSXSAVE
            state.efer = 0xD01  // SCE, LME, LMA, NXE
            if needs.contains(.avx2) { state.xcr0 = 7 }
        }
        state.gdtr = apus_x86_table(base: GuestLayout.gdt, limit: 0x47, reserved: 0)
        state.idtr = apus_x86_table(base: GuestLayout.idt, limit: 0x1FF, reserved: 0)
    }
}
