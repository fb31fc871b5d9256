internal import CEngine

/// What the instructions of a block can change.
struct WorkingState {
    private var state: apus_x86_state
    private var pageBase: UInt64
    private var arith: UInt16
    private var status: UInt8
    private var masked: UInt8
    private var modeChanged: UInt8
    private var codeChanged: UInt8
    private var instructions: UInt64
    private var mxcsr: UInt32

    init(_ cpu: CPU) {
        let p = unsafe cpu.p
        unsafe state = p.pointee.s
        unsafe pageBase = p.pointee.page_base
        unsafe arith = p.pointee.arith
        unsafe status = p.pointee.status
        unsafe masked = p.pointee.masked_events
        unsafe modeChanged = p.pointee.mode_changed
        unsafe codeChanged = p.pointee.code_changed
        unsafe instructions = p.pointee.instructions
        unsafe mxcsr = p.pointee.translated_mxcsr
    }

    func restore(_ cpu: CPU) {
        let p = unsafe cpu.p
        unsafe p.pointee.s = state
        unsafe p.pointee.page_base = pageBase
        unsafe p.pointee.arith = arith
        unsafe p.pointee.status = status
        unsafe p.pointee.masked_events = masked
        unsafe p.pointee.mode_changed = modeChanged
        unsafe p.pointee.code_changed = codeChanged
        unsafe p.pointee.instructions = instructions
        unsafe p.pointee.translated_mxcsr = mxcsr
        unsafe p.pointee.runs_alone = 0
        unsafe p.pointee.link_from = nil
        cpu.commitReplies()
    }

    private static let registerBytes = 16 * 8
    private static let vectorStart = unsafe MemoryLayout<apus_x86_state>.offset(of: \.fx).unsafelyUnwrapped
    private static let vectorEnd = unsafe MemoryLayout<apus_x86_state>.offset(of: \.pkru).unsafelyUnwrapped

    /// The arithmetic flags that differ, as in `arith`.
    func differentFlags(_ cpu: CPU) -> UInt16 { (cpu.arith ^ arith) & UndefinedFlags.all }

    mutating func isEqual(_ cpu: CPU) -> Bool {
        let p = unsafe cpu.p
        guard unsafe p.pointee.s.rflags & ~Flag.arithmetic == state.rflags & ~Flag.arithmetic else { return false }
        // SAFETY: the ranges lie in the structure.
        return unsafe withUnsafeBytes(of: &state) { own in
            let other = UnsafeRawPointer(p)
            let base = unsafe own.baseAddress.unsafelyUnwrapped
            return unsafe apus_equal(base, other, Self.registerBytes)
                && apus_equal(base + Self.vectorStart, other + Self.vectorStart, Self.vectorEnd - Self.vectorStart)
        }
    }

    /// The registers that differ, by name.
    func differences(_ other: WorkingState) -> [(String, UInt64, UInt64)] {
        var list: [(String, UInt64, UInt64)] = [("flags (arith)", UInt64(arith), UInt64(other.arith))]
        list.append(("rflags", state.rflags & ~Flag.arithmetic, other.state.rflags & ~Flag.arithmetic))
        let names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + (8..<16).map { "r\($0)" }
        // SAFETY: as above; all are multiples of 8.
        unsafe withUnsafeBytes(of: state) { own in
            unsafe withUnsafeBytes(of: other.state) { theirs in
                for (index, name) in names.enumerated() {
                    unsafe list.append(
                        (
                            name, own.load(fromByteOffset: index * 8, as: UInt64.self),
                            theirs.load(fromByteOffset: index * 8, as: UInt64.self)
                        ))
                }
                for offset in stride(from: Self.vectorStart, to: Self.vectorEnd, by: 8) {
                    unsafe list.append(
                        (
                            "vector state +\(offset - Self.vectorStart)",
                            own.load(fromByteOffset: offset, as: UInt64.self),
                            theirs.load(fromByteOffset: offset, as: UInt64.self)
                        ))
                }
            }
        }
        return list
    }
}
