extension DecoderState {
    /// Reads prefixes, escapes and the opcode (SDM volume 2, 2.1 to 2.3).
    @inline(__always)
    mutating func readPrefixes() throws(DecodeError) -> UInt8 {
        var byte = try cursor.read(UInt8.self)
        while true {
            switch byte {
            case 0x40...0x4f where isLong:
                // Only a REX prefix right before the opcode counts.
                rex = byte
                hasREX = true
                byte = try cursor.read(UInt8.self)
                continue
            case 0x66: has66 = true
            case 0x67: has67 = true
            case 0xf0: hasLock = true
            case 0xf2, 0xf3: repeatPrefix = byte
            case 0x26, 0x2e, 0x36, 0x3e:
                if !isLong { segment = (byte >> 3) & 3 }
            case 0x64, 0x65: segment = byte & 7
            case 0x0f:
                setPrefixes()
                return try readEscaped()
            // Outside 64-bit mode LES and LDS, unless they have the register form those lack.
            case 0xc4 where isLong || cursor.peek >= 0xc0, 0xc5 where isLong || cursor.peek >= 0xc0:
                return try readVEX(byte)
            default:
                setPrefixes()
                return byte
            }
            rex = 0
            hasREX = false
            byte = try cursor.read(UInt8.self)
        }
    }

    @inline(__always)
    private mutating func readEscaped() throws(DecodeError) -> UInt8 {
        let byte = try cursor.read(UInt8.self)
        switch byte {
        case 0x38: map = .map38
        case 0x3a: map = .map3A
        default:
            map = .secondary
            return byte
        }
        return try cursor.read(UInt8.self)
    }

    /// Sets `when` from mode and legacy prefixes.
    @inline(__always)
    private mutating func setPrefixes() {
        when = isLong ? When.longMode : When.legacyMode
        when |= (isWide ? When.w1 : When.w0) | When.l0 | (rex & 1 != 0 ? When.b1 : When.b0)
        switch repeatPrefix {
        case 0xf3: when |= When.prefixF3
        case 0xf2: when |= When.prefixF2
        default: when |= has66 ? When.prefix66 : When.prefixNone
        }
    }

    /// Reads the rest of a VEX prefix and the opcode (SDM volume 2, 2.3.5).
    @inline(never)
    private mutating func readVEX(_ first: UInt8) throws(DecodeError) -> UInt8 {
        if has66 || hasLock || hasREX || repeatPrefix != 0 { throw .undefined }
        isVEX = true
        var last = try cursor.read(UInt8.self)
        rex = last & 0x80 != 0 ? 0 : 4
        if first == 0xc4 {
            rex |= (last & 0x40 != 0 ? 0 : 2) | (last & 0x20 != 0 ? 0 : 1)
            switch last & 0x1f {
            case 1: map = .secondary
            case 2: map = .map38
            case 3: map = .map3A
            default: throw .undefined
            }
            last = try cursor.read(UInt8.self)
            if last & 0x80 != 0 { rex |= 8 }
        } else {
            map = .secondary
        }
        var vvvv = (last >> 3) & 15 ^ 15
        if !isLong {
            // Eight registers; the bits that would name more are ignored.
            rex &= 8
            vvvv &= 7
        }
        instruction.encoding.vvvv = vvvv
        instruction.encoding.vectorLength256 = last & 4 != 0
        when = isLong ? When.longMode : When.legacyMode
        when |= isWide ? When.w1 : When.w0
        when |= last & 4 != 0 ? When.l1 : When.l0
        when |= When.b0
        switch last & 3 {
        case 0: when |= When.prefixNone
        case 1: when |= When.prefix66
        case 2: when |= When.prefixF3
        default: when |= When.prefixF2
        }
        return try cursor.read(UInt8.self)
    }
}
