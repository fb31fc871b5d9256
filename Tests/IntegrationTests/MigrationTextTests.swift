import Foundation
import Testing

/// What monitors say of migrations, beside QEMU's own.
@Suite(
    .serialized,
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/qemu-system-x86_64"), "needs QEMU"),
    .enabled(if: FileManager.default.fileExists(atPath: Repository.program), "needs apus-vmm"))
struct MigrationTextTests {
    /// The same machine of both programs, which stands.
    private func both(
        _ more: [String] = []
    ) throws -> (folder: TemporaryFolder, pairs: [(GuestMachine, MonitorClient)]) {
        let folder = try TemporaryFolder()
        let pairs = try [Repository.program, "/usr/bin/qemu-system-x86_64"].enumerated().map { index, program in
            let machine = try GuestMachine(
                program: program,
                [
                    "-M", "pc", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none", "-S", "-qmp",
                    "unix:\(folder.path("qmp\(index)")),server=on,wait=off",
                ] + more)
            return (machine, try MonitorClient(path: folder.path("qmp\(index)")))
        }
        return (folder, pairs)
    }
    private func end(_ pairs: [(GuestMachine, MonitorClient)]) throws {
        for (machine, monitor) in pairs {
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
        }
    }
    private func json(_ value: Any) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]), as: UTF8.self)
    }

    @Test func parametersAndCapabilitiesAreQEMUs() throws {
        let (folder, pairs) = try both()
        for round in 0..<2 {
            for line in ["info migrate", "info migrate_capabilities", "info migrate_parameters"] {
                let said = try pairs.map { try $0.1.human(line) }
                #expect(said[0] == said[1], "\(line), round \(round)")
            }
            for command in ["query-migrate", "query-migrate-capabilities", "query-migrate-parameters"] {
                let said = try pairs.map { try json(try $0.1.execute(command)) }
                #expect(said[0] == said[1], "\(command), round \(round)")
            }
            for (_, monitor) in pairs {
                for line in [
                    "migrate_set_parameter downtime-limit 50", "migrate_set_parameter max-bandwidth 10m",
                    "migrate_set_parameter multifd-compression zlib", "migrate_set_parameter tls-hostname there",
                    "migrate_set_parameter cpu-throttle-tailslow on", "migrate_set_capability auto-converge on",
                    "migrate_set_capability multifd on", "migrate_set_capability multifd off",
                ] { #expect(try monitor.human(line) == "", "\(line)") }
            }
        }
        // What each line of a finished one is about.
        for (_, monitor) in pairs {
            try monitor.execute("migrate", ["uri": "exec:cat >/dev/null"])
            let end = Date().addingTimeInterval(60)
            while Date() < end {
                let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
                if known["status"] as? String == "completed" { break }
                Thread.sleep(forTimeInterval: 0.02)
            }
        }
        // When bytes went is each program's own.
        let when: Set = ["precopy ram", "downtime ram", "postcopy ram"]
        let labels = try pairs.map { pair in
            try pair.1.human("info migrate").split(separator: "\n").map { String($0.prefix { $0 != ":" }) }
                .filter { !when.contains($0) }
        }
        #expect(labels[0] == labels[1])
        try end(pairs)
        withExtendedLifetime(folder) {}
    }

    @Test func whatKeepsAMachineIsSaid() throws {
        let folder = try TemporaryFolder()
        var words: [String] = []
        for format in ["vmdk", "vdi", "vpc"] {
            let path = folder.path("disk.\(format)")
            try #require(try runOnHost("qemu-img", "create", "-q", "-f", format, path, "1M").status == 0)
            words.append("The \(format) format used by node 'n\(format)' does not support live migration")
        }
        let (own, pairs) = try both(
            ["vmdk", "vdi", "vpc"].flatMap { format in
                // Both programs have them open at once.
                let file = "file.driver=file,file.locking=off,file.filename=\(folder.path("disk.\(format)"))"
                return ["-blockdev", "\(format),node-name=n\(format),\(file)"]
            })
        for (_, monitor) in pairs {
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            #expect(Set(known["blocked-reasons"] as? [String] ?? []) == Set(words), "\(known)")
            let said = try monitor.human("info migrate")
            #expect(said.contains("Outgoing migration blocked:\n  The v"), "\(said)")
            let refused = try monitor.failure("migrate", ["uri": "exec:cat >/dev/null"])
            #expect(words.contains(refused), "\(refused)")
        }
        try end(pairs)
        withExtendedLifetime(own) {}
    }

    /// Addresses of the cards that have told networks where they are, in a capture (RFC 903 in the form of pcap).
    private func announced(_ path: String) throws -> [[UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var found: [[UInt8]] = []
        var at = 24
        while at + 16 <= bytes.count {
            let count = (0..<4).reduce(0) { $0 | Int(bytes[at + 8 + $1]) << ($1 * 8) }
            guard at + 16 + count <= bytes.count else { break }
            let frame = Array(bytes[at + 16..<at + 16 + count])
            if frame.count == 60, frame[12] == 0x80, frame[13] == 0x35 { found.append(Array(frame[6..<12])) }
            at += 16 + count
        }
        return found
    }

    @Test func aMachineThatHasComeTellsItsNetworks() throws {
        let folder = try TemporaryFolder()
        func start(_ name: String, _ more: [String] = []) throws -> (GuestMachine, MonitorClient) {
            let words = ["virtio-net-pci", "e1000"].enumerated().flatMap { index, card in
                [
                    "-netdev", "user,id=n\(index)", "-device",
                    "\(card),netdev=n\(index),mac=52:54:00:00:07:0\(index),id=c\(index)", "-object",
                    "filter-dump,id=f\(index),netdev=n\(index),file=\(folder.path("\(name)\(index)"))",
                ]
            }
            let machine = try GuestMachine(
                [
                    "-M", "pc", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none", "-S", "-qmp",
                    "unix:\(folder.path(name)),server=on,wait=off",
                ] + words + more)
            return (machine, try MonitorClient(path: folder.path(name)))
        }
        let (source, monitor) = try start("source")
        let door = "unix:\(folder.path("door"))"
        let (target, other) = try start("target", ["-incoming", door])
        try other.execute(
            "migrate-set-parameters", ["announce-rounds": 3, "announce-step": 10, "announce-initial": 10])
        try monitor.execute("migrate", ["uri": door])
        func wait(for count: Int, _ name: String) throws -> [[[UInt8]]] {
            let end = Date().addingTimeInterval(20)
            while true {
                let found = try (0...1).map { try announced(folder.path("\(name)\($0)")) }
                if Date() > end || found.allSatisfy({ $0.count >= count }) { return found }
                Thread.sleep(forTimeInterval: 0.02)
            }
        }
        let cards: [[UInt8]] = [0, 1].map { [0x52, 0x54, 0, 0, 7, $0] }
        #expect(try wait(for: 3, "target") == cards.map { [$0, $0, $0] })
        #expect(try announced(folder.path("source0")).isEmpty)
        // And when it is told to.
        try other.execute("announce-self", ["initial": 1, "max": 5, "rounds": 2, "step": 1, "interfaces": ["c1"]])
        let limit = Date().addingTimeInterval(20)
        while try announced(folder.path("target1")).count < 5, Date() < limit { Thread.sleep(forTimeInterval: 0.02) }
        #expect(try (0...1).map { try announced(folder.path("target\($0)")).count } == [3, 5])
        #expect(
            try other.failure("announce-self", ["initial": 1, "max": 5, "rounds": 0, "step": 1])
                .contains("announce_rounds"))
        #expect(try other.human("announce_self") == "")
        try end([(source, monitor), (target, other)])
    }
}
