import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing

/// An xHCI controller with guest memory, and a driver's side of its rings.
final class XHCIBench {
    let clock = ManualClock()
    let space = AddressSpace()
    let controller: XHCI
    private static let contexts: UInt64 = 0x1000
    private static let commands: UInt64 = 0x2000
    private static let events: UInt64 = 0x3000
    private static let table: UInt64 = 0x3F00
    static let input: UInt64 = 0x4000
    private static let output: UInt64 = 0x5000
    private static let rings: UInt64 = 0x1_0000
    static let data: UInt64 = 0x4_0000
    private var command: UInt64 = 0
    private var event: UInt64 = 0
    private var eventCycle: UInt32 = 1
    /// The next place of each endpoint's ring.
    private var places: [Int: UInt64] = [:]

    init(_ properties: XHCIProperties = XHCIProperties()) throws {
        space.add(
            FlatView.Range(start: GuestPhysical(0), count: 2 << 20, block: try RAMBlock(name: "ram", size: 2 << 20)))
        controller = XHCI(properties, memory: space, clock: clock, scheduler: InlineScheduler())
        try space.store(GuestPhysical(Self.table), UInt64(Self.events))
        try space.store(GuestPhysical(Self.table + 8), UInt32(64))
    }
    func write(_ offset: UInt64, _ value: UInt64) { controller.write(offset: offset, size: 4, value: value) }
    func read(_ offset: UInt64) -> UInt32 { UInt32(controller.read(offset: offset, size: 4)) }

    /// Sets up the rings and runs.
    func start() {
        write(0x78, 8)
        write(0x70, Self.contexts)
        write(0x74, 0)
        write(0x58, Self.commands | 1)
        write(0x5C, 0)
        write(0x1028, 1)
        write(0x1038, Self.events)
        write(0x103C, 0)
        write(0x1030, Self.table)
        write(0x1034, 0)
        write(0x1020, 2)
        write(0x40, 5)
    }

    /// The next event, or nil.
    func next() throws -> (type: UInt32, parameter: UInt64, status: UInt32, control: UInt32)? {
        let place = Self.events + event * 16
        let control: UInt32 = try space.load(GuestPhysical(place + 12))
        guard control & 1 == eventCycle else { return nil }
        event += 1
        if event == 64 { (event, eventCycle) = (0, eventCycle ^ 1) }
        let result = (
            control >> 10 & 63, try space.load(GuestPhysical(place), as: UInt64.self),
            try space.load(GuestPhysical(place + 8), as: UInt32.self), control
        )
        write(0x1038, (Self.events + event * 16) | 8)
        return result
    }
    /// The next event of a type; those before are thrown away.
    func next(of type: UInt32) throws -> (parameter: UInt64, status: UInt32, control: UInt32)? {
        while let found = try next() { if found.type == type { return (found.parameter, found.status, found.control) } }
        return nil
    }

    /// Has a command done; its completion code and slot.
    func run(_ type: UInt32, _ parameter: UInt64 = 0, slot: UInt32 = 0, endpoint: UInt32 = 0) throws -> (
        code: UInt32, slot: Int
    ) {
        let place = Self.commands + command * 16
        command += 1
        try space.store(GuestPhysical(place), parameter)
        try space.store(GuestPhysical(place + 8), UInt32(0))
        try space.store(GuestPhysical(place + 12), slot << 24 | endpoint << 16 | type << 10 | 1)
        write(0x2000, 0)
        let event = try #require(try next(of: 33))
        #expect(event.parameter == place)
        return (event.status >> 24, Int(event.control >> 24))
    }

    /// Resets a port, and gives the device there a slot.
    func attach(port: Int, route: UInt32 = 0) throws -> Int {
        let register = UInt64(0x440 + (port - 1) * 16)
        write(register, 0x210)
        #expect(read(register) & 3 == 3)
        write(register, UInt64(0xFE_0200))
        let slot = try run(9).slot
        try space.store(GuestPhysical(Self.contexts + UInt64(slot) * 8), Self.output + UInt64(slot) * 1024)
        try space.write(GuestPhysical(Self.input), bytes: [UInt8](repeating: 0, count: 1056))
        try space.store(GuestPhysical(Self.input + 4), UInt32(3))
        try space.store(GuestPhysical(Self.input + 32), UInt32(1 << 27) | route)
        try space.store(GuestPhysical(Self.input + 36), UInt32(port) << 16)
        try setContext(slot, 1, kind: 4, packet: 64)
        #expect(try run(11, Self.input, slot: UInt32(slot)).code == 1)
        return slot
    }

    private func ring(_ slot: Int, _ index: Int) -> UInt64 { Self.rings + UInt64(slot * 32 + index) * 0x400 }
    private func setContext(_ slot: Int, _ index: Int, kind: UInt32, packet: UInt32) throws {
        let context = Self.input + UInt64(32 + index * 32)
        try space.store(GuestPhysical(context + 4), packet << 16 | kind << 3)
        try space.store(GuestPhysical(context + 8), ring(slot, index) | 1)
        places[slot * 32 + index] = 0
    }

    /// Adds endpoints.
    func configure(_ slot: Int, _ endpoints: [(index: Int, kind: UInt32, packet: UInt32)]) throws {
        try space.store(GuestPhysical(Self.input), UInt32(0))
        try space.store(GuestPhysical(Self.input + 4), endpoints.reduce(UInt32(1)) { $0 | 1 << UInt32($1.index) })
        for one in endpoints { try setContext(slot, one.index, kind: one.kind, packet: one.packet) }
        #expect(try run(12, Self.input, slot: UInt32(slot)).code == 1)
    }

    /// Puts a block into an endpoint's ring.
    func put(_ slot: Int, _ index: Int, _ parameter: UInt64, _ status: UInt32, _ control: UInt32) throws {
        let key = slot * 32 + index
        let place = places[key, default: 0]
        let address = ring(slot, index) + place * 16
        places[key] = place + 1
        try space.store(GuestPhysical(address), parameter)
        try space.store(GuestPhysical(address + 8), status)
        try space.store(GuestPhysical(address + 12), control | 1)
        if place == 60 {
            try space.store(GuestPhysical(address + 16), ring(slot, index))
            try space.store(GuestPhysical(address + 28), UInt32(6 << 10 | 1))
            Issue.record("a test uses 60 blocks of a ring at most")
        }
    }
    func knock(_ slot: Int, _ index: Int) { write(0x2000 + UInt64(slot) * 4, UInt64(index)) }

    /// A control transfer: what came in, or nil for a stall.
    func control(_ slot: Int, _ setup: [UInt8], _ bytes: [UInt8] = []) throws -> [UInt8]? {
        let length = Int(setup[6]) | Int(setup[7]) << 8
        let isInput = setup[0] & 0x80 != 0
        let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(setup[$1]) << UInt64($1 * 8) }
        try put(slot, 1, word, 8, 2 << 10 | 1 << 6)
        if length > 0 {
            try space.write(GuestPhysical(Self.data), bytes: bytes)
            try put(slot, 1, Self.data, UInt32(length), 3 << 10 | 4 | (isInput ? 1 << 16 : 0))
        }
        try put(slot, 1, 0, 0, 4 << 10 | 1 << 5 | (isInput && length > 0 ? 0 : 1 << 16))
        knock(slot, 1)
        var moved = length
        while let event = try next(of: 32) {
            switch event.status >> 24 {
            case 13: moved = length - Int(event.status & 0xFF_FFFF)
            case 1: return isInput ? try space.bytes(GuestPhysical(Self.data), count: moved) : []
            default:
                #expect(try run(14, slot: UInt32(slot), endpoint: 1).code == 1)
                let place = ring(slot, 1) + places[slot * 32 + 1, default: 0] * 16
                #expect(try run(16, place | 1, slot: UInt32(slot), endpoint: 1).code == 1)
                return nil
            }
        }
        Issue.record("a control transfer does not end")
        return nil
    }
}

@Suite struct XHCITests {
    @Test func aTabletIsAskedWhenItHasSomething() throws {
        let bench = try XHCIBench()
        let tablet = USBPeripheral.tablet(stateName: "tablet")
        #expect(bench.controller.connect(tablet, port: 0))
        #expect(!bench.controller.connect(USBPeripheral.mouse(stateName: "mouse"), port: 0))
        bench.start()
        // The port of USB 2 comes after the four of USB 3; the device has high speed.
        let change = try #require(try bench.next(of: 34))
        #expect(change.parameter == 5 << 24)
        #expect(bench.read(0x440 + 4 * 16) >> 10 & 15 == 3)
        let slot = try bench.attach(port: 5)
        let device = try bench.control(slot, [0x80, 6, 0, 1, 0, 0, 18, 0])
        #expect(Array((device ?? []).prefix(8)) == [18, 1, 0, 2, 0, 0, 0, 64])
        #expect(try bench.control(slot, [0x80, 6, 0, 9, 0, 0, 8, 0]) == nil)
        #expect(try bench.control(slot, [0, 9, 1, 0, 0, 0, 0, 0]) == [])
        try bench.configure(slot, [(3, 7, 8)])
        try bench.put(slot, 3, XHCIBench.data, 8, 1 << 10 | 1 << 5 | 4)
        bench.knock(slot, 3)
        #expect(try bench.next() == nil)
        var event = PointerEvent()
        (event.x, event.y) = (0x1234, 0x7FFF)
        tablet.input.pointer(event)
        let moved = try #require(try bench.next(of: 32))
        // Six bytes of eight came.
        #expect(moved.status == 13 << 24 | 2)
        #expect(try bench.space.bytes(GuestPhysical(XHCIBench.data), count: 6) == [0, 0x34, 0x12, 0xFF, 0x7F, 0])
        // A transfer that waits is told of where its endpoint is stopped.
        try bench.put(slot, 3, XHCIBench.data, 8, 1 << 10 | 1 << 5 | 4)
        bench.knock(slot, 3)
        #expect(try bench.run(15, slot: UInt32(slot), endpoint: 3).code == 1)
        #expect(try bench.run(15, slot: UInt32(slot), endpoint: 3).code == 19)
        bench.controller.disconnect(port: 0)
        #expect(bench.read(0x440 + 4 * 16) & 1 == 0)
        #expect(try bench.run(10, slot: UInt32(slot)).code == 1)
    }

    /// A command block, as the bulk-only transport has it.
    private func block(_ length: UInt32, isInput: Bool, _ command: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0x55, 0x53, 0x42, 0x43, 7, 0, 0, 0]
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32($0 * 8)) }
        bytes += [isInput ? 0x80 : 0, 0, UInt8(command.count)] + command
        return bytes + [UInt8](repeating: 0, count: 31 - bytes.count)
    }

    private func send(_ bench: XHCIBench, _ slot: Int, _ block: [UInt8]) throws {
        try bench.space.write(GuestPhysical(XHCIBench.data), bytes: block)
        try bench.put(slot, 4, XHCIBench.data, 31, 1 << 10 | 1 << 5)
        bench.knock(slot, 4)
        #expect(try bench.next(of: 32)?.status == 1 << 24)
    }
    private func status(_ bench: XHCIBench, _ slot: Int) throws -> [UInt8] {
        try bench.put(slot, 3, XHCIBench.data, 13, 1 << 10 | 1 << 5 | 4)
        bench.knock(slot, 3)
        #expect(try bench.next(of: 32)?.status == 1 << 24)
        return Array(try bench.space.bytes(GuestPhysical(XHCIBench.data), count: 13)[8...])
    }

    private func storage(_ disk: FakeDisk) throws -> (XHCIBench, Int, USBPeripheral) {
        let bench = try XHCIBench()
        let device = USBPeripheral.storage(
            SCSIUnitProperties(isCD: false), backend: disk, isRemovable: true, stateName: "stick")
        #expect(bench.controller.connect(device, port: 1))
        bench.start()
        // Port 2 is one of USB 3.
        #expect(bench.read(0x450) & 0x3C03 == 0x1003)
        let slot = try bench.attach(port: 2)
        #expect(try bench.control(slot, [0, 9, 1, 0, 0, 0, 0, 0]) == [])
        try bench.configure(slot, [(3, 6, 1024), (4, 2, 1024)])
        return (bench, slot, device)
    }

    @Test func aDiskIsReadAndWritten() throws {
        let disk = FakeDisk(sectors: 1024)
        let (bench, slot, _) = try storage(disk)
        // Inquiry: a removable disk.
        try send(bench, slot, block(36, isInput: true, [0x12, 0, 0, 0, 36, 0]))
        try bench.put(slot, 3, XHCIBench.data, 36, 1 << 10 | 1 << 5 | 4)
        bench.knock(slot, 3)
        #expect(try bench.next(of: 32)?.status == 1 << 24)
        #expect(Array(try bench.space.bytes(GuestPhysical(XHCIBench.data), count: 2)) == [0, 0x80])
        #expect(try status(bench, slot) == [0, 0, 0, 0, 0])
        // 300 sectors, in more pieces than one, over blocks of a chain.
        try send(bench, slot, block(300 * 512, isInput: true, [0x28, 0, 0, 0, 0, 1, 0, 1, 44, 0]))
        try bench.put(slot, 3, XHCIBench.data, 0x1_0000, 1 << 10 | 1 << 4)
        try bench.put(slot, 3, XHCIBench.data + 0x1_0000, 300 * 512 - 0x1_0000, 1 << 10 | 1 << 5)
        bench.knock(slot, 3)
        #expect(try bench.next(of: 32)?.status == 1 << 24)
        #expect(try bench.space.bytes(GuestPhysical(XHCIBench.data), count: 300 * 512) == disk.bytes(512..<301 * 512))
        #expect(try status(bench, slot) == [0, 0, 0, 0, 0])
        // A write.
        try send(bench, slot, block(1024, isInput: false, [0x2A, 0, 0, 0, 0, 9, 0, 0, 2, 0]))
        try bench.space.write(GuestPhysical(XHCIBench.data), bytes: [UInt8](repeating: 0xA5, count: 1024))
        try bench.put(slot, 4, XHCIBench.data, 1024, 1 << 10 | 1 << 5)
        bench.knock(slot, 4)
        #expect(try bench.next(of: 32)?.status == 1 << 24)
        #expect(try status(bench, slot) == [0, 0, 0, 0, 0])
        #expect(disk.bytes(9 * 512..<11 * 512) == [UInt8](repeating: 0xA5, count: 1024))
        // Beyond the end: no data but zeroes, and a status that says so; the sense tells why.
        try send(bench, slot, block(512, isInput: true, [0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0]))
        try bench.put(slot, 3, XHCIBench.data, 512, 1 << 10 | 1 << 5)
        bench.knock(slot, 3)
        #expect(try bench.next(of: 32) != nil)
        #expect(try status(bench, slot) == [0, 2, 0, 0, 1])
        try send(bench, slot, block(18, isInput: true, [0x03, 0, 0, 0, 18, 0]))
        try bench.put(slot, 3, XHCIBench.data, 18, 1 << 10 | 1 << 5)
        bench.knock(slot, 3)
        #expect(try bench.next(of: 32) != nil)
        let sense = try bench.space.bytes(GuestPhysical(XHCIBench.data), count: 18)
        #expect(sense[2] == 5 && sense[12] == 0x21)
        #expect(try status(bench, slot) == [0, 0, 0, 0, 0])
        // What is no command block stalls the endpoint, and the reset of the class ends that.
        try bench.space.write(GuestPhysical(XHCIBench.data), bytes: [UInt8](repeating: 1, count: 31))
        try bench.put(slot, 4, XHCIBench.data, 31, 1 << 10 | 1 << 5)
        bench.knock(slot, 4)
        #expect(try bench.next(of: 32)?.status == 6 << 24 | 31)
        #expect(try bench.control(slot, [0x21, 0xFF, 0, 0, 0, 0, 0, 0]) == [])
        #expect(try bench.control(slot, [0xA1, 0xFE, 0, 0, 0, 0, 1, 0]) == [0])
    }

    @Test func aStateGoesOnInTheMiddleOfARead() throws {
        let disk = FakeDisk(sectors: 1024)
        let (bench, slot, device) = try storage(disk)
        try send(bench, slot, block(300 * 512, isInput: true, [0x28, 0, 0, 0, 0, 1, 0, 1, 44, 0]))
        // The first piece was read; the second is not done.
        disk.hold(true)
        try bench.put(slot, 3, XHCIBench.data, 300 * 512 - 0x1_0000, 1 << 10 | 1 << 4)
        try bench.put(slot, 3, XHCIBench.data + 300 * 512 - 0x1_0000, 0x1_0000, 1 << 10 | 1 << 5)
        bench.knock(slot, 3)
        #expect(disk.waitingCount == 1)
        let saved = (bench.controller.exportState(), device.exportState())

        let other = try XHCIBench()
        let twin = USBPeripheral.storage(
            SCSIUnitProperties(isCD: false), backend: FakeDisk(sectors: 1024), isRemovable: true, stateName: "stick")
        #expect(other.controller.connect(twin, port: 1))
        try other.space.write(GuestPhysical(0), bytes: try bench.space.bytes(GuestPhysical(0), count: 2 << 20))
        twin.pause()
        other.controller.pause()
        try other.controller.importState(saved.0)
        try twin.importState(saved.1)
        #expect(other.controller.exportState() == saved.0)
        #expect(twin.exportState() == saved.1)
        twin.resume()
        other.controller.resume()
        #expect(try other.space.bytes(GuestPhysical(XHCIBench.data), count: 300 * 512) == disk.bytes(512..<301 * 512))
        disk.release()
        device.reset()
        #expect(throws: DeviceStateError.self) { try twin.importState(DeviceState(version: 9)) }
        #expect(throws: DeviceStateError.self) { try other.controller.importState(DeviceState(version: 9)) }
    }

    @Test func aHubHasPortsOfItsOwn() throws {
        let bench = try XHCIBench()
        let hub = USBPeripheral.hub(stateName: "hub")
        let keyboard = USBPeripheral.keyboard(stateName: "keyboard")
        #expect(bench.controller.connect(hub, port: 0))
        #expect(hub.connect(keyboard, port: 2))
        #expect(!hub.connect(USBPeripheral.mouse(stateName: "m"), port: 2) && !hub.connect(hub, port: 0))
        bench.start()
        let slot = try bench.attach(port: 5)
        #expect(try bench.control(slot, [0, 9, 1, 0, 0, 0, 0, 0]) == [])
        let descriptor = try bench.control(slot, [0xA0, 6, 0, 0x29, 0, 0, 15, 0])
        #expect(descriptor?.prefix(3) == [11, 0x29, 8])
        #expect(try bench.control(slot, [0xA3, 0, 0, 0, 3, 0, 4, 0]) == [1, 1, 1, 0])
        #expect(try bench.control(slot, [0x23, 3, 4, 0, 3, 0, 0, 0]) == [])
        #expect(try bench.control(slot, [0xA3, 0, 0, 0, 3, 0, 4, 0]) == [3, 1, 0x11, 0])
        let second = try bench.run(9).slot
        #expect(second == slot + 1)
        #expect(try bench.control(slot, [0x23, 3, 4, 0, 9, 0, 0, 0]) == nil)
        hub.disconnect(port: 2)
        #expect(try bench.control(slot, [0xA3, 0, 0, 0, 3, 0, 4, 0]) == [0, 1, 0x11, 0])
    }

    @Test func randomRingsEnd() throws {
        for seed in 0..<UInt64(FuzzRounds.times(8)) {
            var random = SplitMix64(state: seed)
            let disk = FakeDisk(sectors: 64)
            let bench = try XHCIBench()
            let hub = USBPeripheral.hub(stateName: "hub")
            let devices = [
                USBPeripheral.storage(
                    SCSIUnitProperties(isCD: false), backend: disk, isRemovable: false, stateName: "stick"), hub,
                USBPeripheral.tablet(stateName: "tablet"),
            ]
            for (port, device) in devices.enumerated() { #expect(bench.controller.connect(device, port: port)) }
            #expect(hub.connect(USBPeripheral.keyboard(stateName: "keyboard"), port: 0))
            bench.start()
            for _ in 0..<20 {
                // Blocks that are mostly of known types with near addresses, in all rings and contexts.
                for _ in 0..<300 {
                    let place = 0x1000 + random.next() % 0x1_C000 & ~15
                    let type = [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17][Int(random.next() % 15)]
                    try bench.space.store(GuestPhysical(place), random.next() & 0x1_FFF0)
                    try bench.space.store(GuestPhysical(place + 8), UInt32(truncatingIfNeeded: random.next() & 0x1_00FF))
                    let flags = UInt32(truncatingIfNeeded: random.next() & 0x0303_01F7)
                    try bench.space.store(GuestPhysical(place + 12), flags | UInt32(type) << 10)
                }
                if random.next() & 1 == 0 { bench.start() }
                poke(
                    bench.controller, offsets: Array(0..<0x60) + Array(0x440..<0x4C0) + Array(0x1020..<0x1060),
                    clock: bench.clock, seed: random.next(), count: 100, step: 100_000)
                for _ in 0..<8 { bench.knock(Int(random.next() % 4), Int(random.next() % 5)) }
                devices[2].input.pointer(PointerEvent())
                if random.next() & 3 == 0 {
                    bench.controller.disconnect(port: 2)
                    #expect(bench.controller.connect(devices[2], port: 2))
                }
            }
            let saved = bench.controller.exportState()
            try bench.controller.importState(saved)
            bench.controller.reset()
            for device in devices { device.reset() }
        }
    }

    @Test func randomCommandBlocksEnd() throws {
        for seed in 0..<UInt64(FuzzRounds.times(4)) {
            var random = SplitMix64(state: seed)
            let disk = FakeDisk(sectors: 64)
            let device = USBPeripheral.storage(
                SCSIUnitProperties(isCD: seed & 1 == 1), backend: disk, isRemovable: false, stateName: "stick")
            let space = AddressSpace()
            let uhci = UHCI(memory: space, clock: ManualClock())
            #expect(uhci.connect(device, port: 0))
            device.request([0, 9, 1, 0, 0, 0, 0, 0])
            for _ in 0..<2000 {
                let codes: [UInt8] = [0, 3, 0x12, 0x15, 0x1A, 0x1B, 0x25, 0x28, 0x2A, 0x35, 0x41, 0x42, 0x55, 0x5A, 0x88, 0x8A, 0x93, 0x9E, 0xA8, 0x46, 0x4A]
                var command = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next() & random.next()) }
                command[0] = codes[Int(random.next() % UInt64(codes.count))]
                let length = UInt32(truncatingIfNeeded: random.next() % 5000)
                device.poke(block(length, isInput: random.next() & 1 == 0, command), &random)
            }
            let saved = device.exportState()
            try device.importState(saved)
            #expect(device.exportState() == saved)
            device.reset()
        }
    }
}

extension USBPeripheral {
    fileprivate func request(_ setup: [UInt8]) {
        _ = transact(.setup, endpoint: 0, output: setup)
        _ = transact(.input, endpoint: 0)
    }
    /// A command block with random transactions behind it, and what a driver does where an endpoint is stalled.
    fileprivate func poke(_ block: [UInt8], _ random: inout SplitMix64) {
        _ = transact(.output, endpoint: 2, output: block)
        for _ in 0..<(random.next() % 8) {
            var result: USBResult
            if random.next() & 1 == 0 {
                result = transact(.input, endpoint: 1, limit: Int(random.next() % 5000))
            } else {
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next() & 3), count: Int(random.next() % 600))
                result = transact(.output, endpoint: 2, output: bytes)
            }
            if random.next() & 15 == 0 { result = .stall }
            guard result == .stall else { continue }
            request([0x21, 0xFF, 0, 0, 0, 0, 0, 0])
            request([2, 1, 0, 0, 0x81, 0, 0, 0])
            request([2, 1, 0, 0, 0x02, 0, 0, 0])
            return
        }
    }
}
