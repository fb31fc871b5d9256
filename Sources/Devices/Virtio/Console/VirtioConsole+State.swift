public import DeviceModel
import Synchronization

extension VirtioConsole {
    public func exportState() -> DeviceState {
        state.withLock { state in
            var result = DeviceState(version: 1)
            result.set("columns", state.columns)
            result.set("rows", state.rows)
            result.set(
                "control",
                state.control.map { message in
                    var part = DeviceState(version: 1)
                    part.set("message", message)
                    return part
                })
            result.set(
                "ports",
                state.ports.map { port in
                    var part = DeviceState(version: 1)
                    part.set("input", port.input)
                    part.set("guest-open", port.isGuestOpen)
                    return part
                })
            return result
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let columns: UInt16 = try saved.integer("columns")
        let rows: UInt16 = try saved.integer("rows")
        var control: [[UInt8]] = []
        for part in try saved.list("control").prefix(Control.limit) { control.append(try part.bytes("message")) }
        var restored: [(input: [UInt8], isGuestOpen: Bool)] = []
        for part in try saved.list("ports", count: ports.count) {
            restored.append((Array(try part.bytes("input").prefix(Self.inputLimit)), try part.bool("guest-open")))
        }
        let (messages, states) = (control, restored)
        state.withLock { state in
            state.columns = columns
            state.rows = rows
            state.control = messages
            for (index, port) in states.enumerated() {
                state.ports[index].input = port.input
                state.ports[index].isGuestOpen = port.isGuestOpen
            }
        }
        tellOpenPorts()
    }
}
