import GuestMemory
import TestSupport
import Testing
import VirtQueue

@Suite struct RingTests {
    @Test(arguments: Format.all) func buffersTravelBothWays(_ format: Format) throws {
        let bench = try QueueBench(format)
        #expect(try !bench.queue.pop(into: bench.chain))
        // Many rounds, so that indexes and wrap counters go round.
        for round in 0..<100 {
            let text = "round \(round)"
            try bench.memory.write(GuestPhysical(0x10000), bytes: Array(text.utf8))
            let isIndirect = format.size == 1 || round % 3 == 0
            let id = try #require(
                bench.driver.add(
                    readable: [.init(0x10000, 4), .init(0x10004, UInt32(text.utf8.count - 4))],
                    writable: [.init(0x20000, 3), .init(0x30000, 100)],
                    table: isIndirect || bench.driver.freeCount < 4 ? GuestPhysical(0x40000) : nil))
            #expect(bench.driver.poll() == nil)
            try #require(try bench.queue.pop(into: bench.chain))
            #expect(bench.chain.readableCount == text.utf8.count && bench.chain.writableCount == 103)
            #expect(bench.chain.bytes(at: 0, count: 100) == Array(text.utf8))
            #expect(bench.chain.write(at: 1, bytes: Array(text.utf8)) == text.utf8.count)
            bench.queue.push(bench.chain, written: 1 + text.utf8.count)
            #expect(try !bench.queue.pop(into: bench.chain))
            #expect(bench.driver.poll() == .init(id: id, length: UInt32(1 + text.utf8.count)))
            #expect(try bench.memory.bytes(GuestPhysical(0x20001), count: 2) == Array(text.utf8.prefix(2)))
            #expect(
                try bench.memory.bytes(GuestPhysical(0x30000), count: text.utf8.count - 2)
                    == Array(text.utf8.dropFirst(2)))
        }
        #expect(bench.queue.outstandingCount == 0)
        #expect(bench.driver.freeCount == Int(format.size))
    }

    @Test(arguments: Format.all.filter { $0.size > 4 }) func buffersReturnInAnyOrder(_ format: Format) throws {
        let bench = try QueueBench(format)
        var random = SplitMix64(state: 3)
        var taken: [DescriptorChain] = []
        var expected: [DriverQueue.Used] = []
        for _ in 0..<FuzzRounds.times(2000) {
            switch random.next() % 3 {
            case 0: _ = bench.driver.add(readable: [.init(0x10000, 16)], writable: [.init(0x20000, 16)])
            case 1:
                let chain = DescriptorChain(memory: bench.memory)
                if try bench.queue.pop(into: chain) { taken.append(chain) }
            default:
                guard !taken.isEmpty else { continue }
                let chain = taken.remove(at: Int(random.next() % UInt64(taken.count)))
                let length = UInt32(random.next() % 17)
                expected.append(.init(id: chain.id, length: length))
                bench.queue.push(chain, written: Int(length))
            }
            while let used = bench.driver.poll() { #expect(used == expected.removeFirst()) }
        }
        #expect(expected.isEmpty)
    }

    @Test(arguments: Format.all.filter { $0.size > 4 }) func stagedBuffersAppearTogether(_ format: Format) throws {
        let bench = try QueueBench(format)
        for _ in 0..<20 {
            for _ in 0..<2 { _ = bench.driver.add(readable: [], writable: [.init(0x20000, 4)]) }
            for index in 0..<2 {
                try #require(try bench.queue.pop(into: bench.chain))
                bench.queue.stage(bench.chain, written: index)
                #expect(bench.driver.poll() == nil)
            }
            bench.queue.publish()
            #expect(bench.driver.poll()?.length == 0 && bench.driver.poll()?.length == 1)
        }
    }

    @Test(arguments: Format.all) func interruptsAreSuppressed(_ format: Format) throws {
        let bench = try QueueBench(format)
        func exchange() throws -> Bool {
            _ = bench.driver.add(readable: [.init(0x10000, 1)], writable: [])
            guard try bench.queue.pop(into: bench.chain) else { return false }
            bench.queue.push(bench.chain, written: 0)
            return bench.queue.needsInterrupt()
        }
        #expect(!bench.queue.needsInterrupt(), "Nothing was returned")
        for _ in 0..<20 {
            bench.driver.setInterrupts(true)
            #expect(try exchange())
            _ = bench.driver.poll()
            bench.driver.setInterrupts(false)
            #expect(try !exchange())
            _ = bench.driver.poll()
        }
    }

    @Test(arguments: Format.all) func notificationsAreSuppressed(_ format: Format) throws {
        let bench = try QueueBench(format)
        for _ in 0..<20 {
            #expect(!bench.queue.enableNotifications())
            _ = bench.driver.add(readable: [.init(0x10000, 1)], writable: [])
            #expect(bench.driver.needsKick())
            bench.queue.disableNotifications()
            try #require(try bench.queue.pop(into: bench.chain))
            bench.queue.push(bench.chain, written: 0)
            _ = bench.driver.poll()
            _ = bench.driver.add(readable: [.init(0x10000, 1)], writable: [])
            #expect(!bench.driver.needsKick())
            #expect(bench.queue.enableNotifications(), "A buffer came before notifications were on")
            try #require(try bench.queue.pop(into: bench.chain))
            bench.queue.push(bench.chain, written: 0)
            _ = bench.driver.poll()
        }
    }

    @Test(arguments: Format.all.filter { $0.size > 4 }) func progressContinuesInANewQueue(_ format: Format) throws {
        let bench = try QueueBench(format)
        var queue = bench.queue
        for round in 0..<30 {
            _ = bench.driver.add(readable: [.init(0x10000, 8), .init(0x10008, 8)], writable: [.init(0x20000, 8)])
            try #require(try queue.pop(into: bench.chain))
            queue.unpop(bench.chain)
            queue = try VirtQueue(
                memory: bench.memory, configuration: bench.configuration, progress: queue.savedProgress)
            try #require(try queue.pop(into: bench.chain))
            queue.push(bench.chain, written: round % 8)
            #expect(queue.needsInterrupt())
            #expect(bench.driver.poll()?.length == UInt32(round % 8))
        }
    }

    @Test(arguments: Format.all.filter { $0.size > 4 }) func standingContinuesInANewQueue(_ format: Format) throws {
        let bench = try QueueBench(format)
        func successor(_ queue: VirtQueue) throws -> VirtQueue {
            try VirtQueue(
                memory: bench.memory, configuration: bench.configuration, progress: queue.savedProgress,
                standing: queue.savedStanding)
        }
        _ = bench.driver.add(readable: [.init(0x10000, 8)], writable: [])
        try #require(try bench.queue.pop(into: bench.chain))
        bench.queue.push(bench.chain, written: 0)
        let second = try successor(bench.queue)
        #expect(second.needsInterrupt(), "What was returned before has not been told")
        let third = try successor(second)
        #expect(!third.needsInterrupt(), "Nothing is new")
        _ = bench.driver.add(readable: [.init(0x10000, 8)], writable: [])
        third.stop()
        let fourth = try successor(third)
        #expect(fourth.error == .stopped)
        #expect(try !fourth.pop(into: bench.chain))
    }

    @Test func chainsMarkWhatTheyWrite() throws {
        let bench = try QueueBench(Format())
        let block = try #require(bench.memory.view.ranges.first?.block)
        _ = bench.driver.add(readable: [], writable: [.init(0x20FF8, 16), .init(0x30000, 16)])
        try #require(try bench.queue.pop(into: bench.chain))
        for page in 0..<256 { unsafe block.pageFlags[page] = 0 }
        #expect(bench.chain.store(at: 4, UInt64(0x1122_3344_5566_7788)))
        #expect(unsafe block.pageFlags[0x20] != 0 && block.pageFlags[0x21] != 0 && block.pageFlags[0x30] == 0)
        #expect(bench.chain.store(at: 14, UInt32(7)))
        #expect(unsafe block.pageFlags[0x30] != 0)
        #expect(!bench.chain.store(at: 30, UInt32(7)), "Past the end")
        #expect(try bench.memory.load(GuestPhysical(0x20FFC), as: UInt64.self) == 0x1122_3344_5566_7788)
        bench.queue.push(bench.chain, written: 18)
        #expect(unsafe block.pageFlags[1] != 0, "The ring's page")
    }

    @Test func buffersMaySpanBlocks() throws {
        let bench = try QueueBench(Format())
        let more = try RAMBlock(name: "more", size: 4096)
        _ = bench.driver.add(readable: [.init(0xFFFFC, 8)], writable: [.init(0xFFFFE, 4)])
        // Memory that came after the queue's view was taken counts too.
        bench.memory.add(FlatView.Range(start: GuestPhysical(1 << 20), count: 4096, block: more))
        try #require(try bench.queue.pop(into: bench.chain))
        #expect(bench.chain.store(at: 0, UInt32(0xAABB_CCDD)))
        #expect(bench.chain.load(at: 2, as: UInt32.self) == 0xAABB_CCDD)
    }
}
