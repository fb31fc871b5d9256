public import SystemPackage

/// A system call that failed: which, on what, and why.
public struct HostError: Error, Sendable, CustomStringConvertible {
    /// What was attempted, as a phrase: `open '/dev/kvm'`.
    public let operation: String
    /// The kernel's reason.
    public let errno: Errno

    /// An error of the given operation and reason.
    public init(_ operation: String, _ errno: Errno) {
        self.operation = operation
        self.errno = errno
    }

    /// An operation that there is no open descriptor for.
    public static func noDescriptor(_ operation: String) -> HostError {
        HostError(operation, Errno.badFileDescriptor)
    }

    /// The kernel's words for an error number.
    public static func text(_ number: Int32) -> String { "\(Errno(rawValue: number))" }

    public var description: String { "Cannot \(operation): \(errno)" }
}
