internal import HostOS

/// What a file was before machines used it, in the file's own attributes, where libvirt looks for it too: with a count of
/// who uses it, which means nothing once the host was started anew.
struct FileMemory: Sendable {
    private let count: String
    private let before: String
    private let time: String

    /// - Parameter model: libvirt's name of the security model that the file is changed for.
    init(model: String) {
        count = "trusted.libvirt.security.ref_\(model)"
        before = "trusted.libvirt.security.\(model)"
        time = "trusted.libvirt.security.timestamp_\(model)"
    }

    /// Seconds since 1970 at which the host was started.
    private static let hostStart: String = {
        let line = HostDescription.text("/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.map { String($0.dropFirst(6)) } ?? "0"
    }()

    private func text(_ path: String, _ name: String) -> String? {
        HostFile.attribute(path, name).map { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// How many machines use a file of which it is remembered what it was.
    func users(_ path: String) -> Int {
        guard text(path, time) == Self.hostStart, text(path, before) != nil else { return 0 }
        return max(0, text(path, count).flatMap { Int($0) } ?? 0)
    }

    /// One more uses a file; the first remembers what it was. File systems without such attributes remember nothing.
    func add(_ path: String, _ value: @autoclosure () -> String) {
        let users = users(path)
        if users == 0 {
            try? HostFile.setAttribute(path, before, Array("\(value())\0".utf8))
            try? HostFile.setAttribute(path, time, Array("\(Self.hostStart)\0".utf8))
        }
        try? HostFile.setAttribute(path, count, Array("\(users + 1)\0".utf8))
    }

    /// Who is left when one fewer uses a file.
    enum Rest {
        case others
        /// What the file was, if that is remembered.
        case nobody(String?)
    }

    func remove(_ path: String) -> Rest {
        let users = users(path)
        if users > 1 {
            try? HostFile.setAttribute(path, count, Array("\(users - 1)\0".utf8))
            return .others
        }
        let value = users == 1 ? text(path, before) : nil
        for name in [count, before, time] { HostFile.removeAttribute(path, name) }
        return .nobody(value)
    }
}
