/// The head of a packet between sockets: virtio 1.2, 5.10.6. 44 bytes, little-endian.
struct SocketPacket: Equatable, Sendable {
    static let headerBytes = 44
    /// The most bytes that follow one.
    static let mostBytes = 64 << 10

    /// `op`; others are answered with a reset.
    enum Operation {
        static let request: UInt16 = 1
        static let response: UInt16 = 2
        static let reset: UInt16 = 3
        static let shutdown: UInt16 = 4
        static let data: UInt16 = 5
        static let creditUpdate: UInt16 = 6
        static let creditRequest: UInt16 = 7
    }
    /// `flags` of a shutdown.
    enum Shutdown {
        static let receive: UInt32 = 1
        static let send: UInt32 = 2
    }
    /// `type`.
    static let stream: UInt16 = 1

    var source: UInt64 = 0
    var destination: UInt64 = 0
    var sourcePort: UInt32 = 0
    var destinationPort: UInt32 = 0
    var count: UInt32 = 0
    var type = SocketPacket.stream
    var operation: UInt16 = 0
    var flags: UInt32 = 0
    /// Room for bytes that the sender has in all, and how many it has taken.
    var room: UInt32 = 0
    var taken: UInt32 = 0

    init() {}

    /// From its bytes; nil where there are too few.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headerBytes else { return nil }
        func number<T: FixedWidthInteger>(_ offset: Int) -> T {
            (0..<MemoryLayout<T>.size).reduce(T(0)) { $0 | T(truncatingIfNeeded: bytes[offset + $1]) << T($1 * 8) }
        }
        source = number(0)
        destination = number(8)
        sourcePort = number(16)
        destinationPort = number(20)
        count = number(24)
        type = number(28)
        operation = number(30)
        flags = number(32)
        room = number(36)
        taken = number(40)
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerBytes)
        VirtioConfiguration.append(&bytes, source)
        VirtioConfiguration.append(&bytes, destination)
        VirtioConfiguration.append(&bytes, sourcePort)
        VirtioConfiguration.append(&bytes, destinationPort)
        VirtioConfiguration.append(&bytes, count)
        VirtioConfiguration.append(&bytes, type)
        VirtioConfiguration.append(&bytes, operation)
        VirtioConfiguration.append(&bytes, flags)
        VirtioConfiguration.append(&bytes, room)
        VirtioConfiguration.append(&bytes, taken)
        return bytes
    }
}
