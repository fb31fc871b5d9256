import CEngine
import Foundation
import GuestMemory
import HostOS
import TestSupport
import Testing
import TranslatorEngine

/// Copies of a machine go on with the code of their parent. Here they come after it in one process, as only one can have
/// the code at its addresses.
@Suite(.serialized) struct CopiedCodeTests {
    private typealias Place = SystemGuest.Place

    /// A parent that has run, and what a copy of it takes.
    private struct Frozen {
        let code: [HostOS.Descriptor]
        let memory: [UInt8]
    }
    private func bytes(_ machine: GuestMachine) -> [UInt8] {
        // SAFETY: the block's own bytes, and no processor runs.
        unsafe [UInt8](UnsafeRawBufferPointer(start: machine.block.base, count: machine.block.size))
    }
    /// What copies get. A child that another test forks has views of all memory files while it lives, and the host seals
    /// none that somebody may write: what is to be had is asked for until it is.
    private func freeze(_ machine: GuestMachine) -> Frozen? {
        for _ in 0..<100 {
            let code = machine.engine.freezeCode(of: [machine.block])
            if !code.isEmpty { return Frozen(code: code, memory: bytes(machine)) }
            Thread.sleep(forTimeInterval: 0.02)
        }
        return nil
    }
    /// Gives a copy what was frozen. Tests beside this one may have taken the address space that translators need: what is
    /// to be had is asked for until it is.
    private func adopt(_ frozen: Frozen, in machine: GuestMachine, once: Bool = false) -> Bool {
        // SAFETY: as above; both blocks are as long.
        unsafe frozen.memory.withUnsafeBytes {
            unsafe machine.block.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
        for _ in 0..<(once ? 1 : 400) {
            if machine.engine.adoptCode(frozen.code, of: [machine.block]) { return true }
            Thread.sleep(forTimeInterval: 0.05)
        }
        return false
    }

    /// A guest that has run and translated.
    private func run(_ make: () throws -> SystemGuest) throws -> SystemGuest {
        for _ in 0..<200 {
            let guest = try make()
            #expect(guest.run() == .port(150))
            if try translated(guest.machine) > 0 { return guest }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw HostError.noDescriptor("find room for a translator")
    }
    private func translated(_ machine: GuestMachine) throws -> Int {
        let lines = machine.engine.translationStatistics ?? []
        let line = try #require(lines.first { $0.hasPrefix("TB translated") })
        return try #require(line.split(separator: " ").last.flatMap { Int($0) })
    }

    /// A function at 8800H returns a constant that is added up thirty times.
    private func adder() throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: 1)
        guest.code([0xb8, 5, 0, 0, 0, 0xc3], at: 0x8800)
        guest.code([
            0x31, 0xdb,  // xor ebx, ebx
            0xb9, 30, 0, 0, 0,  // mov ecx, 30
            0xe8, 0xf4, 0x07, 0x00, 0x00,  // again: call 8800H
            0x01, 0xc3,  // add ebx, eax
            0xff, 0xc9,  // dec ecx
            0x75, 0xf5,  // jnz again
            0x89, 0xd8, 0xe7, 0xf4, 0xf4,
        ])
        return guest
    }

    @Test func copiesTranslateNothingAgain() throws {
        var guest: SystemGuest? = try run(adder)
        var frozen = try #require(guest.flatMap { freeze($0.machine) })
        let state = try SystemGuest(.long, threshold: 1).cpu.state
        // A copy, and a copy of it.
        for _ in 0..<2 {
            guest = nil
            let copy = try SystemGuest(.long, threshold: 1)
            #expect(adopt(frozen, in: copy.machine))
            copy.cpu.state = state
            #expect(copy.run() == .port(150))
            #expect(try translated(copy.machine) == 0)
            frozen = try #require(freeze(copy.machine))
            guest = copy
        }
    }

    /// The parent goes on after its files are its copies', and later copies have what it made since.
    @Test func parentsGoOn() throws {
        let state = try SystemGuest(.long, threshold: 1).cpu.state
        var guest: SystemGuest? = try run(adder)
        let first = try #require(guest.flatMap { freeze($0.machine) })
        // Code of a page that copies see as it was, linked and dropped, and code that is new.
        guest?.machine.write(0x8801, [7])
        guest?.cpu.state = state
        #expect(guest?.run() == .port(210))
        let later = try #require(guest.flatMap { freeze($0.machine) })
        // All is dropped and made anew.
        guest?.cpu.reset()
        guest?.cpu.state = state
        #expect(guest?.run() == .port(210))
        guest = nil
        for (frozen, result) in [(first, UInt32(150)), (later, 210)] {
            let copy = try SystemGuest(.long, threshold: 1)
            #expect(adopt(frozen, in: copy.machine))
            copy.cpu.state = state
            #expect(copy.run() == .port(result))
            #expect(try translated(copy.machine) == 0)
        }
    }

    /// What a copy's devices and its own code write over its parent's code is executed, and not what was there.
    @Test func copiesChangeTheirOwnCode() throws {
        var guest: SystemGuest? = try run(adder)
        let frozen = try #require(guest.flatMap { freeze($0.machine) })
        guest = nil
        let copy = try SystemGuest(.long, threshold: 1)
        let state = copy.cpu.state
        #expect(adopt(frozen, in: copy.machine))
        copy.machine.write(0x8801, [7])
        copy.cpu.state = state
        #expect(copy.run() == .port(210))
        // The loop's own count of turns, from another place of its code.
        copy.code([0xc6, 0x04, 0x25, 0x03, 0x80, 0, 0, 10, 0xe9, 0xf3, 0xef, 0xff, 0xff], at: 0x9000)
        var other = state
        other.rip = 0x9000
        copy.cpu.state = other
        #expect(copy.run() == .port(70))
    }

    /// Everything is dropped and made anew where its parent's code lay.
    @Test func copiesForgetTheirParentsCode() throws {
        var guest: SystemGuest? = try run(adder)
        let frozen = try #require(guest.flatMap { freeze($0.machine) })
        guest = nil
        let copy = try SystemGuest(.long, threshold: 1)
        let state = copy.cpu.state
        #expect(adopt(frozen, in: copy.machine))
        copy.cpu.state = state
        #expect(copy.run() == .port(150))
        copy.cpu.reset()
        copy.cpu.state = state
        #expect(copy.run() == .port(150))
        #expect(try translated(copy.machine) > 0)
    }

    @Test func whatDoesNotFitIsLeft() throws {
        var guest: SystemGuest? = try run(adder)
        let frozen = try #require(guest.flatMap { freeze($0.machine) })
        // Its parent is still there, at the same addresses.
        let other = try SystemGuest(.long, threshold: 1)
        #expect(!adopt(frozen, in: other.machine, once: true))
        // Memory that copies would not have.
        #expect(guest?.machine.engine.freezeCode(of: []).isEmpty == true)
        guest = nil
        // Another processor, other numbers of them, another size of the code, interpreters, files that anybody can change.
        let changes: [(inout SoftwareEngineRequest) -> Void] = [
            { $0.apicIDs = [0, 1] }, { $0.translationCapacity = 1 << 20 }, { $0.translationThreshold = nil },
            { $0.verifiesTranslation = true },
        ]
        for change in changes {
            let copy = try GuestMachine(threshold: 1, change: change)
            #expect(!adopt(frozen, in: copy, once: true))
        }
        let plain = try GuestMachine(named: "qemu64", threshold: 1)
        #expect(!adopt(frozen, in: plain, once: true))
        let open = try HostOS.Descriptor.memoryFile(name: "open", count: 1 << 20, canBeSealed: true)
        let last = try SystemGuest(.long, threshold: 1)
        #expect(!last.machine.engine.adoptCode([open], of: [last.machine.block]))
        try open.seal()
        #expect(!last.machine.engine.adoptCode([open], of: [last.machine.block]))
        // And it translates for itself.
        last.code([0xb0, 9] + SystemGuest.end)
        #expect(last.run() == .port(9))
    }

    /// Runs while another thread kicks the processor, as a guest may sleep for ever.
    private func kicked(
        _ guest: PrivilegedGuest, _ body: (PrivilegedGuest) -> PrivilegedGuest.Outcome
    ) throws -> PrivilegedGuest.Outcome {
        let stopper = PrivilegedGuest.Stopper([guest])
        let thread = try HostThread(name: "kicks") { stopper.run() }
        defer {
            stopper.stop()
            thread.join()
        }
        return body(guest)
    }

    /// Random code at every privilege does in copies what it does for the interpreter, in both tiers.
    @Test(arguments: PrivilegedCase.Mode.allCases)
    func randomCodeGoesOn(mode: PrivilegedCase.Mode) throws {
        let interpreted = try PrivilegedGuest(threshold: .max, promotion: 2048)
        var (again, before, compared, adopted) = (0, 0, 0, 0)
        for seed in UInt64(0)..<UInt64(4 * FuzzRounds.factor) {
            for level in mode.levels {
                var generator = PrivilegedGenerator(seed: 1000 + seed << 8 | level, guest: interpreted)
                let item = generator.makeCase(mode, level: level)
                let expected = try kicked(interpreted) { $0.run(item) }
                guard item.isTimeless, expected.end != .endless, !expected.isDisturbed else { continue }
                let promotion: Int32 = seed & 1 == 0 ? 0 : 2048
                var guest: PrivilegedGuest? = try PrivilegedGuest(threshold: 1, promotion: promotion)
                _ = try guest.map { try kicked($0) { $0.run(item) } }
                for _ in 0..<2 {
                    // Nothing of it may be left when its copy takes its place.
                    guest?.restoreMemory(item)
                    before += try guest.map { try translated($0.machine) } ?? 0
                    // What is the interpreter's has nothing to give.
                    guard let frozen = guest.flatMap({ freeze($0.machine) }) else { break }
                    guest = nil
                    let copy = try PrivilegedGuest(threshold: 1, promotion: promotion)
                    guard adopt(frozen, in: copy.machine) else {
                        Issue.record("\(mode), level \(level), seed \(seed): not taken")
                        break
                    }
                    adopted += 1
                    let outcome = try kicked(copy) { $0.runAgain(item) }
                    if outcome.isDisturbed { break }
                    again += try translated(copy.machine)
                    compared += 1
                    let found = RandomPrivilegeTests.differences(outcome, expected)
                    #expect(found.isEmpty, "\(mode), level \(level), seed \(seed), promotion \(promotion): \(found)")
                    #expect(!copy.isMarginChanged)
                    guest = copy
                }
            }
        }
        #expect(compared > 0 && adopted >= compared)
        // 16-bit code is the interpreter's; of the rest little is translated twice.
        #expect(again * 2 <= before, "\(again) of \(before)")
    }
}
