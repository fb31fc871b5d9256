import DeviceModel
import Devices
import GuestMemory
import Testing

@Suite struct IDEDiskTests {
    private func sector(_ value: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: 512) }

    @Test func identity() throws {
        let bench = try IDEBench()
        #expect(bench.controller.function.readConfiguration(0, size: 4) == 0x7010_8086)
        #expect(bench.controller.function.readConfiguration(8, size: 4) == 0x0101_8000)
        #expect(bench.controller.function.readConfiguration(0x40, size: 4) == 0x8000_8000)
        bench.command(0xEC)
        #expect(bench.status == 0x58 && bench.takeInterrupt())
        let words = bench.words(bench.readData(512))
        #expect(bench.status == 0x50 && !bench.interrupt, "No interrupt after the last word")
        #expect(words[0] == 0x40 && words[1] == 4 && words[3] == 16 && words[6] == 63)
        #expect(UInt32(words[60]) | UInt32(words[61]) << 16 == 4096 && words[100] == 4096)
        #expect(words[83] & 0x0400 != 0 && words[49] & 0x0300 == 0x0300)
        #expect(bench.text(words[27..<47]) == "QEMU HARDDISK" + String(repeating: " ", count: 27))
        #expect(bench.text(words[10..<20]) == "QM00001" + String(repeating: " ", count: 13))
    }

    @Test func signaturesAfterResets() throws {
        let bench = try IDEBench()
        for isDiagnostic in [false, true] {
            if isDiagnostic {
                bench.command(0x90)
                #expect(bench.takeInterrupt())
            } else {
                bench.setControl(4)
                #expect(bench.status & 0x80 != 0)
                bench.setControl(0)
            }
            #expect([1, 2, 3, 4, 5].map { bench.read($0) } == [1, 1, 1, 0, 0] && bench.status == 0x50)
            bench.write(6, 0x10)
            #expect([1, 2, 3, 4, 5].map { bench.read($0) } == [1, 1, 1, 0x14, 0xEB] && bench.status == 0)
        }
        // The other channel is empty.
        bench.io.write(0x172, size: 1, value: 0x55)
        #expect(bench.io.read(0x172, size: 1) == 0 && bench.io.read(0x177, size: 1) == 0)
    }

    @Test func readsWords() throws {
        let bench = try IDEBench()
        bench.command(0x20, lba: 5, count: 2)
        #expect(bench.takeInterrupt() && bench.status == 0x58)
        #expect(bench.readData(512) == sector(5))
        #expect(bench.takeInterrupt(), "One for each sector")
        #expect(bench.readData(512) == sector(6) && bench.status == 0x50)
        #expect(bench.readData(4) == [0, 0, 0, 0])
        bench.command(0xC6, count: 8)
        #expect(bench.takeInterrupt())
        bench.extended(0x29, lba: 0x100, count: 12)
        #expect(bench.takeInterrupt())
        #expect(bench.readData(8 * 512) == (0..<8).flatMap { sector($0) } && bench.takeInterrupt())
        #expect(bench.readData(4 * 512) == (8..<12).flatMap { sector($0) } && bench.status == 0x50)
        // Wide accesses, as `insl` makes them.
        bench.command(0x20, lba: 9, count: 1)
        #expect((0..<128).allSatisfy { _ in bench.io.read(0x1F0, size: 4) == 0x0909_0909 })
    }

    @Test func readsByCylinder() throws {
        let bench = try IDEBench()
        // Cylinder 1, head 2, sector 3: (1 * 16 + 2) * 63 + 2.
        for (register, value) in [(6, 0xA2), (2, 1), (3, 3), (4, 1), (5, 0), (7, 0x20)] as [(UInt64, UInt8)] {
            bench.write(register, value)
        }
        #expect(bench.readData(512) == sector(1136))
        bench.write(6, 0xA1)
        bench.write(2, 32)
        bench.write(7, 0x91)
        // Two heads of 32 sectors now: (1 * 2 + 1) * 32 + 2.
        for (register, value) in [(6, 0xA1), (2, 1), (3, 3), (4, 1), (5, 0), (7, 0x20)] as [(UInt64, UInt8)] {
            bench.write(register, value)
        }
        #expect(bench.readData(512) == sector(98))
        bench.write(2, 1)
        bench.write(3, 0)
        bench.write(7, 0x20)
        #expect(bench.status == 0x51 && bench.read(1) == 0x10, "Sectors count from 1")
    }

    @Test func writesWords() throws {
        let bench = try IDEBench()
        bench.command(0x30, lba: 7, count: 2)
        #expect(bench.status == 0x58 && !bench.interrupt, "The first block is not announced")
        bench.writeData(sector(0xA1))
        #expect(bench.takeInterrupt() && bench.status == 0x58)
        bench.writeData(sector(0xA2))
        #expect(bench.takeInterrupt() && bench.status == 0x50)
        #expect(bench.disk.bytes(7 * 512..<9 * 512) == sector(0xA1) + sector(0xA2))
        bench.command(0xC6, count: 2)
        bench.command(0xC5, lba: 20, count: 3)
        bench.writeData(sector(1) + sector(2))
        #expect(bench.takeInterrupt())
        bench.writeData(sector(3))
        #expect(bench.takeInterrupt() && bench.status == 0x50)
        #expect(bench.disk.bytes(20 * 512..<23 * 512) == sector(1) + sector(2) + sector(3))
        bench.command(0xE7)
        #expect(bench.takeInterrupt())
        #expect(
            bench.disk.log == ["write 3584 512", "write 4096 512", "write 10240 1024", "write 11264 512", "flush 0 0"])
    }

    @Test func readsByDMA() throws {
        let bench = try IDEBench()
        try bench.setTable([(IDEBench.data, 512), (IDEBench.data + 0x1000, 1024 + 512)])
        bench.command(0xC8, lba: 100, count: 4)
        #expect(!bench.interrupt)
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 7 == 4 && bench.interrupt)
        bench.stopMaster()
        #expect(bench.takeInterrupt() && bench.status == 0x50)
        #expect(try bench.memory.bytes(GuestPhysical(IDEBench.data), count: 512) == sector(100))
        #expect(
            try bench.memory.bytes(GuestPhysical(IDEBench.data + 0x1000), count: 1536)
                == sector(101) + sector(102) + sector(103))
        // The master may wait for the drive, and regions be larger than what comes: it then stays active.
        try bench.setTable([(IDEBench.data, 0)])
        bench.startMaster(toMemory: true)
        bench.extended(0x25, lba: 600, count: 2)
        #expect(bench.masterStatus & 7 == 5 && bench.takeInterrupt())
        #expect(try bench.memory.bytes(GuestPhysical(IDEBench.data), count: 512) == sector(600))
    }

    @Test func writesByDMA() throws {
        let bench = try IDEBench()
        try bench.memory.write(GuestPhysical(IDEBench.data), bytes: sector(0x31) + sector(0x32))
        try bench.setTable([(IDEBench.data, 1024)])
        bench.command(0xCA, lba: 50, count: 2)
        bench.startMaster(toMemory: false)
        #expect(bench.masterStatus & 7 == 4 && bench.takeInterrupt())
        #expect(bench.disk.bytes(50 * 512..<52 * 512) == sector(0x31) + sector(0x32))
        bench.stopMaster()
        bench.extended(0x3D, lba: 60, count: 2)
        bench.startMaster(toMemory: false)
        #expect(bench.disk.log.last == "write 30720 1024 fua")
        bench.stopMaster()
        // Without a cache every write is durable.
        bench.command(0xEF, feature: 0x82)
        #expect(bench.disk.log.last == "flush 0 0" && bench.takeInterrupt())
        bench.command(0xCA, lba: 50, count: 2)
        bench.startMaster(toMemory: false)
        #expect(bench.disk.log.last == "write 25600 1024 fua")
    }

    @Test func largeTransfersTakeSeveralRequests() throws {
        let bench = try IDEBench()
        try bench.setTable((0..<16).map { (IDEBench.data + UInt64($0) * 0x1_0000, 0x1_0000) })
        bench.extended(0x25, lba: 10, count: 2048)
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 7 == 4 && bench.takeInterrupt())
        #expect(bench.disk.log.count == 4)
        #expect(
            try bench.memory.bytes(GuestPhysical(IDEBench.data), count: 2048 * 512)
                == bench.disk.bytes(5120..<1_053_696))
    }

    @Test func shortAndBadTables() throws {
        let bench = try IDEBench()
        try bench.setTable([(IDEBench.data, 512)])
        bench.command(0xC8, lba: 0, count: 2)
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 7 == 0 && !bench.interrupt)
        bench.stopMaster()
        for (address, write) in [(0xF000_0000, false), (0xF000_0000, true)] as [(UInt64, Bool)] {
            try bench.setTable([(address, 1024)])
            bench.command(write ? 0xCA : 0xC8, lba: 0, count: 2)
            bench.startMaster(toMemory: !write)
            #expect(bench.masterStatus & 3 == 2 && bench.status == 0x51 && bench.takeInterrupt())
            bench.stopMaster()
        }
        bench.io.write(IDEBench.masterPort + 4, size: 4, value: 0xF000_0000)
        bench.command(0xC8, lba: 0, count: 2)
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 3 == 2 && bench.status == 0x51)
        bench.stopMaster()
        // A function that may not use memory.
        try bench.setTable([(IDEBench.data, 1024)])
        bench.controller.function.writeConfiguration(PCIRegister.command, size: 2, value: 1)
        bench.command(0xC8, lba: 0, count: 2)
        bench.startMaster(toMemory: true)
        #expect(bench.masterStatus & 3 == 2 && bench.status == 0x51)
    }

    @Test func discardsRanges() throws {
        let bench = try IDEBench()
        var ranges = [UInt8](repeating: 0, count: 512)
        ranges.replaceSubrange(0..<8, with: [10, 0, 0, 0, 0, 0, 4, 0])
        ranges.replaceSubrange(16..<24, with: [100, 0, 0, 0, 0, 0, 0, 1])
        try bench.memory.write(GuestPhysical(IDEBench.data), bytes: ranges)
        try bench.setTable([(IDEBench.data, 512)])
        bench.extended(0x06, count: 1, feature: 1)
        bench.startMaster(toMemory: false)
        #expect(bench.disk.log == ["discard 5120 2048", "discard 51200 131072"])
        #expect(bench.takeInterrupt() && bench.status == 0x50 && bench.masterStatus & 1 == 0)
    }

    @Test func errors() throws {
        let bench = try IDEBench()
        bench.command(0x20, lba: 4095, count: 2)
        #expect(bench.takeInterrupt() && bench.status == 0x51 && bench.read(1) == 0x10)
        bench.extended(0x24, lba: 1 << 47, count: 0)
        #expect(bench.takeInterrupt() && bench.status == 0x51)
        bench.command(0xFF)
        #expect(bench.takeInterrupt() && bench.status == 0x51 && bench.read(1) == 4)
        bench.command(0xC4, count: 1)
        #expect(bench.status == 0x51, "READ MULTIPLE needs SET MULTIPLE")
        bench.disk.fail(5)
        bench.command(0x20, lba: 3, count: 1)
        #expect(bench.takeInterrupt() && bench.status == 0x51 && bench.read(1) == 0x40 && bench.read(3) == 3)
        bench.command(0x30, lba: 3, count: 1)
        bench.writeData(sector(0))
        #expect(bench.takeInterrupt() && bench.status == 0x51 && bench.read(1) == 4)
        bench.command(0xEA)
        #expect(bench.status == 0x51)
        let locked = try IDEBench(disk: FakeDisk(sectors: 64, isReadOnly: true))
        locked.command(0x30, count: 1)
        #expect(locked.status == 0x51)
    }

    @Test func smallCommands() throws {
        let bench = try IDEBench()
        for code in [0x10, 0x70, 0xE0, 0xE1, 0xE2, 0xE3, 0xE6] as [UInt8] {
            bench.command(code, count: 1)
            #expect(bench.takeInterrupt() && bench.status == 0x50, "\(code)")
        }
        bench.command(0xE5)
        #expect(bench.read(2) == 0xFF)
        bench.command(0xF8)
        #expect([3, 4, 5].map { bench.read($0) } == [0xFF, 0x0F, 0])
        bench.extended(0x27)
        bench.setControl(0x80)
        #expect([3, 4, 5].map { bench.read($0) } == [0, 0, 0])
        bench.setControl(0)
        bench.command(0xB0, lba: 0xC2_4F00, feature: 0xD0)
        #expect(bench.readData(512).reduce(0, &+) == 0)
        bench.command(0xB0, lba: 0xC2_4F00, feature: 0xDA)
        #expect(bench.status == 0x50 && bench.read(4) == 0x4F && bench.read(5) == 0xC2)
        bench.command(0xB0, feature: 0xDA)
        #expect(bench.status == 0x51)
        bench.command(0xEF, count: 0x22, feature: 3)
        bench.command(0xEC)
        #expect(bench.words(bench.readData(512))[63] == 0x0407)
        bench.command(0xEF, count: 0x47, feature: 3)
        #expect(bench.status == 0x51)
    }

    @Test func interruptsCanBeSwitchedOff() throws {
        let bench = try IDEBench()
        bench.setControl(2)
        bench.command(0xEC)
        #expect(bench.status == 0x58 && !bench.interrupt)
        bench.setControl(0)
        #expect(bench.interrupt, "It was only held back")
    }

    @Test func requestsOutliveResets() throws {
        let bench = try IDEBench()
        bench.disk.hold(true)
        bench.command(0x20, lba: 5, count: 1)
        #expect(bench.status & 0x80 != 0 && bench.disk.waitingCount == 1)
        bench.setControl(4)
        bench.setControl(0)
        #expect(bench.status == 0x50)
        bench.command(0x20, lba: 9, count: 1)
        #expect(bench.disk.waitingCount == 1, "The next one waits until the first is done")
        bench.disk.release()
        #expect(bench.status == 0x58 && bench.readData(512) == sector(9))
        #expect(bench.disk.log.count == 2)
    }

    @Test func stateMoves() throws {
        let bench = try IDEBench()
        bench.command(0xC6, count: 4)
        bench.command(0x20, lba: 5, count: 2)
        _ = bench.readData(100)
        bench.controller.pause()
        let saved = bench.controller.exportState()
        let twin = try IDEBench()
        try twin.controller.importState(saved)
        #expect(twin.controller.exportState() == saved && twin.interrupt)
        #expect(twin.readData(412) == [UInt8](repeating: 5, count: 412) && twin.readData(512) == sector(6))

        // A request that no image has seen goes with the state.
        bench.controller.resume()
        bench.setControl(4)
        bench.setControl(0)
        bench.controller.pause()
        bench.command(0x20, lba: 77, count: 1)
        try twin.controller.importState(bench.controller.exportState())
        twin.controller.resume()
        #expect(twin.status == 0x58 && twin.readData(512) == sector(77))
    }
}
