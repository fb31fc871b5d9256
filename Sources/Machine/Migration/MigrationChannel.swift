internal import HostOS
internal import MachineState
internal import Synchronization
internal import TLS

/// The bytes of a moving machine over a descriptor. Used by one thread; `cancel` is any thread's.
final class MigrationChannel: StateSink, StateSource, Sendable {
    private let shared: Mutex<Descriptor?>
    /// The command at the other end of a pipe.
    let process: HostProcess?
    private let isCancelled = Atomic<Bool>(false)
    private let buffered = Mutex<(bytes: [UInt8], start: Int)>(([], 0))
    /// TLS on the socket.
    private let secure = Mutex<TLSSession?>(nil)
    /// Others that end with this one.
    private let companions = Mutex<[MigrationChannel]>([])
    /// Descriptors that came with bytes.
    private let passed = Mutex<[Descriptor]>([])
    /// Bytes written, and what is left of the time's share.
    private let counters = Mutex(Counters())
    private static let bufferSize = 64 << 10
    private static let patience: Int32 = 50

    private struct Counters: Sendable {
        var written: UInt64 = 0
        /// Bytes a second, 0 for no limit.
        var limit: UInt64 = 0
        var windowStart: UInt64 = 0
        var windowBytes: UInt64 = 0
    }

    init(_ descriptor: Descriptor, process: HostProcess? = nil) {
        shared = Mutex(descriptor)
        isSocket = descriptor.kind == .socket
        self.process = process
    }

    /// The descriptor until it is given up.
    private func descriptor() throws(StateError) -> Descriptor {
        guard let descriptor = shared.withLock({ $0 }) else { throw .cancelled }
        return descriptor
    }

    var written: UInt64 { counters.withLock { $0.written } }
    let isSocket: Bool
    /// Whether a process of the user of this one is at the other end of a Unix socket.
    var isOfOwnUser: Bool {
        guard let descriptor = shared.withLock({ $0 }), let peer = try? PeerCredentials(of: descriptor) else { return false }
        return peer.userID == HostIdentity.userID
    }

    /// Bytes a second from now on; 0 for no limit.
    func setLimit(_ bytes: UInt64) { counters.withLock { $0.limit = bytes } }

    /// Ends every read and write, now and later.
    func cancel() {
        isCancelled.store(true, ordering: .sequentiallyConsistent)
        if isSocket, let descriptor = shared.withLock({ $0 }) { Socket.shutDown(descriptor) }
        process?.kill()
        for other in companions.withLock({ $0 }) { other.cancel() }
    }
    /// Has another end with this one.
    func accompany(_ other: MigrationChannel) {
        companions.withLock { $0.append(other) }
        if wasCancelled { other.cancel() }
    }

    /// Has all bytes go over TLS from now on. Nothing was written or read yet.
    func startTLS(_ credentials: TLSCredentials, host: String?) throws(StateError) {
        let descriptor = try descriptor()
        guard isSocket else { throw .host("TLS needs a socket") }
        do throws(TLSError) {
            let made = try TLSSession(descriptor.rawValue, credentials, host: host)
            try made.shakeHands(on: descriptor.rawValue, until: HostClock.monotonic + 30_000_000_000)
            secure.withLock { $0 = made }
        } catch {
            if wasCancelled { throw .cancelled }
            throw .host("\(error)")
        }
    }
    var wasCancelled: Bool { isCancelled.load(ordering: .sequentiallyConsistent) }

    // MARK: Writing

    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) {
        let descriptor = try descriptor()
        var offset = 0
        while offset < bytes.count {
            if wasCancelled { throw .cancelled }
            let most = min(bytes.count - offset, 1 << 20)
            // SAFETY: parts are cut by offsets below the buffer's length, and the buffers live through the calls.
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + most])
            let stream = secure.withLock { $0 }
            switch unsafe stream?.send(part) ?? descriptor.write(part) {
            case .moved(let count):
                offset += count
                pace(UInt64(count))
            case .wouldBlock: _ = descriptor.wait(for: [.write], milliseconds: Self.patience)
            case .end: throw .host("The other end has closed the connection")
            case .failed(let number):
                throw wasCancelled ? .cancelled : .host("Cannot write the machine's state: \(HostError.text(number))")
            }
        }
    }

    /// Sleeps where more was written than the limit allows.
    private func pace(_ count: UInt64) {
        let now = HostClock.monotonic
        let delay = counters.withLock { counters -> UInt64 in
            counters.written += count
            guard counters.limit > 0 else { return 0 }
            if now - counters.windowStart > 100_000_000 {
                counters.windowStart = now
                counters.windowBytes = 0
            }
            counters.windowBytes += count
            let share = counters.limit / 10
            return counters.windowBytes >= share ? counters.windowStart + 100_000_000 - now : 0
        }
        if delay > 0 { Bell().wait(nanoseconds: delay) }
    }

    // MARK: Reading

    func read(_ target: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        var done = 0
        while done < target.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
            let taken = unsafe takeBuffered(rest)
            if taken > 0 {
                done += taken
            } else if rest.count >= Self.bufferSize {
                let count = try unsafe receive(rest)
                if count == 0 { return done }
                done += count
            } else {
                var bytes = [UInt8](repeating: 0, count: Self.bufferSize)
                var failure: StateError?
                let count = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
                    do throws(StateError) { return try unsafe receive(buffer) } catch {
                        failure = error
                        return 0
                    }
                }
                if let failure { throw failure }
                if count == 0 { return done }
                bytes.removeLast(bytes.count - count)
                let filled = bytes
                buffered.withLock { $0 = (filled, 0) }
            }
        }
        return done
    }

    private func takeBuffered(_ target: UnsafeMutableRawBufferPointer) -> Int {
        let (bytes, start) = buffered.withLock { ($0.bytes, $0.start) }
        let count = min(target.count, bytes.count - start)
        guard count > 0 else { return 0 }
        unsafe bytes.withUnsafeBytes { source in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + count]))
        }
        buffered.withLock { $0.start = start + count }
        return count
    }

    /// What there is, at least one byte; 0 at the end.
    private func receive(_ target: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        let descriptor = try descriptor()
        while true {
            if wasCancelled { throw .cancelled }
            var transfer: Descriptor.Transfer
            if let stream = secure.withLock({ $0 }) {
                transfer = unsafe stream.receive(into: target)
            } else if isSocket {
                // Memory of a parent comes beside the bytes.
                let (moved, more) = unsafe Socket.receive(descriptor, into: target)
                transfer = moved
                if !more.isEmpty { passed.withLock { $0 = Array(($0 + more).prefix(FrozenMemory.fileLimit)) } }
            } else {
                transfer = unsafe descriptor.read(into: target)
            }
            switch transfer {
            case .moved(let count): return count
            case .wouldBlock: _ = descriptor.wait(for: [.read], milliseconds: Self.patience)
            case .end:
                // The end that `cancel` makes is not the sender's.
                if wasCancelled { throw .cancelled }
                return 0
            case .failed(let number):
                throw wasCancelled ? .cancelled : .host("Cannot read the machine's state: \(HostError.text(number))")
            }
        }
    }

    /// The first descriptor that came with the bytes.
    func takeDescriptor() -> Descriptor? { passed.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
    /// Sends a byte with a descriptor.
    func send(_ byte: UInt8, passing: Descriptor) throws(StateError) {
        let descriptor = try descriptor()
        while descriptor.wait(for: [.write], milliseconds: Self.patience).isEmpty {
            if wasCancelled { throw .cancelled }
        }
        do throws(HostError) { try Socket.send(descriptor, [byte], passing: passing) } catch { throw .host("\(error)") }
    }

    // MARK: The end

    func send(_ byte: UInt8) throws(StateError) {
        var failure: StateError?
        // SAFETY: the buffer is one byte on this stack; elsewhere here buffers are the callers', cut to their sizes.
        unsafe withUnsafeBytes(of: byte) { buffer in
            do throws(StateError) { try unsafe write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
    func write(_ bytes: [UInt8]) throws(StateError) {
        var failure: StateError?
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(StateError) { try unsafe write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
    /// So many bytes.
    func receive(_ count: Int) throws(StateError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: StateError?
        let got = unsafe bytes.withUnsafeMutableBytes { buffer -> Int in
            do throws(StateError) { return try unsafe read(buffer) } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        guard got == count else { throw .host("The other end has closed the connection") }
        return bytes
    }
    /// The next byte; nil at the end.
    func receiveByte() throws(StateError) -> UInt8? {
        var byte: UInt8 = 0
        var failure: StateError?
        let count = unsafe withUnsafeMutableBytes(of: &byte) { buffer -> Int in
            do throws(StateError) { return try unsafe read(buffer) } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return count == 1 ? byte : nil
    }

    /// Closes the descriptor and waits for the command at its other end, which must end well.
    func finish() throws(StateError) {
        shared.withLock { $0 = nil }
        guard let process else { return }
        while !process.waitForEnd(milliseconds: Self.patience) { if wasCancelled { throw .cancelled } }
        guard let status = process.reap(), status == 0 else { throw .host("The command of exec: has failed") }
    }
}

/// Opening of channels.
extension MigrationAddress {
    /// An end to write into. May wait for a host that does not answer where it is one of TCP.
    func openForWriting(_ named: Descriptor?) throws(MachineError) -> MigrationChannel {
        do throws(HostError) {
            switch self {
            case .file(let path, let offset):
                let file = try HostFile.open(path, offset > 0 ? .readWrite : .replace, permissions: 0o600)
                if offset > 0 { try HostFile.seek(file, Int64(offset)) }
                return MigrationChannel(file)
            case .exec(let command):
                // Only the channel holds the pipe: the command sees its end when the channel closes it.
                let (pipe, process) = try Self.start(command, reads: false)
                return MigrationChannel(pipe, process: process)
            case .unix(let path): return MigrationChannel(try Socket.connect(try SocketAddress.unix(path)))
            case .tcp(let host, let port):
                let socket = try Socket.connect(anyOf: try SocketAddress.resolve(host: host, port: port))
                Socket.setNoDelay(socket)
                return MigrationChannel(socket)
            case .descriptor(let name):
                guard let named else { throw HostError.noDescriptor("use descriptor '\(name)'") }
                return MigrationChannel(named)
            }
        } catch { throw .failed("\(error)") }
    }

    /// What an incoming machine waits at.
    enum Source: Sendable {
        case open(Descriptor, HostProcess?)
        case listening(Descriptor, String)
    }

    /// An end to read from, or a socket that listens for one.
    func openForReading(_ named: Descriptor?) throws(MachineError) -> Source {
        do throws(HostError) {
            switch self {
            case .file(let path, let offset):
                let file = try HostFile.open(path, .read)
                if offset > 0 { try HostFile.seek(file, Int64(offset)) }
                return .open(file, nil)
            case .exec(let command):
                let (descriptor, process) = try Self.start(command, reads: true)
                return .open(descriptor, process)
            case .unix(let path):
                return .listening(try Socket.listen(try SocketAddress.unix(path), backlog: 32), "unix:\(path)")
            case .tcp(let host, let port):
                let addresses = try SocketAddress.resolve(host: host, port: port, listening: true)
                guard let first = addresses.first else { throw HostError.noDescriptor("listen at '\(host)'") }
                let listener = try Socket.listen(first, backlog: 32)
                return .listening(listener, "tcp:\(try Socket.localAddress(listener))")
            case .descriptor(let name):
                if let named { return .open(named, nil) }
                guard let number = Int32(name), number > 2, Descriptor.isOpen(number) else {
                    throw HostError.noDescriptor("use descriptor '\(name)'")
                }
                return .open(Descriptor(owning: number), nil)
            }
        } catch { throw .failed("\(error)") }
    }

    /// Starts a command of the shell with a pipe to or from it.
    private static func start(_ command: String, reads: Bool) throws(HostError) -> (Descriptor, HostProcess?) {
        let (reader, writer) = try DescriptorPair.pipe()
        reader.widenPipe(1 << 20)
        let nowhere = try HostFile.open("/dev/null", .readWrite)
        let variables = ["PATH", "HOME", "USER", "TMPDIR", "LANG", "XDG_RUNTIME_DIR"].compactMap { name in
            HostIdentity.environment(name).map { "\(name)=\($0)" }
        }
        let descriptors = reads ? [nowhere, writer] : [reader, nowhere]
        let process = try HostProcess.spawn(
            "/bin/sh", arguments: ["/bin/sh", "-c", command], environment: variables,
            descriptors: descriptors + [Descriptor(borrowing: 2)],
            // A loaded host's scheduler would have one of another session wait for its turn, and this one for it.
            hasOwnSession: false)
        return (reads ? reader : writer, process)
    }
}
