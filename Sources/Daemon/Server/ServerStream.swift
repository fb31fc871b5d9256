internal import RPCWire
internal import Synchronization

/// The daemon's end of a stream. The session calls it on the loop's thread, one call at a time.
protocol ServerStream: AnyObject, Sendable {
    /// Data came from the client.
    func received(_ data: [UInt8])
    /// The client skipped so many bytes.
    func receivedHole(_ length: Int64)
    /// The client has sent everything (true) or gives up (false).
    func clientFinished(_ whole: Bool) throws(LibvirtError)
    /// The connection has gone, or the stream was aborted: nobody listens any more.
    func abandoned()
    /// What was sent is with the kernel: there is room for more.
    func drained()
}

extension ClientSession {
    /// Takes up a stream of an answered call. False: the connection has gone meanwhile.
    func open(_ stream: any ServerStream, _ header: RPCHeader) -> Bool {
        state.withLock { state in
            guard !state.closed else { return false }
            state.streams[header.serial] = stream
            return true
        }
    }

    /// Sends a piece of a stream; empty: its end.
    func sendStream(_ header: RPCHeader, _ data: [UInt8]) {
        send(Frame(header.answering(.stream, .continue), payload: data))
    }

    /// Sends a hole of a sparse stream.
    func sendHole(_ header: RPCHeader, _ length: Int64) {
        if let frame = try? Frame(header.answering(.streamHole, .continue), StreamHole(length: length)) { send(frame) }
    }

    /// Ends a stream with an error.
    func abort(_ header: RPCHeader, _ error: LibvirtError) {
        guard state.withLock({ $0.streams.removeValue(forKey: header.serial) }) != nil else { return }
        send(Frame.failure(of: header.answering(.stream, .error), error.remote))
    }

    func receiveStream(_ frame: Frame) {
        let header = frame.header
        guard let stream = state.withLock({ $0.streams[header.serial] }) else { return }
        if header.messageType == .streamHole {
            var reader = XDRReader(frame.payload)
            guard let hole = try? StreamHole(from: &reader), hole.length >= 0 else {
                stream.abandoned()
                return abort(header, LibvirtError.rpc("Unable to decode stream hole"))
            }
            return stream.receivedHole(hole.length)
        }
        switch RPCStatus(rawValue: header.status) {
        case .continue: stream.received(frame.payload)
        case .ok, .error, nil:
            let whole = header.status == RPCStatus.ok.rawValue
            state.withLock { _ = $0.streams.removeValue(forKey: header.serial) }
            do throws(LibvirtError) {
                try stream.clientFinished(whole)
                // Also where the client gave up: its library takes an error without a text for a broken connection.
                send(Frame(header.answering(.stream, .ok)))
            } catch {
                send(Frame.failure(of: header.answering(.stream, .error), error.remote))
            }
        }
    }

    func drained() {
        if state.withLock({ $0.isBehind }) { changeLoad { $0.isBehind = false } }
        for stream in state.withLock({ Array($0.streams.values) }) { stream.drained() }
    }
}
