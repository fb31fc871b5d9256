internal import CEngine
internal import X86

// Superblocks that go on in the functions they call, and behind the calls when these come back. A call to another page
// looks whether that is still where it was found, as a jump to another page does; a return whether it leads behind its
// call. Both have a record beside the code in common.

/// What a call within a superblock remembers.
struct CallRecord {
    /// The jump key and page base for which the rest is good.
    var key: UInt64 = .max
    var page: UInt64 = 0
    /// The function's page base.
    var target: UInt64 = 0
    /// The address behind the call.
    var back: UInt64 = 0
    /// The first op of the function that the superblock has.
    var function: UInt64

    /// The lowest bit of a record's address, which tells it from a `FarRecord`.
    static let mark: UInt64 = 1
}

extension BlockTranslator {
    /// A call, or a return, that leads elsewhere.
    @safe struct LeftCall {
        let op: UnsafePointer<apus_op>
        let places: [UnsafeMutablePointer<UInt8>]
        /// A call's; nil for a return.
        let record: UnsafeMutablePointer<UInt8>?
    }

    private func field(_ record: UnsafeMutablePointer<UInt8>, _ offset: Int?) -> RM {
        unsafe .relative(record + offset.unsafelyUnwrapped)
    }
    private var pageBase: RM { .state(Int(Slot.pageBase) * 8) }

    /// Emits a CALL whose function follows, `function` being its first op. All registers and flags are where others look
    /// for them.
    mutating func emitCalled(_ op: UnsafePointer<apus_op>, function: UnsafePointer<apus_op>, liveAfter: Bool) {
        endVectors()
        releaseAll()
        if flagsInHost && liveAfter { spillFlags() }
        flagsInHost = false
        unsafe emitReturnAddress(op)
        let isFar = unsafe op.pointee.disp < 0 || op.pointee.disp >= 4096
        let record = unsafe takeRecord(CallRecord(function: UInt64(UInt(bitPattern: function))))
        unsafe calls.append((record, isFar))
        guard isFar else {
            unsafe a.store(Host.address, field(record, MemoryLayout<CallRecord>.offset(of: \.back)))
            return
        }
        var misses: [UnsafeMutablePointer<UInt8>] = unsafe []
        unsafe a.load(Host.address, .field(MemoryLayout<apus_vcpu>.offset(of: \.jump_key)))
        unsafe compareAddress(field(record, MemoryLayout<CallRecord>.offset(of: \.key)))
        unsafe misses.append(a.jump(if: 5))
        a.load(Host.address, pageBase)
        unsafe compareAddress(field(record, MemoryLayout<CallRecord>.offset(of: \.page)))
        unsafe misses.append(a.jump(if: 5))
        unsafe a.load(Host.address, field(record, MemoryLayout<CallRecord>.offset(of: \.target)))
        a.store(Host.address, pageBase)
        unsafe leftCalls.append(LeftCall(op: op, places: misses, record: record))
    }

    /// Emits the RET that ends the function of the innermost call, which what is behind that follows.
    mutating func emitReturned(_ op: UnsafePointer<apus_op>) {
        endVectors()
        releaseAll()
        if flagsInHost { spillFlags() }
        flagsInHost = false
        unsafe emitPopTarget(op)
        guard let (record, isFar) = unsafe calls.popLast() else { fatalError("A return without a call") }
        unsafe compareAddress(field(record, MemoryLayout<CallRecord>.offset(of: \.back)))
        unsafe leftCalls.append(LeftCall(op: op, places: [a.jump(if: 5)], record: nil))
        guard isFar else { return }
        unsafe a.load(Host.address, field(record, MemoryLayout<CallRecord>.offset(of: \.page)))
        a.store(Host.address, pageBase)
    }

    private mutating func compareAddress(_ place: RM) {
        a.modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.address, rm: place)
    }

    /// Emits, out of line, where calls and returns go that lead elsewhere.
    mutating func emitLeftCalls() {
        for call in leftCalls {
            for unsafe place in unsafe call.places { unsafe a.land(place) }
            guard let record = unsafe call.record else {
                unsafe emitTransfer(call.op, pops: true)
                continue
            }
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: call.op)))
            unsafe a.lea(Host.address, .relative(record + Int(CallRecord.mark)))
            unsafe a.jump(to: stubs.far)
        }
    }
}
