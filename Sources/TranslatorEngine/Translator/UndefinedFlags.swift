internal import X86

/// Arithmetic flags that the manual leaves undefined (SDM volume 2, each instruction's "Flags Affected"): processors,
/// and two ways to execute an instruction on one of them, may differ in these. In the places that `arith` has.
enum UndefinedFlags {
    static let all = Flag.overflow | Flag.carry | Flag.parity | Flag.adjust | Flag.zero | Flag.sign

    /// Those that are undefined at the end of a block.
    static func after(_ block: BlockCache.Block) -> UInt16 {
        // SAFETY: the block's bytes lie in guest memory, which is mapped as long as its blocks are known.
        guard let source = unsafe UnsafeRawPointer(bitPattern: block.start) else { return 0 }
        let bytes = unsafe UnsafeRawBufferPointer(start: source, count: Int(block.count))
        var position = 0
        var undefined: UInt16 = 0
        while position < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
            guard let instruction = unsafe try? Decoder.decode(rest, code: block.code) else { return undefined }
            let (leaves, sets) = effect(instruction)
            undefined = undefined & ~sets | leaves
            position += Int(instruction.length)
        }
        return undefined
    }

    /// What an instruction leaves undefined, and what it sets to something defined.
    private static func effect(_ i: Instruction) -> (undefined: UInt16, defined: UInt16) {
        let (of, cf, pf, af, zf, sf) = (
            Flag.overflow, Flag.carry, Flag.parity, Flag.adjust, Flag.zero, Flag.sign
        )
        switch i.mnemonic {
        case .add, .sub, .cmp, .neg, .adc, .sbb, .xadd, .cmpxchg, .popcnt: return (0, all)
        case .inc, .dec: return (0, all & ~cf)
        case .and, .or, .xor, .test: return (af, all & ~af)
        case .shl, .shr, .sar:
            if count(i) == 1 { return (af, all & ~af) }
            // A count in a register may be 0, or more than the operand has bits.
            if count(i) == nil { return (of | af | cf, 0) }
            return (of | af | cf, sf | zf | pf)
        case .rol, .ror, .rcl, .rcr: return count(i) == 1 ? (0, of | cf) : (of, count(i) == nil ? 0 : cf)
        case .shld, .shrd: return (of | af | cf, count(i) == nil ? 0 : sf | zf | pf)
        case .mul, .imul: return (sf | zf | af | pf, of | cf)
        case .div, .idiv: return (all, 0)
        case .bsf, .bsr: return (all & ~zf, zf)
        case .tzcnt, .lzcnt: return (of | sf | af | pf, cf | zf)
        case .bt, .bts, .btr, .btc: return (of | sf | af | pf, cf)
        default:
            return i.category == .bmi ? (af | pf | sf, 0) : (0, 0)
        }
    }

    /// How far a shift goes; nil where a register says so.
    private static func count(_ i: Instruction) -> Int64? {
        for operand in [i.operands.1, i.operands.2] {
            switch operand.kind {
            case .one: return 1
            case .immediate: return i.immediate & (i.operands.0.size == 8 ? 63 : 31)
            default: continue
            }
        }
        return nil
    }
}
