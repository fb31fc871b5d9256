internal import CEngine

extension RegisterDump {
    /// The registers of a neutral state.
    init(_ state: apus_x86_state) {
        self.init()
        let g = state.gpr
        general = [
            g.0, g.1, g.2, g.3, g.4, g.5, g.6, g.7, g.8, g.9, g.10, g.11, g.12, g.13, g.14, g.15,
        ]
        instructionPointer = state.rip
        flags = state.rflags
        let s = state.segment
        segments = [s.0, s.1, s.2, s.3, s.4, s.5].map(Segment.init)
        localDescriptorTable = Segment(s.6)
        taskRegister = Segment(s.7)
        globalTable = Segment(base: state.gdtr.base, limit: state.gdtr.limit)
        interruptTable = Segment(base: state.idtr.base, limit: state.idtr.limit)
        control = (state.cr0, state.cr2, state.cr3, state.cr4)
        breakpoints = [state.dr.0, state.dr.1, state.dr.2, state.dr.3]
        debugStatus = state.dr.6
        debugControl = state.dr.7
        extendedFeatures = state.efer
        setFloating(state)
        privilegeLevel = Int(s.2.attributes >> 5 & 3)
        isInterruptInhibited = state.interrupt_shadow != 0
        isSMM = state.smm & UInt8(APUS_SMM_ACTIVE) != 0
        isHalted = state.halted != 0
    }

    /// FXSAVE's image (SDM volume 1, 10.5.1): st(i) counts from the top of the stack.
    private mutating func setFloating(_ state: apus_x86_state) {
        // SAFETY: the buffers are copied inside the closures.
        let bytes = unsafe withUnsafeBytes(of: state.fx) { unsafe Array($0) }
        func load(_ offset: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8) }
        }
        x87Control = UInt16(load(0, 2))
        x87Status = UInt16(load(2, 2))
        x87Tags = UInt8(load(4, 1))
        mxcsr = UInt32(load(24, 4))
        let top = Int(x87Status >> 11 & 7)
        for number in 0..<8 {
            x87[(top + number) & 7] = (load(32 + number * 16, 8), UInt16(load(40 + number * 16, 2)))
        }
        let words = unsafe withUnsafeBytes(of: state.ymm) { buffer in
            (0..<64).map { unsafe buffer.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
        vectors = (0..<16).map { (words[$0 * 4], words[$0 * 4 + 1]) }
    }
}

extension RegisterDump.Segment {
    fileprivate init(_ segment: apus_x86_segment) {
        let attributes = UInt32(segment.attributes)
        self.init(
            selector: segment.selector, base: segment.base, limit: segment.limit,
            flags: (attributes & 0xFF) << 8 | (attributes & 0xF00) << 12)
    }
}
