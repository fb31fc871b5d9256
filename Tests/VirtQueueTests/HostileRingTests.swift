import GuestMemory
import TestSupport
import Testing
import VirtQueue

/// What a driver must not do, done. Every case ends in its error, and the queue stays stopped.
@Suite struct HostileRingTests {
    private func expect(_ error: VirtQueueError, _ bench: QueueBench) {
        #expect(throws: error) { _ = try bench.queue.pop(into: bench.chain) }
        #expect(bench.queue.error == error)
        #expect((try? bench.queue.pop(into: bench.chain)) == false)
        #expect(!bench.queue.enableNotifications() && !bench.queue.needsInterrupt())
    }
    private let next: UInt16 = 1
    private let write: UInt16 = 2
    private let indirect: UInt16 = 4

    @Test func splitIndexJump() throws {
        let bench = try QueueBench(Format())
        try bench.offer(0, index: 9)
        expect(.indexJump(by: 9), bench)
    }
    @Test func splitHeadOutsideTable() throws {
        let bench = try QueueBench(Format())
        try bench.offer(8)
        expect(.badDescriptor(8), bench)
    }
    @Test func splitNextOutsideTable() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 1, next, 0xFFFF)
        try bench.offer(0)
        expect(.badDescriptor(0xFFFF), bench)
    }
    @Test func splitLoop() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 1, next, 1)
        try bench.descriptor(1, 0x10000, 1, next, 0)
        try bench.offer(0)
        expect(.chainTooLong, bench)
    }
    @Test(arguments: [UInt64(0xFFFFF), 1 << 20, 1 << 40, UInt64.max]) func buffersOutsideMemory(_ at: UInt64) throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, at, 2, 0, 0)
        try bench.offer(0)
        expect(.badBuffer(GuestPhysical(at), count: 2), bench)
        let packed = try QueueBench(Format(packed: true))
        try packed.descriptor(0, at, 2, 0, 1 << 7)
        expect(.badBuffer(GuestPhysical(at), count: 2), packed)
    }
    @Test func hugeBuffers() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, UInt32.max, 0, 0)
        try bench.offer(0)
        expect(.badBuffer(GuestPhysical(0x10000), count: UInt32.max), bench)
    }
    @Test func emptyBuffer() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 0, 0, 0)
        try bench.offer(0)
        expect(.emptyBuffer(GuestPhysical(0x10000)), bench)
    }
    @Test func readableAfterWritable() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 1, next | write, 1)
        try bench.descriptor(1, 0x10000, 1, 0, 0)
        try bench.offer(0)
        expect(.readableAfterWritable, bench)
    }
    @Test func writableRom() throws {
        let bench = try QueueBench(Format())
        let rom = try RAMBlock(name: "rom", size: 4096)
        bench.memory.add(FlatView.Range(start: GuestPhysical(1 << 20), count: 4096, block: rom, writable: false))
        try bench.descriptor(0, 1 << 20, 4, write, 0)
        try bench.offer(0)
        expect(.badBuffer(GuestPhysical(1 << 20), count: 4), bench)
    }
    @Test func indirectNotNegotiated() throws {
        let bench = try QueueBench(Format(), indirect: false)
        try bench.descriptor(0, 0x10000, 16, indirect, 0)
        try bench.offer(0)
        expect(.badIndirect, bench)
    }
    @Test func indirectWithNext() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 16, indirect | next, 1)
        try bench.offer(0)
        expect(.badIndirect, bench)
    }
    @Test func indirectInIndirect() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 16, indirect, 0)
        try QueueBench.descriptor(bench.memory, 0x10000, 0, 0x10000, 16, indirect, 0)
        try bench.offer(0)
        expect(.badIndirect, bench)
        let packed = try QueueBench(Format(packed: true))
        try packed.descriptor(0, 0x10000, 16, 0, indirect | 1 << 7)
        try QueueBench.descriptor(packed.memory, 0x10000, 0, 0x10000, 16, 0, indirect)
        expect(.badIndirect, packed)
    }
    @Test(arguments: [UInt32(0), 8, 17]) func indirectTableOfOddLength(_ count: UInt32) throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, count, indirect, 0)
        try bench.offer(0)
        expect(.badIndirectTable(count: count), bench)
    }
    @Test func indirectTableOutsideMemory() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0xFFFF0, 32, indirect, 0)
        try bench.offer(0)
        expect(.badBuffer(GuestPhysical(0xFFFF0), count: 32), bench)
    }
    @Test func indirectLoopAndNextOutsideTable() throws {
        let loop = try QueueBench(Format())
        try loop.descriptor(0, 0x10000, 32, indirect, 0)
        try QueueBench.descriptor(loop.memory, 0x10000, 0, 0x10000, 1, next, 0)
        try loop.offer(0)
        expect(.chainTooLong, loop)
        let outside = try QueueBench(Format())
        try outside.descriptor(0, 0x10000, 32, indirect, 0)
        try QueueBench.descriptor(outside.memory, 0x10000, 0, 0x10000, 1, next, 2)
        try outside.offer(0)
        expect(.badDescriptor(2), outside)
    }
    @Test func giantIndirectTable() throws {
        let bench = try QueueBench(Format(packed: true))
        try bench.descriptor(0, 0x10000, 0x80000, 0, indirect | 1 << 7)
        for index in 0..<0x8000 { try QueueBench.descriptor(bench.memory, 0x10000, index, 0x1000, 1, 0, 0) }
        expect(.chainTooLong, bench)
    }
    @Test func packedLoopOfNext() throws {
        let bench = try QueueBench(Format(packed: true))
        for index in 0..<8 { try bench.descriptor(index, 0x10000, 1, 0, next | 1 << 7) }
        expect(.chainTooLong, bench)
    }
    @Test func chainOfFourGiB() throws {
        let memory = AddressSpace()
        let block = try RAMBlock(name: "big", size: 3 << 30)
        memory.add(FlatView.Range(start: GuestPhysical(0), count: 3 << 30, block: block))
        let layout = DriverQueue.layout(at: 0x1000, size: 8)
        let driver = try DriverQueue(memory: memory, configuration: layout)
        _ = driver.add(readable: [.init(0, 0xA000_0000), .init(0, 0xA000_0000)], writable: [])
        let queue = try VirtQueue(memory: memory, configuration: layout)
        #expect(throws: VirtQueueError.tooManyBytes) {
            _ = try queue.pop(into: DescriptorChain(memory: memory))
        }
    }
    @Test func moreOutstandingThanRoom() throws {
        let bench = try QueueBench(Format())
        try bench.descriptor(0, 0x10000, 1, 0, 0)
        for index in UInt16(1)...8 {
            try bench.memory.store(bench.configuration.driver + 2, index)
            #expect(try bench.queue.pop(into: bench.chain))
        }
        try bench.memory.store(bench.configuration.driver + 2, UInt16(9))
        expect(.tooManyOutstanding, bench)

        let packed = try QueueBench(Format(packed: true))
        for index in 0..<8 { try packed.descriptor(index, 0x10000, 1, 0, 1 << 7) }
        for _ in 0..<8 { #expect(try packed.queue.pop(into: packed.chain)) }
        try packed.descriptor(0, 0x10000, 1, 0, 1 << 15)
        expect(.tooManyOutstanding, packed)
    }
    @Test func badLayouts() throws {
        let memory = AddressSpace()
        let block = try RAMBlock(name: "ram", size: 1 << 20)
        memory.add(FlatView.Range(start: GuestPhysical(0), count: 1 << 20, block: block))
        func expect(_ error: VirtQueueError, _ change: (inout QueueConfiguration) -> Void) {
            var layout = DriverQueue.layout(at: 0x1000, size: 8)
            change(&layout)
            #expect(throws: error) { _ = try VirtQueue(memory: memory, configuration: layout) }
        }
        expect(.badSize(0)) { $0.size = 0 }
        expect(.badSize(6)) { $0.size = 6 }
        expect(.badSize(0x8001)) {
            $0.size = 0x8001; $0.isPacked = true
        }
        expect(.misaligned(GuestPhysical(0x1008))) { $0.descriptors = GuestPhysical(0x1008) }
        expect(.misaligned(GuestPhysical(0x1001))) { $0.driver = GuestPhysical(0x1001) }
        expect(.misaligned(GuestPhysical(0x1002))) { $0.device = GuestPhysical(0x1002) }
        expect(.ringOutsideMemory(GuestPhysical(0xFFFF0))) { $0.descriptors = GuestPhysical(0xFFFF0) }
        expect(.ringOutsideMemory(GuestPhysical(UInt64.max - 15))) { $0.descriptors = GuestPhysical(UInt64.max - 15) }
        expect(.ringOutsideMemory(GuestPhysical(1 << 60))) { $0.device = GuestPhysical(1 << 60) }
    }

    @Test(arguments: [false, true]) func randomRings(_ packed: Bool) throws {
        var random = SplitMix64(state: 11)
        for _ in 0..<FuzzRounds.times(3000) {
            let bench = try Shared.bench(packed)
            let layout = bench.configuration
            for _ in 0..<12 {
                let place = [layout.descriptors, layout.driver, layout.device][Int(random.next() % 3)]
                let value = random.next() % 4 == 0 ? random.next() : random.next() % 64
                try bench.memory.store(
                    place + random.next() % 128 & ~1, UInt16(truncatingIfNeeded: value))
            }
            let queue = try VirtQueue(memory: bench.memory, configuration: layout)
            for _ in 0..<20 {
                guard let found = try? queue.pop(into: bench.chain), found else { break }
                #expect(bench.chain.readableCount + bench.chain.writableCount > 0)
                _ = bench.chain.bytes(at: 0, count: 64)
                bench.chain.write(at: 0, bytes: [UInt8](repeating: 1, count: 64))
                queue.push(bench.chain, written: 64)
                _ = queue.needsInterrupt()
                _ = queue.enableNotifications()
            }
        }
    }
    private enum Shared {
        static func bench(_ packed: Bool) throws -> QueueBench {
            try QueueBench(Format(packed: packed, eventIndex: true))
        }
    }
}
