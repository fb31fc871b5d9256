/// A small guest with the state that it must end in: every engine that has what it needs must give the same.
///
/// It ends by writing a byte to port `GuestLayout.exitPort` or to `GuestLayout.exitAddress` (ring 3 has no ports),
/// unless `ending` says otherwise.
public struct GuestProgram: Sendable, CustomStringConvertible {
    /// The mode in which the first instruction runs.
    public enum Mode: Sendable {
        /// Real-address mode, all segments at 0.
        case real
        /// Protected mode, 32-bit and flat, no paging, ring 0.
        case protected
        /// 64-bit mode, four-level paging with everything mapped where it is, ring 0.
        case long
        /// The same in ring 3.
        case user
    }

    /// What an engine must have besides the modes themselves.
    public struct Needs: OptionSet, Sendable {
        /// Bits.
        public let rawValue: Int
        /// A set of bits.
        public init(rawValue: Int) { self.rawValue = rawValue }
        /// AVX2, BMI and FMA in the guest.
        public static let avx2 = Needs(rawValue: 1)
        /// INT n and INT3 in ring 0.
        public static let softwareInterrupts = Needs(rawValue: 2)
        /// x87 and SSE in ring 0.
        public static let kernelVectors = Needs(rawValue: 4)
        /// Paging of 32-bit guests.
        public static let narrowPaging = Needs(rawValue: 8)
        /// SYSRET.
        public static let systemReturn = Needs(rawValue: 16)
        /// Traps by TF or breakpoints in ring 3.
        public static let userTraps = Needs(rawValue: 32)
        /// CPUID as the model has it, in ring 3 too.
        public static let userCPUID = Needs(rawValue: 64)
        /// Ports in ring 3 with IOPL 3.
        public static let userPorts = Needs(rawValue: 128)
        /// DAA and AAA.
        public static let decimalAdjustment = Needs(rawValue: 256)
        /// IRET in 32-bit protected mode.
        public static let narrowReturn = Needs(rawValue: 512)

        /// The names of what is in the set.
        public var names: String {
            let all = [
                "AVX2", "INT n in ring 0", "vectors in ring 0", "32-bit paging", "SYSRET", "traps in ring 3",
                "CPUID in ring 3", "ports in ring 3", "DAA and AAA", "IRET in 32-bit protected mode",
            ]
            return all.indices.filter { rawValue >> $0 & 1 != 0 }.map { all[$0] }.joined(separator: ", ")
        }
    }

    /// How a run ended.
    public enum Ending: Equatable, Sendable {
        /// The guest wrote this byte to the exit port or address.
        case exit(UInt8)
        /// A triple fault.
        case shutdown
        /// It sleeps with interrupts off.
        case halted
        /// The engine cannot go on.
        case failed(String)
        /// It did not come to an end in time.
        case timeOut
    }

    /// Registers of the neutral state by their encoding.
    public enum Register: Int, Sendable {
        case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    }

    /// A piece of memory.
    public struct Bytes: Sendable {
        /// Guest-physical address.
        public var address: UInt64
        /// What is or must be there.
        public var bytes: [UInt8]
        /// A piece of memory.
        public init(_ address: UInt64, _ bytes: [UInt8]) {
            self.address = address
            self.bytes = bytes
        }
    }

    /// A short name, unique.
    public var name: String
    /// The mode of its first instruction.
    public var mode: Mode
    /// What it needs.
    public var needs: Needs
    /// Processors; the second and on wait for a start-up message.
    public var processors: Int
    /// Its code, at `GuestLayout.code`.
    public var code: [UInt8]
    /// More that is in memory before it starts.
    public var data: [Bytes]
    /// How it must end.
    public var ending: Ending
    /// Registers at the end. Others may hold anything.
    public var registers: [Register: UInt64]
    /// Arithmetic flags at the end: those of the mask must be as in the value.
    public var flags: (mask: UInt64, value: UInt64)
    /// Memory at the end.
    public var memory: [Bytes]
    /// Bytes written to port E9H.
    public var output: [UInt8]

    /// A program that ends with an exit of 0 and of which nothing else is known, unless told.
    public init(
        _ name: String, mode: Mode, needs: Needs = [], processors: Int = 1, data: [Bytes] = [],
        ending: Ending = .exit(0), registers: [Register: UInt64] = [:], flags: (mask: UInt64, value: UInt64) = (0, 0),
        memory: [Bytes] = [], output: [UInt8] = [], code: [UInt8]
    ) {
        self.name = name
        self.mode = mode
        self.needs = needs
        self.processors = processors
        self.code = code
        self.data = data
        self.ending = ending
        self.registers = registers
        self.flags = flags
        self.memory = memory
        self.output = output
    }

    public var description: String { name }

    /// All programs.
    public static var all: [GuestProgram] { realMode + protectedMode + longMode + userMode + severalModes }
}

/// Where things are in the memory of a program. RAM is 4 MiB from 0.
public enum GuestLayout {
    /// Bytes of RAM.
    public static let ramSize = 4 << 20
    /// The program's code, and its first instruction.
    public static let code: UInt64 = 0x8000
    /// First stack pointer of ring 0.
    public static let stack: UInt64 = 0x7C00
    /// First stack pointer of ring 3.
    public static let userStack: UInt64 = 0x9_0000
    /// Descriptors: 08 code of 64 bits, 10 data, 18 code of 32 bits, 20 code of 32 bits for ring 3, 28 data for
    /// ring 3, 30 code of 64 bits for ring 3, 38 the task segment.
    public static let gdt: UInt64 = 0x6000
    /// The task segment, whose ring-0 stack is `stack`.
    public static let tss: UInt64 = 0x6100
    /// Free for an IDT of the program.
    public static let idt: UInt64 = 0x7000
    /// The page-table root.
    public static let pageTables: UInt64 = 0x1000
    /// Free for data.
    public static let scratch: UInt64 = 0x10_0000
    /// A page of device memory that remembers what is written.
    public static let device: UInt64 = 0xF000_1000
    /// A byte written here ends the program.
    public static let exitAddress: UInt64 = 0xF000_0000
    /// A byte written to this port ends the program.
    public static let exitPort: UInt16 = 0xF4
    /// Bytes written here are the output; reads give `portAnswer`, cut to their size.
    public static let outputPort: UInt16 = 0xE9
    /// What every port reads as.
    public static let portAnswer: UInt32 = 0x4433_2211
}
