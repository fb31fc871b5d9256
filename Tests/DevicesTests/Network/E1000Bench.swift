import DeviceModel
import Devices
import GuestMemory
import Testing

/// A card in a slot, and what a driver does with it.
final class E1000Bench {
    static let mac: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x56]
    static let window: UInt64 = 0xFEB0_0000
    static let port: UInt64 = 0xC040
    static let transmitRing: UInt64 = 0x1_0000
    static let receiveRing: UInt64 = 0x2_0000
    static let buffers: UInt64 = 0x10_0000
    /// Descriptors of each ring.
    static let ringCount: UInt32 = 16

    let memory: AddressSpace
    let network = FakeNetwork()
    let clock = ManualClock()
    let line = RecordedLines()
    let io = Bus()
    let mmio = Bus()
    let bus: PCIBus
    let card: PCICard

    init() throws {
        memory = try makeMemory()
        bus = PCIBus(
            spaces: PCISpaces(io: io, memory: mmio, ram: memory),
            routing: .swizzled([InterruptLine(sink: line, number: 11)]))
        card = PCICard.e1000(
            PCICardParts(
                macAddress: Self.mac, memory: memory, backend: network, clock: clock, scheduler: InlineScheduler(),
                stateName: "e1000"))
        try bus.attach(card.function, slot: 3)
        clock.advance(by: 1_000_000_000)
        card.function.writeConfiguration(PCIRegister.bar0, size: 4, value: UInt32(Self.window))
        card.function.writeConfiguration(PCIRegister.bar0 + 4, size: 4, value: UInt32(Self.port))
        card.function.writeConfiguration(PCIRegister.command, size: 2, value: 7)
    }

    var interrupts: Bool { line.level(11) }
    subscript(_ register: UInt64) -> UInt32 {
        get { UInt32(mmio.read(Self.window + register, size: 4)) }
        set { mmio.write(Self.window + register, size: 4, value: UInt64(newValue)) }
    }

    /// One word of the EEPROM over the wires, as drivers of this card read it.
    func eepromWord(_ address: UInt32) -> UInt16 {
        let (clock, select, dataIn, dataOut, request): (UInt32, UInt32, UInt32, UInt32, UInt32) = (1, 2, 4, 8, 0x40)
        self[0x10] = request
        self[0x10] = request | select
        let command = 0b110 << 6 | address
        for bit in (0..<9).reversed() {
            let data = command >> UInt32(bit) & 1 != 0 ? dataIn : 0
            self[0x10] = request | select | data
            self[0x10] = request | select | data | clock
            self[0x10] = request | select | data
        }
        var word: UInt16 = 0
        for _ in 0..<16 {
            self[0x10] = request | select | clock
            word = word << 1 | (self[0x10] & dataOut != 0 ? 1 : 0)
            self[0x10] = request | select
        }
        self[0x10] = 0
        return word
    }

    func phy(_ register: UInt32) -> UInt16 {
        self[0x20] = 2 << 26 | 1 << 21 | register << 16
        return UInt16(truncatingIfNeeded: self[0x20])
    }
    func setPHY(_ register: UInt32, _ value: UInt16) {
        self[0x20] = 1 << 26 | 1 << 21 | register << 16 | UInt32(value)
    }

    /// Rings of 16 descriptors with 2 KiB buffers, as a driver sets them up.
    func start(receiveControl: UInt32 = 1 << 15) throws {
        for index in UInt64(0)..<UInt64(Self.ringCount) {
            try memory.store(GuestPhysical(Self.receiveRing + index * 16), Self.buffers + index * 2048)
            try memory.store(GuestPhysical(Self.receiveRing + index * 16 + 8), UInt64(0))
        }
        for (base, ring) in [(UInt64(0x3800), Self.transmitRing), (0x2800, Self.receiveRing)] {
            self[base] = UInt32(ring)
            self[base + 4] = 0
            self[base + 8] = Self.ringCount * 16
            self[base + 16] = 0
            self[base + 24] = 0
        }
        self[0xD0] = 0x1F6DF
        self[0x400] = 0x0003_F0FA
        self[0x100] = 2 | receiveControl
        self[0x2818] = Self.ringCount - 1
    }

    /// Puts a transmit descriptor in the ring without telling.
    func put(_ index: UInt64, _ address: UInt64, _ second: UInt64) throws {
        try memory.store(GuestPhysical(Self.transmitRing + index * 16), address)
        try memory.store(GuestPhysical(Self.transmitRing + index * 16 + 8), second)
    }
    /// A receive descriptor's second word.
    func received(_ index: UInt64) throws -> UInt64 {
        try memory.load(GuestPhysical(Self.receiveRing + index * 16 + 8), as: UInt64.self)
    }
    func frame(_ count: Int, _ destination: [UInt8] = E1000Bench.mac) -> [UInt8] {
        destination + (6..<count).map { UInt8(truncatingIfNeeded: $0) }
    }
    /// Whether a frame is stored; takes the descriptor back.
    func accepts(_ frame: [UInt8]) -> Bool {
        let before = self[0x2810]
        network.bring(frame)
        let after = self[0x2810]
        self[0x2818] = (after &+ Self.ringCount - 1) % Self.ringCount
        return before != after
    }
    /// The Internet checksum of bytes.
    static func checksum(_ bytes: some Collection<UInt8>) -> UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in bytes.enumerated() { sum += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
