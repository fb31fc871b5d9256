import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

/// What cards of several models have in common, on a bench.
private struct CardBench {
    static let mac: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x56]
    static let receiveRing: UInt64 = 0x1_8000
    static let transmitRing: UInt64 = 0x1_9000
    static let buffers: UInt64 = 0x10_0000
    let bench: PCIBench
    let network = FakeNetwork()
    let card: PCICard

    init(_ make: (PCICardParts) -> PCICard) throws {
        bench = try PCIBench()
        card = make(
            PCICardParts(
                macAddress: Self.mac, memory: bench.memory, backend: network, clock: bench.clock,
                scheduler: InlineScheduler(), stateName: "card"))
        try bench.attach(card.function)
    }
    func frame(_ count: Int, _ destination: [UInt8] = CardBench.mac) -> [UInt8] {
        destination + (6..<count).map { UInt8(truncatingIfNeeded: $0) }
    }
    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try bench.memory.bytes(GuestPhysical(address), count: count)
    }
    func store(_ address: UInt64, _ value: some FixedWidthInteger) throws {
        try bench.memory.store(GuestPhysical(address), value)
    }
    func word(_ address: UInt64) throws -> UInt32 { try bench.memory.load(GuestPhysical(address), as: UInt32.self) }
    static let broadcast = [UInt8](repeating: 0xFF, count: 6)
}

@Suite struct RTL8139Tests {
    private func make() throws -> CardBench { try CardBench { .rtl8139($0) } }

    /// The receive ring of 8 KiB, all causes let through.
    private func start(_ card: CardBench) {
        card.bench.write(0x30, UInt32(CardBench.buffers))
        card.bench.write(0x44, 0x8A)
        card.bench.write(0x37, 0x0C, size: 1)
        card.bench.write(0x3C, 0xE1FF, size: 2)
    }

    @Test func identityAndEEPROM() throws {
        let card = try make()
        #expect(card.card.function.readConfiguration(0, size: 4) == 0x8139_10EC)
        #expect(card.bench.read(0) == 0x1200_5452 && card.bench.read(4, size: 2) == 0x5634)
        #expect(card.bench.read(0x37, size: 1) == 1, "The ring is empty")
        // Word 7 over the wires: a start bit, read, six bits.
        card.bench.write(0x50, 0x88, size: 1)
        for bit in (0..<9).reversed() {
            let data: UInt32 = ((0b110 << 6 | 7) >> UInt32(bit) & 1) << 1
            card.bench.write(0x50, 0x88 | data, size: 1)
            card.bench.write(0x50, 0x8C | data, size: 1)
        }
        var word: UInt32 = 0
        for _ in 0..<16 {
            card.bench.write(0x50, 0x88, size: 1)
            card.bench.write(0x50, 0x8C, size: 1)
            word = word << 1 | card.bench.read(0x50, size: 1) & 1
        }
        #expect(word == 0x5452)
        card.bench.write(0xDA, 0x700, size: 2)
        #expect(card.bench.read(0xDA, size: 2) == 0, "An RTL8169 has a register there")
        card.bench.write(0x62, 0xB300, size: 2)
        #expect(card.bench.read(0x62, size: 2) == 0x3100, "Reset and restart are over at once")
        card.card.setLink(up: false)
        #expect(card.bench.read(0x58, size: 1) & 4 != 0 && card.bench.read(0x64, size: 2) & 4 == 0)
    }

    @Test func theOldWayOut() throws {
        let card = try make()
        start(card)
        let frame = card.frame(100)
        try card.bench.memory.write(GuestPhysical(0x8_0000), bytes: frame)
        card.bench.write(0x20, 0x8_0000)
        card.bench.write(0x10, 100)
        #expect(card.network.frames == [frame])
        #expect(card.bench.read(0x10) & 0xA000 == 0xA000 && card.bench.interrupts)
        card.bench.write(0x3E, 4, size: 2)
        #expect(!card.bench.interrupts)
        // The next descriptor, with memory that is not there.
        card.bench.write(0x24, 0xFFFF_0000)
        card.bench.write(0x14, 60)
        #expect(card.bench.read(0x14) >> 30 & 1 == 1 && card.network.frames.count == 1)
    }

    @Test func theOldWayIn() throws {
        let card = try make()
        card.network.bring(card.frame(64))
        #expect(card.network.waitingCount == 1)
        start(card)
        #expect(card.network.waitingCount == 0 && card.bench.interrupts)
        #expect(try card.word(CardBench.buffers) == 68 << 16 | 0x4001)
        #expect(try card.bytes(CardBench.buffers + 4, 64) == card.frame(64))
        #expect(card.bench.read(0x3A, size: 2) == 72 && card.bench.read(0x37, size: 1) & 1 == 0)
        card.network.bring(card.frame(64, [2, 0, 0, 0, 0, 9]))
        #expect(card.bench.read(0x3A, size: 2) == 72, "For somebody else")
        card.network.bring(card.frame(64, CardBench.broadcast))
        #expect(try card.word(CardBench.buffers + 72) == 68 << 16 | 0x2001)
        // No room, until the driver has read.
        for _ in 0..<6 { card.network.bring(card.frame(1514)) }
        #expect(card.network.waitingCount > 0)
        card.bench.write(0x38, card.bench.read(0x3A, size: 2) &- 16, size: 2)
        #expect(card.network.waitingCount == 0)
    }

    @Test func theRingsOfTheNewWay() throws {
        let card = try make()
        card.bench.write(0xE0, 0x3, size: 2)
        card.bench.write(0x20, UInt32(CardBench.transmitRing))
        card.bench.write(0x24, 0)
        card.bench.write(0xE4, UInt32(CardBench.receiveRing))
        card.bench.write(0xE8, 0)
        try card.store(CardBench.receiveRing, UInt32(1 << 31 | 1 << 30 | 1536))
        try card.store(CardBench.receiveRing + 8, CardBench.buffers)
        card.bench.write(0x37, 0x0C, size: 1)
        card.bench.write(0x44, 0x0A)
        card.bench.write(0x3C, 0xE1FF, size: 2)
        card.network.bring(card.frame(200))
        #expect(try card.word(CardBench.receiveRing) == 1 << 30 | 3 << 28 | 1 << 26 | 204)
        #expect(try card.bytes(CardBench.buffers, 200) == card.frame(200))
        card.network.bring(card.frame(200))
        #expect(card.network.waitingCount == 1, "The driver has the only descriptor")
        // Two parts, one frame.
        try card.bench.memory.write(GuestPhysical(0x8_0000), bytes: card.frame(100))
        try card.store(CardBench.transmitRing, UInt32(1 << 31 | 1 << 29 | 60))
        try card.store(CardBench.transmitRing + 8, UInt64(0x8_0000))
        try card.store(CardBench.transmitRing + 16, UInt32(1 << 31 | 1 << 30 | 1 << 28 | 40))
        try card.store(CardBench.transmitRing + 24, UInt64(0x8_0000 + 60))
        card.bench.write(0xD9, 0x40, size: 1)
        #expect(card.network.frames == [card.frame(100)])
        #expect(try card.word(CardBench.transmitRing) >> 31 == 0)
        // A descriptor that the driver gives before it lets causes through again.
        let given: UInt32 = 0xC000_0600
        try card.store(CardBench.receiveRing, given)
        #expect(card.network.waitingCount == 1)
        card.bench.write(0x3C, 0xE1FF, size: 2)
        #expect(card.network.waitingCount == 0)
        // One that it gives without a word is found a moment later.
        card.network.bring(card.frame(300))
        #expect(card.network.waitingCount == 1)
        card.bench.clock.advance(by: 20_000_000)
        #expect(card.network.waitingCount == 1, "It is still the driver's")
        try card.store(CardBench.receiveRing, given)
        card.bench.clock.advance(by: 20_000_000)
        #expect(card.network.waitingCount == 0)
        #expect(try card.bytes(CardBench.buffers, 300) == card.frame(300))
        // What it gives back says nothing of collisions, whatever it was asked to compute.
        let asked: UInt32 = 0xF007_003C
        try card.store(CardBench.transmitRing, asked)
        card.bench.write(0x20, UInt32(CardBench.transmitRing))
        card.bench.write(0xD9, 0x40, size: 1)
        #expect(try card.word(CardBench.transmitRing) == 0x7000_003C)
    }

    @Test func stateMoves() throws {
        let card = try make()
        start(card)
        card.network.bring(card.frame(100))
        let saved = card.card.exportState()
        let twin = try make()
        try twin.card.importState(saved)
        #expect(twin.card.exportState() == saved && twin.bench.interrupts)
        twin.network.bring(twin.frame(64))
        #expect(try twin.word(CardBench.buffers + 108) == 68 << 16 | 0x4001)
    }

    @Test func randomPokesDoNoHarm() throws {
        let card = try make()
        let registers: [UInt64] = [
            0, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x37, 0x38, 0x3C, 0x3E, 0x40, 0x44, 0x48, 0x50,
            0x52, 0x54, 0x62, 0xD9, 0xE0, 0xE4, 0xE8,
        ]
        try card.bench.poke(registers, seed: 21, rounds: 40_000) { bits in
            if bits & 3 == 0 { start(card) }
            card.network.bring(card.frame(14 + Int(bits >> 8 % 2000)))
            if bits >> 4 & 31 == 0 { card.network.forget() }
        }
        card.card.reset()
        card.bench.open(card.card.function)
        #expect(card.bench.read(0x3C, size: 2) == 0)
    }
}

@Suite struct PCNetTests {
    private func make() throws -> CardBench { try CardBench { .pcnet($0) } }
    private func csr(_ card: CardBench, _ register: UInt32) -> UInt32 {
        card.bench.write(0x14, register)
        return card.bench.read(0x10)
    }
    private func setCSR(_ card: CardBench, _ register: UInt32, _ value: UInt32) {
        card.bench.write(0x14, register)
        card.bench.write(0x10, value)
    }

    /// Rings of two in the 32-bit style, as drivers set them up; true where the card is initialised then.
    @discardableResult
    private func start(_ card: CardBench) throws -> Bool {
        card.bench.write(0x10, 0)
        card.bench.write(0x14, 20)
        card.bench.write(0x1C, 2)
        let block: UInt64 = 0x1_0000
        try card.bench.memory.write(
            GuestPhysical(block), bytes: [0, 0, 0x10, 0x10] + CardBench.mac + [UInt8](repeating: 0, count: 10))
        try card.store(block + 20, UInt32(CardBench.receiveRing))
        try card.store(block + 24, UInt32(CardBench.transmitRing))
        for index in UInt64(0)..<2 {
            try card.store(CardBench.receiveRing + index * 16, UInt32(CardBench.buffers + index * 2048))
            try card.store(CardBench.receiveRing + index * 16 + 4, UInt32(0x8000_F000 | 0x1000 - 1544))
            try card.store(CardBench.transmitRing + index * 16 + 4, UInt32(0))
        }
        setCSR(card, 1, UInt32(block & 0xFFFF))
        setCSR(card, 2, UInt32(block >> 16))
        setCSR(card, 4, 0x1000)
        setCSR(card, 0, 1)
        let isInitialised = csr(card, 0) & 0x100 != 0
        setCSR(card, 0, 0x142)
        return isInitialised
    }

    @Test func identity() throws {
        let card = try make()
        #expect(card.card.function.readConfiguration(0, size: 4) == 0x2000_1022)
        #expect(card.bench.read(0) == 0x1200_5452 && card.bench.read(0x0E, size: 2) == 0x5757)
        card.bench.write(0x12, 88, size: 2)
        #expect(card.bench.read(0x10, size: 2) == 0x1003)
        card.bench.write(0x10, 0)
        #expect(csr(card, 88) == 0x1003 && csr(card, 89) == 0x0262, "By 32 bits now")
    }

    @Test func framesComeAndGo() throws {
        let card = try make()
        #expect(try start(card))
        card.network.bring(card.frame(100))
        #expect(card.bench.interrupts && csr(card, 0) & 0x480 == 0x480)
        #expect(try card.word(CardBench.receiveRing + 4) >> 16 == 0x0340)
        #expect(try card.word(CardBench.receiveRing + 8) == 104)
        #expect(try card.bytes(CardBench.buffers, 100) == card.frame(100))
        setCSR(card, 0, 0x7F40)
        #expect(!card.bench.interrupts)
        try card.bench.memory.write(GuestPhysical(0x8_0000), bytes: card.frame(80))
        try card.store(CardBench.transmitRing, UInt32(0x8_0000))
        try card.store(CardBench.transmitRing + 4, UInt32(0x8300_F000 | 0x1000 - 80))
        setCSR(card, 0, 0x48)
        #expect(card.network.frames == [card.frame(80)])
        #expect(try card.word(CardBench.transmitRing + 4) >> 31 == 0 && csr(card, 0) & 0x200 != 0)
        card.network.bring(card.frame(100, [2, 0, 0, 0, 0, 9]))
        #expect(try card.word(CardBench.receiveRing + 16 + 4) >> 31 == 1, "For somebody else")
        card.network.bring(card.frame(100, CardBench.broadcast))
        card.network.bring(card.frame(100))
        #expect(card.network.waitingCount == 1, "Both descriptors are the driver's")
    }

    @Test func stateMoves() throws {
        let card = try make()
        try start(card)
        card.network.bring(card.frame(100))
        let saved = card.card.exportState()
        let twin = try make()
        try twin.card.importState(saved)
        #expect(twin.card.exportState() == saved && twin.bench.interrupts)
    }

    @Test func randomPokesDoNoHarm() throws {
        let card = try make()
        try card.bench.poke([0x10, 0x10, 0x12, 0x14, 0x14, 0x16, 0x18, 0x1C], seed: 22, rounds: 40_000) { bits in
            if bits & 3 == 0 { _ = try? start(card) }
            card.network.bring(card.frame(14 + Int(bits >> 8 % 2000)))
            if bits >> 4 & 31 == 0 { card.network.forget() }
        }
        card.card.reset()
        card.bench.write(0x12, 0, size: 2)
        #expect(card.bench.read(0x10, size: 2) & 4 != 0, "It has stopped")
    }
}

@Suite struct E1000ETests {
    private func make() throws -> CardBench { try CardBench { .e1000e($0) } }

    /// Rings of 16 with extended receive descriptors.
    private func start(_ card: CardBench) throws {
        for index in UInt64(0)..<16 {
            try card.store(CardBench.receiveRing + index * 16, CardBench.buffers + index * 2048)
            try card.store(CardBench.receiveRing + index * 16 + 8, UInt64(0))
        }
        for (base, ring) in [(UInt64(0x3800), CardBench.transmitRing), (0x2800, CardBench.receiveRing)] {
            card.bench.write(base, UInt32(ring))
            card.bench.write(base + 4, 0)
            card.bench.write(base + 8, 256)
            card.bench.write(base + 16, 0)
            card.bench.write(base + 24, 0)
        }
        card.bench.write(0x5008, 0x8000)
        card.bench.write(0x400, 0x0003_F0FA)
        card.bench.write(0x100, 2 | 1 << 15)
        card.bench.write(0x2818, 15)
    }

    @Test func identity() throws {
        let card = try make()
        #expect(card.card.function.readConfiguration(0, size: 4) == 0x10D3_8086)
        var sum: UInt32 = 0
        for word in UInt32(0)..<64 {
            card.bench.write(0x14, word << 2 | 1)
            #expect(card.bench.read(0x14) & 2 != 0)
            sum += card.bench.read(0x14) >> 16
        }
        #expect(sum & 0xFFFF == 0xBABA)
        #expect(card.bench.read(0x08) >> 19 & 1 == 1)
        card.bench.write(0, card.bench.read(0) | 4)
        #expect(card.bench.read(0x08) >> 19 & 1 == 0, "No longer master")
        card.bench.write(0x20, 2 << 26 | 1 << 21 | 3 << 16)
        #expect(card.bench.read(0x20) & 0xFFFF == 0x0CB1)
    }

    @Test func extendedDescriptors() throws {
        let card = try make()
        try start(card)
        card.network.bring(card.frame(300))
        #expect(try card.word(CardBench.receiveRing + 8) & 3 == 3)
        #expect(try card.word(CardBench.receiveRing + 12) == 304)
        #expect(try card.bytes(CardBench.buffers, 300) == card.frame(300))
        // A packet over the four buffers of a descriptor: 256 bytes, then kibibytes.
        card.bench.write(0x100, 2 | 1 << 5 | 1 << 10 | 1 << 15)
        card.bench.write(0x2170, 2 | 1 << 8 | 1 << 16 | 1 << 24)
        card.bench.write(0x2810, 0)
        for buffer in UInt64(0)..<4 {
            try card.store(CardBench.receiveRing + buffer * 8, CardBench.buffers + 0x1_0000 + buffer * 4096)
        }
        card.bench.write(0x2818, 1)
        card.network.bring(card.frame(2000))
        let middle: UInt64 = try card.bench.memory.load(GuestPhysical(CardBench.receiveRing + 8), as: UInt64.self)
        #expect(middle & 3 == 3 && middle >> 32 & 0xFFFF == 256)
        let upper: UInt64 = try card.bench.memory.load(GuestPhysical(CardBench.receiveRing + 16), as: UInt64.self)
        #expect(upper == 1024 << 16 | 724 << 32)
        #expect(try card.bytes(CardBench.buffers + 0x1_0000, 256) == Array(card.frame(2000)[..<256]))
    }

    @Test func vectors() throws {
        let card = try make()
        let table = try #require(card.bench.windows[3])
        for vector in UInt64(0)..<5 {
            table.bus.write(table.start + vector * 16, size: 4, value: 0xFEE0_0000)
            table.bus.write(table.start + vector * 16 + 8, size: 4, value: 0x40 + vector)
            table.bus.write(table.start + vector * 16 + 12, size: 4, value: 0)
        }
        let capability = (0x40..<0x100).first {
            $0 % 4 == 0 && card.card.function.readConfiguration($0, size: 1) == 0x11
        }
        card.card.function.writeConfiguration(try #require(capability) + 2, size: 2, value: 0x8000)
        try start(card)
        // Receive queue to 0, transmit queue to 1, others to 2, all cleared by their messages.
        card.bench.write(0xE4, 0x8 | 0x9 << 8 | 0xA << 16)
        card.bench.write(0xDC, 0x01F0_0000)
        card.bench.write(0xD0, 0x0150_0004)
        card.network.bring(card.frame(100))
        #expect(card.bench.messages.messages.map(\.data) == [0x40])
        card.network.bring(card.frame(100))
        #expect(card.bench.messages.messages.map(\.data) == [0x40, 0x40])
        card.card.setLink(up: false)
        #expect(card.bench.messages.messages.last?.data == 0x42 && !card.bench.interrupts)
        #expect(card.bench.read(0xC0) & 4 == 4)
    }

    /// A message that waits for its time when the state is taken is sent by the card that goes on, and not before the
    /// processors are there.
    @Test func aMessageThatWaitsIsSentWhereTheCardGoesOn() throws {
        let card = try make()
        let table = try #require(card.bench.windows[3])
        table.bus.write(table.start, size: 4, value: 0xFEE0_0000)
        table.bus.write(table.start + 8, size: 4, value: 0x40)
        table.bus.write(table.start + 12, size: 4, value: 0)
        let capability = (0x40..<0x100).first {
            $0 % 4 == 0 && card.card.function.readConfiguration($0, size: 1) == 0x11
        }
        card.card.function.writeConfiguration(try #require(capability) + 2, size: 2, value: 0x8000)
        try start(card)
        card.bench.write(0xE4, 0x8)
        card.bench.write(0xDC, 0x01F0_0000)
        card.bench.write(0xD0, 0x0010_0000)
        // 65535 times 256 ns between two.
        card.bench.write(0xE8, 0xFFFF)
        card.network.bring(card.frame(100))
        card.network.bring(card.frame(100))
        #expect(card.bench.messages.messages.map(\.data) == [0x40])
        card.card.pause()
        let saved = card.card.exportState()
        let twin = try make()
        twin.card.pause()
        try twin.card.importState(saved)
        #expect(twin.bench.messages.messages.isEmpty)
        twin.card.resume()
        #expect(twin.bench.messages.messages.map(\.data) == [0x40])
    }

    @Test func stateMoves() throws {
        let card = try make()
        try start(card)
        card.bench.write(0xD0, 0x80)
        card.network.bring(card.frame(100))
        #expect(card.bench.interrupts)
        let saved = card.card.exportState()
        let twin = try make()
        try twin.card.importState(saved)
        #expect(twin.bench.interrupts && twin.bench.read(0x5008) == 0x8000)
    }

    @Test func randomPokesDoNoHarm() throws {
        let card = try make()
        let registers: [UInt64] = [
            0, 0x10, 0x14, 0x18, 0x20, 0xC0, 0xC8, 0xD0, 0xD8, 0xDC, 0xE0, 0xE4, 0xE8, 0x100, 0x2170, 0x2800, 0x2808,
            0x2810, 0x2818, 0x3800, 0x3808, 0x3810, 0x3818, 0x5008, 0x5400,
        ]
        try card.bench.poke(registers, seed: 23, rounds: 20_000) { bits in
            if bits & 3 == 0 { try? start(card) }
            card.network.bring(card.frame(14 + Int(bits >> 8 % 3000)))
            if bits >> 4 & 31 == 0 { card.network.forget() }
        }
        card.card.reset()
        card.bench.open(card.card.function)
        #expect(card.bench.read(0xD0) == 0)
    }
}
