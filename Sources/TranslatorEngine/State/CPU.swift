internal import CEngine

// The working state as handlers see it. Everything here is inlined to single loads and stores.

/// An unsigned integer of one of the four operand sizes.
protocol GuestInteger: FixedWidthInteger & UnsignedInteger & Sendable {
    static func hostLoad(_ pointer: UnsafeRawPointer) -> Self
    static func hostStore(_ pointer: UnsafeMutableRawPointer, _ value: Self)
    static func binary<O: BinaryOperation>(_ operation: O.Type, _ a: Self, _ b: Self, _ flags: inout UInt16) -> Self
    static func unary<O: UnaryOperation>(_ operation: O.Type, _ a: Self, _ flags: inout UInt16) -> Self
    static func shift<O: ShiftOperation>(_ operation: O.Type, _ a: Self, _ count: UInt8, _ flags: inout UInt16) -> Self
    static func locked<O: BinaryOperation>(
        _ operation: O.Type, _ pointer: UnsafeMutableRawPointer, _ b: Self, _ flags: inout UInt16)
    associatedtype Signed: FixedWidthInteger & SignedInteger
}

extension apus_op {
    /// What executes it.
    @inline(__always) var handler: apus_handler {
        get { unsafe withUnsafePointer(to: self) { unsafe apus_op_handler($0) } }
        set { handler_place = apus_handler_place(newValue) }
    }
}

extension MicroOp {
    /// The null handle: leave the loop.
    @inline(__always) static var leave: MicroOp { unsafe MicroOp(op: nil) }
    // SAFETY: handlers are only given non-null handles, to ops of a living arena.
    @inline(__always) private var p: UnsafePointer<apus_op> { unsafe op.unsafelyUnwrapped }
    @inline(__always) var isLeave: Bool { unsafe op == nil }
    /// The next instruction of the block.
    @inline(__always) var next: MicroOp { unsafe MicroOp(op: p + 1) }
    @inline(__always) var imm: UInt64 { unsafe p.pointee.imm }
    @inline(__always) var disp: Int32 { unsafe p.pointee.disp }
    @inline(__always) var dst: UInt16 { unsafe p.pointee.dst }
    @inline(__always) var src: UInt16 { unsafe p.pointee.src }
    @inline(__always) var base: UInt8 { unsafe p.pointee.base }
    @inline(__always) var index: UInt8 { unsafe p.pointee.index }
    @inline(__always) var segment: UInt8 { unsafe p.pointee.segment }
    @inline(__always) var scale: UInt8 { unsafe p.pointee.scale }
    @inline(__always) var offset: UInt16 { unsafe p.pointee.offset }
    @inline(__always) var length: UInt8 { unsafe p.pointee.length }
    @inline(__always) var extra: UInt8 { unsafe p.pointee.extra }
    @inline(__always) func run(_ cpu: CPU) -> MicroOp { unsafe apus_op_handler(p)(cpu, self) }
    /// Stores the link of a direct branch.
    @inline(__always) func link(_ target: MicroOp) {
        // SAFETY: the arena is writable; links are read by this processor's thread only.
        let mutable = unsafe UnsafeMutablePointer(mutating: p)
        unsafe mutable.pointee.imm = UInt64(UInt(bitPattern: target.op))
    }
    /// Writes the immediate: counts and code addresses of a block's first op.
    @inline(__always) func setImmediate(_ value: UInt64) {
        // SAFETY: as for links.
        unsafe UnsafeMutablePointer(mutating: p).pointee.imm = value
    }
    /// One more in a block's first op's displacement.
    func countCrossing() {
        // SAFETY: as for links.
        unsafe UnsafeMutablePointer(mutating: p).pointee.disp += 1
    }
    /// Makes a block's first op something else.
    func setHeader(_ handler: apus_handler, state: UInt16) {
        // SAFETY: as for links.
        let mutable = unsafe UnsafeMutablePointer(mutating: p)
        unsafe mutable.pointee.handler = handler
        unsafe mutable.pointee.src = state
    }
    /// The linked block, null where there is none yet.
    @inline(__always) var linked: MicroOp {
        unsafe MicroOp(op: UnsafePointer(bitPattern: UInt(imm)))
    }
}

extension CPU {
    // SAFETY of all accessors: `vcpu` is alive while its handle exists; offsets come from the lowering, which makes
    // them with `MemoryLayout.offset` of 8-byte registers.
    @inline(__always) var p: UnsafeMutablePointer<apus_vcpu> { unsafe vcpu }
    @inline(__always) private var raw: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(vcpu) }

    /// The register at a byte offset.
    @inline(__always) func read<T: GuestInteger>(_ offset: UInt16, as type: T.Type = T.self) -> T {
        unsafe raw.load(fromByteOffset: Int(offset), as: T.self)
    }
    /// Writes a register: 32-bit writes clear the upper half, 8- and 16-bit ones leave the rest (SDM 1, 3.4.1.1).
    @inline(__always) func write<T: GuestInteger>(_ offset: UInt16, _ value: T) {
        if T.bitWidth == 32 {
            unsafe raw.storeBytes(of: UInt64(truncatingIfNeeded: value), toByteOffset: Int(offset), as: UInt64.self)
        } else {
            unsafe raw.storeBytes(of: value, toByteOffset: Int(offset), as: T.self)
        }
    }
    /// The 8-byte register with that index, for effective addresses.
    @inline(__always) func slot(_ index: UInt8) -> UInt64 {
        unsafe raw.load(fromByteOffset: Int(index) &* 8, as: UInt64.self)
    }

    @inline(__always) var arith: UInt16 {
        get { unsafe p.pointee.arith }
        nonmutating set { unsafe p.pointee.arith = newValue }
    }
    @inline(__always) var rip: UInt64 {
        get { unsafe p.pointee.s.rip }
        nonmutating set { unsafe p.pointee.s.rip = newValue }
    }
    @inline(__always) var pageBase: UInt64 {
        get { unsafe p.pointee.page_base }
        nonmutating set { unsafe p.pointee.page_base = newValue }
    }
    /// Why the processor should stop at the next block, `APUS_PENDING_*`.
    @inline(__always) var pending: UInt32 { unsafe apus_vcpu_pending(p) }
    @inline(__always) var cpl: UInt8 { unsafe p.pointee.cpl }
    @inline(__always) var ripMask: UInt64 { unsafe p.pointee.rip_mask }

    /// The general register with that number, 0 RAX to 15 R15.
    @inline(__always) func gpr(_ number: Int) -> UInt64 {
        unsafe raw.load(fromByteOffset: (number & 15) &* 8, as: UInt64.self)
    }
    @inline(__always) func setGPR(_ number: Int, _ value: UInt64) {
        unsafe raw.storeBytes(of: value, toByteOffset: (number & 15) &* 8, as: UInt64.self)
    }

    @inline(__always) var rax: UInt64 { get { gpr(0) } nonmutating set { setGPR(0, newValue) } }
    @inline(__always) var rcx: UInt64 { get { gpr(1) } nonmutating set { setGPR(1, newValue) } }
    @inline(__always) var rdx: UInt64 { get { gpr(2) } nonmutating set { setGPR(2, newValue) } }
    @inline(__always) var rbx: UInt64 { get { gpr(3) } nonmutating set { setGPR(3, newValue) } }
    @inline(__always) var rsp: UInt64 { get { gpr(4) } nonmutating set { setGPR(4, newValue) } }
    @inline(__always) var rbp: UInt64 { get { gpr(5) } nonmutating set { setGPR(5, newValue) } }
    @inline(__always) var rsi: UInt64 { get { gpr(6) } nonmutating set { setGPR(6, newValue) } }
    @inline(__always) var rdi: UInt64 { get { gpr(7) } nonmutating set { setGPR(7, newValue) } }

    /// Address of the instruction, in the code segment.
    @inline(__always) func ripOf(_ op: MicroOp) -> UInt64 { (pageBase &+ UInt64(op.offset)) & ripMask }
    /// Address of the instruction after it.
    @inline(__always) func ripAfter(_ op: MicroOp) -> UInt64 {
        (pageBase &+ UInt64(op.offset) &+ UInt64(op.length)) & ripMask
    }

    /// Leaves the loop with `rip` set: the next block is to be found.
    @inline(__always) func lookup(_ rip: UInt64) -> MicroOp {
        self.rip = rip
        unsafe p.pointee.status = UInt8(APUS_STATUS_LOOKUP)
        return .leave
    }
    /// Leaves the loop after the instruction: mode, mappings or pending events may have changed.
    @inline(__always) func stateChanged(after op: MicroOp) -> MicroOp {
        rip = ripAfter(op)
        unsafe p.pointee.status = UInt8(APUS_STATUS_STATE)
        return .leave
    }
}
