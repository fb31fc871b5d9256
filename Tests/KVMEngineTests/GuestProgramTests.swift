import GuestPrograms
import KVMEngine
import Testing

@Suite("Guests on the host's KVM", .serialized, .enabled(if: Host.isThere, Host.reason))
struct GuestProgramTests {
    @Test("A guest ends in its expected state", arguments: GuestProgram.all)
    func endsAsExpected(program: GuestProgram) throws {
        let lacking = program.needs.intersection(Host.lacking)
        guard lacking.isEmpty else {
            print("Skipped '\(program)': this KVM has no \(lacking.names)")
            return
        }
        let memory = try program.makeMemory()
        let engine = try Host.makeEngine(memory, processors: program.processors)
        let outcome = try GuestRunner(engine).run(program)
        #expect(program.differences(outcome, memory: memory) == [])
    }

    @Test("At least twenty guests can run here")
    func enoughRun() {
        #expect(GuestProgram.all.filter { $0.needs.isDisjoint(with: Host.lacking) }.count >= 20)
        #expect(Set(GuestProgram.all.map(\.name)).count == GuestProgram.all.count)
    }
}
