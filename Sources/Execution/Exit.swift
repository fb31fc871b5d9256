/// Why a processor came back from `run`: the machine answers and runs it again.
///
/// Modelled on what KVM's run loop gives back, so that a board cannot tell the engines apart.
public enum Exit: Equatable, Sendable {
    /// A read of `size` bytes (1, 2 or 4) from an I/O port; answer with `complete(read:)`.
    case portRead(port: UInt16, size: UInt8)
    /// A write to an I/O port.
    case portWrite(port: UInt16, size: UInt8, value: UInt32)
    /// A read of `size` bytes (1, 2, 4 or 8) of device memory; answer with `complete(read:)`.
    case mmioRead(address: UInt64, size: UInt8)
    /// A write to device memory.
    case mmioWrite(address: UInt64, size: UInt8, value: UInt64)
    /// The PIC's line is up and the processor takes interrupts: answer with `acknowledge(vector:)`.
    case interruptAcknowledge
    /// The local APIC ended a level-triggered interrupt: tell the IOAPIC.
    case endOfInterrupt(vector: UInt8)
    /// HLT, in engines that do not sleep by themselves.
    case halt
    /// Triple fault.
    case shutdown
    /// `kick` was called, or a signal came.
    case interrupted
    /// A breakpoint, watchpoint or single step that a debugger asked for.
    case debug(DebugStop)
    /// The engine cannot go on: its words for a log, with the state left as it was.
    case error(String)
}
