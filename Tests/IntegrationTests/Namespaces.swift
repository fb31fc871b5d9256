import Foundation
import TestSupport
import Testing

/// Network namespaces that a test makes and that go with it.
final class Namespaces {
    private let names: [String]

    init(_ count: Int) throws {
        let mark = UInt32.random(in: 0...0xFFFFFF)
        names = (0..<count).map { "apus\(String(mark, radix: 16))-\($0)" }
        for name in names {
            try ip("netns", "add", name)
            try ip("-n", name, "link", "set", "lo", "up")
        }
    }

    deinit { for name in names { _ = try? runOnHost("ip", "netns", "del", name) } }

    subscript(_ place: Int) -> String { names[place] }
    func way(_ place: Int) -> [String] { ["ip", "netns", "exec", names[place]] }

    @discardableResult
    func ip(_ words: String...) throws -> String { try HostProgram.output("ip", words) }

    /// Runs a program inside a namespace.
    @discardableResult
    func inside(_ place: Int, _ words: String...) throws -> String {
        try HostProgram.output("ip", ["netns", "exec", names[place]] + words)
    }

    /// Why there are none; nil where there are.
    static let absence: String? = {
        guard geteuid() == 0 else { return "not root" }
        for program in ["ip", "nft", "busybox"] where (try? runOnHost("which", program))?.status != 0 {
            return "no \(program)"
        }
        guard FileManager.default.fileExists(atPath: "/dev/net/tun") else { return "no /dev/net/tun" }
        guard (try? Namespaces(1)) != nil else { return "this host forbids network namespaces" }
        return nil
    }()

    /// A host in the first, with a card `em1` towards another host in the second: 203.0.113.1 and .2.
    static func host() throws -> Namespaces {
        let spaces = try Namespaces(3)
        try spaces.cable()
        for (place, card, address) in [(0, "em1", "203.0.113.1/24"), (1, "eth0", "203.0.113.2/24")] {
            try spaces.ip("-n", spaces[place], "addr", "add", address, "dev", card)
        }
        return spaces
    }

    /// A card `em1` of the first, and `eth0` of the second at the other end of its cable.
    func cable() throws {
        try ip("-n", names[0], "link", "add", "em1", "type", "veth", "peer", "name", "eth0", "netns", names[1])
        for (place, card) in [(0, "em1"), (1, "eth0")] { try ip("-n", names[place], "link", "set", card, "up") }
    }
}
