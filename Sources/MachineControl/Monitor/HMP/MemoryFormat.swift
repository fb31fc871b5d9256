internal import Machine

/// How `x` and `xp` show memory: `/count letter size`.
struct MemoryFormat {
    var count = 1
    /// One of `x d u o c i`.
    var letter = UInt8(ascii: "x")
    /// Bytes of an item: 1, 2, 4 or 8.
    var size = 4

    static let countLimit = 65536
}

/// The texts of `x`, `xp` and `print`.
struct MemoryText {
    let machine: any MachineOperations
    let processor: Int
    let isPhysical: Bool

    private func read(_ address: UInt64, _ count: Int) -> [UInt8]? {
        let bytes =
            isPhysical
            ? try? machine.readPhysical(address, count: count)
            : try? machine.readVirtual(address, count: count, processor: processor)
        return bytes?.count == count ? bytes : nil
    }

    func dump(_ start: UInt64, _ format: MemoryFormat) -> String {
        if format.letter == UInt8(ascii: "i") { return instructions(start, format.count) }
        let perLine = (format.size == 1 ? 8 : 16) / format.size
        var text = ""
        var address = start
        var left = format.count
        while left > 0 {
            text += hex(address, 16) + ":"
            let items = min(left, perLine)
            guard let bytes = read(address, items * format.size) else { return text + " Cannot access memory\n" }
            for item in 0..<items {
                var value: UInt64 = 0
                for byte in (0..<format.size).reversed() {
                    value = value << 8 | UInt64(bytes[item * format.size + byte])
                }
                text += " " + Self.item(value, format)
            }
            text += "\n"
            address &+= UInt64(items * format.size)
            left -= items
        }
        return text
    }

    /// A value in a format, as wide as the widest of its size.
    static func item(_ value: UInt64, _ format: MemoryFormat) -> String {
        let bits = format.size * 8
        switch format.letter {
        case UInt8(ascii: "d"):
            let signed = Int64(bitPattern: value << UInt64(64 - bits)) >> Int64(64 - bits)
            return right(String(signed), (bits * 10 + 32) / 33)
        case UInt8(ascii: "u"): return right(String(value), (bits * 10 + 32) / 33)
        case UInt8(ascii: "o"):
            let digits = String(value, radix: 8)
            return "0" + String(repeating: "0", count: max(0, (bits + 2) / 3 - digits.count)) + digits
        case UInt8(ascii: "c"): return character(UInt8(truncatingIfNeeded: value))
        default: return "0x" + hex(value, bits / 4)
        }
    }

    private static func character(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "'"): "'\\''"
        case UInt8(ascii: "\\"): "'\\\\'"
        case 0x0a: "'\\n'"
        case 0x0d: "'\\r'"
        case 0x20...0x7e: "'\(Character(UnicodeScalar(byte)))'"
        default: "'\\x\(hex(UInt64(byte), 2))'"
        }
    }

    private func instructions(_ start: UInt64, _ count: Int) -> String {
        var text = ""
        var address = start
        for _ in 0..<count {
            let place = "0x" + hex(address, address >> 32 != 0 ? 16 : 8) + ":  "
            // Instructions are at most 15 bytes; near the end of memory there may be fewer.
            guard let bytes = read(address, 15) ?? read(address, 1) else {
                return text + place + "Cannot access memory\n"
            }
            guard let instruction = machine.disassemble(bytes, at: address, processor: processor),
                (1...15).contains(instruction.bytes.count)
            else {
                text += place + left(hex(UInt64(bytes[0]), 2), 24) + " (bad)\n"
                address &+= 1
                continue
            }
            let codes = instruction.bytes.map { hex(UInt64($0), 2) }.joined(separator: " ")
            text += place + left(codes, 24) + " \(instruction.text)\n"
            address &+= UInt64(instruction.bytes.count)
        }
        return text
    }
}
