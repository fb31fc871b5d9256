internal import CLinux
internal import SystemPackage

extension HostProcess {
    /// Starts a program in this process's session, so that it can use its terminal: an editor, or `ssh` that asks for a
    /// password. It gets the given descriptors as 0, 1, …; what this process has open besides is closed for it.
    public static func spawnInSession(
        _ path: String, arguments: [String], environment: [String], descriptors: [Descriptor]
    ) throws(HostError) -> HostProcess {
        for text in [path] + arguments + environment where text.utf8.contains(0) {
            throw HostError(reason: EINVAL, "start '\(path)' with a zero byte in its arguments")
        }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        // Above all first, so that none is overwritten before it is used.
        let numbers = descriptors.map(\.rawValue)
        let above = max(numbers.max() ?? 0, Int32(numbers.count)) + 1
        for (index, number) in numbers.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, number, above + Int32(index))
        }
        for index in numbers.indices {
            unsafe posix_spawn_file_actions_adddup2(&actions, above + Int32(index), Int32(index))
            unsafe posix_spawn_file_actions_addclose(&actions, above + Int32(index))
        }
        var number: pid_t = 0
        // SAFETY: the strings and both lists live for the call, and the lists end with a null pointer.
        let status = unsafe withCStrings(arguments) { arguments in
            unsafe withCStrings(environment) { environment in
                unsafe posix_spawn(&number, path, &actions, nil, arguments, environment)
            }
        }
        guard status == 0 else { throw HostError(reason: status, "start '\(path)'") }
        return try HostProcess(number: number)
    }
}
