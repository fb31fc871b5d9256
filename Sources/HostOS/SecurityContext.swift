/// A label of SELinux (selinux(8)): whose a process or file is, in which role, of which type, and at which level with
/// which categories.
public struct SecurityContext: Equatable, Sendable, CustomStringConvertible {
    public var user: String
    public var role: String
    public var type: String
    /// The level, or the lowest and the highest of several, each with its categories: `s0:c12,c310`, `s0-s0:c0.c1023`. Nil
    /// where the policy knows no levels.
    public var range: String?

    public init(user: String, role: String, type: String, range: String?) {
        (self.user, self.role, self.type, self.range) = (user, role, type, range)
    }

    /// Reads `user:role:type` or `user:role:type:range`; what may stand after a zero byte or a line's end is left out. Nil:
    /// it is no label. Whether the policy has such a user, role or type is the kernel's to say.
    public init?(_ text: String) {
        let line = text.utf8.prefix { $0 != 0 && $0 != UInt8(ascii: "\n") }
        guard line.count <= 4096 else { return nil }
        let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3, parts[..<3].allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isOfName) }) else { return nil }
        if parts.count == 4 {
            guard !parts[3].isEmpty, parts[3].allSatisfy({ Self.isOfName($0) || $0 == 0x2C || $0 == 0x3A }) else {
                return nil
            }
        }
        let words = parts.map { String(decoding: $0, as: UTF8.self) }
        (user, role, type, range) = (words[0], words[1], words[2], words.count == 4 ? words[3] : nil)
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E: true
        default: false
        }
    }

    public var description: String { "\(user):\(role):\(type)" + (range.map { ":\($0)" } ?? "") }
}

extension SecurityContext {
    /// What a process of this label may hand on: the lowest level, and the categories of the highest.
    ///
    /// - Returns: nil where there are no levels. A label that names no categories has all 1,024 of the usual policy.
    public var levels: (sensitivity: String, categories: [Int])? {
        guard let range else { return nil }
        let ends = range.split(separator: "-", maxSplits: 1)
        guard let low = ends.first, let high = ends.last else { return nil }
        let sensitivity = low.split(separator: ":").first.map(String.init) ?? "s0"
        let parts = high.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return (sensitivity, Array(0..<1024)) }
        var categories: [Int] = []
        for part in parts[1].split(separator: ",") {
            let numbers = part.split(separator: ".", maxSplits: 1).compactMap { $0.first == "c" ? Int($0.dropFirst()) : nil }
            guard let first = numbers.first, let last = numbers.last, first >= 0, first <= last, last < 65_536 else {
                continue
            }
            categories += Array(first...last)
            guard categories.count <= 65_536 else { break }
        }
        return (sensitivity, categories)
    }

    /// A level with two categories that nobody has: what is told apart by it sees nothing of the others.
    ///
    /// - Parameter taken: levels that are in use.
    /// - Returns: nil where there are no levels, or none that is free was found.
    public func freeLevel(
        besides taken: Set<String>, using generator: inout some RandomNumberGenerator
    ) -> String? {
        guard let (sensitivity, all) = levels, all.count > 1 else { return nil }
        let categories = all.sorted()
        func level(_ first: Int, _ second: Int) -> String {
            "\(sensitivity):c\(categories[min(first, second)]),c\(categories[max(first, second)])"
        }
        for _ in 0..<1000 {
            let first = Int.random(in: categories.indices, using: &generator)
            let second = Int.random(in: categories.indices, using: &generator)
            guard categories[first] != categories[second] else { continue }
            let chosen = level(first, second)
            if !taken.contains(chosen) { return chosen }
        }
        // Few are left, or there never were many.
        for first in categories.indices {
            for second in categories.indices[(first + 1)...] where !taken.contains(level(first, second)) {
                return level(first, second)
            }
        }
        return nil
    }
}
