import CEngine
import TestSupport
import X86

/// Makes cases of every mode and privilege: random bytes, and random well-formed instructions, those of systems among
/// them, on tables that are mostly sound.
struct PrivilegedGenerator {
    private typealias Place = PrivilegedGuest.Place
    var instructions: InstructionGenerator
    private var narrow: InstructionGenerator
    let model: ResolvedCPU
    let initial: apus_x86_state
    var random: SplitMix64

    init(seed: UInt64, guest: PrivilegedGuest) {
        model = guest.machine.model
        initial = guest.initial
        random = SplitMix64(state: seed)
        let hasVectors = ["avx2", "fma", "bmi1", "bmi2"].allSatisfy { guest.machine.model.has($0) }
        let definesFlags = InstructionGenerator.hostKeepsFlags
        instructions = InstructionGenerator(
            seed: seed, hasTZCNT: true, hasVectors: hasVectors, definesFlags: definesFlags)
        narrow = InstructionGenerator(
            seed: seed, hasTZCNT: true, hasVectors: hasVectors, isNarrow: true, definesFlags: definesFlags)
    }

    mutating func makeCase(_ mode: PrivilegedCase.Mode, level: UInt64) -> PrivilegedCase {
        var item = PrivilegedCase(
            mode: mode, level: level, state: initial, code: [], memory: [UInt8](repeating: 0, count: Place.end),
            start: 0)
        item.start = Int(random.below(64))
        makeMemory(&item)
        makeState(&item)
        makeCode(&item)
        return item
    }

    // MARK: Code

    private mutating func makeCode(_ item: inout PrivilegedCase) {
        let isRandom = random.chance(15)
        var body: [UInt8] = []
        while body.count < 200 && (isRandom || !random.chance(8)) {
            if isRandom {
                if random.chance(15) { body.append(0x0f) }
                body.append(UInt8(truncatingIfNeeded: random.next()))
            } else if random.chance(item.level == 0 ? 35 : 15) {
                body += system(item.mode)
            } else if item.mode == .long {
                body += instructions.sequence(count: 1)
            } else {
                body += narrow.sequence(count: 1)
            }
        }
        body += random.chance(90) ? [0xe6, 0xf4, 0xf4] : []
        item.code = [UInt8](repeating: 0x90, count: item.start) + body
        item.code += [UInt8](repeating: 0xcc, count: 4096 - item.code.count)
    }

    /// What an instruction takes beside its opcode.
    private enum Operand { case none, any, register, memory, digits(ClosedRange<UInt8>, memoryOnly: Bool) }
    private typealias Row = (opcode: [UInt8], operand: Operand, immediate: Int)
    // CLI, STI, PUSHF, POPF, LAHF, SAHF, HLT, INT3, INTO, IRET, RETF, INT n, the fast calls, CLTS, INVD, WBINVD, CPUID,
    // RDTSC, RDMSR, WRMSR, PUSH and POP of FS and GS, LEAVE, ENTER
    private static let plain: [Row] = [
        ([0xfa], .none, 0), ([0xfb], .none, 0), ([0x9c], .none, 0), ([0x9d], .none, 0), ([0x9f], .none, 0),
        ([0x9e], .none, 0), ([0xf4], .none, 0), ([0xcc], .none, 0), ([0xce], .none, 0), ([0xcf], .none, 0),
        ([0xcb], .none, 0), ([0xca], .none, 2), ([0xcd], .none, 1), ([0x0f, 0x05], .none, 0), ([0x0f, 0x07], .none, 0),
        ([0x0f, 0x34], .none, 0), ([0x0f, 0x35], .none, 0), ([0x0f, 0x06], .none, 0), ([0x0f, 0x08], .none, 0),
        ([0x0f, 0x09], .none, 0), ([0x0f, 0xa2], .none, 0), ([0x0f, 0xa0], .none, 0), ([0x0f, 0xa1], .none, 0),
        ([0x0f, 0xa8], .none, 0), ([0x0f, 0xa9], .none, 0), ([0xc9], .none, 0), ([0x06], .none, 0), ([0x07], .none, 0),
        ([0x1e], .none, 0), ([0x1f], .none, 0), ([0x16], .none, 0), ([0x17], .none, 0), ([0x9b], .none, 0),
    ]
    private static let timed: [Row] = [
        ([0x0f, 0x31], .none, 0), ([0x0f, 0x01, 0xf9], .none, 0), ([0x0f, 0x30], .none, 0), ([0x0f, 0x32], .none, 0),
        ([0x0f, 0xc7], .digits(6...7, memoryOnly: false), 0), ([0x0f, 0x33], .none, 0),
    ]
    // SWAPGS, STAC, CLAC, XGETBV, XSETBV, MONITOR, MWAIT, RDPKRU, WRPKRU, VMCALL, VMMCALL, ENCLU and others
    private static let registers: [UInt8] = [
        0xf8, 0xcb, 0xca, 0xd0, 0xd1, 0xc8, 0xc9, 0xee, 0xef, 0xc1, 0xd9, 0xd7, 0xfa, 0xfb, 0xfc, 0xfd,
    ]
    private static let withOperands: [Row] = [
        // The groups 6 and 7; LAR, LSL; MOV of control and debug registers and of selectors; far pointers
        ([0x0f, 0x00], .any, 0), ([0x0f, 0x01], .digits(0...7, memoryOnly: true), 0), ([0x0f, 0x02], .any, 0),
        ([0x0f, 0x03], .any, 0), ([0x0f, 0x20], .register, 0), ([0x0f, 0x22], .register, 0),
        ([0x0f, 0x21], .register, 0),
        ([0x0f, 0x23], .register, 0), ([0x8e], .any, 0), ([0x8c], .any, 0), ([0x0f, 0xb2], .memory, 0),
        ([0x0f, 0xb4], .memory, 0), ([0x0f, 0xb5], .memory, 0), ([0xff], .any, 0),
        // FXSAVE, XSAVE and their kin, fences; CMPXCHG8B, XSAVES; PUSH and POP of memory; ARPL or MOVSXD; BOUND
        ([0x0f, 0xae], .any, 0), ([0x0f, 0xc7], .digits(1...5, memoryOnly: true), 0),
        ([0xff], .digits(6...6, memoryOnly: true), 0), ([0x8f], .digits(0...0, memoryOnly: true), 0), ([0x63], .any, 0),
        ([0x0f, 0x38, 0x82], .memory, 0), ([0x0f, 0x18], .memory, 0),
    ]
    private static let ports: [Row] = [
        ([0xe4], .none, 1), ([0xe5], .none, 1), ([0xe6], .none, 1), ([0xe7], .none, 1), ([0xec], .none, 0),
        ([0xed], .none, 0), ([0xee], .none, 0), ([0xef], .none, 0), ([0x6c], .none, 0), ([0x6d], .none, 0),
        ([0x6e], .none, 0), ([0x6f], .none, 0),
    ]

    private mutating func pick<T>(_ list: [T]) -> T { list[Int(random.below(UInt64(list.count)))] }

    private mutating func system(_ mode: PrivilegedCase.Mode) -> [UInt8] {
        switch random.below(24) {
        case 0...6: return encode(pick(Self.plain), mode)
        case 7...9: return prefixes(mode) + [0x0f, 0x01, pick(Self.registers)]
        case 10...17: return encode(pick(Self.withOperands), mode)
        case 18: return random.chance(20) ? encode(pick(Self.timed), mode) : []
        case 19:
            return (random.chance(20) ? [0xb9] + instructions.bytes(random.below(6), 4) + [0xf3] : [])
                + encode(pick(Self.ports), mode)
        case 20: return farTransfer(mode)
        case 21:
            // A pair that undoes itself: STI and CLI, STAC and CLAC, SWAPGS, PUSHF and POPF.
            let pair: [([UInt8], [UInt8])] = [
                ([0xfb], [0xfa]), ([0x0f, 0x01, 0xcb], [0x0f, 0x01, 0xca]), ([0x0f, 0x01, 0xf8], [0x0f, 0x01, 0xf8]),
                ([0x9c], [0x9d]),
            ]
            let (first, second) = pick(pair)
            return first + plainInstruction(mode) + second
        case 22:
            // MOV ES, DS, FS, GS of a selector that there is.
            let load: [UInt8] = mode.isReal || mode == .protected16 || mode == .compatibility16 ? [] : [0x66]
            return load + [0xb8] + instructions.bytes(UInt64(selector()), 2) + [
                0x8e, 0xc0 | pick([0, 3, 4, 5, 2]) << 3,
            ]
        default:
            // RDFSBASE and the others, with registers that mostly hold addresses.
            return [
                0xf3, mode == .long ? 0x48 : 0x66, 0x0f, 0xae,
                0xc0 | UInt8(random.below(4)) << 3 | pick([0, 3, 5, 6, 7]),
            ]
        }
    }

    private mutating func plainInstruction(_ mode: PrivilegedCase.Mode) -> [UInt8] {
        mode == .long ? instructions.instruction() : narrow.instruction()
    }

    private mutating func farTransfer(_ mode: PrivilegedCase.Mode) -> [UInt8] {
        // To the next instruction, by another descriptor. 64-bit code has none with its target inside.
        guard mode != .long else {
            // push selector; lea rax, [rip + 3]; push rax; retfq
            return [0x6a, UInt8(truncatingIfNeeded: selector()), 0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50, 0x48, 0xcb]
        }
        let offset = mode.isReal ? Place.code : UserCase.codeBase
        return [pick([0xea, 0x9a])] + instructions.bytes(offset + random.below(256), mode.is32 ? 4 : 2)
            + instructions.bytes(UInt64(selector()), 2)
    }

    private mutating func selector() -> UInt16 {
        UInt16(random.below(32)) << 3 | (random.chance(60) ? [0, 3, 1][Int(random.below(3))] : UInt16(random.below(8)))
    }

    private mutating func prefixes(_ mode: PrivilegedCase.Mode) -> [UInt8] {
        var bytes: [UInt8] = []
        if random.chance(10) { bytes.append(0x66) }
        if random.chance(4) { bytes.append(pick([0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x65, 0x64])) }
        if mode == .long && random.chance(40) {
            bytes.append(random.chance(70) ? 0x48 : 0x40 | UInt8(random.below(16)))
        }
        return bytes
    }

    private mutating func encode(_ row: Row, _ mode: PrivilegedCase.Mode) -> [UInt8] {
        let immediate = instructions.bytes(random.next(), row.immediate)
        var reg = UInt8(random.below(8))
        var inMemory: Bool
        switch row.operand {
        case .none: return prefixes(mode) + row.opcode + immediate
        case .any: inMemory = random.chance(60)
        case .register: inMemory = false
        case .memory: inMemory = true
        case .digits(let range, let memoryOnly):
            reg = range.lowerBound + UInt8(random.below(UInt64(range.count)))
            inMemory = memoryOnly
        }
        guard inMemory else {
            return prefixes(mode) + row.opcode + [0xc0 | reg << 3 | UInt8(random.below(8))] + immediate
        }
        var rex: UInt8 = random.chance(30) ? 8 : 0
        guard mode == .long else {
            return prefixes(mode) + row.opcode + narrow.narrowOperand(reg) + immediate
        }
        let tail = instructions.memoryOperand(reg, &rex)
        return (random.chance(5) ? [0x66] : []) + (rex == 0 ? [] : [0x40 | rex]) + row.opcode + tail + immediate
    }

    // MARK: Memory

    private mutating func makeMemory(_ item: inout PrivilegedCase) {
        func put(_ address: UInt64, _ value: UInt64, _ count: Int = 8) {
            for byte in 0..<count {
                item.memory[Int(address) + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
            }
        }
        // Data without the first byte of two-byte opcodes, because it may be executed.
        for at in stride(from: Int(Place.data), to: Place.end, by: 8) { put(UInt64(at), instructions.value()) }
        for at in Int(Place.data)..<Place.end where item.memory[at] == 0x0f { item.memory[at] = 0x0e }

        makeDescriptors(item, put)
        for vector in UInt64(0)..<256 {
            // mov al, vector; mov dx, 180H; out dx, al; cli; hlt
            let handler = Place.handlers + vector * 16
            let load: [UInt8] = item.mode == .real ? [0xba, 0x80, 0x01] : [0x66, 0xba, 0x80, 0x01]
            for (index, byte) in ([0xb0, UInt8(vector)] + load + [0xee, 0xfa, 0xf4]).enumerated() {
                item.memory[Int(handler) + index] = byte
            }
            let kind: UInt64 = vector == 3 || random.chance(10) ? 0xee : random.chance(5) ? 0x8f : 0x8e
            if item.mode == .real {
                put(vector * 4, handler, 4)
            } else if item.mode.isLong {
                put(Place.idt + vector * 16, handler & 0xffff | 0x18 << 16 | kind << 40 | (handler >> 16) << 48)
            } else {
                put(Place.idt + vector * 8, handler & 0xffff | 0x08 << 16 | kind << 40 | (handler >> 16) << 48)
            }
        }
        if item.mode.isLong {
            put(Place.tss + 4, Place.stack)
            put(Place.tss + 12, Place.stack - 0x800)
        } else {
            put(Place.tss + 4, Place.stack, 4)
            put(Place.tss + 8, 0x10, 4)
            put(Place.tss + 12, Place.stack - 0x800, 4)
            put(Place.tss + 16, 0x59, 4)
        }
        // A map that allows the first 256 ports.
        put(Place.tss + 102, 0x68, 2)
        if item.mode != .real { makeTables(item, put) }
    }

    /// The usual flat descriptors of levels 0, 3 and 1, and then random ones.
    private mutating func makeDescriptors(_ item: PrivilegedCase, _ put: (UInt64, UInt64, Int) -> Void) {
        let usual: [UInt64] = [
            0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff, 0x00cf_fb00_0000_ffff,
            0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0x0000_8b00_0000_0067 | Place.tss << 16, 0,
            0x008f_9b00_0000_ffff, 0x00cf_bb00_0000_ffff, 0x00cf_b300_0000_ffff, 0x00af_bb00_0000_ffff,
        ]
        for (index, value) in usual.enumerated() { put(Place.gdt + UInt64(index) * 8, value, 8) }
        for index in UInt64(usual.count)..<32 {
            // Mostly segments and gates to code, present and near.
            var value = random.next() & 0x00cf_ff0f_ffff_ffff
            if random.chance(70) { value |= 1 << 47 }
            if random.chance(30) { value = value & ~(0x1f << 40) | 0x0c << 40 | 0x0008 << 16 }
            put(Place.gdt + index * 8, value, 8)
        }
    }

    /// The first pages where they are; the code at `UserCase.codeBase` and the data at `UserCase.dataBase`, with the
    /// pages behind it anywhere and with any rights.
    private mutating func makeTables(_ item: PrivilegedCase, _ put: (UInt64, UInt64, Int) -> Void) {
        let tables = Place.tables
        let size = item.mode.isLong ? 8 : 4
        let user: UInt64 = item.level == 3 ? 4 : 0
        let directory = item.mode.isLong ? tables + 0x2000 : tables
        let shift: UInt64 = item.mode.isLong ? 21 : 22
        if item.mode.isLong {
            put(tables, tables + 0x1000 | 7, 8)
            put(tables + 256 * 8, tables + 0x1000 | 7, 8)
            put(tables + 0x1000, directory | 7, 8)
        }
        for (number, linear) in [0, UserCase.codeBase, UserCase.dataBase].enumerated() {
            let table = tables + 0x3000 + UInt64(number) * 0x1000
            put(directory + (linear >> shift) * UInt64(size), table | 7, size)
        }
        // A large page before the data.
        put(directory + (UserCase.dataBase >> shift - 1) * UInt64(size), random.next() & 0xe7 | 0x80, size)
        let global: UInt64 = random.chance(50) ? 0x100 : 0
        for page in UInt64(0)..<64 {
            // What the system needs is the supervisor's. Virtual-8086 code has its code and data here too.
            let isOpen = page == Place.code >> 12 || page >= Place.data >> 12
            let rights: UInt64 = isOpen && (item.mode.isReal || random.chance(50)) ? 7 : 3
            put(tables + 0x3000 + page * UInt64(size), page << 12 | rights | global, size)
        }
        put(tables + 0x4000, Place.code | 3 | user, size)
        for page in UInt64(0)..<64 {
            var entry = (random.chance(80) ? Place.data >> 12 + random.below(32) : random.below(80)) << 12
            entry |= page < 2 && random.chance(90) ? 0x63 | user : random.next() & 0x1ff & ~0x80
            if page >= 2 && item.mode.isLong && random.chance(20) { entry |= random.next() & 0xf800_0000_0000_0000 }
            put(tables + 0x5000 + page * UInt64(size), entry, size)
        }
    }
}
