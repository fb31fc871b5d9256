internal import CEngine
internal import X86

final class HostCode: Sendable { init() {}; var isFull: Bool { false } }
extension Lowering {
    func lowerHostExecuted(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool { false }
}
