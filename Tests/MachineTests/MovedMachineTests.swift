import DeviceModel
import HostOS
import Machine
import MachineState
import Testing

/// Machines whose state is written, read and written again.
@Suite(.serialized)
struct MovedMachineTests {
    static func configuration(_ kind: BoardKind, _ processors: Int, _ folder: String) -> MachineConfiguration {
        var configuration = Samples.configuration(kind, processors: processors)
        configuration.accelerators = [AcceleratorConfiguration(kind: .translator)]
        configuration.boot.kernel = "\(folder)/kernel"
        configuration.lifecycle.startsPaused = true
        let suffix = kind == .pc ? "pci" : "device"
        configuration.devices = [
            DeviceConfiguration(driver: "virtio-rng-\(suffix)"),
            DeviceConfiguration(driver: "virtio-balloon-\(suffix)"),
        ]
        if kind == .pc { configuration.devices.append(DeviceConfiguration(driver: "e1000")) }
        return configuration
    }

    private func sections(_ path: String) throws -> (values: [String: DeviceState], pages: UInt64) {
        var reader = try StateReader(try SavedBytes(path))
        let nowhere = Nowhere()
        var values: [String: DeviceState] = [:]
        var pages: UInt64 = 0
        while true {
            switch try reader.next(nowhere) {
            case .values(let name, let state): values[name] = state
            case .memory(_, let count): pages += count
            case .end: return (values, pages)
            }
        }
    }

    @Test("Every device that was restored saves what it was restored from", arguments: [BoardKind.pc, .microvm], [1, 2])
    func everySection(kind: BoardKind, processors: Int) throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            let first = try RunningMachine(Self.configuration(kind, processors, folder))
            try first.save(to: "\(folder)/one")
            #expect(first.end() == 0)
            var configuration = Self.configuration(kind, processors, folder)
            configuration.incoming = "file:\(folder)/one"
            let second = try RunningMachine(configuration)
            second.wait("load") { second.machine.runState == .paused }
            try second.save(to: "\(folder)/two")
            #expect(second.end() == 0)

            let (one, two) = (try sections("\(folder)/one"), try sections("\(folder)/two"))

            #expect(one.pages == two.pages && Set(one.values.keys) == Set(two.values.keys))
            for (name, state) in one.values where name != "clock" && !name.hasPrefix("cpu") {
                #expect(two.values[name] == state, "\(name)")
            }
            for index in 0..<processors {
                let before = try #require(one.values["cpu\(index)"]), after = try #require(two.values["cpu\(index)"])
                #expect(try after.list("apic", count: 1) == before.list("apic", count: 1))
                #expect(try after.list("events", count: 1) == before.list("events", count: 1))
                var registers = [try before.list("registers", count: 1)[0], try after.list("registers", count: 1)[0]]
                // The guest's counter is the same; what it differs by from the host's is not.
                for place in 0..<2 { registers[place].fields["tsc-offset"] = nil }
                #expect(registers[0] == registers[1])
            }
        }
    }

    @Test("A guest goes on in another machine")
    func goesOn() throws {
        let padding = [UInt8](repeating: 0, count: 4096 - RealEngineTests.kernel.count)
        try Samples.withFolder(["kernel": RealEngineTests.kernel + padding]) { folder in
            var configuration = Samples.configuration(.pc)
            configuration.accelerators = [AcceleratorConfiguration(kind: .translator)]
            configuration.boot.kernel = "\(folder)/kernel"
            configuration.devices = [DeviceConfiguration(driver: "isa-debug-exit")]
            configuration.lifecycle.startsPaused = true
            let first = try RunningMachine(configuration)
            try first.save(to: "\(folder)/state")
            _ = first.end()
            configuration.incoming = "file:\(folder)/state"
            configuration.lifecycle.startsPaused = false
            let second = try RunningMachine(configuration)
            // It stood when it was saved.
            second.wait("load") { second.machine.runState == .paused }
            try second.machine.resume()
            #expect(second.finish() == 0x2A << 1 | 1)
        }
    }

    @Test("A machine that does not fit is told so, and ends with status 1")
    func mismatch() throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            let first = try RunningMachine(Self.configuration(.pc, 1, folder))
            try first.save(to: "\(folder)/one")
            _ = first.end()
            var configuration = Self.configuration(.pc, 2, folder)
            configuration.incoming = "file:\(folder)/one"
            let second = try RunningMachine(configuration)
            #expect(second.finish() == 1)
            #expect(second.machine.migration.error == "The saved machine has 1 processors, this one 2")

            // A section that is damaged is named.
            let saved = try SavedBytes("\(folder)/one")
            let place = try #require(saved.sections.last { $0.name == "ioapic" }).contents.lowerBound + 20
            var bytes = saved.bytes
            bytes[place] ^= 1
            try HostFile.open("\(folder)/damaged", .replace).writeAll(bytes)
            configuration = Self.configuration(.pc, 1, folder)
            configuration.incoming = "file:\(folder)/damaged"
            let third = try RunningMachine(configuration)
            #expect(third.finish() == 1)
            #expect(third.machine.migration.error == "Section 'ioapic' is damaged: its checksum is wrong")
            // The file is as it was.
            #expect(try HostFile.contents("\(folder)/damaged") == bytes)
        }
    }

    @Test("A source goes on where the other end is not there")
    func failureKeepsTheSource() throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            var configuration = Self.configuration(.microvm, 1, folder)
            configuration.lifecycle.startsPaused = false
            let machine = try RunningMachine(configuration)
            #expect(throws: MachineError.self) {
                try machine.machine.migrate(to: "unix:\(folder)/nobody", descriptor: nil)
            }
            #expect(throws: MachineError.self) { try machine.machine.migrate(to: "nonsense", descriptor: nil) }
            #expect(machine.machine.runState == .running)
            try machine.machine.migrate(to: "exec:head -c 1000 >/dev/null; exit 3", descriptor: nil)
            machine.wait("failure") { !machine.machine.migration.status.isUnderWay }
            #expect(machine.machine.migration.status == .failed)
            machine.wait("going on") { machine.machine.runState == .running }
            #expect(machine.end() == 0)
        }
    }
}
