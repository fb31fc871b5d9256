import Foundation
import TestSupport
import Testing

/// Both clients with the same arguments, each against a daemon of its own with the same history.
@Suite("Debian's virsh and ours", .enabled(if: Programs.hasDebian && Programs.hasEmulator), .serialized)
struct ComparisonTests {
    /// Commands whose output differs, each with the reason. They are compared by status alone.
    static let differing: [String: String] = [
        "help": "the words of help are our own"
    ]

    /// What no two runs have in common.
    private static let passing: [(pattern: String, text: String)] = [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        ("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}( [+-][0-9]{4})?", "TIME"),
        ("52:54:00(:[0-9a-f]{2}){3}", "MAC"), ("[0-9]+\\.[0-9]+ ms", "MS"), ("[0-9]+ KiB", "KIB"),
        ("(Available|Allocation|Capacity): +[0-9.]+ GiB", "SPACE"), ("([0-9.]+ [GT]iB +){2}[0-9.]+ [GT]iB", "SPACE"),
        ("4KiB: [0-9]+", "4KiB: FREE"),
        // Of the file system that the pool is on, not of a volume.
        ("(Available|Allocation): +[0-9]{9,}", "SPACE"),
        ("<(allocation|available) unit=.bytes.>[0-9]{9,}<", "SPACE"),
        ("<(atime|mtime|ctime)>[0-9.]+<", "<$1>STAMP<"), ("(user|system|idle|iowait): +[0-9]+", "$1: TICKS"),
        // What is free of huge pages changes while others take some.
        ("(<memory unit='KiB'|<pages unit='KiB' size='[0-9]+')>[0-9]+<", "$1>COUNT<"),
    ]

    static func settled(_ text: String) -> String {
        passing.reduce(text) { $0.replacingOccurrences(of: $1.pattern, with: $1.text, options: .regularExpression) }
    }

    private static func compare(_ script: String) throws {
        let (left, right) = (try OwnDaemon(), try OwnDaemon())
        for daemon in [left, right] {
            for (name, text) in Definitions.files {
                try text.replacingOccurrences(of: "@DIR@", with: daemon.folder)
                    .write(toFile: "\(daemon.folder)/\(name)", atomically: true, encoding: .utf8)
            }
            try HostProgram.output("qemu-img", ["create", "-q", "-f", "qcow2", daemon.folder + "/disk.qcow2", "8M"])
            try HostProgram.output("truncate", ["-s", "1M", daemon.folder + "/b.raw"])
        }
        for line in script.split(separator: "\n").map(String.init) where !line.isEmpty && !line.hasPrefix("#") {
            let theirs = try left.run(.debian, line)
            let ours = try right.run(.ours, line)
            #expect(ours.status == theirs.status, "\(line): \(ours) and \(theirs)")
            let words = line.split(separator: " ").map(String.init)
            if differing[words[0]] != nil { continue }
            #expect(settled(ours.output) == settled(theirs.output), "\(line)")
            #expect(settled(ours.errors) == settled(theirs.errors), "\(line)")
        }
    }

    @Test("Domains that do not run", arguments: [Scripts.domains, Scripts.devices, Scripts.tuning])
    func domains(script: String) throws { try Self.compare(script) }

    @Test("Snapshots and checkpoints")
    func snapshots() throws { try Self.compare(Scripts.snapshots) }

    @Test("The host, pools and volumes", arguments: [Scripts.host, Scripts.storage])
    func storage(script: String) throws { try Self.compare(script) }

    @Test("Networks, secrets, filters, interfaces and devices")
    func others() throws { try Self.compare(Scripts.others) }

    @Test("Lines that are wrong, and the shell's own commands")
    func lines() throws { try Self.compare(Scripts.lines) }

    @Test("Options before the command")
    func options() throws {
        let daemon = try OwnDaemon()
        for line in Scripts.options.split(separator: "\n").map(String.init) {
            let theirs = try daemon.run(.debian, line, connects: false)
            let ours = try daemon.run(.ours, line, connects: false)
            #expect(ours == theirs, "\(line)")
        }
    }

    @Test("A line of commands on standard input")
    func script() throws {
        let daemon = try OwnDaemon()
        for input in [
            "list\nhostname; uri\n", "nosuch\necho a\n", "echo a\nquit\necho b\n", "dominfo nope\n", "uri\n\n\nuri",
            "quit --foo\necho a; quit; echo b\n", "nosuch\nexit\n", "cd /\npwd\n",
        ] {
            for options in [["-q", "-c", daemon.uri], ["-c", daemon.uri]] {
                let theirs = try HostProgram.run(Programs.debian, options, input: input)
                let ours = try HostProgram.run(Programs.apus, ["virsh"] + options, input: input)
                #expect(ours.status == theirs.status, "\(input)")
                #expect(ours.errors == theirs.errors, "\(input)")
                #expect(ours.output == Self.unrepeated(theirs.output, input), "\(input)")
            }
        }
    }

    /// What Debian's client writes without what it reads: its prompt repeats that even where no terminal is.
    private static func unrepeated(_ output: String, _ input: String) -> String {
        var text = ""
        var rest = output[...]
        let lines = input.hasSuffix("\n") ? input.dropLast() : input[...]
        for line in lines.split(separator: "\n", omittingEmptySubsequences: false) {
            guard let range = rest.range(of: "virsh # \(line)\n") else { break }
            text += rest[..<range.lowerBound] + "virsh # "
            rest = rest[range.upperBound...]
        }
        return text + rest
    }

    @Test("Against Debian's libvirtd", .enabled(if: Libvirtd.isThere))
    func libvirtd() throws {
        let daemon = try Libvirtd()
        for line in Scripts.libvirtd.split(separator: "\n").map(String.init) {
            let theirs = try HostProgram.run(
                "/bin/sh", ["-c", "\(Programs.debian) -c '\(daemon.uri)' \(line) </dev/null"])
            let ours = try HostProgram.run(
                "/bin/sh", ["-c", "\(Programs.apus) virsh -c '\(daemon.uri)' \(line) </dev/null"])
            #expect(ours.status == theirs.status, "\(line): \(ours) and \(theirs)")
            #expect(Self.settled(ours.output) == Self.settled(theirs.output), "\(line)")
            #expect(ours.errors == theirs.errors, "\(line)")
        }
    }
}

/// Debian's daemon, as root, on a socket of its own.
final class Libvirtd {
    static var isThere: Bool {
        getuid() == 0 && Programs.hasDebian && FileManager.default.isExecutableFile(atPath: "/usr/sbin/libvirtd")
    }

    private let folder: String

    init() throws {
        folder = "/tmp/apus-libvirtd-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let settings = "unix_sock_dir = \"\(folder)\"\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n"
        try settings.write(toFile: folder + "/conf", atomically: true, encoding: .utf8)
        try HostProgram.output(
            "/usr/sbin/libvirtd", ["--daemon", "-f", folder + "/conf", "-p", folder + "/pid", "--timeout", "120"])
        for _ in 0..<600 where !FileManager.default.fileExists(atPath: folder + "/libvirt-sock") { usleep(100_000) }
    }

    var uri: String { "qemu+unix:///system?socket=\(folder)/libvirt-sock" }

    deinit {
        if let text = try? String(contentsOfFile: folder + "/pid", encoding: .utf8),
            let number = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            kill(number, SIGTERM)
            for _ in 0..<600 where kill(number, 0) == 0 { usleep(100_000) }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}
