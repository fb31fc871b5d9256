extension DecoderState {
    /// Decodes the operands of a row and completes the instruction.
    @inline(__always)
    mutating func finish(_ row: Row) throws(DecodeError) -> Instruction {
        instruction.mnemonic = row.mnemonic
        instruction.category = row.category
        instruction.featureRequired = row.feature
        instruction.addressSize = addressSize
        let size = operandSize(row.size)
        instruction.operandSize = size
        if segment != Self.noSegment { instruction.memory.segment = segment }

        if instruction.encoding.hasModRM && hasMemory && row.trait != Trait.noMemory {
            try readAddress(vectorIndex: row.trait == Trait.vectorIndex)
            instruction.alignedMemory = row.trait == Trait.aligned && !isVEX
        }
        if hasLock {
            guard row.trait == Trait.lock && hasMemory else { throw .undefined }
        }
        if row.op1 != OperandCode.none {
            let (first, second, third) = Self.access(row.access)
            instruction.operands.0 = try operand(row.op1, size: size, access: first)
            if row.op2 != OperandCode.none {
                instruction.operands.1 = try operand(row.op2, size: size, access: second)
                if row.op3 != OperandCode.none {
                    instruction.operands.2 = try operand(row.op3, size: size, access: third)
                    if row.op4 != OperandCode.none {
                        instruction.operands.3 = try operand(row.op4, size: size, access: third)
                    }
                }
            }
        }
        if isVEX {
            try checkVEX(row.trait)
        }
        setPrefixFlags(row)
        instruction.length = UInt8(truncatingIfNeeded: cursor.position)
        return instruction
    }

    @inline(__always)
    private var addressSize: UInt8 {
        switch code {
        case .bits64: has67 ? 4 : 8
        case .bits32: has67 ? 2 : 4
        case .bits16: has67 ? 4 : 2
        }
    }

    @inline(__always)
    private func operandSize(_ rule: SizeRule) -> UInt8 {
        switch rule {
        case .v: sizeV
        case .z: min(sizeV, 4)
        case .b: 1
        case .w: 2
        case .y: isWide && isLong ? 8 : 4
        case .d64: isLong ? (has66 && !isWide ? 2 : 8) : sizeV
        case .f64: isLong ? 8 : sizeV
        case .m: isLong ? 8 : 4
        case .q: 8
        case .dq: 16
        case .x: instruction.encoding.vectorLength256 ? 32 : 16
        }
    }

    @inline(__always)
    private static func access(
        _ pattern: AccessPattern
    ) -> (first: Operand.Access, second: Operand.Access, rest: Operand.Access) {
        switch pattern {
        case .r: (.read, .read, .read)
        case .w: (.write, .read, .read)
        case .rw: (.readWrite, .read, .read)
        case .rwrw: (.readWrite, .readWrite, .read)
        case .gather: (.readWrite, .read, .readWrite)
        case .ww: (.write, .write, .read)
        case .n: (.none, .none, .none)
        }
    }

    /// VEX.vvvv must be 1111 where it names no operand, and the three registers of a gather must differ.
    @inline(never)
    private func checkVEX(_ trait: Trait) throws(DecodeError) {
        if !usesVVVV && instruction.encoding.vvvv != 0 { throw .undefined }
        if trait == Trait.vectorIndex {
            let result = instruction.operands.0.register
            let mask = instruction.encoding.vvvv
            let index = instruction.memory.index
            if result == mask || result == index || mask == index { throw .undefined }
        }
    }

    @inline(__always)
    private mutating func setPrefixFlags(_ row: Row) {
        var flags: UInt16 = 0
        if hasLock { flags |= Prefixes.lock.rawValue }
        if has66 { flags |= Prefixes.operandSize.rawValue }
        if has67 { flags |= Prefixes.addressSize.rawValue }
        if hasREX { flags |= Prefixes.rex.rawValue }
        if isWide { flags |= Prefixes.wide.rawValue }
        if isVEX { flags |= Prefixes.vex.rawValue }
        if segment != Self.noSegment { flags |= Prefixes.segment.rawValue }
        // A prefix is mandatory where the row admits no other.
        let isMandatory = (row.when & When.prefixes) == (when & When.prefixes)
        if isMandatory {
            switch when & When.prefixes {
            case When.prefix66: instruction.encoding.mandatoryPrefix = 0x66
            case When.prefixF3: instruction.encoding.mandatoryPrefix = 0xf3
            case When.prefixF2: instruction.encoding.mandatoryPrefix = 0xf2
            default: break
            }
        } else if repeatPrefix == 0xf3 {
            flags |= Prefixes.rep.rawValue
        } else if repeatPrefix == 0xf2 {
            flags |= Prefixes.repne.rawValue
        }
        instruction.prefixes = Prefixes(rawValue: flags)
        instruction.encoding.registerExtension = rex & 7
    }
}
