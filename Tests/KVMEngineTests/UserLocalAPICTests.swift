import CEngine
import Execution
import GuestMemory
import GuestPrograms
import HostOS
import KVMEngine
import Synchronization
import Testing

@Suite("Local APICs outside of KVM", .serialized, .enabled(if: Host.isThere, Host.reason))
struct UserLocalAPICTests {
    private func bench(_ code: [UInt8], _ mode: GuestProgram.Mode = .long) throws -> Bench {
        try Bench(code, mode) { $0.hasUserLocalAPICs = true }
    }
    /// Runs to the guest's word that it is ready.
    private func start(_ code: [UInt8]) throws -> Bench {
        let bench = try bench(code)
        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        return bench
    }

    @Test("A message wakes a guest that halts, through its IDT")
    func message() throws {
        let bench = try start(Code.interrupt)
        let engine = bench.engine
        let sender = try HostThread(name: "sender") {
            Bell().wait(nanoseconds: 20_000_000)
            engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        }
        #expect(try bench.finish().count == 1)
        sender.join()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("A message that comes before HLT is not lost")
    func early() throws {
        let bench = try start(Code.interrupt)
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        #expect(try bench.finish().count == 1)
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("Of messages to others, of every kind, nothing comes")
    func strayMessages() throws {
        let bench = try start(Code.interrupt)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<2000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let destination = max(1, random >> 33 & 0x7F)
            bench.engine.deliverMSI(
                address: 0xFEE0_0000 | destination << 12, data: UInt32(truncatingIfNeeded: random))
            bench.engine.deliverMSI(address: random | 1 << 40, data: 0x30)
        }
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        try bench.finish()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("The end of a level-triggered message comes out, that of an edge does not")
    func endOfInterrupt() throws {
        let bench = try start(Code.interrupt)
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0xC030)
        #expect(try bench.finish().contains(.endOfInterrupt(vector: 0x30)))
        let other = try start(Code.interrupt)
        other.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        #expect(try other.finish() == [.portWrite(port: GuestLayout.exitPort, size: 1, value: 0)])
    }

    @Test("The 8259A's line asks for its vector")
    func external() throws {
        let bench = try start(Code.external)
        let engine = bench.engine
        let raiser = try HostThread(name: "raiser") {
            Bell().wait(nanoseconds: 20_000_000)
            engine.setExternalInterrupt(true)
        }
        #expect(try bench.next() == .interruptAcknowledge)
        raiser.join()
        engine.setExternalInterrupt(false)
        bench.processor.acknowledge(vector: 0x31)
        try bench.finish()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("A non-maskable interrupt wakes a guest with interrupts off")
    func nonMaskable() throws {
        let bench = try start(Code.nonMaskable)
        let processor = bench.processor
        let poster = try HostThread(name: "poster") {
            Bell().wait(nanoseconds: 20_000_000)
            processor.injectNMI()
        }
        try bench.finish()
        poster.join()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("Its timer counts, stands while the machine does, and wakes the guest")
    func timer() throws {
        let bench = try start(Code.interrupt)
        let now: UInt64 = 1_000_000_000
        var apic = try bench.processor.localAPIC(now: now)
        #expect(apic.svr & 0x100 != 0)
        apic.lvt.0 = 0x30  // once, vector 30H
        apic.timer_divide = 3
        apic.timer_initial = 10_000_000
        apic.timer_deadline_ns = now + 200_000_000
        try bench.processor.setLocalAPIC(apic, now: now)
        let back = try bench.processor.localAPIC(now: now)
        #expect(back.timer_deadline_ns <= apic.timer_deadline_ns && back.timer_deadline_ns > now)
        bench.engine.timeStopped()
        let stopped = HostClock.monotonic
        Bell().wait(nanoseconds: 100_000_000)
        bench.engine.timeStarted()
        try bench.finish()
        // 200 ms were left, less what the test took between.
        #expect(HostClock.monotonic - stopped >= 200_000_000)
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("A kick fetches a processor that halts, and one that waits for a start-up message")
    func kick() throws {
        let bench = try bench([0xF4], .protected)
        let processor = bench.processor
        func kicked() throws -> Exit {
            let kicker = try HostThread(name: "kicker") {
                Bell().wait(nanoseconds: 20_000_000)
                processor.kick()
            }
            defer { kicker.join() }
            return try bench.next()
        }
        #expect(try kicked() == .interrupted)
        var state = processor.state
        #expect(state.halted == 1)
        state.waiting_for_sipi = 1
        processor.state = state
        #expect(try kicked() == .interrupted)
        #expect(processor.state.waiting_for_sipi == 1)
        // INIT and start-up: real mode at the page, registers as after power-on.
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x500)
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x620)
        #expect(processor.state.cr0 & 1 == 1, "nothing happens before the processor runs")
        // A kick may end a run before it has looked at its events.
        for _ in 0..<100 where processor.state.cr0 & 1 == 1 {
            processor.kick()
            _ = processor.run()
        }
        #expect(processor.state.cr0 & 1 == 0)
    }

    @Test("A guest's local APIC goes to KVM's own and back, a request in it too")
    func moves() throws {
        let program = GuestProgram("interrupt", mode: .long, code: Code.interrupt)
        for (from, to) in [(true, false), (false, true)] {
            let bench = try Bench(Code.interrupt, .long) { $0.hasUserLocalAPICs = from }
            _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
            let memory = bench.memory
            let other = try Host.makeEngine(memory) { $0.hasUserLocalAPICs = to }
            var apic = try bench.processor.localAPIC(now: HostClock.monotonic)
            apic.irr.1 |= 1 << 16  // vector 30H
            other.processors[0].state = bench.processor.state
            try other.processors[0].setLocalAPIC(apic, now: HostClock.monotonic)
            let outcome = try GuestRunner(other).run(milliseconds: 60_000)
            #expect(outcome.ending == .exit(0), "\(program) from \(from)")
            #expect(try memory.load(GuestPhysical(0x10_0000), as: UInt32.self) == 1)
        }
    }

    @Test("No state of a local APIC, however wrong, does harm")
    func hostileState() throws {
        let bench = try bench([0xF4], .protected)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<500 {
            var apic = apus_local_apic()
            unsafe withUnsafeMutableBytes(of: &apic) { bytes in
                for index in bytes.indices {
                    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    unsafe bytes[index] = UInt8(truncatingIfNeeded: random >> 33)
                }
            }
            do { try bench.processor.setLocalAPIC(apic, now: random) } catch {
                #expect("\(error)".contains("local APIC"))
            }
            #expect(try bench.processor.localAPIC(now: 0).id == 0)
        }
        bench.processor.reset()
        bench.processor.kick()
        #expect(bench.processor.run() == .interrupted)
    }

    @Test("A guest ends in its expected state", arguments: GuestProgram.all)
    func endsAsExpected(program: GuestProgram) throws {
        let lacking = program.needs.intersection(Host.lacking)
        guard lacking.isEmpty else {
            print("Skipped '\(program)': this KVM has no \(lacking.names)")
            return
        }
        let memory = try program.makeMemory()
        let engine = try Host.makeEngine(memory, processors: program.processors) { $0.hasUserLocalAPICs = true }
        let outcome = try GuestRunner(engine).run(program)
        #expect(program.differences(outcome, memory: memory) == [])
    }
}
