public import DeviceModel
internal import Network
import Synchronization
internal import VirtQueue

// The control queue. virtio 1.2, 5.1.6.5: class and command (a byte each), data, and an answering byte.
extension VirtioNet {
    private enum Class {
        static let receive: UInt8 = 0
        static let address: UInt8 = 1
        static let vlan: UInt8 = 2
        static let multiQueue: UInt8 = 4
        static let offloads: UInt8 = 5
        static func isFilter(_ kind: UInt8) -> Bool { kind <= vlan }
    }
    private static let acknowledged: UInt8 = 0
    private static let refused: UInt8 = 1
    /// Bytes of a command that count: the longest real ones are address tables.
    private static let mostControlBytes = 65536

    func control() {
        var changes = false
        let (more, place) = transmitting.withLock { state -> (Bool, Int) in
            (process(&state, &changes), state.controlPlace)
        }
        if changes { filterChanged() }
        if more { schedule(place) }
    }

    /// - Parameter changes: becomes true where the driver has changed the filter, be it to what it was.
    private func process(_ state: inout TransmitState, _ changes: inout Bool) -> Bool {
        guard let queue = state.control, let interrupt = state.interrupt, let chain = state.chain, !state.isPaused
        else { return false }
        return queue.process(state.controlPlace, interrupt, chain) { chain in
            let bytes = chain.bytes(at: 0, count: Self.mostControlBytes)
            let isDone = bytes.count >= 2 && perform(bytes[0], bytes[1], bytes[2...])
            if isDone, Class.isFilter(bytes[0]) { changes = true }
            return chain.store(at: 0, isDone ? Self.acknowledged : Self.refused) ? 1 : 0
        }
    }

    /// Obeys a command, or refuses one that is malformed or unknown. Takes the lock of receiving after that of
    /// sending; nobody takes them the other way round.
    private func perform(_ kind: UInt8, _ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
        receiving.withLock { state in
            switch kind {
            case Class.offloads:
                guard command == 0, data.count >= 8 else { return false }
                let bits = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                let wanted = Feature.offloads(bits)
                // Nothing that was not negotiated (5.1.6.5.6.1).
                guard wanted.isSubset(of: Feature.offloads(link.withLock { $0.features })) else { return false }
                state.offloads = wanted
                return true
            case Class.multiQueue:
                // VQ_PAIRS_SET, 5.1.6.5.5; the pairs that were negotiated at most.
                guard command == 0, data.count >= 2 else { return false }
                let pairs = Int(data[data.startIndex]) | Int(data[data.startIndex + 1]) << 8
                guard pairs >= 1, pairs <= state.queues.count else { return false }
                state.activePairs = pairs
                return true
            case Class.receive:
                guard let value = data.first else { return false }
                return Self.setMode(command, value != 0, &state.filter)
            case Class.address: return Self.setAddress(command, data, &state)
            case Class.vlan:
                guard data.count >= 2, command <= 1 else { return false }
                let id = UInt16(data[data.startIndex]) | UInt16(data[data.startIndex + 1]) << 8
                guard id < 4096 else { return false }
                state.filter.setVLAN(id, passes: command == 0)
                return true
            default: return false
            }
        }
    }

    private static func setMode(_ command: UInt8, _ isOn: Bool, _ filter: inout ReceiveFilter) -> Bool {
        switch command {
        case 0: filter.isPromiscuous = isOn
        case 1: filter.takesAllMulticast = isOn
        case 2: filter.takesAllUnicast = isOn
        case 3: filter.dropsMulticast = isOn
        case 4: filter.dropsUnicast = isOn
        case 5: filter.dropsBroadcast = isOn
        default: return false
        }
        return true
    }

    private static func setAddress(_ command: UInt8, _ data: ArraySlice<UInt8>, _ state: inout ReceiveState) -> Bool {
        if command == 1 {
            guard data.count == 6 else { return false }
            state.address = ReceiveFilter.address(data)
            return true
        }
        guard command == 0 else { return false }
        // Two tables, each a count of 4 bytes and so many addresses of 6.
        var rest = data
        var tables: [[ReceiveFilter.Address]] = []
        for _ in 0..<2 {
            guard rest.count >= 4 else { return false }
            let count = Int(VirtioConfiguration.read(Array(rest.prefix(4)), offset: 0, size: 4))
            rest = rest.dropFirst(4)
            guard count <= rest.count / 6 else { return false }
            tables.append((0..<count).map { ReceiveFilter.address(rest.dropFirst($0 * 6)) })
            rest = rest.dropFirst(count * 6)
        }
        state.filter.setTable(unicast: tables[0], multicast: tables[1])
        return true
    }

    // MARK: Saving

    public func exportState() -> DeviceState {
        receiving.withLock { state in
            var result = DeviceState(version: 2)
            let filter = state.filter
            result.set("mac", state.address)
            result.set("pairs", UInt16(state.activePairs))
            var modes: UInt32 = 0
            let flags = [
                filter.isPromiscuous, filter.takesAllMulticast, filter.takesAllUnicast, filter.dropsMulticast,
                filter.dropsUnicast, filter.dropsBroadcast,
            ]
            for (bit, isOn) in flags.enumerated() where isOn { modes |= 1 << UInt32(bit) }
            result.set("rx-mode", modes)
            result.set("unicast", Self.bytes(filter.unicast))
            result.set("multicast", Self.bytes(filter.multicast))
            result.set("unicast-overflow", filter.overflowsUnicast)
            result.set("multicast-overflow", filter.overflowsMulticast)
            result.set(
                "vlans", (filter.vlans ?? []).flatMap { word in (0..<8).map { UInt8(word >> UInt64($0 * 8) & 0xFF) } })
            // A frame with work left would need its header; TCP sends it again.
            result.set("held", state.heldOffload.isComplete ? state.held ?? [] : [])
            return result
        }
    }
    private static func bytes(_ table: Set<ReceiveFilter.Address>) -> [UInt8] {
        table.sorted().flatMap { ReceiveFilter.bytes($0) }
    }
    private static func table(_ bytes: [UInt8], overflows: Bool) -> [ReceiveFilter.Address] {
        let addresses = stride(from: 0, to: bytes.count / 6 * 6, by: 6).map { ReceiveFilter.address(bytes[$0...]) }
        // One more than is kept stands for a table that was too long.
        return overflows
            ? addresses + [ReceiveFilter.Address](repeating: 0, count: ReceiveFilter.tableLimit + 1) : addresses
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...2)
        let address: UInt64 = try saved.integer("mac")
        let modes: UInt32 = try saved.integer("rx-mode")
        let pairs: UInt16 = saved.version >= 2 ? try saved.integer("pairs") : 1
        guard pairs >= 1, Int(pairs) <= pairCount else { throw .outOfRange(field: "pairs", value: UInt64(pairs)) }
        var filter = ReceiveFilter()
        for bit in UInt8(0)..<6 { _ = Self.setMode(bit, modes >> UInt32(bit) & 1 != 0, &filter) }
        filter.setTable(
            unicast: Self.table(try saved.bytes("unicast"), overflows: try saved.bool("unicast-overflow")),
            multicast: Self.table(try saved.bytes("multicast"), overflows: try saved.bool("multicast-overflow")))
        let vlans = try saved.bytes("vlans")
        if !vlans.isEmpty {
            guard vlans.count == 512 else { throw .outOfRange(field: "vlans", value: UInt64(vlans.count)) }
            filter.vlans = (0..<64).map { word in
                (0..<8).reduce(0) { $0 | UInt64(vlans[word * 8 + $1]) << UInt64($1 * 8) }
            }
        }
        let held = try saved.bytes("held")
        let restored = filter
        receiving.withLock { state in
            state.address = address & 0xFFFF_FFFF_FFFF
            state.activePairs = state.queues.isEmpty ? Int(pairs) : min(Int(pairs), state.queues.count)
            state.filter = restored
            state.held = held.isEmpty ? nil : held
            state.heldOffload = FrameOffload.none
        }
    }
}
