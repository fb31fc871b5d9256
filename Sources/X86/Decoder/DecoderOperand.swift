extension DecoderState {
    /// Decodes one operand, and reads its immediate.
    @inline(__always)
    mutating func operand(
        _ code: OperandCode, size: UInt8, access: Operand.Access
    ) throws(DecodeError) -> Operand {
        switch code {
        case .none: return .none

        case .Eb: return hasMemory ? memory(1, access) : byteRegister(modrm & 7 | extendRM, access)
        case .Ew: return registerOrMemory(2, access)
        case .Ed: return registerOrMemory(4, access)
        case .Ez: return registerOrMemory(min(size, 4), access)
        case .Ey: return registerOrMemory(sizeY, access)
        case .Ev: return registerOrMemory(size, access)
        case .EvMw: return hasMemory ? memory(2, access) : registerRM(size, access)
        case .EyMb: return hasMemory ? memory(1, access) : registerRM(sizeY, access)
        case .EyMw: return hasMemory ? memory(2, access) : registerRM(sizeY, access)

        case .M: return memory(0, .none)
        case .Marea: return memory(0, access)
        case .Mb: return memory(1, access)
        case .Mw: return memory(2, access)
        case .Md: return memory(4, access)
        case .Mq: return memory(8, access)
        case .Mdq: return memory(16, access)
        case .Mv: return memory(UInt16(size), access)
        case .Mz: return memory(UInt16(min(size, 4)), access)
        case .My: return memory(UInt16(sizeY), access)
        case .Ma: return memory(UInt16(size) &* 2, access)
        case .Mp: return memory(UInt16(size) &+ 2, access)
        case .Ms: return memory(isLong ? 10 : 6, access)
        case .M512: return memory(512, access)

        case .Gb: return byteRegister((modrm >> 3) & 7 | extendReg, access)
        case .Gw: return registerReg(2, access)
        case .Gd: return registerReg(4, access)
        case .Gz: return registerReg(min(size, 4), access)
        case .Gy: return registerReg(sizeY, access)
        case .Gv: return registerReg(size, access)
        case .Gm: return registerReg(sizeM, access)
        case .Rd: return registerRM(4, access)
        case .Rv: return registerRM(size, access)
        case .Ry: return registerRM(sizeY, access)
        case .Rm: return registerRM(sizeM, access)

        case .C: return try controlRegister(access)
        case .D: return try debugRegister(access)
        case .S: return try segmentRegister(access)

        case .Zb: return byteRegister(instruction.encoding.opcode & 7 | extendRM, access)
        case .Zv:
            return Operand(
                .general, register: instruction.encoding.opcode & 7 | extendRM, size: UInt16(size), access: access)
        case .AL: return Operand(.general, register: 0, size: 1, access: access)
        case .AX: return Operand(.general, register: 0, size: 2, access: access)
        case .rAX: return Operand(.general, register: 0, size: UInt16(size), access: access)
        case .eAX: return Operand(.general, register: 0, size: UInt16(min(size, 4)), access: access)
        case .CL: return Operand(.general, register: 1, size: 1, access: access)
        case .DX: return Operand(.general, register: 2, size: 2, access: .read)
        case .ES: return Operand(.segment, register: 0, size: 2, access: access)
        case .CS: return Operand(.segment, register: 1, size: 2, access: access)
        case .SS: return Operand(.segment, register: 2, size: 2, access: access)
        case .DS: return Operand(.segment, register: 3, size: 2, access: access)
        case .FS: return Operand(.segment, register: 4, size: 2, access: access)
        case .GS: return Operand(.segment, register: 5, size: 2, access: access)
        case .one: return Operand(.one, size: 1)

        case .Ib:
            instruction.immediate = Int64(try cursor.read(UInt8.self))
            return immediate(1, size: 1)
        case .Ibs:
            instruction.immediate = try cursor.signedByte()
            return immediate(1, size: UInt16(size))
        case .Iw:
            instruction.immediate = Int64(try cursor.read(UInt16.self))
            return immediate(2, size: 2)
        case .Iz:
            instruction.immediate = try cursor.signed(size: min(size, 4))
            return immediate(min(size, 4), size: UInt16(size))
        case .Iv:
            instruction.immediate = try cursor.signed(size: size)
            return immediate(size, size: UInt16(size))
        case .Ib2:
            instruction.immediate2 = UInt16(try cursor.read(UInt8.self))
            instruction.encoding.immediateLength &+= 1
            return Operand(.immediate2, size: 1)
        case .Jb:
            instruction.immediate = try cursor.signedByte()
            instruction.encoding.immediateLength = 1
            return Operand(.relative, size: UInt16(size))
        case .Jz:
            let length = min(size, 4)
            instruction.immediate = try cursor.signed(size: length)
            instruction.encoding.immediateLength = length
            return Operand(.relative, size: UInt16(size))
        case .Ap:
            instruction.immediate =
                size == 2 ? Int64(try cursor.read(UInt16.self)) : Int64(try cursor.read(UInt32.self))
            instruction.immediate2 = try cursor.read(UInt16.self)
            instruction.encoding.immediateLength = size &+ 2
            return Operand(.farPointer, size: UInt16(size) &+ 2)
        case .Ob:
            try readOffset()
            return memory(1, access)
        case .Ov:
            try readOffset()
            return memory(UInt16(size), access)
        }
    }

    @inline(__always)
    private var sizeY: UInt8 { isWide && isLong ? 8 : 4 }
    @inline(__always)
    private var sizeM: UInt8 { isLong ? 8 : 4 }

    @inline(__always)
    private func memory(_ size: UInt16, _ access: Operand.Access) -> Operand {
        Operand(.memory, size: size, access: access)
    }

    @inline(__always)
    private func registerRM(_ size: UInt8, _ access: Operand.Access) -> Operand {
        Operand(.general, register: modrm & 7 | extendRM, size: UInt16(size), access: access)
    }

    @inline(__always)
    private func registerReg(_ size: UInt8, _ access: Operand.Access) -> Operand {
        Operand(.general, register: (modrm >> 3) & 7 | extendReg, size: UInt16(size), access: access)
    }

    @inline(__always)
    private func registerOrMemory(_ size: UInt8, _ access: Operand.Access) -> Operand {
        hasMemory ? memory(UInt16(size), access) : registerRM(size, access)
    }

    /// Without REX, numbers 4 to 7 are AH, CH, DH and BH.
    @inline(__always)
    private func byteRegister(_ number: UInt8, _ access: Operand.Access) -> Operand {
        if number & 12 == 4 && !hasREX && !isVEX {
            return Operand(.highByte, register: number & 3, size: 1, access: access)
        }
        return Operand(.general, register: number, size: 1, access: access)
    }

    @inline(__always)
    private mutating func immediate(_ length: UInt8, size: UInt16) -> Operand {
        instruction.encoding.immediateLength = length
        return Operand(.immediate, size: size)
    }

    /// CR0, CR2, CR3, CR4 and in 64-bit mode CR8 exist.
    @inline(never)
    private func controlRegister(_ access: Operand.Access) throws(DecodeError) -> Operand {
        let number = (modrm >> 3) & 7 | extendReg
        switch number {
        case 0, 2, 3, 4, 8: return Operand(.control, register: number, size: UInt16(sizeM), access: access)
        default: throw .undefined
        }
    }

    /// DR4 and DR5 are aliases or undefined by CR4.DE, which the decoder does not know.
    @inline(never)
    private func debugRegister(_ access: Operand.Access) throws(DecodeError) -> Operand {
        if extendReg != 0 { throw .undefined }
        return Operand(.debug, register: (modrm >> 3) & 7, size: UInt16(sizeM), access: access)
    }

    /// REX.R is ignored. CS can be read but not loaded.
    @inline(__always)
    private func segmentRegister(_ access: Operand.Access) throws(DecodeError) -> Operand {
        let number = (modrm >> 3) & 7
        if number > 5 || (number == 1 && access == .write) { throw .undefined }
        return Operand(.segment, register: number, size: 2, access: access)
    }
}
