internal import CEngine

/// A general register of the host, by its number in encodings.
enum Host {
    static let rax: UInt8 = 0
    static let rcx: UInt8 = 1
    static let rdx: UInt8 = 2
    static let rbx: UInt8 = 3
    static let rsp: UInt8 = 4
    static let rbp: UInt8 = 5
    static let rsi: UInt8 = 6
    static let rdi: UInt8 = 7
    static let r11: UInt8 = 11
    /// The addend of an access; free otherwise.
    static let addend: UInt8 = 13
    /// The address of an access; free otherwise.
    static let address: UInt8 = 14
    /// The guest's RSP.
    static let guestStack: UInt8 = 15
}

/// The r/m operand of an instruction.
@safe enum RM {
    case register(UInt8)
    /// The processor's structure, at a byte offset.
    case state(Int)
    /// [base + disp].
    case base(UInt8, Int32)
    /// [base + index << shift + disp].
    case indexed(UInt8, UInt8, UInt8, Int32)
    /// [index << shift + disp].
    case scaled(UInt8, UInt8, Int32)
    /// gs:[base + disp]: a table's entry.
    case table(UInt8, Int32)
    /// [rip + disp]: a place in the same view as the cursor. The instruction ends with its displacement.
    case relative(UnsafeMutablePointer<UInt8>)

    /// A field of the processor's structure, by `MemoryLayout.offset(of:)`.
    static func field(_ offset: Int?) -> RM { unsafe .state(offset.unsafelyUnwrapped) }
    /// Whether it is [base] alone.
    var isRegister: Bool { if case .base(_, 0) = self { true } else { false } }
    /// Whether a register is part of the address.
    func uses(_ register: UInt8) -> Bool {
        switch self {
        case .base(let base, _), .table(let base, _): base == register
        case .indexed(let base, let index, _, _): base == register || index == register
        case .scaled(let index, _, _): index == register
        case .register, .state, .relative: false
        }
    }
    /// The mask of a table's byte offset.
    static var indexMask: RM { unsafe .field(MemoryLayout<apus_vcpu>.offset(of: \.index_mask)) }
}

/// Writes host instructions into the code cache.
@safe struct Assembler {
    /// Where the next byte goes, in the writable view.
    var cursor: UnsafeMutablePointer<UInt8>
    /// The structure's first byte relative to the GS base; negative.
    let stateBase: Int
    let host: HostFeatures

    init(_ cursor: UnsafeMutablePointer<UInt8>, stateBase: Int, host: HostFeatures = .this) {
        unsafe self.cursor = cursor
        self.stateBase = stateBase
        self.host = host
    }

    // MARK: Bytes

    @inline(__always) mutating func byte(_ value: UInt8) {
        unsafe cursor.pointee = value
        unsafe cursor += 1
    }
    mutating func bytes(_ a: UInt8, _ b: UInt8) {
        byte(a)
        byte(b)
    }
    mutating func bytes(_ a: UInt8, _ b: UInt8, _ c: UInt8) {
        byte(a)
        byte(b)
        byte(c)
    }
    mutating func word32(_ value: Int32) {
        unsafe UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: Int32.self)
        unsafe cursor += 4
    }
    mutating func word64(_ value: UInt64) {
        unsafe UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: UInt64.self)
        unsafe cursor += 8
    }

    // MARK: General form

    /// An instruction with a ModRM byte. `opcode` holds the opcode bytes in the low end, as many as `length`;
    /// `mandatory` the prefix 66, F2, F3 or F0 or 0; `byteRegister` says that registers 4 to 7 mean SPL to DIL.
    mutating func modrm(
        _ mandatory: UInt8, wide: Bool, opcode: UInt32, length: Int, reg: UInt8, rm: RM, byteRegister: Bool = false,
        operand16: Bool = false, lock: Bool = false
    ) {
        if lock { byte(0xf0) }
        switch rm {
        case .state, .table: byte(0x65)
        default: break
        }
        if operand16 { byte(0x66) }
        if mandatory != 0 { byte(mandatory) }
        var rex: UInt8 = wide ? 0x48 : 0
        if reg & 8 != 0 { rex |= 0x44 }
        switch rm {
        case .register(let number):
            if number & 8 != 0 { rex |= 0x41 }
            if byteRegister && (number >= 4 || reg >= 4) { rex |= 0x40 }
        case .state:
            if byteRegister && reg >= 4 { rex |= 0x40 }
        case .base(let base, _), .table(let base, _):
            if base & 8 != 0 { rex |= 0x41 }
            if byteRegister && reg >= 4 { rex |= 0x40 }
        case .scaled(let index, _, _):
            if index & 8 != 0 { rex |= 0x42 }
        case .relative: break
        case .indexed(let base, let index, _, _):
            if base & 8 != 0 { rex |= 0x41 }
            if index & 8 != 0 { rex |= 0x42 }
            if byteRegister && reg >= 4 { rex |= 0x40 }
        }
        if rex != 0 { byte(rex) }
        for position in stride(from: length - 1, through: 0, by: -1) {
            byte(UInt8(truncatingIfNeeded: opcode >> UInt32(position * 8)))
        }
        operands(reg, rm)
    }

    /// An instruction with a VEX prefix (SDM volume 2, 2.3). `map` is 1 for 0F, 2 for 0F 38, 3 for 0F 3A; `mandatory` the
    /// prefix that pp stands for, or 0; `vvvv` 0 where there is none.
    mutating func vex(
        _ mandatory: UInt8, map: UInt8, wide: Bool, is256: Bool, vvvv: UInt8, opcode: UInt8, reg: UInt8, rm: RM
    ) {
        var extended: UInt8 = reg & 8 != 0 ? 0 : 0x80
        var index: UInt8 = 0
        var base: UInt8 = 0
        switch rm {
        case .state: byte(0x65)
        case .table(let register, _):
            byte(0x65)
            base = register
        case .register(let register), .base(let register, _): base = register
        case .indexed(let first, let second, _, _): (base, index) = (first, second)
        case .scaled(let register, _, _): index = register
        case .relative: break
        }
        if index & 8 == 0 { extended |= 0x40 }
        if base & 8 == 0 { extended |= 0x20 }
        let pp: UInt8 =
            switch mandatory {
            case 0x66: 1
            case 0xf3: 2
            case 0xf2: 3
            default: 0
            }
        bytes(0xc4, extended | map, (wide ? 0x80 : 0) | (~vvvv & 15) << 3 | (is256 ? 4 : 0) | pp)
        byte(opcode)
        operands(reg, rm)
    }

    /// VZEROUPPER.
    mutating func zeroUpperHalves() { bytes(0xc5, 0xf8, 0x77) }

    /// The ModRM byte and what belongs to it.
    private mutating func operands(_ reg: UInt8, _ rm: RM) {
        let field = (reg & 7) << 3
        switch rm {
        case .register(let number): byte(0xc0 | field | number & 7)
        case .state(let offset):
            byte(0x04 | field)
            byte(0x25)
            word32(Int32(truncatingIfNeeded: offset + stateBase))
        case .base(let base, let disp), .table(let base, let disp):
            based(field, base, disp)
        case .scaled(let index, let shift, let disp):
            bytes(0x04 | field, shift << 6 | (index & 7) << 3 | 5)
            word32(disp)
        case .relative(let target):
            byte(0x05 | field)
            word32(0)
            unsafe patch(cursor - 4, to: target)
        case .indexed(let base, let index, let shift, let disp):
            if let short = Int8(exactly: disp) {
                bytes(0x44 | field, shift << 6 | (index & 7) << 3 | base & 7, UInt8(bitPattern: short))
            } else {
                bytes(0x84 | field, shift << 6 | (index & 7) << 3 | base & 7)
                word32(disp)
            }
        }
    }

    private mutating func based(_ field: UInt8, _ base: UInt8, _ disp: Int32) {
        let short = Int8(exactly: disp)
        let mode: UInt8 = disp == 0 && base & 7 != 5 ? 0 : short != nil ? 0x40 : 0x80
        if base & 7 == 4 { bytes(mode | field | 4, 0x24) } else { byte(mode | field | base & 7) }
        if mode == 0x40, let short { byte(UInt8(bitPattern: short)) }
        if mode == 0x80 { word32(disp) }
    }

    // MARK: Moves

    /// MOV to a register: of 64 bits, or of 32 that clear the upper half.
    mutating func load(_ register: UInt8, _ from: RM, wide: Bool = true) {
        modrm(0, wide: wide, opcode: 0x8b, length: 1, reg: register, rm: from)
    }
    /// MOV of 64 or 32 bits from a register.
    mutating func store(_ register: UInt8, _ to: RM, wide: Bool = true) {
        modrm(0, wide: wide, opcode: 0x89, length: 1, reg: register, rm: to)
    }
    mutating func move(_ to: UInt8, _ from: UInt8) { if to != from { load(to, .register(from)) } }
    mutating func lea(_ register: UInt8, _ address: RM, wide: Bool = true) {
        modrm(0, wide: wide, opcode: 0x8d, length: 1, reg: register, rm: address)
    }
    /// The shortest way to have an address in a register; flags stay.
    mutating func loadAddress(_ register: UInt8, _ address: RM) {
        if case .base(let base, 0) = address { move(register, base) } else { lea(register, address) }
    }
    /// The shortest MOV of a constant.
    mutating func immediate(_ register: UInt8, _ value: UInt64) {
        if value <= 0xffff_ffff {
            if register & 8 != 0 { byte(0x41) }
            byte(0xb8 | register & 7)
            word32(Int32(truncatingIfNeeded: value))
        } else {
            bytes(register & 8 != 0 ? 0x49 : 0x48, 0xb8 | register & 7)
            word64(value)
        }
    }

    /// A register rotated right, or shifted where the host cannot rotate into another register: the low bits of the
    /// result are the same. Flags are lost.
    mutating func rotateRight(_ to: UInt8, _ from: UInt8, by count: UInt8) {
        if host.hasRotation {
            // RORX: VEX.LZ.F2.0F3A.W1 F0 /r ib
            let extended = UInt8(to & 8 == 0 ? 0x80 : 0) | 0x40 | UInt8(from & 8 == 0 ? 0x20 : 0)
            bytes(0xc4, extended | 3, 0xfb)
            bytes(0xf0, 0xc0 | (to & 7) << 3 | from & 7)
        } else {
            move(to, from)
            bytes(to & 8 == 0 ? 0x48 : 0x49, 0xc1, 0xe8 | to & 7)  // shr
        }
        byte(count)
    }

    // MARK: Jumps

    /// JMP rel32; returns the place of its displacement.
    mutating func jump() -> UnsafeMutablePointer<UInt8> {
        byte(0xe9)
        word32(0)
        return unsafe cursor - 4
    }
    /// Jcc rel32.
    mutating func jump(if condition: UInt8) -> UnsafeMutablePointer<UInt8> {
        bytes(0x0f, 0x80 | condition & 15)
        word32(0)
        return unsafe cursor - 4
    }
    /// Points a displacement at the cursor.
    mutating func land(_ place: UnsafeMutablePointer<UInt8>) { unsafe patch(place, to: cursor) }
    /// Points a displacement at an address of the same view.
    func patch(_ place: UnsafeMutablePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>) {
        let distance = unsafe Int32(truncatingIfNeeded: target - (place + 4))
        unsafe UnsafeMutableRawPointer(place).storeBytes(of: distance, as: Int32.self)
    }
    mutating func jump(to target: UnsafeMutablePointer<UInt8>) {
        let place = unsafe jump()
        unsafe patch(place, to: target)
    }
    mutating func call(_ target: UnsafeMutablePointer<UInt8>) {
        byte(0xe8)
        word32(0)
        unsafe patch(cursor - 4, to: target)
    }

    // MARK: Flags

    /// Host flags to `arith`; keeps all registers but `free`.
    mutating func spillFlags(by free: UInt8) {
        move(free, Host.rax)
        bytes(0x9f, 0x0f, 0x90)  // lahf; seto al
        byte(0xc0)
        modrm(0, wide: false, opcode: 0x89, length: 1, reg: Host.rax, rm: .state(apus_offset_arith()), operand16: true)
        move(Host.rax, free)
    }
    /// `arith` to host flags; keeps all registers but `free`.
    mutating func reloadFlags(by free: UInt8) {
        move(free, Host.rax)
        modrm(0, wide: false, opcode: 0x0fb7, length: 2, reg: Host.rax, rm: .state(apus_offset_arith()))
        bytes(0x04, 0x7f, 0x9e)  // add al, 7f; sahf
        move(Host.rax, free)
    }
}
