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

    /// The machines whose states are kept. Names are those of the files.
    static let machines: [String] = ["pc", "q35", "microvm"]

    /// What a file's machine is: it must stay as it was when the file was written.
    static func configuration(_ name: String, _ folder: String) throws -> MachineConfiguration {
        let kind = try #require(BoardKind(rawValue: name))
        var configuration = CountingGuest.configuration(kind, folder)
        configuration.memory.size = 8 << 20
        configuration.topology.processors = kind == .pc ? 2 : 1
        configuration.processorModel = "qemu64"
        let suffix = kind == .microvm ? "device" : "pci"
        func add(_ driver: String, _ properties: JSONObject = JSONObject()) {
            var device = DeviceConfiguration(driver: driver)
            device.properties = properties
            configuration.devices.append(device)
        }
        func drive(_ id: String) {
            var drive = DriveConfiguration(id: id)
            drive.file = "\(folder)/\(id).raw"
            drive.format = "raw"
            drive.interface = .none
            configuration.drives.append(drive)
        }
        for id in ["d0", "d1", "d2", "d3"] {
            try HostFile.replace("\(folder)/\(id).raw", with: [UInt8](repeating: 0, count: 1 << 20))
        }
        drive("d0")
        add("virtio-blk-\(suffix)", ["drive": "d0"])
        add("virtio-net-\(suffix)", ["mac": "52:54:00:12:34:56"])
        add("virtio-rng-\(suffix)")
        add("virtio-balloon-\(suffix)")
        add("virtio-serial-\(suffix)")
        guard kind != .microvm else { return configuration }
        drive("d1")
        add("virtio-scsi-pci")
        add("scsi-hd", ["drive": "d1"])
        drive("d2")
        add("ide-hd", ["drive": "d2"])
        drive("d3")
        add("nvme", ["drive": "d3", "serial": "golden"])
        add("e1000", ["mac": "52:54:00:12:34:57"])
        add("vmgenid", ["guid": "01234567-89ab-cdef-0123-456789abcdef"])
        configuration.graphics = .std
        return configuration
    }

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
    static func files(_ name: String) -> [String] {
        ((try? HostFolder.names(in: folder)) ?? []).filter { $0.hasPrefix("\(name)-") && $0.hasSuffix(".state") }
    }

    @Test("What every release wrote is read, and the guest goes on", arguments: machines)
    func read(name: String) throws {
        let files = Self.files(name)
        #expect(!files.isEmpty)
        for file in files {
            try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
                let saved = try SavedBytes("\(Self.folder)/\(file)")
                var configuration = try Self.configuration(name, folder)
                configuration.lifecycle.startsPaused = true
                configuration.incoming = "file:\(Self.folder)/\(file)"
                let machine = try RunningMachine(configuration)
                machine.wait("load of \(file)") { machine.machine.runState == .paused }
                let count = try CountingGuest.count(machine.machine)
                #expect(count > 0)
                // Every field of the file has come to its device.
                let again = SavedBytes()
                try machine.machine.tell(again)
                let (before, after) = (try sections(saved), try sections(SavedBytes(again.bytes)))
                for (section, state) in before where !["machine", "clock"].contains(section) {
                    guard !section.hasPrefix("cpu") else { continue }
                    let now = try #require(after[section], "\(section)")
                    for (field, value) in state.fields {
                        #expect(now.fields[field] == value, "\(file): section '\(section)', field '\(field)'")
                    }
                }
                try machine.machine.resume()
                machine.wait("counting on") { (try? CountingGuest.count(machine.machine)) ?? 0 != count }
                #expect(machine.end() == 0)
            }
        }
    }

    @Test(
        "The files of a release are written", .enabled(if: HostIdentity.environment("APUS_WRITE_GOLDEN") != nil),
        arguments: machines)
    func write(name: String) throws {
        let target = try #require(HostIdentity.environment("APUS_WRITE_GOLDEN"))
        try HostFolder.make(target)
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            let machine = try RunningMachine(try Self.configuration(name, folder))
            machine.wait("counting") { (try? CountingGuest.count(machine.machine)) ?? 0 > 0 }
            machine.machine.stop()
            try machine.save(to: "\(target)/\(name)-0.1.state")
            #expect(machine.end() == 0)
        }
    }
}
