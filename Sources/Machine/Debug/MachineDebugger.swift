internal import CEngine
public import Execution
internal import GuestMemory
internal import Synchronization

/// The one debugger of a machine: its points, and what it reads and writes.
public final class MachineDebugger: DebugTarget {
    private struct Points: Sendable {
        /// By address in the processors.
        var breakpoints: Set<UInt64> = []
        var hardware: Set<UInt64> = []
        var watchpoints: [DebugRequest.Watchpoint] = []
        /// Put into memory: linear address to physical.
        var patches: [UInt64: UInt64] = [:]
        /// What was there, by physical address.
        var originals: [UInt64: UInt8] = [:]
    }
    private let machine: VirtualMachine
    private let points = Mutex(Points())
    /// INT3.
    private static let instruction: UInt8 = 0xcc
    private static let pointLimit = 4096

    /// The debugger of a machine; one at a time.
    public init(_ machine: VirtualMachine) { self.machine = machine }

    public var processorCount: Int { machine.group.threads.count }
    public var runState: RunState { machine.runState }
    public var isRunning: Bool { machine.runState.isRunning }
    public var operations: any MachineOperations { machine }
    public func isHalted(_ processor: Int) -> Bool { ((try? state(processor))?.halted ?? 0) != 0 }

    private func state(_ processor: Int) throws(MachineError) -> apus_x86_state {
        let found = machine.control.withLock { _ in
            machine.group.whileParked { threads in threads.first { $0.index == processor }?.state }
        }
        guard let found else { throw .noProcessor(processor) }
        return found
    }
    private func change(_ processor: Int, _ body: (inout apus_x86_state) -> Void) throws(MachineError) {
        let done = machine.control.withLock { _ in
            machine.group.whileParked { threads -> Bool in
                guard let thread = threads.first(where: { $0.index == processor }) else { return false }
                var state = thread.state
                body(&state)
                thread.state = state
                return true
            }
        }
        if !done { throw .noProcessor(processor) }
    }

    // MARK: Registers

    public func description(_ file: String) -> String? { DebugDescription.file(file) }
    public var registerCount: Int { DebugRegister.all.count }
    public func readRegister(_ number: Int, of processor: Int) throws(MachineError) -> [UInt8] {
        guard DebugRegister.all.indices ~= number else { throw .failed("There is no register \(number)") }
        return DebugRegister.all[number].read(try state(processor))
    }
    public func writeRegister(_ number: Int, _ bytes: [UInt8], of processor: Int) throws(MachineError) {
        guard DebugRegister.all.indices ~= number, DebugRegister.all[number].size == bytes.count else {
            throw .failed("There is no register \(number) of \(bytes.count) bytes")
        }
        try change(processor) { DebugRegister.all[number].write(bytes, to: &$0) }
    }
    public func readRegisters(of processor: Int) throws(MachineError) -> [UInt8] {
        let state = try state(processor)
        return DebugRegister.all.flatMap { $0.read(state) }
    }
    public func writeRegisters(_ bytes: [UInt8], of processor: Int) throws(MachineError) {
        try change(processor) { state in
            var rest = bytes[...]
            for register in DebugRegister.all {
                guard rest.count >= register.size else { return }
                register.write(Array(rest.prefix(register.size)), to: &state)
                rest = rest.dropFirst(register.size)
            }
        }
    }

    // MARK: Memory

    /// The physical pieces of a linear range, at most 1 MiB; nil for `processor`: the range itself.
    private func pieces(
        _ address: UInt64, _ count: Int, _ processor: Int?
    ) throws(MachineError) -> [(physical: UInt64, count: Int)] {
        guard 0...(1 << 20) ~= count else { throw .memory(address) }
        guard let processor else { return [(address, count)] }
        let tables = PageTables(try state(processor), memory: machine.board.memory)
        var result: [(physical: UInt64, count: Int)] = []
        var done = 0
        while done < count {
            let linear = address &+ UInt64(done)
            guard let physical = tables.physical(linear) else { throw .memory(linear) }
            let part = min(count - done, 4096 - Int(linear & 4095))
            result.append((physical, part))
            done += part
        }
        return result
    }

    public func read(_ address: UInt64, count: Int, processor: Int?) throws(MachineError) -> [UInt8] {
        let originals = points.withLock { $0.originals }
        var bytes: [UInt8] = []
        for piece in try pieces(address, count, processor) {
            var part = try machine.readPhysical(piece.physical, count: piece.count)
            for (place, byte) in originals where place &- piece.physical < UInt64(piece.count) {
                part[Int(place - piece.physical)] = byte
            }
            bytes += part
        }
        return bytes
    }

    public func write(_ address: UInt64, _ bytes: [UInt8], processor: Int?) throws(MachineError) {
        let pieces = try pieces(address, bytes.count, processor)
        let view = machine.board.memory.view
        for piece in pieces where piece.count > 0 {
            let start = GuestPhysical(piece.physical)
            guard let range = view.range(at: start), UInt64(piece.count) <= range.end - start else {
                throw .memory(piece.physical)
            }
        }
        var rest = bytes[...]
        for piece in pieces where piece.count > 0 {
            var part = Array(rest.prefix(piece.count))
            rest = rest.dropFirst(piece.count)
            points.withLock { points in
                for place in points.originals.keys where place &- piece.physical < UInt64(piece.count) {
                    // The breakpoint stays over it.
                    points.originals[place] = part[Int(place - piece.physical)]
                    part[Int(place - piece.physical)] = Self.instruction
                }
            }
            store(piece.physical, part)
        }
    }

    /// Writes RAM or ROM within one range of the map.
    private func store(_ physical: UInt64, _ bytes: [UInt8]) {
        let start = GuestPhysical(physical)
        guard let range = machine.board.memory.view.range(at: start), UInt64(bytes.count) <= range.end - start else {
            return
        }
        let offset = range.offset + (start - range.start)
        for (index, byte) in bytes.enumerated() {
            // SAFETY: the range holds the bytes, as was checked.
            unsafe apus_store8(range.block.base + Int(offset) + index, byte)
        }
        machine.board.memory.noteWrite(block: range.block, offset: offset, count: UInt64(bytes.count))
    }

    // MARK: Points

    private var abilities: DebugAbilities? { machine.group.threads.first?.debugAbilities }

    public func insert(_ point: DebugPoint, processor: Int) throws(MachineError) {
        guard let abilities else { throw .notSupported("This engine has no breakpoints") }
        let old = points.withLock { $0 }
        guard old.breakpoints.count + old.watchpoints.count + old.patches.count < Self.pointLimit else {
            throw .failed("There are \(Self.pointLimit) points already")
        }
        switch point {
        case .breakpoint(let address):
            guard abilities.pointLimit != nil else {
                points.withLock { _ = $0.breakpoints.insert(address) }
                break
            }
            try patch(address, processor)
        case .hardwareBreakpoint(let address): points.withLock { _ = $0.hardware.insert(address) }
        case .watchpoint(let wanted):
            guard wanted.kind != .read || abilities.watchesReads else {
                throw .notSupported("This engine cannot watch reads alone")
            }
            guard wanted.count > 0, wanted.count <= abilities.watchLength else {
                throw .failed("\(wanted.count) bytes cannot be watched")
            }
            points.withLock { points in
                if !points.watchpoints.contains(wanted) { points.watchpoints.append(wanted) }
            }
        }
        guard apply([:]) else {
            points.withLock { points in
                points.breakpoints = old.breakpoints
                points.hardware = old.hardware
                points.watchpoints = old.watchpoints
            }
            _ = apply([:])
            throw .failed("The processors take no more points")
        }
    }

    /// Puts INT3 into memory.
    private func patch(_ address: UInt64, _ processor: Int) throws(MachineError) {
        guard points.withLock({ $0.patches[address] }) == nil else { return }
        let original = try read(address, count: 1, processor: processor)
        let physical = try pieces(address, 1, processor)[0].physical
        points.withLock { points in
            points.patches[address] = physical
            if points.originals[physical] == nil { points.originals[physical] = original[0] }
        }
        store(physical, [Self.instruction])
    }

    public func remove(_ point: DebugPoint) throws(MachineError) {
        var restore: (UInt64, UInt8)?
        let found = points.withLock { points -> Bool in
            switch point {
            case .breakpoint(let address):
                if let physical = points.patches.removeValue(forKey: address) {
                    // Another address may lead to the same byte.
                    if !points.patches.values.contains(physical) {
                        restore = points.originals.removeValue(forKey: physical).map { (physical, $0) }
                    }
                    return true
                }
                return points.breakpoints.remove(address) != nil
            case .hardwareBreakpoint(let address): return points.hardware.remove(address) != nil
            case .watchpoint(let wanted):
                guard let place = points.watchpoints.firstIndex(of: wanted) else { return false }
                points.watchpoints.remove(at: place)
                return true
            }
        }
        if let restore { store(restore.0, [restore.1]) }
        _ = apply([:])
        if !found { throw .failed("There is no such point") }
    }

    public func removeAllPoints() {
        let old = points.withLock { points -> Points in
            defer { points = Points() }
            return points
        }
        for (physical, byte) in old.originals { store(physical, [byte]) }
        _ = apply([:])
    }

    /// Tells the processors what is wanted of them. False where one cannot do it.
    private func apply(_ steps: [Int: Bool], holdsInterrupts: Bool = true) -> Bool {
        let points = points.withLock { $0 }
        var request = DebugRequest()
        request.breakpoints = points.breakpoints.union(points.hardware)
        request.watchpoints = points.watchpoints
        request.breakpointInstructions = Set(points.patches.keys)
        request.holdsInterrupts = holdsInterrupts
        return machine.control.withLock { _ in
            machine.group.whileParked { threads in
                var done = true
                for thread in threads {
                    var own = request
                    own.singleStep = steps[thread.index] ?? false
                    // An engine without breakpoints is fine as long as none is wanted.
                    if !thread.setDebug(own) && own != DebugRequest() { done = false }
                }
                return done
            }
        }
    }

    // MARK: Running

    public func attach() {
        machine.debugger.withLock { $0 = VirtualMachine.DebuggerState() }
        machine.stop()
        removeAllPoints()
    }

    public func detach() {
        machine.debugger.withLock { $0 = nil }
        removeAllPoints()
        machine.group.allow(nil)
    }

    public func interrupt() { machine.stop() }
    public func kill() { machine.quit(cause: .hostSignal) }

    public func resume(_ processors: [Int: Bool], holdsInterrupts: Bool) throws(MachineError) {
        machine.debugger.withLock { $0?.stop = nil }
        guard apply(processors, holdsInterrupts: holdsInterrupts) else {
            throw .failed("The processors cannot be stepped")
        }
        let all = machine.group.threads.allSatisfy { processors[$0.index] != nil }
        machine.group.allow(all ? nil : Set(processors.keys))
        try machine.resume()
    }

    public func takeStop() -> (processor: Int, stop: DebugStop)? {
        let stop = machine.debugger.withLock { state -> (processor: Int, stop: DebugStop)? in
            defer { state?.stop = nil }
            return state?.stop
        }
        machine.group.allow(nil)
        _ = apply([:])
        return stop
    }
}
