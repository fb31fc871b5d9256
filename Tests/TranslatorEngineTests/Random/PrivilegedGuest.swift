import CEngine
import Execution
import GuestMemory
import HostOS
import TestSupport
import TranslatorEngine

/// A guest with little memory, in a block that goes on before it and behind it, for cases of any mode and privilege.
final class PrivilegedGuest {
    /// Physical addresses; where there is paging, code and data also appear at the linear addresses of `UserCase`.
    enum Place {
        static let gdt: UInt64 = 0x6000
        static let tss: UInt64 = 0x6800
        static let idt: UInt64 = 0x7000
        static let code: UInt64 = 0x8000
        static let handlers: UInt64 = 0xa000
        static let stack: UInt64 = 0xe000
        static let tables: UInt64 = 0x1_0000
        static let data: UInt64 = 0x2_0000
        static let end = 0x4_0000
    }
    static let margin = 0x1_0000
    private static let canary: UInt8 = 0xa7
    static let endPort: UInt16 = 0xf4
    static let vectorPort: UInt16 = 0x180

    enum End: Equatable { case port, exception(UInt32), shutdown, halted, endless, error(String) }
    struct Outcome {
        var end: End
        var state: apus_x86_state
        var memory: [UInt8]
        /// Accesses to ports and device memory.
        var accesses: [Exit]
        /// Whether it was kicked: nobody says how far an instruction that repeats has got then, and one that writes
        /// over itself is another one afterwards.
        var isDisturbed: Bool
    }

    let machine: GuestMachine
    private var cpu: SoftwareProcessor { machine.cpu }
    /// The state after power-on.
    let initial: apus_x86_state

    init(threshold: UInt64, promotion: Int32) throws {
        machine = try GuestMachine(size: Place.end, margin: Self.margin, threshold: threshold) { request in
            request.translationPromotion = promotion
        }
        initial = machine.cpu.state
        let block = machine.block
        for offset in [0, Self.margin + Place.end] {
            // SAFETY: the margins are parts of the block.
            unsafe (block.base + offset).initializeMemory(as: UInt8.self, repeating: Self.canary, count: Self.margin)
        }
    }

    /// Whether something has written outside the guest's RAM.
    var isMarginChanged: Bool {
        let block = machine.block
        return [0, Self.margin + Place.end].contains { offset in
            // SAFETY: as above.
            let bytes = unsafe UnsafeRawBufferPointer(start: block.base + offset, count: Self.margin)
            return unsafe bytes.contains { $0 != Self.canary }
        }
    }

    /// Runs a case to its end. Another thread kicks the processor every few milliseconds.
    func run(_ item: PrivilegedCase) -> Outcome {
        cpu.reset()
        // Takes a kick that came late.
        cpu.kick()
        _ = cpu.run()
        machine.write(0, item.memory)
        machine.write(Place.code, item.code)
        return runAgain(item)
    }

    /// The same with memory and decoded code as they are.
    func runAgain(_ item: PrivilegedCase) -> Outcome {
        cpu.state = item.state
        var accesses: [Exit] = []
        var kicks = 0
        let end = loop(&accesses, &kicks)
        return Outcome(end: end, state: cpu.state, memory: memory, accesses: accesses, isDisturbed: kicks != 0)
    }

    /// The guest's RAM.
    var memory: [UInt8] { (try? machine.memory.bytes(GuestPhysical(0), count: Place.end)) ?? [] }

    /// Has RAM be as a case begins, with writes to nothing but what differs: code stays that was decoded of the rest.
    func restoreMemory(_ item: PrivilegedCase) {
        var wanted = item.memory
        wanted.replaceSubrange(Int(Place.code)..<Int(Place.code) + item.code.count, with: item.code)
        let found = memory
        for at in wanted.indices where wanted[at] != found[at] { machine.write(UInt64(at), [wanted[at]]) }
    }

    private func loop(_ accesses: inout [Exit], _ kicks: inout Int) -> End {
        while accesses.count < 400 {
            let exit = cpu.run()
            switch exit {
            case .portWrite(Self.endPort, _, _): return .port
            case .portWrite(Self.vectorPort, _, let value): return .exception(value & 0xff)
            case .portRead(let port, _):
                accesses.append(exit)
                cpu.complete(read: Self.answer(UInt64(port), accesses.count))
            case .mmioRead(let address, _):
                accesses.append(exit)
                cpu.complete(read: Self.answer(address, accesses.count))
            case .portWrite, .mmioWrite: accesses.append(exit)
            case .interruptAcknowledge: cpu.acknowledge(vector: 0x20)
            case .shutdown: return .shutdown
            case .error(let words): return .error(words)
            case .interrupted:
                if cpu.state.halted != 0 { return .halted }
                kicks += 1
                if kicks == 3 { return .endless }
            default: break
            }
        }
        // A repeated string instruction beside a port or a device.
        return .endless
    }

    /// What a device says: another number each time, but in both runs the same.
    private static func answer(_ address: UInt64, _ count: Int) -> UInt64 {
        var random = SplitMix64(state: address &* 31 &+ UInt64(count))
        return random.next()
    }

    /// Kicks the processor until `stop`.
    final class Stopper: Sendable {
        private let cpus: [SoftwareProcessor]
        private let bell = Bell()
        private let flag = Flag()
        init(_ guests: [PrivilegedGuest]) { cpus = guests.map(\.cpu) }
        func run() {
            while !flag.isSet {
                bell.wait(nanoseconds: 5_000_000)
                for cpu in cpus { cpu.kick() }
            }
        }
        func stop() {
            flag.set()
            bell.ring()
        }
    }
}
