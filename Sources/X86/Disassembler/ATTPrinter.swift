/// Prints operands in AT&T syntax: source first, `%` before registers, `$` before constants.
struct ATTPrinter {
    let instruction: Instruction
    let address: UInt64
    let code: CodeSize

    /// The operands, separated by commas.
    var operands: String {
        if let implicit = implicitOperands { return implicit }
        let present = instruction.presentOperands
        var parts: [String] = []
        // ENTER, BOUND and far pointers keep Intel's order.
        let keepsOrder = instruction.mnemonic == .enter || instruction.mnemonic == .bound
        for index in keepsOrder ? Array(present.indices) : present.indices.reversed() {
            let operand = present[index]
            if operand.kind == .x87 && present.count == 2 && index == hiddenStackIndex { continue }
            let text = operand.kind == .x87 ? stackText(operand, index, present.count) : text(of: operand)
            if let text { parts.append(text) }
        }
        if let register = implicitVector { parts.insert(register, at: 0) }
        return parts.joined(separator: ",") + comment
    }

    /// XMM0, which three SSE4.1 instructions and SHA256RNDS2 read without encoding it.
    private var implicitVector: String? {
        switch instruction.mnemonic {
        case .pblendvb, .blendvps, .blendvpd, .sha256rnds2: "%xmm0"
        default: nil
        }
    }

    /// The x87 comparisons and exchanges name ST(i) only: the index of the operand that is left out.
    private var hiddenStackIndex: Int? {
        switch instruction.mnemonic {
        case .fxch, .fcom, .fcomp, .fucom, .fucomp: 0
        default: nil
        }
    }

    /// An x87 stack register: `%st` where the opcode implies it, else `%st(i)`.
    private func stackText(_ operand: Operand, _ index: Int, _ count: Int) -> String {
        let opcode = instruction.encoding.opcode
        let implied = opcode == 0xdc || opcode == 0xde ? 1 : 0
        if count == 2 && hiddenStackIndex == nil && index == implied { return "%st" }
        return "%st(\(operand.register))"
    }

    private func text(of operand: Operand) -> String? {
        if operand.kind == .general && readsSelector {
            // The whole register is named, though only the selector in it is read.
            return "%" + RegisterNames.general(operand.register, size: fullSize)
        }
        if let register = RegisterNames.name(of: operand, syntax: .att) {
            if operand.kind == .general && instruction.mnemonic.isPortAccess && operand.register == 2 {
                return "(%dx)"
            }
            return (isIndirectBranch ? "*%" : "%") + register
        }
        switch operand.kind {
        case .memory: return (isIndirectBranch ? "*" : "") + memory
        case .immediate:
            return hidesImmediate ? nil : "$" + hex(instruction.immediateBits(size: operand.size))
        case .immediate2: return "$" + hex(UInt64(instruction.immediate2))
        case .relative: return hex(instruction.branchTarget(address: address))
        case .farPointer:
            let offset = UInt64(bitPattern: instruction.immediate)
            return "$" + hex(UInt64(instruction.immediate2)) + ",$" + hex(offset)
        default: return nil
        }
    }

    /// MOV to a segment register, LAR and LSL.
    private var readsSelector: Bool {
        instruction.operands.0.kind == .segment || instruction.mnemonic == .lar || instruction.mnemonic == .lsl
    }

    /// The operand size that prefixes and mode give, where the instruction's own is fixed.
    private var fullSize: UInt16 {
        if instruction.prefixes.contains(.wide) { return 8 }
        return (code == .bits16) == instruction.prefixes.contains(.operandSize) ? 4 : 2
    }

    /// Comparisons and carry-less products have their immediate in the name.
    private var hidesImmediate: Bool { ATTMnemonic.predicate(of: instruction) != nil }

    private var isIndirectBranch: Bool {
        switch instruction.mnemonic {
        case .call, .jmp, .callFar, .jmpFar: instruction.encoding.hasModRM
        default: false
        }
    }

    /// A DS override of an indirect near branch is printed as the hint that it is to later processors.
    var hasNoTrack: Bool {
        let isNear = instruction.mnemonic == .jmp || instruction.mnemonic == .call
        return isNear && isIndirectBranch && instruction.prefixes.contains(.segment) && instruction.memory.segment == 3
    }

    /// The segment override as a prefix of an address.
    private var segmentPrefix: String {
        guard instruction.prefixes.contains(.segment) && !hasNoTrack else { return "" }
        return "%\(RegisterNames.segment(instruction.memory.segment)):"
    }

    private var memory: String {
        let reference = instruction.memory
        let size = UInt16(instruction.addressSize)
        let hasBase = reference.base != MemoryReference.noRegister
        let hasIndex = reference.index != MemoryReference.noRegister
        if !hasBase && !hasIndex {
            // An address alone is unsigned, but for the 16-bit form with ModRM.
            if size == 2 && instruction.encoding.hasModRM { return segmentPrefix + signedHex(reference.displacement) }
            let bits = UInt64(bitPattern: reference.displacement) & Instruction.mask(size: instruction.addressSize)
            return segmentPrefix + hex(bits)
        }
        var inner = ""
        if reference.base == MemoryReference.instructionPointer {
            inner = size == 8 ? "%rip" : "%eip"
        } else if hasBase {
            inner = "%" + RegisterNames.general(reference.base, size: size)
        }
        if hasIndex {
            inner += ",%" + indexName(reference.index, size: size)
            if size != 2 { inner += ",\(1 << reference.shift)" }
        }
        let hasDisplacement =
            !instruction.encoding.hasModRM || instruction.encoding.modrm >= 0x40 || !hasBase
            || reference.base == MemoryReference.instructionPointer
        let displacement = hasDisplacement ? signedHex(reference.displacement) : ""
        return "\(segmentPrefix)\(displacement)(\(inner))"
    }

    /// A gather's index is a vector register.
    private func indexName(_ number: UInt8, size: UInt16) -> String {
        switch instruction.mnemonic {
        case .vpgatherdd, .vgatherdps, .vpgatherqq, .vgatherqpd:
            (instruction.operandSize == 32 ? "ymm" : "xmm") + "\(number)"
        case .vpgatherdq, .vgatherdpd: "xmm\(number)"
        case .vpgatherqd, .vgatherqps: (instruction.encoding.vectorLength256 ? "ymm" : "xmm") + "\(number)"
        default: RegisterNames.general(number, size: size)
        }
    }

    /// The absolute address of a RIP-relative operand.
    private var comment: String {
        guard instruction.memory.base == MemoryReference.instructionPointer else { return "" }
        let target = address &+ UInt64(instruction.length) &+ UInt64(bitPattern: instruction.memory.displacement)
        return "        # " + hex(target & Instruction.mask(size: instruction.addressSize))
    }
}

extension ATTPrinter {
    /// The operands that string instructions and a few others have without encoding them.
    private var implicitOperands: String? {
        let size = UInt16(instruction.addressSize)
        let segment = "%\(RegisterNames.segment(instruction.memory.segment)):"
        let source = "\(segment)(%\(RegisterNames.general(6, size: size)))"
        let destination = "%es:(%\(RegisterNames.general(7, size: size)))"
        let accumulator = "%" + RegisterNames.general(0, size: UInt16(instruction.operandSize))
        switch instruction.mnemonic {
        case .movs: return "\(source),\(destination)"
        case .cmps: return "\(destination),\(source)"
        case .stos: return "\(accumulator),\(destination)"
        case .lods: return "\(source),\(accumulator)"
        case .scas: return "\(destination),\(accumulator)"
        case .ins: return "(%dx),\(destination)"
        case .outs: return "\(source),(%dx)"
        case .xlat: return "\(segment)(%\(RegisterNames.general(3, size: size)))"
        case .monitor: return "%\(RegisterNames.general(0, size: size)),%ecx,%edx"
        case .mwait: return "%eax,%ecx"
        case .nop: return ATTMnemonic.isExchange(instruction) ? "\(accumulator),\(accumulator)" : nil
        default: return nil
        }
    }
}

extension Mnemonic {
    /// True for IN and OUT, whose DX is written as an address.
    var isPortAccess: Bool { self == .in || self == .out }
}
