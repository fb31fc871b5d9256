internal import CEngine
internal import X86

// SYSCALL and SYSRET of 64-bit code in translated code, and what changes of the processor's level come to there. What
// is not the common case is the interpreter's (`System/FastCalls`), which has the same effects one by one.

extension Assembler {
    /// Makes a table the current one, by its mode's index: 0 supervisor, 1 user, 2 supervisor with access to user pages.
    /// `free` is lost; flags stay.
    mutating func chooseTable(_ mode: Int, by free: UInt8) {
        let index = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.mode_index))
        let (tlbs, tlb) = unsafe (MemoryLayout<apus_vcpu>.offset(of: \.tlbs), MemoryLayout<apus_vcpu>.offset(of: \.tlb))
        let bases = unsafe MemoryLayout<apus_vcpu>.offset(of: \.flat_bases)
        storeByte(UInt8(mode), index)
        unsafe load(free, .state(tlbs.unsafelyUnwrapped + 8 * mode))
        store(free, .field(tlb))
        unsafe load(free, .state(bases.unsafelyUnwrapped + 8 * mode))
        unsafe store(free, .field(MemoryLayout<apus_vcpu>.offset(of: \.flat_base)))
        unsafe store(free, .field(MemoryLayout<apus_vcpu>.offset(of: \.gs_loaded)))
        setTableBase(free)
    }

    /// WRGSBASE.
    mutating func setTableBase(_ register: UInt8) {
        bytes(0xf3, register & 8 != 0 ? 0x49 : 0x48, 0x0f)
        bytes(0xae, 0xd8 | register & 7)
    }

    /// RFLAGS without RF and VM, into a register; `free` and the host's flags are lost.
    mutating func wholeFlags(_ register: UInt8, by free: UInt8) {
        modrm(0, wide: false, opcode: 0x0fb7, length: 2, reg: register, rm: .state(apus_offset_arith()))
        load(free, .register(register), wide: false)
        shiftRight(free, by: 8)
        operate(.and, free, 0xd5)
        operate(.and, register, 1)
        shiftLeft(register, by: 11)
        modrm(0, wide: false, opcode: 0x0b, length: 1, reg: register, rm: .register(free))
        unsafe modrm(
            0, wide: true, opcode: 0x0b, length: 1, reg: register, rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.s.rflags)))
        operate(.and, register, ~Int32(Flag.rf | Flag.vm), wide: true)
    }

    /// Stores the arithmetic flags of an RFLAGS as `arith`; `free` and the host's flags are lost.
    mutating func keepArithmetic(of flags: UInt8, by free: UInt8) {
        load(free, .register(flags), wide: false)
        operate(.and, free, 0xd5)
        shiftLeft(free, by: 8)
        modrm(0, wide: false, opcode: 0x0fba, length: 2, reg: 4, rm: .register(flags))  // bt flags, 11
        byte(11)
        modrm(0, wide: false, opcode: 0x83, length: 1, reg: 2, rm: .register(free))  // adc free, 0
        byte(0)
        modrm(0, wide: false, opcode: 0x89, length: 1, reg: free, rm: .state(apus_offset_arith()), operand16: true)
    }

    // MARK: Stubs

    /// Jumped to with the op of a SYSCALL: enters the kernel, or goes to `end`, the interpreter's way.
    mutating func makeSystemCall(
        end: UnsafeMutablePointer<UInt8>, indirect: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        unsafe leaveUnlessPlain(to: end)
        let mask = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.sfmask))
        let flags = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.rflags))
        // AC that stays set is another table, TF traps.
        load(Host.address, mask)
        invert(Host.address)
        modrm(0, wide: true, opcode: 0x23, length: 1, reg: Host.address, rm: flags)
        operate(.test, Host.address, Int32(Flag.ac | Flag.tf))
        unsafe patch(jump(if: 5), to: end)

        let op = { (offset: Int?) in unsafe RM.base(Host.addend, Int32(offset.unsafelyUnwrapped)) }
        modrm(0, wide: false, opcode: 0x0fb6, length: 2, reg: Host.rcx, rm: op(MemoryLayout<apus_op>.offset(of: \.length)))
        modrm(
            0, wide: false, opcode: 0x0fb7, length: 2, reg: Host.address, rm: op(MemoryLayout<apus_op>.offset(of: \.offset)))
        modrm(0, wide: true, opcode: 0x03, length: 1, reg: Host.rcx, rm: .register(Host.address))
        modrm(0, wide: true, opcode: 0x03, length: 1, reg: Host.rcx, rm: .state(Int(Slot.pageBase) * 8))
        wholeFlags(Host.r11, by: Host.address)
        load(Host.addend, mask)
        invert(Host.addend)
        modrm(0, wide: true, opcode: 0x23, length: 1, reg: Host.addend, rm: .register(Host.r11))
        keepArithmetic(of: Host.addend, by: Host.address)
        keepSystemFlags(Host.addend)

        unsafe load(Host.address, .field(MemoryLayout<apus_vcpu>.offset(of: \.s.star)))
        shiftRight(Host.address, by: 32, wide: true)
        operate(.and, Host.address, 0xfffc)
        setFlat(APUS_SEG_CS, Host.address, attributes: 0xa9b)
        operate(.add, Host.address, 8)
        setFlat(APUS_SEG_SS, Host.address, attributes: 0xc93)
        unsafe storeByte(0, .field(MemoryLayout<apus_vcpu>.offset(of: \.trap_armed)))
        enter(level: 0, generation: unsafe MemoryLayout<apus_vcpu>.offset(of: \.code_generation))
        chooseTable(0, by: Host.addend)
        unsafe load(Host.address, .field(MemoryLayout<apus_vcpu>.offset(of: \.s.lstar)))
        unsafe indirectJump(indirect)
        return unsafe start
    }

    /// Jumped to with the op of a SYSRET to 64-bit code, at level 0: returns to level 3, or goes to `end`.
    mutating func makeSystemReturn(
        end: UnsafeMutablePointer<UInt8>, indirect: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        let start = unsafe begin()
        unsafe leaveUnlessPlain(to: end)
        unsafe modrm(
            0, wide: false, opcode: 0x80, length: 1, reg: 7, rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.masked_events)))
        byte(0)
        unsafe patch(jump(if: 5), to: end)
        operate(.test, Host.r11, Int32(Flag.tf))
        unsafe patch(jump(if: 5), to: end)
        // The address must be canonical.
        move(Host.address, Host.rcx)
        shiftLeft(Host.address, by: 16, wide: true)
        bytes(0x49, 0xc1, 0xfe)  // sar r14, 16
        byte(16)
        modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.address, rm: .register(Host.rcx))
        unsafe patch(jump(if: 5), to: end)

        load(Host.addend, .register(Host.r11), wide: false)
        operate(.and, Host.addend, 0x3c_7fd7)
        keepArithmetic(of: Host.addend, by: Host.address)
        keepSystemFlags(Host.addend)
        unsafe load(Host.addend, .field(MemoryLayout<apus_vcpu>.offset(of: \.s.star)))
        shiftRight(Host.addend, by: 48, wide: true)
        for (segment, distance, attributes): (Int32, Int32, UInt16) in [
            (APUS_SEG_CS, 16, 0xafb), (APUS_SEG_SS, 8, 0xcf3),
        ] {
            lea(Host.address, .base(Host.addend, distance), wide: false)
            operate(.or, Host.address, 3)
            setFlat(segment, Host.address, attributes: attributes)
        }
        enter(level: 3, generation: unsafe MemoryLayout<apus_vcpu>.offset(of: \.user_generation))
        chooseTable(1, by: Host.addend)
        move(Host.address, Host.rcx)
        unsafe indirectJump(indirect)
        return unsafe start
    }

    /// Goes to `end` where an event waits or the fast calls are off.
    private mutating func leaveUnlessPlain(to end: UnsafeMutablePointer<UInt8>) {
        unsafe modrm(
            0, wide: false, opcode: 0x83, length: 1, reg: 7, rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.pending)))
        byte(0)
        unsafe patch(jump(if: 5), to: end)
        unsafe modrm(
            0, wide: false, opcode: 0xf6, length: 1, reg: 0, rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.s.efer)))
        byte(UInt8(EFER.sce))
        unsafe patch(jump(if: 4), to: end)
    }

    /// Stores the flags outside the arithmetic ones, of which `flags` may have some; it is lost.
    private mutating func keepSystemFlags(_ flags: UInt8) {
        operate(.and, flags, ~Int32(Flag.arithmetic), wide: true)
        operate(.or, flags, 2, wide: true)
        unsafe store(flags, .field(MemoryLayout<apus_vcpu>.offset(of: \.s.rflags)))
    }

    /// Makes a segment a flat one, its selector in the low half of a register.
    private mutating func setFlat(_ segment: Int32, _ selector: UInt8, attributes: UInt16) {
        let place = unsafe MemoryLayout<apus_vcpu>.offset(of: \.s.segment).unsafelyUnwrapped
            + Int(segment) * MemoryLayout<apus_x86_segment>.stride
        // The base of 0, the limit of 4 GiB.
        modrm(0, wide: true, opcode: 0xc7, length: 1, reg: 0, rm: .state(place))
        word32(0)
        modrm(0, wide: false, opcode: 0xc7, length: 1, reg: 0, rm: .state(place + 8))
        word32(-1)
        modrm(0, wide: false, opcode: 0x89, length: 1, reg: selector, rm: .state(place + 12), operand16: true)
        modrm(0, wide: false, opcode: 0xc7, length: 1, reg: 0, rm: .state(place + 14), operand16: true)
        bytes(UInt8(truncatingIfNeeded: attributes), UInt8(attributes >> 8))
    }

    /// Changes the level of 64-bit code; the addend's and the address register are lost.
    private mutating func enter(level: UInt8, generation: Int?) {
        let key = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.jump_key))
        unsafe storeByte(level, .field(MemoryLayout<apus_vcpu>.offset(of: \.cpl)))
        load(Host.addend, .field(generation))
        shiftLeft(Host.addend, by: 16, wide: true)
        modrm(0, wide: false, opcode: 0x0fb7, length: 2, reg: Host.address, rm: key)
        operate(.and, Host.address, ~Int32(ModeBits.user | ModeBits.middle))
        if level == 3 { operate(.or, Host.address, Int32(ModeBits.user)) }
        modrm(0, wide: true, opcode: 0x0b, length: 1, reg: Host.addend, rm: .register(Host.address))
        store(Host.addend, key)
    }

    // MARK: Arithmetic with constants

    /// An operation with a constant of 32 bits, by its digit in opcode 81.
    enum Operation: UInt8 {
        case add = 0
        case or = 1
        case and = 4
        /// Of opcode F7.
        case test = 8
    }
    mutating func operate(_ operation: Operation, _ register: UInt8, _ value: Int32, wide: Bool = false) {
        modrm(
            0, wide: wide, opcode: operation == .test ? 0xf7 : 0x81, length: 1, reg: operation.rawValue & 7,
            rm: .register(register))
        word32(value)
    }
    private mutating func invert(_ register: UInt8) {
        modrm(0, wide: true, opcode: 0xf7, length: 1, reg: 2, rm: .register(register))
    }
    private mutating func shiftLeft(_ register: UInt8, by count: UInt8, wide: Bool = false) {
        modrm(0, wide: wide, opcode: 0xc1, length: 1, reg: 4, rm: .register(register))
        byte(count)
    }
    mutating func shiftRight(_ register: UInt8, by count: UInt8, wide: Bool = false) {
        modrm(0, wide: wide, opcode: 0xc1, length: 1, reg: 5, rm: .register(register))
        byte(count)
    }
    private mutating func storeByte(_ value: UInt8, _ place: RM) {
        modrm(0, wide: false, opcode: 0xc6, length: 1, reg: 0, rm: place)
        byte(value)
    }
}
