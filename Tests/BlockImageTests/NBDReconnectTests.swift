import BlockImage
import CLinux
import HostOS
import Synchronization
import Testing

/// Servers that end and come again.
@Suite(.serialized) struct NBDReconnectTests {
    /// A server of one file on a Unix socket; a new one may take the place of one that ended.
    private final class Served: Sendable {
        let listener: Descriptor
        let graph = BlockGraph()
        let server: NBDServer

        init(_ file: TestFile, _ socket: String) throws {
            _ = unsafe unlink(socket)
            let node = try graph.open([
                "driver": "raw", "file.driver": "file", "file.filename": file.path, "file.locking": "off",
                "discard": "unmap",
            ])
            var export = NBDExport(name: "disk", node: node, isReadOnly: false)
            export.isShared = true
            server = try NBDServer([export])
            listener = try Socket.listen(try SocketAddress.unix(socket), backlog: 16)
            let (server, listener) = (server, listener)
            _ = try HostThread(name: "accept") {
                while !listener.wait(for: [.read], milliseconds: 20_000).isEmpty,
                    let client = try? Socket.accept(listener)
                {
                    guard (try? server.serve(client)) != nil else { return }
                }
            }
        }

        /// Ends it: clients see their connections close, and no new one is taken.
        func end(_ socket: String) {
            _ = unsafe unlink(socket)
            server.close()
            graph.closeAll()
        }
    }

    private func node(_ graph: BlockGraph, _ socket: String, _ more: [String: String]) throws -> any BlockNode {
        try graph.open(
            ["driver": "nbd", "server.type": "unix", "server.path": socket, "export": "disk"].merging(more) { $1 })
    }

    @Test func requestsWaitForTheServer() throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 1 << 20))
        let socket = file.path + ".socket"
        defer { _ = unsafe unlink(socket) }
        let first = try Served(file, socket)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try node(graph, socket, ["reconnect-delay": "30", "x-connections": "2"])
        #expect(node.writeAndWait(at: 0, bytes: [2, 2]) == 0)
        first.end(socket)
        let (file2, socket2) = (file, socket)
        let holder = Holder(Mutex<Served?>(nil))
        let thread = try HostThread(name: "again") {
            Bell().wait(nanoseconds: 300_000_000)
            let made = try? Served(file2, socket2)
            holder.value.withLock { $0 = made }
        }
        // Several at once: all of them wait, and none is lost.
        let answers = Holder(Mutex<[Int32]>([]))
        let threads = try (0..<4).map { number in
            try HostThread(name: "writer") {
                let status = node.writeAndWait(at: UInt64(4096 + number), bytes: [UInt8(10 + number)])
                answers.value.withLock { $0.append(status) }
            }
        }
        #expect(node.bytesAndWait(at: 0, count: 3).bytes == [2, 2, 1])
        for thread in threads { thread.join() }
        thread.join()
        #expect(answers.value.withLock { $0 } == [0, 0, 0, 0])
        #expect(node.bytesAndWait(at: 4096, count: 5).bytes == [10, 11, 12, 13, 1])
        let sparse = try #require(node as? any SparseMappable)
        #expect(try sparse.extents(offset: 0, length: 4096, limit: 4).reduce(0) { $0 + $1.length } == 4096)
        holder.value.withLock { $0 }?.end(socket)
    }

    @Test func withoutADelayWhatIsLostIsLost() throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 65536))
        let socket = file.path + ".socket"
        defer { _ = unsafe unlink(socket) }
        let first = try Served(file, socket)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try node(graph, socket, [:])
        #expect(node.bytesAndWait(at: 0, count: 1).bytes == [1])
        first.end(socket)
        #expect(node.bytesAndWait(at: 0, count: 1).status == EIO)
        #expect(node.performAndWait(.flush) == EIO)
        let second = try Served(file, socket)
        #expect(node.bytesAndWait(at: 0, count: 1).status == EIO)
        second.end(socket)
    }

    @Test func waitingEnds() throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 65536))
        let socket = file.path + ".socket"
        defer { _ = unsafe unlink(socket) }
        let first = try Served(file, socket)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try node(graph, socket, ["reconnect-delay": "1"])
        first.end(socket)
        let start = HostClock.monotonic
        #expect(node.bytesAndWait(at: 0, count: 1).status == EIO)
        let seconds = Double(HostClock.monotonic - start) / 1e9
        #expect(seconds > 0.7 && seconds < 20)
        // Another disk under the same name is not taken for the one that was there.
        file.truncate(32768)
        let other = try Served(file, socket)
        #expect(node.bytesAndWait(at: 0, count: 1).status == EIO)
        other.end(socket)
    }

    private final class Holder<Value: Sendable>: Sendable {
        let value: Mutex<Value>
        init(_ value: consuming Mutex<Value>) { self.value = value }
    }
}
