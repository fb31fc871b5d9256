internal import CEngine
internal import X86

// `verify=on`: every translated block is executed by the interpreter first, what that did is taken back, the block's
// code runs from the same state, and both results are compared: registers, flags, memory, and how the block ended.
//
// The interpreter uses TLBs of its own in which nothing may be written, so that each of its stores comes by the slow
// path, where the lines that it touches are kept. Blocks end before instructions that are no function of the state
// (ports, time, model-specific registers) or change the mode; those, and accesses to device memory and to pages with
// code, run alone and once. Flags count where the block ends by itself: in its middle nobody looks at those that the
// rest of it would set.

/// Compares the translator with the interpreter, block by block. The processor's thread only.
@safe final class Verifier {
    /// A line of memory that the interpreter has written to.
    private struct Line {
        var host: UInt
        var before: Words
        var after: Words
    }
    private typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// What a block does besides registers and memory.
    private struct Outcome {
        /// 0: it ended; 1: an instruction must run alone; 2: a fault.
        var kind: UInt8
        var rip: UInt64
        var vector: UInt8 = 0
        var error: UInt32 = 0
        var address: UInt64 = 0
    }

    /// What either execution starts from, and what the interpreter ended with.
    private let before: UnsafeMutablePointer<WorkingState>
    private let reference: UnsafeMutablePointer<WorkingState>
    private let lines: UnsafeMutablePointer<Line>
    private var lineCount = 0
    private static let lineCapacity = 2048
    /// Blocks compared.
    private(set) var compared: UInt64 = 0
    /// Comparisons that came out only when they were repeated: devices wrote meanwhile.
    private(set) var repeated: UInt64 = 0

    /// For tests: these bits of RAX come out wrong.
    var tamperedBits: UInt64 = 0

    init() {
        unsafe before = .allocate(capacity: 1)
        unsafe reference = .allocate(capacity: 1)
        unsafe lines = .allocate(capacity: Self.lineCapacity)
    }

    deinit {
        unsafe before.deallocate()
        unsafe reference.deallocate()
        unsafe lines.deallocate()
    }

    /// Executes a translated block in both ways. Its code's result is the machine's.
    func run(_ cpu: CPU, _ op: MicroOp) -> MicroOp {
        guard let block = cpu.owner.fetcher.cache.block(of: op) else { return op.next }
        cpu.saveX87()
        // Of a store that ran alone: it would end the block at its first slow access.
        unsafe cpu.p.pointee.code_changed = 0
        unsafe before.initialize(to: WorkingState(cpu))
        for attempt in 0..<3 {
            if attempt > 0 {
                // A device may have written between the two, or translations differ that the guest has yet to drop.
                unsafe before.pointee.restore(cpu)
                cpu.flushTLB()
                repeated &+= 1
            }
            let expected = interpret(cpu, op, block)
            let next = runCode(cpu, op)
            let outcome = Self.outcome(cpu, next)
            if isEqual(cpu, block, expected, outcome) {
                compared &+= 1
                return next
            }
            if attempt == 2 { return report(cpu, op, block, expected, outcome) }
        }
        return .leave
    }

    /// Called for each write of the interpreter, with the host address of its first byte.
    func note(_ host: UnsafeMutableRawPointer) {
        let first = UInt(bitPattern: host) & ~63
        note(line: first)
        if (first &+ 64) & 4095 != 0 { note(line: first &+ 64) }
    }
    private func note(line: UInt) {
        for index in 0..<lineCount where unsafe lines[index].host == line { return }
        guard lineCount < Self.lineCapacity, let place = unsafe UnsafeRawPointer(bitPattern: line) else { return }
        let words = unsafe place.load(as: Words.self)
        unsafe (lines + lineCount).initialize(to: Line(host: line, before: words, after: words))
        lineCount += 1
    }

    // MARK: The two executions

    private func interpret(_ cpu: CPU, _ op: MicroOp, _ block: BlockCache.Block) -> Outcome {
        lineCount = 0
        cpu.beginReference()
        let first = op.pointer
        let end = first &+ UInt64(block.opCount) &* UInt64(MemoryLayout<apus_op>.stride)
        var at = op.next
        repeat { at = at.run(cpu) } while !at.isLeave && at.pointer > first && at.pointer < end
        cpu.saveX87()
        cpu.endPhase()
        let outcome = Self.outcome(cpu, at)
        unsafe reference.initialize(to: WorkingState(cpu))
        for index in 0..<lineCount {
            let line = unsafe lines + index
            guard let place = unsafe UnsafeMutableRawPointer(bitPattern: line.pointee.host) else { continue }
            // SAFETY: the address is one of guest memory, as the page walk gave it.
            unsafe line.pointee.after = place.load(as: Words.self)
            unsafe Self.restore(place, line)
        }
        unsafe before.pointee.restore(cpu)
        return outcome
    }

    /// Takes the interpreter's writes back, and nothing beside them.
    private static func restore(_ place: UnsafeMutableRawPointer, _ line: UnsafeMutablePointer<Line>) {
        unsafe withUnsafeBytes(of: line.pointee.before) { old in
            unsafe withUnsafeBytes(of: line.pointee.after) { new in
                for index in 0..<64 where unsafe old[index] != new[index] {
                    unsafe place.storeBytes(of: old[index], toByteOffset: index, as: UInt8.self)
                }
            }
        }
    }

    private func runCode(_ cpu: CPU, _ op: MicroOp) -> MicroOp {
        unsafe cpu.p.pointee.verify_phase = 2
        cpu.presentFlags()
        let next = unsafe apus_enter_translated(cpu.p, cpu.p.pointee.enter_stub, op.imm)
        cpu.absorbFlags()
        cpu.saveX87()
        cpu.endPhase()
        cpu.rax ^= tamperedBits
        return unsafe MicroOp(op: UnsafePointer(bitPattern: UInt(next)))
    }

    private static func outcome(_ cpu: CPU, _ next: MicroOp) -> Outcome {
        guard next.isLeave else { return Outcome(kind: 0, rip: cpu.ripOf(next)) }
        if unsafe cpu.p.pointee.status == UInt8(APUS_STATUS_FAULT) {
            let vector = unsafe cpu.p.pointee.fault_vector
            return unsafe Outcome(
                kind: 2, rip: cpu.rip, vector: vector,
                error: cpu.p.pointee.fault_has_error != 0 ? cpu.p.pointee.fault_error : 0,
                address: vector == Vector.page ? cpu.p.pointee.fault_address : 0)
        }
        return unsafe Outcome(kind: cpu.p.pointee.runs_alone, rip: cpu.rip)
    }

    // MARK: Comparison

    private func isEqual(
        _ cpu: CPU, _ block: BlockCache.Block, _ expected: Outcome, _ outcome: Outcome
    ) -> Bool {
        guard expected.kind == outcome.kind, expected.rip == outcome.rip, expected.vector == outcome.vector,
            expected.error == outcome.error, expected.address == outcome.address
        else { return false }
        guard unsafe reference.pointee.isEqual(cpu) else { return false }
        if outcome.kind == 0 {
            let different = unsafe reference.pointee.differentFlags(cpu)
            if different != 0 && different & ~UndefinedFlags.after(block) != 0 { return false }
        }
        for index in 0..<lineCount {
            let line = unsafe lines + index
            guard let place = unsafe UnsafeRawPointer(bitPattern: line.pointee.host) else { continue }
            let same = unsafe withUnsafeBytes(of: &line.pointee.after) { unsafe apus_equal(place, $0.baseAddress, 64) }
            if !same { return false }
        }
        return true
    }

    /// Writes the difference down and stops the machine.
    private func report(
        _ cpu: CPU, _ op: MicroOp, _ block: BlockCache.Block, _ expected: Outcome, _ outcome: Outcome
    ) -> MicroOp {
        let start = cpu.ripOf(op)
        var text = "----------------\nverify: the translator differs from the interpreter after \(compared) blocks\n"
        if let source = unsafe UnsafeRawPointer(bitPattern: block.start) {
            let bytes = unsafe UnsafeRawBufferPointer(start: source, count: Int(block.count))
            text += unsafe CPU.listing(bytes, at: start, block.code)
        }
        func line(_ name: String, _ wanted: UInt64, _ found: UInt64) {
            guard wanted != found else { return }
            text += "\(name): interpreter 0x\(hexadecimal(wanted, 16)), translator 0x\(hexadecimal(found, 16))\n"
        }
        line("end", UInt64(expected.kind), UInt64(outcome.kind))
        line("rip", expected.rip, outcome.rip)
        line("vector", UInt64(expected.vector), UInt64(outcome.vector))
        line("error code", UInt64(expected.error), UInt64(outcome.error))
        line("address", expected.address, outcome.address)
        let found = WorkingState(cpu)
        for (name, wanted, value) in unsafe reference.pointee.differences(found) { line(name, wanted, value) }
        for index in 0..<lineCount {
            let kept = unsafe lines[index]
            guard let place = unsafe UnsafeRawPointer(bitPattern: kept.host) else { continue }
            unsafe withUnsafeBytes(of: kept.after) { after in
                for word in 0..<8 {
                    let wanted = unsafe after.load(fromByteOffset: word * 8, as: UInt64.self)
                    let value = unsafe place.load(fromByteOffset: word * 8, as: UInt64.self)
                    line("memory at host \(hexadecimal(UInt64(kept.host) + UInt64(word * 8), 0))", wanted, value)
                }
            }
        }
        unsafe before.pointee.restore(cpu)
        cpu.rip = start
        text += "before:\n" + cpu.registerText(floating: true)
        cpu.trace(text)
        _ = cpu.exit(.difference, address: start, value: 0, size: 0)
        return .leave
    }
}

extension SoftwareProcessor {
    /// Makes translated blocks give a wrong RAX, so that a test sees the comparison fail.
    package func tamperWithVerification(_ bits: UInt64) {
        makeTranslator()
        fetcher.verifier?.tamperedBits = bits
    }
}

extension CPU {
    /// The interpreter runs ahead from here on, with TLBs of its own.
    fileprivate func beginReference() {
        unsafe p.pointee.verify_phase = 1
        unsafe p.pointee.tlb = tlb(0) + (3 + Int(p.pointee.mode_index)) * Int(APUS_TLB_SIZE)
    }
    fileprivate func endPhase() {
        unsafe p.pointee.verify_phase = 0
        unsafe p.pointee.tlb = tlb(Int(p.pointee.mode_index))
    }
    /// Whether a block runs whose two executions are compared.
    @inline(__always) var isVerifying: Bool { unsafe p.pointee.verify_phase != 0 }
    /// Whether it is the interpreter's execution, which is taken back.
    @inline(__always) var isReference: Bool { unsafe p.pointee.verify_phase == 1 }
}

/// The first op of a translated block that is compared.
let runVerified: apus_handler = { cpu, op in
    cpu.owner.fetcher.verifier?.run(cpu, op) ?? op.next
}
