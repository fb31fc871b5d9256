import BlockImage
import CLinux
import HostOS
import Testing

/// An export of a raw file, served to clients of this process over socket pairs or a Unix socket.
private final class Served {
    let folder: String
    let graph = BlockGraph()
    let server: NBDServer
    let listener: Descriptor
    var socket: String { "\(folder)/socket" }

    init(_ bytes: [UInt8], readOnly: Bool = false) throws {
        folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-nbd-test-")
        let descriptor = unsafe apus_open("\(folder)/disk", O_RDWR | O_CREAT, 0o600)
        _ = unsafe bytes.withUnsafeBytes { unsafe apus_write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        let node = try graph.open([
            "driver": "raw", "file.driver": "file", "file.filename": "\(folder)/disk", "discard": "unmap",
        ])
        var export = NBDExport(name: "disk", node: node, isReadOnly: readOnly)
        export.isShared = true
        server = try NBDServer([export])
        listener = try Socket.listen(try SocketAddress.unix("\(folder)/socket"), backlog: 16)
    }

    /// Serves as many clients as come, until the object goes.
    func accept(_ count: Int) throws {
        let (server, listener) = (server, listener)
        _ = try HostThread(name: "accept") {
            for _ in 0..<count {
                _ = listener.wait(for: [.read], milliseconds: 60_000)
                if let client = try? Socket.accept(listener) { try? server.serve(client) }
            }
        }
    }

    deinit {
        server.close()
        graph.closeAll()
        HostFile.removeTree(folder)
    }
}

private struct Sequence64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}

struct NBDTests {
    @Test(arguments: [1, 4]) func readsAndWritesWhatTheServerHas(connections: Int) throws {
        var expected = (0..<3_000_000 / 512 * 512).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
        let served = try Served(expected)
        try served.accept(connections)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open([
            "driver": "nbd", "server.type": "unix", "server.path": served.socket, "export": "disk",
            "x-connections": "\(connections)", "discard": "unmap",
        ])
        #expect(node.sizeInBytes == UInt64(expected.count))
        var numbers = Sequence64(state: 42)
        for _ in 0..<200 {
            let offset = Int(numbers.next() % UInt64(expected.count))
            let count = min(expected.count - offset, Int(numbers.next() % 200_000) + 1)
            switch numbers.next() % 4 {
            case 0:
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: numbers.next()), count: count)
                #expect(node.writeAndWait(at: UInt64(offset), bytes: bytes) == 0)
                expected.replaceSubrange(offset..<offset + count, with: bytes)
            case 1:
                let operation = BlockRequest.Operation.writeZeroes(mayUnmap: numbers.next() % 2 == 0)
                #expect(node.performAndWait(operation, offset: UInt64(offset), length: UInt64(count)) == 0)
                expected.replaceSubrange(offset..<offset + count, with: repeatElement(0, count: count))
            case 2: #expect(node.performAndWait(.flush) == 0)
            default:
                let (status, bytes) = node.bytesAndWait(at: UInt64(offset), count: count)
                #expect(status == 0)
                #expect(bytes == Array(expected[offset..<offset + count]))
            }
        }
        let (status, bytes) = node.bytesAndWait(at: 0, count: expected.count)
        #expect(status == 0)
        #expect(bytes == expected)
    }

    @Test func refusesWhatItMust() throws {
        let served = try Served([UInt8](repeating: 1, count: 1 << 20), readOnly: true)
        try served.accept(3)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let location = ["driver": "nbd", "server.type": "unix", "server.path": served.socket]
        #expect(throws: BlockError.self) { try graph.open(location.merging(["export": "none"]) { $1 }) }
        #expect(throws: BlockError.self) { try graph.open(location.merging(["export": "disk"]) { $1 }) }
        let node = try graph.open(location.merging(["export": "disk", "read-only": "on"]) { $1 })
        #expect(node.writeAndWait(at: 0, bytes: [1]) == EPERM)
        // Behind the end there is nothing, as behind that of a file.
        #expect(node.bytesAndWait(at: (1 << 20) - 1, count: 2).bytes == [1, 0])
    }

    @Test func tellsHolesFromData() throws {
        let served = try Served([UInt8](repeating: 1, count: 1 << 20))
        try served.accept(1)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open([
            "driver": "nbd", "server.type": "unix", "server.path": served.socket, "export": "disk", "discard": "unmap",
        ])
        #expect(node.performAndWait(.writeZeroes(mayUnmap: true), offset: 256 << 10, length: 256 << 10) == 0)
        let sparse = try #require(node as? any SparseMappable)
        let extents = try sparse.extents(offset: 0, length: 1 << 20, limit: 100)
        #expect(extents.reduce(0) { $0 + $1.length } == 1 << 20)
        let zero = extents.filter(\.isZero).reduce(0) { $0 + $1.length }
        // A file system without holes has none to show.
        #expect(zero == 256 << 10 || zero == 0)
    }

    @Test(arguments: [
        ("nbd://host", "nbd://host:10809"), ("nbd://host:1/a%20b", "nbd://host:1/a b"),
        ("nbd+unix:///x?socket=/s", "nbd+unix:///x?socket=/s"), ("nbd:unix:/s:exportname=x", "nbd+unix:///x?socket=/s"),
        ("nbd:host:2", "nbd://host:2"), ("nbd://[::1]:3/", "nbd://::1:3"),
    ])
    func understandsNames(text: String, name: String) { #expect(NBDLocation(text)?.name == name) }

    @Test(arguments: [
        "nbd:", "nbd:x", "nbd://x?y", "nbd+unix:///", "nbd+unix://h/x?socket=/s", "nbd://[::1", "nbd://x/%zz",
        "nbd://x/%00", "http://x", "nbd:unix:",
    ])
    func refusesOtherNames(text: String) { #expect(NBDLocation(text) == nil) }
}

/// Both sides with a peer that sends what it likes.
struct NBDHostileTests {
    private static let rounds = 60 * (Int(ProcessTools.environment("APUS_FUZZ_ROUNDS") ?? "1") ?? 1)

    /// Bytes that look like the protocol here and there.
    private static func bytes(_ numbers: inout Sequence64, _ words: [[UInt8]]) -> [UInt8] {
        var result: [UInt8] = []
        for _ in 0..<Int(numbers.next() % 24) {
            if numbers.next() % 3 == 0 {
                result += (0..<Int(numbers.next() % 40)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
            } else {
                var word = words[Int(numbers.next() % UInt64(words.count))]
                if numbers.next() % 4 == 0, !word.isEmpty {
                    word[Int(numbers.next() % UInt64(word.count))] = UInt8(truncatingIfNeeded: numbers.next())
                }
                result += word
            }
        }
        return result
    }

    private static func big(_ values: (UInt64, Int)...) -> [UInt8] {
        values.flatMap { value, size in
            (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (size - 1 - $0))) }
        }
    }

    private static func option(_ number: UInt64, _ data: [UInt8]) -> [UInt8] {
        big((0x4948_4156_454f_5054, 8), (number, 4), (UInt64(data.count), 4)) + data
    }

    private static func request(_ command: UInt64, _ offset: UInt64, _ length: UInt64) -> [UInt8] {
        big((0x2560_9513, 4), (0, 2), (command, 2), (7, 8), (offset, 8), (length, 4))
    }

    private static func send(_ bytes: [UInt8], to socket: Descriptor) {
        unsafe bytes.withUnsafeBytes { buffer in
            var rest = unsafe buffer[...]
            while unsafe !rest.isEmpty {
                switch unsafe Socket.send(socket, UnsafeRawBufferPointer(rebasing: rest)) {
                case .moved(let count): unsafe rest = rest.dropFirst(count)
                case .wouldBlock: if socket.wait(for: [.write], milliseconds: 60_000).isEmpty { return }
                case .end, .failed: return
                }
            }
        }
    }

    @Test func serverOutlivesItsClients() throws {
        let served = try Served([UInt8](repeating: 1, count: 1 << 20))
        let name = Self.big((4, 4)) + Array("disk".utf8)
        let context = name + Self.big((1, 4), (15, 4)) + Array("base:allocation".utf8)
        let words = [
            Self.big((3, 4)), Self.option(8, []), Self.option(10, context), Self.option(9, context),
            Self.option(7, name + Self.big((0, 2))), Self.option(6, name + Self.big((1, 2), (3, 2))),
            Self.option(3, []), Self.option(1, Array("disk".utf8)), Self.option(5, []), Self.option(99, [1, 2]),
            Self.request(0, 0, 4096), Self.request(0, 0, 1 << 25), Self.request(7, 0, 1 << 20),
            Self.request(1, 512, 4) + [1, 2, 3, 4], Self.request(3, 0, 0), Self.request(4, 0, 4096),
            Self.request(6, 1 << 19, 4096), Self.request(0, .max, 4096), Self.request(5, 0, 1 << 20),
            Self.request(2, 0, 0), Self.request(12, 0, 1),
        ]
        var numbers = Sequence64(state: 7)
        for _ in 0..<Self.rounds {
            let (ours, theirs) = try DescriptorPair.sockets()
            try ours.setNonBlocking()
            try theirs.setNonBlocking()
            try served.server.serve(theirs)
            // Half of them get as far as the transmission.
            let opening = numbers.next() % 2 == 0 ? words[0] + words[1] + words[2] + words[4] : []
            Self.send(opening + Self.bytes(&numbers, words), to: ours)
            Socket.shutDown(ours)
            let bell = Bell()
            for _ in 0..<60_000 where served.server.clientCount > 0 { bell.wait(nanoseconds: 1_000_000) }
            #expect(served.server.clientCount == 0)
        }
        // And it still serves.
        try served.accept(1)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open([
            "driver": "nbd", "server.type": "unix", "server.path": served.socket, "export": "disk",
        ])
        // A client that got as far may have written anywhere.
        let stamp = [UInt8](repeating: 2, count: 16)
        #expect(node.writeAndWait(at: 900_000, bytes: stamp) == 0)
        #expect(node.bytesAndWait(at: 900_000, count: 16).bytes == stamp)
    }

    @Test func clientOutlivesItsServers() throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-nbd-test-")
        defer { HostFile.removeTree(folder) }
        let listener = try Socket.listen(try SocketAddress.unix("\(folder)/socket"), backlog: 4)
        func reply(_ option: UInt64, _ type: UInt64, _ data: [UInt8] = []) -> [UInt8] {
            Self.big((0x0003_e889_0455_65a9, 8), (option, 4), (type, 4), (UInt64(data.count), 4)) + data
        }
        func chunk(_ type: UInt64, _ handle: UInt64, _ data: [UInt8], _ flags: UInt64 = 1) -> [UInt8] {
            Self.big((0x668e_33ef, 4), (flags, 2), (type, 2), (handle, 8), (UInt64(data.count), 4)) + data
        }
        let greeting = Self.big((0x4e42_444d_4147_4943, 8), (0x4948_4156_454f_5054, 8), (3, 2))
        let opening =
            greeting + reply(8, 1) + reply(10, 4, Self.big((1, 4)) + Array("base:allocation".utf8)) + reply(10, 1)
            + reply(7, 3, Self.big((0, 2), (1 << 20, 8), (0x5ff, 2))) + reply(7, 1)
        let words = [
            greeting, reply(8, 1), reply(7, 3, Self.big((3, 2), (3, 4), (0, 4), (1, 4))), reply(7, 1),
            reply(10, 1), reply(7, 1 << 31 | 6, Array("no".utf8)),
            chunk(1, 1, Self.big((0, 8)) + [UInt8](repeating: 5, count: 64)), chunk(2, 1, Self.big((0, 8), (64, 4))),
            chunk(1, 2, Self.big((0, 8)) + [UInt8](repeating: 5, count: 16), 0), chunk(0, 1, []),
            chunk(1 << 15 | 1, 2, Self.big((5, 4), (0, 2))), chunk(5, 3, Self.big((1, 4), (1 << 20, 4), (0, 4))),
            chunk(5, 1, Self.big((1, 4), (0, 4), (0, 4))), Self.big((0x6744_6698, 4), (0, 4), (2, 8)),
            chunk(1, 1, Self.big((.max, 8)) + [1]), chunk(2, 1, Self.big((1, 8), (0xffff_ffff, 4))),
        ]
        var numbers = Sequence64(state: 11)
        for _ in 0..<Self.rounds {
            let bytes = (numbers.next() % 3 == 0 ? [] : opening) + Self.bytes(&numbers, words)
            let server = try HostThread(name: "hostile") {
                _ = listener.wait(for: [.read], milliseconds: 60_000)
                guard let client = try? Socket.accept(listener) else { return }
                Self.send(bytes, to: client)
                // What the client says is read, so that the end comes after all that was sent.
                var buffer = [UInt8](repeating: 0, count: 4096)
                _ = apus_shutdown(client.rawValue, Int32(SHUT_WR))
                while true {
                    let result = unsafe buffer.withUnsafeMutableBytes { unsafe client.read(into: $0) }
                    if case .moved = result { continue }
                    guard case .wouldBlock = result else { return }
                    if client.wait(for: [.read], milliseconds: 60_000).isEmpty { return }
                }
            }
            let graph = BlockGraph()
            if let node = try? graph.open([
                "driver": "nbd", "server.type": "unix", "server.path": "\(folder)/socket", "read-only": "on",
            ]) {
                let (status, read) = node.bytesAndWait(at: 0, count: 64)
                // Either it failed or it is what a whole answer said.
                #expect(status != 0 || read.allSatisfy { $0 == 5 } || read.allSatisfy { $0 == 0 } || read.count == 64)
                _ = node.writeAndWait(at: 0, bytes: [1])
                _ = try? (node as? any SparseMappable)?.extents(offset: 0, length: 1 << 20, limit: 10)
            }
            graph.closeAll()
            server.join()
        }
    }
}

private enum ProcessTools {
    static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}
