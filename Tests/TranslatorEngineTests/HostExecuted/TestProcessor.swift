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

    func peek(_ address: UInt64) -> UInt8 { unsafe ram[Int(address) & (Self.ramCount - 1)] }
    func poke(_ address: UInt64, _ value: UInt8) { unsafe ram[Int(address) & (Self.ramCount - 1)] = value }

    /// Marks pages (bit n: page n) as holding code, so that stores take the slow path; drops the TLB.
    func setCodePages(_ pages: UInt16) {
        for page in 0..<16 { unsafe flags[page] = pages >> UInt16(page) & 1 != 0 ? 1 : 0 }
        dropTLB()
    }
    func dropTLB() {
        for index in 0..<3 * Int(APUS_TLB_SIZE) {
            unsafe tables[index] = apus_tlb_entry(read_tag: 1, write_tag: 1, addend: 0, physical: 0)
        }
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
    ///
    /// `segmented`: with the checks of protected mode; the data segments are those of the state.
    func lower(_ bytes: [UInt8], code size: CodeSize = .bits64, segmented: Bool = false) -> Instruction? {
        guard let instruction = try? Decoder.decode(bytes, code: size) else { return nil }
        var op = apus_op(
            handler_place: apus_handler_place { _, _ in unsafe MicroOp(op: nil) }, imm: 0, disp: 0, dst: 0, src: 0, base: 192,
            index: 192, segment: 192, scale: 0, offset: 0x20, length: instruction.length, extra: 0)
        let memory = instruction.memory
        if memory.base == MemoryReference.instructionPointer {
            op.base = 193
            op.disp = Int32(truncatingIfNeeded: memory.displacement) &+ Int32(op.offset) &+ Int32(op.length)
        } else {
            if memory.base != MemoryReference.noRegister { op.base = memory.base }
            op.disp = Int32(truncatingIfNeeded: memory.displacement)
        }
        if memory.index != MemoryReference.noRegister { op.index = memory.index }
        op.scale = memory.shift
        if segmented {
            op.segment = 18 + 2 * memory.segment
            op.scale |= UInt8(APUS_EA_SEGMENTED | APUS_EA_32)
        }
        guard lowerHostExecuted(instruction, into: &op, code) else { return nil }
        unsafe ops.pointee = op
        return instruction
    }

    /// All of the neutral state but RIP.
    var image: [UInt8] {
        let size = MemoryLayout<apus_x86_state>.size
        var bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: vcpu, count: size))
        bytes.replaceSubrange(128..<136, with: repeatElement(0, count: 8))
        return bytes
    }

    /// After every instruction the x87 state is brought up to date, as at the end of the engine's `run`.
    var savesX87 = true
    func saveX87() { unsafe CPU(vcpu: vcpu).saveX87() }

    /// Runs the lowered instruction.
    func run() -> Outcome {
        unsafe vcpu.pointee.status = 0xff
        let next = unsafe apus_op_handler(ops)(CPU(vcpu: vcpu), MicroOp(op: ops))
        if savesX87 { unsafe CPU(vcpu: vcpu).saveX87() }
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

    /// Runs the lowered instruction again and again, for timing.
    func repeatRun(_ count: Int) {
        defer { saveX87() }
        for _ in 0..<count { _ = unsafe apus_op_handler(ops)(CPU(vcpu: vcpu), MicroOp(op: ops)) }
    }

    /// Lowers and runs; nil where it is no instruction of ours.
    func execute(_ bytes: [UInt8], code size: CodeSize = .bits64) -> Outcome? {
        lower(bytes, code: size) == nil ? nil : run()
    }
}
