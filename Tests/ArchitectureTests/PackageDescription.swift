import Foundation
import TestSupport

/// What SwiftPM says of the package: `swift package describe --type json`.
struct PackageDescription: Decodable {
    struct Target: Decodable {
        let name: String
        let type: String
        let dependencies: [String]?
        let products: [String]?

        enum CodingKeys: String, CodingKey {
            case name, type
            case dependencies = "target_dependencies"
            case products = "product_dependencies"
        }

        /// The targets and the products of other packages that it may import.
        var arrows: Set<String> { Set((dependencies ?? []) + (products ?? [])) }
    }

    let targets: [Target]

    /// Asks SwiftPM. The tests themselves run under SwiftPM, which may hold the lock of the build directory: so the
    /// question is put with a build directory of its own.
    static func load() throws -> PackageDescription {
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent(
            "apus-describe-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let described = try HostProgram.run(
            "swift",
            ["package", "--disable-sandbox", "--scratch-path", scratch.path, "describe", "--type", "json"],
            in: Repository.root, seconds: 600)
        guard described.status == 0 else {
            throw DescriptionError(message: described.errors)
        }
        return try JSONDecoder().decode(PackageDescription.self, from: Data(described.output.utf8))
    }
}

/// SwiftPM could not describe the package.
struct DescriptionError: Error, CustomStringConvertible {
    let message: String
    var description: String { "Cannot describe the package: \(message)" }
}
