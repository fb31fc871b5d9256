import Foundation

/// The package's own files, as they lie on disk.
enum Repository {
    /// The directory of `Package.swift`.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A file below `Sources`.
    struct File: CustomStringConvertible {
        /// Path from the package's root.
        let path: String
        /// The folder below `Sources`: the target's name.
        let target: String
        let text: String

        var description: String { path }
        var isSwift: Bool { path.hasSuffix(".swift") }
        var lineCount: Int { text.split(separator: "\n", omittingEmptySubsequences: false).count - 1 }
    }

    /// Every file of every target, sorted by path.
    static let sources: [File] = {
        let folder = root.appendingPathComponent("Sources")
        guard let walk = FileManager.default.enumerator(atPath: folder.path) else { return [] }
        var files: [File] = []
        for case let name as String in walk {
            guard let text = try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8),
                let target = name.split(separator: "/").first
            else { continue }
            files.append(File(path: "Sources/" + name, target: String(target), text: text))
        }
        return files.sorted { $0.path < $1.path }
    }()

    static let swiftSources = sources.filter(\.isSwift)
}

/// A program that ended: its output and status.
struct Finished {
    let output: Data
    let error: Data
    let status: Int32

    /// Runs a program found on the PATH in the package's root, with nothing to read.
    init(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = Repository.root
        process.standardInput = FileHandle.nullDevice
        // Files, because a pipe that nobody empties would stop a program that says much.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = try ["output", "error"].map { name in
            let url = folder.appendingPathComponent(name)
            _ = FileManager.default.createFile(atPath: url.path, contents: nil)
            return (url, try FileHandle(forWritingTo: url))
        }
        process.standardOutput = files[0].1
        process.standardError = files[1].1
        try process.run()
        process.waitUntilExit()
        output = try Data(contentsOf: files[0].0)
        error = try Data(contentsOf: files[1].0)
        status = process.terminationStatus
    }
}
