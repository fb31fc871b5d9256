internal import CEngine

// What translated code calls. The guest's registers are in the structure; the result is 1 (go on), an address of code
// with bit 0 set, or the op to go on with in the interpreter, 0 to leave its loop.

private typealias Structure = UnsafeMutablePointer<apus_vcpu>

let translatedSlow: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, linear in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_SLOW)
    let op = unsafe MicroOp(op: op)
    let next = cpu.interpret(op)
    if unsafe next.op == op.next.op && cpu.p.pointee.code_changed == 0 {
        cpu.fillTable(linear)
        return 1
    }
    cpu.noteTouch(linear)
    unsafe cpu.p.pointee.code_changed = 0
    return next.pointer
}

let translatedStep: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, _ in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_STEP)
    let op = unsafe MicroOp(op: op)
    let next = cpu.interpret(op)
    if unsafe next.op == op.next.op && cpu.p.pointee.code_changed == 0 { return 1 }
    unsafe cpu.p.pointee.code_changed = 0
    return next.pointer
}

let translatedEnd: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, linear in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_END)
    let op = unsafe MicroOp(op: op)
    let next = cpu.interpret(op)
    cpu.fillTable(linear)
    unsafe cpu.p.pointee.code_changed = 0
    // What a transfer leads to is a block's first op; what follows in the block is none.
    guard unsafe next.op != op.next.op, let code = next.translatedCode else { return next.pointer }
    return code | 1
}

let translatedLink: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, place in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_LINK)
    let target = unsafe cpu.follow(MicroOp(op: op))
    guard let code = target.translatedCode else { return target.pointer }
    if place != 0 { cpu.owner.fetcher.translator?.link(place, to: code) }
    return code | 1
}

let translatedJump: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>?, UInt64) -> UInt64 = {
    vcpu, op, rip in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_JUMP)
    let word = UInt64(UInt(bitPattern: op))
    if word != 0, !isCanonical(rip) {
        // The instruction faults, with the stack as it was.
        let op = unsafe MicroOp(op: UnsafePointer(bitPattern: UInt(word & ~TransferMiss.mask)))
        if word & TransferMiss.pops != 0 { cpu.rsp = cpu.rsp &- 8 &- op.imm & 0xffff }
        return cpu.interpret(op).pointer
    }
    let target = cpu.jump(rip)
    guard let code = target.translatedCode else { return target.pointer }
    if let entries = unsafe cpu.p.pointee.code_jumps {
        let index = Int((rip ^ (rip >> 12)) & UInt64(APUS_JUMP_SIZE - 1))
        unsafe entries[index] = apus_code_entry(
            rip: rip, key: cpu.p.pointee.jump_key, page_base: cpu.pageBase, code: code)
    }
    return code | 1
}

let translatedFar: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, record in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_FAR)
    let page = cpu.pageBase
    let target = unsafe cpu.jump((page &+ UInt64(bitPattern: Int64(op.pointee.disp))) & cpu.ripMask)
    if record & CallRecord.mark != 0 {
        unsafe rememberCall(cpu, op, record & ~CallRecord.mark, from: page, target)
        return target.translatedCode.map { $0 | 1 } ?? target.pointer
    }
    guard let code = target.translatedCode else { return target.pointer }
    unsafe cpu.owner.fetcher.translator?.remember(
        record, FarRecord(key: cpu.p.pointee.jump_key, page: page, target: cpu.pageBase, code: code))
    return code | 1
}

/// Notes where a call within a superblock has led, which goes on there from now on where that is the function that the
/// superblock has.
private func rememberCall(_ cpu: CPU, _ op: UnsafePointer<apus_op>, _ record: UInt64, from page: UInt64, _ target: MicroOp) {
    guard !target.isLeave, let translator = cpu.owner.fetcher.translator,
        translator.function(call: record) == target.pointer
    else { return }
    unsafe translator.remember(
        call: record, key: cpu.p.pointee.jump_key, page: page, target: cpu.pageBase,
        back: page &+ UInt64(op.pointee.offset) &+ UInt64(op.pointee.length))
}

let translatedPromote: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, record in
    let cpu = unsafe CPU(vcpu: vcpu)
    return unsafe cpu.owner.fetcher.promote(cpu, MicroOp(op: op), record) | 1
}

let translatedWindow: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UInt64, UInt64) -> UInt64 = {
    vcpu, word, linear in
    let cpu = unsafe CPU(vcpu: vcpu)
    let first = unsafe MicroOp(op: UnsafePointer(bitPattern: UInt(word & ~WindowMiss.mask)))
    cpu.noteTouch(linear)
    // To the block's end, so that the page is in the TLB for what the window needs. The block that it goes on to may lie
    // right behind it, and is not executed from here.
    let cache = cpu.owner.fetcher.cache
    let end = cache.block(of: first).map { block in
        cache.header(of: block).pointer &+ UInt64(block.opCount) &* UInt64(MemoryLayout<apus_op>.stride)
    }
    var op = first
    var next = cpu.interpret(op)
    while unsafe next.op == op.next.op && next.pointer < end ?? 0 {
        op = next
        next = cpu.interpret(op)
    }
    unsafe cpu.p.pointee.code_changed = 0
    if word & WindowMiss.crosses != 0 {
        cpu.owner.fetcher.noteCrossing(cpu, first)
    } else {
        cpu.fillTable(linear)
    }
    return next.pointer
}

let translatedFault: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>?, UInt64) -> UInt64 = {
    vcpu, _, _ in
    let cpu = unsafe CPU(vcpu: vcpu)
    unsafe apus_count_way(vcpu, APUS_WAY_FAULT)
    guard let site = unsafe cpu.owner.fetcher.translator?.site(at: cpu.p.pointee.fault_address_host) else {
        fatalError("A fault of translated code has no instruction")
    }
    cpu.takeVectors(site.dirty)
    // The interpreter finds the guest's reason and raises its exception.
    return cpu.interpret(site.op).pointer
}

extension CPU {
    /// Makes indirect jumps to an address find the code that replaces another.
    func replaceJump(to old: UInt64, with code: UInt64, at rip: UInt64) {
        guard let entries = unsafe p.pointee.code_jumps else { return }
        let entry = unsafe entries + Int((rip ^ (rip >> 12)) & UInt64(APUS_JUMP_SIZE - 1))
        if unsafe entry.pointee.code == old { unsafe entry.pointee.code = code }
    }
}

extension MicroOp {
    var pointer: UInt64 { unsafe UInt64(UInt(bitPattern: op)) }
    /// The code of the block that this op begins, nil where there is none.
    var translatedCode: UInt64? { !isLeave && src == HeaderState.translated ? imm : nil }
}

/// `src` of a block's first op.
enum HeaderState {
    static let counting: UInt16 = 0x5a01
    static let translated: UInt16 = 0x5a02
    static let interpreted: UInt16 = 0x5a03
    /// Translated, and compared with the interpreter: nothing links to its code.
    static let verified: UInt16 = 0x5a04
}

extension CPU {
    /// Executes an op in the middle of translated code, whose exception flags are the guest's so far.
    @inline(__always) fileprivate func interpret(_ op: MicroOp) -> MicroOp {
        absorbFlags()
        let next = op.run(self)
        presentFlags()
        return next
    }
    /// Adds the exception flags that translated code has raised to the guest's.
    @inline(__always) func absorbFlags() {
        let raised = unsafe p.pointee.translated_mxcsr & MXCSR.flags
        if raised != 0 {
            let old = unsafe fxState.load(fromByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
            unsafe fxState.storeBytes(of: old | raised, toByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
        }
    }
    /// What MXCSR translated code is to start with.
    @inline(__always) func presentFlags() {
        let value = unsafe fxState.load(fromByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
        unsafe p.pointee.translated_mxcsr = MXCSR.plain | value & MXCSR.flags
    }
    /// Takes vector registers over that the fault stub has left in `scratch`.
    fileprivate func takeVectors(_ dirty: UInt32) {
        for register in UInt8(0)..<16 where dirty >> UInt32(register) & 1 != 0 {
            let (place, saved) = (VectorLayout.register(register), VectorLayout.scratch + 32 * Int(register))
            setVector(place, vector(saved))
            if dirty & BlockTranslator.FaultSite.wide != 0 { setVector(place + 16, vector(saved + 16)) }
        }
    }

    /// The tables of this processor's translator, without counting a reference: this is where most misses come by.
    @inline(__always) private func withTables(_ body: (FlatTables) -> Void) {
        guard let tables = unsafe p.pointee.flat_tables else { return }
        // SAFETY: the translator keeps its tables while translated code can run.
        unsafe Unmanaged<FlatTables>.fromOpaque(tables)._withUnsafeGuaranteedRef(body)
    }

    /// Enters the page of a linear address that translated code looked for in the current table, as far as the TLB
    /// holds it, or notes that the code looked there.
    func fillTable(_ linear: UInt64) {
        let e = unsafe p.pointee.tlb + Int((linear >> 12) & UInt64(APUS_TLB_SIZE - 1))
        let wanted = (linear & ~0xfff) | tag
        let mode = Int(unsafe p.pointee.mode_index)
        let writable = unsafe e.pointee.write_tag == wanted
        if unsafe writable || e.pointee.read_tag == wanted {
            let addend = unsafe e.pointee.addend
            withTables { $0.fill(mode, linear, addend: addend, writable: writable) }
        } else {
            noteTouch(linear)
        }
    }
    /// Notes that translated code has looked for a linear address in the current table.
    fileprivate func noteTouch(_ linear: UInt64) {
        let mode = Int(unsafe p.pointee.mode_index)
        withTables { $0.touch(mode, linear) }
    }

    func setFlatBases(_ bases: (UInt64, UInt64, UInt64)) {
        // SAFETY: the array has three words.
        let slot = unsafe UnsafeMutableRawPointer(p).advanced(
            by: MemoryLayout<apus_vcpu>.offset(of: \.flat_bases).unsafelyUnwrapped)
        unsafe slot.storeBytes(of: bases.0, as: UInt64.self)
        unsafe slot.storeBytes(of: bases.1, toByteOffset: 8, as: UInt64.self)
        unsafe slot.storeBytes(of: bases.2, toByteOffset: 16, as: UInt64.self)
    }
}

/// The first op of a block: counts, and has the block translated when it is worth it.
let countBlock: apus_handler = { cpu, op in
    let count = op.imm &+ 1
    op.setImmediate(count)
    if unsafe count < cpu.p.pointee.translation_threshold { return cpu.countsInstructions ? cpu.charge(op) : op.next }
    return cpu.owner.fetcher.translateBlock(cpu, op)
}
/// The first op of a translated block.
let runTranslated: apus_handler = { cpu, op in
    cpu.presentFlags()
    let next = unsafe apus_enter_translated(cpu.p, cpu.p.pointee.enter_stub, op.imm)
    cpu.absorbFlags()
    return unsafe MicroOp(op: UnsafePointer(bitPattern: UInt(next)))
}
