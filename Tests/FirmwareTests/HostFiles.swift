import SystemPackage

// The C library's module and the project's own view of Linux declare some types twice; one function needs neither.
@_silgen_name("system") private func runShell(_ command: UnsafePointer<CChar>) -> Int32

/// Files and programs of the host, for tests that skip where these are absent.
enum HostFiles {
    /// A whole file, or nil.
    static func read(_ path: String) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while let count = try? unsafe chunk.withUnsafeMutableBytes({ try unsafe file.read(into: $0) }), count > 0 {
            bytes += chunk[0..<count]
        }
        return bytes
    }

    static func write(_ path: String, _ bytes: [UInt8]) -> Bool {
        guard
            let file = try? FileDescriptor.open(
                FilePath(path), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        else { return false }
        defer { try? file.close() }
        return (try? file.writeAll(bytes)) == bytes.count
    }

    /// Runs a shell command; 0 for success.
    static func run(_ command: String) -> Int32 { unsafe command.withCString { unsafe runShell($0) } }

    static func isExecutable(_ program: String) -> Bool { run("command -v \(program) >/dev/null 2>&1") == 0 }

    /// A new directory for temporary files.
    static func temporaryDirectory() -> String? {
        let path = "/tmp/firmware-tests-\(UInt64.random(in: 0...UInt64.max))"
        return run("mkdir -m 700 '\(path)'") == 0 ? path : nil
    }

    /// What a pattern of the shell matches.
    static func matches(_ pattern: String) -> [String] {
        guard let directory = temporaryDirectory() else { return [] }
        defer { _ = run("rm -rf '\(directory)'") }
        guard run("ls \(pattern) >'\(directory)/list' 2>/dev/null") == 0 else { return [] }
        let list = read(directory + "/list") ?? []
        return list.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
    }
}
