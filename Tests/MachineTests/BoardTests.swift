import CEngine
import Execution
import HostOS
import JSON
import Machine
import Synchronization
import Testing

/// What guests find on the boards.
struct BoardTests {
    @Test func mmioReachesVirtioSlots() throws {
        var configuration = Samples.configuration(.microvm)
        configuration.devices = [DeviceConfiguration(driver: "virtio-rng-device")]
        let bench = try Bench(
            configuration,
            [
                .mmioRead(address: 0xFEB0_0000, size: 4), .mmioRead(address: 0xFEB0_0008, size: 4),
                .mmioRead(address: 0xFEB0_0200, size: 4), Samples.powerOff,
            ])

        try bench.run()

        // virtio 1.2, 4.2.2: "virt", the device's id; the next slot has nobody.
        #expect(bench.first.inner.withLock { $0.answers } == [0x7472_6976, 4, 0xFFFF_FFFF])
    }

    @Test func pcHasItsBridgesOnThePCIBus() throws {
        func address(_ slot: UInt32, _ function: UInt32) -> Exit {
            .portWrite(port: 0xCF8, size: 4, value: 0x8000_0000 | slot << 11 | function << 8)
        }
        let read = Exit.portRead(port: 0xCFC, size: 4)
        var configuration = Samples.configuration(.pc)
        configuration.devices = [DeviceConfiguration(driver: "virtio-rng-pci")]
        let bench = try Bench(
            configuration,
            [
                address(0, 0), read, address(1, 0), read, address(1, 3), read, address(2, 0), read, address(3, 0), read,
                Samples.powerOff,
            ])

        try bench.run()

        #expect(
            bench.first.inner.withLock { $0.answers }
                == [0x1237_8086, 0x7000_8086, 0x7113_8086, 0x1005_1AF4, 0xFFFF_FFFF])
        let card = bench.machine.pciFunctions.first { $0.slot == 2 }
        #expect(card?.interruptLine == 10)
        #expect(card?.regions.isEmpty == false)
        #expect(card?.regions.allSatisfy { $0.address != nil } == true)
    }

    @Test func drivesHangOnTheirChannels() throws {
        let sector = [UInt8](repeating: 0, count: 510) + [0x55, 0xAA]
        try Samples.withFolder(["disk": sector + sector, "disc": [UInt8](repeating: 7, count: 4096)]) { folder in
            func drive(_ id: String, _ file: String?, bus: Int, unit: Int) -> DriveConfiguration {
                var drive = DriveConfiguration(id: id)
                drive.file = file.map { "\(folder)/\($0)" }
                drive.format = "raw"
                (drive.bus, drive.unit) = (bus, unit)
                return drive
            }
            var configuration = Samples.configuration(.pc)
            var named = drive("disc", "disc", bus: 0, unit: 0)
            named.interface = .none
            named.media = .cdrom
            configuration.drives = [drive("ide0-hd1", "disk", bus: 0, unit: 1), named]
            var disc = DeviceConfiguration(driver: "ide-cd")
            disc.id = "cd"
            disc.properties["drive"] = .string("disc")
            configuration.devices = [disc]
            configuration.defaultDevices.cdrom = true
            // The signature of the CD drive, that of the disk behind it, and READ SECTORS of the disk's last sector.
            let wait = Exit.portRead(port: 0x3F6, size: 1)
            let bench = try Bench(
                configuration,
                [
                    .portRead(port: 0x1F4, size: 1), .portWrite(port: 0x1F6, size: 1, value: 0xF0),
                    .portRead(port: 0x1F4, size: 1), .portRead(port: 0x174, size: 1),
                    .portWrite(port: 0x1F2, size: 1, value: 1), .portWrite(port: 0x1F3, size: 1, value: 1),
                    .portWrite(port: 0x1F4, size: 1, value: 0), .portWrite(port: 0x1F5, size: 1, value: 0),
                    .portWrite(port: 0x1F7, size: 1, value: 0x20),
                ] + [Exit](repeating: wait, count: 100_000)
                    + [Exit](repeating: .portRead(port: 0x1F0, size: 2), count: 256) + [Samples.powerOff])

            #expect(try bench.run() == 0)

            let answers = bench.first.inner.withLock { $0.answers }
            #expect(Array(answers.prefix(3)) == [0x14, 0, 0x14])
            #expect(answers.contains(0x58) && answers.last == 0xAA55)
            let function = bench.machine.pciFunctions.first { $0.slot == 1 && $0.function == 1 }
            #expect(function?.device == 0x7010 && function?.regions.first?.address != nil)
            #expect(bench.machine.blockDevices.map(\.device) == ["ide0-hd1", "disc", "ide1-cd0"])
            #expect(bench.machine.blockDevices.map { $0.image != nil } == [true, true, false])
        }
    }

    @Test func firmwareFindsTheBootOrder() throws {
        let read: [Exit] = [.portWrite(port: 0x70, size: 1, value: 0x3D), .portRead(port: 0x71, size: 1)]
        var configuration = Samples.configuration(.pc)
        configuration.boot.once = "d"
        let bench = try Bench(
            configuration, read + [.portWrite(port: 0x64, size: 1, value: 0xFE)], read + [Samples.powerOff])

        try bench.run()

        // Only once the CD drive; then the disk, and a floppy after it.
        #expect(bench.first.inner.withLock { $0.answers } == [0x03, 0x12])
    }

    @Test func cardsStandInSlots() throws {
        var configuration = Samples.configuration(.pc)
        var nic = NICConfiguration()
        nic.mac = [2, 0, 0, 0, 0, 7]
        configuration.nics = [nic]
        var second = DeviceConfiguration(driver: "e1000")
        second.id = "net1"
        second.properties["addr"] = .string("09")
        configuration.devices = [second]
        let bench = try Bench(configuration, [Samples.powerOff])

        try bench.run()

        let cards = bench.machine.pciFunctions.filter { $0.classCode == 0x0200 }
        #expect(cards.map(\.slot) == [2, 9] && cards.map(\.device) == [0x100E, 0x100E])
        #expect(cards.map(\.interruptLine) == [10, 10])
        #expect(cards.allSatisfy { $0.regions.allSatisfy { $0.address != nil } })
        #expect(bench.machine.networks.map(\.name) == ["e1000.0", "net1"])
        #expect(bench.machine.networks[0].text.hasSuffix("model=e1000,macaddr=02:00:00:00:00:07"))
        try bench.machine.setLink("net1", isUp: false)
    }

    @Test func interruptsReachTheProcessorByThePIC() throws {
        // ICW1 to ICW4 with base 0x20, all but line 0 masked; PIT channel 0 in mode 0 with a count of 16.
        let writes: [(UInt16, UInt32)] = [
            (0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xFE), (0x43, 0x30), (0x40, 16), (0x40, 0),
        ]
        let exits = writes.map { Exit.portWrite(port: $0.0, size: 1, value: $0.1) }
        let bench = try Bench(
            Samples.configuration(.pc),
            exits + [Exit](repeating: .halt, count: 50) + [.interruptAcknowledge, Samples.powerOff])

        try bench.run()

        #expect(bench.first.inner.withLock { $0.vectors } == [0x20])
    }

    @Test func kernelTablesAndEntryAreInPlace() throws {
        try Samples.withFolder(["kernel": Samples.kernel]) { folder in
            var configuration = Samples.configuration(.pc, processors: 2)
            configuration.boot.kernel = "\(folder)/kernel"
            configuration.lifecycle.startsPaused = true
            let bench = try Bench(configuration)
            let machine = bench.machine
            bench.loop.post {
                let root = (try? machine.readPhysical(0xF0000, count: 36)) ?? []
                #expect(Array(root.prefix(8)) == Array("RSD PTR ".utf8))
                #expect(root.reduce(0, &+) == 0)
                let table = root[16..<20].reversed().reduce(0) { $0 << 8 | UInt64($1) }
                #expect((try? machine.readPhysical(table, count: 4)) == Array("RSDT".utf8))
                #expect((try? machine.readPhysical(0xF0040, count: 5)) == Array("_SM3_".utf8))
                #expect((try? machine.readPhysical(0x10_0020, count: 1)) == [0xF4])
                let registers = try? machine.registers(of: 0)
                #expect(registers?.instructionPointer == 0x10_0020)
                #expect(registers?.general[0] == 0x2BAD_B002)
                #expect(registers?.segments[1].flags == 0x00C0_9B00)
                machine.quit(cause: .hostQuit)
            }

            #expect(try bench.run() == 0)
            #expect(bench.engine.processors[0].state.waiting_for_sipi == 0)
            #expect(bench.engine.processors[1].state.waiting_for_sipi == 1)
        }
    }

    @Test func resetLoadsTheKernelAgain() throws {
        try Samples.withFolder(["kernel": Samples.kernel]) { folder in
            var configuration = Samples.configuration(.microvm)
            configuration.boot.kernel = "\(folder)/kernel"
            let bench = try Bench(configuration, [.portWrite(port: 0x64, size: 1, value: 0xFE)], [Samples.powerOff])

            #expect(try bench.run() == 0)
            #expect(bench.first.state.rip == 0x10_0020)
            #expect(bench.first.inner.withLock { $0.resets } == 2)
        }
    }

    @Test func mistakesAreToldBeforeAnythingStarts() throws {
        func failure(_ change: (inout MachineConfiguration) -> Void) -> String {
            var configuration = Samples.configuration(.pc)
            change(&configuration)
            do {
                _ = try Bench(configuration)
                return ""
            } catch { return "\(error)" }
        }
        #expect(failure { $0.boot.kernel = "/nonexistent/k" }.contains("could not load kernel '/nonexistent/k'"))
        #expect(failure { $0.boot.kernel = "/etc/hostname" }.contains("/etc/hostname"))
        #expect(failure { $0.memory.size = 4096 }.contains("too small"))
        #expect(
            failure { configuration in
                var drive = DriveConfiguration(id: "virtio0")
                drive.interface = .virtio
                drive.file = "/nonexistent/d"
                configuration.drives = [drive]
            }.contains("/nonexistent/d"))
        #expect(
            failure { $0.devices = [DeviceConfiguration(driver: "virtconsole")] }.contains("No 'virtio-serial-bus'"))
        #expect(failure { $0.devices = [DeviceConfiguration(driver: "virtio-rng-device")] }.contains("virtio-bus"))
        #expect(failure { $0.devices = [DeviceConfiguration(driver: "ide-hd")] }.contains("drive is empty"))
        #expect(
            failure { configuration in
                var drive = DeviceConfiguration(driver: "ide-cd")
                drive.bus = "ide.1"
                drive.properties["unit"] = .integer(0)
                configuration.devices = [drive, drive]
            }.contains("IDE unit 0 is in use"))
        #expect(
            failure { configuration in
                var card = DeviceConfiguration(driver: "e1000")
                card.properties["bootindex"] = .integer(3)
                configuration.devices = [card, card]
            }.contains("The bootindex 3 has already been used"))
        #expect(
            failure { configuration in
                configuration.board.kind = .microvm
                configuration.devices = [DeviceConfiguration(driver: "ide-cd")]
            }.contains("No 'IDE' bus"))
    }
}
