import Machine
import TestSupport

/// What a guest, or the world outside it, does to both twins.
enum TwinOperation: CustomStringConvertible {
    case portRead(UInt64, Int)
    case portWrite(UInt64, Int, UInt64)
    case read(UInt64, Int)
    case write(UInt64, Int, UInt64)
    /// The processor stores bytes in RAM.
    case store(UInt64, [UInt8])
    /// Virtual time goes on by so many nanoseconds.
    case advance(UInt64)
    case input([InputEvent])

    var description: String {
        func hex(_ value: UInt64) -> String { String(value, radix: 16) }
        return switch self {
        case .portRead(let port, let size): "in\(size * 8) \(hex(port))"
        case .portWrite(let port, let size, let value): "out\(size * 8) \(hex(port)) \(hex(value))"
        case .read(let address, let size): "read\(size * 8) \(hex(address))"
        case .write(let address, let size, let value): "write\(size * 8) \(hex(address)) \(hex(value))"
        case .store(let address, let bytes): "store \(hex(address)) \(bytes.count) bytes \(bytes.prefix(16))"
        case .advance(let time): "advance \(time)"
        case .input(let events): "input \(events)"
        }
    }
    /// Whether it may set a thread of a device to work.
    var mayStartWork: Bool {
        if case .store = self { false } else { true }
    }

    /// A register of a PCI function by the ports of the first bus.
    static func configure(_ function: PCIFunctionStatus, _ offset: UInt64, _ size: Int, _ value: UInt64) -> [Self] {
        [select(function, offset), .portWrite(0xCFC + offset % 4, size, value)]
    }
    static func look(_ function: PCIFunctionStatus, _ offset: UInt64, _ size: Int) -> [Self] {
        [select(function, offset), .portRead(0xCFC + offset % 4, size)]
    }
    private static func select(_ function: PCIFunctionStatus, _ offset: UInt64) -> Self {
        let place = UInt64(function.bus) << 16 | UInt64(function.slot) << 11 | UInt64(function.function) << 8
        return .portWrite(0xCF8, 4, 0x8000_0000 | place | offset & 0xFC)
    }
    /// Words of 32 bits in RAM.
    static func storeWords(_ address: UInt64, _ words: [UInt32]) -> Self {
        .store(address, words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } })
    }
}

/// Where a guest's buffers and rings lie.
enum Scratch {
    static let start: UInt64 = 0x20_0000
    static let count: UInt64 = 0x20_0000
    /// What nothing but random structures is in.
    static let wild: UInt64 = 0x38_0000
    static let wildCount: UInt64 = 0x4_0000

    /// A share of wild memory: devices whose threads go on at the same time have none in common, as what they write there
    /// has no order that two machines would share.
    struct Share {
        let start: UInt64
        let count: UInt64
        init(_ index: Int = 0, of shares: Int = 1) {
            count = (wildCount / UInt64(shares)) & ~0xFFF
            start = wild + UInt64(index % shares) * count
        }
    }
    /// An address of wild memory, aligned as many structures are.
    static func address(_ random: inout SplitMix64, _ share: Share) -> UInt64 {
        let alignment: UInt64 = [16, 128, 4096][random.below(3)]
        return (share.start + random.next() % share.count) & ~(alignment - 1)
    }
    /// Words as descriptors have them: addresses, lengths, flags.
    static func words(_ count: Int, _ random: inout SplitMix64, _ share: Share) -> [UInt32] {
        (0..<count).map { _ in
            switch random.below(8) {
            case 0, 1: UInt32(address(&random, share))
            case 2: UInt32(address(&random, share)) | UInt32(random.below(16))
            case 3: 0
            case 4: UInt32(random.below(64))
            case 5: UInt32(random.below(2048))
            case 6: 1 << UInt32(random.below(32))
            default: UInt32(truncatingIfNeeded: random.next())
            }
        }
    }
}

extension SplitMix64 {
    /// A number below a limit.
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    mutating func chance(_ one: Int) -> Bool { below(one) == 0 }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// A value for a register: nothing, a bit, a few bits, an address, or anything.
    mutating func registerValue(_ size: Int, _ share: Scratch.Share = Scratch.Share()) -> UInt64 {
        let value: UInt64 =
            switch below(9) {
            case 0: 0
            case 1: UInt64(below(16))
            case 2: 1 << UInt64(below(size * 8))
            case 3: .max
            case 4: next()
            case 5: 1 << UInt64(below(size * 8)) | 1 << UInt64(below(size * 8)) | 1
            case 6: Scratch.address(&self, share) | UInt64(below(4))
            case 7: UInt64(below(256))
            default: next() & next()
            }
        return size >= 8 ? value : value & ((1 << UInt64(size * 8)) - 1)
    }
}
