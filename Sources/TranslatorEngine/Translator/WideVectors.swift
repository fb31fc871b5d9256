internal import CEngine
internal import X86

// AVX instructions as they are. Vector registers keep their numbers; general registers and memory are replaced.

extension BlockTranslator {
    /// Emits an AVX instruction; false, with nothing emitted, where the form is not handled.
    mutating func emitWideVector(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool
    ) -> Bool {
        if i.mnemonic == .vzeroupper {
            zeroUpperHalves()
            return true
        }
        guard i.encoding.hasModRM, use.reads.isEmpty, use.writes == use.touches, isPlainVEX(i) else { return false }
        let operands = [i.operands.0, i.operands.1, i.operands.2, i.operands.3]
        let isMemory = i.encoding.modrm < 0xc0
        if isMemory && !canAddress(i) { return false }
        var memory = Operand.none
        var general: Operand?
        for operand in operands {
            switch operand.kind {
            case .vector, .none, .immediate: break
            case .memory: memory = operand
            case .general:
                if operand.size < 4 && operand.access != .read || general != nil { return false }
                general = operand
            default: return false
            }
        }
        if isMemory && ![1, 2, 4, 8, 16, 32].contains(memory.size) { return false }
        // From here on code is emitted.
        if let general, Self.pinned(general.register) == nil { releaseAll() }
        for operand in operands where operand.kind == .vector && operand.access != .write { need(operand.register) }
        let e = i.encoding
        var digit = e.modrm >> 3 & 7 | (e.registerExtension & 4) << 1
        var target = RM.register(e.modrm & 7 | (e.registerExtension & 1) << 3)
        var isChecked = false
        if isMemory {
            (target, isChecked) = unsafe emitOperand(
                i, op, size: Int(memory.size), write: memory.access != .read, liveBefore: liveBefore)
        }
        if let general {
            let host = takeGeneral(general, beside: &target, isMemory: isMemory)
            // With memory it is the result of a conversion.
            if isMemory || hasGeneralField(i) { digit = host } else { target = .register(host) }
        }
        a.vex(
            e.mandatoryPrefix, map: e.map.rawValue, wide: i.prefixes.contains(.wide), is256: e.vectorLength256,
            vvvv: e.vvvv, opcode: e.opcode, reg: digit, rm: target)
        if e.immediateLength == 1 { a.byte(UInt8(truncatingIfNeeded: i.immediate)) }
        if isMemory { unsafe noteSite(op) }
        endVector(operands, use, isMemory: isMemory, isChecked: isChecked)
        return true
    }

    /// No hidden operands, no control register, no memory that is accessed in part.
    private func isPlainVEX(_ i: Instruction) -> Bool {
        switch i.mnemonic {
        case .vzeroall, .vldmxcsr, .vstmxcsr, .vmaskmovdqu, .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq,
            .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq, .vgatherdps, .vgatherdpd, .vgatherqps, .vgatherqpd,
            .vpcmpestri, .vpcmpestrm, .vpcmpistri, .vpcmpistrm:
            return false
        default: return i.encoding.immediateLength <= 1
        }
    }

    /// Whether the general register of a form without memory is in ModRM.reg: conversions to integers and masks of signs.
    private func hasGeneralField(_ i: Instruction) -> Bool {
        guard i.encoding.map == .secondary else { return false }
        switch i.encoding.opcode {
        case 0x2c, 0x2d, 0x50, 0xc5, 0xd7: return true
        default: return false
        }
    }

    /// VZEROUPPER: in the host's registers by itself, in the structure for those that it has alone.
    private mutating func zeroUpperHalves() {
        a.zeroUpperHalves()
        dirtyVectors |= loadedVectors
        guard let zero = (UInt8(0)..<16).first(where: { loadedVectors >> UInt16($0) & 1 == 0 }) else { return }
        // VXORPS of a register that the block has no use of yet.
        a.vex(0, map: 1, wide: false, is256: false, vvvv: zero, opcode: 0x57, reg: zero, rm: .register(zero))
        for register in UInt8(0)..<16 where loadedVectors >> UInt16(register) & 1 == 0 {
            a.vex(
                0, map: 1, wide: false, is256: false, vvvv: 0, opcode: 0x11, reg: zero,
                rm: .state(VectorLayout.register(register) + 16))
        }
    }
}
