internal import Execution
internal import Machine

// Registers, memory and points.
extension RemoteSession {
    func registers(_ letter: UInt8, _ rest: ArraySlice<UInt8>) -> [UInt8] {
        do throws(MachineError) {
            switch letter {
            case UInt8(ascii: "g"): return Hexadecimal.text(try target.readRegisters(of: current))
            case UInt8(ascii: "G"):
                guard let bytes = Hexadecimal.bytes(rest) else { return Self.badArgument }
                try target.writeRegisters(bytes, of: current)
                return Self.ok
            case UInt8(ascii: "p"):
                guard let number = Hexadecimal.number(rest), number < UInt64(target.registerCount) else {
                    return Self.badArgument
                }
                return Hexadecimal.text(try target.readRegister(Int(number), of: current))
            default:
                let equals = rest.firstIndex(of: UInt8(ascii: "=")) ?? rest.endIndex
                guard equals < rest.endIndex, let number = Hexadecimal.number(rest[..<equals]),
                    number < UInt64(target.registerCount), let bytes = Hexadecimal.bytes(rest[(equals + 1)...])
                else { return Self.badArgument }
                try target.writeRegister(Int(number), bytes, of: current)
                return Self.ok
            }
        } catch { return Self.badArgument }
    }

    /// `addr,length` and what follows a colon.
    private func range(
        _ rest: ArraySlice<UInt8>
    ) -> (address: UInt64, count: Int, data: ArraySlice<UInt8>)? {
        let colon = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
        let parts = rest[..<colon].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count == 2, let address = Hexadecimal.number(parts[0]), let count = Hexadecimal.number(parts[1]),
            count <= UInt64(RemoteFramer.limit)
        else { return nil }
        return (address, Int(count), colon < rest.endIndex ? rest[(colon + 1)...] : [])
    }

    func memory(_ letter: UInt8, _ rest: ArraySlice<UInt8>) -> [UInt8] {
        guard let (address, count, data) = range(rest) else { return Self.badArgument }
        let processor = isPhysical ? nil : current
        do throws(MachineError) {
            switch letter {
            case UInt8(ascii: "m"), UInt8(ascii: "x"):
                // Twice as many digits must fit in a packet.
                guard count <= RemoteFramer.limit / 2 else { return Self.badArgument }
                let bytes = try target.read(address, count: count, processor: processor)
                return letter == UInt8(ascii: "m") ? Hexadecimal.text(bytes) : Array("b".utf8) + bytes
            default:
                let bytes = letter == UInt8(ascii: "X") ? Array(data) : Hexadecimal.bytes(data)
                guard let bytes, bytes.count == count else { return Self.badArgument }
                if count > 0 { try target.write(address, bytes, processor: processor) }
                return Self.ok
            }
        } catch { return Self.badAddress }
    }

    /// `Z0,addr,kind` and its like; conditions that follow are not taken, and were not offered.
    func point(_ rest: ArraySlice<UInt8>, inserts: Bool) -> [UInt8] {
        let words = rest.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        let parts = words.first?.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) ?? []
        guard parts.count == 3, parts[0].count == 1, let type = parts[0].first,
            let address = Hexadecimal.number(parts[1]), let length = Hexadecimal.number(parts[2])
        else { return Self.badArgument }
        func watch(_ kind: DebugRequest.Watchpoint.Kind) -> DebugPoint {
            .watchpoint(DebugRequest.Watchpoint(address: address, count: length, kind: kind))
        }
        let point: DebugPoint
        switch type {
        case UInt8(ascii: "0"): point = .breakpoint(address)
        case UInt8(ascii: "1"): point = .hardwareBreakpoint(address)
        case UInt8(ascii: "2"): point = watch(.write)
        case UInt8(ascii: "3"): point = watch(.read)
        case UInt8(ascii: "4"): point = watch(.access)
        default: return Self.unknown
        }
        do throws(MachineError) {
            if inserts { try target.insert(point, processor: current) } else { try target.remove(point) }
            return Self.ok
        } catch {
            switch error {
            case .notSupported: return Self.unknown
            case .memory: return Self.badAddress
            default: return Self.badArgument
            }
        }
    }
}
