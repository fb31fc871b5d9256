import DeviceModel
import Devices
import GuestMemory
import Testing
import VirtQueue

@Suite struct EntropyTests {
    private static let ones: VirtioEntropy.Source = { bytes in for index in bytes.indices { bytes[index] = 0xA5 } }

    @Test(arguments: Road.allCases) func buffersAreFilled(_ road: Road) throws {
        let memory = try makeMemory()
        let device = VirtioEntropy(scheduler: InlineScheduler(), source: Self.ones)
        let transport = try road.make(device, memory)
        let queue = try transport.start(memory)[0]
        let id = try #require(queue.add(readable: [], writable: [.init(0x80000, 10), .init(0x90000, 6)]))
        transport.notify(0)
        #expect(queue.poll() == .init(id: id, length: 16))
        #expect(transport.takeInterrupt() == 1)
        #expect(try memory.bytes(GuestPhysical(0x80000), count: 11) == [UInt8](repeating: 0xA5, count: 10) + [0])
        #expect(try memory.bytes(GuestPhysical(0x90000), count: 6) == [UInt8](repeating: 0xA5, count: 6))
    }

    @Test func hostNumbersDiffer() {
        var first = [UInt8](repeating: 0, count: 33)
        var second = first
        VirtioEntropy.hostSource(&first)
        VirtioEntropy.hostSource(&second)
        #expect(first != second)
    }

    @Test func largeBuffersGetAPart() throws {
        let memory = try makeMemory()
        let transport = MMIOTransport(VirtioEntropy(scheduler: InlineScheduler(), source: Self.ones), memory)
        let queue = try transport.start(memory)[0]
        _ = queue.add(readable: [], writable: [.init(0x100000, 0x80_0000)])
        transport.notify(0)
        #expect(queue.poll()?.length == 4096)
    }

    @Test func rateIsLimited() throws {
        let memory = try makeMemory()
        let clock = ManualClock()
        let device = VirtioEntropy(
            .init(maxBytes: 24, period: 10), scheduler: InlineScheduler(), clock: clock, source: Self.ones)
        let transport = MMIOTransport(device, memory)
        let queue = try transport.start(memory)[0]
        for _ in 0..<4 { _ = queue.add(readable: [], writable: [.init(0x80000, 16)]) }
        transport.notify(0)
        #expect(queue.poll()?.length == 16 && queue.poll()?.length == 8 && queue.poll() == nil)
        clock.advance(by: 9_000_000)
        #expect(queue.poll() == nil)
        clock.advance(by: 1_000_000)
        #expect(queue.poll()?.length == 16 && queue.poll()?.length == 8)
    }

    @Test func malformedRingNeedsReset() throws {
        let memory = try makeMemory()
        let transport = MMIOTransport(VirtioEntropy(scheduler: InlineScheduler(), source: Self.ones), memory)
        let queue = try transport.start(memory)[0]
        _ = queue.add(readable: [], writable: [.init(1 << 40, 16)])
        transport.notify(0)
        #expect(transport.status == 0x4F && queue.poll() == nil)
        transport.notify(0)
        let again = try transport.start(memory)[0]
        _ = again.add(readable: [], writable: [.init(0x80000, 16)])
        transport.notify(0)
        #expect(again.poll()?.length == 16)
    }

    @Test func nothingHappensWhilePaused() throws {
        let memory = try makeMemory()
        let transport = MMIOTransport(VirtioEntropy(scheduler: InlineScheduler(), source: Self.ones), memory)
        let queue = try transport.start(memory)[0]
        transport.transport.pause()
        _ = queue.add(readable: [], writable: [.init(0x80000, 16)])
        transport.notify(0)
        #expect(queue.poll() == nil)

        let other = MMIOTransport(VirtioEntropy(scheduler: InlineScheduler(), source: Self.ones), memory)
        try other.transport.importState(transport.transport.exportState())
        #expect(queue.poll() == nil)
        other.transport.resume()
        #expect(queue.poll()?.length == 16)
    }
}
