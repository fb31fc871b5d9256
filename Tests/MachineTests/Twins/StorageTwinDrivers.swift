import Machine
import TestSupport

/// Commands of ATA and ATAPI by the ports of a channel, begun and left at any point. Its bus master is at a window.
struct IDETwinDriver: TwinDriver {
    let base: UInt64
    let master: UInt64?
    private static let commands: [UInt64] = [
        0x10, 0x20, 0x20, 0x24, 0x25, 0x29, 0x30, 0x30, 0x34, 0x35, 0x39, 0x40, 0x90, 0x91, 0xA0, 0xA0, 0xA0, 0xA1,
        0xC4, 0xC5,
        0xC6, 0xC8, 0xC8, 0xCA, 0xCA, 0xE0, 0xE5, 0xE7, 0xEA, 0xEC, 0xEC, 0xEF, 0x08, 0x00,
    ]

    static func all(_ twin: Twin) -> [any TwinDriver] {
        let function = twin.functions.first { $0.vendor == 0x8086 && $0.device == 0x7010 }
        let window = function?.regions.first { $0.bar == 4 }?.address
        return [Self(base: 0x1F0, master: window), Self(base: 0x170, master: window.map { $0 + 8 })]
    }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        switch random.below(12) {
        case 0, 1, 2: return command(&random)
        case 3, 4, 5, 6:
            // Some of the data, in or out.
            let size = random.chance(3) ? 4 : 2
            let isRead = random.chance(2)
            let count = [1, 3, 7, 64, 128, 256][random.below(6)]
            return (0..<count).map { _ in
                isRead
                    ? .portRead(base, size) : .portWrite(base, size, random.next() & (size == 4 ? 0xFFFF_FFFF : 0xFFFF))
            }
        case 7: return [.portRead(base + 7, 1)]
        case 8: return [.portRead(base + 0x206, 1)] + (1..<7).map { .portRead(base + $0, 1) }
        case 9 where random.chance(3): return [.portWrite(base + 0x206, 1, UInt64([0, 2, 4, 0x80][random.below(4)]))]
        case 10:
            guard let master else { return [] }
            return [.portRead(master + 2, 1), .portWrite(master + 2, 1, UInt64(random.below(8)))]
        default: return transfer(&random)
        }
    }

    private func command(_ random: inout SplitMix64) -> [TwinOperation] {
        let block = UInt64(random.below(2060))
        let command = Self.commands[random.below(Self.commands.count)]
        let unit: UInt64 = random.chance(2) ? 0x10 : 0
        let isPacket = command == 0xA0
        let feature =
            isPacket ? UInt64(random.below(2)) : command == 0xEF ? [2, 3, 0x82, 0x66, 0xAA][random.below(5)] : 0
        let count = command == 0xEF ? [8, 0x22, 0x44][random.below(3)] : UInt64(random.below(5))
        var list: [TwinOperation] = [
            .portWrite(base + 6, 1, 0xE0 | unit), .portWrite(base + 1, 1, feature), .portWrite(base + 2, 1, count),
            .portWrite(base + 3, 1, block & 0xFF),
            .portWrite(base + 4, 1, isPacket ? [0, 0xFE, 12][random.below(3)] : block >> 8),
            .portWrite(base + 5, 1, isPacket ? [0, 8, 0xFF][random.below(3)] : 0), .portWrite(base + 7, 1, command),
        ]
        if isPacket, !random.chance(6) {
            let bytes = VirtioBuffers.commandBlock(&random)
            for index in 0..<6 {
                list.append(.portWrite(base, 2, UInt64(bytes[index * 2]) | UInt64(bytes[index * 2 + 1]) << 8))
            }
        }
        return random.chance(2) ? list + transfer(&random) : list
    }

    /// A list of regions, and the bus master started, in either direction.
    private func transfer(_ random: inout SplitMix64) -> [TwinOperation] {
        guard let master else { return [] }
        let table = Scratch.start + (base == 0x1F0 ? 0 : 0x1000)
        let first = UInt32([512, 1024, 2048][random.below(3)])
        let words = [UInt32(0x30_0000), first, UInt32(0x31_0000), UInt32(0x8000_0000) | 4096]
        let direction: UInt64 = random.chance(2) ? 8 : 0
        return [
            .storeWords(table, words), .portWrite(master + 4, 4, table), .portWrite(master + 2, 1, 6),
            .portWrite(master, 1, direction), .portWrite(master, 1, direction | (random.chance(5) ? 0 : 1)),
        ]
    }
}

/// Commands in the slots of an AHCI controller's ports.
struct AHCITwinDriver: TwinDriver {
    let window: UInt64
    private var isStarted = false

    private init(window: UInt64) { self.window = window }
    static func all(_ twin: Twin) -> [any TwinDriver] {
        twin.functions.filter { $0.classCode == 0x0106 }.compactMap { function in
            function.regions.first { $0.bar == 5 }?.address.map { Self(window: $0) }
        }
    }
    private func port(_ port: Int, _ offset: UInt64) -> UInt64 { window + 0x100 + UInt64(port) * 0x80 + offset }
    private static func list(_ port: Int) -> UInt64 { Scratch.start + UInt64(port) * 0x1000 }
    private static func table(_ port: Int, _ slot: Int) -> UInt64 {
        Scratch.start + 0x1_0000 + UInt64(port * 32 + slot) * 0x400
    }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(50) {
            isStarted = true
            return [.write(window + 4, 4, 0x8000_0002)]
                + (0..<3).flatMap { index -> [TwinOperation] in
                    [
                        .write(port(index, 0), 4, Self.list(index)),
                        .write(port(index, 8), 4, Self.list(index) + 0x800),
                        .write(port(index, 0x14), 4, 0xFFFF_FFFF), .write(port(index, 0x30), 4, 0xFFFF_FFFF),
                        .write(port(index, 0x18), 4, 0x11),
                    ]
                }
        }
        let index = random.below(3)
        switch random.below(10) {
        case 0:
            return [
                .read(port(index, 0x10), 4), .write(port(index, 0x10), 4, 0xFFFF_FFFF), .write(window + 8, 4, 0xFF),
            ]
        case 1: return [.read(port(index, 0x20), 4), .read(port(index, 0x38), 4), .read(port(index, 0x34), 4)]
        case 2: return [.write(port(index, 0x18), 4, random.chance(2) ? 0x11 : 0x10)]
        case 3 where random.chance(4): return [.write(port(index, 0x2C), 4, 1), .write(port(index, 0x2C), 4, 0)]
        default: return (0..<1 + random.below(3)).flatMap { _ in issue(index, &random) }
        }
    }

    private static let commands: [UInt8] = [
        0x20, 0x25, 0x25, 0x30, 0x35, 0x35, 0x60, 0x60, 0x61, 0x61, 0xA0, 0xA0, 0xA1, 0xC8, 0xCA, 0xE7, 0xEA, 0xEC,
        0xEF, 0x06,
    ]
    private func issue(_ index: Int, _ random: inout SplitMix64) -> [TwinOperation] {
        let slot = random.below(32)
        let command = Self.commands[random.below(Self.commands.count)]
        let table = Self.table(index, slot)
        // What is under way at once, and may end in any order, shares no block and no buffer.
        let place = index * 32 + slot
        let block = random.chance(8) ? 2040 + random.below(20) : place * 21 + random.below(14)
        let isQueued = command == 0x60 || command == 0x61
        let sectors = UInt8(1 + random.below(8))
        let isWrite = [0x30, 0x35, 0x61, 0xCA].contains(command)
        var frame = [UInt8](repeating: 0, count: 64)
        frame.replaceSubrange(
            0..<8, with: [0x27, 0x80, command, isQueued ? sectors : 0, UInt8(block & 0xFF), UInt8(block >> 8), 0, 0x40])
        frame[12] = isQueued ? UInt8(slot) << 3 : sectors
        let flags: UInt32 = 5 | (isWrite ? 0x40 : 0) | (command == 0xA0 ? 0x20 : 0) | 2 << 16
        let regions: [UInt32] = [
            UInt32(0x30_0000 + place * 0x800), 0, 0, [511, 1023, 2047][random.below(3)],
            UInt32(0x34_0000 + place * 0x800), 0, 0, 2047,
        ]
        let header: [UInt32] = [flags, 0, UInt32(table), 0]
        var list: [TwinOperation] = [
            .storeWords(Self.list(index) + UInt64(slot) * 32, header), .store(table, frame),
            .store(table + 0x40, VirtioBuffers.commandBlock(&random)), .storeWords(table + 0x80, regions),
        ]
        if isQueued { list.append(.write(port(index, 0x34), 4, 1 << UInt64(slot))) }
        return list + [.write(port(index, 0x38), 4, 1 << UInt64(slot))]
    }
}

/// Admin and I/O commands of NVMe in the rings of three queues.
struct NVMeTwinDriver: TwinDriver {
    let window: UInt64
    private var isStarted = false
    private var tails: [UInt64] = [0, 0, 0]
    private var heads: [UInt64] = [0, 0, 0]
    private var identifier: UInt32 = 0

    private init(window: UInt64) { self.window = window }
    static func all(_ twin: Twin) -> [any TwinDriver] {
        twin.functions.filter { $0.classCode == 0x0108 }.compactMap { function in
            function.regions.first { $0.bar == 0 }?.address.map { Self(window: $0) }
        }
    }
    private static func ring(_ queue: Int) -> UInt64 { Scratch.start + UInt64(queue) * 0x4000 }

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if !isStarted || random.chance(80) {
            isStarted = true
            (tails, heads) = ([0, 0, 0], [0, 0, 0])
            let first: [TwinOperation] = [
                .write(window + 0x14, 4, 0), .write(window + 0x24, 4, 0xF_000F), .write(window + 0x28, 8, Self.ring(0)),
                .write(window + 0x30, 8, Self.ring(0) + 0x2000), .write(window + 0x14, 4, 0x46_0001),
            ]
            var list = first
            for queue in 1...2 {
                let ring = Self.ring(queue)
                let size = UInt64(queue) | 15 << 16
                // Some queues of answers interrupt.
                let flags: UInt64 = random.chance(2) ? 3 | UInt64(queue) << 16 : 1
                list += put(0, [5, ring + 0x2000, size, flags])
                list += put(0, [1, ring, size, 1 | UInt64(queue) << 16])
            }
            return list
        }
        let queue = random.below(3)
        switch random.below(10) {
        case 0: return [.read(window + 0x1C, 4), .read(window + 0x0C, 4)]
        case 1, 2:
            heads[queue] = tails[queue]
            return [.write(window + 0x1004 + UInt64(queue) * 8, 4, heads[queue])]
        case 3: return [.write(window + 0x0C + UInt64(random.below(2)) * 4, 4, random.registerValue(4))]
        default: return (0..<1 + random.below(2)).flatMap { _ in command(queue, &random) }
        }
    }

    private mutating func command(_ queue: Int, _ random: inout SplitMix64) -> [TwinOperation] {
        // What is under way at once, and may end in any order, shares no block and no buffer.
        let slot = UInt64(queue) * 16 + tails[queue]
        let data: UInt64 = 0x30_0000 + slot * 0x2000
        let block = random.chance(8) ? UInt64(2040 + random.below(20)) : slot * 42 + UInt64(random.below(34))
        if queue == 0 {
            switch random.below(8) {
            case 0, 1: return put(0, [6, data, UInt64(random.below(4)), 0], namespace: UInt32(random.below(3)))
            case 2: return put(0, [2, data, [1, 2, 3][random.below(3)] | 63 << 16, 0], namespace: 0xFFFF_FFFF)
            case 3: return put(0, [9, 0, UInt64(random.below(12)), UInt64(random.below(1000))])
            case 4: return put(0, [10, 0, UInt64(random.below(12)), 0])
            case 5: return put(0, [12, 0, 0, 0])
            case 6: return put(0, [8, 0, UInt64(1 + random.below(2)) | UInt64(random.below(20)) << 16, 0])
            default: return put(0, [UInt64(random.below(256)), data, random.next() & 0xFFFF_FFFF, 0])
            }
        }
        let operation: UInt64 = [1, 1, 2, 2, 0, 8, 9, 5][random.below(8)]
        return put(
            queue, [operation, data, block, 0], namespace: 1, count: UInt32(random.below(8)))
    }

    /// An entry of a submission queue, and its doorbell: operation, first region, words 10 and 11.
    private mutating func put(
        _ queue: Int, _ values: [UInt64], namespace: UInt32 = 0, count: UInt32 = 0
    ) -> [TwinOperation] {
        identifier &+= 1
        func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
        let words: [UInt32] = [
            low(values[0]) | (identifier & 0xFFFF) << 16, namespace, 0, 0, 0, 0, low(values[1]), 0,
            low(values[1]) + 0x1000, 0,
            low(values[2]), low(values[3]), count, 0, 0, 0,
        ]
        let place = Self.ring(queue) + tails[queue] * 64
        tails[queue] = (tails[queue] + 1) % 16
        return [.storeWords(place, words), .write(window + 0x1000 + UInt64(queue) * 8, 4, tails[queue])]
    }
}
