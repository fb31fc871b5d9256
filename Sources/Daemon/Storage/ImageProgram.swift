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
        try ChildProgram.run(path, arguments)
    }
}
