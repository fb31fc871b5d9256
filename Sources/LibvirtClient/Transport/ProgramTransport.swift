internal import HostOS
internal import SystemPackage

/// A program whose standard input and output are the connection: `ssh`, which runs something beside the daemon.
final class ProgramTransport: ClientTransport {
    let descriptor: Descriptor
    private let process: HostProcess
    private let errors: Descriptor

    /// Starts a program of the `PATH`, or one with a path.
    init(_ words: [String]) throws(HostError) {
        let (ours, theirs) = try DescriptorPair.sockets()
        let complaints = try DescriptorPair.pipe()
        guard let program = words.first, let path = ProgramTransport.find(program) else {
            throw HostError("start '\(words.first ?? "")'", Errno.noSuchFileOrDirectory)
        }
        try theirs.setNonBlocking(false)
        process = try HostProcess.spawnInSession(
            path, arguments: words, environment: HostEnvironment.all, descriptors: [theirs, theirs, complaints.output])
        try ours.setNonBlocking()
        try complaints.input.setNonBlocking()
        descriptor = ours
        errors = complaints.input
    }

    deinit {
        Socket.shutDown(descriptor)
        // It ends by itself at the end of its input, but must not be waited for long.
        if !process.waitForEnd(milliseconds: 500) {
            process.kill()
            _ = process.waitForEnd(milliseconds: 5000)
        }
        process.reap()
    }

    private static func find(_ name: String) -> String? {
        if name.contains("/") { return name }
        let path = HostIdentity.environment("PATH") ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { HostFile.status($0).kind == .file }
    }

    var lastWords: String? {
        _ = process.waitForEnd(milliseconds: 500)
        let bytes = (try? errors.readAvailable(limit: 4096)) ?? []
        let text = String(decoding: bytes.filter { $0 != 13 }, as: UTF8.self)
        return text.isEmpty ? nil : text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        // SAFETY: the caller's buffer is valid for the call.
        (unsafe descriptor.read(into: buffer), [])
    }

    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        // SAFETY: as above.
        unsafe Socket.send(descriptor, buffer)
    }

    func pass(_ passed: Descriptor) throws(HostError) {
        throw HostError("pass a descriptor to another host", Errno.notSupported)
    }
}

/// How `ssh` is called, and what it runs on the other host.
enum SSHCommand {
    /// The words, from the URI's parameters `command`, `keyfile`, `no_verify`, `no_tty`, `netcat`, `proxy`, `socket`.
    static func words(_ uri: ConnectionURI, socketPath: String, readOnly: Bool) -> [String] {
        var words = [uri["command"] ?? HostIdentity.environment("LIBVIRT_SSH") ?? "ssh"]
        if let port = uri.port { words += ["-p", port] }
        if let user = uri.user { words += ["-l", user] }
        if let key = uri["keyfile"] { words += ["-i", key] }
        if isSet(uri["no_tty"]) { words += ["-o", "BatchMode=yes"] }
        if isSet(uri["no_verify"]) { words += ["-o", "StrictHostKeyChecking=no"] }
        // A host that begins with a hyphen is no option.
        words += ["-T", "-e", "none", "--", uri.host, "sh", "-c", quoted(script(uri, socketPath, readOnly))]
        return words
    }

    private static func isSet(_ value: String?) -> Bool { value.map { $0 != "0" && $0 != "" } ?? false }

    /// `virt-ssh-helper` where it is, since it knows where the socket is; netcat otherwise.
    private static func script(_ uri: ConnectionURI, _ socketPath: String, _ readOnly: Bool) -> String {
        let netcat = quoted(uri["netcat"] ?? "nc")
        let path = quoted(uri["socket"] ?? socketPath)
        let plain =
            "if \(netcat) -q 2>&1 | grep -q 'requires an argument'; then Q='-q 0'; else Q=; fi; "
            + "exec \(netcat) $Q -U \(path)"
        let helper = "exec virt-ssh-helper \(readOnly ? "-r " : "")\(quoted(uri.remoteName))"
        switch uri["proxy"] {
        case "netcat": return plain
        case "native": return helper
        default:
            guard uri["netcat"] == nil, uri["socket"] == nil else { return plain }
            return "if command -v virt-ssh-helper >/dev/null 2>&1; then \(helper); else \(plain); fi"
        }
    }

    /// One word for a shell, whatever is in it.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
