import HostOS
import RPCWire
import Synchronization

/// A daemon that does what a test says, on a socket in a folder of its own. It serves one client.
final class FakeDaemon: Sendable {
    /// What answers a call: frames, or nil to say nothing.
    typealias Answer = @Sendable (Frame, Descriptor) -> [Frame]?

    private let folder: String
    private let listener: Descriptor
    private let thread: Mutex<HostThread?> = Mutex(nil)

    var uri: String { "qemu+unix:///system?socket=\(folder)/sock" }

    /// - Parameter greeting: bytes that are sent before anything is asked.
    init(greeting: [UInt8] = [], closes: Bool = false, answer: @escaping Answer = { _, _ in nil }) throws {
        folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-client-")
        listener = try Socket.listen(SocketAddress.unix(folder + "/sock"))
        let listener = listener
        let started = try HostThread(name: "fake-daemon") {
            _ = listener.wait(for: .read, milliseconds: 60_000)
            guard let socket = try? Socket.accept(listener) else { return }
            if !greeting.isEmpty { try? socket.writeAll(greeting) }
            if closes { return }
            FakeDaemon.serve(socket, answer)
        }
        thread.withLock { $0 = started }
    }

    private static func serve(_ socket: Descriptor, _ answer: Answer) {
        var decoder = FrameDecoder()
        while socket.wait(for: .read, milliseconds: 60_000).contains(.read) {
            guard let bytes = try? socket.readAvailable(limit: 65_536), !bytes.isEmpty else { return }
            decoder.feed(bytes)
            while let frame = try? decoder.next() {
                for reply in answer(frame, socket) ?? [] { try? socket.writeAll(reply.bytes) }
            }
        }
    }

    deinit { HostFile.removeTree(folder) }

    /// What a well-behaved daemon answers while a client connects; nil for other calls.
    static func open(_ call: Frame) -> [Frame]? {
        // Programs number their procedures apart: a ping is 1 as the open is, a pong 2 as the close is.
        guard call.header.program == RPCProgram.remote.rawValue else { return nil }
        let header = call.header.answering(.reply, .ok)
        switch call.header.procedure {
        case Remote.AuthList.number: return (try? Frame(header, Remote.AuthList.Result(types: [0]))).map { [$0] }
        case Remote.ConnectSupportsFeature.number:
            return (try? Frame(header, Remote.ConnectSupportsFeature.Result(supported: 1))).map { [$0] }
        case Remote.ConnectOpen.number, Remote.ConnectClose.number: return [Frame(header)]
        default: return nil
        }
    }
}
