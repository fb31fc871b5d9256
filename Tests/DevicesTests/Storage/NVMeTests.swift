import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

/// A controller, its admin queues, and an I/O queue of a driver.
private final class NVMeBench {
    static let base: UInt64 = 0xE000_0000
    static let data: UInt64 = 0x20_0000
    let memory: AddressSpace
    let disk: FakeDisk
    let mmio = Bus()
    let messages = RecordedMessages()
    let controller: NVMeController
    private var tails: [UInt16: UInt32] = [:]
    private var heads: [UInt16: UInt32] = [:]

    init(_ disk: FakeDisk = FakeDisk(sectors: 4096)) throws {
        memory = try makeMemory()
        self.disk = disk
        controller = NVMeController(
            NVMeProperties(serial: "S1"), backend: disk, memory: memory, scheduler: InlineScheduler(),
            stateName: "nvme")
        let bus = PCIBus(spaces: PCISpaces(io: Bus(), memory: mmio, ram: memory, msi: messages))
        try bus.attach(controller.function, slot: 4)
        controller.function.writeConfiguration(0x10, size: 4, value: UInt32(Self.base))
        controller.function.writeConfiguration(PCIRegister.command, size: 2, value: 6)
        enable()
    }
    func enable() {
        tails = [:]
        heads = [:]
        write(0x14, 0)
        write(0x24, 15 | 15 << 16)
        write(0x28, 0x1_0000)
        write(0x2C, 0)
        write(0x30, 0x1_8000)
        write(0x34, 0)
        write(0x14, 0x46_0001)
    }
    func read(_ offset: UInt64) -> UInt32 { UInt32(mmio.read(Self.base + offset, size: 4)) }
    func write(_ offset: UInt64, _ value: UInt32) { mmio.write(Self.base + offset, size: 4, value: UInt64(value)) }

    /// Runs a command and returns its status and result; nil where there is no answer.
    @discardableResult
    func run(
        queue: UInt16 = 0, _ opcode: UInt8, namespace: UInt32 = 0, prp: (UInt64, UInt64) = (data, 0),
        _ words: [UInt32] = []
    ) throws -> (status: UInt16, result: UInt32)? {
        let (submission, completion) = (0x1_0000 + UInt64(queue) * 0x1_0000, 0x1_8000 + UInt64(queue) * 0x1_0000)
        let tail = tails[queue, default: 0]
        let place = submission + UInt64(tail) * 64
        try memory.write(GuestPhysical(place), bytes: [UInt8](repeating: 0, count: 64))
        try memory.store(GuestPhysical(place), UInt32(opcode) | 0x1234_0000)
        try memory.store(GuestPhysical(place + 4), namespace)
        try memory.store(GuestPhysical(place + 24), prp.0)
        try memory.store(GuestPhysical(place + 32), prp.1)
        for (index, word) in words.enumerated() { try memory.store(GuestPhysical(place + 40 + UInt64(index) * 4), word) }
        tails[queue] = (tail + 1) % 16
        write(0x1000 + UInt64(queue) * 8, (tail + 1) % 16)
        let head = heads[queue, default: 0]
        let answer = completion + UInt64(head % 16) * 16
        let last = try memory.load(GuestPhysical(answer + 12), as: UInt32.self)
        guard last >> 16 & 1 == (head / 16 + 1) & 1, last & 0xFFFF == 0x1234 else { return nil }
        heads[queue] = head + 1
        write(0x1004 + UInt64(queue) * 8, (head + 1) % 16)
        return (UInt16(last >> 17), try memory.load(GuestPhysical(answer), as: UInt32.self))
    }
    func makeQueue() throws {
        #expect(try run(0x05, prp: (0x2_8000, 0), [1 | 15 << 16, 1 | 2 | 1 << 16])?.status == 0)
        #expect(try run(0x01, prp: (0x2_0000, 0), [1 | 15 << 16, 1 | 1 << 16])?.status == 0)
    }
    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.bytes(GuestPhysical(address), count: count)
    }
}

@Suite struct NVMeTests {
    @Test func identity() throws {
        let bench = try NVMeBench()
        #expect(bench.read(0x1C) == 1 && bench.read(0x08) == 0x0001_0300)
        #expect(try bench.run(0x06, [1])?.status == 0)
        let identity = try bench.bytes(NVMeBench.data, 4096)
        #expect(identity[0..<4] == [0x36, 0x1B, 0xF4, 0x1A] && identity[4..<7] == [0x53, 0x31, 0x20])
        #expect(identity[512] == 0x66 && identity[516] == 1)
        #expect(try bench.run(0x06, namespace: 1, [0])?.status == 0)
        #expect(try bench.bytes(NVMeBench.data, 8) == [0, 0x10, 0, 0, 0, 0, 0, 0] && bench.bytes(NVMeBench.data + 130, 1) == [9])
        #expect(try bench.run(0x09, [7, 0x0007_0003])?.result == 0x0007_0003)
        #expect(try bench.run(0xFF)?.status == 1)
        #expect(try bench.run(0x06, namespace: 9, [0])?.status == 0x0B)
    }

    @Test func movesBlocks() throws {
        let bench = try NVMeBench()
        try bench.makeQueue()
        // 20 blocks from the middle of a page: a list of two further pages.
        let list: UInt64 = 0x30_0000
        try bench.memory.store(GuestPhysical(list), NVMeBench.data + 0x3000)
        try bench.memory.store(GuestPhysical(list + 8), NVMeBench.data + 0x5000)
        let prp = (NVMeBench.data + 0x800, list)
        #expect(try bench.run(queue: 1, 0x02, namespace: 1, prp: prp, [5, 0, 19])?.status == 0)
        let read = try bench.bytes(NVMeBench.data + 0x800, 2048) + bench.bytes(NVMeBench.data + 0x3000, 4096)
            + bench.bytes(NVMeBench.data + 0x5000, 4096)
        #expect(read == (5..<25).flatMap { [UInt8](repeating: UInt8($0), count: 512) })
        #expect(try bench.run(queue: 1, 0x01, namespace: 1, prp: prp, [100, 0, 19])?.status == 0)
        #expect(bench.disk.bytes(100 * 512..<120 * 512) == read)
        #expect(try bench.run(queue: 1, 0x00, namespace: 1)?.status == 0)
        #expect(try bench.run(queue: 1, 0x02, namespace: 1, [4095, 0, 1])?.status == 0x80)
        #expect(try bench.run(queue: 1, 0x02, namespace: 1, prp: (1 << 41, 0), [0, 0, 0])?.status == 4)
        bench.disk.fail(5)
        #expect(try bench.run(queue: 1, 0x02, namespace: 1, [0, 0, 0])?.status == 0x281)
    }

    @Test func queuesComeAndGo() throws {
        let bench = try NVMeBench()
        try bench.makeQueue()
        #expect(try bench.run(0x04, [1])?.status == 0x10C, "It is in use")
        #expect(try bench.run(0x00, [1])?.status == 0)
        #expect(try bench.run(0x04, [1])?.status == 0)
        #expect(try bench.run(0x01, prp: (0x2_0000, 0), [1 | 15 << 16, 1 | 1 << 16])?.status == 0x100)
        #expect(try bench.run(0x0C) == nil, "There is no event")
        bench.write(0x14, 0)
        #expect(bench.read(0x1C) == 0)
        bench.enable()
        #expect(try bench.run(0x06, [1])?.status == 0)
    }

    @Test func fullQueuesHoldAnswersBack() throws {
        let bench = try NVMeBench()
        for index in 0..<40 { #expect(try bench.run(0x0A, [6])?.status == 0, "\(index)") }
    }

    @Test func stateMoves() throws {
        let bench = try NVMeBench()
        try bench.makeQueue()
        bench.controller.pause()
        try bench.run(queue: 1, 0x02, namespace: 1, [9, 0, 0])
        let saved = bench.controller.exportState()
        let twin = try NVMeBench()
        try twin.memory.write(GuestPhysical(0), bytes: try bench.bytes(0, 0x10_0000))
        try twin.controller.importState(saved)
        #expect(twin.controller.exportState() == saved)
        twin.controller.resume()
        #expect(try twin.bytes(NVMeBench.data, 512) == [UInt8](repeating: 9, count: 512))
    }

    @Test func nonsense() throws {
        let bench = try NVMeBench()
        try bench.makeQueue()
        var random = SplitMix64(state: 17)
        for round in 0..<FuzzRounds.times(20_000) {
            for _ in 0..<4 {
                try bench.memory.store(
                    GuestPhysical(0x1_0000 + random.next() % 0x1_8000 & ~3),
                    random.next() % 2 == 0 ? UInt32(random.next() % 16) : UInt32(truncatingIfNeeded: random.next()))
            }
            let queue = random.next() % 2
            var words: [UInt32] = []
            for _ in 0..<6 {
                words.append(UInt32(truncatingIfNeeded: random.next() % 3 == 0 ? random.next() : random.next() % 64))
            }
            _ = try bench.run(
                queue: UInt16(queue), UInt8(random.next() % 16), namespace: UInt32(random.next() % 3),
                prp: (random.next() % 0x200_0000, random.next() % 0x200_0000), words)
            let offset = random.next() % 0x1080
            bench.mmio.write(NVMeBench.base + offset, size: [4, 8][Int(random.next() % 2)], value: random.next())
            _ = bench.mmio.read(NVMeBench.base + offset, size: 8)
            if round % 8 == 0 {
                bench.enable()
                _ = try? bench.run(0x05, prp: (0x2_8000, 0), [1 | 15 << 16, 1 | 2 | 1 << 16])
                _ = try? bench.run(0x01, prp: (0x2_0000, 0), [1 | 15 << 16, 1 | 1 << 16])
            }
            if round % 1024 == 0 { try bench.controller.importState(bench.controller.exportState()) }
        }
        bench.controller.reset()
        #expect(bench.read(0x1C) == 0xFFFF_FFFF, "Its window is closed")
    }
}
