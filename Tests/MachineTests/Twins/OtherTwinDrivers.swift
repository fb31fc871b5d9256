import Machine
import TestSupport

/// Commands of a floppy controller, with and without DMA.
struct FloppyTwinDriver: TwinDriver {
    private static let lengths: [(UInt8, Int)] = [
        (0x03, 2), (0x04, 1), (0x07, 1), (0x08, 0), (0x08, 0), (0x0F, 2), (0x10, 0), (0x4A, 1), (0x4D, 5), (0x45, 8),
        (0xC5, 8),
        (0x46, 8), (0xE6, 8), (0xE6, 8), (0x0E, 0), (0x13, 3), (0x12, 1), (0x14, 0),
    ]
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        switch random.below(10) {
        case 0:
            return [
                .portWrite(0x3F2, 1, [0x1C, 0x0C, 0, 0x1D][random.below(4)]),
                .portWrite(0x3F7, 1, UInt64(random.below(4))),
            ]
        case 1, 2, 3: return (0..<[1, 3, 7, 16, 200][random.below(5)]).map { _ in .portRead(0x3F5, 1) }
        case 4: return [.portRead(0x3F4, 1), .portRead(0x3F7, 1), .portRead(0x3F2, 1)]
        case 5: return (0..<1 + random.below(300)).map { _ in .portWrite(0x3F5, 1, UInt64(random.below(256))) }
        case 6: return [.advance(1 << UInt64(random.below(30)))]
        default:
            let (code, length) = Self.lengths[random.below(Self.lengths.count)]
            var bytes = [code]
            let sector = UInt8(1 + random.below(19))
            let whole: [UInt8] = [
                UInt8(random.below(2)) << 2, UInt8(random.below(81)), UInt8(random.below(2)), sector, 2, 18, 0x1B, 0xFF,
            ]
            if length == 8 { bytes += whole } else { bytes += (0..<length).map { _ in UInt8(random.below(4)) } }
            if code == 0x03 { bytes[2] = random.chance(2) ? 3 : 2 }
            let writes = code & 0x1F == 5 || code == 0x4D
            let aim: [(UInt64, UInt64)] = [
                (0x0A, 6), (0x0C, 0), (0x0B, writes ? 0x4A : 0x46), (0x04, 0), (0x04, 0), (0x05, 0xFF),
                (0x05, [1, 3, 7][random.below(3)]),
                (0x81, 0x30), (0x0A, 2),
            ]
            return aim.map { .portWrite($0.0, 1, $0.1) } + bytes.map { .portWrite(0x3F5, 1, UInt64($0)) }
        }
    }
}

/// Rings of an Intel Gigabit card: frames out, room for frames in.
struct E1000TwinDriver: TwinDriver {
    let window: UInt64
    private var tail: UInt64 = 0
    private var room: UInt64 = 0
    private let number: UInt64
    private var isStarted = false

    private init(window: UInt64, number: UInt64) { (self.window, self.number) = (window, number) }
    static func all(_ twin: Twin) -> [any TwinDriver] {
        let cards = twin.functions.filter { $0.vendor == 0x8086 && [0x100E, 0x10D3].contains($0.device) }
        return cards.enumerated().compactMap { number, function in
            function.regions.first { $0.bar == 0 }?.address.map { Self(window: $0, number: UInt64(number)) }
        }
    }
    private var transmit: UInt64 { Scratch.start + number * 0x8000 }
    private var receive: UInt64 { transmit + 0x1000 }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(60) {
            isStarted = true
            (tail, room) = (0, 15)
            let list: [(UInt64, UInt64)] = [
                (0x100, 0), (0x400, 0), (0x3800, transmit), (0x3804, 0), (0x3808, 256), (0x3810, 0), (0x3818, 0),
                (0x2800, receive),
                (0x2804, 0), (0x2808, 256), (0x2810, 0), (0x2818, 15), (0xD0, 0xFF), (0, 0x40), (0x400, 0x4_010A),
                (0x100, random.chance(2) ? 0x802E : 0x801A | UInt64(random.below(2)) << 6),
            ]
            let buffers = (0..<16).map { index -> TwinOperation in
                .storeWords(
                    receive + UInt64(index) * 16,
                    [UInt32(0x30_0000 + index * 0x1000) + UInt32(number) * 0x1_0000, 0, 0, 0])
            }
            return buffers + list.map { .write(window + $0.0, 4, $0.1) }
        }
        switch random.below(8) {
        case 0: return [.read(window + 0xC0, 4), .read(window + 8, 4)]
        case 1:
            room = (room + UInt64(random.below(8))) % 16
            return [.write(window + 0x2818, 4, room), .read(window + 0x2810, 4)]
        case 2: return [.advance(1 << UInt64(random.below(24)))]
        case 3:
            return [
                .write(
                    window + 0x20, 4, UInt64(random.below(32)) << 16 | 1 << 21 | (random.chance(2) ? 2 << 26 : 1 << 26))
            ]
        case 4: return [.read(window + 0x4000 + UInt64(random.below(0x50)) * 4, 4)]
        default: return send(&random)
        }
    }

    private mutating func send(_ random: inout SplitMix64) -> [TwinOperation] {
        var list: [TwinOperation] = []
        let frame = VirtioBuffers.frame(&random)
        let buffer: UInt64 = 0x34_0000 + number * 0x1_0000
        list.append(.store(buffer, frame))
        if random.chance(4) {
            // A context for checksums and segments.
            let words: [UInt32] = [
                0x2217_0E0E, 0x3221_0022, 0x2000_0000 | UInt32(random.below(4)) << 24 | 200, 0x0500_3600,
            ]
            list.append(.storeWords(transmit + tail * 16, words))
            tail = (tail + 1) % 16
        }
        let cut = random.chance(3) ? frame.count / 2 : frame.count
        for (place, count, isLast) in [(0, cut, cut == frame.count), (cut, frame.count - cut, true)] where count > 0 {
            let command = UInt32(0x0A00_0000) | (isLast ? 0x0100_0000 : 0) | (random.chance(3) ? 0x8000_0000 : 0)
            let words = [UInt32(buffer) + UInt32(place), 0, command | UInt32(count), 0]
            list.append(.storeWords(transmit + tail * 16, words))
            tail = (tail + 1) % 16
            // The rest may come later, or never.
            if random.chance(4) { break }
        }
        return list + [.write(window + 0x3818, 4, tail)]
    }
}

/// Setup of the rings of other cards by their registers, then frames.
struct PlainCardTwinDriver: TwinDriver {
    let port: UInt64
    let isPCNet: Bool
    /// Its rings; what it sends lies behind the largest that a card receives into.
    private let base: UInt64
    private var buffers: UInt64 { base + 0x1_8000 }
    private var slot: UInt64 = 0
    private var isStarted = false

    private init(port: UInt64, isPCNet: Bool, number: Int) {
        (self.port, self.isPCNet) = (port, isPCNet)
        base = Scratch.start + UInt64(number) * 0x2_0000
    }
    static func all(_ twin: Twin) -> [any TwinDriver] {
        let cards = twin.functions.filter { [0x8139, 0x2000].contains($0.device) }
        return cards.enumerated().compactMap { number, function in
            function.regions.first { $0.isIO }?.address.map {
                Self(port: $0, isPCNet: function.device == 0x2000, number: number)
            }
        }
    }
    private func control(_ register: UInt64, _ value: UInt64) -> [TwinOperation] {
        [.portWrite(port + 0x12, 2, register), .portWrite(port + 0x10, 2, value)]
    }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(50) {
            isStarted = true
            slot = 0
            return isPCNet ? startPCNet(&random) : startRealtek(&random)
        }
        let frame = VirtioBuffers.frame(&random)
        let buffer = buffers + slot % 4 * 0x800
        if random.chance(4) { return [.advance(1 << UInt64(random.below(26)))] }
        if isPCNet {
            if random.chance(3) { return control(0, random.chance(2) ? 0x4A : 0x7F40) + [.portRead(port + 0x10, 2)] }
            let place = base + 0x200 + slot % 4 * 16
            slot += 1
            let words: [UInt32] = [UInt32(buffer), UInt32(0x8300_F000) | UInt32(4096 - frame.count) & 0xFFF, 0, 0]
            return [.store(buffer, frame), .storeWords(place, words)] + control(0, 0x48)
        }
        if random.chance(4) {
            return [.portRead(port + 0x3E, 2), .portWrite(port + 0x3E, 2, 0xFFFF), .portRead(port + 0x3A, 2)]
        }
        if random.chance(5) { return [.portWrite(port + 0x38, 2, random.next() & 0x1FF0)] }
        let register = slot % 4 * 4
        slot += 1
        return [
            .store(buffer, frame), .portWrite(port + 0x20 + register, 4, buffer),
            .portWrite(port + 0x10 + register, 4, UInt64(frame.count)),
        ]
    }

    private func startRealtek(_ random: inout SplitMix64) -> [TwinOperation] {
        [
            .portWrite(port + 0x37, 1, 0x10), .portWrite(port + 0x37, 1, 0x0C), .portWrite(port + 0x30, 4, base),
            .portWrite(port + 0x44, 4, 0x8F | UInt64(random.below(4)) << 11),
            .portWrite(port + 0x40, 4, random.chance(3) ? 0x6_0700 : 0x700),
            .portWrite(port + 0x3C, 2, 0xFFFF), .portWrite(port + 0x54, 4, UInt64(random.below(1000))),
        ]
    }
    private func startPCNet(_ random: inout SplitMix64) -> [TwinOperation] {
        // Software style 2, an initialisation block with rings of four.
        let block: [UInt32] = [
            0x2020_0000 | (random.chance(3) ? 4 : 0), 0x1200_5452, 0x0134, 0xFFFF_FFFF, 0xFFFF_FFFF,
            UInt32(base) + 0x100, UInt32(base) + 0x200,
        ]
        var ring: [UInt32] = []
        for index in UInt32(0)..<4 { ring += [UInt32(base) + 0x1000 + index * 0x800, 0x8000_F800, 0, 0] }
        var list: [TwinOperation] = [
            .storeWords(base, block), .storeWords(base + 0x100, ring), .portRead(port + 0x14, 2),
        ]
        list += [.portWrite(port + 0x12, 2, 20), .portWrite(port + 0x16, 2, 2)]
        for (register, value) in [(1, base & 0xFFFF), (2, base >> 16), (0, 0x41), (0, 0x142)] as [(UInt64, UInt64)] {
            list += control(register, value)
        }
        return list
    }
}
