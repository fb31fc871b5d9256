public import CEngine
public import Execution
public import GuestMemory
internal import HostOS
internal import Synchronization

/// What came of a run.
public struct GuestOutcome: Sendable {
    /// How it ended.
    public var ending: GuestProgram.Ending
    /// The first processor at the end.
    public var state: apus_x86_state
    /// Bytes written to the output port.
    public var output: [UInt8]
    /// Exits that were answered, by all processors.
    public var exits: Int
    /// Nanoseconds of the run.
    public var nanoseconds: UInt64

    /// An outcome of all parts.
    public init(
        ending: GuestProgram.Ending, state: apus_x86_state, output: [UInt8], exits: Int, nanoseconds: UInt64
    ) {
        self.ending = ending
        self.state = state
        self.output = output
        self.exits = exits
        self.nanoseconds = nanoseconds
    }
}

/// Runs a program on the processors of an engine, with a time-out, and answers their exits.
public final class GuestRunner<E: Engine>: Sendable where E.CPU.State == apus_x86_state {
    private struct State: Sendable {
        var ending: GuestProgram.Ending?
        var output: [UInt8] = []
        var device: [UInt64: UInt8] = [:]
        var exits = 0
    }
    private let engine: E
    private let state = Mutex(State())
    private let ended = Atomic<Bool>(false)

    /// A runner of an engine whose memory holds the program.
    public init(_ engine: E) { self.engine = engine }

    /// Runs from the program's first instruction. Every processor's thread is gone afterwards.
    public func run(_ program: GuestProgram, milliseconds: UInt64 = 60_000) throws -> GuestOutcome {
        for processor in engine.processors {
            processor.reset()
            var waiting = processor.state
            waiting.waiting_for_sipi = processor.index == 0 ? 0 : 1
            processor.state = waiting
        }
        var entry = engine.processors[0].state
        program.enter(&entry)
        engine.processors[0].state = entry
        return try run(milliseconds: milliseconds, sleepIsEnd: program.ending == .halted)
    }

    /// Runs from where the processors are.
    public func run(milliseconds: UInt64, sleepIsEnd: Bool = false) throws -> GuestOutcome {
        state.withLock { $0 = State() }
        ended.store(false, ordering: .relaxed)
        let start = HostClock.monotonic
        let finish = Bell()
        let threads = try engine.processors.map { processor in
            try HostThread(name: "guest \(processor.index)", stackSize: 8 << 20) { [self] in
                loop(processor)
                finish.ring()
            }
        }
        // A guest that sleeps cannot tell: it is looked at after a while, and again while it does not sleep yet.
        let limit = start + (sleepIsEnd ? 50 : milliseconds) * 1_000_000
        while !ended.load(ordering: .acquiring), HostClock.monotonic < limit {
            finish.wait(nanoseconds: limit - min(limit, HostClock.monotonic))
        }
        let stop = HostClock.monotonic
        end(sleepIsEnd ? .halted : .timeOut)
        for thread in threads { thread.join() }
        let final = engine.processors[0].state
        let outcome = state.withLock { state in
            GuestOutcome(
                ending: state.ending ?? .timeOut, state: final, output: state.output, exits: state.exits,
                nanoseconds: stop - start)
        }
        guard outcome.ending == .halted, final.halted == 0 else { return outcome }
        let spent = (stop - start) / 1_000_000 + 1
        guard spent < milliseconds else {
            var late = outcome
            late.ending = .timeOut
            return late
        }
        return try run(milliseconds: milliseconds - spent, sleepIsEnd: true)
    }

    private func end(_ ending: GuestProgram.Ending) {
        state.withLock { $0.ending = $0.ending ?? ending }
        ended.store(true, ordering: .releasing)
        for processor in engine.processors { processor.kick() }
    }

    private func loop(_ processor: E.CPU) {
        while true {
            let exit = processor.run()
            state.withLock { $0.exits += 1 }
            switch exit {
            case .portRead: processor.complete(read: UInt64(GuestLayout.portAnswer))
            case .portWrite(GuestLayout.exitPort, _, let value): end(.exit(UInt8(truncatingIfNeeded: value)))
            case .portWrite(GuestLayout.outputPort, let size, let value):
                state.withLock { state in
                    for index in 0..<size {
                        state.output.append(UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))))
                    }
                }
            case .mmioWrite(GuestLayout.exitAddress, _, let value): end(.exit(UInt8(truncatingIfNeeded: value)))
            case .mmioRead(let address, let size):
                processor.complete(
                    read: state.withLock { state in
                        (0..<UInt64(size)).reduce(0) { $0 | UInt64(state.device[address + $1] ?? 0xFF) << ($1 * 8) }
                    })
            case .mmioWrite(let address, let size, let value):
                state.withLock { state in
                    for index in 0..<UInt64(size) {
                        state.device[address + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
                    }
                }
            case .interruptAcknowledge: processor.acknowledge(vector: nil)
            case .shutdown: end(.shutdown)
            case .error(let words): end(.failed(words))
            case .halt: if ended.load(ordering: .acquiring) { return }
            case .interrupted, .debug(_):
                if ended.load(ordering: .acquiring) { return }
            case .portWrite, .endOfInterrupt: break
            }
            if case .shutdown = exit { return }
            if case .error = exit { return }
        }
    }
}

extension GuestProgram {
    /// What differs from the expected end, one line each.
    public func differences(_ outcome: GuestOutcome, memory space: AddressSpace) -> [String] {
        var lines: [String] = []
        if outcome.ending != ending { lines.append("ended by \(outcome.ending), not \(ending)") }
        let state = outcome.state
        let general = unsafe withUnsafeBytes(of: state.gpr) { bytes in
            // SAFETY: the tuple is 16 words.
            (0..<16).map { unsafe bytes.load(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
        for (register, value) in registers.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where general[register.rawValue] != value {
            let found = String(general[register.rawValue], radix: 16)
            lines.append("\(register) is \(found), not \(String(value, radix: 16))")
        }
        if (state.rflags ^ flags.value) & flags.mask != 0 {
            lines.append(
                "flags are \(String(state.rflags & flags.mask, radix: 16)), not \(String(flags.value, radix: 16))")
        }
        for piece in self.memory {
            let found = (try? space.bytes(GuestPhysical(piece.address), count: piece.bytes.count)) ?? []
            if found != piece.bytes {
                lines.append("memory at \(String(piece.address, radix: 16)) is \(found), not \(piece.bytes)")
            }
        }
        if outcome.output != output { lines.append("output is \(outcome.output), not \(output)") }
        return lines
    }
}
