internal import DeviceModel

extension PITCounter {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("mode", mode)
        state.set("access", access)
        state.set("bcd", bcd)
        state.set("running", running)
        state.set("written", written)
        state.set("count", count)
        state.set("start", start)
        state.set("reads-high", readsHigh)
        if let stoppedAt { state.set("stopped-at", stoppedAt) }
        if let next { state.set("next", next) }
        if let nextAt { state.set("next-at", nextAt) }
        if let lowByte { state.set("low-byte", lowByte) }
        if let latchedCount { state.set("latched-count", latchedCount) }
        if let latchedStatus { state.set("latched-status", latchedStatus) }
        return state
    }

    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        mode = try state.integer("mode")
        guard mode <= 5 else { throw .outOfRange(field: "mode", value: UInt64(mode)) }
        access = try state.integer("access")
        guard 1...3 ~= access else { throw .outOfRange(field: "access", value: UInt64(access)) }
        bcd = try state.bool("bcd")
        running = try state.bool("running")
        written = try state.bool("written")
        count = try state.integer("count")
        guard 1...65_536 ~= count else { throw .outOfRange(field: "count", value: count) }
        start = try state.integer("start")
        readsHigh = try state.bool("reads-high")
        if state.fields["stopped-at"] != nil { stoppedAt = try state.integer("stopped-at") }
        if state.fields["next"] != nil {
            let value: UInt64 = try state.integer("next")
            guard 1...65_536 ~= value else { throw .outOfRange(field: "next", value: value) }
            next = value
        }
        if state.fields["next-at"] != nil { nextAt = try state.integer("next-at") }
        if state.fields["low-byte"] != nil { lowByte = try state.integer("low-byte") }
        if state.fields["latched-count"] != nil { latchedCount = try state.integer("latched-count") }
        if state.fields["latched-status"] != nil { latchedStatus = try state.integer("latched-status") }
    }
}

extension PIT8254 {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("port61", control)
        state.set(
            "counters", [counters.0.exportState(), counters.1.exportState(), counters.2.exportState()])
        return state
    }

    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let parts = try state.list("counters", count: 3)
        self.init(
            counters: (try PITCounter(parts[0]), try PITCounter(parts[1]), try PITCounter(parts[2])),
            control: try state.integer("port61"))
    }
}
