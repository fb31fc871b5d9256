/// One row of the opcode tables: the bytes it matches and the instruction they mean.
///
/// The first row of an opcode that matches wins, so special cases stand before general ones. Every field of a row is
/// spelled with its type's name, and there is an initializer for each number of operands: that keeps the type checker
/// fast.
struct Row: Sendable {
    /// The first opcode of the row.
    let opcode: UInt8
    /// How many opcodes the row covers: 1, 8 (register in the low bits), 16 (condition in the low bits).
    let span: UInt8
    /// The modes and prefixes it needs: a set of `When` bits.
    let when: UInt16
    /// The ModRM bytes it needs: see `Form`.
    let form: UInt16
    /// The operation.
    let mnemonic: Mnemonic
    /// The operands.
    let op1: OperandCode
    let op2: OperandCode
    let op3: OperandCode
    let op4: OperandCode
    /// How the operands are used.
    let access: AccessPattern
    /// The operand size.
    let size: SizeRule
    /// What else is special.
    let trait: Trait
    /// The CPUID bit it needs.
    let feature: Feature
    /// Its family.
    let category: Category

    init(
        _ opcode: UInt8, _ when: UInt16, _ form: UInt16, _ mnemonic: Mnemonic,
        _ access: AccessPattern, _ size: SizeRule, _ trait: Trait, _ feature: Feature, _ category: Category,
        span: UInt8 = 1
    ) {
        self.opcode = opcode
        self.span = span
        self.when = when
        self.form = form
        self.mnemonic = mnemonic
        op1 = OperandCode.none
        op2 = OperandCode.none
        op3 = OperandCode.none
        op4 = OperandCode.none
        self.access = access
        self.size = size
        self.trait = trait
        self.feature = feature
        self.category = category
    }

    init(
        _ opcode: UInt8, _ when: UInt16, _ form: UInt16, _ mnemonic: Mnemonic,
        _ op1: OperandCode,
        _ access: AccessPattern, _ size: SizeRule, _ trait: Trait, _ feature: Feature, _ category: Category,
        span: UInt8 = 1
    ) {
        self.opcode = opcode
        self.span = span
        self.when = when
        self.form = form
        self.mnemonic = mnemonic
        self.op1 = op1
        op2 = OperandCode.none
        op3 = OperandCode.none
        op4 = OperandCode.none
        self.access = access
        self.size = size
        self.trait = trait
        self.feature = feature
        self.category = category
    }

    init(
        _ opcode: UInt8, _ when: UInt16, _ form: UInt16, _ mnemonic: Mnemonic,
        _ op1: OperandCode, _ op2: OperandCode,
        _ access: AccessPattern, _ size: SizeRule, _ trait: Trait, _ feature: Feature, _ category: Category,
        span: UInt8 = 1
    ) {
        self.opcode = opcode
        self.span = span
        self.when = when
        self.form = form
        self.mnemonic = mnemonic
        self.op1 = op1
        self.op2 = op2
        op3 = OperandCode.none
        op4 = OperandCode.none
        self.access = access
        self.size = size
        self.trait = trait
        self.feature = feature
        self.category = category
    }

    init(
        _ opcode: UInt8, _ when: UInt16, _ form: UInt16, _ mnemonic: Mnemonic,
        _ op1: OperandCode, _ op2: OperandCode, _ op3: OperandCode,
        _ access: AccessPattern, _ size: SizeRule, _ trait: Trait, _ feature: Feature, _ category: Category,
        span: UInt8 = 1
    ) {
        self.opcode = opcode
        self.span = span
        self.when = when
        self.form = form
        self.mnemonic = mnemonic
        self.op1 = op1
        self.op2 = op2
        self.op3 = op3
        op4 = OperandCode.none
        self.access = access
        self.size = size
        self.trait = trait
        self.feature = feature
        self.category = category
    }

    init(
        _ opcode: UInt8, _ when: UInt16, _ form: UInt16, _ mnemonic: Mnemonic,
        _ op1: OperandCode, _ op2: OperandCode, _ op3: OperandCode, _ op4: OperandCode,
        _ access: AccessPattern, _ size: SizeRule, _ trait: Trait, _ feature: Feature, _ category: Category,
        span: UInt8 = 1
    ) {
        self.opcode = opcode
        self.span = span
        self.when = when
        self.form = form
        self.mnemonic = mnemonic
        self.op1 = op1
        self.op2 = op2
        self.op3 = op3
        self.op4 = op4
        self.access = access
        self.size = size
        self.trait = trait
        self.feature = feature
        self.category = category
    }
}

/// What is special about a row.
enum Trait: UInt8, Sendable {
    case none
    /// LOCK is allowed where the first operand is memory.
    case lock
    /// The legacy form raises #GP where its memory operand is not aligned to its size.
    case aligned
    /// The ModRM byte's mod field is ignored: both operands are registers (MOV to and from CR and DR).
    case noMemory
    /// The SIB byte's index is a vector register.
    case vectorIndex
}

/// Conditions of a row, two or four bits to each dimension; a row matches where the decoder's state, which has one bit
/// of each dimension, is a subset of its bits.
enum When {
    static let legacyMode: UInt16 = 0x001
    static let longMode: UInt16 = 0x002
    static let w0: UInt16 = 0x004
    static let w1: UInt16 = 0x008
    static let l0: UInt16 = 0x010
    static let l1: UInt16 = 0x020
    static let b0: UInt16 = 0x040
    static let b1: UInt16 = 0x080
    static let prefixNone: UInt16 = 0x100
    static let prefix66: UInt16 = 0x200
    static let prefixF3: UInt16 = 0x400
    static let prefixF2: UInt16 = 0x800
    static let prefixes: UInt16 = 0xf00

    // Rows' conditions, composed of a prefix condition (`any`; `np` without 66, F3, F2; `noRep` without F3, F2; `x66`,
    // `xF3`, `xF2` with that prefix) and what else must hold: `Old` outside 64-bit mode, `Long` in 64-bit mode, `Wide`
    // with REX.W, `W0`, `W1`, `L0`, `L1` by these bits of VEX, `B0` without REX.B.
    static let any: UInt16 = 0xfff
    static let anyB0: UInt16 = 0xf7f
    static let anyLong: UInt16 = 0xffe
    static let anyOld: UInt16 = 0xffd
    static let anyWide: UInt16 = 0xffb
    static let noRep: UInt16 = 0x3ff
    static let np: UInt16 = 0x1ff
    static let npL0: UInt16 = 0x1df
    static let npL1: UInt16 = 0x1ef
    static let npWide: UInt16 = 0x1fb
    static let x66: UInt16 = 0x2ff
    static let x66L0: UInt16 = 0x2df
    static let x66L1: UInt16 = 0x2ef
    static let x66LongW1L0: UInt16 = 0x2da
    static let x66W0: UInt16 = 0x2f7
    static let x66W0L0: UInt16 = 0x2d7
    static let x66W0L1: UInt16 = 0x2e7
    static let x66W1: UInt16 = 0x2fb
    static let x66W1L1: UInt16 = 0x2eb
    static let x66Wide: UInt16 = 0x2fb
    static let xF3: UInt16 = 0x4ff
    static let xF3B0: UInt16 = 0x47f
    static let xF3L0: UInt16 = 0x4df
    static let xF3L1: UInt16 = 0x4ef
    static let xF3Long: UInt16 = 0x4fe
    static let xF2: UInt16 = 0x8ff
    static let xF2L0: UInt16 = 0x8df
    static let xF2L1: UInt16 = 0x8ef
}

/// ModRM conditions: a mask in the high byte, the value in the low byte. The byte they are compared with has bit 7 set
/// for a register and clear for memory, and bit 6 clear; a mask's bit 6 says that there is no ModRM byte at all.
enum Form {
    static let noModRM: UInt16 = 0x4000
    /// No ModRM byte.
    static let no: UInt16 = 0x4000
    /// Any ModRM byte.
    static let any: UInt16 = 0x0000
    /// Memory.
    static let mem: UInt16 = 0x8000
    /// Register.
    static let reg: UInt16 = 0x8080
    /// Memory or register, /0 to /7.
    static let n0: UInt16 = 0x3800
    static let n1: UInt16 = 0x3808
    static let n2: UInt16 = 0x3810
    static let n3: UInt16 = 0x3818
    static let n4: UInt16 = 0x3820
    static let n5: UInt16 = 0x3828
    static let n6: UInt16 = 0x3830
    static let n7: UInt16 = 0x3838
    /// Memory, /0 to /7.
    static let m0: UInt16 = 0xb800
    static let m1: UInt16 = 0xb808
    static let m2: UInt16 = 0xb810
    static let m3: UInt16 = 0xb818
    static let m4: UInt16 = 0xb820
    static let m5: UInt16 = 0xb828
    static let m6: UInt16 = 0xb830
    static let m7: UInt16 = 0xb838
    /// Register, /0 to /7.
    static let r0: UInt16 = 0xb880
    static let r1: UInt16 = 0xb888
    static let r2: UInt16 = 0xb890
    static let r3: UInt16 = 0xb898
    static let r4: UInt16 = 0xb8a0
    static let r5: UInt16 = 0xb8a8
    static let r6: UInt16 = 0xb8b0
    static let r7: UInt16 = 0xb8b8
    /// Exactly the ModRM byte named.
    static let xC1: UInt16 = 0xbf81
    static let xC8: UInt16 = 0xbf88
    static let xC9: UInt16 = 0xbf89
    static let xCA: UInt16 = 0xbf8a
    static let xCB: UInt16 = 0xbf8b
    static let xD0: UInt16 = 0xbf90
    static let xD1: UInt16 = 0xbf91
    static let xD9: UInt16 = 0xbf99
    static let xE0: UInt16 = 0xbfa0
    static let xE1: UInt16 = 0xbfa1
    static let xE2: UInt16 = 0xbfa2
    static let xE3: UInt16 = 0xbfa3
    static let xE4: UInt16 = 0xbfa4
    static let xE5: UInt16 = 0xbfa5
    static let xE8: UInt16 = 0xbfa8
    static let xE9: UInt16 = 0xbfa9
    static let xEA: UInt16 = 0xbfaa
    static let xEB: UInt16 = 0xbfab
    static let xEC: UInt16 = 0xbfac
    static let xED: UInt16 = 0xbfad
    static let xEE: UInt16 = 0xbfae
    static let xEF: UInt16 = 0xbfaf
    static let xF0: UInt16 = 0xbfb0
    static let xF1: UInt16 = 0xbfb1
    static let xF2: UInt16 = 0xbfb2
    static let xF3: UInt16 = 0xbfb3
    static let xF4: UInt16 = 0xbfb4
    static let xF5: UInt16 = 0xbfb5
    static let xF6: UInt16 = 0xbfb6
    static let xF7: UInt16 = 0xbfb7
    static let xF8: UInt16 = 0xbfb8
    static let xF9: UInt16 = 0xbfb9
    static let xFA: UInt16 = 0xbfba
    static let xFB: UInt16 = 0xbfbb
    static let xFC: UInt16 = 0xbfbc
    static let xFD: UInt16 = 0xbfbd
    static let xFE: UInt16 = 0xbfbe
    static let xFF: UInt16 = 0xbfbf
}
