import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing
import VirtQueue

/// The GPU and input devices against a driver.
@Suite struct GPUTests {
    private static let (command, response, pixels): (UInt64, UInt64, UInt64) = (0x80_0000, 0x81_0000, 0x90_0000)

    private struct Bench {
        let memory: AddressSpace
        let gpu: VirtioGPU
        let transport: any TestTransport
        let queues: [DriverQueue]

        init(_ properties: VirtioGPUProperties = VirtioGPUProperties(), before: (any PictureSource)? = nil) throws {
            memory = try makeMemory()
            gpu = VirtioGPU(properties, before: before, scheduler: InlineScheduler())
            transport = try Road.pci.make(gpu, memory, rings: VirtioRingOptions())
            queues = try transport.start(memory, features: UInt64.max)
        }

        /// Has a command done; the response's type and bytes.
        @discardableResult
        func run(_ type: UInt32, _ words: [UInt32], queue: Int = 0) throws -> (type: UInt32, bytes: [UInt8]) {
            // With a fence, which comes back.
            let all: [UInt32] = [type, 1, 77, 0, 0, 0] + words
            for (index, word) in all.enumerated() {
                try memory.store(GuestPhysical(GPUTests.command + UInt64(index * 4)), word)
            }
            _ = try #require(
                queues[queue].add(
                    readable: [.init(GPUTests.command, UInt32(all.count * 4))], writable: [.init(GPUTests.response, 1100)]))
            transport.notify(queue)
            let used = try #require(queues[queue].poll())
            let bytes = try memory.bytes(GuestPhysical(GPUTests.response), count: Int(used.length))
            #expect(bytes[4] == 1 && bytes[8] == 77)
            return (UInt32(bytes[0]) | UInt32(bytes[1]) << 8, bytes)
        }

        /// A resource of 64 by 48 pixels with two pieces of memory behind it, on the first output.
        func show(format: UInt32 = 2) throws {
            #expect(try run(0x101, [1, format, 64, 48]).type == 0x1100)
            let base = UInt32(GPUTests.pixels)
            #expect(try run(0x106, [1, 2, base, 0, 4096, 0, base + 0x10000, 0, 8192, 0]).type == 0x1100)
            #expect(try run(0x103, [0, 0, 64, 48, 0, 1]).type == 0x1100)
        }
        func paint(_ x: Int, _ y: Int, _ word: UInt32) throws {
            let place = UInt64((y * 64 + x) * 4)
            try memory.store(GuestPhysical(GPUTests.pixels + (place < 4096 ? place : place - 4096 + 0x10000)), word)
        }
        func flush(_ area: [UInt32] = [0, 0, 64, 48]) throws {
            #expect(try run(0x105, area + [(area[1] * 64 + area[0]) * 4, 0, 1, 0]).type == 0x1100)
            #expect(try run(0x104, area + [1, 0]).type == 0x1100)
        }
    }

    @Test func aPictureIsTakenAndShown() throws {
        let bench = try Bench()
        let screen = Screen(name: "gpu", source: bench.gpu.output(0))
        #expect(bench.transport.configuration(8, 4) == 1)
        let display = try bench.run(0x100, [])
        #expect(display.type == 0x1101 && display.bytes.count == 24 + 16 * 24)
        #expect(display.bytes[32..<36] == [0, 5, 0, 0] && display.bytes[40] == 1)
        let edid = try bench.run(0x10A, [0, 0])
        #expect(edid.type == 0x1104 && edid.bytes[32..<152].contains(0xFC))
        #expect(edid.bytes[32..<160].reduce(UInt8(0), &+) == 0)

        try bench.show()
        try bench.paint(3, 2, 0x00AA_BBCC)
        try bench.paint(60, 40, 0x0011_2233)
        try bench.flush()
        let picture = screen.picture
        #expect((picture.width, picture.height) == (64, 48))
        #expect(picture.pixel(3, 2) == 0xAABBCC && picture.pixel(60, 40) == 0x112233)
        // What is not flushed is not seen; a part is taken by itself.
        try bench.paint(5, 30, 0x0044_5566)
        #expect(screen.picture.pixel(5, 30) == 0)
        try bench.flush([4, 30, 8, 1])
        #expect(screen.picture.pixel(5, 30) == 0x445566)
        // Without a resource it is dark.
        #expect(try bench.run(0x103, [0, 0, 0, 0, 0, 0]).type == 0x1100)
        #expect(screen.picture.pixel(3, 2) == 0)
    }

    @Test func orderOfColoursIsTheFormats() throws {
        for (format, word) in [(1, 0xFF11_2233), (3, 0x3322_11FF), (67, 0xFF33_2211), (121, 0x1122_33FF)] as [(UInt32, UInt32)] {
            let bench = try Bench()
            try bench.show(format: format)
            try bench.paint(1, 1, word)
            try bench.flush()
            let screen = Screen(name: "gpu", source: bench.gpu.output(0))
            #expect(screen.picture.pixel(1, 1) == 0x112233, "\(format)")
        }
    }

    @Test func mistakesAreErrors() throws {
        var properties = VirtioGPUProperties()
        properties.memoryLimit = 1 << 20
        let bench = try Bench(properties)
        #expect(try bench.run(0x101, [0, 2, 8, 8]).type == 0x1203)
        #expect(try bench.run(0x101, [1, 9, 8, 8]).type == 0x1205)
        #expect(try bench.run(0x101, [1, 2, 16384, 16384]).type == 0x1201)
        #expect(try bench.run(0x101, [1, 2, 0xFFFF_FFFF, 0xFFFF_FFFF]).type == 0x1205)
        #expect(try bench.run(0x102, [1]).type == 0x1203)
        try bench.show()
        #expect(try bench.run(0x101, [1, 2, 8, 8]).type == 0x1203)
        #expect(try bench.run(0x103, [1, 0, 64, 48, 0, 1]).type == 0x1205)
        #expect(try bench.run(0x103, [0, 0, 64, 48, 7, 1]).type == 0x1202)
        #expect(try bench.run(0x105, [0, 0, 64, 49, 0, 0, 1, 0]).type == 0x1205)
        #expect(try bench.run(0x105, [0, 0, 64, 48, 0xFFFF_FFFF, 0xFFFF_FFFF, 1, 0]).type == 0x1205)
        #expect(try bench.run(0x105, [0, 0, 64, 48, 64, 0, 1, 0]).type == 0x1205)
        #expect(try bench.run(0x106, [1, 1, 0, 0, 16, 0]).type == 0x1200)
        #expect(try bench.run(0x106, [1, 0xFFFF_FFFF]).type == 0x1200)
        #expect(try bench.run(0x107, [1]).type == 0x1100)
        #expect(try bench.run(0x106, [1, 0xFFFF_FFFF]).type == 0x1205)
        #expect(try bench.run(0x999, []).type == 0x1200)
        #expect(try bench.run(0x102, [1]).type == 0x1100)
    }

    @Test func thePointerHasAShape() throws {
        let bench = try Bench()
        let screen = Screen(name: "gpu", source: bench.gpu.output(0))
        #expect(screen.pointer == PointerState())
        #expect(try bench.run(0x101, [2, 1, 64, 64]).type == 0x1100)
        #expect(try bench.run(0x106, [2, 1, UInt32(Self.pixels), 0, 16384, 0]).type == 0x1100)
        try bench.memory.store(GuestPhysical(Self.pixels), UInt32(0x80FF_0000))
        #expect(try bench.run(0x105, [0, 0, 64, 64, 0, 0, 2, 0]).type == 0x1100)
        #expect(try bench.run(0x300, [0, 10, 10, 0, 2, 3, 4, 0], queue: 1).type == 0x1100)
        let shape = try #require(screen.pointer.shape)
        #expect((shape.hotX, shape.hotY, shape.pixels[0]) == (3, 4, 0x80FF_0000))
        #expect(try bench.run(0x300, [0, 10, 10, 0, 0, 0, 0, 0], queue: 1).type == 0x1100)
        #expect(screen.pointer.shape == nil && screen.pointer.stamp == 2)
    }

    @Test func aWishForASizeIsNewsToTheDriver() throws {
        let bench = try Bench()
        let screen = Screen(name: "gpu", source: bench.gpu.output(0))
        _ = bench.transport.takeInterrupt()
        #expect(screen.want(width: 1024, height: 704))
        #expect(bench.transport.takeInterrupt() & 2 == 2)
        #expect(bench.transport.configuration(0, 4) == 1)
        bench.transport.setConfiguration(4, 4, 1)
        #expect(bench.transport.configuration(0, 4) == 0)
        #expect(try bench.run(0x100, []).bytes[32..<40] == [0, 4, 0, 0, 0xC0, 2, 0, 0])
    }

    @Test func aStateGoesOn() throws {
        let bench = try Bench()
        try bench.show()
        try bench.paint(7, 7, 0x0077_7777)
        try bench.flush()
        bench.gpu.pause()
        let saved = bench.gpu.exportState()
        let other = try Bench()
        try other.gpu.importState(saved)
        #expect(other.gpu.exportState() == saved)
        #expect(Screen(name: "gpu", source: other.gpu.output(0)).picture.pixel(7, 7) == 0x777777)
        var broken = saved
        broken.fields["outputs"] = .list([])
        #expect(throws: DeviceStateError.self) { try other.gpu.importState(broken) }
    }

    @Test func randomCommandsEnd() throws {
        for seed in 0..<UInt64(FuzzRounds.times(4)) {
            var random = SplitMix64(state: seed)
            var properties = VirtioGPUProperties()
            properties.memoryLimit = 1 << 18
            let bench = try Bench(properties)
            let screen = Screen(name: "gpu", source: bench.gpu.output(0))
            let types: [UInt32] = [0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x10A, 0x300, 0x301]
            for round in 0..<2000 {
                let words = (0..<12).map { _ in
                    UInt32(truncatingIfNeeded: random.next() & 7 == 0 ? random.next() : random.next() % 70)
                }
                let type = types[Int(random.next() % UInt64(types.count))]
                try bench.run(type, words, queue: type >= 0x300 ? 1 : 0)
                if round % 50 == 0 { _ = screen.picture }
            }
            let saved = bench.gpu.exportState()
            try bench.gpu.importState(saved)
            #expect(bench.gpu.exportState() == saved)
        }
    }

    @Test func inputDevicesSayWhatTheyAreAndWhatHappens() throws {
        let memory = try makeMemory()
        let tablet = VirtioInput(.tablet, serial: "s1", scheduler: InlineScheduler())
        let transport = try Road.pci.make(tablet, memory, rings: VirtioRingOptions())
        let queues = try transport.start(memory, features: UInt64.max)
        func selected(_ select: UInt32, _ subselect: UInt32) -> [UInt8] {
            transport.setConfiguration(0, 1, select)
            transport.setConfiguration(1, 1, subselect)
            return (0..<Int(transport.configuration(2, 1))).map { UInt8(transport.configuration(8 + $0, 1)) }
        }
        #expect(String(decoding: selected(1, 0), as: UTF8.self) == "QEMU Virtio Tablet")
        #expect(String(decoding: selected(2, 0), as: UTF8.self) == "s1")
        #expect(selected(3, 0) == [6, 0, 0x27, 6, 3, 0, 1, 0])
        #expect(selected(0x11, 3) == [3] && selected(0x11, 2) == [0, 1] && selected(0x11, 5) == [])
        #expect(selected(0x12, 1).prefix(8) == [0, 0, 0, 0, 0xFF, 0x7F, 0, 0])

        var event = PointerEvent()
        (event.x, event.buttons) = (0x1234, 1)
        tablet.pointer(event)
        for index in UInt64(0)..<4 {
            _ = try #require(queues[0].add(readable: [], writable: [.init(0x90_0000 + index * 8, 8)]))
        }
        transport.notify(0)
        #expect(try memory.bytes(GuestPhysical(0x90_0000), count: 24) == [
            3, 0, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0x10, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ])
        #expect(transport.takeInterrupt() & 1 == 1)
        // Two more wait for room, and go on in another device.
        event.buttons = 0
        tablet.pointer(event)
        tablet.pause()
        let saved = tablet.exportState()
        let other = VirtioInput(.tablet, serial: "s1", scheduler: InlineScheduler())
        try other.importState(saved)
        #expect(other.exportState() == saved)
    }
}
