internal import HostOS
internal import Log
internal import Synchronization

/// Files of a folder for machines that boot from their network, on a bridge of the host (`<tftp root='…'/>`). Only reads.
/// In our own switch, libslirp does the same. On the loop's thread.
final class TFTPServer: Sendable {
    private static let limit = 64
    /// Nanoseconds without a word after which a block goes again, and how often it does.
    private static let patience: UInt64 = 1_000_000_000
    private static let retryLimit = 5

    private final class Client: Sendable {
        let socket: Descriptor
        let file: Descriptor
        let state: Mutex<(transfer: TFTPTransfer, source: EventSource?, timer: EventTimer?, retries: Int)>

        init(_ socket: Descriptor, _ file: Descriptor, _ transfer: TFTPTransfer) {
            self.socket = socket
            self.file = file
            state = Mutex((transfer, nil, nil, 0))
        }
    }
    private let loop: EventLoop
    private let root: String
    private let address: UInt32
    private let interface: String
    private let clients = Mutex<[ObjectIdentifier: Client]>([:])
    private let log = RateLimitedLogger(Logger("network"))

    init(_ loop: EventLoop, root: String, address: UInt32, interface: String) {
        self.loop = loop
        self.root = root
        self.address = address
        self.interface = interface
    }

    /// Begins to listen.
    func listen() throws -> EventSource {
        let socket = try socket(port: 69, to: nil)
        return try loop.add(socket, [.read]) { [weak self] _ in
            for _ in 0..<16 {
                var buffer = [UInt8](repeating: 0, count: 1500)
                // SAFETY: the array lives for the call.
                let (result, sender) = unsafe buffer.withUnsafeMutableBytes {
                    unsafe PacketSocket.receive(socket, into: $0)
                }
                guard case .moved(let count) = result else { return }
                self?.begin(Array(buffer[..<count]), sender)
            }
        }
    }

    private func socket(port: UInt16, to remote: SocketAddress?) throws -> Descriptor {
        let socket = try Socket.datagram(local: SocketAddress.ipv4(address, port: port), remote: remote)
        try PacketSocket.bind(socket, toInterface: interface)
        return socket
    }

    private func begin(_ bytes: [UInt8], _ sender: SocketAddress) {
        guard let socket = try? socket(port: 0, to: sender) else { return }
        func refuse(_ code: UInt8, _ words: String) { Self.send(socket, [0, 5, 0, code] + Array(words.utf8) + [0]) }
        let request: TFTPRequest
        do throws(TFTPRequest.Fault) { request = try TFTPRequest(bytes) } catch {
            switch error {
            case .malformed: return refuse(4, "no request")
            case .writes: return refuse(2, "nothing is written here")
            case .mode(let mode): return refuse(4, "mode \(mode.prefix(32)) is not known")
            }
        }
        let path = root + "/" + request.file
        guard HostFile.status(path).kind == .file, let file = try? HostFile.open(path, .read) else {
            log.debug("A machine asked for a file that is not there")
            return refuse(1, "there is no such file")
        }
        let client = Client(socket, file, TFTPTransfer(request, size: file.fileSize))
        let isTaken = clients.withLock { clients in
            guard clients.count < Self.limit else { return false }
            clients[ObjectIdentifier(client)] = client
            return true
        }
        guard isTaken,
            let source = try? loop.add(
                socket, [.read],
                handler: { [weak self, weak client] _ in
                    if let client { self?.receive(client) }
                })
        else { return refuse(0, "too many are served") }
        let timer = loop.makeTimer { [weak self, weak client] in
            if let client { self?.isLate(client) }
        }
        client.state.withLock { ($0.source, $0.timer) = (source, timer) }
        answer(client, client.state.withLock { $0.transfer.current })
    }

    private func receive(_ client: Client) {
        for _ in 0..<8 {
            var buffer = [UInt8](repeating: 0, count: 1500)
            // SAFETY: the array lives for the call.
            let result = unsafe buffer.withUnsafeMutableBytes { unsafe client.socket.read(into: $0) }
            switch result {
            case .moved(let count):
                let step = client.state.withLock { state -> TFTPTransfer.Step in
                    let step = state.transfer.take(Array(buffer[..<count]))
                    if step != .wait { state.retries = 0 }
                    return step
                }
                answer(client, step)
                if step == .done { return }
            case .wouldBlock: return
            // Nobody is there any more.
            case .end, .failed: return drop(client)
            }
        }
    }

    private func isLate(_ client: Client) {
        let step = client.state.withLock { state -> TFTPTransfer.Step in
            state.retries += 1
            return state.retries > Self.retryLimit ? .done : state.transfer.current
        }
        answer(client, step)
    }

    private func answer(_ client: Client, _ step: TFTPTransfer.Step) {
        switch step {
        case .wait: return
        case .done: return drop(client)
        case .agree(let bytes): Self.send(client.socket, bytes)
        case .block(let number, let range):
            var bytes = [UInt8](repeating: 0, count: range.count)
            // SAFETY: the array lives for the call.
            let result = unsafe bytes.withUnsafeMutableBytes { unsafe client.file.read(into: $0, at: range.lowerBound) }
            if !range.isEmpty, result != .moved(range.count) {
                Self.send(client.socket, [0, 5, 0, 0] + Array("the file has changed".utf8) + [0])
                return drop(client)
            }
            Self.send(client.socket, [0, 3, UInt8(number >> 8), UInt8(number & 255)] + bytes)
        }
        client.state.withLock { $0.timer?.arm(after: Self.patience) }
    }

    private func drop(_ client: Client) {
        client.state.withLock { state in
            state.source?.remove()
            state.timer?.cancel()
            (state.source, state.timer) = (nil, nil)
        }
        clients.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(client)) }
    }

    private static func send(_ socket: Descriptor, _ bytes: [UInt8]) {
        // SAFETY: the array lives for the call. What is lost goes again.
        _ = unsafe bytes.withUnsafeBytes { unsafe Socket.send(socket, $0) }
    }

    /// Ends all transfers.
    func close() { for client in clients.withLock({ Array($0.values) }) { drop(client) } }
}
