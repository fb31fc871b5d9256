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
