import TestSupport

/// Buffers as drivers of virtio devices make them, right in most places.
enum VirtioBuffers {
    /// What the device reads, or room for what it writes.
    struct Piece {
        var bytes: [UInt8]?
        var room = 0
        static func read(_ bytes: [UInt8]) -> Self { Self(bytes: bytes.isEmpty ? [0] : bytes) }
        static func write(_ count: Int) -> Self { Self(room: max(count, 1)) }
    }
    static func join(_ parts: [UInt8]...) -> [UInt8] { Array(parts.joined()) }
    static func little(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }

    static func pieces(_ kind: Int, _ queue: Int, _ random: inout SplitMix64, turn: UInt64) -> [Piece] {
        if random.chance(40) {
            return (0..<1 + random.below(3)).map { _ in .read(random.bytes(1 + random.below(80))) }
                + (random.chance(2) ? [.write(1 + random.below(600))] : [])
        }
        return switch kind {
        case 1: network(queue, &random)
        case 2: block(&random, turn)
        case 3: console(queue, &random)
        case 5: balloon(queue, &random)
        case 8: scsi(queue, &random)
        case 9: share(&random)
        case 16: graphics(queue, &random)
        case 18: queue == 0 ? [.write(8)] : [.read(little(UInt64(17 | random.below(3) << 16) | 1 << 32, 8))]
        case 19: socket(queue, &random)
        default: [.write(1 + random.below(300))]
        }
    }

    /// Requests that may be under way at once, and end in any order, mostly share no block.
    private static func block(_ random: inout SplitMix64, _ turn: UInt64) -> [Piece] {
        let first = turn % 31 * 64
        let sector = random.chance(10) ? 2040 + UInt64(random.below(20)) : first + UInt64(random.below(48))
        let type: UInt64 = [0, 0, 0, 1, 1, 1, 4, 8, 11, 13, 99][random.below(11)]
        let head = join(little(type, 4), little(0, 4), little(sector, 8))
        let sectors = 1 + random.below(6)
        let data: [Piece] =
            switch type {
            case 1: (0..<1 + random.below(2)).map { _ in .read(random.bytes(512 * sectors)) }
            case 0: (0..<1 + random.below(2)).map { _ in .write(512 * sectors) }
            case 8: [.write(20)]
            case 11, 13: [.read(join(little(first + UInt64(random.below(48)), 8), little(UInt64(random.below(16)), 8)))]
            default: []
            }
        return [.read(head)] + data + [.write(1)]
    }

    private static func network(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        if queue >= 2, queue % 2 == 0 {
            // Mode, addresses, VLANs, announcement, pairs (5.1.6.5).
            let command = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0)][random.below(9)]
            let isTable = command == (1, 0)
            let value =
                isTable
                ? join(little(1, 4), random.bytes(6), little(0, 4))
                : random.bytes(command.0 == 1 ? 6 : 1 + command.0 / 2)
            return [.read([UInt8(command.0), UInt8(command.1)]), .read(value), .write(1)]
        }
        if queue % 2 == 0 { return [.write(12), .write(1526)] }
        return [.read(random.chance(3) ? random.bytes(12) : [UInt8](repeating: 0, count: 12)), .read(frame(&random))]
    }

    /// A frame to everybody, or to one of the machine's cards.
    static func frame(_ random: inout SplitMix64) -> [UInt8] {
        let to: [UInt8] = [
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x52, 0x54, 0, 0x12, 0x34, UInt8(1 + random.below(2))],
        ][random.below(2)]
        return join(to, [0x52, 0x54, 0, 0x12, 0x34, 9, 8, 0], random.bytes(40 + random.below(1400)))
    }

    private static func console(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        if queue == 3 {
            // Control: device ready, port ready, open (5.3.6.2).
            let event = [0, 0, 3, 6][random.below(4)]
            let value = little(UInt64(random.below(2)), 2)
            return [.read(join(little(UInt64(random.below(3)), 4), little(UInt64(event), 2), value))]
        }
        return queue % 2 == 0 ? [.write(1 + random.below(100))] : [.read(random.bytes(1 + random.below(100)))]
    }

    private static func balloon(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        if queue == 2 { return [.read((0..<10).flatMap { little(UInt64($0), 2) + little(random.next(), 8) })] }
        if queue > 2 { return [.write(4096)] }
        return [.read((0..<1 + random.below(8)).flatMap { _ in little(0x380 + UInt64(random.below(64)), 4) })]
    }

    private static func scsi(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        let lun: [UInt8] = [1, UInt8(random.below(3)), 0x40, 0, 0, 0, 0, 0]
        if queue == 0 {
            let type = UInt64(random.below(3))
            if type == 0 {
                return [.read(join(little(0, 4), little(UInt64(random.below(8)), 4), lun, little(1, 8))), .write(1)]
            }
            return [.read(join(little(type, 4), lun, little(0xFF, 4))), .write(5)]
        }
        if queue == 1 { return [.write(16)] }
        let command = commandBlock(&random)
        let head = join(
            lun, little(random.next(), 8), [0, 0, 0], command, [UInt8](repeating: 0, count: 32 - command.count))
        let writes = [0x2A, 0x0A, 0x8A, 0x15, 0x55, 0x42, 0x41].contains(command[0])
        if writes { return [.read(head), .read(random.bytes(512 * (1 + random.below(3)))), .write(108)] }
        return [.read(head), .write(108)] + (random.chance(8) ? [] : [.write(512 * (1 + random.below(4)))])
    }

    private static let codes: [UInt8] = [
        0x00, 0x03, 0x12, 0x12, 0x1A, 0x1B, 0x1E, 0x25, 0x28, 0x28, 0x28, 0x2A, 0x2A, 0x35, 0x41, 0x42, 0x43, 0x46,
        0x4A, 0x51,
        0x52, 0x55, 0x5A, 0x88, 0x8A, 0x9E, 0xA0, 0xA3, 0xA8, 0xAD, 0xBD, 0xBE, 0x08, 0x0A, 0x15,
    ]
    /// A SCSI command of a disk or CD drive, 6 to 16 bytes in 16.
    static func commandBlock(_ random: inout SplitMix64) -> [UInt8] {
        let code = codes[random.below(codes.count)]
        var bytes = [UInt8](repeating: 0, count: 16)
        bytes[0] = code
        let block = random.below(520)
        switch code {
        case 0x12, 0x1A, 0x03, 0x15: bytes[4] = UInt8(random.below(255))
        case 0x1B, 0x1E: bytes[4] = UInt8(random.below(4))
        case 0x88, 0x8A:
            (bytes[8], bytes[9]) = (UInt8(block >> 8), UInt8(block & 0xFF))
            bytes[13] = UInt8(1 + random.below(4))
        case 0x9E:
            bytes[1] = 0x10
            bytes[13] = 32
        case 0x08, 0x0A:
            (bytes[2], bytes[3]) = (UInt8(block >> 8), UInt8(block & 0xFF))
            bytes[4] = UInt8(1 + random.below(4))
        case 0xA8:
            (bytes[4], bytes[5]) = (UInt8(block >> 8), UInt8(block & 0xFF))
            bytes[9] = UInt8(1 + random.below(4))
        default:
            (bytes[4], bytes[5]) = (UInt8(block >> 8), UInt8(block & 0xFF))
            bytes[8] = UInt8(1 + random.below(4))
            if code == 0x5A || code == 0x46 { bytes[2] = UInt8(random.below(64)) }
        }
        if random.chance(12) { bytes[1 + random.below(15)] = UInt8(random.below(256)) }
        return bytes
    }

    private static func share(_ random: inout SplitMix64) -> [Piece] {
        func text(_ word: String) -> [UInt8] { little(UInt64(word.utf8.count), 2) + Array(word.utf8) }
        let (fid, other) = (little(UInt64(random.below(4)), 4), little(UInt64(random.below(4)), 4))
        let none = little(0xFFFF_FFFF, 4)
        let names = ["a", "b", "missing", "sub"]
        let type: UInt8
        let body: [UInt8]
        switch random.below(10) {
        case 0: (type, body) = (100, join(little(8192, 4), text("9P2000.L")))
        case 1: (type, body) = (104, join(fid, none, text("root"), text("/"), none))
        case 2: (type, body) = (110, join(fid, other, little(0, 2)))
        case 3: (type, body) = (110, join(fid, other, little(1, 2), text(names[random.below(4)])))
        case 4: (type, body) = (12, join(fid, little(0, 4)))
        case 5: (type, body) = (116, join(fid, little(UInt64(random.below(100)), 8), little(200, 4)))
        case 6: (type, body) = (24, join(fid, little(0x7FF, 8)))
        case 7: (type, body) = (40, join(fid, little(UInt64(random.below(3)), 8), little(500, 4)))
        case 8: (type, body) = (120, fid)
        default: (type, body) = (8, fid)
        }
        let message = join([type], little(UInt64(random.below(64)), 2), body)
        return [.read(join(little(UInt64(message.count + 4), 4), message)), .write(8192)]
    }

    private static func graphics(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        let resource = little(UInt64(1 + random.below(4)), 4)
        let box = join(little(0, 8), little(UInt64(16 + random.below(60)), 4), little(UInt64(16 + random.below(40)), 4))
        let (flags, fence) = (little(UInt64(random.below(2)), 4), little(random.next(), 8))
        func head(_ type: Int) -> [UInt8] { join(little(UInt64(type), 4), flags, fence, little(0, 8)) }
        if queue == 1 {
            let place = join(
                little(0, 4), little(UInt64(random.below(500)), 4), little(UInt64(random.below(500)), 4), little(0, 4))
            let hot = join(resource, little(1, 4), little(1, 4), little(0, 4))
            return [.read(join(head(0x300 + random.below(2)), place, hot)), .write(24)]
        }
        let type = 0x100 + random.below(8)
        let zero = little(0, 4)
        let body: [UInt8]
        switch type {
        case 0x101:
            let format = little([1, 2, 67, 134][random.below(4)], 4)
            body = join(resource, format, little(64, 4), little(48, 4))
        case 0x102, 0x107: body = join(resource, zero)
        case 0x103: body = join(box, little(UInt64(random.below(2)), 4), resource)
        case 0x104: body = join(box, resource, zero)
        case 0x105: body = join(box, little(UInt64(random.below(200)), 8), resource, zero)
        case 0x106:
            let entries = (0..<3).map { join(little(Scratch.wild + UInt64($0) * 0x2000, 8), little(0x1000, 4), zero) }
            body = join(resource, little(3, 4), Array(entries.joined()))
        default: body = []
        }
        return [.read(join(head(type), body)), .write(1100)]
    }

    private static func socket(_ queue: Int, _ random: inout SplitMix64) -> [Piece] {
        if queue != 1 { return [.write(44), .write(1024)] }
        let data = random.bytes(random.below(100))
        let ports = join(little(UInt64(1024 + random.below(3)), 4), little(UInt64(5000 + random.below(2)), 4))
        let operation = join(little(1, 2), little(UInt64(1 + random.below(7)), 2), little(0, 4))
        let head = join(little(3, 8), little(2, 8), ports, little(UInt64(data.count), 4), operation)
        return [.read(join(head, little(65536, 4), little(0, 4))), .read(data)]
    }
}
