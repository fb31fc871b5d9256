internal import CEngine

// The bodies of the two-operand forms, specialised for operation and size by `BinaryTable`.

@inline(__always)
func rr<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var flags = cpu.arith
    let result = T.binary(O.self, cpu.read(op.dst), cpu.read(op.src), &flags)
    cpu.arith = flags
    if O.writesResult { cpu.write(op.dst, result) }
    return op.next
}

@inline(__always)
func ri<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var flags = cpu.arith
    let result = T.binary(O.self, cpu.read(op.dst), T(truncatingIfNeeded: op.imm), &flags)
    cpu.arith = flags
    if O.writesResult { cpu.write(op.dst, result) }
    return op.next
}

@inline(__always)
func rm<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var source: T = 0
    guard cpu.load(op, &source) else { return .leave }
    var flags = cpu.arith
    let result = T.binary(O.self, cpu.read(op.dst), source, &flags)
    cpu.arith = flags
    if O.writesResult { cpu.write(op.dst, result) }
    return op.next
}

@inline(__always)
private func memoryForm<O: BinaryOperation, T: GuestInteger>(
    _: O.Type, _ source: T, _ cpu: CPU, _ op: MicroOp
) -> MicroOp {
    var flags = cpu.arith
    if O.writesResult {
        guard cpu.modify(op, { (old: T) in T.binary(O.self, old, source, &flags) }) else { return .leave }
    } else {
        var old: T = 0
        guard cpu.load(op, &old) else { return .leave }
        _ = T.binary(O.self, old, source, &flags)
    }
    cpu.arith = flags
    return op.next
}

@inline(__always)
func mr<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let source: T = cpu.read(op.src)
    return memoryForm(O.self, source, cpu, op)
}

@inline(__always)
func mi<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    memoryForm(O.self, T(truncatingIfNeeded: op.imm), cpu, op)
}

@inline(__always)
private func lockedForm<O: BinaryOperation, T: GuestInteger>(
    _: O.Type, _ source: T, _ cpu: CPU, _ op: MicroOp
) -> MicroOp {
    var flags = cpu.arith
    guard
        unsafe cpu.atomic(
            op, T.self, { pointer in unsafe T.locked(O.self, pointer, source, &flags) },
            { old in T.binary(O.self, old, source, &flags) })
    else { return .leave }
    cpu.arith = flags
    return op.next
}

@inline(__always)
func lmr<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let source: T = cpu.read(op.src)
    return lockedForm(O.self, source, cpu, op)
}

@inline(__always)
func lmi<O: BinaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    lockedForm(O.self, T(truncatingIfNeeded: op.imm), cpu, op)
}

extension CPU {
    /// A locked read-modify-write of the memory operand: `host` on RAM, `plain` where memory is a device's (whose
    /// accesses are exits) or crosses a page. On false nothing has run.
    @inline(__always)
    func atomic<T: GuestInteger>(
        _ op: MicroOp, _: T.Type, _ host: (UnsafeMutableRawPointer) -> Void, _ plain: (T) -> T
    ) -> Bool {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 {
            if let pointer = unsafe writable(address(op), T.self) {
                unsafe host(pointer)
                return true
            }
        }
        let size = T.bitWidth / 8
        guard let place = atomicPlace(op, size: size) else { return false }
        if let pointer = unsafe place.host, place.writable {
            unsafe host(pointer)
            if place.code { noteStore(place.physical, size: size) }
            return true
        }
        guard let old = slowLoad(op, size: size) else { return false }
        return slowStore(op, UInt64(truncatingIfNeeded: plain(T(truncatingIfNeeded: old))), size: size)
    }

    /// Where a locked operand lies; without a host address where it is a device's, ROM, or crosses a page.
    @inline(never) func atomicPlace(_ op: MicroOp, size: Int) -> Place? {
        rip = ripOf(op)
        do throws(Leave) {
            let linear = try operandAddress(op, size: size, write: true)
            try probe(linear, size: size, .write, .current)
            if (linear & 0xfff) + UInt64(size) > 4096 {
                return unsafe Place(physical: 0, host: nil, writable: true, code: false)
            }
            noteAccess(linear, size: size, .write)
            return try translate(linear, .write, .current)
        } catch { return nil }
    }
}
