internal import CEngine
internal import X86

// BMI1 and BMI2: VEX instructions with general registers.

extension BlockTranslator {
    /// Emits an instruction of BMI; false, with nothing emitted, where the form is not handled.
    mutating func emitBitManipulation(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool
    ) -> Bool {
        guard i.prefixes.contains(.vex), use.reads.isEmpty, use.writes == use.touches else { return false }
        let isMemory = i.encoding.modrm < 0xc0
        if isMemory && !canAddress(i) { return false }
        let e = i.encoding
        let isGroup = e.opcode == 0xf3  // BLSR, BLSMSK, BLSI
        let isRotation = e.map == .map3A
        let reg = e.modrm >> 3 & 7 | (e.registerExtension & 4) << 1
        let rm = e.modrm & 7 | (e.registerExtension & 1) << 3
        // The registers that the encoding names, in the order in which they are taken, and whether each is written.
        var fields: [(guest: UInt8, writes: Bool)] = []
        if !isGroup { fields.append((reg, true)) }
        if !isRotation { fields.append((e.vvvv, isGroup || i.mnemonic == .mulx)) }
        if !isMemory { fields.append((rm, false)) }
        let unpinned = Set(fields.map(\.guest).filter { Self.pinned($0) == nil })
        guard unpinned.count <= (isMemory ? 0 : 2) else { return false }
        // From here on code is emitted.
        var target = RM.register(0)
        var isChecked = false
        if isMemory {
            (target, isChecked) = unsafe emitOperand(
                i, op, size: Int(i.operandSize), write: false, liveBefore: liveBefore)
        }
        var hosts: [UInt8] = []
        var besides: UInt8?
        for field in fields {
            // What is written may also be read, by its other name.
            let reads = !field.writes || fields.filter { $0.guest == field.guest }.count > 1
            let host = hold(field.guest, reads: reads, writes: field.writes, besides: besides)
            if Self.pinned(field.guest) == nil { besides = host }
            hosts.append(host)
        }
        var next = hosts[...]
        let digit = isGroup ? reg & 7 : next.removeFirst()
        let vvvv = isRotation ? 0 : next.removeFirst()
        if !isMemory { target = .register(next.removeFirst()) }
        a.vex(
            e.mandatoryPrefix, map: e.map.rawValue, wide: i.prefixes.contains(.wide), is256: false, vvvv: vvvv,
            opcode: e.opcode, reg: digit, rm: target)
        if e.immediateLength == 1 { a.byte(UInt8(truncatingIfNeeded: i.immediate)) }
        if isMemory { unsafe noteSite(op) }
        if !use.touches.isEmpty { flagsInHost = true }
        if isChecked { finishAccess(reloadsFlags: !use.touches.isEmpty) }
        return true
    }
}
