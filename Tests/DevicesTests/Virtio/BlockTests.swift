import BlockImage
import DeviceModel
import Devices
import GuestMemory
import HostOS
import Synchronization
import TestSupport
import Testing
import VirtQueue

/// A disk in memory. Requests complete at once on a thread of its own, or when a test says so.
final class FakeDisk: BlockBackend {
    private struct State {
        var bytes: [UInt8]
        var waiting: [BlockRequest] = []
        var isHeld = false
        var log: [String] = []
        var failWith: Int32 = 0
        var action = BlockErrorAction.report
    }
    private let state: Mutex<State>
    let sizeInBytes: UInt64
    let isReadOnly: Bool
    let logicalBlockSize: Int

    init(sectors: Int, isReadOnly: Bool = false, blockSize: Int = 512) {
        sizeInBytes = UInt64(sectors * 512)
        self.isReadOnly = isReadOnly
        logicalBlockSize = blockSize
        state = Mutex(State(bytes: (0..<sectors * 512).map { UInt8(truncatingIfNeeded: $0 / 512) }))
    }
    var log: [String] { state.withLock { $0.log } }
    var waitingCount: Int { state.withLock { $0.waiting.count } }
    func hold(_ isHeld: Bool) { state.withLock { $0.isHeld = isHeld } }
    func fail(_ error: Int32, _ action: BlockErrorAction = .report) {
        state.withLock { ($0.failWith, $0.action) = (error, action) }
    }
    func judge(_ error: Int32, isWrite: Bool) -> BlockErrorAction { state.withLock { $0.action } }
    func bytes(_ range: Range<Int>) -> [UInt8] { state.withLock { Array($0.bytes[range]) } }

    func submit(_ request: BlockRequest) {
        let isHeld = state.withLock { state in
            state.waiting.append(request)
            return state.isHeld
        }
        if !isHeld { release() }
    }
    /// Completes what waits.
    func release() {
        while let request = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) {
            let error = state.withLock { perform(request, &$0) }
            request.completion(error)
        }
    }
    private func perform(_ request: BlockRequest, _ state: inout State) -> Int32 {
        state.log.append(
            "\(request.operation) \(request.offset) \(request.length)\(request.forceUnitAccess ? " fua" : "")")
        if state.failWith != 0 { return state.failWith }
        var place = Int(request.offset)
        switch request.operation {
        case .read:
            for segment in request.segments {
                for index in 0..<segment.count {
                    unsafe segment.pointer.storeBytes(
                        of: state.bytes[place + index], toByteOffset: index, as: UInt8.self)
                }
                place += segment.count
            }
        case .write:
            for segment in request.segments {
                for index in 0..<segment.count {
                    state.bytes[place + index] = unsafe segment.pointer.load(fromByteOffset: index, as: UInt8.self)
                }
                place += segment.count
            }
        case .writeZeroes:
            for index in 0..<Int(request.length) { state.bytes[place + index] = 0 }
        case .flush, .discard: break
        }
        return 0
    }
}

@Suite struct BlockTests {
    private struct Bench {
        let memory: AddressSpace
        let disk: FakeDisk
        let transport: any TestTransport
        let queues: [DriverQueue]
        var queue: DriverQueue { queues[0] }

        init(
            _ road: Road = .mmio, disk: FakeDisk = FakeDisk(sectors: 64),
            properties: VirtioBlock.Properties = .init(), features: UInt64 = UInt64.max,
            rings: VirtioRingOptions = VirtioRingOptions()
        ) throws {
            memory = try makeMemory()
            self.disk = disk
            transport = try road.make(
                VirtioBlock(properties, backend: disk, schedulers: [InlineScheduler()]), memory, rings: rings)
            queues = try transport.start(memory, features: features)
        }

        /// Header at 0x80_0000, status at 0x80_0100.
        func add(
            _ kind: UInt32, _ sector: UInt64, readable: [DriverQueue.Piece] = [], writable: [DriverQueue.Piece] = [],
            queue index: Int = 0, slot: UInt64 = 0
        ) throws {
            let base = 0x80_0000 + slot * 0x200
            try memory.store(GuestPhysical(base), kind)
            try memory.store(GuestPhysical(base + 8), sector)
            try memory.store(GuestPhysical(base + 0x100), UInt8(0xEE))
            _ = try #require(
                queues[index].add(readable: [.init(base, 16)] + readable, writable: writable + [.init(base + 0x100, 1)])
            )
        }
        func run(
            _ kind: UInt32, _ sector: UInt64, readable: [DriverQueue.Piece] = [], writable: [DriverQueue.Piece] = []
        ) throws -> UInt8 {
            try add(kind, sector, readable: readable, writable: writable)
            transport.notify(0)
            try #require(queue.poll() != nil)
            return try status()
        }
        func status(_ slot: UInt64 = 0) throws -> UInt8 {
            try memory.load(GuestPhysical(0x80_0100 + slot * 0x200), as: UInt8.self)
        }
    }

    @Test(arguments: Road.allCases, [false, true]) func readsAndWrites(_ road: Road, _ packed: Bool) throws {
        let bench = try Bench(road, rings: VirtioRingOptions(isPacked: packed))
        #expect(try bench.run(0, 3, writable: [.init(0x90_0000, 100), .init(0x91_0000, 924)]) == 0)
        #expect(try bench.memory.bytes(GuestPhysical(0x90_0000), count: 100) == [UInt8](repeating: 3, count: 100))
        #expect(try bench.memory.bytes(GuestPhysical(0x91_0000 + 412), count: 512) == [UInt8](repeating: 4, count: 512))
        try bench.memory.write(GuestPhysical(0x92_0000), bytes: [UInt8](repeating: 0x77, count: 512))
        #expect(try bench.run(1, 9, readable: [.init(0x92_0000, 512)]) == 0)
        #expect(bench.disk.bytes(9 * 512..<10 * 512) == [UInt8](repeating: 0x77, count: 512))
        #expect(try bench.run(4, 0) == 0)
        #expect(bench.disk.log == ["read 1536 1024", "write 4608 512", "flush 0 0"])
        #expect(bench.transport.takeInterrupt() == 1)
    }

    @Test func identityAndConfiguration() throws {
        let bench = try Bench(
            properties: .init(serial: "disk-0123456789-abcdef", queueCount: 4, physicalBlockSize: 4096))
        #expect(try bench.run(8, 0, writable: [.init(0x90_0000, 20)]) == 0)
        #expect(
            try bench.memory.bytes(GuestPhysical(0x90_0000), count: 20) == Array("disk-0123456789-abcd".utf8))
        #expect(bench.transport.configuration(0, 4) == 64)
        #expect(bench.transport.configuration(12, 4) == 254)
        #expect(bench.transport.configuration(20, 4) == 512)
        #expect(bench.transport.configuration(24, 1) == 3)
        #expect(bench.transport.configuration(34, 2) == 4 && bench.queues.count == 4)
        #expect(bench.transport.configuration(56, 1) == 1)
        #expect(bench.transport.configuration(60, 4) == 0)
    }

    @Test func badRequestsFail() throws {
        let bench = try Bench()
        let data = DriverQueue.Piece(0x90_0000, 512)
        #expect(try bench.run(0, 64, writable: [data]) == 1, "Past the end")
        #expect(try bench.run(0, 63, writable: [.init(0x90_0000, 1024)]) == 1)
        #expect(try bench.run(0, UInt64.max, writable: [data]) == 1)
        #expect(try bench.run(0, UInt64.max / 512, writable: [data]) == 1)
        #expect(try bench.run(0, 0, writable: [.init(0x90_0000, 100)]) == 1, "Part of a sector")
        #expect(try bench.run(1, 64, readable: [data]) == 1)
        #expect(try bench.run(99, 0, writable: [data]) == 2)
        #expect(bench.disk.log.isEmpty)
        bench.disk.fail(5)
        #expect(try bench.run(0, 0, writable: [data]) == 1)
        #expect(bench.transport.status == 0xF)
    }

    @Test func readOnlyDisk() throws {
        let bench = try Bench(disk: FakeDisk(sectors: 8, isReadOnly: true))
        #expect(bench.transport.deviceFeatures() & 1 << 5 != 0 && bench.transport.deviceFeatures() & 3 << 13 == 0)
        #expect(try bench.run(1, 0, readable: [.init(0x90_0000, 512)]) == 1)
        #expect(try bench.run(0, 0, writable: [.init(0x90_0000, 512)]) == 0)
    }

    @Test func discardAndZeroes() throws {
        let bench = try Bench()
        func range(_ sector: UInt64, _ count: UInt32, _ flags: UInt32) throws -> [DriverQueue.Piece] {
            try bench.memory.store(GuestPhysical(0x90_0000), sector)
            try bench.memory.store(GuestPhysical(0x90_0008), count)
            try bench.memory.store(GuestPhysical(0x90_000C), flags)
            return [.init(0x90_0000, 16)]
        }
        #expect(try bench.run(13, 0, readable: range(5, 2, 1)) == 0)
        #expect(bench.disk.bytes(5 * 512..<7 * 512) == [UInt8](repeating: 0, count: 1024))
        #expect(try bench.run(11, 0, readable: range(8, 8, 0)) == 0)
        #expect(try bench.run(11, 0, readable: range(8, 8, 1)) == 2, "Discard has no flags")
        #expect(try bench.run(13, 0, readable: range(8, 8, 2)) == 2)
        #expect(try bench.run(13, 0, readable: range(60, 8, 0)) == 1)
        #expect(try bench.run(13, 0, readable: range(0, UInt32.max, 0)) == 1)
        #expect(try bench.run(13, 0, readable: range(UInt64.max, 1, 0)) == 1)
        #expect(try bench.run(11, 0, readable: [.init(0x90_0000, 15)]) == 2)
        #expect(bench.disk.log == ["writeZeroes(mayUnmap: true) 2560 1024", "discard 4096 4096"])
    }

    @Test func writeCacheModes() throws {
        let data = [DriverQueue.Piece(0x90_0000, 512)]
        let cached = try Bench()
        #expect(cached.transport.configuration(32, 1) == 1)
        _ = try cached.run(1, 0, readable: data)
        cached.transport.setConfiguration(32, 1, 0)
        _ = try cached.run(1, 1, readable: data)
        #expect(cached.disk.log == ["write 0 512", "write 512 512 fua"])
        // A driver that knows no flush.
        let simple = try Bench(features: 0)
        _ = try simple.run(1, 0, readable: data)
        #expect(simple.disk.log == ["write 0 512 fua"])
    }

    @Test func missingHeaderOrStatusNeedsReset() throws {
        for (readable, writable) in [(15, 1), (16, 0)] as [(UInt32, UInt32)] {
            let bench = try Bench()
            _ = bench.queue.add(
                readable: [.init(0x90_0000, readable)], writable: writable == 0 ? [] : [.init(0x90_1000, writable)])
            bench.transport.notify(0)
            #expect(bench.transport.status == 0x4F && bench.queue.poll() == nil)
            let queue = try bench.transport.start(bench.memory)[0]
            #expect(queue.poll() == nil && bench.transport.status == 0xF)
        }
    }

    @Test func completionsComeInAnyOrderAndQueuesAreApart() throws {
        let bench = try Bench(properties: .init(queueCount: 2))
        bench.disk.hold(true)
        for slot in UInt64(0)..<4 {
            try bench.add(0, slot, writable: [.init(0x90_0000 + slot * 512, 512)], queue: Int(slot % 2), slot: slot)
        }
        bench.transport.notify(0)
        #expect(bench.disk.waitingCount == 2 && bench.queue.poll() == nil)
        bench.transport.notify(1)
        #expect(bench.disk.waitingCount == 4)
        bench.disk.release()
        for queue in bench.queues { #expect(queue.poll()?.length == 513 && queue.poll()?.length == 513) }
        for slot in UInt64(0)..<4 { #expect(try bench.status(slot) == 0) }
    }

    @Test(arguments: [false, true]) func resetAndPauseWaitForRequests(_ byPause: Bool) throws {
        let bench = try Bench()
        bench.disk.hold(true)
        try bench.add(0, 1, writable: [.init(0x90_0000, 512)])
        bench.transport.notify(0)
        let disk = bench.disk
        let thread = try HostThread(name: "release") {
            Bell().wait(nanoseconds: 20_000_000)
            disk.release()
        }
        if byPause { bench.transport.device.pause() } else { bench.transport.status = 0 }
        #expect(disk.waitingCount == 0 && disk.log.count == 1)
        thread.join()
        #expect(try bench.memory.load(GuestPhysical(0x90_0000), as: UInt8.self) == 1)
        if byPause {
            #expect(bench.queue.poll()?.length == 513)
            try bench.add(0, 2, writable: [.init(0x90_0000, 512)])
            bench.transport.notify(0)
            #expect(disk.waitingCount == 0)
            disk.hold(false)
            bench.transport.device.resume()
            #expect(bench.queue.poll()?.length == 513)
        }
    }

    @Test func manyRequestsOnAWorker() throws {
        let memory = try makeMemory()
        let worker = try WorkerThread(name: "disk")
        let disk = FakeDisk(sectors: 64)
        let transport = MMIOTransport(VirtioBlock(backend: disk, schedulers: [worker]), memory)
        let queue = try transport.start(memory, features: 1 << 29)[0]
        try memory.write(GuestPhysical(0x80_0000), bytes: [UInt8](repeating: 0, count: 16))
        queue.setInterrupts(true)
        var done = 0
        var added = 0
        while done < 2000 {
            while added < 2000,
                queue.add(readable: [.init(0x80_0000, 16)], writable: [.init(0x90_0000, 512), .init(0x80_0100, 1)])
                    != nil
            { added += 1 }
            if queue.needsKick() { transport.notify(0) }
            while queue.poll() != nil { done += 1 }
        }
        #expect(disk.log.count == 2000)
        transport.status = 0
        worker.stop()
    }

    @Test func randomRequests() throws {
        let bench = try Bench()
        var random = SplitMix64(state: 5)
        var queue = bench.queue
        for _ in 0..<FuzzRounds.times(3000) {
            var header = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if random.next() % 4 != 0 {
                header =
                    [UInt8(random.next() % 14), 0, 0, 0, 0, 0, 0, 0, UInt8(random.next() % 70)]
                    + [UInt8](repeating: 0, count: 7)
            }
            try bench.memory.write(GuestPhysical(0x80_0000), bytes: header)
            let lengths = (0..<3).map { _ in UInt32(random.next() % 3 * 512 + (random.next() % 8 == 0 ? 1 : 0)) }
            _ = queue.add(
                readable: [.init(0x80_0000, random.next() % 16 == 0 ? 7 : 16)]
                    + (lengths[0] == 0 ? [] : [.init(0x90_0000, lengths[0])]),
                writable: (lengths[1] == 0 ? [] : [.init(0x91_0000, lengths[1])]) + [.init(0x80_0100, 1)])
            bench.transport.notify(0)
            if bench.transport.status != 0xF { queue = try bench.transport.start(bench.memory)[0] }
            while queue.poll() != nil {}
            try #require(queue.freeCount == 16, "Every request is answered")
        }
        #expect(bench.disk.log.count > 5)
    }
}
