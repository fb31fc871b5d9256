import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

@Suite struct E1000Tests {
    private typealias Command = (endOfPacket: UInt64, crc: UInt64, report: UInt64, extended: UInt64, delayed: UInt64)
    private let command: Command = (1 << 24, 1 << 25, 1 << 27, 1 << 29, 1 << 31)

    @Test func identity() throws {
        let bench = try E1000Bench()
        #expect(bench.card.function.readConfiguration(0, size: 4) == 0x100E_8086)
        #expect(bench.card.function.readConfiguration(8, size: 4) == 0x0200_0003)
        let words = (0..<64).map { bench.eepromWord(UInt32($0)) }
        #expect(words[..<3] == [0x5452, 0x1200, 0x5634])
        #expect(words.reduce(0, &+) == 0xBABA)
        bench[0x14] = 1 << 8 | 1
        #expect(bench[0x14] == 0x1200_0110)
        #expect(bench[0x10] & 0x80 == 0)
        bench[0x10] = 0x40
        #expect(bench[0x10] & 0x80 != 0, "Asked for, the EEPROM is granted")
        #expect(bench[0x5400] == 0x1200_5452 && bench[0x5404] == 0x8000_5634)
    }

    @Test func physicalLayer() throws {
        let bench = try E1000Bench()
        #expect(bench.phy(2) == 0x0141 && bench.phy(3) & 0xFFF0 == 0x0C20)
        #expect(bench.phy(1) & 0x24 == 0x24)
        bench.setPHY(0, 0x9340)
        #expect(bench.phy(0) & 0x8200 == 0, "Reset and restart clear themselves")
        #expect(bench[0xC0] & 4 == 4)
        bench[0x20] = 2 << 26 | 2 << 21 | 1 << 16
        #expect(bench[0x20] & 1 << 30 != 0, "At address 2 there is nobody")
        bench.card.setLink(up: false)
        #expect(bench.phy(1) & 4 == 0 && bench[8] & 2 == 0)
        bench[0xD0] = 4
        #expect(bench.interrupts && bench[0xC0] == 4 && !bench.interrupts)
        bench.card.setLink(up: true)
        #expect(bench.interrupts && bench[8] & 2 == 2)
    }

    @Test func resetByPorts() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench[0x5400] = 1
        bench.io.write(E1000Bench.port, size: 4, value: 0)
        bench.io.write(E1000Bench.port + 4, size: 4, value: 1 << 26 | 0x240)
        #expect(bench[0x100] == 0 && bench[0xD0] == 0 && bench[0x5400] == 0x1200_5452)
        #expect(bench.io.read(E1000Bench.port + 4, size: 4) & 0x0400_0040 == 0x40)
    }

    @Test func framesLeave() throws {
        let bench = try E1000Bench()
        try bench.start()
        let (first, second) = (bench.frame(100), bench.frame(1514))
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: first)
        try bench.memory.write(GuestPhysical(0x8_1000), bytes: second)
        try bench.put(0, 0x8_0000, 100 | command.endOfPacket | command.crc | command.report)
        try bench.put(1, 0x8_1000, 514 | command.crc | command.report)
        try bench.put(2, 0x8_1000 + 514, 1000 | command.endOfPacket | command.crc | command.report)
        bench[0x3818] = 3
        #expect(bench.network.frames == [first, second])
        #expect(bench[0x3810] == 3)
        #expect(try bench.memory.load(GuestPhysical(E1000Bench.transmitRing + 44), as: UInt8.self) == 1)
        #expect(bench.interrupts && bench[0xC0] & 3 == 3 && !bench.interrupts)
        #expect(bench[0x4080] == 2 && bench[0x4080] == 0)
        #expect(bench[0x4090] == 1622 && bench[0x4094] == 0 && bench[0x4090] == 0)
    }

    @Test func shortFramesArePaddedAndTagsInserted() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench[0] = 1 << 30 | 0x40
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(40))
        try bench.put(0, 0x8_0000, 40 | command.endOfPacket | 1 << 30 | 5 << 48)
        bench[0x3818] = 1
        let sent = try #require(bench.network.frames.first)
        #expect(sent.count == 60 && Array(sent[10..<18]) == [10, 11, 0x81, 0, 0, 5, 12, 13])
        #expect(sent[44...] == [UInt8](repeating: 0, count: 16)[...])
    }

    /// Ethernet, IPv4 and TCP or UDP headers.
    private func packet(_ bench: E1000Bench, payload: Int, isTCP: Bool) -> [UInt8] {
        var bytes = E1000Bench.mac + [2, 0, 0, 0, 0, 1, 8, 0]
        bytes += [0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, isTCP ? 6 : 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]
        if isTCP {
            bytes += [0, 80, 0, 81, 0xFF, 0xFF, 0xFF, 0xF0, 0, 0, 0, 0, 0x50, 0x19, 0x20, 0, 0, 0, 0, 0]
        } else {
            bytes += [0, 80, 0, 81, 0, UInt8(8 + payload), 0, 0]
        }
        return bytes + (0..<payload).map { UInt8(truncatingIfNeeded: $0 * 7) }
    }
    private func pseudoHeader(_ frame: [UInt8]) -> [UInt8] {
        let length = frame.count - 34
        return Array(frame[26..<34]) + [0, frame[23], UInt8(length >> 8), UInt8(length & 0xFF)]
    }

    @Test func checksumsAreInserted() throws {
        let bench = try E1000Bench()
        try bench.start()
        var bytes = packet(bench, payload: 101, isTCP: false)
        // The driver leaves the pseudo header's sum where the checksum goes.
        let partial = ~E1000Bench.checksum(pseudoHeader(bytes))
        bytes[40] = UInt8(partial >> 8)
        bytes[41] = UInt8(partial & 0xFF)
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bytes)
        try bench.put(0, 14 | 24 << 8 | 33 << 16 | 34 << 32 | 40 << 40, command.extended | 1 << 25)
        try bench.put(
            1, 0x8_0000,
            UInt64(bytes.count) | 1 << 20 | command.endOfPacket | command.extended | 3 << 40)
        bench[0x3818] = 2
        let sent = try #require(bench.network.frames.first)
        #expect(sent.count == bytes.count)
        #expect(E1000Bench.checksum(sent[14..<34]) == 0)
        #expect(E1000Bench.checksum(pseudoHeader(sent) + sent[34...]) == 0)
    }

    @Test func longPacketsAreCut() throws {
        let bench = try E1000Bench()
        try bench.start()
        var bytes = packet(bench, payload: 3000, isTCP: true)
        // Without a length in it.
        let partial = ~E1000Bench.checksum(Array(bytes[26..<34]) + [0, 6])
        bytes[50] = UInt8(partial >> 8)
        bytes[51] = UInt8(partial & 0xFF)
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bytes)
        let tcp: UInt64 = 1 << 24 | 1 << 25 | 1 << 26
        try bench.put(
            0, 14 | 24 << 8 | 33 << 16 | 34 << 32 | 50 << 40, 3000 | command.extended | tcp | 54 << 40 | 1400 << 48)
        let data: UInt64 = 1 << 20 | 1 << 26 | command.extended | 3 << 40
        try bench.put(1, 0x8_0000, 54 | data)
        try bench.put(2, 0x8_0000 + 54, 3000 | data | command.endOfPacket | command.report)
        bench[0x3818] = 3
        let frames = bench.network.frames
        #expect(frames.map(\.count) == [1454, 1454, 254])
        for (index, frame) in frames.enumerated() {
            #expect(Int(frame[16]) << 8 | Int(frame[17]) == frame.count - 14)
            #expect(Int(frame[18]) << 8 | Int(frame[19]) == 0x1234 + index)
            let sequence = frame[38..<42].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(sequence == 0xFFFF_FFF0 &+ UInt32(index * 1400))
            #expect(frame[47] == (index == 2 ? 0x19 : 0x10))
            #expect(E1000Bench.checksum(frame[14..<34]) == 0)
            #expect(E1000Bench.checksum(pseudoHeader(frame) + frame[34...]) == 0)
        }
        #expect(frames.flatMap { $0[54...] } == Array(bytes[54...]))
    }

    @Test func framesArrive() throws {
        let bench = try E1000Bench()
        let came = bench.frame(300)
        bench.network.bring(came)
        #expect(bench.network.waitingCount == 1, "Receiving is off")
        try bench.start()
        #expect(bench.network.waitingCount == 0)
        #expect(try bench.received(0) == 304 | 3 << 32)
        #expect(try bench.memory.bytes(GuestPhysical(E1000Bench.buffers), count: 300) == came)
        #expect(bench.interrupts && bench[0xC0] & 0x80 != 0)
        bench.network.bring(bench.frame(30))
        #expect(try bench.received(1) == 64 | 3 << 32, "Short frames are padded")
    }

    @Test func largeFramesTakeSeveralBuffersOrWait() throws {
        let bench = try E1000Bench()
        // Long packets, no check sequence.
        try bench.start(receiveControl: 1 << 5 | 1 << 26)
        bench.network.bring(bench.frame(5000))
        #expect(try bench.received(0) == 2048 | 1 << 32)
        #expect(try bench.received(1) == 2048 | 1 << 32)
        #expect(try bench.received(2) == 904 | 3 << 32)
        bench[0x2818] = 4
        _ = bench[0xC0]
        bench.network.bring(bench.frame(3000))
        #expect(bench[0x2810] == 3 && bench[0xC0] & 0x40 != 0, "An overrun")
        bench.network.bring(bench.frame(100))
        #expect(bench.network.waitingCount == 1)
        bench[0x2818] = 8
        #expect(bench[0x2810] == 6 && bench.network.waitingCount == 0)
        #expect(try bench.received(4) == 952 | 3 << 32)
        #expect(bench[0x2810] == 6)
    }

    @Test func filters() throws {
        let bench = try E1000Bench()
        try bench.start(receiveControl: 0)
        let (broadcast, group, other): ([UInt8], [UInt8], [UInt8]) = (
            [UInt8](repeating: 0xFF, count: 6), [1, 0, 0x5E, 0, 0, 0x16], [2, 0, 0, 0, 0, 9]
        )
        #expect(bench.accepts(bench.frame(60)))
        #expect(!bench.accepts(bench.frame(60, broadcast)))
        #expect(!bench.accepts(bench.frame(60, group)))
        #expect(!bench.accepts(bench.frame(60, other)))
        bench[0x100] = 2 | 1 << 15
        #expect(bench.accepts(bench.frame(60, broadcast)) && !bench.accepts(bench.frame(60, group)))
        // The hash is bits 47 to 36 of the address: 0x160.
        bench[0x5200 + 0x0B * 4] = 1 << 0
        #expect(bench.accepts(bench.frame(60, group)))
        bench[0x5200 + 0x0B * 4] = 0
        bench[0x100] = 2 | 1 << 4
        #expect(bench.accepts(bench.frame(60, group)) && !bench.accepts(bench.frame(60, other)))
        bench[0x100] = 2 | 1 << 3
        #expect(bench.accepts(bench.frame(60, other)))
        bench[0x100] = 2
        bench[0x5408] = 0x0000_0002
        bench[0x540C] = 0x8000_0900
        #expect(bench.accepts(bench.frame(60, other)))
        #expect(!bench.accepts(bench.frame(1600)))
    }

    @Test func virtualNetworks() throws {
        let bench = try E1000Bench()
        try bench.start()
        var tagged = bench.frame(100)
        tagged.replaceSubrange(12..<16, with: [0x81, 0, 0x20, 0x05])
        bench[0x100] = 2 | 1 << 18
        #expect(!bench.accepts(tagged))
        bench[0x5600] = 1 << 5
        #expect(bench.accepts(tagged))
        #expect(try bench.memory.bytes(GuestPhysical(E1000Bench.buffers), count: 100) == tagged)
        bench[0] = 1 << 30
        #expect(bench.accepts(tagged))
        #expect(try bench.received(1) == 100 | 0xB << 32 | 0x2005 << 48)
        #expect(
            try bench.memory.bytes(GuestPhysical(E1000Bench.buffers + 2048), count: 96)
                == Array(tagged[..<12] + tagged[16...]))
    }

    @Test func interruptsAreModerated() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench[0xC4] = 1000
        bench[0xC8] = 4
        #expect(bench.interrupts && bench[0xC0] == 4 && !bench.interrupts)
        bench[0xC8] = 4
        #expect(!bench.interrupts, "256 µs have not passed")
        bench.clock.advance(by: 255_000)
        #expect(!bench.interrupts)
        bench.clock.advance(by: 1_000)
        #expect(bench.interrupts && bench[0xC0] == 4)
        bench[0xC4] = 0

        // Units of 1.024 µs: ten after the last frame, fifteen after the first.
        bench[0x2820] = 10
        bench[0x282C] = 15
        bench.network.bring(bench.frame(60))
        bench.clock.advance(by: 9 * 1024)
        bench.network.bring(bench.frame(60))
        #expect(!bench.interrupts)
        bench.clock.advance(by: 6 * 1024)
        #expect(bench.interrupts && bench[0xC0] & 0x80 != 0)

        bench[0x3820] = 10
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(60))
        try bench.put(0, 0x8_0000, 60 | command.endOfPacket | command.report | command.delayed)
        bench[0xD8] = 2
        bench[0x3818] = 1
        #expect(!bench.interrupts)
        bench.clock.advance(by: 11 * 1024)
        #expect(bench.interrupts && bench[0xC0] & 1 != 0)
    }

    @Test func loopback() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench.setPHY(0, 0x4140)
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(200))
        try bench.put(0, 0x8_0000, 200 | command.endOfPacket)
        bench[0x3818] = 1
        #expect(bench.network.frames.isEmpty)
        #expect(try bench.received(0) == 204 | 3 << 32)
    }

    @Test func withoutBusMasteringNothingMoves() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench.card.function.writeConfiguration(PCIRegister.command, size: 2, value: 3)
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(60))
        try bench.put(0, 0x8_0000, 60 | command.endOfPacket)
        bench[0x3818] = 1
        bench.network.bring(bench.frame(60))
        #expect(bench.network.frames.isEmpty && bench.network.waitingCount == 1)
        bench.card.function.writeConfiguration(PCIRegister.command, size: 2, value: 7)
        #expect(bench.network.frames.count == 1 && bench.network.waitingCount == 0)
    }

    @Test func malformedRings() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench[0x3818] = 100
        bench[0x3810] = 0xFFFF
        bench[0x2818] = 0xFFFF
        bench.network.bring(bench.frame(60))
        #expect(bench.network.frames.isEmpty)
        // Descriptors and data outside of memory.
        bench[0x3810] = 0
        bench[0x3804] = 0xFFFF_FFFF
        bench[0x3818] = 5
        #expect(bench[0x3810] == 5 && bench.network.frames.isEmpty)
        bench[0x3804] = 0
        try bench.put(5, 0xFFFF_FFFF_FFFF_FFF0, 1000 | command.endOfPacket)
        try bench.put(6, 0x8_0000, 0xFFFF | command.endOfPacket)
        // A cut into segments of nothing, with headers longer than the packet.
        try bench.put(7, 255, command.extended | 1 << 26 | 255 << 40)
        try bench.put(8, 0x8_0000, 100 | 1 << 20 | command.extended | 1 << 26 | command.endOfPacket)
        bench[0x3818] = 9
        #expect(bench[0x3810] == 9 && bench.network.frames.isEmpty)
    }

    @Test func stateMoves() throws {
        let bench = try E1000Bench()
        try bench.start()
        bench[0x2820] = 10
        try bench.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(100))
        try bench.put(0, 0x8_0000, 60 | command.report)
        bench[0x3818] = 1
        bench.network.bring(bench.frame(60))
        bench.card.pause()
        let saved = bench.card.exportState()
        let twin = try E1000Bench()
        try twin.card.importState(saved)
        #expect(twin.card.exportState() == saved)
        try twin.memory.write(GuestPhysical(0x8_0000), bytes: bench.frame(100))
        try twin.put(1, 0x8_0000 + 60, 40 | command.endOfPacket)
        twin[0x3818] = 2
        #expect(twin.network.frames == [bench.frame(100)], "The packet was begun by the other")
        #expect(twin[0x2810] == 1)
    }

    @Test func randomPokesDoNoHarm() throws {
        let bench = try E1000Bench()
        try bench.start()
        var random = SplitMix64(state: 7)
        let registers: [UInt64] = [
            0, 8, 0x10, 0x14, 0x18, 0x20, 0x38, 0xC0, 0xC4, 0xC8, 0xD0, 0xD8, 0x100, 0x400, 0x2800, 0x2804, 0x2808,
            0x2810, 0x2818, 0x2820, 0x282C, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x382C, 0x5200, 0x5400,
            0x5404, 0x5600, 0x4090, 0x5FFC, 0x1_FFFC,
        ]
        for step in 0..<FuzzRounds.times(100_000) {
            let register = registers[Int(random.next() % UInt64(registers.count))]
            var value = UInt32(truncatingIfNeeded: random.next())
            if step % 3 == 0 { value &= 0xFF }
            // Few large rings: each takes a while to go through.
            if register & 0xFFF == 0x808, step % 64 != 0 { value &= 0xFFF }
            switch random.next() % 8 {
            case 0: _ = bench.mmio.read(E1000Bench.window + register, size: [1, 2, 4, 8][step % 4])
            case 1: bench.mmio.write(E1000Bench.window + register + UInt64(value & 3), size: 8, value: UInt64(value))
            case 2: bench.network.bring(bench.frame(14 + Int(value % 3000)))
            case 3: bench.clock.advance(by: UInt64(value % 100_000))
            case 4:
                bench.io.write(E1000Bench.port, size: 4, value: UInt64(register))
                bench.io.write(E1000Bench.port + 4, size: 4, value: UInt64(value))
            case 5:
                // Descriptors of small numbers, whose addresses are often memory.
                let place = UInt64(value) % 32
                try bench.put(place, random.next() & 0x1F_FFFF, random.next() & 0x07FF_FFFF_FF3F_3FFF)
            case 6 where step % 64 == 0:
                try bench.start(receiveControl: value & 0x0402_8038)
            default:
                // The reset bit would end every run of accesses.
                bench[register] = register == 0 ? value & ~(1 << 26) : value
            }
            if step % 1000 == 0 { bench.network.forget() }
        }
        #expect(bench[0x0C] == 0)
    }
}
