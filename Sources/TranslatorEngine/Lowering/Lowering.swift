internal import CEngine
internal import X86

/// How a block goes on after an instruction.
enum Continuation {
    /// With the next instruction.
    case next
    /// The instruction may change the mode or what decoded code depends on: the block ends after it.
    case cut
    /// The same where only MXCSR or a data segment may have changed it.
    case control
    /// Nothing follows.
    case ends
    /// A conditional branch: what follows is the way not taken.
    case conditional
}

/// Turns decoded instructions into MicroOps for one kind of code.
struct Lowering {
    /// 2, 4 or 8.
    let codeSize: Int
    /// Features that the guest's CPUID shows, by `Feature.rawValue`.
    let features: UInt64
    /// Where generated host code goes.
    let code: HostCode

    /// 32-bit code with flat segments, which may be translated.
    let isFlat: Bool

    var is64: Bool { codeSize == 8 }

    /// Fills `op`, whose place in the page is `offset`, with the decoded instruction.
    func lower(_ i: Instruction, offset: Int, into op: inout apus_op) -> Continuation {
        op = blank(offset: offset, length: i.length)
        guard features >> UInt64(i.featureRequired.rawValue) & 1 != 0 else {
            return withoutFeature(i, &op)
        }
        setAddress(i, &op)
        switch i.category {
        case _ where isFlat && i.loadsDataSegment:
            guard let continuation = lowerInteger(i, &op) ?? lowerSystem(i, &op) else { return undefined(&op) }
            return continuation == .ends ? continuation : .control
        case .integer:
            if let continuation = lowerInteger(i, &op) { return continuation }
            if let continuation = lowerTransfer(i, &op) { return continuation }
            if let continuation = lowerString(i, &op) { return continuation }
            if let continuation = lowerSystem(i, &op) { return continuation }
        case .system:
            if let continuation = lowerSystem(i, &op) { return continuation }
            if let continuation = lowerTransfer(i, &op) { return continuation }
            if let continuation = lowerInteger(i, &op) { return continuation }
            if let continuation = lowerString(i, &op) { return continuation }
        case .x87, .mmx, .sse, .avx, .bmi:
            if let continuation = lowerInteger(i, &op) { return continuation }
        }
        if lowerHostExecuted(i, into: &op, code) { return i.loadsVectorControl ? .control : .next }
        return undefined(&op)
    }

    /// An op for an instruction that does not decode.
    func lower(_ error: DecodeError, offset: Int, into op: inout apus_op) {
        op = blank(offset: offset, length: 1)
        op.handler = error == .tooLong ? overlongInstruction : undefinedInstruction
    }

    func blank(offset: Int, length: UInt8) -> apus_op {
        apus_op(
            handler_place: apus_handler_place(undefinedInstruction), imm: 0, disp: 0, dst: 0, src: 0, base: Slot.zero,
            index: Slot.zero, segment: Slot.zero, scale: 0, offset: UInt16(truncatingIfNeeded: offset), length: length, extra: 0)
    }

    func undefined(_ op: inout apus_op) -> Continuation {
        op.handler = undefinedInstruction
        return .ends
    }

    /// TZCNT, LZCNT and PREFETCHW exist on processors without them, as something else.
    private func withoutFeature(_ i: Instruction, _ op: inout apus_op) -> Continuation {
        var i = i
        switch i.mnemonic {
        case .tzcnt: i.mnemonic = .bsf
        case .lzcnt: i.mnemonic = .bsr
        case .prefetchw:
            op.handler = noOperation
            return .next
        default: return undefined(&op)
        }
        setAddress(i, &op)
        return lowerInteger(i, &op) ?? undefined(&op)
    }

    // MARK: Operands

    /// Fills in the effective address.
    private func setAddress(_ i: Instruction, _ op: inout apus_op) {
        let m = i.memory
        op.scale = m.shift & 3
        op.disp = Int32(truncatingIfNeeded: m.displacement)
        switch m.base {
        case MemoryReference.noRegister:
            // MOV with a 64-bit address, the only one, has no immediate.
            if Int64(op.disp) != m.displacement && is64 { op.scale |= UInt8(APUS_EA_WIDE) }
        case MemoryReference.instructionPointer:
            op.base = Slot.pageBase
            let total = m.displacement + Int64(op.offset) + Int64(op.length)
            if let fits = Int32(exactly: total) { op.disp = fits } else { op.scale |= UInt8(APUS_EA_NEXT) }
        default: op.base = m.base & 15
        }
        if m.index != MemoryReference.noRegister { op.index = m.index & 15 }
        if is64 {
            if m.segment == 4 || m.segment == 5 { op.segment = Slot.base(m.segment) }
            if i.addressSize == 4 { op.scale |= UInt8(APUS_EA_32) }
        } else {
            op.segment = Slot.base(min(m.segment, 5))
            op.scale |= UInt8(APUS_EA_SEGMENTED) | UInt8(i.addressSize == 2 ? APUS_EA_16 : APUS_EA_32)
        }
    }

    /// The offset of a register operand in the processor's structure.
    func register(_ operand: Operand) -> UInt16 {
        operand.kind == .highByte ? UInt16(operand.register & 3) * 8 + 1 : UInt16(operand.register & 15) * 8
    }
}

extension Instruction {
    /// True for what loads a segment register without a transfer.
    var loadsDataSegment: Bool {
        switch mnemonic {
        case .lds, .les, .lss, .lfs, .lgs: true
        case .mov, .pop: operands.0.kind == .segment
        default: false
        }
    }
    /// True for what may load MXCSR.
    var loadsVectorControl: Bool {
        switch mnemonic {
        case .ldmxcsr, .vldmxcsr, .fxrstor, .xrstor, .xrstors: true
        default: false
        }
    }
}

/// Registers as effective addresses name them, in units of 8 bytes from the processor's start.
enum Slot {
    /// Always 0.
    static let zero: UInt8 = 192
    /// The page being executed.
    static let pageBase: UInt8 = 193
    /// The base of segment `index`.
    static func base(_ index: UInt8) -> UInt8 { 18 + 2 * index }
}

/// log2 of an operand size of 1, 2, 4 or 8 bytes.
func log2(_ size: some BinaryInteger) -> Int {
    switch size {
    case 1: 0
    case 2: 1
    case 4: 2
    default: 3
    }
}
