internal import HostOS
internal import RPCWire
internal import Synchronization

/// A volume on its way to a client. A thread of its own reads, and waits while the client does not.
final class VolumeDownload: ServerStream {
    private let session: ClientSession
    private let header: RPCHeader
    private let file: Descriptor
    private let beginning: Int64
    private let length: UInt64
    private let sparse: Bool
    private let room = Bell()
    private let stopped = Atomic<Bool>(false)
    private static let fullQueue = 4 << 20

    init(
        _ session: ClientSession, _ header: RPCHeader, _ file: Descriptor, from start: UInt64, length: UInt64,
        sparse: Bool
    ) {
        self.session = session
        self.header = header
        self.file = file
        beginning = Int64(clamping: start)
        self.length = length
        self.sparse = sparse
    }

    /// After the call's answer.
    func start() {
        guard session.open(self, header), (try? HostThread(name: "download", body: { self.run() })) != nil else {
            return session.abort(header, LibvirtError.system("cannot start a thread"))
        }
    }

    private func run() {
        do throws(HostError) {
            try HostFile.seek(file, beginning)
            var position = beginning
            // 0 means to the end.
            let end = length == 0 ? Int64.max : beginning.addingReportingOverflow(Int64(clamping: length)).partialValue
            while position < end, !stopped.load(ordering: .relaxed) {
                if session.queuedBytes > VolumeDownload.fullQueue {
                    room.wait(nanoseconds: 100_000_000)
                    continue
                }
                var limit = min(Int64(RPCLimits.streamChunk), end - position)
                if sparse {
                    let extent = HostFile.extent(file, at: position)
                    guard extent.end > position else { break }
                    if !extent.isData {
                        session.sendHole(header, min(extent.end, end) - position)
                        position = min(extent.end, end)
                        try HostFile.seek(file, position)
                        continue
                    }
                    limit = min(limit, extent.end - position)
                }
                let data = try file.readAvailable(limit: Int(limit))
                if data.isEmpty { break }
                session.sendStream(header, data)
                position += Int64(data.count)
            }
            if !stopped.load(ordering: .relaxed) { session.sendStream(header, []) }
        } catch {
            session.abort(header, LibvirtError.system("\(error)"))
        }
    }

    func received(_ data: [UInt8]) {}
    func receivedHole(_ length: Int64) {}
    func clientFinished(_ whole: Bool) throws(LibvirtError) { abandoned() }
    func abandoned() {
        stopped.store(true, ordering: .relaxed)
        room.ring()
    }
    func drained() { room.ring() }
}

/// A volume on its way from a client.
final class VolumeUpload: ServerStream {
    private struct State {
        var position: Int64
        var left: UInt64
        var failed = false
    }

    private let session: ClientSession
    private let header: RPCHeader
    private let file: Descriptor
    private let state: Mutex<State>

    init(_ session: ClientSession, _ header: RPCHeader, _ file: Descriptor, at position: Int64, length: UInt64) {
        self.session = session
        self.header = header
        self.file = file
        state = Mutex(State(position: position, left: length == 0 ? UInt64.max : length))
    }

    /// Moves on by `count` bytes as far as the volume's part goes, and writes there; an error ends the stream.
    private func advance(_ count: UInt64, _ body: (Int64) throws(HostError) -> Void) {
        let error = state.withLock { state -> LibvirtError? in
            guard !state.failed else { return nil }
            guard count <= state.left else {
                state.failed = true
                return LibvirtError.system("cannot write to stream: No space left on device")
            }
            let (next, overflow) = state.position.addingReportingOverflow(Int64(clamping: count))
            guard !overflow else {
                state.failed = true
                return LibvirtError.system("cannot write to stream: File too large")
            }
            do throws(HostError) { try body(next) } catch {
                state.failed = true
                return LibvirtError.system("cannot write to stream: \(error)")
            }
            state.position = next
            state.left -= count
            return nil
        }
        if let error { session.abort(header, error) }
    }

    func received(_ data: [UInt8]) {
        advance(UInt64(data.count)) { (_) throws(HostError) in try file.writeAll(data) }
    }

    func receivedHole(_ length: Int64) {
        advance(UInt64(max(0, length))) { (next) throws(HostError) in
            if HostFile.size(of: file) < next { try HostFile.setSize(file, next) }
            try HostFile.seek(file, next)
        }
    }

    func clientFinished(_ whole: Bool) throws(LibvirtError) {}
    func abandoned() {}
    func drained() {}
}
