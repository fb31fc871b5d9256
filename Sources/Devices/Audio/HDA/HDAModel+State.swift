package import DeviceModel

extension HDAModel {
    /// The whole state but guest memory.
    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("control", control)
        state.set("wake", UInt32(wakeEnable) | UInt32(wakeStatus) << 16)
        state.set("flush", flushStatus)
        state.set("interrupts", interruptControl)
        state.set("synchronization", synchronization)
        state.set("corb", commandBase)
        state.set("corb-pointers", UInt32(commandWrite) | UInt32(commandRead) << 16)
        state.set("corb-control", commandControl)
        state.set("rirb", responseBase)
        state.set("rirb-pointers", UInt32(responseWrite) | UInt32(responseCount) << 16)
        state.set("rirb-control", UInt16(responseControl) | UInt16(responseStatus) << 8)
        state.set("immediate", UInt64(immediate) | UInt64(immediateResponse) << 32)
        state.set("immediate-status", immediateStatus)
        state.set("position", positionBase)
        state.set("told", told)
        state.set("streams", streams.map { $0.exportState() })
        state.set(
            "codecs",
            codecs.sorted { $0.key < $1.key }.map { address, codec in
                var saved = codec.exportState()
                saved.set("address", address)
                return saved
            })
        return state
    }

    /// Takes a saved state of a controller with the same codecs.
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        func halves(_ name: String) throws(DeviceStateError) -> (UInt16, UInt16) {
            let value: UInt32 = try state.integer(name)
            return (UInt16(truncatingIfNeeded: value), UInt16(truncatingIfNeeded: value >> 16))
        }
        control = try state.integer("control", as: UInt32.self) & 0x101
        (wakeEnable, wakeStatus) = try halves("wake")
        flushStatus = try state.integer("flush")
        interruptControl = try state.integer("interrupts")
        synchronization = try state.integer("synchronization")
        commandBase = try state.integer("corb", as: UInt64.self) & ~0x7F
        (commandWrite, commandRead) = try halves("corb-pointers")
        commandWrite &= 0xFF
        commandRead &= 0x80FF
        commandControl = try state.integer("corb-control", as: UInt8.self) & 3
        responseBase = try state.integer("rirb", as: UInt64.self) & ~0x7F
        (responseWrite, responseCount) = try halves("rirb-pointers")
        let response: UInt16 = try state.integer("rirb-control")
        responseControl = UInt8(response & 7)
        responseStatus = UInt8(response >> 8)
        let both: UInt64 = try state.integer("immediate")
        (immediate, immediateResponse) = (UInt32(truncatingIfNeeded: both), UInt32(truncatingIfNeeded: both >> 32))
        immediateStatus = try state.integer("immediate-status")
        positionBase = try state.integer("position", as: UInt64.self) & ~0x7E
        told = try state.integer("told")
        let saved = try state.list("streams", count: Self.streamCount)
        for index in streams.indices { streams[index] = try HDAStream(saved[index]) }
        for part in try state.list("codecs", count: codecs.count) {
            let address: Int = try part.integer("address")
            guard var codec = codecs[address] else {
                throw .outOfRange(field: "address", value: UInt64(truncatingIfNeeded: address))
            }
            try codec.importState(part)
            codecs[address] = codec
        }
    }
}
