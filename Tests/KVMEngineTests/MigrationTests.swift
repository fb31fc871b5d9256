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

    /// Lets a processor run for some exits or a millisecond, whichever ends first.
    private func runAWhile<E: Engine>(_ engine: E, _ program: GuestProgram) throws -> apus_x86_state
    where E.CPU.State == apus_x86_state {
        let processor = engine.processors[0]
        let kicker = try HostThread(name: "kicker") {
            Bell().wait(nanoseconds: 300_000)
            processor.kick()
        }
        while processor.run() != .interrupted {}
        kicker.join()
        return processor.state
    }

    @Test("A guest that began on one engine ends on the other")
    func moves() throws {
        let program = GuestProgram.longSieve
        let memory = try program.makeMemory()
        var state = try Host.makeEngine(memory).processors[0].state
        program.enter(&state)
        let hardware = try Host.makeEngine(memory)
        hardware.processors[0].state = state
        state = try runAWhile(hardware, program)
        let software = try makeSoftware(memory)
        software.processors[0].reset()
        software.processors[0].state = state
        state = try runAWhile(software, program)
        let again = try Host.makeEngine(memory)
        again.processors[0].state = state
        let outcome = try GuestRunner(again).run(milliseconds: 60_000)
        #expect(program.differences(outcome, memory: memory) == [])
    }
}
