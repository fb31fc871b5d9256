public import GuestMemory

/// Why a kernel cannot be loaded. The text is one line for the user.
public enum LoadError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file cannot be read; the reason is the system's.
    case unreadable(file: String, reason: String)
    /// No header of a known kind.
    case notAKernel(file: String)
    /// The file ends before what its headers promise.
    case truncated(file: String, size: Int, needed: UInt64)
    /// A header contradicts itself.
    case malformed(file: String, String)
    /// A well-formed file that this loader does not boot.
    case unsupported(file: String, String)
    /// The kernel's memory is not all RAM.
    case doesNotFit(file: String, needed: UInt64, at: UInt64, available: UInt64)
    /// No free RAM holds the initial RAM disk or a module.
    case initrdDoesNotFit(file: String, count: UInt64, available: UInt64)
    /// The kernel takes a shorter command line.
    case commandLineTooLong(file: String, count: Int, limit: Int)
    /// No free RAM holds the structures that the kernel is given.
    case noRoom(file: String, what: String, count: UInt64)
    /// The address space refused a write: the memory map promises RAM that is not there.
    case memory(file: String, GuestMemoryError)

    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "Cannot read '\(file)': \(reason)"
        case .notAKernel(let file):
            "'\(file)' is not a kernel: it has no Linux, multiboot or ELF header"
        case .truncated(let file, let size, let needed):
            "'\(file)' is truncated at byte \(size): its headers need \(needed) bytes"
        case .malformed(let file, let what):
            "'\(file)' is malformed: \(what)"
        case .unsupported(let file, let what):
            "'\(file)' cannot be booted: \(what)"
        case .doesNotFit(let file, let needed, let address, let available):
            "'\(file)' needs \(needed) bytes of memory at \(hex(address)), but the guest has \(available) there"
        case .initrdDoesNotFit(let file, let count, let available):
            "Initial RAM disk '\(file)' has \(count) bytes, but the largest free memory for it has \(available)"
        case .commandLineTooLong(let file, let count, let limit):
            "The command line has \(count) bytes, but '\(file)' takes at most \(limit)"
        case .noRoom(let file, let what, let count):
            "No free guest memory for the \(what) of '\(file)' (\(count) bytes)"
        case .memory(let file, let error):
            "Cannot load '\(file)': \(error)"
        }
    }
}
