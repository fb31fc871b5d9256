import Machine
import TestSupport

/// What firmware and kernels do to the chips of the old PC: counters, alarms, masks, keyboards, serial lines.
struct LegacyTwinDriver: TwinDriver {
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        func out(_ port: UInt64, _ value: Int) -> TwinOperation { .portWrite(port, 1, UInt64(value)) }
        switch random.below(12) {
        case 0:
            // A counter's mode and value, which may come in halves.
            let counter = random.below(3)
            let mode = counter << 6 | (1 + random.below(3)) << 4 | random.below(6) << 1 | (random.chance(6) ? 1 : 0)
            var list = [out(0x43, mode), out(0x40 + UInt64(counter), random.below(256))]
            if random.chance(2) { list.append(out(0x40 + UInt64(counter), random.below(256))) }
            return list
        case 1: return [out(0x43, 0xC0 | random.below(64)), .portRead(0x40, 1), .portRead(0x41, 1), .portRead(0x42, 1)]
        case 2: return [out(0x61, random.below(4)), .portRead(0x61, 1)]
        case 3:
            let base: UInt64 = random.chance(2) ? 0x20 : 0xA0
            if random.chance(3) {
                return [out(base, 0x11), out(base + 1, 8), out(base + 1, base == 0x20 ? 4 : 2), out(base + 1, 1)]
            }
            return [
                out(base, [0x20, 0x0A, 0x0B, 0x0C, 0x60, 0xA0][random.below(6)]), .portRead(base, 1),
                out(base + 1, random.below(256)),
            ]
        case 4:
            let register = [0, 2, 4, 6, 7, 8, 9, 0x32, 1, 3, 5][random.below(11)]
            return [out(0x70, register), random.chance(2) ? .portRead(0x71, 1) : out(0x71, random.below(0x60))]
        case 5:
            let control = [0x02, 0x12, 0x22, 0x42, 0x72, 0x06, 0x80][random.below(7)]
            return [
                out(0x70, 0x0B), out(0x71, control), out(0x70, 0x0A), out(0x71, 0x20 | random.below(16)),
                out(0x70, 0x0C), .portRead(0x71, 1),
            ]
        case 6:
            let command = [0x20, 0x60, 0xA7, 0xA8, 0xA9, 0xAA, 0xAB, 0xAD, 0xAE, 0xC0, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4][
                random.below(15)]
            return [out(0x64, command)] + (random.chance(2) ? [out(0x60, random.below(256))] : []) + [
                .portRead(0x64, 1), .portRead(0x60, 1),
            ]
        case 7:
            let command = [0xED, 0xF0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xFF, 0xEE][random.below(9)]
            return (random.chance(2) ? [out(0x64, 0xD4)] : []) + [out(0x60, command), .portRead(0x60, 1)]
        case 8: return [.input(RegisterDriver.events(&random)), .portRead(0x64, 1), .portRead(0x60, 1)]
        case 9:
            // A serial port in loopback: what goes out comes in.
            return [
                out(0x3FC, 0x10 | random.below(16)), out(0x3F9, random.below(16)),
                out(0x3FA, [0, 1, 7, 0xC1][random.below(4)]),
            ]
                + (0..<random.below(20)).map { out(0x3F8, $0) } + [
                    .portRead(0x3FA, 1), .portRead(0x3FD, 1), .portRead(0x3F8, 1),
                ]
        case 10: return [.advance(UInt64(1 + random.below(2000)) * 50_000)]
        default:
            // The IOAPIC's entries, and the HPET's comparators.
            if random.chance(2) {
                let entry = UInt64(random.below(24))
                let low = UInt64(0x30 + entry) | UInt64(random.below(2)) << 15 | UInt64(random.below(2)) << 16
                return [.write(0xFEC0_0000, 4, 0x10 + entry * 2), .write(0xFEC0_0010, 4, low), .read(0xFEC0_0010, 4)]
            }
            let timer = 0xFED0_0100 + UInt64(random.below(3)) * 0x20
            return [
                .write(0xFED0_0010, 4, UInt64(random.below(4))),
                .write(timer, 4, UInt64(random.below(32)) << 9 | UInt64(random.below(128))),
                .write(timer + 8, 4, UInt64(random.below(3_000_000))), .read(0xFED0_00F0, 4), .read(0xFED0_0020, 4),
            ]
        }
    }
}

/// Commands of a CFI flash chip of 64 KiB below 4 GiB.
struct FlashTwinDriver: TwinDriver {
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        let place = 0xFFFF_0000 + UInt64(random.below(0x10000)) & ~7
        func command(_ value: UInt64) -> TwinOperation { .write(place, 1, value) }
        switch random.below(8) {
        case 0: return [command(0x40), .write(place, 1, UInt64(random.below(256)))]
        case 1: return [command(0x20), command(0xD0)]
        case 2:
            // A buffer of words, which may be cut short.
            let count = UInt64(1 + random.below(8))
            let words = (0...random.below(Int(count))).map {
                TwinOperation.write(place + UInt64($0), 1, UInt64(random.below(256)))
            }
            return [command(0xE8), command(count)] + words + (random.chance(2) ? [command(0xD0)] : [])
        case 3: return [command(0x90), .read(place, 1)]
        case 4: return [command(0x98), .read(0xFFFF_0010 + UInt64(random.below(0x40)), 1)]
        case 5: return [command(0x70), .read(place, 1), command(0x50)]
        case 6: return [command(0xFF)]
        default: return [.read(place, [1, 2, 4, 8][random.below(4)])]
        }
    }
}

/// Reads of fw_cfg's items, and its DMA, both ways.
struct FirmwareTwinDriver: TwinDriver {
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        let item = random.chance(2) ? UInt64(random.below(0x20)) : 0x19 + UInt64(random.below(0x30))
        if random.chance(2) {
            return [.portWrite(0x510, 2, item)] + (0..<1 + random.below(30)).map { _ in .portRead(0x511, 1) }
        }
        func big(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - $0) * 8)) }
        }
        let control = item << 16 | [8, 10, 12, 24, 2, 16][random.below(6)]
        let bytes = VirtioBuffers.join(
            big(control, 4), big(UInt64(random.below(200)), 4), big(Scratch.start + 0x1000, 8))
        // A framebuffer's address, kind, size and row.
        let picture = VirtioBuffers.join(
            big(0x30_0000, 8), big(0x3432_5258, 4), big(0, 4), big(64, 4), big(48, 4), big(256, 4))
        return [
            .store(Scratch.start, bytes), .store(Scratch.start + 0x1000, picture), .portWrite(0x514, 4, 0),
            .portWrite(0x518, 4, UInt64(UInt32(Scratch.start).byteSwapped)),
        ]
    }
}

/// The watchdog of two ports.
struct IB700TwinDriver: TwinDriver {
    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        if random.chance(2) { return [.advance(UInt64(1 + random.below(40)) * 500_000_000)] }
        return [.portWrite(random.chance(4) ? 0x441 : 0x443, 1, UInt64(random.below(16)))]
    }
}

/// Commands to a TPM by its registers, begun, sent, read and cancelled.
struct TPMTwinDriver: TwinDriver {
    let isCRB: Bool
    private static let base: UInt64 = 0xFED4_0000
    /// TPM2_SelfTest, TPM2_GetCapability, TPM2_PCR_Read, and one that is none.
    private static let commands: [[UInt8]] = [
        [0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 1],
        [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7A, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 1],
        [0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7E, 0, 0, 0, 1, 0, 0x0B, 3, 1, 0, 0], [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 1],
    ]

    mutating func step(_ random: inout SplitMix64, _ twin: Twin) -> [TwinOperation] {
        let command = Self.commands[random.below(Self.commands.count)]
        func write(_ offset: UInt64, _ size: Int, _ value: UInt64) -> TwinOperation {
            .write(Self.base + offset, size, value)
        }
        func read(_ offset: UInt64, _ size: Int) -> TwinOperation { .read(Self.base + offset, size) }
        if isCRB {
            switch random.below(6) {
            case 0: return [write(8, 4, 1), write(0x40, 4, 1)]
            case 1: return [write(8, 4, 2)]
            case 2: return [write(0x48, 4, UInt64(random.below(2)))]
            case 3: return (0..<8).map { read(0x80 + $0 * 4, 4) } + [read(0x4C, 4), read(0x44, 4)]
            default: return command.enumerated().map { write(0x80 + UInt64($0), 1, UInt64($1)) } + [write(0x4C, 4, 1)]
            }
        }
        switch random.below(7) {
        case 0: return [write(0, 1, [2, 0x20, 8][random.below(3)]), read(0, 1)]
        case 1: return [write(0x18, 4, 0x40), read(0x18, 4)]
        case 2: return [write(0x18, 4, 0x20), read(0x18, 4)]
        case 3: return (0..<random.below(30)).map { _ in read(0x24, 1) } + [read(0x18, 4)]
        case 4: return [write(8, 4, 0x8000_0087), read(0x10, 4), write(0x10, 4, 0x87)]
        default:
            let sent = random.chance(4) ? command.prefix(random.below(command.count)) : command[...]
            return [write(0x18, 4, 0x40)] + sent.map { write(0x24, 1, UInt64($0)) }
                + (random.chance(3) ? [] : [write(0x18, 4, 0x20)])
        }
    }
}
