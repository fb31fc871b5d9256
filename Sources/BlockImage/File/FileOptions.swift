public import SystemPackage

/// How a file's requests reach the kernel (`aio=`).
public enum FileAIO: String, Sendable, CaseIterable {
    /// io_uring where the kernel offers it, threads where it does not: the default.
    case auto
    /// Blocking calls on a pool of threads.
    case threads
    /// The kernel's asynchronous I/O for direct I/O; here the same as `auto`.
    case native
    /// io_uring, or an error.
    case io_uring
}

/// Whether opening takes the locks that keep two writers apart (`locking=`).
public enum FileLocking: String, Sendable, CaseIterable {
    /// Where the file system has them.
    case auto
    case on
    case off
}

/// Opens a path with `open(2)` flags and mode; a process that has given up the right to open asks its broker.
public typealias FileOpener = @Sendable (_ path: String, _ flags: Int32, _ mode: UInt32) -> Result<Int32, Errno>

/// The options of the drivers `file` and `host_device`.
public struct FileOptions: Sendable {
    /// The file's path.
    public var path: String
    /// `aio`.
    public var aio = FileAIO.auto
    /// `locking`.
    public var locking = FileLocking.auto
    /// Another process has the image: it is opened without locks, and not written before it is taken over.
    public var isInactive = false
    /// Of `auto-read-only`: it is opened for reading, until somebody stands on it who writes.
    public var waitsForWriter = false
    /// Makes io_uring's set-up fail with this reason: the way to the threads can be tested anywhere.
    package var ringFailure: Errno?

    /// The defaults for a path.
    public init(path: String) { self.path = path }
}
