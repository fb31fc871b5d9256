internal import HostOS
internal import RPCWire
internal import SASL
internal import Synchronization

/// Another daemon, as its client: for machines that go there by themselves. Calls wait; one thread calls at a time, and
/// another may send a stream meanwhile.
final class PeerDaemon: Sendable {
    private struct State {
        var decoder = FrameDecoder()
        var serial: UInt32 = 0
        /// What all bytes go through.
        var layer: SASLSession?
    }

    private let transport: FrameTransport
    private let process: HostProcess?
    private let state = Mutex(State())
    private let sending = Mutex(())

    /// After so much silence a ping is sent, and after so many without an answer the other end is gone.
    private static let (silence, pings): (Int32, Int) = (5000, 6)

    /// Connects and opens.
    init(_ uri: String) throws(LibvirtError) {
        let address = try PeerAddress(uri)
        (transport, process) = try address.connect()
        let types = try call(Remote.AuthList.self, .init()).types
        if types.contains(ClientAuthentication.sasl.rawValue), !types.contains(0) {
            try authenticate(address)
        } else if !types.isEmpty, !types.contains(0) {
            throw LibvirtError.rpc("authentication of kind \(types) is not supported")
        }
        try call(Remote.ConnectOpen.self, .init(name: address.local, flags: 0))
    }

    deinit {
        transport.shutDown()
        if let process {
            if !process.waitForEnd(milliseconds: 2000) { process.kill() }
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
        }
    }

    /// Proves by SASL who this daemon is, with what `auth.conf` says: there is nobody to be asked.
    private func authenticate(_ address: PeerAddress) throws(LibvirtError) {
        func failure(_ words: String) -> LibvirtError {
            LibvirtError(
                code: VirErrorNumber.authFailed, domain: VirErrorDomain.rpc,
                message: "authentication failed: \(words)", detail: words)
        }
        let isPlain = address.transport == "tcp"
        let host = address.host.isEmpty ? "localhost" : address.host
        let session: SASLSession
        let file: CredentialFile?
        do throws(SASLError) {
            session = try SASLSession.client(
                service: "libvirt", host: host,
                local: isPlain ? try? Socket.localAddress(transport.socket) : nil,
                remote: isPlain ? try? Socket.peerAddress(transport.socket) : nil,
                isPlain ? .wanted(bits: 56) : .given(bits: 128))
            file = try CredentialFile.usual(named: address.credentials)
        } catch { throw failure("\(error)") }
        let exchange = SASLExchange<LibvirtError>(
            session,
            ask: { question in
                file?.answer(question.kind, host: host) ?? (question.kind == .name ? address.user : nil)
            }, fail: { failure("\($0)") })
        try exchange.run(
            mechanisms: try call(Remote.AuthSASLInit.self, .init()).mechlist, wanted: nil,
            start: { (arguments) throws(LibvirtError) in try self.call(Remote.AuthSASLStart.self, arguments) },
            step: { (arguments) throws(LibvirtError) in try self.call(Remote.AuthSASLStep.self, arguments) },
            refuse: failure)
        guard session.hasLayer else { return }
        // Nothing may have come ahead of the layer.
        guard state.withLock({ $0.decoder.pendingBytes == 0 }) else { throw PeerDaemon.gone }
        state.withLock { $0.layer = session }
    }

    func supports(_ feature: Int32) throws(LibvirtError) -> Bool {
        try call(Remote.ConnectSupportsFeature.self, .init(feature: feature)).supported != 0
    }

    // MARK: - Calls

    @discardableResult
    func call<Procedure: RPCProcedure>(
        _ procedure: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws(LibvirtError) -> Procedure.Result { try begin(procedure, arguments).result }

    /// The answer of a call, and its header, which a stream that belongs to it has too.
    func begin<Procedure: RPCProcedure>(
        _ procedure: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws(LibvirtError) -> (result: Procedure.Result, header: RPCHeader) {
        let serial = state.withLock { state -> UInt32 in
            defer { state.serial &+= 1 }
            return state.serial
        }
        let frame: Frame
        do throws(XDRError) { frame = try Frame.call(procedure, arguments, serial: serial) } catch {
            throw LibvirtError.rpc("Unable to encode message payload: \(error)")
        }
        try send(frame)
        let answer = try next { $0.serial == serial && $0.messageType == .reply }
        try PeerDaemon.check(answer)
        do throws(XDRError) {
            var reader = XDRReader(answer.payload)
            return (try Procedure.Result(from: &reader), answer.header)
        } catch { throw LibvirtError.rpc("Unable to decode message payload: \(error)") }
    }

    /// The other end's refusal is an error of ours, with its words.
    private static func check(_ answer: Frame) throws(LibvirtError) {
        guard answer.header.status == RPCStatus.error.rawValue else { return }
        var reader = XDRReader(answer.payload)
        guard let error = try? RemoteError(from: &reader) else {
            throw LibvirtError.rpc("Unable to decode message payload")
        }
        throw LibvirtError(
            code: error.code, domain: error.domain, message: error.message ?? "an unknown error occurred",
            detail: error.str2)
    }

    static let gone = LibvirtError.rpc("the connection to the destination has ended")

    private func send(_ frame: Frame) throws(LibvirtError) {
        let layer = state.withLock { $0.layer }
        let sent = sending.withLock { _ -> Bool in
            var (bytes, offset) = (frame.bytes, 0)
            if let layer {
                guard let sealed = try? layer.encode(bytes) else { return false }
                bytes = sealed
            }
            while offset < bytes.count {
                // SAFETY: the array lives for the call, and the offset is within it.
                let moved = unsafe bytes.withUnsafeBytes {
                    unsafe transport.send(UnsafeRawBufferPointer(rebasing: $0.dropFirst(offset)))
                }
                switch moved {
                case .moved(let count): offset += count
                case .wouldBlock: _ = transport.socket.wait(for: [.write], milliseconds: 1000)
                case .end, .failed: return false
                }
                if transport.socket.wait(for: [], milliseconds: 0).contains(.hangUp) { return false }
            }
            return true
        }
        if !sent { throw PeerDaemon.gone }
    }

    /// The next frame that is wanted. Others are passed over, and pings answered.
    private func next(_ isWanted: (RPCHeader) -> Bool) throws(LibvirtError) -> Frame {
        var silent = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let frame: Frame?
            do throws(FrameError) {
                frame = try state.withLock { (state) throws(FrameError) in try state.decoder.next() }
            } catch { throw LibvirtError.rpc("\(error)") }
            if let frame {
                if frame.header.program == RPCProgram.keepalive.rawValue {
                    if frame.header.procedure == Frame.ping.header.procedure { try send(Frame.pong) }
                } else if isWanted(frame.header) {
                    return frame
                }
                continue
            }
            // SAFETY: the array lives for the call.
            let (transfer, _) = unsafe buffer.withUnsafeMutableBytes { unsafe transport.receive(into: $0) }
            switch transfer {
            case .moved(let count):
                silent = 0
                guard let opened = PeerDaemon.open(buffer.prefix(count), state.withLock { $0.layer }) else {
                    throw PeerDaemon.gone
                }
                state.withLock { $0.decoder.feed(opened) }
            case .wouldBlock:
                if !transport.socket.wait(for: [.read], milliseconds: PeerDaemon.silence).isEmpty { continue }
                silent += 1
                guard silent <= PeerDaemon.pings else { throw PeerDaemon.gone }
                try send(Frame.ping)
            case .end, .failed: throw PeerDaemon.gone
            }
        }
    }

    /// What came, out of its layer; nil where it is damaged.
    private static func open(_ bytes: ArraySlice<UInt8>, _ layer: SASLSession?) -> [UInt8]? {
        guard let layer else { return Array(bytes) }
        return try? layer.decode(Array(bytes))
    }

    // MARK: - Streams

    /// Sends a piece of the stream that a call opened.
    func sendStream(_ header: RPCHeader, _ data: [UInt8]) throws(LibvirtError) {
        try send(Frame(header.answering(.stream, .continue), payload: data))
    }

    /// Ends the stream, and waits until the other end agrees; not `whole`: gives it up.
    func endStream(_ header: RPCHeader, whole: Bool) throws(LibvirtError) {
        try send(Frame(header.answering(.stream, whole ? .ok : .error)))
        let answer = try next { $0.serial == header.serial && $0.messageType == .stream }
        if whole { try PeerDaemon.check(answer) }
    }
}
