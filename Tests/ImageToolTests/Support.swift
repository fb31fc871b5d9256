import BlockImage
import CLinux
import HostOS
import ImageTool
import TestSupport
import Testing

/// What a run of a tool gave.
struct Outcome: Equatable {
    var status: Int32
    var output: String
    var errors: String
}

/// A folder that goes with this object.
final class Folder: Sendable {
    let path: String
    init() throws { path = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-img-test-") }
    deinit { HostFile.removeTree(path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ name: String, _ bytes: [UInt8]) {
        let descriptor = unsafe apus_open(file(name), O_RDWR | O_CREAT | O_TRUNC, 0o600)
        _ = unsafe bytes.withUnsafeBytes { unsafe apus_write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    func read(_ name: String) -> [UInt8] { (try? HostFile.contents(file(name))) ?? [] }

    /// Runs the tool in this process; words that begin with `@` are files of this folder.
    @discardableResult
    func image(_ words: String...) -> Outcome { image(words) }

    @discardableResult
    func image(_ words: [String]) -> Outcome { run("qemu-img", words) }

    /// Runs the tool in this process under a name.
    func run(_ name: String, _ words: [String]) -> Outcome {
        let console = Console(captures: true)
        let status = ImageProgram.run([name] + words.map(expand), console)
        return Outcome(status: status, output: shorten(console.output), errors: shorten(console.errors))
    }

    /// Runs Debian's tool.
    @discardableResult
    func qemu(_ words: String...) -> Outcome { qemu(words) }

    @discardableResult
    func qemu(_ words: [String]) -> Outcome { Tool.run([Tool.qemuImg ?? ""] + words.map(expand), shorten) }

    /// Runs Debian's qemu-io on an image, one command a word; its exit status.
    @discardableResult
    func io(_ format: String, _ name: String, _ commands: String...) -> Outcome {
        let words = [Tool.qemuIO ?? "", "-f", format] + commands.flatMap { ["-c", $0] } + [file(name)]
        return Tool.run(words, shorten)
    }

    private func expand(_ word: String) -> String {
        var result = ""
        var isFirst = true
        for part in word.split(separator: "@", omittingEmptySubsequences: false) {
            result += isFirst ? String(part) : "\(path)/\(part)"
            isFirst = false
        }
        return result
    }

    private func shorten(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).replacing("\(path)/", with: "")
    }
}

extension String {
    func replacing(_ old: String, with new: String) -> String {
        var result = ""
        var rest = self[...]
        while let found = rest.firstRange(of: old) {
            result += rest[..<found.lowerBound] + new
            rest = rest[found.upperBound...]
        }
        return result + rest
    }
}

/// Programs of the host that tests compare with.
enum Tool {
    static let qemuImg = find("qemu-img")
    static let qemuIO = find("qemu-io")
    static var isThere: Bool { qemuImg != nil && qemuIO != nil }
    /// The program that this package builds, next to the tests.
    static let apusImg: String? = {
        let path = ".build/release/apus-img"
        return unsafe access(path, X_OK) == 0 ? path : nil
    }()
    static var isBuilt: Bool { apusImg != nil }

    private static func find(_ name: String) -> String? {
        let path = "/usr/bin/\(name)"
        return unsafe access(path, X_OK) == 0 ? path : nil
    }

    static func run(_ words: [String], _ shorten: ([UInt8]) -> String) -> Outcome {
        guard let folder = try? Folder() else { return Outcome(status: -1, output: "", errors: "") }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, folder.file("out"), flags, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, folder.file("err"), flags, 0o600)
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        var status: Int32 = -1
        if unsafe posix_spawn(&child, words[0], &actions, nil, &arguments, nil) == 0 {
            _ = unsafe waitpid(child, &status, 0)
        }
        return Outcome(
            status: status & 0x7f == 0 ? (status >> 8) & 0xff : -1, output: shorten(folder.read("out")),
            errors: shorten(folder.read("err")))
    }
}

/// Two folders in which the same commands run: Debian's tool in one, ours in the other.
struct Pair {
    let theirs: Folder
    let ours: Folder

    init() throws {
        theirs = try Folder()
        ours = try Folder()
    }

    /// Runs a command in both and expects the same outputs and status.
    func same(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        let expected = theirs.qemu(words)
        let found = ours.image(words)
        let line = words.joined(separator: " ")
        #expect(found.status == expected.status, "\(line): \(found.errors)", sourceLocation: sourceLocation)
        #expect(
            Pair.settled(found.output) == Pair.settled(expected.output), "\(line)", sourceLocation: sourceLocation)
        #expect(
            Pair.settled(found.errors) == Pair.settled(expected.errors), "\(line)", sourceLocation: sourceLocation)
    }

    /// Writes to an image of both by Debian's qemu-io.
    func io(_ format: String, _ name: String, _ commands: String...) {
        for folder in [theirs, ours] {
            let words = [Tool.qemuIO!, "-f", format] + commands.flatMap { ["-c", $0] } + [folder.file(name)]
            let result = Tool.run(words) { String(decoding: $0, as: UTF8.self) }
            #expect(result.status == 0, "\(result)")
        }
    }

    /// An output without what differs from run to run: times, identifiers, storage taken on the host.
    static func settled(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            for word in [
                "disk size: ", "\"actual-size\": ", "\"date-sec\": ", "\"date-nsec\": ", " cid: ", "\"cid\": ",
            ]
            where line.contains(word) {
                return word
            }
            // A row of a snapshot list: the date is in the middle.
            if let colon = line.firstRange(of: " 00:00:00.000") {
                return String(line[..<colon.lowerBound].dropLast(20)) + line[colon.lowerBound...]
            }
            return String(line)
        }
        return lines.joined(separator: "\n")
    }
}

/// Bytes with data, zeroes and text that packs, in runs.
func mixedBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var numbers = SplitMix64(state: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
        let length = min(count - bytes.count, Int(numbers.next() % 200_000) + 1)
        switch numbers.next() % 3 {
        case 0: bytes += [UInt8](repeating: 0, count: length)
        case 1: bytes += (0..<length).map { UInt8(truncatingIfNeeded: $0 / 100) }
        default: bytes += (0..<length).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
        }
    }
    return bytes
}

extension Folder {
    /// Writes bytes into an image through the block layer. The status of the write.
    func overwrite(_ name: String, _ format: String, _ bytes: [UInt8], at offset: UInt64) throws -> Int32 {
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open([
            "driver": format, "file.driver": "file", "file.filename": file(name), "discard": "unmap",
        ])
        return node.writeAndWait(at: offset, bytes: bytes)
    }
}
