internal import CLinux

/// As whom a process goes on when it becomes its program, and with which of root's powers (credentials(7),
/// capabilities(7)). Giving one needs root.
public struct ProcessIdentity: Equatable, Sendable {
    /// A user by numbers, with all of its groups.
    public struct Owner: Equatable, Sendable {
        public var user: UInt32
        public var group: UInt32
        public var groups: [UInt32]

        public init(user: UInt32, group: UInt32, groups: [UInt32] = []) {
            self.user = user
            self.group = group
            self.groups = groups
        }
    }

    /// What the kernel divides root's rights into (capabilities(7)).
    public struct Powers: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        public static let changeOwners = Powers(rawValue: 1 << UInt64(CAP_CHOWN))
        public static let overridePermissions = Powers(rawValue: 1 << UInt64(CAP_DAC_OVERRIDE))
        public static let readEverything = Powers(rawValue: 1 << UInt64(CAP_DAC_READ_SEARCH))
        public static let actAsOwner = Powers(rawValue: 1 << UInt64(CAP_FOWNER))
        public static let keepSetBits = Powers(rawValue: 1 << UInt64(CAP_FSETID))
        public static let setGroups = Powers(rawValue: 1 << UInt64(CAP_SETGID))
        public static let setUsers = Powers(rawValue: 1 << UInt64(CAP_SETUID))
        public static let lowPorts = Powers(rawValue: 1 << UInt64(CAP_NET_BIND_SERVICE))
        public static let networks = Powers(rawValue: 1 << UInt64(CAP_NET_ADMIN))
        public static let rawSockets = Powers(rawValue: 1 << UInt64(CAP_NET_RAW))
        public static let lockMemory = Powers(rawValue: 1 << UInt64(CAP_IPC_LOCK))
        public static let traceProcesses = Powers(rawValue: 1 << UInt64(CAP_SYS_PTRACE))
        public static let makeDevices = Powers(rawValue: 1 << UInt64(CAP_MKNOD))
    }

    /// Nil: that of the process that starts it.
    public var owner: Owner?
    /// What is left of root's powers, for it and all that it starts, as far as they are there; nil: what its user has.
    public var powers: Powers?
    /// What SELinux is to know it as; nil: what the policy says.
    public var label: SecurityContext?

    public init(owner: Owner? = nil, powers: Powers? = nil, label: SecurityContext? = nil) {
        self.owner = owner
        self.powers = powers
        self.label = label
    }

    /// What an error of taking it on is about.
    var text: String {
        guard let owner else { return "give up powers" }
        return "become user \(owner.user) of group \(owner.group)"
    }

    /// Calls `body` with an identity as the kernel's caller takes it, or with a null pointer; it lives for the call.
    static func withIdentity(
        _ identity: ProcessIdentity?, _ body: (UnsafePointer<apus_identity>?) -> Int32
    ) -> Int32 {
        guard let identity else { return body(nil) }
        let groups = identity.owner?.groups ?? []
        // SAFETY: the label, the numbers and the structure live for the call.
        return unsafe (identity.label?.description ?? "").withCString { label in
            unsafe groups.withUnsafeBufferPointer { groups in
                var entry = unsafe apus_identity()
                if let owner = identity.owner {
                    unsafe (entry.has_user, entry.user, entry.group) = (1, owner.user, owner.group)
                    unsafe (entry.groups, entry.group_count) = (groups.baseAddress, Int32(groups.count))
                }
                if let powers = identity.powers {
                    unsafe (entry.has_powers, entry.powers) = (1, powers.rawValue)
                }
                if identity.label != nil { unsafe entry.label = label }
                return unsafe body(&entry)
            }
        }
    }
}
