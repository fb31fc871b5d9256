internal import CLinux
internal import SystemPackage

/// Another process, known by a descriptor: its number cannot come to mean a different one. Any thread.
public final class HostProcess: Sendable {
    /// Its number.
    public let number: Int32
    /// Readable once the process has ended (pidfd_open(2)).
    public let descriptor: Descriptor

    /// A process that runs. An error (`noSuchProcess`) if there is none of that number.
    public init(number: Int32) throws(HostError) {
        let raw = apus_pidfd_open(number)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "watch process \(number)") }
        self.number = number
        descriptor = Descriptor(owning: raw)
    }

    /// Starts a program, in a session of its own unless `hasOwnSession` says otherwise. It gets the given descriptors as
    /// 0, 1, … and no others, and outlives this process. With a `confinement` it reaches no other files, and gains no
    /// privilege by what it starts; with an `isolation` it sees a root of its own, in which the path is then looked for; with
    /// an `identity` it is another user, or has less of root's powers.
    public static func spawn(
        _ path: String, arguments: [String], environment: [String], descriptors: [Descriptor],
        confinement: FileConfinement? = nil, isolation: ProcessIsolation? = nil,
        identity: ProcessIdentity? = nil, hasOwnSession: Bool = true
    ) throws(HostError) -> HostProcess {
        for text in [path] + arguments + environment where text.utf8.contains(0) {
            throw HostError(reason: EINVAL, "start '\(path)' with a zero byte in its arguments")
        }
        var process: Int32 = 0
        var failedStep: Int32 = -1
        let numbers = descriptors.map(\.rawValue)
        let steps = isolation ?? ProcessIsolation(steps: [], hasOwnNetwork: false)
        // SAFETY: the strings, pointers and numbers live for the call, and both lists end with a null pointer.
        let status = try unsafe steps.withSteps { (list, count) in
            unsafe withCStrings(arguments) { arguments in
                unsafe withCStrings(environment) { environment in
                    guard confinement != nil || isolation != nil || identity != nil else {
                        return unsafe apus_spawn(
                            path, arguments, environment, numbers, Int32(numbers.count), hasOwnSession ? 1 : 0,
                            &process)
                    }
                    return unsafe path.withCString { path in
                        unsafe numbers.withUnsafeBufferPointer { numbers in
                            var start = unsafe apus_start()
                            unsafe (start.path, start.arguments) = (path, arguments)
                            unsafe (start.environment, start.fds) = (environment, numbers.baseAddress)
                            unsafe (start.count, start.steps) = (Int32(numbers.count), list)
                            unsafe start.step_count = count
                            unsafe start.ruleset = confinement?.descriptor.rawValue ?? -1
                            let namespaces = isolation.map { apus_namespaces($0.hasOwnNetwork ? 1 : 0) } ?? 0
                            let status = unsafe ProcessIdentity.withIdentity(identity) { identity in
                                unsafe start.identity = identity
                                return unsafe apus_spawn_confined(&start, namespaces, &process)
                            }
                            failedStep = unsafe start.failed_step
                            return status
                        }
                    }
                }
            }
        }
        guard status == 0 else {
            var words = steps.steps.map(\.text)
            if let identity { words += ["take the label '\(identity.label?.description ?? "")' on", identity.text] }
            let step = words.indices.contains(Int(failedStep)) ? ": \(words[Int(failedStep)])" : ""
            throw HostError(reason: status, "start '\(path)'\(step)")
        }
        return try HostProcess(number: process)
    }

    /// Becomes another program, with this process's environment; it returns only where that fails.
    public static func become(_ path: String, arguments: [String]) throws(HostError) {
        for text in [path] + arguments where text.utf8.contains(0) {
            throw HostError(reason: EINVAL, "start '\(path)' with a zero byte in its arguments")
        }
        // SAFETY: the strings live for the call, and the list ends with a null pointer.
        let status = unsafe withCStrings(arguments) { list in
            _ = unsafe execv(path, list)
            return apus_errno()
        }
        throw HostError(reason: status, "start '\(path)'")
    }

    static func withCStrings(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
    ) -> Int32 {
        // SAFETY: each copy is freed after the body, which is the only one to see them.
        var pointers = unsafe strings.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return EINVAL }
            return unsafe body(base)
        }
    }

    /// Sends a signal; nothing happens if the process has ended.
    public func send(signal: Int32) { _ = apus_pidfd_signal(descriptor.rawValue, signal) }

    /// Ends it without asking.
    public func kill() { send(signal: SIGKILL) }

    /// Whether it has ended.
    public var hasEnded: Bool { descriptor.wait(for: [.read], milliseconds: 0).contains(.read) }

    /// Waits for its end; false if that takes longer.
    public func waitForEnd(milliseconds: Int32) -> Bool {
        descriptor.wait(for: [.read], milliseconds: milliseconds).contains(.read)
    }

    /// Takes a child's end off the kernel's list; its wait status. Nil if it runs or is not a child of this process.
    @discardableResult
    public func reap() -> Int32? {
        let status = apus_reap(number)
        return status >= 0 ? status : nil
    }

    /// When a process was started, in clock ticks since the host's start: with it, a number names one process for
    /// ever. Nil if there is none.
    public static func startTime(of number: Int32) -> UInt64? {
        guard let bytes = try? HostFile.contents("/proc/\(number)/stat", limit: 1 << 16),
            // The second field is a name in brackets, which may hold anything.
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
        // A process that has ended and that nobody has asked about runs no more.
        guard let state = fields.first?.first, state != UInt8(ascii: "Z"), state != UInt8(ascii: "X") else {
            return nil
        }
        return fields.count > 19 ? UInt64(String(decoding: fields[19], as: UTF8.self)) : nil
    }
}
