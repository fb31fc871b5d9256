import Foundation
import TestSupport
import Testing

/// Debian's virsh with the same commands against Debian's libvirtd and this daemon, each with the same history.
@Suite(
    "Debian's libvirtd and ours",
    .enabled(
        if: Libvirtd.isThere && Programs.hasEmulator
            && FileManager.default.isExecutableFile(atPath: "/usr/bin/qemu-system-x86_64"),
        "needs root, libvirtd, virsh and QEMU"), .serialized)
struct BothDaemonsTests {
    private static let emulator = "/usr/bin/qemu-system-x86_64"

    /// Lines whose output differs, each with the reason. They are compared by status, where that is the same too.
    private static let differing: [String: String] = [
        "dominfo": "the security model is Landlock here, and none or AppArmor there",
        "domstats": "libvirtd counts the time of all machines' group to one that does not run",
        "metadata": "the element comes back with the namespace that it was given",
    ]

    private static func run(_ uri: String, _ folder: String, _ line: String) throws -> HostProgram {
        let words = "\(Programs.debian) -c '\(uri)' " + line.replacingOccurrences(of: "@DIR@", with: folder)
        let ended = try HostProgram.run(
            "/bin/sh",
            [
                "-c",
                "cd '\(folder)'; export LC_ALL=C TZ=UTC HOME='\(folder)' EDITOR='sed -i s/first/second/'; unset VISUAL; "
                    + words + " </dev/null",
            ])
        return HostProgram.like(ended, without: folder)
    }

    /// A folder with the definitions, which name one program for both.
    private static func folder() throws -> String {
        let folder = "/tmp/apus-both-\(UInt32.random(in: 1_000_000_000...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, text) in Definitions.files {
            try text.replacingOccurrences(of: "@DIR@", with: folder)
                .replacingOccurrences(of: "<devices>", with: "<devices><emulator>\(emulator)</emulator>")
                .write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        try HostProgram.output("qemu-img", ["create", "-q", "-f", "qcow2", folder + "/disk.qcow2", "8M"])
        try HostProgram.output("truncate", ["-s", "1M", folder + "/b.raw"])
        return folder
    }

    @Test("Domains that do not run, their devices and tuning")
    func domains() throws {
        let (theirs, ours) = (try Libvirtd(), try OwnDaemon())
        let folders = [try Self.folder(), try Self.folder()]
        defer {
            _ = try? Self.run(theirs.uri, folders[0], "undefine vm --managed-save --snapshots-metadata")
            for folder in folders { try? FileManager.default.removeItem(atPath: folder) }
        }
        let own = try HostProgram.output(Programs.debian, ["-c", theirs.uri, "list", "--all", "--name"])
        // Another's domains would stand in every list.
        guard own.allSatisfy(\.isNewline) else { return }
        for script in [Scripts.domains, Scripts.devices, Scripts.tuning] {
            for line in script.split(separator: "\n").map(String.init) where !line.hasPrefix("#") {
                let left = try Self.run(theirs.uri, folders[0], line)
                let right = try Self.run(ours.uri, folders[1], line)
                #expect(left.status == right.status, "\(line): \(left) and \(right)")
                if Self.differing[String(line.prefix { $0 != " " })] != nil { continue }
                #expect(ComparisonTests.settled(right.output) == ComparisonTests.settled(left.output), "\(line)")
                #expect(ComparisonTests.settled(right.errors) == ComparisonTests.settled(left.errors), "\(line)")
            }
        }
    }
}
