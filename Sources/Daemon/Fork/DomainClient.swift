internal import HostOS
internal import RPCWire

/// A daemon's client that asks one question at a time. Used by one thread.
final class DomainClient {
    private let socket: Descriptor
    private var decoder = FrameDecoder()
    private var serial: UInt32 = 0
    /// What takes longest is a fork of many machines.
    private static let patience: Int32 = 300_000

    /// Connects to the daemon of a socket.
    init(_ path: String) throws(LibvirtError) {
        do throws(HostError) { socket = try Socket.connect(SocketAddress.unix(path)) } catch {
            throw LibvirtError.system("Failed to connect socket to '\(path)': \(error)")
        }
        _ = try call(Remote.ConnectOpen.self, .init(name: "qemu:///session", flags: 0))
    }

    /// A call's answer; its error is thrown.
    func call<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws(LibvirtError) -> Procedure.Result {
        serial += 1
        do {
            var rest = try Frame.call(type, arguments, serial: serial).bytes
            while !rest.isEmpty {
                // SAFETY: the array lives for the call.
                switch unsafe rest.withUnsafeBytes({ unsafe Socket.send(socket, $0) }) {
                case .moved(let count): rest.removeFirst(count)
                case .wouldBlock: _ = socket.wait(for: .write, milliseconds: DomainClient.patience)
                case .failed, .end: throw DomainClient.gone
                }
            }
            while true {
                guard let frame = try decoder.next() else {
                    try receive()
                    continue
                }
                let kind = frame.header.messageType
                guard kind == .reply || kind == .replyWithDescriptors, frame.header.serial == serial else { continue }
                var reader = XDRReader(frame.payload)
                if frame.header.status == RPCStatus.error.rawValue {
                    let error = try RemoteError(from: &reader)
                    throw LibvirtError(
                        code: error.code, domain: error.domain, message: error.message ?? "no reason given")
                }
                return try Procedure.Result(from: &reader)
            }
        } catch let error as LibvirtError {
            throw error
        } catch {
            throw LibvirtError.system("the daemon's answer cannot be read: \(error)")
        }
    }

    private static let gone = LibvirtError.system("the daemon has closed the connection")

    private func receive() throws(LibvirtError) {
        guard socket.wait(for: .read, milliseconds: DomainClient.patience).contains(.read) else {
            throw LibvirtError.operationTimeout("the daemon does not answer")
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // SAFETY: the array lives for the call.
        let (transfer, passed) = unsafe buffer.withUnsafeMutableBytes { unsafe Socket.receive(socket, into: $0) }
        guard case .moved(let count) = transfer else { throw DomainClient.gone }
        decoder.feed(buffer.prefix(count), descriptors: passed)
    }
}
