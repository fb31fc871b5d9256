import DeviceModel
import Devices
import GuestMemory
import Testing
import VirtQueue

/// The SCSI host with a disk at 0:0 and a CD drive at 1:0.
@Suite struct SCSITests {
    private struct Bench {
        let memory: AddressSpace
        let disk = FakeDisk(sectors: 4096)
        let device: VirtioSCSI
        let transport: MMIOTransport
        let queues: [DriverQueue]

        init(features: UInt64 = 0) throws {
            memory = try makeMemory()
            var properties = SCSIUnitProperties(isCD: false)
            properties.serial = "abc"
            device = VirtioSCSI(
                [
                    SCSIPlace(target: 0, lun: 0, properties: properties, backend: disk),
                    SCSIPlace(
                        target: 1, lun: 0, properties: SCSIUnitProperties(isCD: true),
                        backend: FakeDisk(sectors: 4000, isReadOnly: true)),
                ],
                scheduler: InlineScheduler())
            transport = MMIOTransport(device, memory)
            queues = try transport.start(memory, features: features)
        }

        /// Sends a command; status, response, sense and data.
        func run(
            _ cdb: [UInt8], target: UInt8 = 0, lun: UInt8 = 0, out: [UInt8] = [], room: Int = 0
        ) throws -> (status: UInt8, response: UInt8, sense: [UInt8], data: [UInt8]) {
            let (request, answer, data) = (UInt64(0xC0_0000), UInt64(0xC1_0000), UInt64(0xC2_0000))
            let head: [UInt8] = [1, target, 0x40, lun] + [UInt8](repeating: 0, count: 15)
            try memory.write(
                GuestPhysical(request), bytes: head + cdb + [UInt8](repeating: 0, count: 32 - cdb.count))
            try memory.write(GuestPhysical(answer), bytes: [UInt8](repeating: 0xEE, count: 108))
            if !out.isEmpty { try memory.write(GuestPhysical(data), bytes: out) }
            _ = queues[2].add(
                readable: [.init(request, 51)] + (out.isEmpty ? [] : [.init(data, UInt32(out.count))]),
                writable: [.init(answer, 108)] + (room == 0 ? [] : [.init(data, UInt32(room))]))
            transport.notify(2)
            // Gives the descriptors back.
            while queues[2].poll() != nil {}
            let bytes = try memory.bytes(GuestPhysical(answer), count: 108)
            let length = Int(bytes[0])
            return (
                bytes[10], bytes[11], Array(bytes[12..<12 + min(length, 96)]),
                try memory.bytes(GuestPhysical(data), count: room)
            )
        }
    }

    @Test func identity() throws {
        let bench = try Bench()
        let inquiry = try bench.run([0x12, 0, 0, 0, 36, 0], room: 36)
        #expect(inquiry.status == 0 && inquiry.response == 0)
        #expect(String(decoding: inquiry.data[8..<32], as: UTF8.self) == "QEMU    QEMU HARDDISK   ")
        #expect(try bench.run([0x12, 0, 0, 0, 36, 0], target: 1, room: 36).data[0] == 5)
        #expect(try bench.run([0x12, 1, 0x80, 0, 36, 0], room: 7).data == [0, 0x80, 0, 3, 0x61, 0x62, 0x63])
        #expect(try bench.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room: 8).data == [0, 0, 0x0F, 0xFF, 0, 0, 2, 0])
        let long = [0x9E, 0x10] + [UInt8](repeating: 0, count: 11) + [32, 0, 0]
        #expect(try bench.run(long, room: 32).data[4..<12] == [0, 0, 0x0F, 0xFF, 0, 0, 2, 0])
        #expect(try bench.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], room: 16).data[3] == 8)
        #expect(try bench.run([0x12, 0, 0, 0, 36, 0], target: 9, room: 36).response == 3)
        #expect(try bench.run([0x12, 0, 0, 0, 36, 0], lun: 3, room: 36).data[0] == 0x7F)
    }

    @Test func movesBlocks() throws {
        let bench = try Bench()
        let read = try bench.run([0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0], room: 1024)
        #expect(read.status == 0 && read.data == [UInt8](repeating: 7, count: 512) + [UInt8](repeating: 8, count: 512))
        let bytes = (0..<512).map { UInt8($0 & 0xFF) }
        #expect(try bench.run([0x2A, 8, 0, 0, 0, 9, 0, 0, 1, 0], out: bytes).status == 0)
        #expect(bench.disk.bytes(9 * 512..<10 * 512) == bytes && bench.disk.log.last?.hasSuffix(" fua") == true)
        #expect(try bench.run([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]).status == 0)
        let beyond = try bench.run([0x28, 0, 0, 0, 0x0F, 0xFF, 0, 0, 2, 0], room: 1024)
        #expect(beyond.status == 2 && beyond.sense[2] == 5 && beyond.sense[12] == 0x21)
        let list: [UInt8] = [0, 22, 0, 16, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 0]
        #expect(try bench.run([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], out: list).status == 0)
        #expect(bench.disk.log.last == "discard 4096 2048")
        bench.disk.fail(5)
        #expect(try bench.run([0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0], room: 1024).sense[2] == 3)
        #expect(try bench.run([0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0], target: 1, room: 2048).data[0] == 4)
    }

    @Test func unitsComeAndGo() throws {
        // Events of units are for drivers that take the feature (VIRTIO_SCSI_F_HOTPLUG).
        let bench = try Bench(features: 1 << 1)
        let event: UInt64 = 0xC8_0000
        try bench.memory.write(GuestPhysical(event), bytes: [UInt8](repeating: 0, count: 16))
        _ = bench.queues[1].add(readable: [], writable: [.init(event, 16)])
        bench.transport.notify(1)
        let place = SCSIPlace(
            target: 4, lun: 0, properties: SCSIUnitProperties(isCD: false), backend: FakeDisk(sectors: 8))
        #expect(bench.device.add(place) && !bench.device.add(place))
        #expect(try bench.memory.bytes(GuestPhysical(event), count: 16) == [1, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(try bench.run([0, 0, 0, 0, 0, 0], target: 4).status == 0)
        bench.device.remove(target: 4, lun: 0)
        #expect(try bench.run([0, 0, 0, 0, 0, 0], target: 4).response == 3)
    }

    @Test func traysAndState() throws {
        let bench = try Bench()
        bench.device.setTray(channel: 1, unit: 0, isOpen: true)
        #expect(bench.device.tray(channel: 1, unit: 0)?.isOpen == true && bench.device.tray(channel: 0, unit: 0) == nil)
        #expect(try bench.run([0, 0, 0, 0, 0, 0], target: 1).sense[12] == 0x3A)
        #expect(try bench.run([0x55, 0x10, 0, 0, 0, 0, 0, 0, 28, 0], out: [UInt8](repeating: 0, count: 8) + [8, 18] + [UInt8](repeating: 0, count: 18)).status == 0)
        let saved = bench.device.exportState()
        let twin = try Bench()
        try twin.device.importState(saved)
        #expect(twin.device.exportState() == saved)
    }
}
