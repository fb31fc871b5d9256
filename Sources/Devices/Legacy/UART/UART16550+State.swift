internal import DeviceModel

extension UART16550 {
    /// The whole state. Times are virtual, so the clock is restored before the device.
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("ier", interruptEnable)
        state.set("fcr", fifoControl)
        state.set("lcr", lineControl)
        state.set("mcr", modemControl)
        state.set("lsr-errors", lineErrors)
        state.set("modem-lines", modemLines)
        state.set("modem-deltas", modemDeltas)
        state.set("scr", scratch)
        state.set("divisor", divisor)
        state.set("rx", received.map { UInt8(truncatingIfNeeded: $0) })
        state.set("rx-errors", received.map { UInt8($0 >> 8) })
        state.set("thre-interrupt", transmitterInterrupt)
        state.set("timeout", timeout)
        if let timeoutAt { state.set("timeout-at", timeoutAt) }
        return state
    }

    /// A UART in a saved state.
    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        interruptEnable = try state.integer("ier", as: UInt8.self) & 0x0F
        fifoControl = try state.integer("fcr", as: UInt8.self) & 0xC9
        lineControl = try state.integer("lcr")
        modemControl = try state.integer("mcr", as: UInt8.self) & 0x1F
        lineErrors = try state.integer("lsr-errors", as: UInt8.self) & Line.errors
        modemLines = try state.integer("modem-lines", as: UInt8.self) & 0xF0
        modemDeltas = try state.integer("modem-deltas", as: UInt8.self) & 0x0F
        scratch = try state.integer("scr")
        divisor = try state.integer("divisor")
        let bytes = try state.bytes("rx")
        guard bytes.count <= (fifoControl & 1 != 0 ? Self.fifoDepth : 1) else {
            throw .outOfRange(field: "rx", value: UInt64(bytes.count))
        }
        let errors = try state.bytes("rx-errors", count: bytes.count)
        received = zip(bytes, errors).map { UInt16($0) | UInt16($1 & Line.errors) << 8 }
        transmitterInterrupt = try state.bool("thre-interrupt")
        timeout = try state.bool("timeout")
        timeoutAt = state.fields["timeout-at"] == nil ? nil : try state.integer("timeout-at")
    }
}
