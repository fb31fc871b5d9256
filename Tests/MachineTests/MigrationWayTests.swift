import HostOS
import JSON
import Machine
import Synchronization
import Testing

/// A guest that goes round over 8 MiB and adds one to the first word of each page, then one to the count of its rounds:
/// a page that is lost or old shows.
enum WritingGuest {
    static let (start, end, counter): (UInt64, UInt64, UInt64) = (0x100_0000, 0x180_0000, 0x20_0000)
    static var kernel: [UInt8] {
        var bytes = Samples.kernel
        let code: [UInt8] = [
            0xBF, 0, 0, 0, 1, 0xFF, 0x07, 0x81, 0xC7, 0, 0x10, 0, 0, 0x81, 0xFF, 0, 0, 0x80, 1, 0x72, 0xF0,
            0xFF, 0x05, 0, 0, 0x20, 0, 0xEB, 0xE3,
        ]
        bytes.replaceSubrange(32..<32 + code.count, with: code)
        return bytes + [UInt8](repeating: 0, count: 4096)
    }
    static func word(_ machine: VirtualMachine, _ address: UInt64) throws -> UInt64 {
        try machine.readPhysical(address, count: 4).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    /// Every page has been written as often as the rounds say, those behind the pen once less than those before it.
    static func check(_ machine: VirtualMachine) throws -> UInt64 {
        let rounds = try word(machine, counter)
        var isBehind = false
        for page in stride(from: start, to: end, by: 4096) {
            let count = try word(machine, page)
            if count == rounds { isBehind = true }
            try #require(
                count == rounds || (count == rounds + 1 && !isBehind), "Page \(page) has \(count) of \(rounds)")
        }
        return rounds
    }
}

/// Machines that go to others in every way that capabilities and parameters choose.
@Suite(.serialized)
struct MigrationWayTests {
    static var hasPageFaults: Bool { (try? PageFaults()) != nil }

    struct Way: CustomTestStringConvertible, Sendable {
        var name: String
        var capabilities: [String] = []
        var parameters: [(String, JSONValue)] = []
        var testDescription: String { name }
    }
    static let ways = [
        Way(name: "plain"),
        Way(name: "multifd", capabilities: ["multifd"], parameters: [("multifd-channels", 3)]),
        Way(name: "multifd with zlib", capabilities: ["multifd"], parameters: [("multifd-compression", "zlib")]),
        Way(
            name: "multifd with zstd", capabilities: ["multifd"],
            parameters: [("multifd-compression", "zstd"), ("multifd-zstd-level", 3)]),
        Way(name: "compress", capabilities: ["compress", "events"], parameters: [("compress-level", 6)]),
        Way(name: "auto-converge", capabilities: ["auto-converge", "return-path"]),
    ]

    private func set(_ machine: VirtualMachine, _ way: Way) throws {
        try machine.setMigrationCapabilities(way.capabilities.map { ($0, true) })
        var parameters = JSONObject()
        for (name, value) in way.parameters { parameters[name] = value }
        try machine.setMigrationParameters(parameters)
    }

    private func withMachines(
        _ way: Way, objects: (Bool) -> [ObjectConfiguration] = { _ in [] },
        _ body: (RunningMachine, RunningMachine, String) throws -> Void
    ) throws {
        Signals.ignoreBrokenPipes()
        try Samples.withFolder(["kernel": WritingGuest.kernel]) { folder in
            var configuration = CountingGuest.configuration(.microvm, folder)
            configuration.objects = objects(false)
            let source = try RunningMachine(configuration)
            configuration.incoming = "defer"
            configuration.objects = objects(true)
            let target = try RunningMachine(configuration)
            source.wait("writing") { (try? WritingGuest.word(source.machine, WritingGuest.counter)) ?? 0 > 1 }
            try set(source.machine, way)
            try set(target.machine, way)
            try target.machine.receiveMigration(from: "unix:\(folder)/door", descriptor: nil)
            try body(source, target, "unix:\(folder)/door")
            _ = source.end()
            _ = target.end()
        }
    }

    /// The machine is there alone, all of its memory too, and it goes on.
    private func check(_ source: RunningMachine, _ target: RunningMachine, least: UInt64) throws {
        target.wait("running there") { target.machine.runState == .running }
        #expect(source.machine.runState == .postMigrate)
        target.wait("all memory there") { target.machine.migration.status == .completed }
        let before = try WritingGuest.word(target.machine, WritingGuest.counter)
        #expect(before >= least)
        target.wait("going on") {
            (try? WritingGuest.word(target.machine, WritingGuest.counter)) ?? 0 > before + 1
        }
        target.machine.stop()
        #expect(try WritingGuest.check(target.machine) > least)
    }

    @Test("A running guest goes every way", arguments: ways)
    func goes(way: Way) throws {
        try withMachines(way) { source, target, address in
            let rounds = try WritingGuest.word(source.machine, WritingGuest.counter)
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("sent") { !source.machine.migration.status.isUnderWay }
            try #require(source.machine.migration.status == .completed, "\(source.machine.migration)")
            try check(source, target, least: rounds)
            let known = source.machine.migration
            #expect(known.downtime != nil && known.transferred > 0 && known.totalTime >= known.downtime ?? 0)
            #expect((known.laneBytes > 0) == way.capabilities.contains("multifd"))
            #expect((known.packedPages ?? 0 > 0) == (way.name.contains("z") || way.name == "compress"))
        }
    }

    @Test("A machine waits before the switch for a word, and goes on where that is taken back")
    func waits() throws {
        try withMachines(Way(name: "pause", capabilities: ["pause-before-switchover"])) { source, target, address in
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("waiting") { source.machine.migration.status == .preSwitchover }
            #expect(!source.machine.runState.isRunning && target.machine.runState == .inMigrate)
            #expect(throws: MachineError.self) { try source.machine.continueMigration(from: .device) }
            try source.machine.continueMigration(from: .preSwitchover)
            source.wait("sent") { !source.machine.migration.status.isUnderWay }
            try check(source, target, least: 1)
            #expect(throws: MachineError.self) { try source.machine.continueMigration(from: .preSwitchover) }
        }
        try withMachines(Way(name: "pause", capabilities: ["pause-before-switchover"])) { source, target, address in
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("waiting") { source.machine.migration.status == .preSwitchover }
            source.machine.cancelMigration()
            source.wait("cancelled") { source.machine.migration.status == .cancelled }
            source.wait("running") { source.machine.runState == .running }
            #expect(target.machine.runState != .running)
        }
    }

    @Test(
        "A guest that is never done goes with its memory behind it",
        .enabled(if: hasPageFaults, "needs userfaultfd(2) for faults of the kernel"))
    func late() throws {
        // So little a second that rounds do not end it.
        let slow = Way(
            name: "postcopy", capabilities: ["postcopy-ram"],
            parameters: [("max-bandwidth", .integer(2 << 20)), ("downtime-limit", .integer(1))])
        try withMachines(slow) { source, target, address in
            let rounds = try WritingGuest.word(source.machine, WritingGuest.counter)
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("on the way") { source.machine.migration.status == .active }
            try source.machine.startLateMigration()
            source.wait("sent") { !source.machine.migration.status.isUnderWay }
            try #require(source.machine.migration.status == .completed, "\(source.machine.migration)")
            try check(source, target, least: rounds)
            #expect(source.machine.migration.bytesLate > 0)
        }
    }

    @Test(
        "Memory that is behind comes over another connection where one breaks",
        .enabled(if: hasPageFaults, "needs userfaultfd(2) for faults of the kernel"))
    func recovery() throws {
        let slow = Way(
            name: "postcopy", capabilities: ["postcopy-ram"],
            parameters: [
                ("max-bandwidth", .integer(2 << 20)), ("downtime-limit", .integer(1)),
                ("max-postcopy-bandwidth", .integer(1 << 20)),
            ])
        try withMachines(slow) { source, target, address in
            #expect(throws: MachineError.self) {
                try target.machine.recoverMigration(at: address + "x", descriptor: nil)
            }
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("on the way") { source.machine.migration.status == .active }
            try source.machine.startLateMigration()
            for round in 0..<3 {
                source.wait("late") { source.machine.migration.status == .postcopyActive }
                target.wait("running") { target.machine.runState == .running }
                target.wait("late there") { target.machine.migration.status == .postcopyActive }
                source.machine.cancelMigration()
                #expect(source.machine.migration.status.isLate)
                if round == 2 { try source.machine.setMigrationParameters(["max-postcopy-bandwidth": 0]) }
                try (round == 1 ? source : target).machine.pauseMigration()
                source.wait("broken") { source.machine.migration.status == .postcopyPaused }
                target.wait("broken there") { target.machine.migration.status == .postcopyPaused }
                #expect(source.machine.runState == .postMigrate)
                try target.machine.recoverMigration(at: "\(address)\(round)", descriptor: nil)
                try source.machine.resumeMigration(to: "\(address)\(round)", descriptor: nil)
            }
            source.wait("sent") { !source.machine.migration.status.isUnderWay }
            try #require(source.machine.migration.status == .completed, "\(source.machine.migration)")
            try check(source, target, least: 1)
        }
    }

    @Test("A machine goes over TLS, and to nobody who has another key")
    func secured() throws {
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        for (name, key) in [("good", "a1b2c3d4e5f60718"), ("bad", "ffffffffffffffff")] {
            try HostFolder.make("\(folder)/\(name)")
            try HostFile.open("\(folder)/\(name)/keys.psk", .replace).writeAll(Array("qemu:\(key)\n".utf8))
        }
        func credentials(_ name: String, _ isServer: Bool) -> ObjectConfiguration {
            var object = ObjectConfiguration(type: "tls-creds-psk", id: "tls0")
            object.properties = [
                "dir": .string("\(folder)/\(name)"), "endpoint": isServer ? "server" : "client", "username": "qemu",
            ]
            return object
        }
        for capabilities in [[], ["multifd"]] {
            let way = Way(name: "tls", capabilities: capabilities, parameters: [("tls-creds", "tls0")])
            try withMachines(way, objects: { [credentials("good", $0)] }) { source, target, address in
                try source.machine.migrate(to: address, descriptor: nil)
                source.wait("sent") { !source.machine.migration.status.isUnderWay }
                try #require(source.machine.migration.status == .completed, "\(source.machine.migration)")
                try check(source, target, least: 1)
            }
        }
        let way = Way(name: "tls", parameters: [("tls-creds", "tls0")])
        try withMachines(way, objects: { [credentials($0 ? "bad" : "good", $0)] }) { source, target, address in
            try source.machine.migrate(to: address, descriptor: nil)
            source.wait("refused") { !source.machine.migration.status.isUnderWay }
            #expect(source.machine.migration.status == .failed && source.machine.runState == .running)
            #expect(source.machine.migration.error?.contains("TLS") == true, "\(source.machine.migration)")
            #expect(target.machine.runState != .running)
        }
    }

    @Test("Capabilities of QEMU are all known by name, and what is not there says why")
    func names() throws {
        try Samples.withFolder(["kernel": WritingGuest.kernel]) { folder in
            let machine = try RunningMachine(CountingGuest.configuration(.microvm, folder))
            #expect(machine.machine.migrationCapabilities.count == 21)
            for name in ["xbzrle", "x-colo", "zero-copy-send", "background-snapshot"] {
                do throws(MachineError) {
                    try machine.machine.setMigrationCapabilities([(name, true)])
                    Issue.record("\(name) is there")
                } catch { #expect("\(error)".contains("Capability '\(name)' is not supported: "), "\(error)") }
                // Off it is already.
                try machine.machine.setMigrationCapabilities([(name, false)])
            }
            #expect(throws: MachineError.self) { try machine.machine.setMigrationCapabilities([("dirty-limit", true)]) }
            #expect(throws: MachineError.self) {
                try machine.machine.setMigrationCapabilities([("multifd", true), ("postcopy-ram", true)])
            }
            #expect(!machine.machine.migrationCapabilities.contains { $0.isOn })
            for (name, value) in [
                ("multifd-channels", 0), ("multifd-compression", "lz4"), ("tls-authz", "x"), ("nothing", 1),
            ] as [(String, JSONValue)] {
                var parameters = JSONObject()
                parameters[name] = value
                let wanted = parameters
                #expect(throws: MachineError.self) { try machine.machine.setMigrationParameters(wanted) }
            }
            #expect(throws: MachineError.self) { try machine.machine.startLateMigration() }
            #expect(throws: MachineError.self) { try machine.machine.pauseMigration() }
            // What needs a socket is said, and the machine goes on.
            try machine.machine.setMigrationCapabilities([("multifd", true)])
            try machine.machine.migrate(to: "exec:cat >/dev/null", descriptor: nil)
            machine.wait("refusal") { !machine.machine.migration.status.isUnderWay }
            #expect(machine.machine.migration.error == "multifd and postcopy-ram need a socket")
            #expect(machine.machine.runState == .running)
            #expect(machine.end() == 0)
        }
    }
}
