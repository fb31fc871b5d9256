import BlockImage
import CLinux
import Synchronization
import TestSupport
import Testing

/// Marks that tell once of a change beyond them.
@Suite struct WriteThresholdTests {
    private final class Marks: Sendable {
        private let seen = Mutex<[UInt64]>([])
        func note(_ excess: UInt64) { seen.withLock { $0.append(excess) } }
        /// What was told since the last look.
        func take() -> [UInt64] {
            seen.withLock { seen in
                defer { seen = [] }
                return seen
            }
        }
    }

    @Test func aChangeBeyondTheMarkIsToldOnce() throws {
        let disk = TestFile(bytes: [UInt8](repeating: 0, count: 1 << 20))
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open(
            ["driver": "raw", "node-name": "r", "file.driver": "file", "file.node-name": "f", "file.filename": disk.path])
        let file = try #require(graph.node(named: "f"))
        let marks = Marks()
        #expect(graph.writeThreshold(of: node) == 0)
        try graph.setWriteThreshold(of: "r", to: 4096) { marks.note($0) }
        #expect(graph.writeThreshold(of: node) == 4096 && graph.writeThreshold(of: file) == 0)
        // Up to the mark, reading, and what the node does not do is no matter.
        let page = [UInt8](repeating: 1, count: 4096)
        #expect(node.write(page, at: 0) == 0 && node.read(8192, at: 0).status == 0)
        #expect(node.perform(.discard, 0, 1 << 19) == 0 && node.perform(.flush) == 0)
        #expect(marks.take() == [])
        #expect(node.write(page, at: 512) == 0)
        #expect(marks.take() == [512] && graph.writeThreshold(of: node) == 0)
        #expect(node.write(page, at: 8192) == 0)
        #expect(marks.take() == [])
        // Of the file below a format, zeroes too; 0 takes a mark away, and another one takes its place.
        try graph.setWriteThreshold(of: "f", to: 1) { marks.note($0) }
        try graph.setWriteThreshold(of: "f", to: 65_536) { marks.note($0) }
        #expect(node.write(page, at: 0) == 0 && marks.take() == [])
        #expect(node.perform(.writeZeroes(mayUnmap: false), 0, 1 << 17) == 0)
        #expect(marks.take() == [65_536])
        try graph.setWriteThreshold(of: "f", to: 1) { marks.note($0) }
        try graph.setWriteThreshold(of: "f", to: 0) { marks.note($0) }
        #expect(node.write(page, at: 0) == 0 && marks.take() == [])
        #expect(throws: BlockError.self) { try graph.setWriteThreshold(of: "x", to: 1) { _ in } }
        #expect((file as? FileNode)?.highestWrite == 1 << 17)
    }

    @Test func optionsThatChangeLeaveTheMark() throws {
        let disk = TestFile(bytes: [UInt8](repeating: 0, count: 1 << 20))
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let raw = ["driver": "raw", "node-name": "r", "file.driver": "file", "file.filename": disk.path]
        let node = try graph.open(raw)
        let marks = Marks()
        try graph.setWriteThreshold(of: "r", to: 4096) { marks.note($0) }
        try graph.reopen([raw.merging(["discard": "unmap"]) { $1 }])
        #expect(graph.writeThreshold(of: node) == 4096)
        #expect(node.perform(.discard, 0, 8192) == 0)
        #expect(marks.take() == [4096])
    }

    @Test func theFileGrowsBelowAFormat() throws {
        let disk = TestFile()
        let graph = BlockGraph()
        defer { graph.closeAll() }
        try graph.makeImage(disk.path, format: "qcow2", size: 8 << 20)
        let node = try graph.open(
            ["driver": "qcow2", "node-name": "q", "file.driver": "file", "file.node-name": "f", "file.filename": disk.path])
        let marks = Marks()
        // The guest writes far behind the mark, the file is short; then the guest writes before it, and the file grows.
        try graph.setWriteThreshold(of: "f", to: 1 << 20) { marks.note($0) }
        #expect(node.write([1], at: 7 << 20) == 0 && marks.take() == [])
        #expect(node.write([UInt8](repeating: 1, count: 1 << 20), at: 0) == 0)
        #expect(marks.take().count == 1)
    }

    @Test func manyAtOnceTellOnce() throws {
        let disk = TestFile(bytes: [UInt8](repeating: 0, count: 1 << 20))
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open(["driver": "file", "node-name": "f", "filename": disk.path])
        let marks = Marks()
        try graph.setWriteThreshold(of: "f", to: 4096) { marks.note($0) }
        let data = Memory([UInt8](repeating: 2, count: 4096))
        let replies = (0..<200).map { _ in Reply() }
        for (number, reply) in replies.enumerated() {
            node.submit(
                BlockRequest(
                    operation: .write, offset: UInt64(number) * 4096, length: 4096, segments: data.segments(),
                    completion: { reply.set($0) }))
        }
        #expect(replies.allSatisfy { $0.wait() == 0 })
        #expect(marks.take() == [4096])
    }
}
