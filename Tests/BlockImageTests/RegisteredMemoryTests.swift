import BlockImage
import CLinux
import TestSupport
import Testing

/// Memory that the ring has registered: the same bytes move, from inside of it, from outside, and from both at once.
@Suite struct RegisteredMemoryTests {
    private func move(
        _ node: any BlockNode, _ operation: BlockRequest.Operation, at offset: UInt64, _ segments: [BlockSegment]
    ) -> Int32 {
        let reply = Reply()
        let length = segments.reduce(0) { $0 + $1.count }
        node.submit(
            BlockRequest(operation: operation, offset: offset, length: UInt64(length), segments: segments) {
                reply.set($0)
            })
        return reply.wait()
    }

    @Test(arguments: ["writeback", "none"]) func theSameBytesMove(_ cache: String) throws {
        var numbers = SplitMix64(state: 3)
        var model = randomBytes(1 << 20, &numbers)
        let file = TestFile(bytes: model)
        let node = try openFile(file) { $1.cache = CacheMode(name: cache)! }
        let memory = Memory([UInt8](repeating: 0, count: 256 << 10))
        let other = Memory([UInt8](repeating: 0, count: 64 << 10))
        let isTaken = unsafe node.registerMemory([MemoryRange(memory.base, count: memory.count)])
        // Where rings are there, so are their buffers, up to what a process may lock.
        #expect(isTaken == (node.engineName == "io_uring"))
        for round in 0..<200 {
            let count = (Int(numbers.next() % 32) + 1) * 512
            let offset = Int(numbers.next() % UInt64(model.count - 3 * count)) / 512 * 512
            let place = Int(numbers.next() % UInt64(memory.count - count)) / 512 * 512
            let inside = unsafe BlockSegment(pointer: memory.base + place, count: count)
            let outside = unsafe BlockSegment(pointer: other.base, count: count)
            let segments = [[inside], [outside], [outside, inside]][round % 3]
            if numbers.next() % 2 == 0 {
                let bytes = randomBytes(count * segments.count, &numbers)
                for (index, segment) in segments.enumerated() {
                    let part = Array(bytes[index * count..<(index + 1) * count])
                    _ = unsafe part.withUnsafeBytes { unsafe memcpy(segment.pointer, $0.baseAddress!, count) }
                }
                #expect(move(node, .write, at: UInt64(offset), segments) == 0)
                model.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            } else {
                #expect(move(node, .read, at: UInt64(offset), segments) == 0)
                var found: [UInt8] = []
                for segment in segments {
                    found += unsafe Array(UnsafeRawBufferPointer(start: segment.pointer, count: count))
                }
                let isSame = found == Array(model[offset..<offset + found.count])
                #expect(isSame, "round \(round)")
            }
        }
        // Let go, the addresses mean what is mapped there.
        if isTaken { node.forgetMemory() }
        let segment = unsafe BlockSegment(pointer: memory.base, count: 4096)
        #expect(move(node, .read, at: 0, [segment]) == 0)
        #expect(Array(memory.bytes[..<4096]) == Array(model[..<4096]))
        node.close()
        #expect(file.read() == model)
        withExtendedLifetime((memory, other)) {}
    }
}
