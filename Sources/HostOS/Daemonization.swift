internal import CLinux

/// A process that goes into the background, and a parent that waits until it is ready before it exits.
///
/// Only before the process has a second thread.
public struct Daemonization: ~Copyable {
    private let report: Descriptor

    /// Forks twice. Returns in the grandchild, which has a session of its own and no terminal, and still has the
    /// caller's standard descriptors, to complain on. The first process never returns: it exits with 0 after `ready`,
    /// with 1 when the grandchild ends before.
    public init() throws(HostError) {
        let pipe = try DescriptorPair.pipe()
        let child = apus_fork()
        guard child >= 0 else { throw HostError(reason: apus_errno(), "fork") }
        if child > 0 { Daemonization.waitForReadiness(pipe) }
        _ = setsid()
        let grandchild = apus_fork()
        if grandchild != 0 { apus_exit_now(grandchild > 0 ? 0 : 1) }
        report = pipe.output
    }

    private static func waitForReadiness(_ pipe: (input: Descriptor, output: Descriptor)) -> Never {
        // This process's copy of the writing end must go, or the end of the daemon would not be seen.
        _ = apus_close(pipe.output.rawValue)
        var status: UInt8 = 1
        // SAFETY: one byte on this stack.
        if unsafe apus_read(pipe.input.rawValue, &status, 1) != 1 { status = 1 }
        apus_exit_now(Int32(status))
        fatalError("_exit returned")
    }

    /// Lets the first process exit with 0, points the standard descriptors at /dev/null, and leaves the current folder.
    /// Who reads what the first process writes sees the end of it, too.
    public consuming func ready() throws(HostError) {
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        guard unsafe chdir("/") == 0 else { throw HostError(reason: apus_errno(), "enter '/'") }
        for standard in Int32(0)..<3 where dup2(null.rawValue, standard) < 0 {
            throw HostError(reason: apus_errno(), "redirect descriptor \(standard)")
        }
        try report.writeAll([0])
    }
}

/// A file that names the process and is locked by it, so that a second one with the same file does not start.
public final class PIDFile: Sendable {
    /// Its path, as given.
    public let path: String
    /// The same from the root, as the process may go to another folder.
    private let place: String
    private let descriptor: Descriptor

    /// Writes the process's number and keeps the file locked. Call after daemonizing.
    public init(_ path: String) throws(HostError) {
        self.path = path
        place = HostFile.absolute(path)
        while true {
            // SAFETY: the C string lives for the call.
            let raw = unsafe path.withCString { unsafe apus_open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
            guard raw >= 0 else { throw HostError(reason: apus_errno(), "open the PID file '\(path)'") }
            let opened = Descriptor(owning: raw)
            guard apus_lock_file(raw) == 0 else { throw HostError(reason: apus_errno(), "lock the PID file '\(path)'") }
            // Its former owner may have removed the file between the opening and the lock.
            if unsafe path.withCString({ unsafe apus_same_file(raw, $0) }) != 0 {
                descriptor = opened
                break
            }
        }
        guard ftruncate(descriptor.rawValue, 0) == 0 else {
            throw HostError(reason: apus_errno(), "empty the PID file '\(path)'")
        }
        do { try descriptor.writeAll(Array("\(getpid())\n".utf8)) } catch {
            throw HostError("write the PID file '\(path)'", error.errno)
        }
    }

    /// Removes the file; the lock goes with the last owner.
    public func remove() { try? HostFile.remove(place) }
}
