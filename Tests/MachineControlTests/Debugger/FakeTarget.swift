import Execution
import Machine
import Synchronization

/// Two processors with registers and a little memory, which remember what was asked of them.
final class FakeTarget: DebugTarget {
    struct State {
        var calls: [String] = []
        var registers: [[UInt8]] = FakeTarget.sizes.map { [UInt8](repeating: 0, count: $0) }
        var memory = [UInt8](repeating: 0, count: 0x1000)
        var isRunning = false
        var stop: (processor: Int, stop: DebugStop)?
    }
    static let sizes = [Int](repeating: 8, count: 17) + [4, 10, 16]
    let state = Mutex(State())
    let machine = FakeMachine()

    var calls: [String] { state.withLock { $0.calls } }
    func note(_ call: String) { state.withLock { $0.calls.append(call) } }

    var processorCount: Int { 2 }
    var isRunning: Bool { state.withLock { $0.isRunning } }
    var runState: RunState { isRunning ? .running : .paused }
    func isHalted(_ processor: Int) -> Bool { processor == 1 }
    func description(_ file: String) -> String? {
        file == "target.xml" ? "<target>" + String(repeating: "}", count: 50_000) + "</target>" : nil
    }
    var registerCount: Int { Self.sizes.count }
    func readRegister(_ number: Int, of processor: Int) throws(MachineError) -> [UInt8] {
        state.withLock { $0.registers[number] }
    }
    func writeRegister(_ number: Int, _ bytes: [UInt8], of processor: Int) throws(MachineError) {
        guard bytes.count == Self.sizes[number] else { throw .failed("size") }
        note("register \(number) of \(processor)")
        state.withLock { $0.registers[number] = bytes }
    }
    func readRegisters(of processor: Int) throws(MachineError) -> [UInt8] {
        state.withLock { $0.registers.flatMap { $0 } }
    }
    func writeRegisters(_ bytes: [UInt8], of processor: Int) throws(MachineError) { note("registers \(bytes.count)") }
    private func offset(_ address: UInt64, _ count: Int) throws(MachineError) -> Int {
        guard address >= 0x1000, address - 0x1000 < 0x1000, UInt64(count) <= 0x2000 - address else {
            throw .memory(address)
        }
        return Int(address - 0x1000)
    }
    func read(_ address: UInt64, count: Int, processor: Int?) throws(MachineError) -> [UInt8] {
        let start = try offset(address, count)
        return state.withLock { Array($0.memory[start..<(start + count)]) }
    }
    func write(_ address: UInt64, _ bytes: [UInt8], processor: Int?) throws(MachineError) {
        let start = try offset(address, bytes.count)
        note("write \(bytes.count) for \(processor.map { "\($0)" } ?? "physical")")
        state.withLock { $0.memory.replaceSubrange(start..<(start + bytes.count), with: bytes) }
    }
    func insert(_ point: DebugPoint, processor: Int) throws(MachineError) {
        if case .watchpoint(let watch) = point, watch.kind == .read { throw .notSupported("reads") }
        note("insert \(point)")
    }
    func remove(_ point: DebugPoint) throws(MachineError) { note("remove \(point)") }
    func removeAllPoints() { note("clear") }
    func attach() { note("attach") }
    func detach() { note("detach") }
    func interrupt() { note("interrupt") }
    func resume(_ processors: [Int: Bool], holdsInterrupts: Bool) throws(MachineError) {
        let plan = processors.sorted { $0.key < $1.key }.map { "\($0.key)\($0.value ? "s" : "c")" }
        note("resume " + plan.joined(separator: " ") + (holdsInterrupts ? "" : " with interrupts"))
        state.withLock { $0.isRunning = true }
    }
    func takeStop() -> (processor: Int, stop: DebugStop)? {
        state.withLock { state in
            defer { state.stop = nil }
            return state.stop
        }
    }
    func kill() { note("kill") }
    var operations: any MachineOperations { machine }

    /// Stops as a processor does.
    func stop(_ processor: Int, _ stop: DebugStop?) {
        state.withLock { state in
            state.isRunning = false
            state.stop = stop.map { (processor, $0) }
        }
    }
}
