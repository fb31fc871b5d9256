import DeviceModel
import Execution
import GuestMemory
import Machine
import Testing

@Suite("Which engine a machine gets")
struct EngineChoiceTests {
    private func request(_ kinds: AcceleratorConfiguration.Kind...) throws -> EngineRequest {
        var topology = TopologyRequest()
        topology.processors = 1
        var request = EngineRequest(
            memory: AddressSpace(), processorCount: 1, apicIDs: [0], processorModel: nil,
            topology: try ProcessorTopology(topology), ramSize: 0, clock: ManualClock(),
            accelerator: AcceleratorConfiguration(kind: kinds[0]))
        request.alternatives = kinds.dropFirst().map { AcceleratorConfiguration(kind: $0) }
        return request
    }

    /// An engine whose processor ends the trial at once, or never.
    private func candidate(
        _ kind: AcceleratorConfiguration.Kind, _ name: String, ends: Bool = true
    ) -> EngineChoice.Candidate {
        EngineChoice.Candidate(kind: kind, name: name) { request in
            let life = [Exit.portWrite(port: 0xF4, size: 1, value: 0)]
            return EngineBox(ScriptedEngine(request, name: name, lives: ends ? [life, life, life] : []))
        }
    }
    private func missing(_ kind: AcceleratorConfiguration.Kind, _ name: String) -> EngineChoice.Candidate {
        EngineChoice.Candidate(kind: kind, name: name) { _ throws(MachineBuildError) in
            throw MachineBuildError("There is no \(name)")
        }
    }

    @Test("The engine that was asked for is made")
    func named() throws {
        let choice = EngineChoice([candidate(.kvm, "kvm"), candidate(.translator, "tcg")])
        #expect(try choice.make(request(.translator)).name == "tcg")
        #expect(try choice.make(request(.kvm)).name == "kvm")
        #expect(try choice.make(request(.kvm)).reason == "as asked for")
    }

    @Test("Who insists hears the reason")
    func insists() throws {
        let choice = EngineChoice([missing(.kvm, "device"), candidate(.translator, "tcg")])
        let request = try request(.kvm)
        let error = #expect(throws: MachineBuildError.self) { try choice.make(request) }
        #expect(error?.description == "-accel kvm: There is no device")
    }

    @Test("A list falls back, and says from what")
    func list() throws {
        let choice = EngineChoice([missing(.kvm, "device"), candidate(.translator, "tcg")])
        let engine = try choice.make(request(.kvm, .translator))
        #expect(engine.name == "tcg")
        #expect(engine.reason == "fallback: -accel kvm: There is no device")
    }

    @Test("By trial, an engine that does not come to the end loses, whatever stands first")
    func slowLoses() throws {
        var choice = EngineChoice([candidate(.kvm, "kvm", ends: false), candidate(.translator, "tcg")])
        choice.trialLimit = 20_000_000
        let engine = try choice.make(request(.automatic))
        #expect(engine.name == "tcg")
        #expect(engine.reason.contains("kvm does not end it, tcg "))
    }

    @Test("By trial, what opens is taken")
    func whatOpens() throws {
        let one = EngineChoice([missing(.kvm, "device"), candidate(.translator, "tcg")])
        #expect(try one.make(request(.automatic)).name == "tcg")
        let other = EngineChoice([candidate(.kvm, "kvm"), missing(.translator, "code")])
        #expect(try other.make(request(.automatic)).name == "kvm")
        let none = EngineChoice([missing(.kvm, "device"), missing(.translator, "code")])
        let automatic = try request(.automatic)
        let error = #expect(throws: MachineBuildError.self) { try none.make(automatic) }
        #expect(error?.description.contains("There is no device") == true)
        #expect(error?.description.contains("There is no code") == true)
    }

    @Test("The engines of the program itself: a KVM that emulates loses against software")
    func real() throws {
        let engine = try EngineChoice().make(request(.automatic))
        #expect(engine.reason.hasPrefix("trial of"))
        print(engine.name, engine.reason)
    }
}
