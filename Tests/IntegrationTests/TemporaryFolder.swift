import Foundation
import TestSupport

/// A folder that goes away with its owner.
final class TemporaryFolder: Sendable {
    private let url: URL

    init() throws {
        // Short, because the path of a socket in it may have 107 bytes.
        url = URL(fileURLWithPath: "/tmp/apus-test.\(UInt32.random(in: 0...UInt32.max))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    /// Its own path.
    var path: String { url.path }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// A file of bytes in it.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: url.appendingPathComponent(name))
        return path(name)
    }
}

/// Runs a program of the host and returns its exit status and what it wrote.
@discardableResult
func runOnHost(_ program: String, _ arguments: String...) throws -> (status: Int32, output: String) {
    let ended = try HostProgram.run(program, arguments, joined: true)
    return (ended.status, ended.output)
}
