import CEngine
import HostOS
import TranslatorEngine
import X86

/// A processor of the software engine without an engine: 64-bit mode, paging off, 64 KiB of RAM at address 0, and one
/// lowered instruction at a time.
@safe final class TestProcessor {
    static let ramCount = 0x10000

    let vcpu: UnsafeMutablePointer<apus_vcpu>
    let ram: UnsafeMutablePointer<UInt8>
    let code: HostCode
    private let flags: UnsafeMutablePointer<UInt8>
    private let granules: UnsafeMutablePointer<UInt64>
    private let tables: UnsafeMutablePointer<apus_tlb_entry>
    private let jumps: UnsafeMutablePointer<apus_jump_entry>
    private let range: UnsafeMutablePointer<apus_ram_range>
    private let ops: UnsafeMutablePointer<apus_op>

    init(code: HostCode) {
        self.code = code
        let size = unsafe MemoryLayout<apus_vcpu>.size
        let raw: UnsafeMutableRawPointer = .allocate(byteCount: size, alignment: 64)
        unsafe raw.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        unsafe vcpu = raw.assumingMemoryBound(to: apus_vcpu.self)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.ramCount, alignment: 4096)
        unsafe ram = memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.ramCount)
        unsafe flags = .allocate(capacity: 16)
        unsafe flags.initialize(repeating: 0, count: 16)
        unsafe granules = .allocate(capacity: 16)
        unsafe granules.initialize(repeating: 0, count: 16)
        unsafe tables = .allocate(capacity: 3 * Int(APUS_TLB_SIZE))
        unsafe tables.initialize(
            repeating: apus_tlb_entry(read_tag: 1, write_tag: 1, addend: 0, physical: 0),
            count: 3 * Int(APUS_TLB_SIZE))
        unsafe jumps = .allocate(capacity: 1)
        unsafe range = .allocate(capacity: 1)
        unsafe range.initialize(
            to: apus_ram_range(
                start: 0, count: UInt64(Self.ramCount), host: ram, page_flags: flags, granules: granules, writable: 1))
        unsafe ops = .allocate(capacity: 2)
        let opBytes = unsafe UnsafeMutableRawPointer(ops)
        _ = unsafe opBytes.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * MemoryLayout<apus_op>.stride)
        unsafe vcpu.pointee.ranges = range
        unsafe vcpu.pointee.range_count = 1
        unsafe vcpu.pointee.tlbs = (tables, tables + Int(APUS_TLB_SIZE), tables + 2 * Int(APUS_TLB_SIZE))
        unsafe vcpu.pointee.tlb = tables
        unsafe vcpu.pointee.jumps = jumps
        unsafe vcpu.pointee.tlb_generation = 2
        unsafe vcpu.pointee.code_size = 8
        unsafe vcpu.pointee.rip_mask = .max
        unsafe vcpu.pointee.s.cr0 = 0x31
        unsafe vcpu.pointee.s.cr4 = 0x40600
        unsafe vcpu.pointee.s.xcr0 = 7
        unsafe vcpu.pointee.xcr0_allowed = 7
        unsafe vcpu.pointee.page_base = 0x1000
        setFX(UInt16(0x37f), at: 0)
        setFX(UInt32(0x1f80), at: 24)
    }

    deinit {
        unsafe UnsafeMutableRawPointer(vcpu).deallocate()
        unsafe UnsafeMutableRawPointer(ram).deallocate()
        unsafe flags.deallocate()
        unsafe granules.deallocate()
        unsafe tables.deallocate()
        unsafe jumps.deallocate()
        unsafe range.deallocate()
        unsafe ops.deallocate()
    }

    // MARK: State

    private var bytes: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(vcpu) }
    func setFX<T: BitwiseCopyable>(_ value: T, at offset: Int) {
        unsafe bytes.storeBytes(of: value, toByteOffset: VectorLayout.fx + offset, as: T.self)
    }
    func fx<T: BitwiseCopyable>(_: T.Type, at offset: Int) -> T {
        unsafe bytes.loadUnaligned(fromByteOffset: VectorLayout.fx + offset, as: T.self)
    }
    func setLane(_ register: Int, _ lane: Int, _ value: UInt64) {
        unsafe bytes.storeBytes(
            of: value, toByteOffset: VectorLayout.registers + register * 32 + lane * 8, as: UInt64.self)
    }
    func lane(_ register: Int, _ lane: Int) -> UInt64 {
        unsafe bytes.load(fromByteOffset: VectorLayout.registers + register * 32 + lane * 8, as: UInt64.self)
    }
    subscript(gpr number: Int) -> UInt64 {
        get { unsafe bytes.load(fromByteOffset: number * 8, as: UInt64.self) }
        set { unsafe bytes.storeBytes(of: newValue, toByteOffset: number * 8, as: UInt64.self) }
    }
    /// The arithmetic bits of RFLAGS.
    var flagBits: UInt64 {
        get {
            let a = unsafe UInt64(vcpu.pointee.arith)
            return (a >> 8) & 0xd5 | (a & 1) << 11
        }
        set { unsafe vcpu.pointee.arith = UInt16((newValue & 0xd5) << 8 | (newValue >> 11) & 1) }
    }

    // MARK: Running

    /// How an instruction ended.
    enum Outcome: Equatable {
        case done
        case fault(UInt8, error: UInt32?)
        case exit(UInt32)
        case left(UInt8)
    }

    /// Decodes and lowers; nil where it is no instruction of ours.
    func lower(_ bytes: [UInt8], code size: CodeSize = .bits64) -> Instruction? {
        guard let instruction = try? Decoder.decode(bytes, code: size) else { return nil }
        var op = apus_op(
            handler: { _, _ in unsafe MicroOp(op: nil) }, imm: 0, disp: 0, dst: 0, src: 0, base: 188, index: 188,
            segment: 188, scale: 0, offset: 0x20, length: instruction.length, extra: 0)
        let memory = instruction.memory
        if memory.base == MemoryReference.instructionPointer {
            op.base = 189
            op.disp = Int32(truncatingIfNeeded: memory.displacement) &+ Int32(op.offset) &+ Int32(op.length)
        } else {
            if memory.base != MemoryReference.noRegister { op.base = memory.base }
            op.disp = Int32(truncatingIfNeeded: memory.displacement)
        }
        if memory.index != MemoryReference.noRegister { op.index = memory.index }
        op.scale = memory.shift
        guard lowerHostExecuted(instruction, into: &op, code) else { return nil }
        unsafe ops.pointee = op
        return instruction
    }

    /// Runs the lowered instruction.
    func run() -> Outcome {
        unsafe vcpu.pointee.status = 0xff
        let next = unsafe ops.pointee.handler(CPU(vcpu: vcpu), MicroOp(op: ops))
        if unsafe next.op == UnsafePointer(ops + 1) { return .done }
        switch unsafe Int32(vcpu.pointee.status) {
        case APUS_STATUS_FAULT:
            return unsafe .fault(
                vcpu.pointee.fault_vector,
                error: vcpu.pointee.fault_has_error != 0 ? vcpu.pointee.fault_error : nil)
        case APUS_STATUS_EXIT: return unsafe .exit(vcpu.pointee.exit_reason)
        default: return unsafe .left(vcpu.pointee.status)
        }
    }

    /// Lowers and runs; nil where it is no instruction of ours.
    func execute(_ bytes: [UInt8], code size: CodeSize = .bits64) -> Outcome? {
        lower(bytes, code: size) == nil ? nil : run()
    }
}
