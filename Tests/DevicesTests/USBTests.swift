import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing

/// A UHCI controller with guest memory, and a driver's side of it: each transfer is a queue of descriptors.
private final class Bench {
    let clock = ManualClock()
    let space = AddressSpace()
    let controller: UHCI
    let devices: [USBPeripheral]
    let io = Bus()
    let bus: PCIBus
    private static let base: UInt64 = 0xC000
    private static let frames: UInt64 = 0x1000
    private static let queue: UInt64 = 0x2000
    private static let descriptors: UInt64 = 0x3000
    private static let data: UInt64 = 0x8000

    init(_ devices: [USBPeripheral]) throws {
        self.devices = devices
        space.add(
            FlatView.Range(start: GuestPhysical(0), count: 1 << 20, block: try RAMBlock(name: "ram", size: 1 << 20)))
        controller = UHCI(memory: space, clock: clock)
        bus = PCIBus(
            spaces: PCISpaces(io: io, memory: Bus(), ram: space),
            routing: PCIInterruptRouting(line: { _, _ in 0 }, output: { _, _ in }))
        try bus.attach(controller.function, slot: 1, function: 2)
        for (port, device) in devices.enumerated() { #expect(controller.connect(device, port: port)) }
        controller.function.writeConfiguration(0x20, size: 4, value: UInt32(Self.base))
        controller.function.writeConfiguration(4, size: 2, value: 5)
        for frame: UInt64 in 0..<1024 {
            try space.store(GuestPhysical(Self.frames + frame * 4), UInt32(Self.queue | 2))
        }
        try space.store(GuestPhysical(Self.queue), UInt32(1))
        try space.store(GuestPhysical(Self.queue + 4), UInt32(1))
        out(8, Self.frames, 4)
        out(4, 0x0F)
        out(0, 0x81)
        for port: UInt64 in [0x10, 0x12] {
            out(port, 0x200)
            out(port, 0)
            out(port, 0x04)
        }
    }
    func out(_ register: UInt64, _ value: UInt64, _ size: Int = 2) { io.write(Self.base + register, size: size, value: value) }
    func read(_ register: UInt64) -> UInt64 { io.read(Self.base + register, size: 2) }

    /// Runs a list of transactions; the bytes that came in, or nil for a stall, and whether the last was not ready.
    func run(_ transactions: [(pid: UInt32, endpoint: UInt32, data: [UInt8], limit: Int)], address: UInt32)
        throws -> (bytes: [UInt8]?, isReady: Bool)
    {
        for (index, item) in transactions.enumerated() {
            let place = Self.descriptors + UInt64(index) * 32
            let buffer = Self.data + UInt64(index) * 64
            let isLast = index == transactions.count - 1
            let count = item.pid == 0x69 ? item.limit : item.data.count
            try space.store(GuestPhysical(place), isLast ? UInt32(1) : UInt32(place + 32) | 4)
            try space.store(GuestPhysical(place + 4), UInt32(1 << 23 | 3 << 27 | (isLast ? 1 << 24 : 0)))
            try space.store(
                GuestPhysical(place + 8), UInt32(truncatingIfNeeded: count - 1) << 21 | item.endpoint << 15 | address << 8 | item.pid)
            try space.store(GuestPhysical(place + 12), UInt32(buffer))
            try space.write(GuestPhysical(buffer), bytes: item.data)
        }
        try space.store(GuestPhysical(Self.queue + 4), UInt32(Self.descriptors))
        clock.advance(by: 5_000_000)
        var bytes: [UInt8] = []
        var isReady = true
        for (index, item) in transactions.enumerated() {
            let control = try space.load(GuestPhysical(Self.descriptors + UInt64(index) * 32 + 4), as: UInt32.self)
            if control & 1 << 22 != 0 { return (nil, true) }
            if control & 1 << 23 != 0 { isReady = false }
            let count = Int((control &+ 1) & 0x7FF)
            if item.pid == 0x69, control & 1 << 23 == 0 {
                bytes += try space.bytes(GuestPhysical(Self.data + UInt64(index) * 64), count: count)
            }
        }
        try space.store(GuestPhysical(Self.queue + 4), UInt32(1))
        return (bytes, isReady)
    }

    /// A control transfer.
    func control(_ setup: [UInt8], _ data: [UInt8] = [], address: UInt32) throws -> [UInt8]? {
        let length = Int(setup[6]) | Int(setup[7]) << 8
        var list: [(pid: UInt32, endpoint: UInt32, data: [UInt8], limit: Int)] = [(0x2D, 0, setup, 8)]
        if setup[0] & 0x80 != 0 {
            for start in stride(from: 0, to: length, by: 8) { list.append((0x69, 0, [], min(8, length - start))) }
            list.append((0xE1, 0, [], 0))
        } else {
            if !data.isEmpty { list.append((0xE1, 0, data, 0)) }
            list.append((0x69, 0, [], 0))
        }
        return try run(list, address: address).bytes
    }
    /// What a device's interrupt endpoint has.
    func poll(address: UInt32) throws -> [UInt8]? {
        let result = try run([(0x69, 1, [], 8)], address: address)
        return result.isReady ? result.bytes : nil
    }
    /// Gives the device of address 0 an address and its configuration.
    func start(address: UInt8) throws {
        #expect(try control([0, 5, address, 0, 0, 0, 0, 0], address: 0) == [])
        #expect(try control([0, 9, 1, 0, 0, 0, 0, 0], address: UInt32(address)) == [])
    }
}

@Suite struct USBTests {
    @Test func aTabletSaysWhatItIsAndWhereItPoints() throws {
        let bench = try Bench([.tablet(stateName: "tablet")])
        #expect(bench.read(0x10) & 5 == 5)
        let device = try bench.control([0x80, 6, 0, 1, 0, 0, 18, 0], address: 0)
        #expect(device?.count == 18)
        let head: [UInt8] = [18, 1, 0x00, 0x02, 0, 0, 0, 8]
        #expect(Array((device ?? []).prefix(8)) == head)
        try bench.start(address: 7)
        let configuration = try bench.control([0x80, 6, 0, 2, 0, 0, 34, 0], address: 7)
        #expect(configuration?.count == 34)
        let report = try bench.control([0x81, 6, 0, 0x22, 0, 0, 74, 0], address: 7)
        #expect(report?.count == Int(configuration?[25] ?? 0))
        let name = try bench.control([0x80, 6, 2, 3, 9, 4, 22, 0], address: 7)
        #expect(String(decoding: (name ?? []).dropFirst(2).filter { $0 != 0 }, as: UTF8.self) == "USB Tablet")

        #expect(try bench.poll(address: 7) == nil)
        let input = bench.devices[0].input
        var event = PointerEvent()
        (event.x, event.y) = (0x1234, 0x7FFF)
        input.pointer(event)
        #expect(try bench.poll(address: 7) == [0, 0x34, 0x12, 0xFF, 0x7F, 0])
        event.buttons = 1
        event.dz = -1
        input.pointer(event)
        #expect(try bench.poll(address: 7) == [1, 0x34, 0x12, 0xFF, 0x7F, 1])
        #expect(try bench.poll(address: 7) == nil)
        #expect(bench.read(2) & 1 == 1)
        // What there is not is a stall.
        #expect(try bench.control([0x80, 6, 0, 9, 0, 0, 8, 0], address: 7) == nil)
        #expect(try bench.control([0x40, 1, 0, 0, 0, 0, 0, 0], address: 7) == nil)
    }

    @Test func aKeyboardReportsPressAndRelease() throws {
        let bench = try Bench([.mouse(stateName: "mouse"), .keyboard(stateName: "keyboard")])
        // The mouse leaves address 0 to the keyboard.
        bench.out(0x12, 0)
        try bench.start(address: 3)
        bench.out(0x12, 4)
        try bench.start(address: 4)
        let keyboard = bench.devices[1].input
        keyboard.key(code: 0x2A, down: true)
        keyboard.key(code: 0x1E, down: true)
        keyboard.key(code: 0x1E, down: false)
        #expect(try bench.poll(address: 4) == [2, 0, 0, 0, 0, 0, 0, 0])
        #expect(try bench.poll(address: 4) == [2, 0, 4, 0, 0, 0, 0, 0])
        #expect(try bench.poll(address: 4) == [2, 0, 0, 0, 0, 0, 0, 0])
        #expect(try bench.poll(address: 4) == nil)
        #expect(try bench.control([0x21, 9, 0, 2, 0, 0, 1, 0], [2], address: 4) == [])

        let mouse = bench.devices[0].input
        var event = PointerEvent()
        (event.dx, event.dy) = (300, -2)
        mouse.pointer(event)
        #expect(try bench.poll(address: 3) == [0, 127, 0xFE, 0])
        #expect(try bench.poll(address: 3) == [0, 127, 0, 0])
        #expect(try bench.poll(address: 3) == [0, 46, 0, 0])
    }

    @Test func aStateGoesOnInAnotherController() throws {
        let bench = try Bench([.keyboard(stateName: "keyboard")])
        try bench.start(address: 9)
        bench.devices[0].input.key(code: 0x1E, down: true)
        let other = try Bench([.keyboard(stateName: "keyboard")])
        // A machine takes the time before its devices.
        other.clock.advance(by: bench.clock.now - other.clock.now)
        try other.controller.importState(bench.controller.exportState())
        try other.devices[0].importState(bench.devices[0].exportState())
        #expect(other.controller.exportState() == bench.controller.exportState())
        #expect(other.devices[0].exportState() == bench.devices[0].exportState())
        #expect(try other.poll(address: 9) == [0, 0, 4, 0, 0, 0, 0, 0])
        var older = bench.controller.exportState()
        #expect(older.fields.removeValue(forKey: "next-frame") != nil)
        try other.controller.importState(older)
        var distant = older
        distant.set("next-frame", UInt64.max)
        try other.controller.importState(distant)
        #expect(try other.controller.exportState().integer("next-frame") <= other.clock.now + 1_000_000)
        #expect(throws: DeviceStateError.self) { try other.controller.importState(DeviceState(version: 9)) }
    }

    @Test func randomSchedulesEnd() throws {
        for seed in 0..<UInt64(FuzzRounds.times(6)) {
            let bench = try Bench([.tablet(stateName: "tablet"), .keyboard(stateName: "keyboard")])
            var random = SplitMix64(state: seed)
            for _ in 0..<20 {
                for _ in 0..<400 {
                    // Words that are mostly links to near places, descriptors' tokens and their controls.
                    let word: UInt64 =
                        switch random.next() % 4 {
                        case 0: random.next() & 0xFFF7
                        case 1: [0x69, 0xE1, 0x2D][Int(random.next() % 3)] | random.next() & 0xFFFF_FF00
                        case 2: 0x1D80_0000 | random.next() & 0xFFFF
                        default: random.next()
                        }
                    try bench.space.store(
                        GuestPhysical(0x1000 + random.next() % 0x3000 & ~3), UInt32(truncatingIfNeeded: word))
                }
                poke(
                    bench.controller, offsets: Array(0..<0x20), clock: bench.clock, seed: random.next(), count: 200,
                    step: 500_000)
                bench.out(8, 0x1000, 4)
                bench.out(0, 1)
                bench.out(0x10, 4)
                bench.clock.advance(by: 20_000_000)
                bench.devices[0].input.pointer(PointerEvent())
                bench.devices[1].input.key(code: UInt8(truncatingIfNeeded: random.next()), down: random.next() & 1 == 0)
            }
            let saved = bench.controller.exportState()
            try bench.controller.importState(saved)
            bench.controller.reset()
        }
    }
}
