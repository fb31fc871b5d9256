internal import CEngine
internal import Firmware

extension EntryState {
    /// Sets a processor that was reset to this entry.
    func apply(to state: inout apus_x86_state) {
        let code: UInt16 = mode == .long64 ? 0xA9B : 0xC9B
        let flatData = apus_x86_segment(
            base: 0, limit: UInt32.max, selector: Self.dataSelector, attributes: 0xC93)
        state.segment = (
            flatData,
            apus_x86_segment(base: 0, limit: UInt32.max, selector: Self.codeSelector, attributes: code),
            flatData, flatData, flatData, flatData,
            apus_x86_segment(base: 0, limit: 0, selector: 0, attributes: 0x82),
            apus_x86_segment(base: 0, limit: 0x67, selector: Self.taskSelector, attributes: 0x8B)
        )
        state.gdtr = apus_x86_table(base: gdtBase, limit: UInt32(gdtLimit), reserved: 0)
        state.idtr = apus_x86_table(base: 0, limit: 0, reserved: 0)
        state.cr0 = cr0
        state.cr2 = 0
        state.cr3 = pageTableRoot
        state.cr4 = cr4
        state.efer = efer
        state.gpr.0 = rax
        state.gpr.3 = rbx
        state.gpr.4 = rsp
        state.gpr.6 = rsi
        state.rip = entry
        state.rflags = 2
        state.halted = 0
        state.waiting_for_sipi = 0
    }
}
