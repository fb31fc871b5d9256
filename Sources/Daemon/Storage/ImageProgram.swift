internal import HostOS

/// The image tool as a process of its own: an image may be made by anybody, and what reads it must not be the daemon.
enum ImageProgram {
    /// Ours beside this program, or installed, or QEMU's.
    private static let path: String? = {
        let own = CommandLine.arguments.first ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) + "/apus-img" }
        let candidates =
            [folder].compactMap { $0 } + ["/usr/bin/apus-img", "/usr/local/bin/apus-img", "/usr/bin/qemu-img"]
        return candidates.first { HostFile.status($0).kind == .file }
    }()

    /// Runs it to its end. What it complains of is the error.
    static func run(_ arguments: [String]) throws(LibvirtError) {
        guard let path else { throw LibvirtError.internalError("unable to find kvm-img or qemu-img") }
        let status: Int32
        var words = ""
        do throws(HostError) {
            let (process, input) = try start(path, arguments)
            var bytes: [UInt8] = []
            while true {
                guard input.wait(for: [.read], milliseconds: -1) != [] else { continue }
                let part = try input.readAvailable(limit: 1 << 16)
                if part.isEmpty { break }
                if bytes.count < 1 << 16 { bytes += part }
            }
            _ = process.waitForEnd(milliseconds: -1)
            status = process.reap() ?? -1
            words = HostDescription.trim(String(decoding: bytes, as: UTF8.self))
        } catch {
            throw LibvirtError.system("\(error)")
        }
        guard status == 0 else {
            throw LibvirtError.internalError(
                "Child process (\(path) \(arguments.joined(separator: " "))) unexpected exit status: \(words)")
        }
    }

    private static func start(_ path: String, _ arguments: [String]) throws(HostError) -> (HostProcess, Descriptor) {
        let (input, output) = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        let process = try HostProcess.spawn(
            path, arguments: [path] + arguments, environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [null, null, output])
        return (process, input)
    }
}
