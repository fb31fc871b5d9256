/// The messages of the vhost-user protocol, as QEMU's `docs/interop/vhost-user.rst` has them. All numbers are in the
/// host's byte order, which is little-endian here.
enum VhostUserRequest: UInt32, Sendable {
    case getFeatures = 1
    case setFeatures = 2
    case setOwner = 3
    case setMemoryTable = 5
    case setRingSize = 8
    case setRingAddress = 9
    case setRingBase = 10
    case getRingBase = 11
    case setRingKick = 12
    case setRingCall = 13
    case getProtocolFeatures = 15
    case setProtocolFeatures = 16
    case getQueueCount = 17
    case setRingEnable = 18
    case setMTU = 20
    case setBackendChannel = 21
    case getConfiguration = 24
    case setConfiguration = 25
    case resetDevice = 34

    /// What the protocol calls it: for messages.
    var name: String {
        switch self {
        case .getFeatures: "GET_FEATURES"
        case .setFeatures: "SET_FEATURES"
        case .setOwner: "SET_OWNER"
        case .setMemoryTable: "SET_MEM_TABLE"
        case .setRingSize: "SET_VRING_NUM"
        case .setRingAddress: "SET_VRING_ADDR"
        case .setRingBase: "SET_VRING_BASE"
        case .getRingBase: "GET_VRING_BASE"
        case .setRingKick: "SET_VRING_KICK"
        case .setRingCall: "SET_VRING_CALL"
        case .getProtocolFeatures: "GET_PROTOCOL_FEATURES"
        case .setProtocolFeatures: "SET_PROTOCOL_FEATURES"
        case .getQueueCount: "GET_QUEUE_NUM"
        case .setRingEnable: "SET_VRING_ENABLE"
        case .setMTU: "NET_SET_MTU"
        case .setBackendChannel: "SET_BACKEND_REQ_FD"
        case .getConfiguration: "GET_CONFIG"
        case .setConfiguration: "SET_CONFIG"
        case .resetDevice: "RESET_DEVICE"
        }
    }
}

/// Bits of `GET_PROTOCOL_FEATURES`.
enum VhostUserFeature {
    static let multiQueue: UInt64 = 1 << 0
    static let replyAcknowledge: UInt64 = 1 << 3
    static let mtu: UInt64 = 1 << 4
    static let backendRequests: UInt64 = 1 << 5
    static let configuration: UInt64 = 1 << 9
    static let resetDevice: UInt64 = 1 << 13
    /// The bit of the device's features that says there are protocol features.
    static let negotiation: UInt64 = 1 << 30
}

/// The head of a message: request, flags, bytes that follow.
struct VhostUserHeader: Sendable {
    static let size = 12
    /// The longest body that either side may send.
    static let mostBytes = 4096
    private static let version: UInt32 = 1
    private static let versionMask: UInt32 = 3
    private static let reply: UInt32 = 1 << 2
    private static let needsReply: UInt32 = 1 << 3

    var request: UInt32
    var flags: UInt32
    var count: Int

    init(_ request: VhostUserRequest, count: Int, wantsReply: Bool) {
        self.request = request.rawValue
        flags = Self.version | (wantsReply ? Self.needsReply : 0)
        self.count = count
    }
    init(replyTo request: UInt32, count: Int) {
        self.request = request
        flags = Self.version | Self.reply
        self.count = count
    }
    /// From its 12 bytes.
    init(_ bytes: ArraySlice<UInt8>) {
        request = VhostUserBytes.integer(bytes, at: 0)
        flags = VhostUserBytes.integer(bytes, at: 4)
        count = Int(VhostUserBytes.integer(bytes, at: 8) as UInt32)
    }

    var isReply: Bool { flags & Self.reply != 0 }
    var wantsReply: Bool { flags & Self.needsReply != 0 }
    /// Whether it could be one: the version, and a body that is no longer than any.
    var isSound: Bool { flags & Self.versionMask == Self.version && count <= Self.mostBytes }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, request)
        VirtioConfiguration.append(&bytes, flags)
        VirtioConfiguration.append(&bytes, UInt32(count))
        return bytes
    }
}

/// Integers in messages.
enum VhostUserBytes {
    /// The integer at an offset from a slice's beginning; what is missing is 0.
    static func integer<T: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, at offset: Int) -> T {
        var value: T = 0
        for index in 0..<MemoryLayout<T>.size where offset + index < bytes.count {
            value |= T(truncatingIfNeeded: bytes[bytes.startIndex + offset + index]) << T(index * 8)
        }
        return value
    }
    static func of(_ values: UInt32...) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in values { VirtioConfiguration.append(&bytes, value) }
        return bytes
    }
    static func of(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, value)
        return bytes
    }
}

/// Why a back-end is not used, or is used no more.
public enum VhostError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The host refuses something: its words.
    case host(String)
    /// The back-end has gone, or has closed the connection.
    case disconnected
    /// It did not answer in time.
    case silent(request: String)
    /// An answer that is none: to what, and what is wrong.
    case badReply(request: String, String)
    /// It answered that it failed.
    case refused(request: String, UInt64)
    /// It broke the rules of its rings.
    case badRing(Int, String)
    /// It lacks what the device cannot do without.
    case lacks(String)
    /// Guest memory is not shared with other processes.
    case memoryIsPrivate
    /// Guest memory is in more pieces than a back-end of a kind takes.
    case tooManyBlocks(Int, most: Int, of: String)

    public var description: String {
        switch self {
        case .host(let text): text
        case .disconnected: "The back-end has disconnected"
        case .silent(let request): "The back-end does not answer \(request)"
        case .badReply(let request, let text): "The back-end's answer to \(request) \(text)"
        case .refused(let request, let code): "The back-end refuses \(request) with \(code)"
        case .badRing(let queue, let text): "The back-end breaks ring \(queue): \(text)"
        case .lacks(let what): "The back-end lacks \(what)"
        case .memoryIsPrivate:
            "Failed initializing vhost-user memory map, consider using -object memory-backend-memfd or"
                + " memory-backend-file with share=on"
        case .tooManyBlocks(let count, let most, let kind):
            "Guest memory is in \(count) back-ends; at most \(most) can be shared with \(kind)"
        }
    }
}
