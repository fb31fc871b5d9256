import CEngine
import Execution
import Synchronization
import TestSupport
import Testing
import TranslatorEngine
import X86

/// Counted instructions: whatever executes the code, a limit comes after the same instruction.
struct CountedInstructionTests {
    /// Time of one nanosecond an instruction, with a limit after every few, at each of which the processor is looked at.
    private final class Limits: InstructionTime, @unchecked Sendable {
        /// Where the processor was when so many instructions had been executed.
        struct Place: Equatable {
            var executed: UInt64
            var rip: UInt64
            var gpr: [UInt64]
        }
        private struct State {
            var random = SplitMix64(state: 0)
            var next: UInt64 = .max
            var places: [Place] = []
            var origin: UInt64 = 0
        }
        private let state = Mutex(State())
        private let executed = Mutex<@Sendable () -> UInt64>({ 0 })
        /// Set before anything runs.
        weak var processor: SoftwareProcessor?

        func connect(executed: @escaping @Sendable () -> UInt64, deadlineMoved: @escaping @Sendable () -> Void) {
            self.executed.withLock { $0 = executed }
        }
        var now: UInt64 { executed.withLock { $0() } }
        func instructions(until deadline: UInt64?) -> UInt64 {
            let next = state.withLock { $0.next }
            return next > now ? next - now : 1
        }
        func limitReached(wait: (UInt64) -> Void) {
            guard let processor else { return }
            let now = now
            let registers = processor.state
            let gpr = unsafe withUnsafeBytes(of: registers.gpr) { words in
                (0..<16).map { unsafe words.load(fromByteOffset: $0 * 8, as: UInt64.self) }
            }
            state.withLock { state in
                state.places.append(Place(executed: now - state.origin, rip: registers.rip, gpr: gpr))
                state.next = now + 1 + state.random.below(30)
            }
        }
        func idle(until deadline: UInt64?, wait: (UInt64?) -> Void) {}

        /// The places until now; begins anew.
        func take(seed: UInt64) -> [Place] {
            let now = now
            return state.withLock { state in
                defer {
                    state = State(random: SplitMix64(state: seed))
                    state.origin = now
                    state.next = now + 1 + state.random.below(30)
                }
                return state.places
            }
        }
    }

    private struct Guest {
        let guest: UserGuest
        let limits = Limits()

        init(threshold: UInt64?, promotion: Int32) throws {
            let time = limits
            guest = try UserGuest(threshold: threshold, promotion: promotion) { request in
                request.instructionTime = time
                request.now = { time.now }
            }
            limits.processor = guest.machine.cpu
        }
    }

    @Test(arguments: [(21, false), (22, false), (23, true)] as [(UInt64, Bool)])
    func limitsComeAfterTheSameInstruction(seed: UInt64, isNarrow: Bool) throws {
        let guests = try [
            Guest(threshold: nil, promotion: 2048), Guest(threshold: 1, promotion: 2048), Guest(threshold: 1, promotion: 0),
        ]
        let model = guests[0].guest.machine.model
        var generator = InstructionGenerator(
            seed: seed, hasTZCNT: model.has("bmi1"), isNarrow: isNarrow,
            definesFlags: InstructionGenerator.hostKeepsFlags)
        var places = 0
        for round in 0..<UInt64(300 * FuzzRounds.factor) {
            let item = generator.makeCase()
            var data: [UInt8] = []
            while data.count < UserCase.dataCount { data += generator.bytes(generator.value(), 8) }
            var found: [[Limits.Place]] = []
            for guest in guests {
                _ = guest.limits.take(seed: round)
                _ = guest.guest.run(item, data: data)
                found.append(guest.limits.take(seed: 0))
            }
            places += found[0].count
            for other in found.dropFirst() where other != found[0] {
                let index = zip(found[0], other).prefix { $0 == $1 }.count
                Issue.record(
                    """
                    seed \(seed) round \(round), limit \(index) of \(found[0].count) and \(other.count): \
                    \(found[0].dropFirst(index).first.map { "\($0)" } ?? "none"), then \
                    \(other.dropFirst(index).first.map { "\($0)" } ?? "none")\
                    \(RandomSequenceTests.listing(item, until: .max))
                    """)
                return
            }
        }
        #expect(places > 300)
    }

    /// A counted loop: the time-stamp counter tells the instructions before each RDTSC.
    @Test(arguments: [nil, 1] as [UInt64?])
    func theCounterTellsInstructions(threshold: UInt64?) throws {
        let guest = try Guest(threshold: threshold, promotion: 0)
        var item = UserCase()
        item.gpr[4] = UserCase.dataBase + 0x1000
        // rdtsc; mov r8, rax; 3 × nop; rdtsc; sub rax, r8; mov ecx, 5; l: dec ecx; jnz l; mov r9, rax; rdtsc; sub rax, r8
        item.code = [
            0x0f, 0x31, 0x49, 0x89, 0xc0, 0x90, 0x90, 0x90, 0x0f, 0x31, 0x4c, 0x29, 0xc0, 0xb9, 5, 0, 0, 0, 0xff, 0xc9,
            0x75, 0xfc, 0x49, 0x89, 0xc1, 0x0f, 0x31, 0x4c, 0x29, 0xc0,
        ]
        let outcome = guest.guest.run(item, data: [UInt8](repeating: 0, count: UserCase.dataCount))
        #expect(outcome.vector == 3)
        // RDTSC itself, MOV and three NOPs; then SUB, MOV, ten of the loop, MOV and the second RDTSC.
        #expect(outcome.gpr[9] == 5)
        #expect(outcome.gpr[0] == 5 + 14)
    }
}
