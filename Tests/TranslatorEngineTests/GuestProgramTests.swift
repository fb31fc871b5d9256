import GuestPrograms
import HostOS
import Testing
import TranslatorEngine
import X86

@Suite("The shared guests on the software engine", .serialized)
struct GuestProgramTests {
    @Test("A guest ends in its expected state", arguments: GuestProgram.all)
    func endsAsExpected(program: GuestProgram) throws {
        let model = try CPUSpecification(model: "max").resolve(
            CPUEnvironment(engine: "software engine", offered: SoftwareEngine.offeredFeatures))
        guard !program.needs.contains(.avx2) || model.has("avx2") else {
            print("Skipped '\(program)': this engine has no AVX2")
            return
        }
        let memory = try program.makeMemory()
        let engine = try SoftwareEngine(
            SoftwareEngineRequest(
                memory: memory, apicIDs: (0..<program.processors).map { UInt32($0) }, model: model,
                now: { HostClock.monotonic }, wallClock: { HostClock.realtime }))
        let outcome = try GuestRunner(engine).run(program)
        #expect(program.differences(outcome, memory: memory) == [])
    }
}
