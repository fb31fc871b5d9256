/// The three scan code sets of PC keyboards, and the translation that the 8042 does (IBM PS/2 Technical Reference).
enum ScanCodes {
    /// What the controller makes of a byte of set 2, for bytes 00 to 7F.
    private static let translation: [UInt8] = [
        0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29, 0x59,
        0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11, 0x03, 0x5B,
        0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14, 0x13, 0x06, 0x5D,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5F,
        0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0C, 0x61,
        0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36, 0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C, 0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F,
        0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45, 0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
    ]

    /// The controller's translation of one byte.
    static func translate(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0..<0x80: translation[Int(byte)]
        case 0x83: 0x41
        case 0x84: 0x54
        default: byte
        }
    }

    /// Set 2 for each code of set 1: the translation backwards.
    private static let set2: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 128)
        for (code, translated) in translation.enumerated() where translated < 128 {
            table[Int(translated)] = UInt8(code)
        }
        table[0x41] = 0x83
        table[0x54] = 0x84
        return table
    }()

    /// Where set 3 is not set 2: pairs of key and code.
    private static let set3Differences: [UInt16] = [
        0x0108, 0x3B07, 0x3C0F, 0x3D17, 0x3E1F, 0x3F27, 0x402F, 0x4137, 0x423F, 0x4347, 0x444F, 0x5756, 0x585E,
        0xB757, 0x465F, 0xC662, 0xD267, 0xC76E, 0xC96F, 0x4576, 0xB577, 0x377E, 0x4A84, 0xD364, 0xCF65, 0xD16D,
        0x4E7C, 0x2B5C, 0x3A14, 0xC863, 0x9C79, 0x1D11, 0xDB8B, 0x3819, 0xB839, 0xDC8C, 0xDD8D, 0x9D58, 0xCB61,
        0xD060, 0xCD6A, 0x5613, 0x5457,
    ]
    private static let set3: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 256)
        for code in 0..<128 { table[code] = set2[code] }
        for pair in set3Differences { table[Int(pair >> 8)] = UInt8(pair & 0xFF) }
        return table
    }()

    /// The code of a key in set 3, 0 where it has none.
    static func inSet3(_ key: UInt8) -> UInt8 { set3[Int(key)] }

    /// The modifiers that change what print screen and pause send.
    struct Modifiers {
        var shift = false
        var control = false
        var alt = false
    }

    /// The bytes that a key sends.
    static func bytes(_ key: KeyCode, down: Bool, set: UInt8, modifiers: Modifiers) -> [UInt8] {
        if set == 3 {
            let code = inSet3(key.rawValue)
            return code == 0 ? [] : down ? [code] : [0xF0, code]
        }
        func code(_ key: UInt8, _ down: Bool) -> [UInt8] {
            let prefix: [UInt8] = key & 0x80 != 0 ? [0xE0] : []
            let plain = key & 0x7F
            if set == 1 { return prefix + [down ? plain : plain | 0x80] }
            let other = set2[Int(plain)]
            return other == 0 ? [] : prefix + (down ? [other] : [0xF0, other])
        }
        switch key {
        case .pause:
            if modifiers.control { return down ? code(0xC6, true) + code(0xC6, false) : [] }
            // Pause sends its make and break when it is pressed, and nothing when it is released.
            guard down else { return [] }
            return set == 1
                ? [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5]
                : [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77]
        case .print:
            if modifiers.alt { return code(0x54, down) }
            if modifiers.shift || modifiers.control { return code(0xB7, down) }
            return down ? code(0xAA, true) + code(0xB7, true) : code(0xB7, false) + code(0xAA, false)
        default: return code(key.rawValue, down)
        }
    }
}
