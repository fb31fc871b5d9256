public import Execution

/// A machine as a debugger sees it. Called on the event loop's thread; the machine stands where nothing else is said.
public protocol DebugTarget: AnyObject, Sendable {
    /// The processors, from 0.
    var processorCount: Int { get }
    /// Whether processors run.
    var isRunning: Bool { get }
    /// What the machine is doing.
    var runState: RunState { get }
    /// Whether the processor sleeps until an event.
    func isHalted(_ processor: Int) -> Bool

    /// A file of the target description (GDB's manual, "Target Descriptions"), `target.xml` first.
    func description(_ file: String) -> String?
    /// The registers of the description.
    var registerCount: Int { get }
    /// A register's bytes, in the guest's order.
    func readRegister(_ number: Int, of processor: Int) throws(MachineError) -> [UInt8]
    /// Writes a register; the bytes are as many as `readRegister` gives.
    func writeRegister(_ number: Int, _ bytes: [UInt8], of processor: Int) throws(MachineError)
    /// All registers, one after the other.
    func readRegisters(of processor: Int) throws(MachineError) -> [UInt8]
    /// Writes all registers, or the first of them.
    func writeRegisters(_ bytes: [UInt8], of processor: Int) throws(MachineError)

    /// Memory by linear address as the processor has it, or by physical address with nil. The debugger's own
    /// breakpoints are not seen.
    func read(_ address: UInt64, count: Int, processor: Int?) throws(MachineError) -> [UInt8]
    /// Writes memory, ROM too.
    func write(_ address: UInt64, _ bytes: [UInt8], processor: Int?) throws(MachineError)

    /// Inserts a point; once more does nothing.
    func insert(_ point: DebugPoint, processor: Int) throws(MachineError)
    /// Removes a point.
    func remove(_ point: DebugPoint) throws(MachineError)
    /// Removes all points.
    func removeAllPoints()

    /// A debugger has come: the machine stops.
    func attach()
    /// It has gone; its points go with it. The machine stays as it is.
    func detach()
    /// Stops the machine. The stop is heard of as any other is.
    func interrupt()
    /// Lets the named processors run, all others stand; `true`: one instruction.
    func resume(_ processors: [Int: Bool], holdsInterrupts: Bool) throws(MachineError)
    /// Why the machine stopped by a debugger's wish since the last `resume`; nil where it did not. Ends steps.
    func takeStop() -> (processor: Int, stop: DebugStop)?
    /// Ends the machine.
    func kill()
    /// What a line of the monitor for people prints; see `MachineOperations`.
    var operations: any MachineOperations { get }
}

/// A point at which a debugger wants the machine to stop.
public enum DebugPoint: Hashable, Sendable {
    /// An instruction, by whatever the engine does best.
    case breakpoint(UInt64)
    /// An instruction, without a change of memory.
    case hardwareBreakpoint(UInt64)
    /// An access.
    case watchpoint(DebugRequest.Watchpoint)
}
