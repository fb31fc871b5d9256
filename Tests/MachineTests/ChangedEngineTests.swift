import HostOS
import Machine
import Testing

/// Machines that change their engine on the way. Flat guests: a KVM that is itself emulated runs those too.
@Suite(.serialized)
struct ChangedEngineTests {
    static var hasKVM: Bool { (try? HostFile.open("/dev/kvm", .readWrite)) != nil }

    private func configuration(
        _ kind: BoardKind, _ engine: AcceleratorConfiguration.Kind, _ folder: String
    ) -> MachineConfiguration {
        var configuration = CountingGuest.configuration(kind, folder)
        configuration.accelerators = [AcceleratorConfiguration(kind: engine)]
        // An emulated KVM may not have SSE3, and what KVM offers to guests that know it, a guest may hold on to.
        configuration.processorModel = "qemu64,-pni,kvm=off"
        return configuration
    }

    @Test(
        "A guest goes on under the other engine, and back",
        .enabled(if: hasKVM, "this user cannot open /dev/kvm"),
        arguments: [BoardKind.microvm, .pc])
    func changes(kind: BoardKind) throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            var count: UInt64 = 0
            for (round, engine) in [AcceleratorConfiguration.Kind.translator, .kvm, .translator, .kvm].enumerated() {
                var configuration = configuration(kind, engine, folder)
                if round > 0 { configuration.incoming = "file:\(folder)/\(round - 1)" }
                let machine = try RunningMachine(configuration)
                if round > 0 {
                    // It stood when it was saved.
                    machine.wait("load \(round)") { machine.machine.runState == .paused }
                    try machine.machine.resume()
                }
                machine.wait("round \(round)") { (try? CountingGuest.count(machine.machine)) ?? 0 > count }
                machine.machine.stop()
                count = try CountingGuest.count(machine.machine)
                try machine.save(to: "\(folder)/\(round)")
                #expect(machine.end() == 0)
            }
        }
    }

    @Test(
        "A machine whose processor lacks features of the saved one names them")
    func missing() throws {
        try Samples.withFolder(["kernel": CountingGuest.kernel]) { folder in
            var configuration = configuration(.microvm, .translator, folder)
            configuration.processorModel = "qemu64,+sse4.2,+popcnt"
            let first = try RunningMachine(configuration)
            first.wait("counting") { (try? CountingGuest.count(first.machine)) ?? 0 > 0 }
            try first.save(to: "\(folder)/state")
            #expect(first.end() == 0)
            configuration.processorModel = "qemu64"
            configuration.incoming = "file:\(folder)/state"
            let second = try RunningMachine(configuration)
            #expect(second.finish() == 1)
            let words = second.machine.migration.error ?? ""
            #expect(words.contains("sse4.2") && words.contains("popcnt") && !words.contains("fpu"), "\(words)")
            // More than was there is no harm, however it is said.
            configuration.processorModel = "qemu64,+popcnt,+sse4.2,+ssse3"
            let third = try RunningMachine(configuration)
            third.wait("going on") { third.machine.runState == .running }
            #expect(third.end() == 0)
        }
    }
}
