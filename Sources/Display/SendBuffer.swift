public import HostOS

/// Bytes of a screen's connection that wait to be sent, in order and up to a bound. Of one thread.
public struct SendBuffer: Sendable {
    /// What came of an attempt to send all of it.
    public enum Progress: Sendable {
        case empty
        /// The rest waits until the socket takes more.
        case blocked
        /// The other end has gone.
        case failed
    }
    /// Most bytes that wait: one update of the largest picture, and replies.
    public static let limit = 96 << 20

    private var bytes: [UInt8] = []
    private var start = 0

    public init() {}

    /// Bytes that wait.
    public var count: Int { bytes.count - start }
    public var isEmpty: Bool { start == bytes.count }

    /// Adds bytes behind the others. False: there are more than the other end may leave waiting now.
    public mutating func append(_ more: [UInt8]) -> Bool {
        if isEmpty {
            bytes = more
            start = 0
        } else {
            bytes += more
        }
        return count <= Self.limit
    }

    /// Sends what `attempt` takes, a call for each part.
    public mutating func send(_ attempt: (UnsafeRawBufferPointer) -> Descriptor.Transfer) -> Progress {
        while !isEmpty {
            let transfer = unsafe bytes.withUnsafeBytes {
                // SAFETY: the part of the array that waits; it lives for the call.
                unsafe attempt(UnsafeRawBufferPointer(rebasing: $0[start...]))
            }
            switch transfer {
            case .moved(let count): start += count
            case .wouldBlock: return .blocked
            case .end, .failed: return .failed
            }
        }
        bytes = []
        start = 0
        return .empty
    }
}
