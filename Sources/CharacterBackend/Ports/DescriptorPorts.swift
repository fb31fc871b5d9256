public import DeviceModel
public import HostOS
internal import Log

/// The process's standard input and output, or any other pair of descriptors.
///
/// Nothing is lost: output waits for its reader, first in a queue, then the writer itself. The modes that other
/// processes share with these descriptors are left alone, but for a terminal's, which come back.
public final class StdioPort: HostCharacterPort {
    public let label: String
    public let filename = "stdio"
    private let input: InputPump
    private let output: OutputQueue
    private let terminal: RawTerminal?

    /// A port on standard input and output. With `signals`, Ctrl-C and its like at a terminal make signals; without,
    /// they are bytes.
    public convenience init(label: String, signals: Bool, loop: EventLoop) throws(HostError) {
        try self.init(
            label: label, signals: signals, loop: loop, reading: Descriptor(borrowing: 0),
            writing: Descriptor(borrowing: 1))
    }

    /// A port on the given descriptors.
    public init(
        label: String, signals: Bool, loop: EventLoop, reading: Descriptor, writing: Descriptor
    ) throws(HostError) {
        self.label = label
        Signals.ignoreBrokenPipes()
        let log = Logger(label)
        input = InputPump(loop: loop)
        output = OutputQueue(loop: loop, policy: OverflowPolicy.wait)
        let (target, way) = StdioPort.writable(writing)
        // Before the modes change, so that a failure leaves the terminal as it was.
        try output.attach(target, way) { log.warning("The reader of the output is gone") }
        terminal = try RawTerminal(reading, signals: signals)
        // A blocking descriptor is only read when it is ready. Its own duplicate: the output may be the same one.
        try input.attach(InputPump.Feed(reading.duplicate()))
    }

    /// The same terminal or pipe opened anew, to be non-blocking without becoming so for others who share it.
    private static func writable(_ writing: Descriptor) -> (Descriptor, OutputQueue.Way) {
        switch writing.kind {
        case .socket: return ((try? writing.duplicate()) ?? writing, OutputQueue.Way.send)
        case .regularFile: return (writing, OutputQueue.Way.write)
        case .terminal, .pipe:
            let path = "/proc/self/fd/\(writing.rawValue)"
            if let own = try? HostFile.open(path, HostFile.Mode.write, nonBlocking: true) {
                return (own, OutputQueue.Way.write)
            }
            return ((try? writing.duplicate()) ?? writing, OutputQueue.Way.guarded)
        case .other: return ((try? writing.duplicate()) ?? writing, OutputQueue.Way.guarded)
        }
    }

    public var isCongested: Bool { output.isCongested }
    public func write(_ bytes: [UInt8]) { output.write(bytes) }
    public func setReceiver(_ receiver: (any CharacterReceiver)?) { input.setReceiver(receiver) }
    public func acceptInput() { input.acceptInput() }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { output.setWritableHandler(handler) }

    public func close() {
        output.drain(milliseconds: 2000)
        input.detach()
        output.detach()
        terminal?.restore()
    }
}

/// Named pipes: `PATH.in` is read and `PATH.out` written, or `PATH` is both.
public final class PipePort: HostCharacterPort {
    public let label: String
    public let filename: String
    private let input: InputPump
    private let output: OutputQueue

    /// A port on FIFOs that exist.
    public init(
        label: String, path: String, overflow: OverflowPolicy = OverflowPolicy.dropOldest, loop: EventLoop
    ) throws(HostError) {
        self.label = label
        filename = "pipe:\(path)"
        Signals.ignoreBrokenPipes()
        input = InputPump(loop: loop)
        output = OutputQueue(loop: loop, policy: overflow)
        // Read and write: opening waits for nobody, and the stream does not end when a peer closes.
        if let reading = try? HostFile.open(path + ".in", HostFile.Mode.readWrite, nonBlocking: true),
            let writing = try? HostFile.open(path + ".out", HostFile.Mode.readWrite, nonBlocking: true)
        {
            try attach(reading, writing)
        } else {
            let both = try HostFile.open(path, HostFile.Mode.readWrite, nonBlocking: true)
            try attach(both, both.duplicate())
        }
    }

    private func attach(_ reading: Descriptor, _ writing: Descriptor) throws(HostError) {
        try output.attach(writing, OutputQueue.Way.write)
        try input.attach(InputPump.Feed(reading))
    }

    public var isCongested: Bool { output.isCongested }
    public func write(_ bytes: [UInt8]) { output.write(bytes) }
    public func setReceiver(_ receiver: (any CharacterReceiver)?) { input.setReceiver(receiver) }
    public func acceptInput() { input.acceptInput() }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { output.setWritableHandler(handler) }

    public func close() {
        input.detach()
        output.detach()
    }
}

/// Datagrams to and from one peer: each write is one, and one that finds no room is lost, as datagrams may be.
public final class DatagramPort: HostCharacterPort {
    public let label: String
    public let filename: String
    private let socket: Descriptor
    private let input: InputPump

    /// A port on a bound and connected datagram socket.
    public init(label: String, local: SocketAddress?, remote: SocketAddress, loop: EventLoop) throws(HostError) {
        self.label = label
        filename = "udp:\(remote)" + (local.map { "@\($0)" } ?? "")
        let socket = try Socket.datagram(local: local, remote: remote)
        self.socket = socket
        input = InputPump(loop: loop)
        try input.attach(InputPump.Feed(socket, isDatagram: true))
    }

    public func write(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { _ = unsafe Socket.send(socket, $0) } }
    public func setReceiver(_ receiver: (any CharacterReceiver)?) { input.setReceiver(receiver) }
    public func acceptInput() { input.acceptInput() }
    public func close() { input.detach() }
}
