/// One decoded x86 instruction: what the interpreter lowers, the translator re-emits and the disassembler prints.
///
/// A value of fixed size without references. Immediate and displacement are sign-extended to 64 bits where the
/// manual sign-extends them (Intel SDM volume 2, chapter 2).
public struct Instruction: Sendable {
    /// What the instruction does; operand sizes tell its forms apart.
    public var mnemonic: Mnemonic
    /// Length in bytes, 1...15.
    public var length: UInt8
    /// Effective operand size in bytes: 1, 2, 4, 8; for vector instructions the vector length, 16 or 32.
    public var operandSize: UInt8
    /// Effective address size in bytes: 2, 4 or 8.
    public var addressSize: UInt8
    /// The prefixes present.
    public var prefixes: Prefixes
    /// The bytes that choose the operation, for re-emission.
    public var encoding: Encoding
    /// Explicit operands in Intel's order, destination first; unused places are `.none`.
    public var operands: (Operand, Operand, Operand, Operand)
    /// The memory operand, where `operands` names one.
    public var memory: MemoryReference
    /// The first immediate, or the offset of a relative branch or far pointer.
    public var immediate: Int64
    /// The second immediate: nesting level of ENTER, selector of a far pointer, 0 otherwise.
    public var immediate2: UInt16
    /// The family the instruction belongs to.
    public var category: Category
    /// What the guest's CPUID must offer for the instruction to exist.
    public var featureRequired: Feature
    /// True where the memory operand raises #GP(0) unless it is aligned to its size: most legacy SSE instructions with
    /// an operand of 16 bytes (exception classes 1 and 4 of SDM volume 2, 2.4, in their legacy form).
    public var alignedMemory: Bool

    /// An instruction of no operands, to be filled in by the decoder.
    public init() {
        mnemonic = .invalid
        length = 0
        operandSize = 4
        addressSize = 8
        prefixes = []
        encoding = Encoding()
        operands = (.none, .none, .none, .none)
        memory = MemoryReference()
        immediate = 0
        immediate2 = 0
        category = .integer
        featureRequired = .base
        alignedMemory = false
    }
}

/// The prefixes of an instruction (SDM volume 2, 2.1.1 and 2.2.1).
public struct Prefixes: OptionSet, Sendable {
    /// The set as bits.
    public let rawValue: UInt16
    /// A set from its bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// F0.
    public static let lock = Prefixes(rawValue: 1)
    /// F3, where it is not a mandatory prefix.
    public static let rep = Prefixes(rawValue: 2)
    /// F2, where it is not a mandatory prefix.
    public static let repne = Prefixes(rawValue: 4)
    /// 66, whether mandatory or not.
    public static let operandSize = Prefixes(rawValue: 8)
    /// 67.
    public static let addressSize = Prefixes(rawValue: 16)
    /// Any REX prefix that counts.
    public static let rex = Prefixes(rawValue: 32)
    /// REX.W or VEX.W.
    public static let wide = Prefixes(rawValue: 64)
    /// A VEX prefix (C4 or C5).
    public static let vex = Prefixes(rawValue: 128)
    /// A segment override that counts; `MemoryReference.segment` holds its effect.
    public static let segment = Prefixes(rawValue: 256)
}

/// The opcode map of an instruction.
public enum OpcodeMap: UInt8, Sendable {
    /// One-byte opcodes.
    case primary = 0
    /// 0F.
    case secondary = 1
    /// 0F 38.
    case map38 = 2
    /// 0F 3A.
    case map3A = 3
}

/// The bytes that choose an operation.
public struct Encoding: Sendable {
    /// Which table `opcode` indexes.
    public var map: OpcodeMap = .primary
    /// The opcode byte.
    public var opcode: UInt8 = 0
    /// The ModRM byte as read; 0 where there is none.
    public var modrm: UInt8 = 0
    /// True where a ModRM byte is present.
    public var hasModRM: Bool = false
    /// The mandatory prefix: 0, 0x66, 0xF3 or 0xF2 (for VEX, what pp stands for).
    public var mandatoryPrefix: UInt8 = 0
    /// VEX.vvvv as a register number, 0 where absent.
    public var vvvv: UInt8 = 0
    /// VEX.L.
    public var vectorLength256: Bool = false
    /// Bytes of immediate at the instruction's end.
    public var immediateLength: UInt8 = 0
    /// The extension bits of REX or VEX that extend register numbers, in REX's places (R 4, X 2, B 1).
    public var registerExtension: UInt8 = 0

    /// An empty encoding.
    public init() {}
}

/// One explicit operand.
public struct Operand: Sendable, Equatable {
    /// What kind of place it names.
    public var kind: Kind
    /// Register number 0...15 for register kinds (segment registers in encoding order ES CS SS DS FS GS).
    public var register: UInt8
    /// Size in bytes: 1, 2, 4, 8, 16, 32; 6 and 10 for far pointers and descriptor tables; 10 also for 80-bit reals;
    /// for FPU environments and XSAVE areas the architectural size, 0 where that depends on state.
    public var size: UInt16
    /// How the instruction uses it.
    public var access: Access

    /// The place an operand names.
    public enum Kind: UInt8, Sendable {
        /// No operand.
        case none
        /// A general register of `size` bytes.
        case general
        /// AH, CH, DH or BH (`register` 0...3).
        case highByte
        /// `Instruction.memory`.
        case memory
        /// `Instruction.immediate`.
        case immediate
        /// `Instruction.immediate2`.
        case immediate2
        /// A branch target relative to the next instruction, in `immediate`.
        case relative
        /// A far pointer: offset in `immediate`, selector in `immediate2`.
        case farPointer
        /// A segment register.
        case segment
        /// A control register.
        case control
        /// A debug register.
        case debug
        /// An MMX register (0...7).
        case mmx
        /// An XMM (size 16 or less) or YMM (size 32) register.
        case vector
        /// An x87 stack register ST(i).
        case x87
        /// The constant 1 of the shift-by-one forms.
        case one
    }

    /// Reads, writes, or both.
    public enum Access: UInt8, Sendable {
        /// Neither: LEA's address, NOP's operand, INVLPG.
        case none
        /// Read only.
        case read
        /// Written only.
        case write
        /// Read, then written.
        case readWrite
    }

    /// An operand of the given place, size in bytes and use.
    public init(_ kind: Kind, register: UInt8 = 0, size: UInt16 = 0, access: Access = .read) {
        self.kind = kind
        self.register = register
        self.size = size
        self.access = access
    }

    /// The absent operand.
    public static let none = Operand(.none, access: .none)
}

/// A memory operand's address: segment base + base + index * scale + displacement.
public struct MemoryReference: Sendable {
    /// Base register 0...15, or one of the two constants below.
    public var base: UInt8 = Self.noRegister
    /// Index register 0...15, or `noRegister`.
    public var index: UInt8 = Self.noRegister
    /// log2 of the scale, 0...3.
    public var shift: UInt8 = 0
    /// The segment in effect, override or default: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5.
    public var segment: UInt8 = 3
    /// Displacement, sign-extended. For `instructionPointer` it counts from the next instruction.
    public var displacement: Int64 = 0

    /// No base or no index.
    public static let noRegister: UInt8 = 0xff
    /// The next instruction's address is the base.
    public static let instructionPointer: UInt8 = 0xfe

    /// An address of displacement 0 alone.
    public init() {}
}

/// The mode that decides how bytes are decoded.
public enum CodeSize: UInt8, Sendable {
    /// Real mode, virtual-8086 mode and 16-bit segments.
    case bits16 = 2
    /// 32-bit segments, compatibility mode included.
    case bits32 = 4
    /// 64-bit mode.
    case bits64 = 8
}

/// Why bytes are no instruction.
public enum DecodeError: Error, Equatable, Sendable {
    /// The bytes at hand end before the instruction does: supply more, up to 15.
    case truncated
    /// No instruction, or one that is invalid in this mode: #UD.
    case undefined
    /// More than 15 bytes: #GP(0).
    case tooLong
}
