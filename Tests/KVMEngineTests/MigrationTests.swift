import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Testing
import TranslatorEngine

@Suite("One state for all engines", .serialized, .enabled(if: Host.isThere, Host.reason))
struct MigrationTests {
    private func makeSoftware(_ memory: AddressSpace) throws -> SoftwareEngine {
        try SoftwareEngine(
            SoftwareEngineRequest(
                memory: memory, apicIDs: [0], model: try Host.model(), now: { HostClock.monotonic },
                wallClock: { HostClock.realtime }))
    }

    /// Lets a processor run for a fraction of a millisecond; nil where the guest came to its end meanwhile, as it does
    /// on a host that wakes threads late.
    private func runAWhile<E: Engine>(_ engine: E) throws -> apus_x86_state? where E.CPU.State == apus_x86_state {
        let processor = engine.processors[0]
        let kicker = try HostThread(name: "kicker") {
            Bell().wait(nanoseconds: 100_000)
            processor.kick()
        }
        defer { kicker.join() }
        while true {
            switch processor.run() {
            case .interrupted: return processor.state
            case .portWrite(GuestLayout.exitPort, _, _), .shutdown: return nil
            default: continue
            }
        }
    }

    /// From KVM to software and back; nil where the guest ended on the way.
    private func move() throws -> [String]? {
        let program = GuestProgram.longSieve
        let memory = try program.makeMemory()
        var state = try Host.makeEngine(memory).processors[0].state
        program.enter(&state)
        let hardware = try Host.makeEngine(memory)
        hardware.processors[0].state = state
        guard let first = try runAWhile(hardware) else { return nil }
        let software = try makeSoftware(memory)
        software.processors[0].reset()
        software.processors[0].state = first
        guard let second = try runAWhile(software) else { return nil }
        let again = try Host.makeEngine(memory)
        again.processors[0].state = second
        let outcome = try GuestRunner(again).run(milliseconds: 60_000)
        return program.differences(outcome, memory: memory)
    }

    @Test("A guest that began on one engine ends on the other")
    func moves() throws {
        for _ in 0..<200 {
            guard let differences = try move() else { continue }
            #expect(differences == [])
            return
        }
        Issue.record("The guest ended in each of 200 runs before it was interrupted")
    }
}
