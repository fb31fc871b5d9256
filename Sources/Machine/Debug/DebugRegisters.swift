internal import CEngine

// The registers of an x86-64 processor by GDB's numbers, those of its own features first: general registers, x87, SSE,
// segment bases; then what an operating system's author looks at.

/// One register of the target description.
struct DebugRegister: Sendable {
    enum Kind: Sendable {
        case general(Int)
        case instructionPointer
        case flags
        case selector(Int)
        case x87(Int)
        case x87Control(Int)
        case vector(Int)
        case mxcsr
        case base(Int)
        case kernelGSBase
        case control(Int)
        case efer
        case debug(Int)
    }
    let name: String
    let size: Int
    let type: String
    let kind: Kind
    let feature: String

    private static let core = "org.gnu.gdb.i386.core"
    private static let sse = "org.gnu.gdb.i386.sse"
    private static let segments = "org.gnu.gdb.i386.segments"
    private static let system = "org.apus.x86.system"

    static let all: [DebugRegister] = generalRegisters + x87Registers + vectorRegisters + systemRegisters

    private static let generalRegisters: [DebugRegister] = {
        let names = [
            "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "r15",
        ]
        let places = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15]
        var list: [DebugRegister] = []
        for (index, name) in names.enumerated() {
            let type = name == "rbp" || name == "rsp" ? "data_ptr" : "int64"
            list.append(
                DebugRegister(name: name, size: 8, type: type, kind: Kind.general(places[index]), feature: core))
        }
        list.append(
            DebugRegister(name: "rip", size: 8, type: "code_ptr", kind: Kind.instructionPointer, feature: core))
        list.append(DebugRegister(name: "eflags", size: 4, type: "x86_eflags", kind: Kind.flags, feature: core))
        for (name, place) in [("cs", 1), ("ss", 2), ("ds", 3), ("es", 0), ("fs", 4), ("gs", 5)] {
            list.append(DebugRegister(name: name, size: 4, type: "int32", kind: Kind.selector(place), feature: core))
        }
        return list
    }()

    private static let x87Registers: [DebugRegister] = {
        var list: [DebugRegister] = []
        for index in 0..<8 {
            list.append(
                DebugRegister(name: "st\(index)", size: 10, type: "i387_ext", kind: Kind.x87(index), feature: core))
        }
        let names = ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"]
        for (index, name) in names.enumerated() {
            list.append(DebugRegister(name: name, size: 4, type: "int", kind: Kind.x87Control(index), feature: core))
        }
        return list
    }()

    private static let vectorRegisters: [DebugRegister] = {
        var list: [DebugRegister] = []
        for index in 0..<16 {
            list.append(
                DebugRegister(name: "xmm\(index)", size: 16, type: "vec128", kind: Kind.vector(index), feature: sse))
        }
        list.append(DebugRegister(name: "mxcsr", size: 4, type: "x86_mxcsr", kind: Kind.mxcsr, feature: sse))
        return list
    }()

    private static let systemRegisters: [DebugRegister] = {
        var list = [
            DebugRegister(name: "fs_base", size: 8, type: "int", kind: Kind.base(4), feature: segments),
            DebugRegister(name: "gs_base", size: 8, type: "int", kind: Kind.base(5), feature: segments),
            DebugRegister(name: "k_gs_base", size: 8, type: "int64", kind: Kind.kernelGSBase, feature: system),
        ]
        for (name, number, type) in [
            ("cr0", 0, "x86_cr0"), ("cr2", 2, "int64"), ("cr3", 3, "int64"), ("cr4", 4, "x86_cr4"),
        ] {
            list.append(DebugRegister(name: name, size: 8, type: type, kind: Kind.control(number), feature: system))
        }
        list.append(DebugRegister(name: "efer", size: 8, type: "x86_efer", kind: Kind.efer, feature: system))
        for number in [0, 1, 2, 3, 6, 7] {
            list.append(
                DebugRegister(name: "dr\(number)", size: 8, type: "int64", kind: Kind.debug(number), feature: system))
        }
        return list
    }()
}

extension DebugRegister {
    /// The value in a state, low byte first.
    func read(_ state: borrowing apus_x86_state) -> [UInt8] {
        switch kind {
        case .general(let number): bytes(state.word(number))
        case .instructionPointer: bytes(state.rip)
        case .flags: bytes(state.rflags)
        case .selector(let place): bytes(UInt64(state.segments[place].selector))
        case .x87(let number): Array(state.fxBytes[(32 + number * 16)..<(42 + number * 16)])
        case .x87Control(let number): bytes(state.x87Control(number))
        case .vector(let number): Array(state.vectorBytes(number))
        case .mxcsr: Array(state.fxBytes[24..<28])
        case .base(let place): bytes(state.segments[place].base)
        case .kernelGSBase: bytes(state.kernel_gs_base)
        case .control(let number):
            bytes([0: state.cr0, 2: state.cr2, 3: state.cr3, 4: state.cr4][number] ?? 0)
        case .efer: bytes(state.efer)
        case .debug(let number):
            bytes(
                [
                    0: state.dr.0, 1: state.dr.1, 2: state.dr.2, 3: state.dr.3, 6: state.dr.6, 7: state.dr.7,
                ][number] ?? 0)
        }
    }

    /// Changes a state; `data` has `size` bytes.
    func write(_ data: [UInt8], to state: inout apus_x86_state) {
        guard data.count == size else { return }
        let value = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch kind {
        case .general(let number): state.setWord(number, value)
        case .instructionPointer: state.rip = value
        case .flags: state.rflags = value & 0x3f_7fd5 | 2
        case .selector(let place):
            var segment = state.segments[place]
            segment.selector = UInt16(truncatingIfNeeded: value)
            // Without descriptors the base follows (SDM volume 3, 20.1.1).
            if state.cr0 & 1 == 0 || state.rflags & 1 << 17 != 0 { segment.base = UInt64(segment.selector) << 4 }
            state.setSegment(place, segment)
        case .x87(let number): state.setFX(32 + number * 16, data)
        case .x87Control(let number): state.setX87Control(number, value)
        case .vector(let number): state.setVector(number, data)
        case .mxcsr:
            let allowed = value & 0xffff
            state.setFX(24, [UInt8(truncatingIfNeeded: allowed), UInt8(truncatingIfNeeded: allowed >> 8), 0, 0])
        case .base(let place):
            var segment = state.segments[place]
            segment.base = value
            state.setSegment(place, segment)
        case .kernelGSBase: state.kernel_gs_base = value
        case .control(let number):
            switch number {
            case 0: state.cr0 = value
            case 2: state.cr2 = value
            case 3: state.cr3 = value
            default: state.cr4 = value
            }
        case .efer: state.efer = value
        case .debug(let number):
            switch number {
            case 0: state.dr.0 = value
            case 1: state.dr.1 = value
            case 2: state.dr.2 = value
            case 3: state.dr.3 = value
            case 6: state.dr.6 = value & 0xe00f | 0xffff_0ff0
            default: state.dr.7 = value & 0xffff_2fff | 0x400
            }
        }
    }

    private func bytes(_ value: UInt64) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
}

extension apus_x86_state {
    // SAFETY of all: the offsets are those of the structure's fields, checked by the numbers' ranges.
    fileprivate func word(_ number: Int) -> UInt64 {
        unsafe withUnsafeBytes(of: gpr) { unsafe $0.load(fromByteOffset: (number & 15) * 8, as: UInt64.self) }
    }
    fileprivate mutating func setWord(_ number: Int, _ value: UInt64) {
        unsafe withUnsafeMutableBytes(of: &gpr) {
            unsafe $0.storeBytes(of: value, toByteOffset: (number & 15) * 8, as: UInt64.self)
        }
    }
    fileprivate var segments: [apus_x86_segment] {
        [segment.0, segment.1, segment.2, segment.3, segment.4, segment.5]
    }
    fileprivate mutating func setSegment(_ place: Int, _ value: apus_x86_segment) {
        switch place {
        case 0: segment.0 = value
        case 1: segment.1 = value
        case 2: segment.2 = value
        case 3: segment.3 = value
        case 4: segment.4 = value
        default: segment.5 = value
        }
    }
    fileprivate var fxBytes: [UInt8] { unsafe withUnsafeBytes(of: fx) { unsafe Array($0) } }
    fileprivate mutating func setFX(_ offset: Int, _ data: [UInt8]) {
        unsafe withUnsafeMutableBytes(of: &fx) { buffer in
            for (index, byte) in data.enumerated() where offset + index < buffer.count {
                unsafe buffer[offset + index] = byte
            }
        }
    }
    fileprivate func vectorBytes(_ number: Int) -> [UInt8] {
        unsafe withUnsafeBytes(of: ymm) { unsafe Array($0[((number & 15) * 32)..<((number & 15) * 32 + 16)]) }
    }
    fileprivate mutating func setVector(_ number: Int, _ data: [UInt8]) {
        unsafe withUnsafeMutableBytes(of: &ymm) { buffer in
            for (index, byte) in data.prefix(16).enumerated() { unsafe buffer[(number & 15) * 32 + index] = byte }
        }
    }

    private func fxWord(_ offset: Int, _ count: Int) -> UInt64 {
        fxBytes[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    /// Control, status, tags (in the long form), and the last instruction's pointers and opcode.
    fileprivate func x87Control(_ number: Int) -> UInt64 {
        switch number {
        case 0: fxWord(0, 2)
        case 1: fxWord(2, 2)
        case 2: longTags
        case 3: fxWord(12, 2)
        case 4: fxWord(8, 4)
        case 5: fxWord(20, 2)
        case 6: fxWord(16, 4)
        default: fxWord(6, 2)
        }
    }
    fileprivate mutating func setX87Control(_ number: Int, _ value: UInt64) {
        let low = [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
        let all = low + [UInt8(truncatingIfNeeded: value >> 16), UInt8(truncatingIfNeeded: value >> 24)]
        switch number {
        case 0: setFX(0, low)
        case 1: setFX(2, low)
        case 2:
            let short = (0..<8).reduce(UInt8(0)) { $0 | (value >> UInt64($1 * 2) & 3 != 3 ? 1 << UInt8($1) : 0) }
            setFX(4, [short])
        case 3: setFX(12, low)
        case 4: setFX(8, all)
        case 5: setFX(20, low)
        case 6: setFX(16, all)
        default: setFX(6, low)
        }
    }
    /// The tag word as FSAVE has it (SDM volume 1, 8.1.7), out of FXSAVE's one bit a register.
    private var longTags: UInt64 {
        let bytes = fxBytes
        let top = Int(bytes[3] >> 3 & 7)
        var tags: UInt64 = 0
        for register in 0..<8 {
            var tag: UInt64 = 3
            if bytes[4] >> UInt8(register) & 1 != 0 {
                let at = 32 + ((register - top) & 7) * 16
                let significand = fxWord(at, 8)
                let exponent = fxWord(at + 8, 2) & 0x7fff
                tag =
                    exponent == 0 && significand == 0
                    ? 1 : exponent == 0 || exponent == 0x7fff || significand >> 63 == 0 ? 2 : 0
            }
            tags |= tag << UInt64(register * 2)
        }
        return tags
    }
}
