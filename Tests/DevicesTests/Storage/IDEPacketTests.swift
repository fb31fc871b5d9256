import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

@Suite struct IDEPacketTests {
    @Test func identity() throws {
        let bench = try IDEBench()
        bench.command(0xEC, unit: 1)
        #expect(bench.status == 0x51 && bench.read(4) == 0x14 && bench.read(5) == 0xEB)
        bench.command(0xA1, unit: 1)
        #expect(bench.takeInterrupt() && bench.status == 0x58)
        let words = bench.words(bench.readData(512))
        #expect(words[0] == 0x85C0 && bench.text(words[27..<32]) == "QEMU DVD-R")
        let inquiry = try #require(bench.packet([0x12, 0, 0, 0, 36]))
        #expect(inquiry.count == 36 && inquiry[0] == 5 && inquiry[1] == 0x80)
        #expect(bench.packet([0x12, 0, 0, 0, 5])?.count == 5)
        #expect(bench.packet([0x12, 1, 0, 0, 36]) == nil && bench.sense() == [5, 0x24, 0])
    }

    @Test func readsWords() throws {
        let bench = try IDEBench()
        #expect(bench.packet([0]) == [])
        #expect(bench.packet([0x25]) == [0, 0, 3, 231, 0, 0, 8, 0])
        // Block 3 of 2048 bytes is four sectors of the image.
        let three = try #require(bench.packet([0x28, 0, 0, 0, 0, 3, 0, 0, 2]))
        #expect(three == bench.disc.bytes(3 * 2048..<5 * 2048))
        let odd = try #require(bench.packet([0xA8, 0, 0, 0, 0, 10, 0, 0, 0, 1], limit: 601))
        #expect(odd == bench.disc.bytes(10 * 2048..<11 * 2048))
        #expect(bench.packet([0xBE, 0, 0, 0, 0, 1, 0, 0, 1, 0x10]) == bench.disc.bytes(2048..<4096))
        #expect(bench.packet([0x28, 0, 0, 0, 3, 231, 0, 0, 2]) == nil && bench.sense() == [5, 0x21, 0])
        #expect(bench.packet([0x28, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF]) == nil)
        bench.disc.fail(5)
        #expect(bench.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1]) == nil && bench.sense() == [3, 0x11, 0])
        #expect(bench.sense() == [0, 0, 0], "Told once")
    }

    @Test func readsByDMA() throws {
        let bench = try IDEBench()
        try bench.setTable([(IDEBench.data, 4096)])
        bench.command(0xA0, feature: 1, unit: 1)
        bench.writeData([0x28, 0, 0, 0, 0, 8, 0, 0, 2, 0, 0, 0])
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 7 == 4 && bench.takeInterrupt() && bench.read(2) & 3 == 3)
        #expect(
            try bench.memory.bytes(GuestPhysical(IDEBench.data), count: 4096) == bench.disc.bytes(16384..<20480))
        bench.stopMaster()
        // Other data by DMA too.
        try bench.setTable([(IDEBench.data, 36)])
        bench.command(0xA0, feature: 1, unit: 1)
        bench.writeData([0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0])
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 7 == 4 && bench.status == 0x50)
        #expect(try bench.memory.load(GuestPhysical(IDEBench.data), as: UInt16.self) == 0x8005)
        bench.stopMaster()
        try bench.setTable([(0xF000_0000, 36)])
        bench.command(0xA0, feature: 1, unit: 1)
        bench.writeData([0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0])
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 3 == 2 && bench.status == 0x51)
    }

    @Test func tablesAndModes() throws {
        let bench = try IDEBench()
        #expect(
            bench.packet([0x43, 0, 0, 0, 0, 0, 0, 0, 255])
                == [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 3, 232])
        #expect(bench.packet([0x43, 2, 0, 0, 0, 0, 0xAA, 0, 12]) == [0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, 15, 25])
        #expect(bench.packet([0x43, 0, 1, 0, 0, 0, 0, 0, 12])?.count == 12)
        #expect(bench.packet([0x43, 0, 2, 0, 0, 0, 0, 0, 255])?.count == 48)
        let mode = try #require(bench.packet([0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 128]))
        #expect(mode[0] == 0 && Int(mode[1]) + 2 == mode.count && mode[8] == 0x2A)
        #expect(bench.packet([0x5A, 0, 0x30, 0, 0, 0, 0, 0, 128]) == nil)
        let features = try #require(bench.packet([0x46, 0, 0, 0, 0, 0, 0, 0, 255]))
        #expect(Int(features[3]) + 4 == features.count && features[7] == 8)
        #expect(bench.packet([0x51, 0, 0, 0, 0, 0, 0, 0, 34])?.count == 34)
        #expect(bench.packet([0x55]) == nil && bench.sense() == [5, 0x20, 0])
    }

    @Test func tray() throws {
        let bench = try IDEBench()
        let event: [UInt8] = [0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8]
        #expect(bench.packet(event) == [0, 6, 4, 0x10, 0, 2, 0, 0])
        #expect(bench.packet([0x1E, 0, 0, 0, 1]) == [])
        #expect(bench.packet([0x1B, 0, 0, 0, 2]) == nil && bench.sense() == [5, 0x53, 2])
        #expect(bench.packet([0x1E, 0, 0, 0, 0]) == [])
        #expect(bench.packet([0x1B, 0, 0, 0, 2]) == [])
        #expect(bench.packet([0]) == nil && bench.sense() == [2, 0x3A, 2])
        #expect(bench.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1]) == nil)
        // The medium's removal, as MMC-4, 6.7.2.5 has it, and the open tray.
        #expect(bench.packet(event) == [0, 6, 4, 0x10, 3, 1, 0, 0])
        #expect(bench.packet([0x1B, 0, 0, 0, 3]) == [])
        #expect(bench.packet(event) == [0, 6, 4, 0x10, 2, 2, 0, 0])
        #expect(bench.packet([0]) == nil && bench.sense() == [6, 0x28, 0])
        #expect(bench.packet([0]) == [])
    }

    @Test func deviceReset() throws {
        let bench = try IDEBench()
        bench.command(0xA0, unit: 1)
        bench.write(7, 0x08)
        #expect(bench.status == 0 && bench.read(4) == 0x14)
        #expect(bench.packet([0]) == [])
    }
}

@Suite struct IDERandomTests {
    @Test(arguments: [3, 11] as [UInt64]) func randomPokesDoNoHarm(_ seed: UInt64) throws {
        let bench = try IDEBench(disk: FakeDisk(sectors: 256), disc: FakeDisk(sectors: 256, isReadOnly: true))
        var random = SplitMix64(state: seed)
        let codes: [UInt8] = [
            0x06, 0x08, 0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x90, 0x91, 0xA0, 0xA1, 0xB0, 0xC4, 0xC5, 0xC6,
            0xC8, 0xCA, 0xE7, 0xEC, 0xEF, 0xF8,
        ]
        for step in 0..<FuzzRounds.times(100_000) {
            let bits = random.next()
            let value = UInt8(truncatingIfNeeded: bits >> 8) & (bits & 1 == 0 ? 0xFF : 0x0F)
            switch bits >> 16 & 15 {
            case 0: bench.write(7, codes[Int(bits >> 24) % codes.count])
            case 1: bench.write(7, UInt8(truncatingIfNeeded: bits >> 24))
            case 2...4: bench.write(bits >> 24 & 7, value)
            case 5: _ = bench.read(bits >> 24 & 7)
            case 6: _ = bench.readData(Int(bits >> 24 & 511))
            case 7: bench.writeData([UInt8](repeating: value, count: Int(bits >> 24 & 255) * 2))
            case 8:
                let size = [1, 2, 4, 8][Int(bits >> 24 & 3)]
                bench.io.write(0x1F0 + (bits >> 28 & 7), size: size, value: bits >> 32)
                _ = bench.io.read(0x1F0 + (bits >> 28 & 7), size: size)
            case 9: bench.startMaster(toMemory: bits >> 24 & 1 == 0)
            case 10: bench.stopMaster()
            case 11:
                try bench.setTable((0...Int(bits >> 24 & 3)).map { _ in (random.next() & 0x1FF_FFFF, Int(value) << 8) })
            case 12 where bits >> 24 & 15 == 0: bench.setControl(value)
            case 13:
                bench.writeData([UInt8(truncatingIfNeeded: bits >> 24)] + (0..<11).map { _ in value })
            case 14 where step % 64 == 0: bench.disc.fail(Int32(bits >> 24 & 1))
            case 15 where step % 16 == 0: bench.disk.hold(bits >> 24 & 1 == 0)
            default:
                bench.disk.release()
                bench.io.write(IDEBench.masterPort + (bits >> 24 & 7), size: 4, value: bits >> 32)
            }
        }
        bench.disk.hold(false)
        bench.disk.release()
        bench.setControl(4)
        bench.setControl(0)
        bench.command(0xEC)
        #expect(bench.status == 0x58 && bench.readData(512).count == 512)
    }
}
