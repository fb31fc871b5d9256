internal import CLinux
public import SystemPackage

/// An open descriptor that is closed when its last owner lets go of it. Any thread.
///
/// There is no `close`: whoever still uses a descriptor also owns it, so its number is never another file's.
public final class Descriptor: Sendable {
    /// The number, for system calls that this type does not wrap; valid while the owner lives.
    public let rawValue: Int32
    private let closes: Bool

    /// Takes over an open descriptor.
    public init(owning rawValue: Int32) {
        self.rawValue = rawValue
        closes = true
    }

    /// Uses a descriptor that somebody else keeps open, such as standard input.
    public init(borrowing rawValue: Int32) {
        self.rawValue = rawValue
        closes = false
    }

    deinit { if closes { _ = apus_close(rawValue) } }

    /// The same descriptor in swift-system's form; valid while the owner lives.
    public var file: FileDescriptor { FileDescriptor(rawValue: rawValue) }

    /// A second descriptor of the same open file.
    public func duplicate() throws(HostError) -> Descriptor {
        let copy = apus_dup(rawValue)
        guard copy >= 0 else { throw HostError(reason: apus_errno(), "duplicate descriptor \(rawValue)") }
        return Descriptor(owning: copy)
    }

    /// A second descriptor of the same open file as a bare number, which is the caller's to close.
    public func rawCopy() -> Result<Int32, HostError> {
        let copy = apus_fcntl(rawValue, F_DUPFD_CLOEXEC, 3)
        return copy >= 0
            ? .success(copy) : .failure(HostError(reason: apus_errno(), "duplicate descriptor \(rawValue)"))
    }

    /// Whether it was opened for reading and, where that is asked for, for writing too.
    public func allows(writing: Bool) -> Bool {
        let mode = apus_fcntl(rawValue, F_GETFL, 0) & O_ACCMODE
        return writing ? mode == O_RDWR : mode != O_WRONLY
    }

    /// Makes reads and writes fail with `wouldBlock` instead of waiting. Holds for every descriptor of the same open
    /// file, in other processes too.
    public func setNonBlocking(_ on: Bool = true) throws(HostError) {
        let flags = apus_fcntl(rawValue, F_GETFL, 0)
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        guard flags >= 0, wanted == flags || apus_fcntl(rawValue, F_SETFL, Int(wanted)) >= 0 else {
            throw HostError(reason: apus_errno(), "change the mode of descriptor \(rawValue)")
        }
    }

    /// Whether a number is that of an open descriptor of this process.
    public static func isOpen(_ rawValue: Int32) -> Bool { apus_fcntl(rawValue, F_GETFD, 0) >= 0 }

    /// What an open descriptor is.
    public enum Kind: Sendable {
        /// A file with a size and a position, always ready.
        case regularFile
        /// A socket of any family.
        case socket
        /// A terminal or pseudo-terminal.
        case terminal
        /// A pipe or FIFO.
        case pipe
        /// A device, an eventfd, a closed descriptor, …
        case other
    }

    /// What this is.
    public var kind: Kind {
        switch apus_descriptor_kind(rawValue) {
        case 0: .regularFile
        case 1: .socket
        case 2: .terminal
        case 3: .pipe
        default: .other
        }
    }
}

extension HostError {
    /// An error from the value of `errno`, which must be read first: arguments are evaluated from the left.
    @usableFromInline init(reason: Int32, _ operation: String) {
        self.init(operation, Errno(rawValue: reason))
    }
}
