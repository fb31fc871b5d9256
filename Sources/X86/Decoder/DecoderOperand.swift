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
        case .EdMb: return hasMemory ? memory(1, access) : registerRM(4, access)
        case .EdMw: return hasMemory ? memory(2, access) : registerRM(4, access)

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
        case .M80: return memory(10, access)
        case .Menv: return memory(size == 2 ? 14 : 28, access)
        case .Msave: return memory(size == 2 ? 94 : 108, access)
        case .Mx: return memory(sizeX, access)

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

        case .ST: return Operand(.x87, register: 0, size: 10, access: access)
        case .STi: return Operand(.x87, register: modrm & 7, size: 10, access: access)

        // MMX has no extended registers: REX.R and REX.B are ignored.
        case .Pd: return Operand(.mmx, register: (modrm >> 3) & 7, size: 4, access: access)
        case .Pq: return Operand(.mmx, register: (modrm >> 3) & 7, size: 8, access: access)
        case .Nq: return Operand(.mmx, register: modrm & 7, size: 8, access: access)
        case .Qd: return mmxOrMemory(4, access)
        case .Qq: return mmxOrMemory(8, access)

        case .Vx: return vectorReg(sizeX, access)
        case .Vdq: return vectorReg(16, access)
        case .Vq: return vectorReg(8, access)
        case .Vd: return vectorReg(4, access)
        case .Hx: return Operand(.vector, register: takeVVVV(), size: sizeX, access: access)
        case .Hdq: return Operand(.vector, register: takeVVVV(), size: 16, access: access)
        case .Ux: return vectorRM(sizeX, access)
        case .Udq: return vectorRM(16, access)
        case .Uq: return vectorRM(8, access)
        case .Ud: return vectorRM(4, access)
        case .Wx: return vectorOrMemory(sizeX, access)
        case .Wdq: return vectorOrMemory(16, access)
        case .Wq: return vectorOrMemory(8, access)
        case .Wd: return vectorOrMemory(4, access)
        case .Ww: return vectorOrMemory(2, access)
        case .Wb: return vectorOrMemory(1, access)
        case .Wx2: return vectorOrMemory(sizeX >> 1, access)
        case .Wx4: return vectorOrMemory(sizeX >> 2, access)
        case .Wx8: return vectorOrMemory(sizeX >> 3, access)
        case .WdqMd: return hasMemory ? memory(4, access) : vectorRM(16, access)
        case .Lx:
            let byte = try cursor.read(UInt8.self)
            instruction.immediate = Int64(byte)
            instruction.encoding.immediateLength = 1
            let register = isLong ? byte >> 4 : (byte >> 4) & 7
            return Operand(.vector, register: register, size: sizeX, access: access)
        case .By: return Operand(.general, register: takeVVVV(), size: UInt16(sizeY), access: access)
        }
    }

    /// The vector length in bytes.
    @inline(__always)
    private var sizeX: UInt16 { instruction.encoding.vectorLength256 ? 32 : 16 }

    /// The register that VEX.vvvv names.
    @inline(__always)
    private mutating func takeVVVV() -> UInt8 {
        usesVVVV = true
        return instruction.encoding.vvvv
    }

    @inline(__always)
    private func vectorReg(_ size: UInt16, _ access: Operand.Access) -> Operand {
        Operand(.vector, register: (modrm >> 3) & 7 | extendReg, size: size, access: access)
    }

    @inline(__always)
    private func vectorRM(_ size: UInt16, _ access: Operand.Access) -> Operand {
        Operand(.vector, register: modrm & 7 | extendRM, size: size, access: access)
    }

    @inline(__always)
    private func vectorOrMemory(_ size: UInt16, _ access: Operand.Access) -> Operand {
        hasMemory ? memory(size, access) : vectorRM(size, access)
    }

    @inline(__always)
    private func mmxOrMemory(_ size: UInt16, _ access: Operand.Access) -> Operand {
        hasMemory
            ? memory(size, access) : Operand(.mmx, register: modrm & 7, size: size, access: access)
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
