public import DeviceModel
public import HostOS
internal import Log
internal import Synchronization

/// Takes everything and gives nothing.
public final class NullPort: HostCharacterPort {
    public let label: String
    public let filename = "null"

    /// A port named `label`.
    public init(label: String) { self.label = label }

    public func write(_ bytes: [UInt8]) {}
    public func setReceiver(_ receiver: (any CharacterReceiver)?) {}
    public func acceptInput() {}
}

/// Writes into a file. Writes wait for the file system, as any program's do.
public final class FilePort: HostCharacterPort {
    public let label: String
    public let filename: String
    private let file: Descriptor
    private let complaint: RateLimitedLogger

    /// A port onto the end of a file, which is made; emptied first unless `append`.
    public init(
        label: String, path: String, append: Bool,
        openFile: CharacterPorts.FileOpener = CharacterPorts.openDirectly
    ) throws(HostError) {
        self.label = label
        filename = "file:\(path)"
        file = try openFile(path, append)
        complaint = RateLimitedLogger(Logger(label), burst: 1, perSecond: 1)
    }

    public func write(_ bytes: [UInt8]) {
        do { try file.writeAll(bytes) } catch { complaint.warning("Output is lost: \(error)") }
    }

    public func setReceiver(_ receiver: (any CharacterReceiver)?) {}
    public func acceptInput() {}
}

/// Keeps the newest bytes for the monitor to read (`ringbuf-read`). What the monitor writes goes to the receiver.
public final class RingBufferPort: HostCharacterPort {
    public let label: String
    public let filename = "ringbuf"
    private let size: Int
    private let ring = Mutex(ByteRing())

    /// A port that keeps `size` bytes; QEMU demands a power of two, here any size of 1 to 16 MiB is one.
    public init(label: String, size: Int) {
        self.label = label
        self.size = max(1, min(size, 16 << 20))
    }

    public func write(_ bytes: [UInt8]) {
        ring.withLock { ring in
            ring.append(bytes.suffix(size))
            ring.removeFirst(ring.count - size)
        }
    }

    /// Takes out the oldest bytes, up to `limit`.
    public func read(_ limit: Int) -> [UInt8] { ring.withLock { $0.take(limit) } }

    public func setReceiver(_ receiver: (any CharacterReceiver)?) {}
    public func acceptInput() {}
}

/// Sends through another port and records what is sent (`logfile=`).
public final class LoggingPort: HostCharacterPort {
    private let port: any HostCharacterPort
    private let log: FilePort

    /// Records into a file, which is emptied first unless `append`.
    public init(
        _ port: any HostCharacterPort, path: String, append: Bool,
        openFile: CharacterPorts.FileOpener = CharacterPorts.openDirectly
    ) throws(HostError) {
        self.port = port
        log = try FilePort(label: port.label, path: path, append: append, openFile: openFile)
    }

    public var label: String { port.label }
    public var filename: String { port.filename }
    public var isConnected: Bool { port.isConnected }
    public var isCongested: Bool { port.isCongested }
    /// The port that is recorded.
    public var recorded: any HostCharacterPort { port }

    public func write(_ bytes: [UInt8]) {
        log.write(bytes)
        port.write(bytes)
    }

    public func setReceiver(_ receiver: (any CharacterReceiver)?) { port.setReceiver(receiver) }
    public func acceptInput() { port.acceptInput() }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { port.setWritableHandler(handler) }
    public func close() { port.close() }
}
