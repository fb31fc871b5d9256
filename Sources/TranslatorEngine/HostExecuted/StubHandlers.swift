internal import CEngine

// Handlers of instructions that run in a stub, whose address is in `imm`.

private typealias Stub = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer?) -> UInt32

extension CPU {
    /// Runs the stub; the flags of an unmasked exception, else 0.
    @inline(__always) func runStub(_ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> UInt32 {
        // SAFETY: the lowering put the address of a stub there, and the arena lives as long as its ops.
        unsafe unsafeBitCast(UInt(op.imm), to: Stub.self)(bytes, memory)
    }

    /// Raises #XM, or #UD where the system has not said that it handles it, after an SSE floating-point exception that
    /// the guest does not mask (SDM volume 1, 11.5.2). `flags` are those raised.
    @inline(never) func simdFault(_ op: MicroOp, _ flags: UInt32, _ memory: UnsafeMutableRawPointer?) -> MicroOp {
        var raised = flags
        let unmasked = flags & ~(mxcsr >> 7)
        if unmasked & 7 != 0 {
            // Where an operand is at fault before anything is computed, no result is examined.
            raised &= 7
        } else if unmasked & 0x10 != 0 {
            if unsafe !isInexact(op, memory) { raised &= ~0x20 }
        }
        mxcsr |= raised
        return fault(op, cr4 & CR4.osxmmexcpt != 0 ? Vector.simd : Vector.undefined)
    }

    /// Flushing a tiny result to zero, by which stubs notice it, always flags it as inexact. Runs the stub again
    /// without that and takes back what it does. (A result that is exact but for the range of its format is still
    /// called inexact, which the processor with underflow or overflow unmasked does not.)
    private func isInexact(_ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool {
        let saved = unsafe p.pointee.s
        mxcsr = mxcsr & 0x6040 | 0x800
        let flags = unsafe runStub(op, memory)
        unsafe p.pointee.s = saved
        return flags & 0x20 != 0
    }
    @inline(never) func x87Fault(_ op: MicroOp) -> MicroOp { fault(op, Vector.x87) }
}

/// What surrounds a stub besides its memory operand.
private protocol StubKind {
    /// Pending x87 exceptions are raised first.
    static var waits: Bool { get }
    /// `dst` holds the alignment mask of the operand.
    static var aligns: Bool { get }
    /// A store is made in `scratch` first, because an exception may forbid it after the stub has run.
    static var defers: Bool { get }
    /// False where an exception is recorded.
    static func run(_ cpu: CPU, _ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool
    /// False where the instruction that just ran stores nothing.
    static func stored(_ cpu: CPU) -> Bool
}
extension StubKind {
    @inline(__always) static var waits: Bool { false }
    @inline(__always) static var aligns: Bool { true }
    @inline(__always) static var defers: Bool { false }
    @inline(__always) static func stored(_ cpu: CPU) -> Bool { true }
}

private enum Plain: StubKind {
    @inline(__always) static func run(_ cpu: CPU, _ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool {
        _ = unsafe cpu.runStub(op, memory)
        return true
    }
}
private enum Floating: StubKind {
    @inline(__always) static var defers: Bool { true }
    @inline(__always) static func run(_ cpu: CPU, _ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool {
        let flags = unsafe cpu.runStub(op, memory)
        if flags != 0 {
            _ = unsafe cpu.simdFault(op, flags, memory)
            return false
        }
        return true
    }
}
private enum MMX: StubKind {
    @inline(__always) static var waits: Bool { true }
    @inline(__always) static func run(_ cpu: CPU, _ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool {
        cpu.enterMMX()
        return unsafe Floating.run(cpu, op, memory)
    }
}
private enum X87: StubKind {
    @inline(__always) static var waits: Bool { true }
    @inline(__always) static var aligns: Bool { false }
    @inline(__always) static func run(_ cpu: CPU, _ op: MicroOp, _ memory: UnsafeMutableRawPointer?) -> Bool {
        unsafe cpu.runX87(op, memory)
        return true
    }
    /// An unmasked exception but inexactness keeps a result from memory (SDM volume 1, 8.5).
    @inline(__always) static func stored(_ cpu: CPU) -> Bool { cpu.fsw & ~cpu.fcw & 0x1f == 0 }
}

@inline(__always) private func checked(
    _ cpu: CPU, _ op: MicroOp, waits: Bool, _ body: () -> MicroOp
) -> MicroOp {
    if cpu.blocked(op.extra) { return cpu.vectorFault(op, op.extra) }
    if waits && cpu.x87Pending { return cpu.x87Fault(op) }
    return body()
}

@inline(__always) private func register<K: StubKind>(_: K.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    checked(cpu, op, waits: K.waits) { unsafe K.run(cpu, op, nil) ? op.next : .leave }
}
@inline(__always) private func load<K: StubKind>(_: K.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    checked(cpu, op, waits: K.waits) {
        let last = UInt64(op.src)
        let mask = K.aligns ? UInt64(op.dst) : 0
        guard let memory = unsafe cpu.readable(op, last: last, mask: mask) else { return .leave }
        return unsafe K.run(cpu, op, memory) ? op.next : .leave
    }
}
@inline(__always) private func store<K: StubKind>(_: K.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    checked(cpu, op, waits: K.waits) {
        let last = UInt64(op.src)
        let mask = K.aligns ? UInt64(op.dst) : 0
        if !K.defers, let memory = unsafe cpu.fastWritable(op, last: last, mask: mask) {
            return unsafe K.run(cpu, op, memory) ? op.next : .leave
        }
        let done = unsafe cpu.slowWrite(op, last: last, mask: mask) { scratch in
            guard unsafe K.run(cpu, op, scratch) else { return .leave }
            return K.stored(cpu) ? .write : .nothing
        }
        return done ? op.next : .leave
    }
}

/// By kind (plain, floating, MMX, x87), then by operand (none, read, written).
let stubHandlers: [apus_handler] = [
    { c, o in register(Plain.self, c, o) },
    { c, o in load(Plain.self, c, o) },
    { c, o in store(Plain.self, c, o) },
    { c, o in register(Floating.self, c, o) },
    { c, o in load(Floating.self, c, o) },
    { c, o in store(Floating.self, c, o) },
    { c, o in register(MMX.self, c, o) },
    { c, o in load(MMX.self, c, o) },
    { c, o in store(MMX.self, c, o) },
    { c, o in register(X87.self, c, o) },
    { c, o in load(X87.self, c, o) },
    { c, o in store(X87.self, c, o) },
]

/// There was no room for the stub: the block is asked for again, after whoever keeps the blocks has dropped them.
let noRoomForStub: apus_handler = { cpu, op in
    cpu.giveBackCharge(at: cpu.ripOf(op))
    return cpu.lookup(cpu.ripOf(op))
}
