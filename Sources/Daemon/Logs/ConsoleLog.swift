internal import HostOS

/// What a machine said on one of its consoles, open for reading from some way back.
struct ConsoleLog: Sendable {
    let file: Descriptor
    /// Readable when there is more.
    let watch: Descriptor

    /// What somebody who opens a console is shown of the past.
    static let scrollback: Int64 = 256 << 10
    /// More than this is not kept: a guest must not fill the host's disk.
    static let limit: Int64 = 4 << 20

    /// Nil: the machine keeps none.
    init?(_ path: String) {
        guard let watch = try? HostFile.watch(path),
            let file = try? HostFile.open(path, HostFile.Mode.read, nonBlocking: true, followsLinks: false)
        else { return nil }
        try? HostFile.seek(file, max(0, HostFile.size(of: file) - ConsoleLog.scrollback))
        self.file = file
        self.watch = watch
    }

    /// The log of a device in a machine's folder.
    static func path(_ folder: String, _ alias: String) -> String { "\(folder)/char\(alias).log" }

    /// Gives back the space of what is too old, in all logs of a machine. The machine appends, so places in the file
    /// stay what they are.
    static func trim(_ folder: String) {
        for name in (try? HostFolder.names(in: folder)) ?? [] where name.hasSuffix(".log") {
            let path = "\(folder)/\(name)"
            let status = HostFile.status(path)
            // The folder is the machine's: a link there leads where only its guest knows.
            guard status.allocated > limit,
                let file = try? HostFile.open(path, HostFile.Mode.readWrite, nonBlocking: true, followsLinks: false)
            else { continue }
            if !HostFile.punch(file, at: 0, status.size - scrollback) { try? HostFile.setSize(file, 0) }
        }
    }
}
