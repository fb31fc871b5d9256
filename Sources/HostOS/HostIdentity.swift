internal import CLinux
internal import SystemPackage

/// Who runs this, and where. Any thread.
public enum HostIdentity {
    /// The process's number.
    public static var processID: Int32 { getpid() }
    /// The effective user.
    public static var userID: UInt32 { apus_user() }

    /// The host's name, without its domain unless that is part of it.
    public static var hostName: String { unsafe text { unsafe apus_host_name($0, $1) } }

    /// The user's home folder.
    public static var home: String { unsafe text { unsafe apus_home($0, $1) } }

    /// A variable of the environment; nil if it is unset or empty.
    public static func environment(_ name: String) -> String? {
        // SAFETY: nothing in the process changes its environment, and the text is copied.
        guard let value = unsafe apus_environment(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static func text(_ fill: (UnsafeMutablePointer<CChar>, Int) -> Int32) -> String {
        var bytes = [CChar](repeating: 0, count: 4096)
        // SAFETY: the call writes at most the buffer's size, with a final zero.
        let status = unsafe bytes.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -1 }
            return unsafe fill(base, buffer.count)
        }
        guard status == 0 else { return "" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The process at the other end of a Unix socket, as it was when it connected.
public struct PeerCredentials: Sendable, Equatable {
    /// Its number.
    public let processID: Int32
    /// Its effective user.
    public let userID: UInt32
    /// Its effective group.
    public let groupID: UInt32

    /// Asks the kernel. An error for a socket of another kind.
    public init(of socket: Descriptor) throws(HostError) {
        var process: Int32 = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
        // SAFETY: the numbers outlive the call.
        guard unsafe apus_peer(socket.rawValue, &process, &user, &group) == 0 else {
            throw HostError(reason: apus_errno(), "tell who is at the other end of a socket")
        }
        processID = process
        userID = user
        groupID = group
    }
}
