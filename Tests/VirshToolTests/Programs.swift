import Foundation
import TestSupport

/// What tests find beside them: both clients, and a daemon of the test's own.
enum Programs {
    static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    static let apus = root + "/.build/release/apus"
    static let emulator = root + "/.build/release/apus-vmm"
    static let debian = "/usr/bin/virsh"

    static var hasApus: Bool { FileManager.default.isExecutableFile(atPath: apus) }
    static var hasDebian: Bool { hasApus && FileManager.default.isExecutableFile(atPath: debian) }
    static var hasEmulator: Bool { FileManager.default.isExecutableFile(atPath: emulator) }
}

/// A daemon as a process of its own, in a folder that goes with it, machines and all.
final class OwnDaemon {
    let folder: String

    init() throws {
        // Always as long: tables are as wide as the names in them.
        folder = "/tmp/apus-virsh-\(UInt32.random(in: 1_000_000_000...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // It comes back when it can be reached.
        _ = try HostProgram.output(
            Programs.apus,
            ["daemon", "--root", folder, "--emulator", Programs.emulator, "--pid-file", folder + "/pid", "--daemon"])
    }

    deinit {
        let machines = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/run/qemu")) ?? []
        for name in machines where name.hasSuffix(".xml") {
            guard let text = try? String(contentsOfFile: "\(folder)/run/qemu/\(name)", encoding: .utf8),
                let number = text.components(separatedBy: "pid='").dropFirst().first.flatMap({
                    Int32($0.prefix { $0.isNumber })
                })
            else { continue }
            kill(number, SIGKILL)
        }
        if let text = try? String(contentsOfFile: folder + "/pid", encoding: .utf8),
            let number = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            kill(number, SIGTERM)
            // It is nobody's child here: so its folder goes when its socket does.
            for _ in 0..<600 where kill(number, 0) == 0 { usleep(100_000) }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var uri: String { "qemu+unix:///session?socket=\(folder)/libvirt-sock" }

    /// Runs one of the clients in the folder, by a shell's words.
    func run(_ program: Client, _ line: String, connects: Bool = true) throws -> HostProgram {
        let words = "\(program.command) \(connects ? "-c '\(uri)' " : "")\(line)"
        let ended = try HostProgram.run(
            "/bin/sh",
            [
                "-c",
                "cd '\(folder)'; export LC_ALL=C TZ=UTC HOME='\(folder)' EDITOR='sed -i s/first/second/'; unset VISUAL; "
                    + words.replacingOccurrences(of: "@DIR@", with: folder) + " </dev/null",
            ])
        return HostProgram.like(ended, without: folder)
    }

    enum Client {
        case debian, ours
        var command: String { self == .debian ? Programs.debian : "'\(Programs.apus)' virsh" }
    }
}
