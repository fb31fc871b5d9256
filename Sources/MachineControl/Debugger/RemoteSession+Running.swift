internal import Machine

// c, s, vCont and their like.
extension RemoteSession {
    /// `c`, `s`, `C05`, `S05`, each perhaps with an address to go on at.
    func resume(_ letter: UInt8, _ rest: ArraySlice<UInt8>) -> [UInt8]? {
        var address = rest
        if letter == UInt8(ascii: "C") || letter == UInt8(ascii: "S") {
            // Guests take no signals.
            let semicolon = rest.firstIndex(of: UInt8(ascii: ";")) ?? rest.endIndex
            address = semicolon < rest.endIndex ? rest[(semicolon + 1)...] : []
        }
        if !address.isEmpty {
            guard let place = Hexadecimal.number(address) else { return Self.badArgument }
            let bytes = (0..<8).map { UInt8(truncatingIfNeeded: place >> UInt64($0 * 8)) }
            // 16 is the instruction pointer's number.
            do throws(MachineError) { try target.writeRegister(16, bytes, of: current) } catch {
                return Self.badArgument
            }
        }
        var plan = Dictionary(uniqueKeysWithValues: (0..<target.processorCount).map { ($0, false) })
        if letter == UInt8(ascii: "s") || letter == UInt8(ascii: "S") { plan[resumed ?? current] = true }
        return run(plan)
    }

    private func run(_ plan: [Int: Bool]) -> [UInt8]? {
        guard isAttached else { return Self.badArgument }
        awaitsStop = true
        do throws(MachineError) { try target.resume(plan, holdsInterrupts: stepBits & 2 != 0) } catch {
            // A machine at its end does not go on: it has stopped again at once.
            awaitsStop = false
            return Array("T06thread:\(threadName(current));".utf8)
        }
        return nil
    }

    /// Commands that begin with `v`.
    func longCommand(_ rest: ArraySlice<UInt8>) -> [UInt8]? {
        if rest.elementsEqual("Cont?".utf8) { return Array("vCont;c;C;s;S".utf8) }
        if rest.starts(with: "Cont;".utf8) { return resumeSome(rest.dropFirst(5)) }
        if rest.starts(with: "Attach;".utf8) {
            guard Hexadecimal.number(rest.dropFirst(7)) == 1 else { return Self.badArgument }
            if !isAttached { open() }
            target.interrupt()
            return Array("T05thread:\(threadName(current));".utf8)
        }
        if rest.starts(with: "Kill;".utf8) {
            guard Hexadecimal.number(rest.dropFirst(5)) == 1 else { return Self.badArgument }
            target.kill()
            return Self.ok
        }
        return Self.unknown
    }

    /// `s:1;c`: of the actions for a thread the first counts.
    private func resumeSome(_ rest: ArraySlice<UInt8>) -> [UInt8]? {
        var plan: [Int: Bool] = [:]
        for action in rest.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
            guard let letter = action.first else { return Self.badArgument }
            let colon = action.firstIndex(of: UInt8(ascii: ":")) ?? action.endIndex
            let signal = action[..<colon].dropFirst()
            let steps: Bool
            switch letter {
            case UInt8(ascii: "c") where signal.isEmpty: steps = false
            case UInt8(ascii: "s") where signal.isEmpty: steps = true
            case UInt8(ascii: "C") where Hexadecimal.number(signal) != nil: steps = false
            case UInt8(ascii: "S") where Hexadecimal.number(signal) != nil: steps = true
            default: return Self.badArgument
            }
            var meant = Array(0..<target.processorCount)
            if colon < action.endIndex {
                guard let found = thread(action[(colon + 1)...]) else { return Self.badArgument }
                if let one = found { meant = [one] }
            }
            for processor in meant where plan[processor] == nil { plan[processor] = steps }
        }
        return plan.isEmpty ? Self.badArgument : run(plan)
    }
}
