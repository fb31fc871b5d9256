import CEngine
import Glibc
import HostOS

/// The host's processor as the oracle: runs raw instruction bytes between a load and a store of its whole state.
/// Independent of the stubs: the bytes are executed as they are, with a memory operand at [rsi] or [rdi].
@safe final class NativeProcessor {
    private let page: Mapping
    private let prologue: [UInt8]
    private let codeStart: Int

    // Offsets in the page of the state loaded and of the state stored.
    private static let input = 0x1000
    private static let output = 0x2000
    private static let ymm = 0x200
    private static let gpr = 0x400
    private static let flagBits = 0x480
    private static let stack = 0x3000
    private static let defaultMXCSR = 0x3008
    /// The memory operand lies here.
    static let memory = 0x4000

    init() throws {
        page = try Mapping.anonymous(count: 0x6000, protection: [.read, .write, .execute])
        var code: [UInt8] = [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57]  // push callee-saved
        Self.relative(&code, [0x48, 0x89], 4, Self.stack)  // mov [stack], rsp
        Self.relative(&code, [0x48, 0x0f, 0xae], 1, Self.input)  // fxrstor64
        for register in 0..<16 {
            Self.relative(
                &code, [0xc5, register >= 8 ? 0x7c : 0xfc, 0x10], register & 7, Self.input + Self.ymm + 32 * register)
        }
        Self.relative(&code, [0xff], 6, Self.input + Self.flagBits)  // push
        code.append(0x9d)  // popfq
        for register in 0..<16 where register != 4 {
            Self.relative(
                &code, [register >= 8 ? 0x4c : 0x48, 0x8b], register & 7, Self.input + Self.gpr + 8 * register)
        }
        prologue = code
        codeStart = 0
        unsafe page.base.storeBytes(of: UInt32(0x1f80), toByteOffset: Self.defaultMXCSR, as: UInt32.self)
    }

    /// Appends an instruction with ModRM for [rip + distance to `target`].
    private static func relative(_ code: inout [UInt8], _ opcode: [UInt8], _ reg: Int, _ target: Int) {
        code += opcode
        code.append(UInt8(reg << 3 | 5))
        let distance = target - (code.count + 4)
        for shift in [0, 8, 16, 24] { code.append(UInt8(truncatingIfNeeded: distance >> shift)) }
    }

    private func input<T: BitwiseCopyable>(_ value: T, _ offset: Int) {
        unsafe page.base.storeBytes(of: value, toByteOffset: Self.input + offset, as: T.self)
    }
    private func output<T: BitwiseCopyable>(_: T.Type, _ offset: Int) -> T {
        unsafe page.base.loadUnaligned(fromByteOffset: Self.output + offset, as: T.self)
    }
    func setFX<T: BitwiseCopyable>(_ value: T, at offset: Int) { input(value, offset) }
    func fx<T: BitwiseCopyable>(_: T.Type, at offset: Int) -> T { output(T.self, offset) }
    func setLane(_ register: Int, _ lane: Int, _ value: UInt64) { input(value, Self.ymm + register * 32 + lane * 8) }
    func lane(_ register: Int, _ lane: Int) -> UInt64 { output(UInt64.self, Self.ymm + register * 32 + lane * 8) }
    func setGPR(_ number: Int, _ value: UInt64) { input(value, Self.gpr + 8 * number) }
    func gpr(_ number: Int) -> UInt64 { output(UInt64.self, Self.gpr + 8 * number) }
    func setFlags(_ value: UInt64) { input(value & 0x8d5 | 0x202, Self.flagBits) }
    var flags: UInt64 { output(UInt64.self, Self.flagBits) & 0x8d5 }
    var memoryAddress: UInt64 { UInt64(UInt(bitPattern: page.base)) + UInt64(Self.memory) }
    func setMemory(_ index: Int, _ value: UInt8) {
        unsafe page.base.storeBytes(of: value, toByteOffset: Self.memory + index, as: UInt8.self)
    }
    func memory(_ index: Int) -> UInt8 { unsafe page.base.load(fromByteOffset: Self.memory + index, as: UInt8.self) }

    /// The signal that an instruction's exception brought, 0 for none.
    @discardableResult
    func run(_ instruction: [UInt8]) -> Int32 {
        NativeFaults.install()
        var code = prologue + instruction
        // After a fault the state is stored as it was when the instruction faulted.
        let after = UInt64(UInt(bitPattern: page.base)) + UInt64(code.count)
        unsafe page.base.storeBytes(of: NativeFaults.magic, toByteOffset: NativeFaults.magicOffset, as: UInt64.self)
        unsafe page.base.storeBytes(of: after, toByteOffset: NativeFaults.afterOffset, as: UInt64.self)
        unsafe page.base.storeBytes(of: 0, toByteOffset: NativeFaults.signalOffset, as: Int32.self)
        for register in 0..<16 where register != 4 {
            Self.relative(
                &code, [register >= 8 ? 0x4c : 0x48, 0x89], register & 7, Self.output + Self.gpr + 8 * register)
        }
        code.append(0x9c)  // pushfq
        Self.relative(&code, [0x8f], 0, Self.output + Self.flagBits)  // pop
        for register in 0..<16 {
            Self.relative(
                &code, [0xc5, register >= 8 ? 0x7c : 0xfc, 0x11], register & 7, Self.output + Self.ymm + 32 * register)
        }
        Self.relative(&code, [0x48, 0x0f, 0xae], 0, Self.output)  // fxsave64
        code += [0xdb, 0xe3]  // fninit
        Self.relative(&code, [0x0f, 0xae], 2, Self.defaultMXCSR)  // ldmxcsr
        code += [0xc5, 0xf8, 0x77]  // vzeroupper
        Self.relative(&code, [0x48, 0x8b], 4, Self.stack)  // mov rsp, [stack]
        code += [0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3]
        for (index, byte) in code.enumerated() {
            unsafe page.base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        unsafe unsafeBitCast(page.base, to: (@convention(c) () -> Void).self)()
        return unsafe page.base.load(fromByteOffset: NativeFaults.signalOffset, as: Int32.self)
    }
}

/// Signals of instructions that fault: the handler notes the signal in the code's mapping and goes on after the
/// instruction.
enum NativeFaults {
    static let magic: UInt64 = 0x6170_7573_2074_6573
    static let magicOffset = 0x3020
    static let afterOffset = 0x3028
    static let signalOffset = 0x3030

    private static let installed: Bool = {
        for number in [SIGFPE, SIGSEGV, SIGILL, SIGBUS] {
            var action = sigaction()
            action.sa_flags = SA_SIGINFO
            unsafe action.__sigaction_handler.sa_sigaction = { number, info, context in
                let words = unsafe context!.assumingMemoryBound(to: UInt64.self)
                // ucontext_t: flags, link, stack (3 words), then the registers R8 to R15, RDI, RSI, RBP, RBX, RDX,
                // RAX, RCX, RSP, RIP.
                let rip = unsafe words + 5 + 16
                let page = unsafe UnsafeMutableRawPointer(bitPattern: UInt(rip.pointee & ~0xfff))!
                let found = unsafe page.load(fromByteOffset: NativeFaults.magicOffset, as: UInt64.self)
                guard found == NativeFaults.magic else {
                    // A fault of translated code in another test.
                    return unsafe apus_fault_handler(number, info, context)
                }
                unsafe page.storeBytes(of: number, toByteOffset: NativeFaults.signalOffset, as: Int32.self)
                unsafe rip.pointee = page.load(fromByteOffset: NativeFaults.afterOffset, as: UInt64.self)
            }
            unsafe sigaction(number, &action, nil)
        }
        return true
    }()
    static func install() { _ = installed }
}
