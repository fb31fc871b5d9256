/// Prints instructions in Intel syntax: destination first, sizes before addresses.
struct IntelPrinter {
    let instruction: Instruction
    let address: UInt64
    let code: CodeSize

    /// The name with its prefixes.
    var mnemonic: String {
        var text = ""
        if instruction.prefixes.contains(.lock) { text += "lock " }
        if instruction.prefixes.contains(.rep) {
            let compares = instruction.mnemonic == .cmps || instruction.mnemonic == .scas
            text += compares ? "repz " : "rep "
        }
        if instruction.prefixes.contains(.repne) { text += "repnz " }
        return text + name
    }

    private var name: String {
        let size = instruction.operandSize
        let base = String(describing: instruction.mnemonic)
        switch instruction.mnemonic {
        case .jcc: return "j" + instruction.conditionName
        case .set: return "set" + instruction.conditionName
        case .cmov: return "cmov" + instruction.conditionName
        case .cbw: return size == 2 ? "cbw" : size == 4 ? "cwde" : "cdqe"
        case .cwd: return size == 2 ? "cwd" : size == 4 ? "cdq" : "cqo"
        case .jcxz: return instruction.addressSize == 2 ? "jcxz" : instruction.addressSize == 4 ? "jecxz" : "jrcxz"
        case .movs, .cmps, .stos, .lods, .scas, .ins, .outs:
            return base + (size == 1 ? "b" : size == 2 ? "w" : size == 4 ? "d" : "q")
        case .callFar: return "call"
        case .jmpFar: return "jmp"
        case .retFar: return "retf"
        case .wait: return "fwait"
        case .icebp: return "int1"
        default: return base
        }
    }

    /// The operands, separated by commas.
    var operands: String {
        instruction.presentOperands.map(text).joined(separator: ",")
    }

    private func text(of operand: Operand) -> String {
        if let register = RegisterNames.name(of: operand, syntax: .intel) { return register }
        switch operand.kind {
        case .memory: return sizeName(operand.size) + memory
        case .immediate: return hex(instruction.immediateBits(size: operand.size))
        case .immediate2: return hex(UInt64(instruction.immediate2))
        case .relative: return hex(instruction.branchTarget(address: address))
        case .farPointer:
            return hex(UInt64(instruction.immediate2)) + ":" + hex(UInt64(bitPattern: instruction.immediate))
        case .one: return "1"
        default: return ""
        }
    }

    private func sizeName(_ size: UInt16) -> String {
        switch size {
        case 1: "BYTE PTR "
        case 2: "WORD PTR "
        case 4: "DWORD PTR "
        case 6: "FWORD PTR "
        case 8: "QWORD PTR "
        case 10: "TBYTE PTR "
        case 16: "XMMWORD PTR "
        case 32: "YMMWORD PTR "
        default: ""
        }
    }

    private var memory: String {
        let reference = instruction.memory
        let size = UInt16(instruction.addressSize)
        var terms: [String] = []
        if reference.base == MemoryReference.instructionPointer {
            terms.append(size == 8 ? "rip" : "eip")
        } else if reference.base != MemoryReference.noRegister {
            terms.append(RegisterNames.general(reference.base, size: size))
        }
        if reference.index != MemoryReference.noRegister {
            let index = RegisterNames.general(reference.index, size: size)
            terms.append(size == 2 ? index : "\(index)*\(1 << reference.shift)")
        }
        var inner = terms.joined(separator: "+")
        if terms.isEmpty {
            inner = hex(UInt64(bitPattern: reference.displacement) & Instruction.mask(size: instruction.addressSize))
        } else if reference.displacement != 0 {
            inner += reference.displacement < 0 ? "" : "+"
            inner += signedHex(reference.displacement)
        }
        let segment =
            instruction.prefixes.contains(.segment) ? RegisterNames.segment(reference.segment) + ":" : ""
        return "\(segment)[\(inner)]"
    }
}
