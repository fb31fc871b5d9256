import Machine
import TestSupport

/// Verbs and streams of HDA, and AC97's lists of buffers.
struct SoundTwinDriver: TwinDriver {
    let window: UInt64
    /// AC97's bus master ports; nil for HDA.
    let ports: (mixer: UInt64, master: UInt64)?
    private var isStarted = false
    private var commands: UInt64 = 0

    private init(window: UInt64, ports: (mixer: UInt64, master: UInt64)?) {
        self.window = window
        self.ports = ports
    }
    static func all(_ twin: Twin) -> [any TwinDriver] {
        twin.functions.filter { $0.classCode >> 8 == 4 }.compactMap { function in
            let places = function.regions.filter { $0.bar < 2 }.sorted { $0.bar < $1.bar }.compactMap(\.address)
            guard let first = places.first else { return nil }
            return Self(window: first, ports: places.count > 1 ? (mixer: first, master: places[1]) : nil)
        }
    }
    private static let base = Scratch.start

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if random.chance(4) { return [.advance(1 << UInt64(16 + random.below(11)))] }
        if let ports { return stepAC97(ports, &random) }
        return stepHDA(&random)
    }

    private mutating func stepHDA(_ random: inout SplitMix64) -> [TwinOperation] {
        let base = Self.base
        if !isStarted || random.chance(60) {
            (isStarted, commands) = (true, 0)
            let list: [(UInt64, Int, UInt64)] = [
                (8, 4, 0), (8, 4, 1), (0x4C, 1, 0), (0x5C, 1, 0), (0x40, 4, base), (0x44, 4, 0),
                (0x50, 4, base + 0x1000), (0x54, 4, 0),
                (0x48, 2, 0), (0x5A, 2, UInt64(1 + random.below(8))), (0x58, 2, 0x8000), (0x20, 4, 0xC000_00FF),
                (0x70, 4, (base + 0x2000) | 1),
                (0x4C, 1, 3), (0x5C, 1, 3),
            ]
            return list.map { .write(window + $0.0, $0.1, $0.2) }
        }
        let verbs: [UInt32] = [
            0x000F_0000, 0x001F_0004, 0x002F_0009, 0x0027_0610, 0x0022_0011, 0x003B_8000, 0x0023_B07F, 0x0027_0503,
            0x0017_0500, 0x00F0_0000,
        ]
        switch random.below(5) {
        case 0:
            let stream = window + 0x80 + UInt64(random.below(8)) * 0x20
            let words: [UInt32] = [0x30_0000, 0, 4096, 1, 0x31_0000, 0, UInt32(128 * (1 + random.below(40))), 1]
            let list: [(UInt64, Int, UInt64)] = [
                (0, 1, 0), (0x18, 4, base + 0x3000), (0x1C, 4, 0), (8, 4, 8192), (0x0C, 2, 1), (0x12, 2, 0x11),
                (2, 1, 0x10), (0, 1, 0x1E),
            ]
            return [.storeWords(base + 0x3000, words)] + list.map { .write(stream + $0.0, $0.1, $0.2) }
        case 1:
            return [
                .read(window + 0x24, 4), .read(window + 0x5D, 1), .write(window + 0x5D, 1, 5), .read(window + 0x30, 4),
            ]
        case 2:
            let stream = window + 0x80 + UInt64(random.below(8)) * 0x20
            return [.read(stream + 4, 4), .read(stream + 3, 1), .write(stream + 3, 1, 0x1C)]
        default:
            commands += 1
            let place = base + commands % 256 * 4
            return [
                .storeWords(place, [verbs[random.below(verbs.count)]]), .write(window + 0x48, 2, commands % 256),
                .read(window + 0x58, 2),
            ]
        }
    }

    private mutating func stepAC97(_ ports: (mixer: UInt64, master: UInt64), _ random: inout SplitMix64)
        -> [TwinOperation]
    {
        let base = Self.base
        let stream = ports.master + UInt64(random.below(3)) * 0x10
        switch random.below(6) {
        case 0:
            let words = (0..<32).flatMap {
                [UInt32(0x30_0000 + $0 * 0x1000), UInt32(64 + random.below(1000)) | 0x8000_0000]
            }
            return [
                .storeWords(base, words), .portWrite(stream + 0x0B, 1, 2), .portWrite(stream, 4, base),
                .portWrite(stream + 5, 1, UInt64(random.below(32))), .portWrite(stream + 0x0B, 1, 0x1D),
            ]
        case 1:
            return [
                .portRead(stream + 6, 2), .portWrite(stream + 6, 2, 0x1C), .portRead(stream + 8, 2),
                .portRead(stream + 4, 1),
            ]
        case 2: return [.portWrite(stream + 5, 1, UInt64(random.below(32)))]
        case 3:
            let register = ports.mixer + UInt64(random.below(0x40)) * 2
            return [.portWrite(register, 2, random.next() & 0xFFFF), .portRead(register, 2)]
        case 4: return [.portWrite(stream + 0x0B, 1, UInt64(random.below(32)))]
        default:
            return [.portRead(ports.master + 0x30, 4), .portWrite(ports.master + 0x2C, 4, UInt64(random.below(8)))]
        }
    }
}
