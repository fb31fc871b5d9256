internal import HostOS

/// A program of the host that the daemon starts, reads, and waits for.
struct ChildProgram: Sendable {
    /// How it ended.
    struct Outcome: Sendable {
        /// The wait status; 0: well.
        var status: Int32
        var output: String
        /// What it complained of.
        var complaints: String
    }

    private let process: HostProcess
    private let output: Descriptor
    private let complaints: Descriptor

    /// What is kept of what it says.
    private static let most = 4 << 20

    /// Starts it. Its output is a pipe, which it alone writes to: so its end is seen. Complaints go to a file in memory,
    /// which never fills up.
    init(_ path: String, _ arguments: [String]) throws(HostError) {
        let (input, writer) = try DescriptorPair.pipe()
        complaints = try Descriptor.memoryFile(name: "complaints", count: 0)
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        process = try HostProcess.spawn(
            path, arguments: [path] + arguments,
            environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LVM_SUPPRESS_FD_WARNINGS=1"],
            descriptors: [null, writer, complaints])
        output = input
    }

    /// Reads it to its end; after `milliseconds` (-1: never) it is ended.
    func finish(milliseconds: Int32 = -1) -> Outcome {
        let deadline = milliseconds < 0 ? UInt64.max : HostClock.monotonic + UInt64(milliseconds) * 1_000_000
        var text: [UInt8] = []
        while HostClock.monotonic < deadline {
            guard output.wait(for: [.read], milliseconds: milliseconds) != [] else { continue }
            guard let part = try? output.readAvailable(limit: 1 << 16), !part.isEmpty else { break }
            if text.count < ChildProgram.most { text += part }
        }
        if !process.waitForEnd(milliseconds: milliseconds) {
            process.kill()
            _ = process.waitForEnd(milliseconds: 60_000)
        }
        let status = process.reap() ?? -1
        var words: [UInt8] = []
        if (try? HostFile.seek(complaints, 0)) != nil {
            words = (try? complaints.readAvailable(limit: 1 << 16)) ?? []
        }
        return Outcome(
            status: status, output: String(decoding: text, as: UTF8.self),
            complaints: HostDescription.trim(String(decoding: words, as: UTF8.self)))
    }

    /// Runs a program to its end. What it prints; what it complains of where it fails is the error.
    @discardableResult
    static func run(_ path: String, _ arguments: [String]) throws(LibvirtError) -> String {
        guard HostFile.status(path).kind == .file else {
            throw LibvirtError.internalError("Cannot find '\(path)' in path")
        }
        let child: ChildProgram
        do throws(HostError) { child = try ChildProgram(path, arguments) } catch {
            throw LibvirtError.system("\(error)")
        }
        let outcome = child.finish()
        guard outcome.status == 0 else {
            throw LibvirtError.internalError(
                "Child process (\(path) \(arguments.joined(separator: " "))) unexpected exit status: "
                    + outcome.complaints)
        }
        return outcome.output
    }
}
