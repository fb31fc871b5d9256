import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Synchronization
import Testing
import TranslatorEngine

@Suite("One state for all engines", .serialized, .enabled(if: Host.isThere, Host.reason))
struct MigrationTests {
    static let movable = GuestProgram.all.filter {
        $0.processors == 1 && $0.needs.isDisjoint(with: Host.lacking) && $0.ending != .halted
    }

    private func makeSoftware(_ memory: AddressSpace) throws -> SoftwareEngine {
        try SoftwareEngine(
            SoftwareEngineRequest(
                memory: memory, apicIDs: [0], model: try Host.model(), now: { HostClock.monotonic },
                wallClock: { HostClock.realtime }))
    }

    @Test("A guest that changes its engine all the time ends as on one", arguments: movable)
    func moves(program: GuestProgram) throws {
        let memory = try program.makeMemory()
        let hardware = try Host.makeEngine(memory)
        let software = try makeSoftware(memory)
        let answers = Answers()
        var state = hardware.processors[0].state
        program.enter(&state)
        let end = HostClock.monotonic + 60_000_000_000
        var moves = 0
        software.processors[0].reset()
        while answers.ending == nil, HostClock.monotonic < end {
            let now = HostClock.monotonic
            if moves % 2 == 0 {
                if moves > 0 { try hardware.processors[0].setLocalAPIC(software.processors[0].localAPIC, now: now) }
                state = try run(hardware.processors[0], from: state, answers)
            } else {
                software.processors[0].localAPIC = try hardware.processors[0].localAPIC(now: now)
                state = try run(software.processors[0], from: state, answers)
            }
            moves += 1
        }
        #expect(moves > 1 || answers.ending != nil)
        let outcome = GuestOutcome(
            ending: answers.ending ?? .timeOut, state: state, output: answers.output, exits: 0, nanoseconds: 0)
        #expect(program.differences(outcome, memory: memory) == [])
    }

    /// Runs until the next exit was answered, or for a short time, and ends the instruction at hand.
    private func run<P: Processor>(
        _ processor: P, from state: apus_x86_state, _ answers: Answers
    ) throws -> apus_x86_state where P.State == apus_x86_state {
        processor.state = state
        let kicker = try HostThread(name: "kicker") {
            Bell().wait(nanoseconds: 200_000)
            processor.kick()
        }
        var isInterrupted = answers.take(processor.run(), processor)
        kicker.join()
        // What was begun is ended on the engine that began it.
        for _ in 0..<1000 where answers.ending == nil && !(isInterrupted && !processor.hasOutstandingAccess) {
            processor.kick()
            isInterrupted = answers.take(processor.run(), processor)
        }
        // A kick that is left from the end of the run must not shorten the next.
        return processor.state
    }

    /// What the machine around the guest knows.
    private final class Answers: Sendable {
        private struct State {
            var ending: GuestProgram.Ending?
            var output: [UInt8] = []
            var device: [UInt64: UInt8] = [:]
        }
        private let state = Mutex(State())

        var ending: GuestProgram.Ending? { state.withLock { $0.ending } }
        var output: [UInt8] { state.withLock { $0.output } }

        /// Answers an exit as `GuestRunner` does. True where it is an interruption.
        func take<P: Processor>(_ exit: Exit, _ processor: P) -> Bool {
            state.withLock { state in
                switch exit {
                case .portRead: processor.complete(read: UInt64(GuestLayout.portAnswer))
                case .portWrite(GuestLayout.exitPort, _, let value):
                    state.ending = .exit(UInt8(truncatingIfNeeded: value))
                case .portWrite(GuestLayout.outputPort, let size, let value):
                    for index in 0..<size {
                        state.output.append(UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))))
                    }
                case .mmioWrite(GuestLayout.exitAddress, _, let value):
                    state.ending = .exit(UInt8(truncatingIfNeeded: value))
                case .mmioRead(let address, let size):
                    let value = (0..<UInt64(size)).reduce(0) {
                        $0 | UInt64(state.device[address + $1] ?? 0xFF) << ($1 * 8)
                    }
                    processor.complete(read: value)
                case .mmioWrite(let address, let size, let value):
                    for index in 0..<UInt64(size) {
                        state.device[address + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
                    }
                case .interruptAcknowledge: processor.acknowledge(vector: nil)
                case .shutdown: state.ending = .shutdown
                case .error(let words): state.ending = .failed(words)
                case .halt, .debug, .portWrite, .endOfInterrupt: break
                case .interrupted: return true
                }
                return false
            }
        }
    }

    // MARK: The local APIC

    /// The software engine at the word of a guest that it is ready for interrupts.
    private func readySoftware(_ memory: AddressSpace, _ program: GuestProgram) throws -> SoftwareEngine {
        let software = try makeSoftware(memory)
        let processor = software.processors[0]
        processor.reset()
        var state = processor.state
        program.enter(&state)
        processor.state = state
        let answers = Answers()
        while answers.output.isEmpty { _ = answers.take(processor.run(), processor) }
        for _ in 0..<1000 {
            processor.kick()
            if processor.run() == .interrupted, !processor.hasOutstandingAccess { break }
        }
        return software
    }

    @Test("A guest's local APIC goes with it from the software engine to KVM, a request in it too")
    func localAPICToHardware() throws {
        let program = GuestProgram("interrupt", mode: .long, code: Code.interrupt)
        let memory = try program.makeMemory()
        let software = try readySoftware(memory, program)
        var apic = software.processors[0].localAPIC
        #expect(apic.svr & 0x100 != 0)
        apic.irr.1 |= 1 << 16  // vector 30H
        let hardware = try Host.makeEngine(memory)
        hardware.processors[0].state = software.processors[0].state
        try hardware.processors[0].setLocalAPIC(apic, now: HostClock.monotonic)
        let back = try hardware.processors[0].localAPIC(now: HostClock.monotonic)
        #expect(back.svr == apic.svr && back.irr.1 == apic.irr.1 && back.lvt.3 == apic.lvt.3)
        #expect(back.base == apic.base && back.id == apic.id)
        let outcome = try GuestRunner(hardware).run(milliseconds: 60_000)
        #expect(outcome.ending == .exit(0))
        #expect(try memory.load(GuestPhysical(0x10_0000), as: UInt32.self) == 1)
    }

    @Test("And from KVM to the software engine")
    func localAPICToSoftware() throws {
        let program = GuestProgram("interrupt", mode: .long, code: Code.interrupt)
        let memory = try program.makeMemory()
        let hardware = try Host.makeEngine(memory)
        let processor = hardware.processors[0]
        var state = processor.state
        program.enter(&state)
        processor.state = state
        let answers = Answers()
        while answers.output.isEmpty { _ = answers.take(processor.run(), processor) }
        var apic = try processor.localAPIC(now: HostClock.monotonic)
        apic.irr.1 |= 1 << 16
        let software = try makeSoftware(memory)
        software.processors[0].reset()
        software.processors[0].state = processor.state
        software.processors[0].localAPIC = apic
        let outcome = try GuestRunner(software).run(milliseconds: 60_000)
        #expect(outcome.ending == .exit(0))
        #expect(try memory.load(GuestPhysical(0x10_0000), as: UInt32.self) == 1)
    }

    @Test("A timer that runs goes on in KVM")
    func timer() throws {
        let program = GuestProgram("interrupt", mode: .long, code: Code.interrupt)
        let memory = try program.makeMemory()
        let software = try readySoftware(memory, program)
        var apic = software.processors[0].localAPIC
        let now = HostClock.monotonic
        apic.lvt.0 = 0x30  // once, vector 30H
        apic.timer_divide = 3  // by 16
        apic.timer_initial = 100_000_000
        apic.timer_deadline_ns = now + 20_000_000
        let hardware = try Host.makeEngine(memory)
        hardware.processors[0].state = software.processors[0].state
        try hardware.processors[0].setLocalAPIC(apic, now: now)
        let back = try hardware.processors[0].localAPIC(now: now)
        #expect(back.timer_initial == apic.timer_initial && back.timer_divide == 3)
        #expect(back.timer_deadline_ns <= apic.timer_deadline_ns + 16)
        let outcome = try GuestRunner(hardware).run(milliseconds: 60_000)
        #expect(outcome.ending == .exit(0))
        #expect(try memory.load(GuestPhysical(0x10_0000), as: UInt32.self) == 1)
    }

    @Test("No state of a local APIC, however wrong, does harm")
    func hostileLocalAPIC() throws {
        let bench = try Bench([0xF4], .protected)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<500 {
            var apic = apus_local_apic()
            unsafe withUnsafeMutableBytes(of: &apic) { bytes in
                for index in bytes.indices {
                    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    unsafe bytes[index] = UInt8(truncatingIfNeeded: random >> 33)
                }
            }
            // Set or refused in words, and still readable.
            do { try bench.processor.setLocalAPIC(apic, now: random) } catch {
                #expect("\(error)".contains("local APIC"))
            }
            #expect(try bench.processor.localAPIC(now: 0).id == 0)
        }
        bench.processor.reset()
        bench.processor.kick()
        #expect(bench.processor.run() == .interrupted)
    }
}
