/// A processor as monitors show it.
public struct ProcessorStatus: Equatable, Sendable {
    /// Its number, from 0.
    public var index: Int
    /// Its thread's number on the host, which `taskset -p` takes.
    public var threadID: Int
    /// Where it sits.
    public var place: ProcessorTopology.Place
    /// Whether it waits in HLT.
    public var isHalted: Bool
    /// Whether it was plugged in after the start.
    public var isHotplugged: Bool
    /// The name that it was plugged in with.
    public var name: String?

    /// A processor of a thread.
    public init(
        index: Int, threadID: Int, place: ProcessorTopology.Place, isHalted: Bool = false, isHotplugged: Bool = false,
        name: String? = nil
    ) {
        self.name = name
        self.index = index
        self.threadID = threadID
        self.place = place
        self.isHalted = isHalted
        self.isHotplugged = isHotplugged
    }
}

/// The engine as monitors show it.
public struct AcceleratorStatus: Sendable {
    /// Its name: `kvm`, `tcg`.
    public var name: String
    /// Whether KVM runs the machine.
    public var isKVM: Bool
    /// Why this engine was chosen, a sentence; may be empty.
    public var reason: String
    /// Nested page tables and their tags on this host, by name (`ept`, `npt`, `vpid`); only where KVM tells of them.
    public var translation: [(name: String, isOn: Bool)] = []

    /// An engine.
    public init(name: String, isKVM: Bool, reason: String = "") {
        self.name = name
        self.isKVM = isKVM
        self.reason = reason
    }
}

/// All registers of a processor, for `info registers` and the values of `$rip` and its like.
public struct RegisterDump: Equatable, Sendable {
    /// A segment register with its hidden part.
    public struct Segment: Equatable, Sendable {
        /// The visible part.
        public var selector: UInt16
        /// Where the segment starts.
        public var base: UInt64
        /// Its last offset.
        public var limit: UInt32
        /// Bits 8 to 23 of the descriptor's second word, in place (SDM volume 3, 3.4.5).
        public var flags: UInt32
        /// A segment register.
        public init(selector: UInt16 = 0, base: UInt64 = 0, limit: UInt32 = 0, flags: UInt32 = 0) {
            self.selector = selector
            self.base = base
            self.limit = limit
            self.flags = flags
        }
    }
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: 16 of them.
    public var general = [UInt64](repeating: 0, count: 16)
    /// RIP.
    public var instructionPointer: UInt64 = 0
    /// RFLAGS.
    public var flags: UInt64 = 2
    /// ES, CS, SS, DS, FS, GS: 6 of them.
    public var segments = [Segment](repeating: Segment(), count: 6)
    /// LDTR.
    public var localDescriptorTable = Segment()
    /// TR.
    public var taskRegister = Segment()
    /// GDTR and IDTR; only base and limit count.
    public var globalTable = Segment()
    /// See `globalTable`.
    public var interruptTable = Segment()
    /// CR0, CR2, CR3, CR4.
    public var control: (cr0: UInt64, cr2: UInt64, cr3: UInt64, cr4: UInt64) {
        get { (controlRegisters[0], controlRegisters[1], controlRegisters[2], controlRegisters[3]) }
        set { controlRegisters = [newValue.cr0, newValue.cr2, newValue.cr3, newValue.cr4] }
    }
    private var controlRegisters: [UInt64] = [0, 0, 0, 0]
    /// DR0 to DR3.
    public var breakpoints = [UInt64](repeating: 0, count: 4)
    /// DR6.
    public var debugStatus: UInt64 = 0xffff_0ff0
    /// DR7.
    public var debugControl: UInt64 = 0x400
    /// IA32_EFER.
    public var extendedFeatures: UInt64 = 0
    /// The x87 control, status and abridged tag words.
    public var x87Control: UInt16 = 0x37f
    /// See `x87Control`.
    public var x87Status: UInt16 = 0
    /// A bit for each register that is in use.
    public var x87Tags: UInt8 = 0
    /// ST0 to ST7 by physical register: significand, and sign with exponent.
    public var x87 = [(significand: UInt64, exponent: UInt16)](repeating: (0, 0), count: 8)
    /// MXCSR.
    public var mxcsr: UInt32 = 0x1f80
    /// XMM0 to XMM15, low and high half.
    public var vectors = [(low: UInt64, high: UInt64)](repeating: (0, 0), count: 16)
    /// Privilege level, 0 to 3.
    public var privilegeLevel: Int = 0
    /// Whether the instruction after STI or MOV SS is held back from interrupts.
    public var isInterruptInhibited = false
    /// Whether address line 20 is enabled.
    public var isA20Enabled = true
    /// Whether it is in system management mode.
    public var isSMM = false
    /// Whether it waits in HLT.
    public var isHalted = false

    /// Registers after a reset, roughly.
    public init() {}

    /// Whether EFER.LMA is set.
    public var isLongMode: Bool { extendedFeatures & 1 << 10 != 0 }

    public static func == (left: RegisterDump, right: RegisterDump) -> Bool {
        left.general == right.general && left.instructionPointer == right.instructionPointer
            && left.flags == right.flags && left.segments == right.segments
            && left.localDescriptorTable == right.localDescriptorTable && left.taskRegister == right.taskRegister
            && left.globalTable == right.globalTable && left.interruptTable == right.interruptTable
            && left.controlRegisters == right.controlRegisters && left.breakpoints == right.breakpoints
            && left.debugStatus == right.debugStatus && left.debugControl == right.debugControl
            && left.extendedFeatures == right.extendedFeatures && left.x87Control == right.x87Control
            && left.x87Status == right.x87Status && left.x87Tags == right.x87Tags && left.mxcsr == right.mxcsr
            && zip(left.x87, right.x87).allSatisfy(==) && zip(left.vectors, right.vectors).allSatisfy(==)
            && left.privilegeLevel == right.privilegeLevel
            && left.isInterruptInhibited == right.isInterruptInhibited && left.isA20Enabled == right.isA20Enabled
            && left.isSMM == right.isSMM && left.isHalted == right.isHalted
    }
}

/// An instruction as `x/i` shows it.
public struct DisassembledInstruction: Equatable, Sendable {
    /// Its bytes; 1 to 15.
    public var bytes: [UInt8]
    /// Its words: `mov    %eax,%ebx`.
    public var text: String
    /// An instruction.
    public init(bytes: [UInt8], text: String) {
        self.bytes = bytes
        self.text = text
    }
}

/// Pages next to each other that are mapped in the same way, for `info mem` and `info tlb`.
public struct PageMapping: Equatable, Sendable {
    /// The first linear address.
    public var linear: UInt64
    /// The physical address it leads to.
    public var physical: UInt64
    /// Bytes: 4 KiB, 2 MiB, 4 MiB or 1 GiB for one page.
    public var size: UInt64
    /// The page's entry's flags in hardware's places: bits 0 to 8 and 63, upper levels applied to P, W, U and NX.
    public var flags: UInt64
    /// A mapping.
    public init(linear: UInt64, physical: UInt64, size: UInt64, flags: UInt64) {
        self.linear = linear
        self.physical = physical
        self.size = size
        self.flags = flags
    }
}
