import DeviceModel
import Devices
import GuestMemory
import Network
import Synchronization
import Testing
import VirtQueue

/// A network that keeps the frames it is given.
final class FakeNetwork: NetworkBackend {
    let offloads: FrameOffloads
    init(offloads: FrameOffloads = []) { self.offloads = offloads }
    /// What the last frame left to do.
    private let last = Mutex(FrameOffload.none)
    var lastOffload: FrameOffload { last.withLock { $0 } }
    func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        last.withLock { $0 = offload }
        return unsafe transmit(frame)
    }
    func bring(_ frame: [UInt8], _ offload: FrameOffload) {
        guard let receiver = state.withLock({ $0.receiver }) else { return }
        unsafe frame.withUnsafeBytes { unsafe receiver.receive($0, offload) }
    }
    private struct State {
        var frames: [[UInt8]] = []
        var receiver: (any FrameReceiver)?
        var waiting: [[UInt8]] = []
    }
    private let state = Mutex(State())
    var frames: [[UInt8]] { state.withLock { $0.frames } }
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    func transmit(_ frame: UnsafeRawBufferPointer) -> Bool {
        let bytes = unsafe [UInt8](frame)
        state.withLock { $0.frames.append(bytes) }
        return true
    }
    func setReceiver(_ receiver: (any FrameReceiver)?) { state.withLock { $0.receiver = receiver } }
    func receiverReady() {
        while let receiver = state.withLock({ $0.receiver }), receiver.canReceive() {
            guard let frame = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) else { return }
            unsafe frame.withUnsafeBytes { unsafe receiver.receive($0) }
        }
    }
    /// Drops what was sent and what waits.
    func forget() {
        state.withLock { state in
            state.frames = []
            state.waiting = []
        }
    }
    func bring(_ frame: [UInt8]) {
        state.withLock { $0.waiting.append(frame) }
        receiverReady()
    }
}

@Suite struct NetTests {
    private static let mac: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]
    private struct Bench {
        let memory: AddressSpace
        let network: FakeNetwork
        let device: VirtioNet
        let transport: any TestTransport
        let queues: [DriverQueue]

        init(
            _ road: Road = .mmio, features: UInt64 = UInt64.max, mtu: UInt16? = nil, offloads: FrameOffloads = [],
            pairs: Int = 1
        ) throws {
            network = FakeNetwork(offloads: offloads)
            memory = try makeMemory()
            var properties = VirtioNet.Properties(macAddress: NetTests.mac, mtu: mtu)
            properties.queuePairs = pairs
            device = VirtioNet(properties, backend: network, scheduler: InlineScheduler())
            transport = try road.make(device, memory)
            queues = try transport.start(memory, features: features)
        }
        func give(_ count: UInt32, at address: UInt64 = 0x90_0000) {
            _ = queues[0].add(readable: [], writable: [.init(address, count)])
            transport.notify(0)
        }
        func command(_ bytes: [UInt8], queue: Int = 2) throws -> UInt8 {
            try memory.write(GuestPhysical(0xA0_0000), bytes: bytes)
            try memory.store(GuestPhysical(0xA1_0000), UInt8(0xEE))
            _ = queues[queue].add(
                readable: [.init(0xA0_0000, UInt32(bytes.count))], writable: [.init(0xA1_0000, 1)])
            transport.notify(queue)
            try #require(queues[queue].poll() != nil)
            return try memory.load(GuestPhysical(0xA1_0000), as: UInt8.self)
        }
        /// Whether a frame to an address arrives.
        func passes(_ destination: [UInt8], _ rest: [UInt8] = [UInt8](repeating: 0, count: 54)) -> Bool {
            give(2048)
            network.bring(destination + rest)
            guard queues[0].poll() == nil else { return true }
            // Give the buffer back by a broadcast, which always passes here.
            network.bring([UInt8](repeating: 0xFF, count: 6) + [UInt8](repeating: 0, count: 54))
            _ = queues[0].poll()
            return false
        }
    }
    private func frame(_ count: Int, _ destination: [UInt8] = NetTests.mac) -> [UInt8] {
        destination + (6..<count).map { UInt8(truncatingIfNeeded: $0) }
    }

    @Test(arguments: Road.allCases) func framesLeave(_ road: Road) throws {
        let bench = try Bench(road)
        let sent = frame(100)
        try bench.memory.write(GuestPhysical(0x80_0000), bytes: [UInt8](repeating: 0, count: 12) + sent)
        _ = bench.queues[1].add(
            readable: [.init(0x80_0000, 12), .init(0x80_000C, 60), .init(0x80_0048, 40)], writable: [])
        _ = bench.queues[1].add(readable: [.init(0x80_0000, 20)], writable: [])
        _ = bench.queues[1].add(readable: [.init(0x80_0000, 0x2_0000)], writable: [])
        bench.transport.notify(1)
        #expect(bench.network.frames == [sent], "Runts and giants are dropped")
        #expect(bench.queues[1].poll() != nil && bench.queues[1].poll() != nil && bench.queues[1].poll() != nil)
        #expect(bench.transport.takeInterrupt() == 1)
    }

    @Test(arguments: Road.allCases) func severalPairsShareFlows(_ road: Road) throws {
        let bench = try Bench(road, pairs: 2)
        #expect(bench.device.features >> 22 & 1 == 1)
        #expect(bench.device.readConfiguration(offset: 8, size: 2) == 2)
        #expect(bench.queues.count == 5)
        // VQ_PAIRS_SET, on the queue behind all pairs.
        #expect(try bench.command([4, 0, 3, 0], queue: 4) == 1)
        #expect(try bench.command([4, 0, 0, 0], queue: 4) == 1)
        #expect(try bench.command([4, 0, 2], queue: 4) == 1)
        #expect(try bench.command([4, 0, 2, 0], queue: 4) == 0)
        for index in 0..<40 {
            let queue = index % 2 * 2
            _ = bench.queues[queue].add(readable: [], writable: [.init(0x90_0000 + UInt64(index) * 2048, 2048)])
            bench.transport.notify(queue)
        }
        var counts = [0, 0]
        for flow in 0..<16 {
            let packet: [UInt8] = [8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
            bench.network.bring(Self.mac + Self.mac + packet + [UInt8(flow), 1, 0, 9, 0, 8, 0, 0])
        }
        for queue in 0..<2 { while bench.queues[queue * 2].poll() != nil { counts[queue] += 1 } }
        #expect(counts[0] + counts[1] == 16 && counts[0] > 0 && counts[1] > 0, "\(counts)")
        let sent = frame(100)
        try bench.memory.write(GuestPhysical(0x80_0000), bytes: [UInt8](repeating: 0, count: 12) + sent)
        for queue in [1, 3] {
            _ = bench.queues[queue].add(readable: [.init(0x80_0000, 112)], writable: [])
            bench.transport.notify(queue)
            #expect(bench.queues[queue].poll() != nil)
        }
        #expect(bench.network.frames == [sent, sent])
    }

    @Test func aDriverOfOnePairHasItsControlQueueBehindIt() throws {
        let bench = try Bench(features: UInt64.max & ~(1 << 22), pairs: 4)
        #expect(try bench.command([1, 1] + Self.mac) == 0)
        #expect(try bench.command([4, 0, 2, 0]) == 1)
        #expect(bench.passes(Self.mac))
    }

    @Test(arguments: Road.allCases) func framesArrive(_ road: Road) throws {
        let bench = try Bench(road)
        let came = frame(300)
        bench.network.bring(came)
        #expect(bench.network.waitingCount == 1, "There is no buffer")
        bench.give(1500)
        #expect(bench.queues[0].poll()?.length == 312)
        #expect(try bench.memory.bytes(GuestPhysical(0x90_0000), count: 12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
        #expect(try bench.memory.bytes(GuestPhysical(0x90_000C), count: 300) == came)
    }

    /// A frame whose bytes from 14 on want a checksum at 16, behind its header.
    private func unfinished() -> [UInt8] {
        [1, 0, 0, 0, 0, 0, 14, 0, 2, 0, 0, 0] + frame(14) + [0x12, 0x34, 0, 0, 0x01, 0x02]
    }

    @Test func checksumsAreFinishedForBackendsWithoutHeaders() throws {
        let bench = try Bench()
        try bench.memory.write(GuestPhysical(0x80_0000), bytes: unfinished())
        _ = bench.queues[1].add(readable: [.init(0x80_0000, 32)], writable: [])
        bench.transport.notify(1)
        #expect(bench.network.frames == [frame(14) + [0x12, 0x34, 0xEC, 0xC9, 0x01, 0x02]])
    }

    @Test func headersGoOnToBackendsThatHaveThem() throws {
        let bench = try Bench(offloads: .all)
        #expect(bench.device.features & (1 << 7 | 1 << 8 | 1 << 9) == 1 << 7 | 1 << 8 | 1 << 9)
        try bench.memory.write(GuestPhysical(0x80_0000), bytes: unfinished())
        _ = bench.queues[1].add(readable: [.init(0x80_0000, 32)], writable: [])
        bench.transport.notify(1)
        #expect(bench.network.frames == [Array(unfinished()[12...])])
        #expect(bench.network.lastOffload.leavesChecksum && bench.network.lastOffload.checksumStart == 14)
        bench.give(1500)
        bench.network.bring(frame(60), bench.network.lastOffload)
        #expect(bench.queues[0].poll()?.length == 72)
        #expect(try bench.memory.bytes(GuestPhysical(0x90_0000), count: 12) == [1, 0, 0, 0, 0, 0, 14, 0, 2, 0, 1, 0])
        // The driver wants it no more.
        #expect(try bench.command([5, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(try bench.command([5, 0, 0, 0, 0x10, 0, 0, 0, 0, 0]) == 0, "Unknown bits are none")
        #expect(try bench.command([5, 0, 2, 0]) == 1)
    }

    @Test func driversWithoutTheFeatureSeeNoFlags() throws {
        let bench = try Bench(features: 0)
        bench.give(1500)
        bench.network.bring(frame(60), FrameOffload.verified)
        #expect(bench.queues[0].poll()?.length == 72)
        #expect(try bench.memory.bytes(GuestPhysical(0x90_0000), count: 2) == [0, 0])
        try bench.memory.write(GuestPhysical(0x80_0000), bytes: unfinished())
        _ = bench.queues[1].add(readable: [.init(0x80_0000, 32)], writable: [])
        bench.transport.notify(1)
        #expect(bench.network.frames == [Array(unfinished()[12...])], "Nothing was negotiated")
    }

    @Test func largeFramesTakeSeveralBuffers() throws {
        let bench = try Bench()
        let came = frame(1000)
        bench.give(400, at: 0x90_0000)
        bench.give(400, at: 0x90_1000)
        bench.network.bring(came)
        #expect(bench.queues[0].poll() == nil, "Two buffers are too few: none is taken")
        bench.give(400, at: 0x90_2000)
        #expect(bench.queues[0].poll()?.length == 400 && bench.queues[0].poll()?.length == 400)
        #expect(bench.queues[0].poll()?.length == 212)
        #expect(try bench.memory.load(GuestPhysical(0x90_000A), as: UInt16.self) == 3)
        let bytes =
            try bench.memory.bytes(GuestPhysical(0x90_000C), count: 388)
            + bench.memory.bytes(GuestPhysical(0x90_1000), count: 400)
            + bench.memory.bytes(GuestPhysical(0x90_2000), count: 212)
        #expect(bytes == came)
    }

    @Test func withoutMergingOneBufferMustDo() throws {
        let bench = try Bench(features: 0)
        bench.give(100)
        bench.network.bring(frame(300))
        #expect(bench.queues[0].poll()?.length == 0)
        bench.give(1500)
        bench.network.bring(frame(300))
        #expect(bench.queues[0].poll()?.length == 312)
    }

    @Test func legacyHeadersAreShorter() throws {
        let memory = try makeMemory()
        let network = FakeNetwork()
        let device = VirtioNet(.init(macAddress: Self.mac), backend: network, scheduler: InlineScheduler())
        let transport = try PCITransport(device, memory)
        func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
            transport.io.write(PCITransport.port + offset, size: size, value: value)
        }
        write(18, 1, 3)
        write(14, 2, 1)
        // The legacy layout: 256 descriptors, the available ring, the used ring on the next page.
        let configuration = QueueConfiguration(
            size: 256, descriptors: GuestPhysical(0x10_0000), driver: GuestPhysical(0x10_1000),
            device: GuestPhysical(0x10_2000))
        let queue = try DriverQueue(memory: memory, configuration: configuration)
        write(8, 4, 0x100)
        write(18, 1, 7)
        try memory.write(GuestPhysical(0x80_000A), bytes: frame(60))
        _ = queue.add(readable: [.init(0x80_0000, 10), .init(0x80_000A, 60)], writable: [])
        write(16, 2, 1)
        #expect(network.frames == [frame(60)])
        #expect(queue.poll() != nil)
        write(20, 1, 0x02)
        #expect(device.macAddress == [2, 0x54, 0, 1, 2, 3])
    }

    @Test func configuration() throws {
        let bench = try Bench(mtu: 9000)
        #expect((0..<6).map { UInt8(bench.transport.configuration($0, 1)) } == Self.mac)
        #expect(bench.transport.configuration(6, 2) == 1 && bench.transport.configuration(10, 2) == 9000)
        bench.device.setLink(up: false)
        #expect(bench.transport.configuration(6, 2) == 0 && bench.transport.takeInterrupt() == 2)
        bench.give(1500)
        bench.network.bring(frame(60))
        #expect(bench.queues[0].poll() == nil)
        bench.device.setLink(up: false)
        #expect(bench.transport.takeInterrupt() == 0)
    }

    @Test func controlNeedsItsQueue() throws {
        let bench = try Bench()
        bench.transport.status = 0
        bench.transport.status = 3
        bench.transport.setDriverFeatures(1 << 32 | 1 << 18)
        bench.transport.status = 0xB
        #expect(bench.transport.status == 3)
    }

    @Test func changesOfTheFilterAreToldOnceUntilSomebodyAsks() throws {
        let bench = try Bench()
        let told = Mutex(0)
        let counter = Counter(count: { told.withLock { $0 += 1 } })
        bench.device.observeReceiveFilter(counter.count)
        // What is refused, and what is no filter, changes nothing.
        #expect(try bench.command([0, 9, 1]) == 1 && bench.command([4, 0, 1, 0]) == 0)
        #expect(told.withLock { $0 } == 0)
        #expect(try bench.command([0, 1, 1]) == 0)
        #expect(told.withLock { $0 } == 1)
        #expect(try bench.command([1, 1, 2, 0, 0, 0, 0, 9]) == 0 && bench.command([2, 0, 5, 0]) == 0)
        #expect(told.withLock { $0 } == 1)
        for command in [[1, 1, 2, 0, 0, 0, 0, 7], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [2, 0, 6, 0]] as [[UInt8]] {
            bench.device.expectFilterChange()
            let before = told.withLock { $0 }
            #expect(try bench.command(command) == 0)
            #expect(told.withLock { $0 } == before + 1)
        }
    }
    private struct Counter { let count: @Sendable () -> Void }

    @Test func filters() throws {
        let bench = try Bench()
        let other: [UInt8] = [2, 0, 0, 0, 0, 9]
        let group: [UInt8] = [1, 0, 0x5E, 0, 0, 1]
        // VLANs do not count for frames without a tag; promiscuous mode is on at first.
        #expect(bench.passes(other) && bench.passes(group))
        #expect(try bench.command([0, 0, 0]) == 0)
        #expect(bench.passes(Self.mac) && !bench.passes(other) && !bench.passes(group))
        #expect(try bench.command([1, 0, 1, 0, 0, 0] + other + [1, 0, 0, 0] + group) == 0)
        #expect(bench.passes(other) && bench.passes(group))
        #expect(try bench.command([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(!bench.passes(other) && !bench.passes(group))
        #expect(try bench.command([0, 1, 1]) == 0)
        #expect(bench.passes(group))
        #expect(try bench.command([0, 3, 1]) == 0)
        #expect(!bench.passes(group))
        #expect(try bench.command([1, 1] + other) == 0)
        #expect(bench.passes(other) && !bench.passes(Self.mac) && bench.device.macAddress == other)

        let tagged: [UInt8] = [0, 0, 0, 0, 0, 0, 0x81, 0, 0x00, 0x05] + [UInt8](repeating: 0, count: 44)
        #expect(!bench.passes(other, tagged))
        #expect(try bench.command([2, 0, 5, 0]) == 0)
        #expect(bench.passes(other, tagged))
        #expect(try bench.command([2, 1, 5, 0]) == 0)
        #expect(!bench.passes(other, tagged))

        // Another card takes the whole state over.
        bench.transport.device.pause()
        let twin = VirtioNet(.init(macAddress: Self.mac), backend: FakeNetwork(), scheduler: InlineScheduler())
        try twin.importState(bench.device.exportState())
        #expect(twin.macAddress == other && twin.exportState() == bench.device.exportState())
    }

    @Test func malformedCommandsAreRefused() throws {
        let bench = try Bench()
        for bytes in [
            [0], [0, 0], [0, 9, 1], [1, 0, 255, 255, 255, 255], [1, 0, 1, 0, 0, 0, 2], [1, 1, 2], [2, 0, 1],
            [2, 0, 0, 0x10], [2, 7, 0, 0], [9, 9, 9],
        ] as [[UInt8]] {
            #expect(try bench.command(bytes) == 1, "\(bytes)")
        }
        var table: [UInt8] = [1, 0, 100, 0, 0, 0]
        for index in 0..<100 { table += [2, 0, 0, 0, 1, UInt8(index)] }
        #expect(try bench.command(table + [0, 0, 0, 0]) == 0)
        _ = try bench.command([0, 0, 0])
        #expect(bench.passes([2, 9, 9, 9, 9, 9]), "A table that was too long lets all pass")
    }

    @Test func receiveIntoReadableBuffers() throws {
        let bench = try Bench()
        _ = bench.queues[0].add(readable: [.init(0x90_0000, 100)], writable: [])
        bench.transport.notify(0)
        bench.network.bring(frame(60))
        #expect(bench.queues[0].poll()?.length == 0)
    }
}
