extension ATTPrinter {
    /// The name with prefixes and size suffix.
    var mnemonic: String { prefixes + ATTMnemonic.name(of: instruction, code: code) }

    private var prefixes: String {
        var text = ""
        if instruction.prefixes.contains(.lock) { text += "lock " }
        if hasNoTrack { text += "notrack " }
        if instruction.prefixes.contains(.rep) {
            switch instruction.mnemonic {
            case .movs, .stos, .lods, .ins, .outs: text += "rep "
            default: text += "repz "
            }
        }
        if instruction.prefixes.contains(.repne) { text += "repnz " }
        return text
    }
}

/// The names of the AT&T syntax, as objdump prints them.
enum ATTMnemonic {
    static func name(of instruction: Instruction, code: CodeSize) -> String {
        let size = instruction.operandSize
        switch instruction.mnemonic {
        case .jcc: return "j" + instruction.conditionName
        case .set: return "set" + instruction.conditionName
        case .cmov: return "cmov" + instruction.conditionName
        case .cbw: return size == 2 ? "cbtw" : size == 4 ? "cwtl" : "cltq"
        case .cwd: return size == 2 ? "cwtd" : size == 4 ? "cltd" : "cqto"
        case .jcxz: return instruction.addressSize == 2 ? "jcxz" : instruction.addressSize == 4 ? "jecxz" : "jrcxz"
        case .loop, .loope, .loopne:
            let isPlain = instruction.addressSize == code.rawValue
            return base(instruction) + (isPlain ? "" : suffix(UInt16(instruction.addressSize)))
        case .nop: return isExchange(instruction) ? "xchg" : base(instruction) + memorySuffix(instruction)
        case .movzx, .movsx: return extendName(instruction)
        case .movsxd: return size == 8 ? "movslq" : "movsxd"
        case .movs, .cmps, .ins, .outs: return base(instruction) + suffix(UInt16(size))
        case .mov: return moveName(instruction)
        case .callFar: return "lcall" + farSuffix(instruction, code)
        case .jmpFar: return "ljmp" + farSuffix(instruction, code)
        case .retFar: return "lret" + farSuffix(instruction, code)
        case .iret: return "iret" + farSuffix(instruction, code)
        case .sysret, .sysexit: return base(instruction) + (code != .bits64 ? "" : size == 8 ? "q" : "l")
        case .wait: return "fwait"
        case .icebp: return "int1"
        case .cmpxchg8b, .cmpxchg16b, .ldmxcsr, .stmxcsr: return base(instruction)
        case .fxsave, .fxrstor, .xsave, .xrstor, .xsaveopt, .xsavec, .xsaves, .xrstors:
            return base(instruction) + (size == 8 ? "64" : "")
        case .prefetch, .prefetchw: return prefetchName(instruction)
        case .crc32:
            let source = instruction.operands.1
            return "crc32" + (source.kind == .memory ? suffix(source.size) : "")
        case .pcmpestri, .pcmpestrm, .vpcmpestri, .vpcmpestrm:
            return base(instruction) + (code == .bits64 && instruction.prefixes.contains(.wide) ? "q" : "")
        case .sgdt, .sidt, .lgdt, .lidt:
            return base(instruction) + (code == .bits64 ? "" : size == 2 ? "w" : "l")
        default: break
        }
        if instruction.category == .x87 { return x87Name(instruction, code) }
        if let predicate = predicate(of: instruction) { return predicate }
        return base(instruction) + sizeSuffix(instruction, code)
    }

    /// The manual's name.
    static func base(_ instruction: Instruction) -> String { String(describing: instruction.mnemonic) }

    static func suffix(_ size: UInt16) -> String {
        switch size {
        case 1: "b"
        case 2: "w"
        case 4: "l"
        case 8: "q"
        default: ""
        }
    }

    private static func extendName(_ instruction: Instruction) -> String {
        let stem = instruction.mnemonic == .movzx ? "movz" : "movs"
        return stem + suffix(instruction.operands.1.size) + suffix(UInt16(instruction.operandSize))
    }

    private static func prefetchName(_ instruction: Instruction) -> String {
        let digit = (instruction.encoding.modrm >> 3) & 7
        if instruction.encoding.opcode == 0x18 {
            return ["prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2"][Int(digit & 3)]
        }
        return digit == 1 ? "prefetchw" : digit == 2 ? "prefetchwt1" : "prefetch"
    }

    /// 66 90 is printed as the exchange it is encoded as.
    static func isExchange(_ instruction: Instruction) -> Bool {
        instruction.mnemonic == .nop && instruction.encoding.map == .primary
            && instruction.prefixes.contains(.operandSize) && !instruction.prefixes.contains(.wide)
    }

    /// MOV with an address or an immediate of 8 bytes is MOVABS.
    private static func moveName(_ instruction: Instruction) -> String {
        let opcode = instruction.encoding.opcode
        if instruction.encoding.map == .primary {
            if opcode & 0xfc == 0xa0 && instruction.addressSize == 8 { return "movabs" }
            if opcode & 0xf8 == 0xb8 && instruction.encoding.immediateLength == 8 { return "movabs" }
        }
        return "mov" + memorySuffix(instruction)
    }

    private static func farSuffix(_ instruction: Instruction, _ code: CodeSize) -> String {
        let normal: UInt8 = code == .bits16 ? 2 : 4
        if instruction.operandSize == normal { return "" }
        return suffix(UInt16(instruction.operandSize))
    }

    /// The suffix of a general instruction: where no register shows the size, or it differs from the stack's.
    private static func sizeSuffix(_ instruction: Instruction, _ code: CodeSize) -> String {
        switch instruction.mnemonic {
        case .push, .pop, .pusha, .popa, .pushf, .popf, .ret, .enter, .leave, .call, .jmp:
            if instruction.operands.0.kind == .general { return "" }
            if instruction.mnemonic == .jmp && instruction.encoding.opcode == 0xeb { return "" }
            return instruction.operandSize == code.rawValue ? "" : suffix(UInt16(instruction.operandSize))
        case .cvtsi2ss, .cvtsi2sd, .vcvtsi2ss, .vcvtsi2sd:
            let isLegacy = instruction.category == .sse
            let source = isLegacy ? instruction.operands.1 : instruction.operands.2
            return code == .bits64 && source.kind == .memory ? suffix(source.size) : ""
        case .vcvtpd2ps, .vcvtpd2dq, .vcvttpd2dq:
            return instruction.operands.1.kind == .memory ? (instruction.operands.1.size == 32 ? "y" : "x") : ""
        default:
            return memorySuffix(instruction)
        }
    }

    /// The suffix of an instruction on memory that has no register beside it.
    private static func memorySuffix(_ instruction: Instruction) -> String {
        guard instruction.category == .integer || instruction.category == .system else { return "" }
        guard instruction.operands.0.kind == .memory else { return "" }
        switch instruction.mnemonic {
        case .set, .invlpg, .clflush, .clflushopt, .clwb, .sldt, .str, .lldt, .ltr, .verr, .verw, .smsw, .lmsw:
            return ""
        default: break
        }
        switch instruction.operands.1.kind {
        case .general, .highByte:
            // The count in CL says nothing of the size.
            let isShift = instruction.encoding.map == .primary && instruction.encoding.opcode & 0xfe == 0xd2
            return isShift ? suffix(instruction.operands.0.size) : ""
        case .segment: return ""
        default: return suffix(instruction.operands.0.size)
        }
    }
}
