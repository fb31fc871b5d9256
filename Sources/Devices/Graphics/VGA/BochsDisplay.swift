/// The registers of Bochs's VBE extensions, "dispi": modes without planes, set by a few numbers. (Bochs, VBE display
/// interface; QEMU, docs/specs/standard-vga.) A pure value.
struct BochsDisplay: Equatable, Sendable {
    /// Numbers of registers.
    enum Register {
        static let id = 0
        static let width = 1
        static let height = 2
        static let depth = 3
        static let enable = 4
        static let bank = 5
        static let virtualWidth = 6
        static let virtualHeight = 7
        static let x = 8
        static let y = 9
        static let memory = 10
        static let count = 11
    }
    /// Bits of the enable register.
    enum Enable {
        static let on: UInt16 = 0x01
        /// Reads of size and depth give the largest.
        static let capabilities: UInt16 = 0x02
        static let wideDAC: UInt16 = 0x20
        static let linear: UInt16 = 0x40
        static let keepsMemory: UInt16 = 0x80
    }
    static let newest: UInt16 = 0xB0C5
    static let widest = 16000
    static let highest = 12000

    var registers: [UInt16]
    private let memory: Int

    /// The registers after power-on, of an adapter with so many bytes.
    init(memory: Int) {
        self.memory = memory
        registers = [UInt16](repeating: 0, count: Register.count)
        registers[Register.id] = Self.newest
        registers[Register.depth] = 8
    }

    var isOn: Bool { registers[Register.enable] & Enable.on != 0 }
    var usesWideDAC: Bool { registers[Register.enable] & Enable.wideDAC != 0 }
    var width: Int { Int(registers[Register.width]) }
    var height: Int { Int(registers[Register.height]) }
    var depth: Int { Int(registers[Register.depth]) }
    /// Bytes of memory from one row to the next; of planes, all four together.
    var stride: Int { Self.bytes(Int(registers[Register.virtualWidth]), depth) }
    /// Where the picture starts in memory.
    var start: Int { Int(registers[Register.y]) * stride + Self.bytes(Int(registers[Register.x]), depth) }
    /// Where the window at 0xA0000 lies in memory.
    var bankOffset: Int { Int(registers[Register.bank]) << 16 }

    private static func bytes(_ pixels: Int, _ depth: Int) -> Int {
        depth == 4 ? pixels / 2 : pixels * ((depth + 7) / 8)
    }

    func read(_ index: Int) -> UInt16 {
        guard index >= 0, index < Register.count else { return 0 }
        if registers[Register.enable] & Enable.capabilities != 0 {
            switch index {
            case Register.width: return UInt16(Self.widest)
            case Register.height: return UInt16(Self.highest)
            case Register.depth: return 32
            default: break
            }
        }
        if index == Register.memory { return UInt16(clamping: memory >> 16) }
        return registers[index]
    }

    /// What a write asks the adapter to do besides.
    struct Effect: Equatable {
        /// A mode was switched on: legacy registers follow.
        var switchedOn = false
        /// Its memory is to be cleared.
        var clears = false
    }

    mutating func write(_ index: Int, _ value: UInt16) -> Effect {
        var effect = Effect()
        switch index {
        case Register.id: if value >= 0xB0C0 && value <= Self.newest { registers[index] = value }
        case Register.width: if value & 7 == 0 && value <= Self.widest && !isOn { registers[index] = value }
        case Register.height: if value <= Self.highest && !isOn { registers[index] = value }
        case Register.depth:
            let depth = value == 0 ? 8 : value
            if [4, 8, 15, 16, 24, 32].contains(depth) && !isOn { registers[index] = depth }
        case Register.bank: if Int(value) < max(1, memory >> 16) { registers[index] = value }
        case Register.enable:
            effect.switchedOn = value & Enable.on != 0 && !isOn
            registers[index] = value
            if effect.switchedOn {
                registers[Register.virtualWidth] = 0
                registers[Register.x] = 0
                registers[Register.y] = 0
                fit()
                effect.clears = value & Enable.keepsMemory == 0
            } else if !isOn {
                registers[Register.bank] = 0
            }
        case Register.virtualWidth, Register.x, Register.y:
            registers[index] = value
            if isOn { fit() }
        default: break
        }
        return effect
    }

    /// Takes saved registers. False where they are a mode that no write leads to.
    mutating func restore(_ values: [UInt16]) -> Bool {
        guard values.count == Register.count else { return false }
        registers = values
        guard width & 7 == 0, width <= Self.widest, height <= Self.highest, [4, 8, 15, 16, 24, 32].contains(depth),
            bankOffset < memory
        else { return false }
        guard isOn else { return true }
        var fitted = self
        fitted.fit()
        return fitted == self
    }

    /// A mode as other registers than these have it; its numbers are cut to what there is memory for.
    mutating func show(width: Int, height: Int, depth: Int, stride: Int, start: Int) {
        let size = (depth + 7) / 8
        registers[Register.enable] = Enable.on
        registers[Register.width] = UInt16(clamping: width)
        registers[Register.height] = UInt16(clamping: height)
        registers[Register.depth] = UInt16(clamping: depth)
        registers[Register.virtualWidth] = UInt16(clamping: stride / size)
        fit()
        let row = max(1, self.stride)
        registers[Register.x] = UInt16(clamping: start % row / size)
        registers[Register.y] = UInt16(clamping: start / row)
        fit()
    }

    /// Cuts the mode to what there is memory for.
    private mutating func fit() {
        let limit = memory
        registers[Register.width] = max(8, registers[Register.width])
        registers[Register.height] = max(1, registers[Register.height])
        var wide = min(max(Int(registers[Register.virtualWidth]), width), 0xFFF8) & ~7
        if Self.bytes(wide, depth) > limit { wide = width }
        registers[Register.virtualWidth] = UInt16(wide)
        let rows = limit / max(1, stride)
        registers[Register.virtualHeight] = UInt16(min(rows, 0xFFFF))
        if height > rows { registers[Register.height] = UInt16(max(1, rows)) }
        registers[Register.x] = UInt16(min(Int(registers[Register.x]), wide - width))
        registers[Register.y] = UInt16(min(Int(registers[Register.y]), max(0, min(rows, 0xFFFF) - height)))
    }
}
