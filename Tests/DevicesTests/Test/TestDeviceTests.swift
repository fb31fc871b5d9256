import DeviceModel
import Devices
import Synchronization
import Testing

@Suite("Devices of test kernels")
struct TestDeviceTests {
    /// Remembers what hangs.
    private final class Bells: DoorbellHost {
        let hanging = Mutex<[Doorbell]>([])
        func attach(_ doorbell: Doorbell) -> Bool {
            hanging.withLock { $0.append(doorbell) }
            return true
        }
        func detach(_ doorbell: Doorbell) { hanging.withLock { $0.removeAll { $0 == doorbell } } }
        var all: [Doorbell] { hanging.withLock { $0 } }
    }

    /// A bus with the device, its windows at F0000000H and C000H.
    private func makeBoard(_ bells: Bells?) throws -> (io: Bus, memory: Bus, device: PCITestDevice, pci: PCIBus) {
        let (io, memory) = (Bus(), Bus())
        let pci = PCIBus(spaces: PCISpaces(io: io, memory: memory, doorbells: bells))
        let device = PCITestDevice()
        try pci.attach(device.function, slot: 3)
        device.function.writeConfiguration(0x10, size: 4, value: 0xF000_0000)
        device.function.writeConfiguration(0x14, size: 4, value: 0xC000)
        device.function.writeConfiguration(4, size: 2, value: 3)
        return (io, memory, device, pci)
    }

    @Test("Each test has its place, value and name, and only the plain ones count")
    func header() throws {
        let board = try makeBoard(nil)
        let names = ["no-eventfd", "wildcard-eventfd", "datamatch-eventfd"]
        for (bus, base, kind) in [(board.memory, UInt64(0xF000_0000), "mmio"), (board.io, 0xC000, "portio")] {
            for number in UInt64(0)..<3 {
                bus.write(base, size: 1, value: number)
                let offset = bus.read(base + 4, size: 4)
                let value = bus.read(base + 8, size: 1)
                #expect(bus.read(base + 1, size: 1) == 1)
                #expect(offset == (kind == "mmio" ? 0x800 + number : 0x80 + 3 + number))
                #expect(value == (number == 1 ? 0xCE : 0xFA))
                let name = (0..<40).map { UInt8(bus.read(base + 16 + $0, size: 1)) }.prefix { $0 != 0 }
                #expect(String(decoding: name, as: UTF8.self) == "\(kind)-\(names[Int(number)])")
                for _ in 0..<5 { bus.write(base + offset, size: 1, value: value) }
                #expect(bus.read(base + 12, size: 4) == (number == 0 ? 5 : 0))
            }
            bus.write(base, size: 1, value: 3)
            #expect(bus.read(base + 4, size: 4) == 0)
        }
    }

    @Test("The chosen test's doorbell hangs where the window is, and moves with it")
    func doorbells() throws {
        let bells = Bells()
        let board = try makeBoard(bells)
        #expect(bells.all.isEmpty)
        board.memory.write(0xF000_0000, size: 1, value: 0)
        #expect(bells.all.isEmpty)
        board.memory.write(0xF000_0000, size: 1, value: 1)
        #expect(bells.all.map(\.address) == [0xF000_0801])
        #expect(bells.all.first?.value == nil && bells.all.first?.space == .memory && bells.all.first?.size == 1)
        board.device.function.writeConfiguration(0x10, size: 4, value: 0xE000_0000)
        #expect(bells.all.map(\.address) == [0xE000_0801])
        board.device.function.writeConfiguration(4, size: 2, value: 1)
        #expect(bells.all.isEmpty)
        board.device.function.writeConfiguration(4, size: 2, value: 3)
        #expect(bells.all.map(\.address) == [0xE000_0801])
        board.io.write(0xC000, size: 1, value: 2)
        #expect(bells.all.map(\.address) == [0xC085])
        #expect(bells.all.first?.value == 0xFA && bells.all.first?.space == .io)
        let saved = board.device.exportState()
        board.device.reset()
        #expect(bells.all.isEmpty)
        try board.device.importState(saved)
        #expect(bells.all.map(\.address) == [0xC085])
        board.io.write(0xC000, size: 1, value: 9)
        #expect(bells.all.isEmpty)
    }

    @Test("Random pokes of both windows do no harm")
    func randomPokes() throws {
        let bells = Bells()
        let board = try makeBoard(bells)
        var random: UInt64 = 0x1234_5678_9ABC_DEF1
        for _ in 0..<20_000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let size = [1, 2, 4, 8][Int(random >> 60 & 3)]
            let offset = random >> 20 & 0xFFF
            board.memory.write(0xF000_0000 + offset, size: size, value: random)
            board.io.write(0xC000 + offset & 0xFF, size: min(size, 4), value: random >> 7)
            _ = board.memory.read(0xF000_0000 + offset, size: size)
            _ = board.io.read(0xC000 + offset & 0xFF, size: min(size, 4))
        }
        #expect(bells.all.count <= 1)
        board.device.reset()
        #expect(bells.all.isEmpty)
    }

    // MARK: pc-testdev

    private final class Port: CharacterPort {
        let bytes = Mutex<[UInt8]>([])
        func write(_ new: [UInt8]) { bytes.withLock { $0 += new } }
        func setReceiver(_ receiver: (any CharacterReceiver)?) {}
        func acceptInput() {}
    }

    private struct Seen: Equatable {
        var lines: [Int: Bool] = [:]
        var flushes: [UInt64] = []
        var exits: [UInt8] = []
    }

    @Test("Latch, memory, interrupts, flush; and log, size and exit of the older form")
    func pokes() throws {
        let seen = Mutex(Seen())
        let (io, memory, port) = (Bus(), Bus(), Port())
        let effects = PCTestDevice.Effects(
            interrupt: { line, level in seen.withLock { $0.lines[line] = level } },
            flush: { page in seen.withLock { $0.flushes.append(page) } })
        let log = PCTestDevice.Log(port: port, memorySize: 64 << 20) { status in
            seen.withLock { $0.exits.append(status) }
        }
        let device = PCTestDevice(effects: effects, log: log)
        device.attach(io: io, memory: memory)

        io.write(0xE0, size: 4, value: 0x1122_3344)
        io.write(0xE1, size: 1, value: 0x55)
        #expect(io.read(0xE0, size: 4) == 0x1122_5544)
        #expect(io.read(0xE2, size: 2) == 0x1122)
        memory.write(0xFF00_FFFC, size: 8, value: 0x1122_3344_5566_7788)
        #expect(memory.read(0xFF00_FFFC, size: 4) == 0x5566_7788)
        #expect(memory.read(0xFF00_FFFE, size: 4) == 0x5566)
        io.write(0x2017, size: 1, value: 1)
        io.write(0x2000, size: 1, value: 0)
        io.write(0xE4, size: 4, value: 0x12_3456)
        io.write(0xF1, size: 1, value: 0x41)
        io.write(0xF4, size: 1, value: 9)
        #expect(io.read(0xD1, size: 4) == 64 << 20)
        #expect(seen.withLock { $0 } == Seen(lines: [23: true, 0: false], flushes: [0x12_3000], exits: [9]))
        #expect(port.bytes.withLock { $0 } == [0x41])

        let saved = device.exportState()
        device.reset()
        #expect(io.read(0xE0, size: 4) == 0)
        try device.importState(saved)
        #expect(io.read(0xE0, size: 4) == 0x1122_5544)
        #expect(memory.read(0xFF00_FFFC, size: 4) == 0x5566_7788)
    }
}
