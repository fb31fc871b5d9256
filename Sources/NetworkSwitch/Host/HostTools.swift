internal import HostOS

/// The host's own programs for what netlink would take hundreds of lines: `nft` and `ip`.
enum HostTools {
    private static let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

    /// The path of a program; nil where the host has none.
    static func path(_ name: String) -> String? {
        folders.map { "\($0)/\(name)" }.first { HostFile.status($0).kind == .file }
    }

    /// Runs a program with a text as its standard input, and gives what it writes. A status other than 0 is an error.
    @discardableResult
    static func run(_ name: String, _ arguments: [String], input: String = "") throws -> String {
        guard let path = path(name) else { throw NetworkError("this host has no '\(name)'") }
        guard input.utf8.count <= 1 << 15 else { throw NetworkError("the input of '\(name)' is too long") }
        let (process, result) = try start(path, arguments, input)
        let text = try finish(process, result)
        guard text.status == 0 else {
            let words = text.output.split(separator: "\n").first.map(String.init) ?? "status \(text.status)"
            throw NetworkError("'\(name) \(arguments.joined(separator: " "))' failed: \(words)")
        }
        return text.output
    }

    /// The program's ends of the pipes go when this returns, so that it sees the end of its input. The input fits
    /// into a pipe.
    private static func start(
        _ path: String, _ arguments: [String], _ input: String
    ) throws -> (HostProcess, Descriptor) {
        let (from, to) = try DescriptorPair.pipe()
        let (result, output) = try DescriptorPair.pipe()
        try to.writeAll(Array(input.utf8))
        let process = try HostProcess.spawn(
            path, arguments: [path] + arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"],
            descriptors: [from, output, output])
        return (process, result)
    }

    private static func finish(
        _ process: HostProcess, _ output: Descriptor
    ) throws -> (status: Int32, output: String) {
        var bytes: [UInt8] = []
        let end = HostClock.monotonic + 60_000_000_000
        while HostClock.monotonic < end {
            if output.wait(for: [.read], milliseconds: 20).contains(.read) {
                let more = try output.readAvailable(limit: 1 << 16)
                if bytes.count < 1 << 20 { bytes += more }
                if !more.isEmpty { continue }
            }
            if process.hasEnded { break }
        }
        if !process.hasEnded { process.kill() }
        _ = process.waitForEnd(milliseconds: 10_000)
        return (process.reap() ?? 1, String(decoding: bytes, as: UTF8.self))
    }
}
