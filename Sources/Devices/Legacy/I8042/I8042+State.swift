internal import DeviceModel

extension PS2Keyboard {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("set", scanCodeSet)
        state.set("scanning", scanning)
        state.set("leds", leds)
        state.set("typematic", typematic)
        state.set("last-sent", lastSent)
        state.set("replies", replies)
        state.set("keys", keys)
        state.set("held", held)
        state.set("no-repeat", noRepeat)
        state.set("no-break", noBreak)
        if let command { state.set("command", command) }
        if let repeatKey { state.set("repeat-key", repeatKey) }
        if let repeatAt { state.set("repeat-at", repeatAt) }
        return state
    }

    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        scanCodeSet = try state.integer("set")
        guard 1...3 ~= scanCodeSet else { throw .outOfRange(field: "set", value: UInt64(scanCodeSet)) }
        scanning = try state.bool("scanning")
        leds = try state.integer("leds", as: UInt8.self) & 7
        typematic = try state.integer("typematic", as: UInt8.self) & 0x7F
        lastSent = try state.integer("last-sent")
        replies = try state.bytes("replies", atMost: 16)
        keys = try state.bytes("keys", atMost: Self.queueLimit + Self.queueReserve)
        held = try state.bytes("held", count: 32)
        noRepeat = try state.bytes("no-repeat", count: 32)
        noBreak = try state.bytes("no-break", count: 32)
        if state.fields["command"] != nil { command = try state.integer("command") }
        if state.fields["repeat-key"] != nil { repeatKey = try state.integer("repeat-key") }
        if state.fields["repeat-at"] != nil { repeatAt = try state.integer("repeat-at") }
    }
}

extension PS2Mouse {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("kind", kind)
        state.set("sample-rate", sampleRate)
        state.set("resolution", resolution)
        state.set("scaling-2", scaling2)
        state.set("reporting", reporting)
        state.set("remote", remote)
        state.set("wrap", wrap)
        state.set("knock", knock)
        state.set("last-sent", lastSent)
        state.set("replies", replies)
        state.set("packets", packets)
        state.set("dx", dx)
        state.set("dy", dy)
        state.set("dz", dz)
        state.set("buttons", buttons)
        state.set("sent-buttons", sentButtons)
        if let command { state.set("command", command) }
        return state
    }

    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        kind = try state.integer("kind")
        guard kind == 0 || kind == 3 || kind == 4 else { throw .outOfRange(field: "kind", value: UInt64(kind)) }
        sampleRate = try state.integer("sample-rate")
        resolution = try state.integer("resolution", as: UInt8.self) & 3
        scaling2 = try state.bool("scaling-2")
        reporting = try state.bool("reporting")
        remote = try state.bool("remote")
        wrap = try state.bool("wrap")
        knock = try state.bytes("knock", count: 2)
        lastSent = try state.integer("last-sent")
        replies = try state.bytes("replies", atMost: 16)
        packets = try state.bytes("packets", atMost: Self.queueLimit)
        func distance(_ name: String) throws(DeviceStateError) -> Int {
            let value: Int = try state.integer(name)
            guard value.magnitude <= 1 << 20 else {
                throw .outOfRange(field: name, value: UInt64(bitPattern: Int64(value)))
            }
            return value
        }
        dx = try distance("dx")
        dy = try distance("dy")
        dz = try distance("dz")
        buttons = try state.integer("buttons", as: UInt8.self) & 0x1F
        sentButtons = try state.integer("sent-buttons", as: UInt8.self) & 0x1F
        if state.fields["command"] != nil { command = try state.integer("command") }
    }
}

extension I8042 {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("keyboard", [keyboard.exportState()])
        state.set("mouse", [mouse.exportState()])
        state.set("memory", memory)
        state.set("output", output)
        state.set("output-full", outputFull)
        state.set("output-from-mouse", outputFromMouse)
        state.set("replies", replies.map { UInt8(truncatingIfNeeded: $0) })
        state.set("replies-from-mouse", replies.map { UInt8($0 >> 8) })
        state.set("last-was-command", lastWasCommand)
        state.set("release-prefix", releasePrefix)
        state.set("a20", a20)
        state.set("fast-reset", fastReset)
        if let command { state.set("command", command) }
        return state
    }

    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        self.init(commandByte: 0)
        keyboard = try PS2Keyboard(try state.list("keyboard", count: 1)[0])
        mouse = try PS2Mouse(try state.list("mouse", count: 1)[0])
        memory = try state.bytes("memory", count: 32)
        output = try state.integer("output")
        outputFull = try state.bool("output-full")
        outputFromMouse = try state.bool("output-from-mouse")
        let bytes = try state.bytes("replies", atMost: 16)
        let sides = try state.bytes("replies-from-mouse", count: bytes.count)
        replies = zip(bytes, sides).map { UInt16($0) | UInt16($1 & 1) << 8 }
        lastWasCommand = try state.bool("last-was-command")
        releasePrefix = try state.bool("release-prefix")
        a20 = try state.bool("a20")
        fastReset = try state.bool("fast-reset")
        if state.fields["command"] != nil { command = try state.integer("command") }
    }
}

extension DeviceState {
    /// Bytes, no more than `limit` of them.
    func bytes(_ name: String, atMost limit: Int) throws(DeviceStateError) -> [UInt8] {
        let value = try bytes(name)
        guard value.count <= limit else { throw .outOfRange(field: name, value: UInt64(value.count)) }
        return value
    }
}
