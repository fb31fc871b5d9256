public import DeviceModel
internal import Synchronization

// What is saved of a device whose rings stand still: what the transport does not know.
extension VhostDevice {
    public func exportState() -> DeviceState {
        let pairs = UInt16(front.withLock { $0.pairs })
        guard model.hasLink else {
            var state = DeviceState(version: 1)
            state.set("pairs", pairs)
            return state
        }
        // As `VirtioNet` has it, so that a machine may go on where its frames are moved another way. A back-end lets all
        // frames through.
        var state = DeviceState(version: 2)
        state.set("mac", ReceiveFilter.address(settings.withLock { $0.bytes.prefix(6) }))
        state.set("pairs", pairs)
        state.set("rx-mode", UInt32(1))
        for table in ["unicast", "multicast", "vlans", "held"] { state.set(table, [UInt8]()) }
        for table in ["unicast-overflow", "multicast-overflow"] { state.set(table, false) }
        return state
    }

    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(model.hasLink ? 2...2 : 1...1)
        let pairs: UInt16 = try state.integer("pairs")
        guard pairs >= 1, Int(pairs) <= max(1, model.queueSizes.count / 2) else {
            throw .outOfRange(field: "pairs", value: UInt64(pairs))
        }
        if model.hasLink {
            let address: UInt64 = try state.integer("mac")
            settings.withLock { settings in
                settings.bytes.replaceSubrange(0..<6, with: ReceiveFilter.bytes(address))
            }
        }
        front.withLock { $0.pairs = Int(pairs) }
        local.withLock { $0.owesReset = model.hasTransportReset }
    }
}
