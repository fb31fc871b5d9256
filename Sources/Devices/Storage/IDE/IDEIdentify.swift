// What drives say of themselves. ATA/ATAPI-6, 8.15 and 8.16; word 169 from ATA8-ACS.
extension IDEDrive {
    /// The 512 bytes of IDENTIFY DEVICE.
    func identifyDisk() -> [UInt8] {
        var words = [UInt16](repeating: 0, count: 256)
        words[0] = 0x0040
        words[1] = UInt16(cylinders)
        words[3] = UInt16(defaultHeads)
        words[4] = UInt16(truncatingIfNeeded: 512 * defaultSectors)
        words[5] = 512
        words[6] = UInt16(defaultSectors)
        words[20] = 3
        words[21] = 512
        words[22] = 4
        words[47] = 0x8000 | UInt16(Self.mostMultiple)
        words[48] = 1
        // Standby timer, IORDY, LBA, DMA.
        words[49] = 0x2B00
        words[51] = 0x0200
        words[52] = 0x0200
        // Words 54 to 58, 64 to 70 and 88 count.
        words[53] = 7
        words[54] = UInt16(cylinders)
        words[55] = UInt16(heads)
        words[56] = UInt16(sectors)
        let capacity = UInt32(clamping: cylinders * heads * sectors)
        words[57] = UInt16(truncatingIfNeeded: capacity)
        words[58] = UInt16(capacity >> 16)
        if multiple > 0 { words[59] = 0x0100 | UInt16(multiple) }
        let short = UInt32(min(sectorCount, 0x0FFF_FFFF))
        words[60] = UInt16(truncatingIfNeeded: short)
        words[61] = UInt16(short >> 16)
        setModes(&words)
        // ATA-4 to ATA-7.
        words[80] = 0x00F0
        words[81] = 0x0016
        // SMART, write cache, look-ahead; flush and flush ext, 48-bit addresses.
        let sets: (UInt16, UInt16, UInt16) = (0x4061, 0x7400, 0x4000)
        words[82] = sets.0
        words[83] = sets.1
        words[84] = sets.2 | (properties.worldWideName != 0 ? 0x0100 : 0)
        words[85] = 0x4000 | (hasSMART ? 1 : 0) | (cachesWrites ? 0x20 : 0) | (looksAhead ? 0x40 : 0)
        words[86] = 0x3400
        words[87] = words[84]
        words[93] = 0x6001
        for index in 0..<4 { words[100 + index] = UInt16(truncatingIfNeeded: sectorCount >> UInt64(index * 16)) }
        words[105] = isReadOnly ? 0 : UInt16(Self.mostTrimBlocks)
        // 2^n logical sectors in a physical one.
        let ratio = max(properties.physicalBlockSize / 512, 1)
        let shift = min(ratio.bitWidth - 1 - ratio.leadingZeroBitCount, 11)
        words[106] = 0x6000 | UInt16(shift)
        if properties.worldWideName != 0 {
            for index in 0..<4 {
                words[108 + index] = UInt16(truncatingIfNeeded: properties.worldWideName >> UInt64(48 - index * 16))
            }
        }
        words[169] = isReadOnly ? 0 : 1
        words[217] = properties.rotationRate
        return bytes(of: &words)
    }

    /// The 512 bytes of IDENTIFY PACKET DEVICE.
    func identifyPacket() -> [UInt8] {
        var words = [UInt16](repeating: 0, count: 256)
        // ATAPI, a removable CD, DRQ within 50 µs, packets of 12 bytes.
        words[0] = 0x85C0
        words[20] = 3
        words[21] = 512
        words[22] = 4
        words[48] = 1
        words[49] = 0x0B00
        words[53] = 7
        setModes(&words)
        words[71] = 30
        words[72] = 30
        words[80] = 0x001E
        // PACKET, DEVICE RESET, NOP.
        words[82] = 0x4210
        words[83] = 0x4000
        words[84] = 0x4000 | (properties.worldWideName != 0 ? 0x0100 : 0)
        words[85] = 0x4210
        words[87] = words[84]
        if properties.worldWideName != 0 {
            for index in 0..<4 {
                words[108 + index] = UInt16(truncatingIfNeeded: properties.worldWideName >> UInt64(48 - index * 16))
            }
        }
        return bytes(of: &words)
    }

    /// DMA and PIO modes that there are and the one in force.
    private func setModes(_ words: inout [UInt16]) {
        words[62] = 0x0007
        words[63] = 0x0007
        words[64] = 0x0003
        for index in 65...68 { words[index] = 120 }
        words[88] = 0x003F
        let number = UInt16(mode & 7)
        switch mode >> 3 {
        case 0x02: words[62] |= 0x0100 << number
        case 0x04: words[63] |= 0x0100 << number
        case 0x08: words[88] |= 0x0100 << number
        default: break
        }
    }

    private func bytes(of words: inout [UInt16]) -> [UInt8] {
        // Two characters a word, the first in the high byte.
        func put(_ text: String, at word: Int, count: Int) {
            var characters = Array(text.utf8.prefix(count))
            characters += [UInt8](repeating: 0x20, count: count - characters.count)
            for index in 0..<count / 2 {
                words[word + index] = UInt16(characters[index * 2]) << 8 | UInt16(characters[index * 2 + 1])
            }
        }
        put(properties.serial, at: 10, count: 20)
        put(properties.firmware, at: 23, count: 8)
        put(properties.model, at: 27, count: 40)
        return words.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    }

    /// The 512 bytes of SMART READ DATA: nothing measured, self-tests never run. ATA/ATAPI-6, 8.41.8.
    static func smartData(isThresholds: Bool) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes[0] = 16
        if !isThresholds {
            // Off-line collection never started; SMART saves on power changes, errors are logged nowhere.
            bytes[368] = 0x03
            bytes[372] = 2
            bytes[373] = 1
        }
        bytes[511] = 0 &- bytes[..<511].reduce(0, &+)
        return bytes
    }
}
