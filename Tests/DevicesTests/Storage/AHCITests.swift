import BlockImage
import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

/// A controller with a disk at port 0 and a CD drive at port 1, and what a driver does with it.
private final class AHCIBench {
    static let base: UInt64 = 0xE000_0000
    static let list: UInt64 = 0x1_0000
    static let fis: UInt64 = 0x2_0000
    static let table: UInt64 = 0x3_0000
    static let data: UInt64 = 0x10_0000

    let memory: AddressSpace
    let disk: FakeDisk
    let mmio = Bus()
    let messages = RecordedMessages()
    let controller: AHCIController

    init(disk: FakeDisk = FakeDisk(sectors: 4096)) throws {
        memory = try makeMemory()
        self.disk = disk
        let bus = PCIBus(spaces: PCISpaces(io: Bus(), memory: mmio, ram: memory, msi: messages))
        controller = AHCIController(
            units: [
                IDEUnit(IDEDriveProperties(.disk, number: 1), backend: disk),
                IDEUnit(IDEDriveProperties(.cdrom, number: 2), backend: FakeDisk(sectors: 4000, isReadOnly: true)), nil,
            ],
            memory: memory, scheduler: InlineScheduler())
        try bus.attach(controller.function, slot: 31, function: 2)
        controller.function.writeConfiguration(0x24, size: 4, value: UInt32(Self.base))
        controller.function.writeConfiguration(PCIRegister.command, size: 2, value: 6)
        write(0x04, 1 << 31 | 2)
        for port in 0..<2 {
            writePort(port, 0x00, UInt32(Self.list) + UInt32(port) * 0x400)
            writePort(port, 0x08, UInt32(Self.fis) + UInt32(port) * 0x100)
            writePort(port, 0x14, 0xFFFF_FFFF)
            writePort(port, 0x18, 0x11)
        }
    }

    func read(_ offset: UInt64) -> UInt32 { UInt32(mmio.read(Self.base + offset, size: 4)) }
    func write(_ offset: UInt64, _ value: UInt32) { mmio.write(Self.base + offset, size: 4, value: UInt64(value)) }
    func readPort(_ port: Int, _ offset: UInt64) -> UInt32 { read(0x100 + UInt64(port) * 0x80 + offset) }
    func writePort(_ port: Int, _ offset: UInt64, _ value: UInt32) { write(0x100 + UInt64(port) * 0x80 + offset, value) }

    /// Puts a command in slot 0 and issues it. The pieces are where its data lies.
    func issue(
        port: Int = 0, slot: Int = 0, _ command: UInt8, lba: UInt64 = 0, count: UInt16 = 0, feature: UInt16 = 0,
        pieces: [(UInt64, Int)] = [], packet: [UInt8] = [], isQueued: Bool = false
    ) throws {
        let table = Self.table + UInt64(port * 32 + slot) * 0x1000
        let header = Self.list + UInt64(port) * 0x400 + UInt64(slot) * 32
        try memory.store(GuestPhysical(header), UInt32(5) | UInt32(pieces.count) << 16 | (packet.isEmpty ? 0 : 0x20))
        try memory.store(GuestPhysical(header + 4), UInt32(0))
        try memory.store(GuestPhysical(header + 8), table)
        func byte(_ value: UInt64, _ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: value >> (index * 8)) }
        let tag = isQueued ? UInt8(slot) << 3 : UInt8(count & 0xFF)
        let fis: [UInt8] = [
            0x27, 0x80, command, UInt8(feature & 0xFF), byte(lba, 0), byte(lba, 1), byte(lba, 2), 0x40, byte(lba, 3),
            byte(lba, 4), byte(lba, 5), UInt8(feature >> 8), tag, isQueued ? 0 : UInt8(count >> 8), 0, 0, 0, 0, 0, 0,
        ]
        try memory.write(GuestPhysical(table), bytes: fis)
        if !packet.isEmpty { try memory.write(GuestPhysical(table + 0x40), bytes: packet) }
        for (index, piece) in pieces.enumerated() {
            let entry = table + 0x80 + UInt64(index) * 16
            try memory.store(GuestPhysical(entry), piece.0)
            try memory.store(GuestPhysical(entry + 8), UInt64(piece.1 - 1) << 32)
        }
        if isQueued { writePort(port, 0x34, 1 << UInt32(slot)) }
        writePort(port, 0x38, 1 << UInt32(slot))
    }
    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.bytes(GuestPhysical(address), count: count)
    }
}

@Suite struct AHCITests {
    @Test func whatThePortsSay() throws {
        let bench = try AHCIBench()
        #expect(bench.controller.function.readConfiguration(0, size: 4) == 0x2922_8086)
        #expect(bench.read(0x0C) == 7 && bench.read(0x00) & 0x1F == 2 && bench.read(0x00) >> 31 == 1)
        #expect((0..<3).map { bench.readPort($0, 0x28) } == [0x113, 0x113, 0])
        #expect((0..<3).map { bench.readPort($0, 0x24) } == [0x101, 0xEB14_0101, 0xFFFF_FFFF])
        #expect(bench.readPort(0, 0x18) & 0xC011 == 0xC011)
    }

    @Test func identifies() throws {
        let bench = try AHCIBench()
        try bench.issue(0xEC, pieces: [(AHCIBench.data, 512)])
        #expect(bench.readPort(0, 0x38) == 0 && bench.readPort(0, 0x20) == 0x50)
        #expect(bench.readPort(0, 0x10) & 3 == 3 && bench.read(0x08) == 1)
        let words = try bench.bytes(AHCIBench.data, 512)
        #expect(words[120] == 0 && words[121] == 0x10, "4096 sectors")
        #expect(words[75 * 2] == 31 && words[76 * 2 + 1] == 1, "Queues of 32")
        #expect(try bench.memory.load(GuestPhysical(AHCIBench.list + 4), as: UInt32.self) == 512)
        #expect(try bench.bytes(AHCIBench.fis + 0x40, 3) == [0x34, 0x40, 0x50])
        bench.writePort(0, 0x10, 0xFFFF_FFFF)
        bench.write(0x08, 1)
        #expect(bench.read(0x08) == 0)
    }

    @Test func errorsMayWaitForTheMachineToGoOn() throws {
        let bench = try AHCIBench()
        let write = { try bench.issue(0x35, lba: 9, count: 1, pieces: [(AHCIBench.data, 512)]) }
        try bench.memory.write(GuestPhysical(AHCIBench.data), bytes: [UInt8](repeating: 0x77, count: 512))
        bench.disk.fail(28, .stop)
        try write()
        // The driver hears nothing, and the machine's stop does not wait for it.
        #expect(bench.readPort(0, 0x38) == 1 && bench.readPort(0, 0x10) == 0)
        bench.controller.pause()
        let saved = bench.controller.exportState()
        bench.disk.fail(0)
        bench.controller.resume()
        #expect(bench.readPort(0, 0x38) == 0 && bench.readPort(0, 0x20) == 0x50)
        #expect(bench.disk.bytes(9 * 512..<10 * 512) == [UInt8](repeating: 0x77, count: 512))
        // Another machine that goes on from there does it, too.
        let other = try AHCIBench()
        try other.memory.write(GuestPhysical(AHCIBench.table), bytes: try bench.bytes(AHCIBench.table, 0xA0))
        try other.memory.write(GuestPhysical(AHCIBench.list), bytes: try bench.bytes(AHCIBench.list, 32))
        try other.memory.write(GuestPhysical(AHCIBench.data), bytes: [UInt8](repeating: 0x78, count: 512))
        other.controller.pause()
        try other.controller.importState(saved)
        other.controller.resume()
        #expect(other.readPort(0, 0x38) == 0 && other.disk.bytes(9 * 512..<9 * 512 + 1) == [0x78])
        // What is to be ignored, is; a reset forgets what waits.
        bench.disk.fail(5, .ignore)
        try write()
        #expect(bench.readPort(0, 0x38) == 0 && bench.readPort(0, 0x20) == 0x50)
        bench.disk.fail(5, .stop)
        try write()
        bench.controller.pause()
        bench.controller.reset()
        bench.disk.fail(0)
        let count = bench.disk.log.count
        bench.controller.resume()
        #expect(bench.disk.log.count == count)
    }

    @Test func movesSectors() throws {
        let bench = try AHCIBench()
        // Three pieces, none of which ends where a sector does.
        let pieces = [(AHCIBench.data, 100), (AHCIBench.data + 0x2000, 700), (AHCIBench.data + 0x4000, 224)]
        try bench.issue(0x25, lba: 5, count: 2, pieces: pieces)
        let read = try pieces.flatMap { try bench.bytes($0.0, $0.1) }
        #expect(read == [UInt8](repeating: 5, count: 512) + [UInt8](repeating: 6, count: 512))
        try bench.issue(0x35, lba: 77, count: 2, pieces: pieces)
        #expect(bench.disk.bytes(77 * 512..<79 * 512) == read)
        try bench.issue(slot: 3, 0x60, lba: 9, feature: 1, pieces: [(AHCIBench.data, 512)], isQueued: true)
        #expect(try bench.bytes(AHCIBench.data, 512) == [UInt8](repeating: 9, count: 512))
        #expect(bench.readPort(0, 0x34) == 0 && bench.readPort(0, 0x10) & 8 != 0)
        #expect(try bench.bytes(AHCIBench.fis + 0x58, 8) == [0xA1, 0x40, 0x50, 0, 8, 0, 0, 0])
        try bench.issue(0xEA)
        #expect(bench.disk.log.last?.hasPrefix("flush") == true)
    }

    @Test func errorsStopThePort() throws {
        let bench = try AHCIBench()
        try bench.issue(0x25, lba: 4095, count: 2, pieces: [(AHCIBench.data, 1024)])
        #expect(bench.readPort(0, 0x20) == 0x1051 && bench.readPort(0, 0x10) >> 30 & 1 == 1)
        #expect(bench.readPort(0, 0x38) == 1, "The command that failed is still there")
        try bench.issue(slot: 1, 0xEC, pieces: [(AHCIBench.data, 512)])
        #expect(bench.readPort(0, 0x38) == 3)
        bench.writePort(0, 0x18, 0x10)
        bench.writePort(0, 0x18, 0x11)
        try bench.issue(0xEC, pieces: [(AHCIBench.data, 512)])
        #expect(bench.readPort(0, 0x38) == 0 && bench.readPort(0, 0x20) == 0x50)
        // Data where there is no memory.
        try bench.issue(0x25, count: 1, pieces: [(1 << 40, 512)])
        #expect(bench.readPort(0, 0x10) >> 29 & 1 == 1)
    }

    @Test func readsDiscs() throws {
        let bench = try AHCIBench()
        let read10: [UInt8] = [0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
        try bench.issue(port: 1, 0xA0, feature: 1, pieces: [(AHCIBench.data, 2048)], packet: read10)
        #expect(bench.readPort(1, 0x20) == 0x50)
        #expect(try bench.bytes(AHCIBench.data, 1)[0] == 12, "Block 3 begins with sector 12")
        bench.controller.setTray(channel: 1, unit: 0, isOpen: true)
        let ready = [UInt8](repeating: 0, count: 16)
        bench.writePort(1, 0x10, 0xFFFF_FFFF)
        try bench.issue(port: 1, 0xA0, packet: ready)
        #expect(bench.readPort(1, 0x20) == 0x2451)
    }

    @Test func messagesReplaceThePin() throws {
        let bench = try AHCIBench()
        let function = bench.controller.function
        var offset = Int(function.readConfiguration(0x34, size: 1))
        while function.readConfiguration(offset, size: 1) != 5 {
            offset = Int(function.readConfiguration(offset + 1, size: 1))
        }
        function.writeConfiguration(offset + 4, size: 4, value: 0xFEE0_0000)
        function.writeConfiguration(offset + 12, size: 2, value: 0x41)
        function.writeConfiguration(offset + 2, size: 2, value: 1)
        try bench.issue(0xEC, pieces: [(AHCIBench.data, 512)])
        #expect(bench.messages.messages.map(\.data) == [0x41])
    }

    @Test func stateMoves() throws {
        let bench = try AHCIBench()
        bench.disk.hold(true)
        bench.controller.pause()
        try bench.issue(0x25, lba: 7, count: 1, pieces: [(AHCIBench.data, 512)])
        let saved = bench.controller.exportState()
        let twin = try AHCIBench()
        try twin.memory.write(GuestPhysical(0), bytes: try bench.bytes(0, 0x10_0000))
        try twin.controller.importState(saved)
        #expect(twin.controller.exportState() == saved && twin.readPort(0, 0x38) == 1)
        twin.controller.resume()
        #expect(try twin.bytes(AHCIBench.data, 512) == [UInt8](repeating: 7, count: 512))
    }

    @Test func nonsense() throws {
        let bench = try AHCIBench()
        var random = SplitMix64(state: 5)
        for round in 0..<FuzzRounds.times(20_000) {
            let port = Int(random.next() % 4)
            if round % 3 == 0 {
                // A plausible command with random content.
                let commands: [UInt8] = [0xEC, 0x25, 0x35, 0x60, 0x61, 0xA0, 0x06, 0xEF, 0xB0, 0xEA]
                let command = commands[Int(random.next() % 10)]
                var pieces: [(UInt64, Int)] = []
                for _ in 0..<random.next() % 4 {
                    pieces.append((random.next() % 0x120_0000, Int(random.next() % 3000 + 1)))
                }
                var packet: [UInt8] = []
                if command == 0xA0 { for _ in 0..<16 { packet.append(UInt8(random.next() & 0x5F)) } }
                try bench.issue(
                    port: port & 1, slot: Int(random.next() % 32), command, lba: random.next() % 5000,
                    count: UInt16(truncatingIfNeeded: random.next() % 9), feature: UInt16(random.next() % 9),
                    pieces: pieces, packet: packet, isQueued: command & 0xFE == 0x60)
                bench.writePort(port & 1, 0x18, 0x10)
                bench.writePort(port & 1, 0x18, 0x11)
            }
            let offset = random.next() % 0x300
            let size = [1, 2, 4, 8][Int(random.next() % 4)]
            let value = random.next() % 4 == 0 ? random.next() : random.next() % 0x40
            bench.mmio.write(AHCIBench.base + offset, size: size, value: value)
            _ = bench.mmio.read(AHCIBench.base + offset, size: size)
        }
        bench.controller.reset()
        let fresh = try AHCIBench()
        fresh.controller.reset()
        #expect(bench.controller.exportState() == fresh.controller.exportState())
    }
}
