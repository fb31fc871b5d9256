import DeviceModel
import HostOS
import JSON
import Machine
import MachineState
import Testing

/// Streams that a release wrote, kept in `Tests/Golden`, and read for ever after. Files of a release are added with
/// `APUS_WRITE_GOLDEN=FOLDER` before it is made, and are not changed any more.
@Suite(.serialized)
struct GoldenStateTests {
    static let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Golden"
    private static let release = "0.1"
    private static let emulator = "/usr/bin/swtpm"

    private func sections(_ bytes: SavedBytes) throws -> [String: DeviceState] {
        var reader = try StateReader(bytes)
        let nowhere = Nowhere()
        var values: [String: DeviceState] = [:]
        while true {
            switch try reader.next(nowhere) {
            case .values(let name, let state): values[name] = state
            case .memory: break
            case .end: return values
            }
        }
    }

    /// The files of a machine, of all releases.
    private static func files(_ name: String) -> [String] {
        ((try? HostFolder.names(in: folder)) ?? []).filter { $0.hasPrefix("\(name)-") && $0.hasSuffix(".state") }
    }

    private static func canRead(_ golden: GoldenMachine, under kind: AcceleratorConfiguration.Kind) -> Bool {
        (kind != .kvm || ChangedEngineTests.hasKVM) && (!golden.needsTPM || HostFile.status(emulator).kind != .nothing)
    }

    /// Calls the body with the path of a TPM's control socket, where one is needed.
    private func withTPM(_ golden: GoldenMachine, _ folder: String, _ body: (String) throws -> Void) throws {
        guard golden.needsTPM else { return try body("") }
        let (state, socket) = ("\(folder)/tpm", "\(folder)/swtpm")
        try? HostFile.remove(socket)
        HostFile.removeTree(state)
        try HostFolder.make(state)
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            Self.emulator,
            arguments: ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=\(state)", "--ctrl", "type=unixio,path=\(socket)"],
            environment: ["PATH=/usr/bin:/bin"], descriptors: [null, null, null])
        defer {
            process.kill()
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
        }
        let end = HostClock.monotonic + 60_000_000_000
        while HostFile.status(socket).kind == .nothing, HostClock.monotonic < end { Bell().wait(nanoseconds: 5_000_000) }
        try body(socket)
    }

    @Test("What every release wrote is read, and the guest goes on", arguments: GoldenMachine.all)
    func read(golden: GoldenMachine) throws {
        let files = Self.files(golden.name)
        #expect(!files.isEmpty)
        for file in files {
            for kind in golden.readers where Self.canRead(golden, under: kind) {
                try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
                    try withTPM(golden, folder) { tpm in try read(file, golden, kind, folder, tpm) }
                }
            }
        }
    }

    /// Whether a value is what a file has; fields that came with a later release may be there too.
    private static func has(_ now: DeviceState.Value, _ before: DeviceState.Value) -> Bool {
        guard case .list(let old) = before, case .list(let new) = now else { return now == before }
        return old.count == new.count
            && zip(old, new).allSatisfy { old, new in
                old.version == new.version
                    && old.fields.allSatisfy { name, value in new.fields[name].map { has($0, value) } ?? false }
            }
    }

    private func read(
        _ file: String, _ golden: GoldenMachine, _ kind: AcceleratorConfiguration.Kind, _ folder: String, _ tpm: String
    ) throws {
        let saved = try SavedBytes("\(Self.folder)/\(file)")
        var configuration = try golden.configuration(folder, under: kind, tpm: tpm)
        configuration.lifecycle.startsPaused = true
        configuration.incoming = "file:\(Self.folder)/\(file)"
        let machine = try RunningMachine(configuration)
        machine.wait("load of \(file) under \(kind)") { machine.machine.runState == .paused }
        let count = try CountingGuest.count(machine.machine)
        #expect(count > 0)
        // Every field of the file has come to its device.
        let again = SavedBytes()
        try machine.machine.tell(again)
        let (before, after) = (try sections(saved), try sections(SavedBytes(again.bytes)))
        for (section, state) in before where !["machine", "clock"].contains(section) {
            guard !section.hasPrefix("cpu") else { continue }
            let now = try #require(after[section], "\(section)")
            for (field, value) in state.fields where !golden.livingFields.contains(field) {
                let isThere = now.fields[field].map { Self.has($0, value) } ?? false
                #expect(isThere, "\(file): section '\(section)', field '\(field)'")
            }
        }
        try machine.machine.resume()
        machine.wait("counting on") { (try? CountingGuest.count(machine.machine)) ?? 0 != count }
        #expect(machine.end() == 0)
    }

    @Test(
        "The files of a release are written", .enabled(if: HostIdentity.environment("APUS_WRITE_GOLDEN") != nil),
        arguments: GoldenMachine.all)
    func write(golden: GoldenMachine) throws {
        let target = try #require(HostIdentity.environment("APUS_WRITE_GOLDEN"))
        try HostFolder.make(target)
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            try withTPM(golden, folder) { tpm in
                let machine = try RunningMachine(try golden.configuration(folder, under: golden.writer, tpm: tpm))
                machine.wait("counting") { (try? CountingGuest.count(machine.machine)) ?? 0 > 0 }
                machine.machine.stop()
                if golden.isPacked { try machine.machine.setMigrationCapabilities([("compress", true)]) }
                try machine.save(to: "\(target)/\(golden.name)-\(Self.release).state")
                #expect(machine.end() == 0)
            }
        }
    }

    @Test("Where a machine differs from the saved one the difference is said, and nothing has begun")
    func otherMachines() throws {
        let golden = try #require(GoldenMachine.all.first { $0.name == "pcdevices" })
        let file = try #require(Self.files(golden.name).first)
        func refusal(_ change: (inout MachineConfiguration) -> Void) throws -> String {
            try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
                var configuration = try golden.configuration(folder, under: .translator)
                change(&configuration)
                configuration.incoming = "file:\(Self.folder)/\(file)"
                let machine = try RunningMachine(configuration)
                machine.wait("refusal") { machine.machine.migration.status == .failed }
                #expect(machine.finish() == 1)
                return machine.machine.migration.error ?? ""
            }
        }
        #expect(try refusal { $0.memory.size = 16 << 20 }.hasPrefix("Memory 'pc.ram' of the saved machine has 8388608 by"))
        #expect(
            try refusal { $0.topology.processors = 2 } == "The saved machine has 1 processors, this one 2")
        #expect(
            try refusal { $0.devices.removeAll { $0.driver == "i6300esb" } }
                == "The saved machine has device 'i6300esb', which this one has not")
        #expect(
            try refusal { $0.devices.append(DeviceConfiguration(driver: "virtio-rng-pci")) }
                == "This machine has device 'virtio-rng', which the saved one has not")
        #expect(try refusal { $0.graphics = .std }.hasPrefix("The saved machine has "))
        let other = try refusal { configuration in
            for place in configuration.devices.indices where configuration.devices[place].driver == "usb-tablet" {
                configuration.devices[place].driver = "usb-kbd"
            }
        }
        #expect(other.contains("usb-"), "\(other)")
    }

    @Test("A PCI device at another place, or another one in its place, is refused")
    func otherPlaces() throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            var configuration = CountingGuest.configuration(.pc, folder)
            var card = DeviceConfiguration(driver: "rtl8139")
            card.properties["addr"] = "5"
            configuration.devices = [card]
            let first = try RunningMachine(configuration)
            try first.save(to: "\(folder)/state")
            #expect(first.end() == 0)
            configuration.devices[0].properties["addr"] = "6"
            configuration.incoming = "file:\(folder)/state"
            let second = try RunningMachine(configuration)
            second.wait("refusal") { second.machine.migration.status == .failed }
            #expect(second.finish() == 1)
            let words = second.machine.migration.error ?? ""
            #expect(words.contains("'place': The saved PCI device was at 05.0, this one is at 06.0"), "\(words)")
        }
    }
}
