import Machine
import TestSupport

/// Transfers that drivers ask of USB devices.
enum USBRequests {
    static func setup(_ random: inout SplitMix64) -> [UInt8] {
        let length = UInt8([8, 18, 34, 64][random.below(4)])
        return switch random.below(14) {
        case 0, 1: [0x80, 6, 0, 1, 0, 0, 18, 0]
        case 2, 3: [0x80, 6, 0, 2, 0, 0, length, 0]
        case 4: [0x80, 6, UInt8(random.below(6)), 3, 9, 4, 64, 0]
        case 5: [0, 5, UInt8(random.below(3)), 0, 0, 0, 0, 0]
        case 6, 7: [0, 9, 1, 0, 0, 0, 0, 0]
        case 8: [0x81, 6, 0, 0x22, 0, 0, 64, 0]
        case 9: [0x21, 0x0A, UInt8(random.below(2)), UInt8(random.below(3)), 0, 0, 0, 0]
        case 10: [0xA1, 0xFE, 0, 0, 0, 0, 1, 0]
        case 11: [0x23, 3, [4, 8, 1][random.below(3)], 0, UInt8(1 + random.below(3)), 0, 0, 0]
        case 12: [0xA3, 0, 0, 0, UInt8(1 + random.below(3)), 0, 4, 0]
        default: [0x80, 0, 0, 0, 0, 0, 2, 0]
        }
    }
    /// The wrapper of a command of bulk-only storage.
    static func wrapper(_ random: inout SplitMix64) -> [UInt8] {
        let command = VirtioBuffers.commandBlock(&random)
        let isInput = ![0x2A, 0x0A, 0x8A, 0x15].contains(command[0])
        let head: [UInt8] = [
            0x55, 0x53, 0x42, 0x43, UInt8(random.below(256)), 0, 0, 0, 0, UInt8(2 * random.below(4)), 0, 0,
        ]
        return head + [isInput ? 0x80 : 0, 0, 16] + command
    }
}

/// Queues of transfers in the frames of a UHCI controller.
struct UHCITwinDriver: TwinDriver {
    let port: UInt64
    private var isStarted = false
    private init(port: UInt64) { self.port = port }

    static func all(_ twin: Twin) -> [any TwinDriver] {
        let found = twin.functions.filter {
            $0.vendor == 0x8086 && $0.classCode == 0x0C03 && $0.regions.contains { $0.isIO }
        }
        return found.compactMap { $0.regions.first { $0.isIO }?.address.map { Self(port: $0) } }
    }
    private var base: UInt64 { Scratch.start + 0x10_0000 + (port & 0xF0) * 0x200 }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(60) {
            isStarted = true
            let frames = TwinOperation.storeWords(base, [UInt32](repeating: UInt32(base + 0x1000) | 2, count: 1024))
            let ports: [(UInt64, UInt64)] = [(0x10, 0x200), (0x10, 0), (0x10, 4), (0x12, 0x200), (0x12, 0), (0x12, 4)]
            var list: [TwinOperation] = [
                frames, .storeWords(base + 0x1000, [1, 1, 0, 0]), .portWrite(port + 8, 4, base),
                .portWrite(port + 4, 2, 0xF),
            ]
            list += ports.map { .portWrite(port + $0.0, 2, $0.1) }
            list.append(.portWrite(port, 2, 0xC1))
            return list
        }
        switch random.below(8) {
        case 0, 1, 2: return [.advance(UInt64(1 + random.below(12)) * 700_000)]
        case 3: return [.portRead(port + 2, 2), .portWrite(port + 2, 2, 0x3F), .portRead(port + 6, 2)]
        case 4: return [.portRead(port + 0x10, 2), .portRead(port + 0x12, 2)]
        case 5: return [.input(RegisterDriver.events(&random))]
        default: return queue(&random)
        }
    }

    private func queue(_ random: inout SplitMix64) -> [TwinOperation] {
        var tokens: [(pid: UInt32, endpoint: UInt32, bytes: [UInt8], count: Int)] = []
        switch random.below(4) {
        case 0: tokens = [(0x69, 1, [], 8)]
        case 1:
            let wrapper = USBRequests.wrapper(&random)
            tokens = [(0xE1, 2, wrapper, 31), (0x69, 1, [], 64), (0x69, 1, [], 64), (0x69, 1, [], 13)]
        default:
            let setup = USBRequests.setup(&random)
            tokens = [(0x2D, 0, setup, 8)]
            let length = Int(setup[6])
            if setup[0] & 0x80 != 0 {
                for start in stride(from: 0, to: length, by: 8) { tokens.append((0x69, 0, [], min(8, length - start))) }
            }
            tokens.append((setup[0] & 0x80 != 0 ? 0xE1 : 0x69, 0, [], 0))
        }
        let address = UInt32(random.below(3))
        var list: [TwinOperation] = []
        for (index, token) in tokens.enumerated() {
            let place = base + 0x2000 + UInt64(index) * 32
            let link = index == tokens.count - 1 ? 1 : UInt32(place + 32) | 4
            let word =
                UInt32(truncatingIfNeeded: token.count - 1) << 21 | token.endpoint << 15 | address << 8 | token.pid
            let buffer = base + 0x4000 + UInt64(index) * 64
            if !token.bytes.isEmpty { list.append(.store(buffer, token.bytes)) }
            list.append(.storeWords(place, [link, 0x1980_0000, word, UInt32(buffer)]))
        }
        return list + [.storeWords(base + 0x1000, [1, UInt32(base + 0x2000)])]
    }
}

/// The asynchronous schedule of an EHCI controller.
struct EHCITwinDriver: TwinDriver {
    let window: UInt64
    private var isStarted = false
    private init(window: UInt64) { self.window = window }

    static func all(_ twin: Twin) -> [any TwinDriver] {
        let found = twin.functions.filter {
            $0.vendor == 0x8086 && $0.classCode == 0x0C03 && !$0.regions.contains { $0.isIO }
        }
        return found.compactMap { $0.regions.first { $0.bar == 0 }?.address.map { Self(window: $0) } }
    }
    private var head: UInt64 { Scratch.start + 0x12_0000 }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(60) {
            isStarted = true
            let frames = TwinOperation.storeWords(head + 0x1000, [UInt32](repeating: 1, count: 1024))
            let words: [UInt32] = [UInt32(head) | 2, 0x0040_E000, 0x4000_0000, 0, 1, 1, 0x40, 0, 0, 0, 0, 0]
            let list: [(UInt64, UInt64)] = [
                (0x60, 1), (0x34, head + 0x1000), (0x38, head), (0x28, 0x3F), (0x20, 0x31), (0x64, 0x1100),
                (0x64, 0x1000),
                (0x68, 0x1100), (0x68, 0x1000),
            ]
            return [frames, .storeWords(head, words)] + list.map { .write(window + $0.0, 4, $0.1) }
        }
        switch random.below(8) {
        case 0, 1, 2: return [.advance(UInt64(1 + random.below(12)) * 400_000)]
        case 3: return [.read(window + 0x24, 4), .write(window + 0x24, 4, 0x3F), .read(window + 0x2C, 4)]
        case 4: return [.read(window + 0x64, 4), .read(window + 0x68, 4)]
        case 5: return [.input(RegisterDriver.events(&random))]
        default: break
        }
        var items: [(pid: UInt32, count: Int, bytes: [UInt8])] = []
        var endpoint: UInt32 = 0
        if random.chance(3) {
            endpoint = UInt32(1 + random.below(2))
            items = endpoint == 1 ? [(1, 512, [])] : [(0, 31, USBRequests.wrapper(&random))]
        } else {
            let setup = USBRequests.setup(&random)
            items = [(2, 8, setup)]
            if setup[6] > 0 { items.append((1, Int(setup[6]), [])) }
            items.append((setup[0] & 0x80 != 0 ? 0 : 1, 0, []))
        }
        var list: [TwinOperation] = []
        for (index, item) in items.enumerated() {
            let place = head + 0x4000 + UInt64(index) * 64
            let buffer = head + 0x5000 + UInt64(index) * 0x1000
            if !item.bytes.isEmpty { list.append(.store(buffer, item.bytes)) }
            let next: UInt32 = index == items.count - 1 ? 1 : UInt32(place + 64)
            let toggle: UInt32 = index == 0 ? 0 : 1 << 31
            let token = toggle | UInt32(item.count) << 16 | 0x8C80 | item.pid << 8
            list.append(.storeWords(place, [next, 1, token, UInt32(buffer), 0, 0, 0, 0]))
        }
        let characteristics = UInt32(0x0200_E000 | 0x0040_0000) | endpoint << 8 | UInt32(random.below(3))
        list.append(.storeWords(head + 4, [characteristics, 0x4000_0000]))
        return list + [.storeWords(head + 16, [UInt32(head + 0x4000), 1, 0])]
    }
}

/// Command, transfer and event rings of an xHCI controller, for slots 1 and 2.
struct XHCITwinDriver: TwinDriver {
    let window: UInt64
    private var isStarted = false
    private var command: UInt64 = 0
    private var places: [UInt64: UInt64] = [:]
    private init(window: UInt64) { self.window = window }

    static func all(_ twin: Twin) -> [any TwinDriver] {
        let found = twin.functions.filter { $0.classCode == 0x0C03 && $0.vendor != 0x8086 }
        return found.compactMap { $0.regions.first { $0.bar == 0 }?.address.map { Self(window: $0) } }
    }
    private static let base: UInt64 = Scratch.start + 0x14_0000
    private static func ring(_ slot: UInt64, _ index: UInt64) -> UInt64 { base + 0x1_0000 + (slot * 8 + index) * 0x400 }

    private mutating func run(_ type: UInt32, _ parameter: UInt64 = 0, slot: UInt32 = 0, endpoint: UInt32 = 0)
        -> [TwinOperation]
    {
        let place = Self.base + 0x2000 + command * 16
        command += 1
        let words: [UInt32] = [
            UInt32(truncatingIfNeeded: parameter), UInt32(truncatingIfNeeded: parameter >> 32), 0,
            slot << 24 | endpoint << 16 | type << 10 | 1,
        ]
        return [.storeWords(place, words), .write(window + 0x2000, 4, 0)]
    }

    private mutating func start() -> [TwinOperation] {
        isStarted = true
        (command, places) = (0, [:])
        let base = Self.base
        let list: [(UInt64, UInt64)] = [
            (0x40, 2), (0x78, 8), (0x70, base + 0x1000), (0x74, 0), (0x58, (base + 0x2000) | 1), (0x5C, 0), (0x1028, 1),
            (0x1038, base + 0x3000), (0x103C, 0), (0x1030, base + 0x3F00), (0x1034, 0), (0x1020, 2), (0x40, 5),
        ]
        var all: [TwinOperation] = [
            .store(base, [UInt8](repeating: 0, count: 0x1_8000)),
            .storeWords(base + 0x3F00, [UInt32(base + 0x3000), 0, 200, 0]),
        ]
        all += list.map { .write(window + $0.0, 4, $0.1) }
        for slot in UInt64(1)...2 {
            let port = 4 + slot
            all.append(.write(window + 0x440 + (port - 1) * 16, 4, 0x210))
            all += run(9)
            all.append(.storeWords(base + 0x1000 + slot * 8, [UInt32(base + 0x5000 + slot * 0x400), 0]))
            let input = base + 0x8000 + slot * 0x800
            all.append(.storeWords(input, [0, 3, 0, 0, 0, 0, 0, 0, 1 << 27, UInt32(port) << 16, 0, 0, 0, 0, 0, 0]))
            all.append(.storeWords(input + 64, [0, 64 << 16 | 4 << 3, UInt32(Self.ring(slot, 1)) | 1, 0]))
            all += run(11, input, slot: UInt32(slot))
            // Endpoints 1 in, interrupt or bulk, and 2 out.
            all.append(.storeWords(input + 4, [1 | 1 << 3 | 1 << 4]))
            all.append(
                .storeWords(input + 128, [0, 64 << 16 | (slot == 1 ? 7 : 6) << 3, UInt32(Self.ring(slot, 3)) | 1, 0]))
            all.append(.storeWords(input + 160, [0, 64 << 16 | 2 << 3, UInt32(Self.ring(slot, 4)) | 1, 0]))
        }
        return all
    }

    private mutating func put(_ slot: UInt64, _ index: UInt64, _ words: [UInt32]) -> TwinOperation {
        let key = slot * 8 + index
        let place = places[key, default: 0]
        places[key] = place + 1
        return .storeWords(Self.ring(slot, index) + place % 62 * 16, words)
    }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || command > 60 || random.chance(80) { return start() }
        let slot = UInt64(1 + random.below(2))
        let input = Self.base + 0x8000 + slot * 0x800
        switch random.below(12) {
        case 0: return [.read(window + 0x44, 4), .write(window + 0x44, 4, 0x18), .read(window + 0x1020, 4)]
        case 1: return [.write(window + 0x1038, 4, (Self.base + 0x3000 + UInt64(random.below(64)) * 16) | 8)]
        case 2: return [.advance(1 << UInt64(random.below(26)))]
        case 3: return [.input(RegisterDriver.events(&random))]
        case 4: return run(12, input, slot: UInt32(slot))
        case 5:
            return run(
                [13, 14, 15, 16, 17, 10, 23][random.below(7)], input, slot: UInt32(slot),
                endpoint: [1, 3, 4][random.below(3)])
        case 6: return (0..<8).map { .read(window + 0x440 + $0 * 16, 4) }
        case 7, 8:
            let index: UInt64 = random.chance(2) ? 3 : 4
            let buffer = Self.base + 0x2_0000 + UInt64(random.below(8)) * 0x400
            let isWrapper = index == 4 && slot == 2
            let count: UInt32 = isWrapper ? 31 : [8, 13, 64, 512][random.below(4)]
            let word = put(slot, index, [UInt32(buffer), 0, count, 1 << 10 | 1 << 5 | 4 | 1])
            let bytes = isWrapper ? [TwinOperation.store(buffer, USBRequests.wrapper(&random))] : []
            return bytes + [word, .write(window + 0x2000 + slot * 4, 4, index)]
        default:
            let setup = USBRequests.setup(&random)
            let words = (0..<2).map { half in
                (0..<4).reduce(UInt32(0)) { $0 | UInt32(setup[half * 4 + $1]) << UInt32($1 * 8) }
            }
            let isInput = setup[0] & 0x80 != 0 && setup[6] > 0
            var list = [put(slot, 1, words + [8, 2 << 10 | 1 << 6 | 1])]
            if isInput {
                list.append(
                    put(slot, 1, [UInt32(Self.base + 0x2_8000), 0, UInt32(setup[6]), 3 << 10 | 4 | 1 << 16 | 1]))
            }
            list.append(put(slot, 1, [0, 0, 0, 4 << 10 | 1 << 5 | (isInput ? 0 : 1 << 16) | 1]))
            return list + [.write(window + 0x2000 + slot * 4, 4, 1)]
        }
    }
}
