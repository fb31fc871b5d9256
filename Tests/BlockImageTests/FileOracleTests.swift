import BlockImage
import TestSupport
import Testing

/// Random requests compared with an array in memory.
@Suite struct FileOracleTests {
    @Test(arguments: Way.all)
    func randomRequestsMatchTheOracle(_ way: Way) throws {
        // Arrange: an odd number of sectors, so that direct I/O meets a partial block at the end.
        let size = 201 * 512
        var numbers = SplitMix64(state: 7)
        var oracle = randomBytes(size, &numbers)
        let file = TestFile(bytes: oracle)
        let node = try openFile(file, aio: way.aio) {
            $1.cache = way.cache
            $1.discard = .unmap
            $1.detectZeroes = .unmap
        }
        let device = BlockDevice(id: "d", root: node, writeCache: way.cache.writeback)

        for step in 0..<FuzzRounds.times(250) {
            // Act
            let aligned = Bool.random(using: &numbers)
            var offset = Int.random(in: 0..<size, using: &numbers)
            var length = Int.random(in: 1...min(size - offset, 20_000), using: &numbers)
            if aligned {
                offset = offset / 512 * 512
                length = min((length + 511) / 512 * 512, size - offset)
            }
            let at = UInt64(offset)
            let shift = Bool.random(using: &numbers) ? 0 : Int.random(in: 0..<512, using: &numbers)
            let segment = Bool.random(using: &numbers) ? nil : Int.random(in: 100...6000, using: &numbers)
            switch Int.random(in: 0..<10, using: &numbers) {
            case 0...3:
                let result = device.read(length, at: at, shift: shift, segment: segment)
                #expect(result.status == 0)
                let isSame = result.bytes == Array(oracle[offset..<offset + length])
                #expect(isSame, "step \(step)")
            case 4...6:
                let bytes = randomBytes(length, &numbers)
                #expect(device.write(bytes, at: at, shift: shift, segment: segment, fua: step % 7 == 0) == 0)
                oracle.replaceSubrange(offset..<offset + length, with: bytes)
            case 7:
                let zeroes = [UInt8](repeating: 0, count: length)
                #expect(device.write(zeroes, at: at, shift: shift) == 0)
                oracle.replaceSubrange(offset..<offset + length, with: zeroes)
            case 8:
                let mayUnmap = Bool.random(using: &numbers)
                #expect(device.perform(.writeZeroes(mayUnmap: mayUnmap), at, UInt64(length), fua: step % 3 == 0) == 0)
                oracle.replaceSubrange(offset..<offset + length, with: [UInt8](repeating: 0, count: length))
            default:
                // On a regular file a discarded range reads as zeroes.
                #expect(device.perform(.discard, at, UInt64(length)) == 0)
                oracle.replaceSubrange(offset..<offset + length, with: [UInt8](repeating: 0, count: length))
                #expect(device.perform(.flush) == 0)
            }
        }

        // Assert: what another reader sees is the oracle.
        device.drain()
        node.close()
        let isSame = Array(file.read().prefix(size)) == oracle
        #expect(isSame)
    }

    /// Neighbours that share blocks of direct I/O are written at the same time; none may be lost.
    @Test(arguments: Way.all)
    func concurrentUnalignedWritesKeepTheirNeighbours(_ way: Way) throws {
        let piece = 700
        let count = 300
        let file = TestFile(bytes: [UInt8](repeating: 0, count: piece * count))
        let node = try openFile(file, aio: way.aio) { $1.cache = way.cache }
        var numbers = SplitMix64(state: 99)
        for _ in 0..<3 {
            let contents = (0..<count).map { _ in randomBytes(piece, &numbers) }
            let memories = contents.map { Memory($0) }
            let replies = (0..<count).map { _ in Reply() }
            node.beginBatch()
            for index in (0..<count).shuffled(using: &numbers) {
                let reply = replies[index]
                node.submit(
                    BlockRequest(
                        operation: .write, offset: UInt64(index * piece), length: UInt64(piece),
                        segments: memories[index].segments(), completion: { reply.set($0) }))
            }
            node.endBatch()
            #expect(replies.allSatisfy { $0.wait() == 0 })
            withExtendedLifetime(memories) {}
            let isWhole = node.read(piece * count, at: 0).bytes == contents.flatMap { $0 }
            #expect(isWhole)
        }
        node.close()
    }

    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func moreVectorsThanTheKernelTakes(_ aio: FileAIO) throws {
        var numbers = SplitMix64(state: 3)
        let bytes = randomBytes(5000, &numbers)
        let node = try openFile(TestFile(bytes: []), aio: aio)
        #expect(node.write(bytes, at: 10, segment: 2) == 0)
        let result = node.read(5000, at: 10, segment: 3)
        #expect(result.status == 0)
        let isSame = result.bytes == bytes
        #expect(isSame)
        node.close()
    }
}
