import CEngine
import Execution
import HostOS
import Synchronization
import Testing
import TranslatorEngine

/// Processors that work on the same memory.
@Suite(.serialized) struct SeveralProcessorsTests {
    private typealias Place = SystemGuest.Place

    /// Runs all processors on threads until each has written to the end port; false where that takes too long.
    private func runAll(_ guest: SystemGuest) throws -> Bool {
        let stopped = Flag()
        let ended = Counter()
        let bell = Bell()
        let total = guest.machine.engine.processors.count
        let threads = try guest.machine.engine.processors.map { processor in
            try HostThread(name: "processor", stackSize: 4 << 20) {
                while true {
                    let exit = processor.run()
                    if case .portWrite(SystemGuest.endPort, _, _) = exit { break }
                    if case .portWrite(SystemGuest.vectorPort, _, _) = exit { return }
                    if exit == .shutdown { return }
                    if stopped.isSet { return }
                }
                ended.increment()
                bell.ring()
            }
        }
        let limit = HostClock.monotonic + 120_000_000_000
        while ended.value < total && HostClock.monotonic < limit { bell.wait(nanoseconds: 100_000_000) }
        stopped.set()
        for processor in guest.machine.engine.processors { processor.kick() }
        for thread in threads { thread.join() }
        return ended.value == total
    }

    private final class Counter: Sendable {
        private let atomic = Atomic<Int>(0)
        var value: Int { atomic.load(ordering: .acquiring) }
        func increment() { atomic.add(1, ordering: .acquiringAndReleasing) }
    }

    /// Two processors in 64-bit mode at the same code, RBX the number.
    private func pair(_ code: [UInt8], threshold: UInt64?) throws -> SystemGuest {
        let guest = try SystemGuest(.long, processors: 2, threshold: threshold)
        guest.code(code)
        let first = guest.cpu.state
        var second = first
        second.gpr.3 = 1
        second.gpr.4 = 0x1_8000
        guest.machine.engine.processors[1].state = second
        return guest
    }

    private static let count: [UInt8] = [0xb9, 0x50, 0xc3, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x10, 0x00]  // ecx 50,000; edi data

    @Test(arguments: [nil, 1] as [UInt64?])
    func lockedAdditionsAreExact(threshold: UInt64?) throws {
        let guest = try pair(
            Self.count + [
                0xf0, 0xff, 0x07,  // again: lock inc dword ptr [rdi]
                0xf0, 0x48, 0x83, 0x47, 0x08, 0x03,  // lock add qword ptr [rdi + 8], 3
                0xb8, 1, 0, 0, 0,  // mov eax, 1
                0xf0, 0x0f, 0xc1, 0x47, 0x10,  // lock xadd [rdi + 16], eax
                0xf0, 0x80, 0x47, 0x1b, 0x01,  // lock add byte ptr [rdi + 27], 1
                0xff, 0xc9, 0x75, 0xe4,  // dec ecx; jnz again
            ] + SystemGuest.end, threshold: threshold)
        #expect(try runAll(guest))
        #expect(guest.machine.read32(Place.data) == 100_000)
        #expect(guest.machine.read64(Place.data + 8) == 300_000)
        #expect(guest.machine.read32(Place.data + 16) == 100_000)
        #expect(guest.machine.read32(Place.data + 24) >> 24 == 100_000 & 0xff)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func compareAndExchangeLoops(threshold: UInt64?) throws {
        let guest = try pair(
            Self.count + [
                0x8b, 0x07,  // again: mov eax, [rdi]
                0x8d, 0x50, 0x01,  // retry: lea edx, [rax + 1]
                0xf0, 0x0f, 0xb1, 0x17,  // lock cmpxchg [rdi], edx
                0x75, 0xf7,  // jne retry
                0xff, 0xc9, 0x75, 0xf1,  // dec ecx; jnz again
            ] + SystemGuest.end, threshold: threshold)
        #expect(try runAll(guest))
        #expect(guest.machine.read32(Place.data) == 100_000)
    }

    /// A spin lock by XCHG around an addition that is not locked.
    @Test(arguments: [nil, 1] as [UInt64?])
    func spinLock(threshold: UInt64?) throws {
        let guest = try pair(
            [0xb9, 0x50, 0xc3, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x10, 0x00] + [
                0xb8, 1, 0, 0, 0,  // again: mov eax, 1
                0x87, 0x07,  // xchg [rdi], eax
                0x85, 0xc0,  // test eax, eax
                0x74, 0x04,  // jz got
                0xf3, 0x90,  // pause
                0xeb, 0xf1,  // jmp again
                0xff, 0x47, 0x40,  // got: inc dword ptr [rdi + 40H]
                0xc7, 0x07, 0, 0, 0, 0,  // mov dword ptr [rdi], 0
                0xff, 0xc9, 0x75, 0xe4,  // dec ecx; jnz again
            ] + SystemGuest.end, threshold: threshold)
        #expect(try runAll(guest))
        #expect(guest.machine.read32(Place.data + 0x40) == 100_000)
    }

    /// The first changes a function's constant and waits until the second has returned it, 2000 times.
    @Test(arguments: [nil, 1] as [UInt64?])
    func crossModifyingCode(threshold: UInt64?) throws {
        let guest = try pair([
            0xbf, 0x00, 0x00, 0x10, 0x00,  // mov edi, data
            0xb9, 1, 0, 0, 0,  // mov ecx, 1
            0x85, 0xdb,  // test ebx, ebx
            0x75, 0x22,  // jnz second
            // first: writes the constant, then the turn, waits for the answer
            0x89, 0x0c, 0x25, 0x01, 0x90, 0x00, 0x00,  // again: mov [9001H], ecx
            0x89, 0x0f,  // mov [rdi], ecx
            0xf3, 0x90,  // wait: pause
            0x39, 0x4f, 0x40,  // cmp [rdi + 40H], ecx
            0x75, 0xf9,  // jne wait
            0xff, 0xc1,  // inc ecx
            0x81, 0xf9, 0xd0, 0x07, 0x00, 0x00,  // cmp ecx, 2000
            0x75, 0xe6,  // jne again
            0xe6, 0xf4, 0xf4, 0x90, 0x90, 0x90, 0x90, 0x90,
            // second, at 8030H: waits for the turn, calls, answers what it got
            0xf3, 0x90,  // pause
            0x39, 0x0f,  // cmp [rdi], ecx
            0x75, 0xfa,  // jne second
            0xe8, 0xc5, 0x0f, 0x00, 0x00,  // call 9000H
            0x89, 0x47, 0x40,  // mov [rdi + 40H], eax
            0xff, 0xc1,  // inc ecx
            0x81, 0xf9, 0xd0, 0x07, 0x00, 0x00,  // cmp ecx, 2000
            0x75, 0xe8,  // jne second
        ] + SystemGuest.end, threshold: threshold)
        guest.code([0xb8, 0, 0, 0, 0, 0xc3], at: 0x9000)
        #expect(try runAll(guest))
    }

    /// INIT and start-up messages bring the second processor to its code in real mode.
    @Test func startUpMessages() throws {
        let guest = try SystemGuest(.long, processors: 2)
        guest.code([
            0xbb, 0x00, 0x00, 0xe0, 0xfe,  // mov ebx, the local APIC
            0xc7, 0x83, 0x10, 3, 0, 0, 0, 0, 0, 1,  // destination 1
            0xc7, 0x83, 0x00, 3, 0, 0, 0x00, 0x45, 0, 0,  // INIT
            0xc7, 0x83, 0x00, 3, 0, 0, 0x09, 0x46, 0, 0,  // start-up at 9000H
            0xf3, 0x90,  // wait: pause
            0x80, 0x3c, 0x25, 0x00, 0x00, 0x05, 0x00, 0x77,  // cmp byte ptr [50000H], 77H
            0x75, 0xf4,  // jne wait
        ] + SystemGuest.end)
        guest.code([
            0xb8, 0x00, 0x50,  // mov ax, 5000H
            0x8e, 0xd8,  // mov ds, ax
            0xc6, 0x06, 0x00, 0x00, 0x77,  // mov byte ptr [0], 77H
        ] + SystemGuest.end, at: 0x9000)
        let second = guest.machine.engine.processors[1]
        var state = second.state
        state.waiting_for_sipi = 1
        second.state = state
        #expect(try runAll(guest))
    }

    /// An interrupt from one processor to the other, which sleeps.
    @Test(arguments: [nil, 1] as [UInt64?])
    func interprocessorInterrupt(threshold: UInt64?) throws {
        let guest = try pair([
            0xbe, 0x00, 0x00, 0xe0, 0xfe,  // mov esi, the local APIC
            0xc7, 0x86, 0xf0, 0, 0, 0, 0xff, 1, 0, 0,  // on
            0x85, 0xdb,  // test ebx, ebx
            0x0f, 0x85, 0xe9, 0x00, 0x00, 0x00,  // jnz second, at 8100H
            0xf3, 0x90,  // wait until the second is about to sleep: pause
            0x80, 0x3c, 0x25, 0x00, 0x00, 0x10, 0x00, 0x01,  // cmp byte ptr [data], 1
            0x75, 0xf4,  // jne wait
            0xc7, 0x86, 0x10, 3, 0, 0, 0, 0, 0, 1,  // destination 1
            0xc7, 0x86, 0x00, 3, 0, 0, 0x61, 0x40, 0, 0,  // fixed, vector 61H
        ] + SystemGuest.end, threshold: threshold)
        guest.code([
            0xc6, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00, 0x01,  // mov byte ptr [data], 1
            0xfb, 0xf4,  // sti; hlt
            0xe6, 0xf4, 0xf4,
        ], at: 0x8100)
        guest.code([0x48, 0xcf], at: 0x9000)
        guest.gate(0x61, 0x8e, target: 0x9000)
        #expect(try runAll(guest))
    }
}
