internal import HostOS
internal import Synchronization

/// What the guest plays, as the machine mixes it, on its way to a client. Any thread.
public final class SPICEAudio: Sendable {
    /// Frames a second, of two channels of 16 bits.
    public static let frequency = 48000
    private struct State: Sendable {
        weak var server: SPICEServer?
    }
    private let state = Mutex(State())

    public init() {}
    func connect(_ server: SPICEServer?) { state.withLock { $0.server = server } }

    /// Plays samples, left and right by turns.
    public func play(_ samples: [Int16]) {
        guard let server = state.withLock({ $0.server }) else { return }
        server.loop.post { [weak server] in server?.playback?.play(samples) }
    }
    /// Nothing follows for now.
    public func stop() {
        guard let server = state.withLock({ $0.server }) else { return }
        server.loop.post { [weak server] in server?.playback?.stop() }
    }
}

/// Sound for the client.
final class PlaybackChannel: Channel {
    private enum Format {
        static let raw: UInt16 = 1
        static let s16: UInt16 = 1
    }
    /// Bytes that wait for a client that is too slow; what comes then is left out.
    private static let limit = 256 << 10
    private unowned let connection: SPICEConnection
    private var isPlaying = false

    init(_ connection: SPICEConnection) { self.connection = connection }

    func begin() {
        var message = MessageBytes()
        message.append(MainChannel.time)
        message.append(Format.raw)
        connection.send(Message.Playback.mode, message.bytes)
    }
    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {}

    func play(_ samples: [Int16]) {
        guard connection.pending < Self.limit else { return }
        if !isPlaying {
            isPlaying = true
            var message = MessageBytes()
            message.append(2 as UInt32)
            message.append(Format.s16)
            message.append(UInt32(SPICEAudio.frequency), MainChannel.time)
            connection.send(Message.Playback.start, message.bytes)
        }
        var message = MessageBytes(capacity: 4 + samples.count * 2)
        message.append(MainChannel.time)
        // SAFETY: the bytes of the array's own samples, lowest first as this processor has them.
        unsafe samples.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
        connection.send(Message.Playback.data, message.bytes)
    }
    func stop() {
        guard isPlaying else { return }
        isPlaying = false
        connection.send(Message.Playback.stop)
    }
}

extension SPICEServer {
    var playback: PlaybackChannel? { channels.lazy.compactMap { $0 as? PlaybackChannel }.first }
}
