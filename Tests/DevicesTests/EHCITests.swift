import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing

/// An EHCI controller with guest memory and a companion, and a driver's side of its asynchronous schedule.
private final class Bench {
    let clock = ManualClock()
    let space = AddressSpace()
    let controller: EHCI
    let companion: UHCI
    static let (head, elements, data): (UInt64, UInt64, UInt64) = (0x2000, 0x3000, 0x8000)

    init() throws {
        space.add(
            FlatView.Range(start: GuestPhysical(0), count: 1 << 20, block: try RAMBlock(name: "ram", size: 1 << 20)))
        controller = EHCI(.ich9, memory: space, clock: clock)
        companion = UHCI(.ich9(1), memory: space, clock: clock)
        #expect(controller.addCompanion(companion, firstPort: 0))
        #expect(!controller.addCompanion(companion, firstPort: 0) && !controller.addCompanion(companion, firstPort: 1))
    }
    func write(_ offset: UInt64, _ value: UInt64) { controller.write(offset: offset, size: 4, value: value) }
    func read(_ offset: UInt64) -> UInt32 { UInt32(controller.read(offset: offset, size: 4)) }

    /// Takes the ports, and runs an asynchronous schedule of one head.
    func start() throws {
        write(0x60, 1)
        for (index, word) in [UInt32(Self.head) | 2, 0x0040_E000, 0x4000_0000, 0, 1, 1, 0x40].enumerated() {
            try space.store(GuestPhysical(Self.head + UInt64(index * 4)), word)
        }
        for frame: UInt64 in 0..<1024 { try space.store(GuestPhysical(0x1000 + frame * 4), UInt32(1)) }
        write(0x34, 0x1000)
        write(0x38, Self.head)
        write(0x28, 0x3F)
        write(0x20, 0x31)
    }
    func reset(port: UInt64) {
        write(0x64 + port * 4, 0x1100)
        write(0x64 + port * 4, 0x1000)
    }

    /// A control transfer that brings bytes; nil where it is stalled.
    func control(_ setup: [UInt8], address: UInt32) throws -> [UInt8]? {
        let length = UInt32(setup[6]) | UInt32(setup[7]) << 8
        try space.write(GuestPhysical(Self.data), bytes: setup)
        let list: [(pid: UInt32, count: UInt32, toggle: UInt32)] = [(2, 8, 0), (1, length, 1), (0, 0, 1)]
        for (index, item) in list.enumerated() {
            let place = Self.elements + UInt64(index * 64)
            let isLast = index == 2
            try space.store(GuestPhysical(place), isLast ? UInt32(1) : UInt32(place + 64))
            try space.store(GuestPhysical(place + 4), UInt32(1))
            let token = item.toggle << 31 | item.count << 16 | (isLast ? 0x8000 : 0) | 3 << 10 | item.pid << 8 | 0x80
            try space.store(GuestPhysical(place + 8), token)
            try space.store(GuestPhysical(place + 12), UInt32(Self.data + UInt64(index) * 0x100))
        }
        try space.store(GuestPhysical(Self.head + 4), 0x0040_E000 | address)
        try space.store(GuestPhysical(Self.head + 16), UInt32(Self.elements))
        try space.store(GuestPhysical(Self.head + 24), UInt32(0))
        clock.advance(by: 3_000_000)
        for index in 0..<3 {
            let token = try space.load(GuestPhysical(Self.elements + UInt64(index * 64) + 8), as: UInt32.self)
            if token & 0x40 != 0 { return nil }
            #expect(token & 0x80 == 0)
        }
        let token = try space.load(GuestPhysical(Self.elements + 64 + 8), as: UInt32.self)
        return try space.bytes(GuestPhysical(Self.data + 0x100), count: Int(length - token >> 16 & 0x7FFF))
    }
}

@Suite struct EHCITests {
    @Test func aDeviceOfHighSpeedAnswersHere() throws {
        let bench = try Bench()
        let tablet = USBPeripheral.tablet(stateName: "tablet")
        #expect(bench.controller.connect(tablet, port: 0))
        // Until the controller takes the ports they are the companion's.
        #expect(bench.read(0x64) & 0x2001 == 0x2000)
        #expect(bench.companion.read(offset: 0x10, size: 2) & 1 == 1)
        try bench.start()
        #expect(bench.read(0x64) & 0x2003 == 3)
        #expect(bench.companion.read(offset: 0x10, size: 2) & 1 == 0)
        bench.reset(port: 0)
        #expect(bench.read(0x64) & 5 == 5)
        let device = try bench.control([0x80, 6, 0, 1, 0, 0, 18, 0], address: 0)
        #expect(Array((device ?? []).prefix(8)) == [18, 1, 0, 2, 0, 0, 0, 64])
        #expect(bench.read(0x24) & 1 == 1)
        #expect(try bench.control([0x80, 6, 0, 9, 0, 0, 8, 0], address: 0) == nil)
        #expect(bench.read(0x24) & 2 == 2)
        bench.controller.disconnect(port: 0)
        #expect(bench.read(0x64) & 0xF == 0xA)
    }

    @Test func whatHasNoHighSpeedGoesToTheCompanion() throws {
        let bench = try Bench()
        try bench.start()
        let hub = USBPeripheral.hub(stateName: "hub")
        #expect(bench.controller.connect(hub, port: 1))
        #expect(!bench.controller.connect(USBPeripheral.hub(stateName: "other"), port: 5))
        // A line in state K: the driver gives the port away.
        #expect(bench.read(0x68) & 0xC01 == 0x401)
        bench.write(0x68, 0x3002)
        #expect(bench.read(0x68) & 0x2001 == 0x2000)
        #expect(bench.companion.read(offset: 0x12, size: 2) & 1 == 1)
        let saved = (bench.controller.exportState(), bench.companion.exportState())
        let other = try Bench()
        #expect(other.controller.connect(USBPeripheral.hub(stateName: "hub"), port: 1))
        try other.controller.importState(saved.0)
        try other.companion.importState(saved.1)
        #expect(other.controller.exportState() == saved.0 && other.companion.exportState() == saved.1)
        bench.controller.disconnect(port: 1)
        #expect(bench.companion.read(offset: 0x12, size: 2) & 1 == 0)
        #expect(bench.read(0x68) & 0x2001 == 0)
    }

    @Test func randomSchedulesEnd() throws {
        for seed in 0..<UInt64(FuzzRounds.times(6)) {
            var random = SplitMix64(state: seed)
            let bench = try Bench()
            let devices = [
                USBPeripheral.tablet(stateName: "tablet"), USBPeripheral.hub(stateName: "hub"),
                USBPeripheral.storage(
                    SCSIUnitProperties(isCD: false), backend: FakeDisk(sectors: 64), isRemovable: false,
                    stateName: "stick"),
            ]
            for (port, device) in devices.enumerated() { #expect(bench.controller.connect(device, port: port)) }
            for _ in 0..<20 {
                try bench.start()
                for port: UInt64 in 0..<3 { bench.reset(port: port) }
                for _ in 0..<400 {
                    // Words that are mostly links to near places, tokens and characteristics.
                    let word: UInt64 =
                        switch random.next() % 4 {
                        case 0: random.next() & 0xFFE6 | 2
                        case 1: random.next() & 0x8FFF_8300 | 0x80
                        case 2: 0x0040_E000 | random.next() & 0xF7F
                        default: random.next()
                        }
                    try bench.space.store(
                        GuestPhysical(0x1000 + random.next() % 0x3000 & ~3), UInt32(truncatingIfNeeded: word))
                }
                poke(
                    bench.controller, offsets: Array(0..<0x90), clock: bench.clock, seed: random.next(), count: 200,
                    step: 500_000)
                bench.clock.advance(by: 10_000_000)
                devices[0].input.pointer(PointerEvent())
            }
            let saved = bench.controller.exportState()
            try bench.controller.importState(saved)
            bench.controller.reset()
        }
    }
}
