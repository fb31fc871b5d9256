import CEngine
import Execution
import GuestMemory
import HostOS
import TestSupport
import Testing
import TranslatorEngine
import X86

/// All opcodes with random operands: what is no instruction is none on the host either, and nothing stops the process.
@Suite(.serialized) struct OpcodeSpaceTests {
    /// Instructions that would reach the host's kernel, or change what the child needs to go on.
    private static func isExcluded(_ bytes: [UInt8]) -> Bool {
        var at = 0
        while [0x66, 0xf2, 0xf3].contains(bytes[at]) { at += 1 }
        if bytes[at] & 0xf0 == 0x40 { at += 1 }
        let modrm = bytes[at + 1]
        switch bytes[at] {
        case 0xcd, 0xcf, 0xca, 0xcb, 0x8e, 0xf1: return true
        // XABORT and XBEGIN, which processors may have and deny
        case 0xc6 where modrm == 0xf8, 0xc7 where modrm == 0xf8: return true
        case 0xff: return modrm >> 3 & 7 == 3 || modrm >> 3 & 7 == 5
        case 0x62, 0xc4, 0xc5, 0x8f, 0xd5: return true
        // Branches by a distance may stay where they are for ever.
        case 0x70...0x7f, 0xe0...0xe3, 0xe8, 0xe9, 0xeb, 0x9d: return true
        case 0x0f: break
        default: return false
        }
        let third = bytes[at + 2]
        switch modrm {
        // SYSCALL, SYSENTER, the groups of 00 and 01 (host's tables, hypercalls), LSL, LAR, POP FS and GS, LSS, LFS, LGS
        case 0x00, 0x01, 0x02, 0x03, 0x05, 0x34, 0xa1, 0xa9, 0xb2, 0xb4, 0xb5: return true
        case 0x80...0x8f: return true
        // AMD's SSE4A, and its PREFETCH of a register, which is no instruction there
        case 0x2b where bytes[0] & 0xfe == 0xf2, 0x78, 0x79: return true
        case 0x0d: return third >= 0xc0 && InstructionGenerator.hostKeepsFlags
        // State areas, bases of FS and GS, waits; RDRAND and what else is in the group of C7
        case 0xae: return true
        case 0xc7: return third >> 3 & 7 != 1
        // CPUID, RDTSC, RDPMC
        case 0xa2, 0x31, 0x33, 0x37: return true
        // Direct stores and keys, which the host has alone; AMX; CET
        case 0x38: return third >= 0xf5 || third == 0xd8 || third >= 0xdc && third <= 0xdf
        default: return false
        }
    }

    private static func randomBytes(_ random: inout SplitMix64, _ number: Int) -> [UInt8] {
        var bytes: [UInt8] = [[], [], [0x66], [0xf3], [0xf2]][Int(random.below(5))]
        if random.chance(40) { bytes.append(0x40 | UInt8(random.below(16))) }
        let opcode = UInt8(truncatingIfNeeded: number)
        switch number >> 8 & 3 {
        case 0: bytes.append(opcode)
        case 1: bytes += [0x0f, opcode]
        case 2: bytes += [0x0f, 0x38, opcode]
        default: bytes += [0x0f, 0x3a, opcode]
        }
        for _ in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return bytes
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func undefinedInstructionsAreThoseOfTheHost(threshold: UInt64?) throws {
        let oracle = try NativeOracle.single.get()
        let guest = try UserGuest(threshold: threshold)
        var generator = InstructionGenerator(seed: 77, hasTZCNT: true)
        var found: [String: Int] = [:]
        var examples: [String: String] = [:]
        var number = 0
        for _ in 0..<(40 * FuzzRounds.factor) {
            var cases: [UserCase] = []
            while cases.count < NativeOracle.batch {
                number += 1
                let bytes = Self.randomBytes(&generator.random, number)
                if Self.isExcluded(bytes) { continue }
                var item = generator.makeCase()
                // LOCK and segment prefixes have tests of their own.
                // What follows the instruction is no part of the case.
                let length = (try? Decoder.decode(bytes, code: .bits64)).map { Int($0.length) } ?? bytes.count
                item.code = Array(bytes.prefix(length))
                item.start = 0x100
                cases.append(item)
            }
            let data = [UInt8](repeating: 0x5a, count: UserCase.dataCount)
            for (item, native) in zip(cases, oracle.run(cases, data: data)) {
                guard let native, native.vector != 255 else { continue }
                let decoded = try? Decoder.decode(item.code, code: .bits64)
                let isUndefined = guest.run(item, data: data).vector == 6
                guard isUndefined != (native.vector == 6) else { continue }
                if let decoded, guest.lacks(decoded) { continue }
                let prefix = item.code.prefix(5).map { String($0, radix: 16) }.joined(separator: " ")
                let kind = "\(decoded.map { "\($0.mnemonic)" } ?? "none") \(isUndefined ? "#UD here" : "#UD natively")"
                found[kind, default: 0] += 1
                examples[kind] = prefix
            }
        }
        let text = examples.map { "\($0.key): \($0.value)" }.sorted().joined(separator: "\n")
        #expect(found.isEmpty, "\(text)")
    }

    /// Random bytes in every mode and privilege: any end but a crash.
    @Test(arguments: [SystemGuest.Mode.real, .protected, .long])
    func randomBytesNeverStopTheProcess(mode: SystemGuest.Mode) throws {
        var random = SplitMix64(state: 4711)
        for round in 0..<(12 * FuzzRounds.factor) {
            let guest = try SystemGuest(mode, threshold: round & 1 == 0 ? nil : 1)
            let base = guest.cpu.state
            let stopper = Stopper(guest.cpu)
            let thread = try HostThread(name: "kicks") { stopper.run() }
            for _ in 0..<20 {
                var bytes: [UInt8] = []
                for _ in 0..<512 {
                    // Many prefixes and system instructions.
                    if random.chance(15) { bytes.append(0x0f) }
                    bytes.append(UInt8(truncatingIfNeeded: random.next()))
                }
                guest.code(bytes)
                var state = base
                unsafe withUnsafeMutableBytes(of: &state.gpr) { registers in
                    for number in 0..<16 where number != 4 {
                        let value = random.chance(50) ? Place.data + random.below(4096) : random.next()
                        unsafe registers.storeBytes(of: value, toByteOffset: number * 8, as: UInt64.self)
                    }
                }
                if random.chance(30) { state.rflags |= random.next() & 0x27_7fd5 & ~0x20000 }
                if random.chance(20) { state.dr.7 = random.next() & 0xffff_03ff | 0x400 }
                guest.cpu.state = state
                var ends = 0
                while ends < 200 {
                    ends += 1
                    let exit = guest.cpu.run()
                    if exit == .interrupted || exit == .shutdown { break }
                    switch exit {
                    case .portRead, .mmioRead: guest.cpu.complete(read: random.next())
                    case .interruptAcknowledge: guest.cpu.acknowledge(vector: 0x20)
                    default: break
                    }
                    if case .error = exit { break }
                }
                // Whatever access is outstanding, the next program starts clean.
                guest.cpu.reset()
            }
            stopper.stop()
            thread.join()
        }
    }
    private typealias Place = SystemGuest.Place

    /// Kicks a processor every two milliseconds.
    private final class Stopper: Sendable {
        private let cpu: SoftwareProcessor
        private let bell = Bell()
        private let flag = Flag()
        init(_ cpu: SoftwareProcessor) { self.cpu = cpu }
        func run() {
            while !flag.isSet {
                bell.wait(nanoseconds: 2_000_000)
                cpu.kick()
            }
        }
        func stop() {
            flag.set()
            bell.ring()
        }
    }
}
