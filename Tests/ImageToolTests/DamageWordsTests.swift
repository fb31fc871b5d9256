import BlockImage
import CLinux
import ImageTool
import TestSupport
import Testing

/// Damage that requests meet: told in QEMU's words when it is met, and the image is marked at once.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct DamageWordsTests {
    struct Damage: Sendable, CustomTestStringConvertible {
        var name: String
        /// Which table's first entry becomes what.
        var table: @Sendable (Places) -> Int
        var entry: @Sendable (Places) -> UInt64
        var commands: [String]
        var testDescription: String { name }
    }

    /// Where the tables of an image of one cluster of 64 KiB each are.
    struct Places: Sendable {
        var l1 = 0
        var l2 = 0
        var counts = 0
        var block: UInt64 = 0
        var data: UInt64 = 0
    }

    private static let used: UInt64 = 1 << 63
    static let all: [Damage] = [
        Damage(
            name: "L2 table", table: { $0.l1 }, entry: { used | UInt64($0.l2 + 0x2a00) },
            commands: ["read 0 64k", "write 0 64k", "write 1M 64k", "discard 0 64k"]),
        Damage(
            name: "cluster", table: { $0.l2 }, entry: { used | $0.data + 0x2a00 },
            commands: ["read 0 64k", "write 0 64k"]),
        Damage(
            name: "zero cluster", table: { $0.l2 }, entry: { used | $0.data + 0x2a00 | 1 },
            commands: ["read 0 64k", "write 0 64k"]),
        Damage(name: "count block", table: { $0.counts }, entry: { $0.block + 0x2a00 }, commands: ["write 1M 64k"]),
        Damage(
            name: "over L1", table: { $0.l2 }, entry: { used | UInt64($0.l1) }, commands: ["read 0 64k", "write 0 64k"]),
        Damage(name: "over L2", table: { $0.l2 }, entry: { used | UInt64($0.l2) }, commands: ["write 0 64k"]),
        Damage(
            name: "over a count block", table: { $0.l2 }, entry: { used | $0.block },
            commands: ["read 0 64k", "write 0 64k"]),
        Damage(name: "over counts", table: { $0.l2 }, entry: { used | UInt64($0.counts) }, commands: ["write 0 64k"]),
    ]

    @Test(arguments: all) func wordsAndMarkAreTheSame(_ damage: Damage) throws {
        let folder = try Folder()
        folder.qemu("create", "-q", "-f", "qcow2", "@whole", "64M")
        folder.io("qcow2", "whole", "write -P 1 0 128k")
        var bytes = folder.read("whole")
        var places = Places()
        func number(_ at: Int) -> UInt64 { bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) } & ~Self.used }
        places.l1 = Int(number(40))
        places.counts = Int(number(48))
        places.l2 = Int(number(places.l1))
        places.block = number(places.counts)
        places.data = number(places.l2)
        let (at, value) = (damage.table(places), damage.entry(places))
        for byte in 0..<8 { bytes[at + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (7 - byte))) }
        func flags() -> [UInt8] { Array(folder.read("disk")[72..<80]) }
        for isReadOnly in [false, true] {
            for command in damage.commands where !isReadOnly || command.hasPrefix("read") {
                let words =
                    (isReadOnly ? ["-r"] : []) + ["-f", "qcow2", "-c", command, "-c", command, folder.file("disk")]
                folder.write("disk", bytes)
                let theirs = Tool.run([Tool.qemuIO ?? ""] + words) { String(decoding: $0, as: UTF8.self) }
                let mark = flags()
                folder.write("disk", bytes)
                let ours = folder.run("qemu-io", words)
                #expect(ours.errors == theirs.errors, "\(command)")
                #expect(flags() == mark, "\(command)")
            }
        }
    }
}
