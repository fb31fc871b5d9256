import BlockImage
import CLinux
import Synchronization
import TestSupport
import Testing

/// Damaged and hostile images, and crashes between writes.
@Suite struct QCow2HostileTests {
    private func image(clusterSize: Int = 512) throws -> [UInt8] {
        let file = TestFile()
        try createImage(file, size: 256 << 10, Shape(clusterSize: clusterSize))
        let (graph, device) = try openImage(file)
        #expect(device.write([UInt8](repeating: 7, count: 100_000), at: 1000) == 0)
        graph.detach(device)
        graph.closeAll()
        return file.read()
    }

    @Test func badHeadersAreRefused() throws {
        let good = try image(clusterSize: 4096)
        let cases: [(offset: Int, bytes: [UInt8], what: String)] = [
            (0, [0], "magic"), (4, [0, 0, 0, 4], "version"), (20, [0, 0, 0, 8], "small clusters"),
            (20, [0, 0, 0, 22], "large clusters"), (20, [0xff, 0xff, 0xff, 0xff], "huge clusters"),
            (24, [0xff], "size"), (24, [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "largest size"),
            (32, [0, 0, 0, 1], "encryption"), (36, [0xff, 0xff, 0xff, 0xff], "L1 size"), (36, [0, 0, 0, 0], "no L1"),
            (40, [0x80], "L1 offset"), (47, [1], "L1 alignment"), (48, [0xff], "table offset"),
            (48, [0, 0, 0, 0, 0, 0, 0, 0], "no table"), (56, [0xff, 0xff, 0xff, 0xff], "table size"),
            (56, [0, 0, 0, 0], "empty table"), (60, [0xff, 0xff, 0xff, 0xff], "snapshots"),
            (60, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], "snapshot alignment"),
            (60, [0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0], "snapshot offset"),
            (72, [0x80], "unknown feature"), (79, [4], "external data"), (79, [16], "extended L2"),
            (79, [8], "compression bit alone"), (96, [0, 0, 0, 7], "refcount order"),
            (100, [0, 0, 0, 8], "header length"), (100, [0, 0xff, 0, 0], "long header"),
            (112, [0xe2, 0x79, 0x2a, 0xca, 0xff, 0xff, 0xff, 0xff], "long extension"),
            (8, [0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 0, 100], "backing name outside"),
            (8, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0], "long backing name"),
        ]
        for test in cases {
            var bytes = good
            bytes.replaceSubrange(test.offset..<test.offset + test.bytes.count, with: test.bytes)
            let file = TestFile(bytes: bytes)
            #expect(throws: BlockError.self, "\(test.what)") { try openImage(file) }
        }
        for length in [0, 4, 23, 24, 71, 100] {
            let file = TestFile(bytes: Array(good.prefix(length)))
            #expect(throws: BlockError.self, "\(length) bytes") { try openImage(file) }
        }
    }

    @Test func damagedImagesAreOnlyRead() throws {
        var bytes = try image(clusterSize: 4096)
        bytes[79] = 2
        let file = TestFile(bytes: bytes)
        #expect(throws: BlockError.self) { try openImage(file) }
        let (graph, device) = try openImage(file, ["read-only": "on"])
        #expect(device.read(1, at: 1000).bytes == [7])
        graph.detach(device)
        graph.closeAll()
    }

    /// Counts that lag behind are made right before the first write.
    @Test func dirtyImagesAreMendedWhenOpened() throws {
        var bytes = try image(clusterSize: 4096)
        bytes[79] = 1
        let table = Int(number(bytes, 48))
        let block = Int(number(bytes, table))
        for index in block..<block + 4096 { bytes[index] = 0 }
        let file = TestFile(bytes: bytes)
        let (graph, device) = try openImage(file)
        #expect(device.write([UInt8](repeating: 9, count: 5000), at: 200_000) == 0)
        #expect(device.read(1, at: 1000).bytes == [7])
        graph.detach(device)
        graph.closeAll()
        let node = try openFile(file)
        defer { node.close() }
        let result = try QCow2Check(file: node) { Issue.record("\($0)") }.run()
        #expect(result.corruptions == 0 && result.leaks == 0)
        #expect(file.read()[79] == 0)
    }

    /// An entry that points to the header must not let the guest write there.
    @Test func guestsDoNotReachMetadata() throws {
        var bytes = try image(clusterSize: 4096)
        let l1 = Int(number(bytes, 40))
        let l2 = Int(number(bytes, l1) & 0x00ff_ffff_ffff_fe00)
        for target in [UInt64(0), UInt64(l1), UInt64(l2), number(bytes, 48)] {
            let entry = target | 1 << 63
            for index in 0..<8 { bytes[l2 + index] = UInt8(truncatingIfNeeded: entry >> UInt64(56 - 8 * index)) }
            if target == 0 { bytes[l2] = 0x80 }
            let file = TestFile(bytes: bytes)
            let (graph, device) = try openImage(file)
            let status = device.write([UInt8](repeating: 0xaa, count: 4096), at: 0)
            #expect(target == 0 || status == EIO)
            graph.detach(device)
            graph.closeAll()
            let after = file.read()
            #expect(!after.prefix(4096).contains(0xaa))
            #expect(Array(after[l1..<l1 + 8]) == Array(bytes[l1..<l1 + 8]))
        }
    }

    private func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes[offset..<offset + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    @Test func aSelfBackingImageIsRefused() throws {
        let file = TestFile()
        let node = try openFile(file)
        var options = QCow2CreateOptions(size: 4096)
        options.backingFile = file.path
        options.backingFormat = "qcow2"
        try QCow2Node.create(options, in: node)
        node.close()
        #expect(throws: BlockError.self) { try openImage(file) }
        #expect(throws: BlockError.self) { try openImage(file, ["read-only": "on"]) }
    }

    @Test func randomDamageNeverCrashes() throws {
        let good = try image()
        var numbers = SplitMix64(state: 2024)
        for round in 0..<FuzzRounds.times(150) {
            var bytes = good
            for _ in 0..<Int.random(in: 1...8, using: &numbers) {
                // Mostly the metadata at the front.
                let limit = Bool.random(using: &numbers) ? 120 : 12_000
                bytes[Int.random(in: 0..<limit, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
            }
            if round % 5 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &numbers)) }
            let file = TestFile(bytes: bytes)
            guard let (graph, device) = try? openImage(file, ["backing": ""]) else { continue }
            let size = Int(min(device.sizeInBytes, 300_000))
            _ = device.read(size, at: 0)
            for _ in 0..<10 where size > 3000 {
                let offset = UInt64(Int.random(in: 0..<size - 3000, using: &numbers))
                _ = device.write([UInt8](repeating: 1, count: 3000), at: offset)
                _ = device.perform(.discard, offset, 3000)
                _ = device.perform(.writeZeroes(mayUnmap: true), offset, 3000)
            }
            _ = device.perform(.flush)
            graph.detach(device)
            graph.closeAll()
        }
    }

    /// After a crash, writes since the last flush are there in part, in any order: clusters may leak, nothing else.
    @Test(
        .enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func aCrashLeavesAConsistentImage(_ seed: UInt64) throws {
        var numbers = SplitMix64(state: seed)
        let file = TestFile()
        try createImage(file, size: 512 << 10, Shape(clusterSize: 1024))
        if seed % 2 == 0 {
            _ = Tool.run([Tool.qemuIO ?? "/bin/true", "-f", "qcow2", "-c", "write -P 3 0 300k", file.path])
            #expect(Tool.run([Tool.qemuImg!, "snapshot", "-c", "s", file.path]) == 0)
        }
        let disk = CrashingDisk(file.read())
        var options = NodeOptions()
        options.discard = .unmap
        let node = try QCow2Node(file: disk, backing: nil, nodeName: "q", node: options)
        for _ in 0..<6 {
            // Somewhere in what follows, most likely between two writes of tables.
            disk.crash(after: Int.random(in: 1...90, using: &numbers))
            for _ in 0..<25 {
                let offset = UInt64.random(in: 0..<500 << 10, using: &numbers)
                switch Int.random(in: 0..<8, using: &numbers) {
                case 0...4: #expect(node.write([UInt8](repeating: 8, count: 5000), at: offset) == 0)
                case 5: #expect(node.perform(.discard, offset, 9000) == 0)
                case 6: #expect(node.perform(.writeZeroes(mayUnmap: true), offset, 9000) == 0)
                default: #expect(node.perform(.flush) == 0)
                }
            }
            for _ in 0..<3 {
                // Act
                file.write(disk.crashed(&numbers))
                // Assert: 0 is clean, 3 is leaks only.
                let check = qemuCheck(file)
                #expect(check.status == 0 || check.status == 3, "\(check.output)")
            }
        }
        node.close()
        file.write(disk.content)
        #expect(qemuCheck(file).status == 0)
    }

    /// A disk in memory that knows which writes a flush has made durable.
    private final class CrashingDisk: BlockNode {
        private struct State {
            var durable: [UInt8]
            var now: [UInt8]
            var pending: [(Int, [UInt8])] = []
            var countdown = 0
            var crash: (durable: [UInt8], pending: [(Int, [UInt8])])?

            mutating func write(_ content: [UInt8], _ offset: Int) {
                CrashingDisk.put(content, offset, &now)
                pending.append((offset, content))
                countdown -= 1
                if countdown == 0 { crash = (durable, pending) }
            }
        }
        private let state: Mutex<State>
        private let null = NullNode(nodeName: "null")
        var nodeName: String { "crash" }
        var driverName: String { "crash" }
        var filename: String { "crash" }
        var children: [BlockChild] { [] }
        var sizeInBytes: UInt64 { state.withLock { UInt64($0.now.count) } }
        var isReadOnly: Bool { false }
        var logicalBlockSize: Int { 512 }
        var content: [UInt8] { state.withLock { $0.now } }

        init(_ bytes: [UInt8]) { state = Mutex(State(durable: bytes, now: bytes)) }

        /// Notes the state after that many more writes.
        func crash(after count: Int) {
            state.withLock { state in
                state.countdown = count
                state.crash = nil
            }
        }

        /// What the disk may hold after the crash (or one now, if there were too few writes).
        func crashed(_ numbers: inout SplitMix64) -> [UInt8] {
            let (durable, pending) = state.withLock { $0.crash ?? ($0.durable, $0.pending) }
            var bytes = durable
            for (offset, content) in pending where Bool.random(using: &numbers) {
                CrashingDisk.put(content, offset, &bytes)
            }
            return bytes
        }

        private static func put(_ content: [UInt8], _ offset: Int, _ bytes: inout [UInt8]) {
            let missing = offset + content.count - bytes.count
            if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
            bytes.replaceSubrange(offset..<offset + content.count, with: content)
        }

        func submit(_ request: BlockRequest) {
            var at = Int(request.offset)
            switch request.operation {
            case .read:
                for segment in request.segments {
                    state.withLock { state in
                        for index in 0..<segment.count {
                            let byte = at + index < state.now.count ? state.now[at + index] : 0
                            unsafe segment.pointer.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
                        }
                    }
                    at += segment.count
                }
            case .write:
                for segment in request.segments {
                    let content = unsafe Array(UnsafeRawBufferPointer(start: segment.pointer, count: segment.count))
                    state.withLock { $0.write(content, at) }
                    at += segment.count
                }
            case .flush:
                state.withLock { state in
                    state.durable = state.now
                    state.pending = []
                }
            case .discard:
                let content = [UInt8](repeating: 0xdd, count: Int(request.length))
                state.withLock { $0.write(content, at) }
            case .writeZeroes: break
            }
            null.schedule { request.completion(0) }
        }
        func schedule(_ work: @escaping @Sendable () -> Void) { null.schedule(work) }
        func drain() { null.drain() }
        func close() { null.close() }
    }
}
