internal import CLinux
internal import SystemPackage

/// What is to be done about a request that failed.
public enum BlockErrorAction: Sendable, Equatable {
    /// The guest sees the error.
    case report
    /// The guest sees success.
    case ignore
    /// The machine stops, and the request is tried again when it goes on.
    case stop
}

/// What a disk does about errors of its image (`rerror=`, `werror=`). The words are QEMU's.
public struct BlockErrorRules: Sendable {
    /// What happens to a kind of request.
    public enum Rule: String, Sendable, CaseIterable {
        /// The guest sees the error.
        case report
        /// The guest sees success.
        case ignore
        /// The machine stops.
        case stop
        /// The machine stops where the host has no space left, else the guest sees the error.
        case enospc
    }
    /// About reads.
    public var reads: Rule
    /// About all that changes the disk, and flushes.
    public var writes: Rule
    /// Hears of each failure, on any thread, with no lock of the device's held.
    public var onFailure: @Sendable (BlockFailure) -> Void

    /// The defaults are QEMU's.
    public init(
        reads: Rule = .report, writes: Rule = .enospc, onFailure: @escaping @Sendable (BlockFailure) -> Void = { _ in }
    ) {
        self.reads = reads
        self.writes = writes
        self.onFailure = onFailure
    }

    func action(_ error: Int32, isWrite: Bool) -> BlockErrorAction {
        switch isWrite ? writes : reads {
        case .report: .report
        case .ignore: .ignore
        case .stop: .stop
        case .enospc: error == ENOSPC ? .stop : .report
        }
    }

    /// Whether any error stops the machine: only then is a disk's state of errors shown.
    var mayStop: Bool { reads == .stop || reads == .enospc || writes == .stop || writes == .enospc }
}

/// A request of a guest's that failed, and what is done about it.
public struct BlockFailure: Sendable, Equatable {
    /// The drive's name; empty where a device names a node.
    public let device: String
    /// The node's name.
    public let node: String
    /// Whether it was no read.
    public let isWrite: Bool
    /// What is done about it.
    public let action: BlockErrorAction
    /// The `errno` value.
    public let error: Int32
    /// Whether the host has no space left.
    public var isNoSpace: Bool { error == ENOSPC }
    /// The error in the system's words.
    public var reason: String { "\(Errno(rawValue: error))" }
}

/// How a disk does since the machine last went on.
public enum BlockHealth: Sendable, Equatable {
    /// No error has stopped the machine.
    case ok
    /// One has.
    case failed
    /// One has, for want of space.
    case noSpace
}

extension BlockBackend {
    /// Errors are reported where nobody says otherwise.
    public func judge(_ error: Int32, isWrite: Bool) -> BlockErrorAction { .report }
}
