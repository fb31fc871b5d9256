/// SELinux as the kernel runs it: labels of processes and files. Any thread.
public enum SecurityLabels {
    private static let attribute = "security.selinux"

    /// Whether the kernel has SELinux with a policy: only then labels mean something.
    public static var isEnabled: Bool {
        HostFile.status("/sys/fs/selinux/enforce").kind == .file && own != nil
    }

    /// Whether the policy is kept to. Otherwise what it forbids is told and done.
    public static var isEnforcing: Bool {
        (try? HostFile.contents("/sys/fs/selinux/enforce", limit: 16))?.first == UInt8(ascii: "1")
    }

    /// This process's label; nil where the kernel has no SELinux, or no policy yet.
    public static var own: SecurityContext? {
        guard let bytes = try? HostFile.contents("/proc/self/attr/current", limit: 8192) else { return nil }
        return SecurityContext(String(decoding: bytes, as: UTF8.self))
    }

    /// A file's label, that of what a link leads to; nil: it has none.
    public static func of(_ path: String) -> SecurityContext? {
        HostFile.attribute(path, attribute).flatMap { SecurityContext(String(decoding: $0, as: UTF8.self)) }
    }

    /// Gives a file another label. The error `notSupported` says that its file system keeps none.
    public static func set(_ path: String, _ context: SecurityContext) throws(HostError) {
        try HostFile.setAttribute(path, attribute, Array("\(context)\0".utf8))
    }

    /// Runs `body`, in which this thread makes sockets of the given label. Nothing changes where it is nil, or where the
    /// policy does not let this process do so.
    public static func withSockets<Result>(
        of context: SecurityContext?, _ body: () throws(HostError) -> Result
    ) throws(HostError) -> Result {
        guard let context else { return try body() }
        try? write("\(context)\0")
        // A line's end alone takes the wish back.
        defer { try? write("\n") }
        return try body()
    }

    private static func write(_ text: String) throws(HostError) {
        try HostFile.open("/proc/thread-self/attr/sockcreate", HostFile.Mode.write).writeAll(Array(text.utf8))
    }
}
