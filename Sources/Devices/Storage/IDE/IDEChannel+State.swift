package import DeviceModel

extension IDEChannel {
    /// The whole state, taken while no request is with an image.
    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("selected", selected)
        state.set("control", control)
        state.set("interrupt", interrupt)
        state.set("number", number)
        state.set("buffer", buffer)
        state.set("drives", drives.map { $0?.exportState() ?? DeviceState(version: 1) })
        let master = busMaster
        state.set("bm-command", master.command)
        state.set("bm-status", master.status)
        state.set("bm-table", master.table)
        state.set("bm-entries", master.entries)
        state.set("bm-address", master.address)
        state.set("bm-left", master.left)
        state.set("bm-last", master.isLast)
        state.set("activity", transfer.activity.rawValue)
        state.set("drive", transfer.drive)
        state.set("lba", transfer.lba)
        state.set("remaining", transfer.remaining)
        state.set("unit", transfer.unit)
        state.set("block", transfer.block)
        state.set("extended", transfer.isExtended)
        state.set("dma", transfer.isDMA)
        state.set("fua", transfer.forceUnitAccess)
        state.set("byte-limit", transfer.byteLimit)
        state.set("position", transfer.position)
        state.set("end", transfer.end)
        state.set("filled", transfer.filled)
        if let request {
            state.set("request", request.operation.rawValue)
            state.set("request-offset", request.offset)
            state.set("request-count", request.count)
            state.set("request-fua", request.forceUnitAccess)
        }
        return state
    }

    /// Takes a saved state. What would lead out of the buffer, or of an image, is refused.
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        func number(_ name: String, _ range: ClosedRange<Int>) throws(DeviceStateError) -> Int {
            let value: UInt64 = try state.integer(name)
            guard value <= UInt64(range.upperBound), Int(value) >= range.lowerBound else {
                throw .outOfRange(field: name, value: value)
            }
            return Int(value)
        }
        var new = self
        new.selected = try number("selected", 0...1)
        new.control =
            try state.integer("control", as: UInt8.self)
            & (ATAControl.noInterrupts | ATAControl.softwareReset | ATAControl.highOrderByte)
        new.interrupt = try state.bool("interrupt")
        new.number = try state.integer("number")
        new.isAwaiting = false
        new.request = nil
        new.buffer = try state.bytes("buffer")
        guard new.buffer.count <= Self.mostBytes else {
            throw .outOfRange(field: "buffer", value: UInt64(new.buffer.count))
        }
        for (index, saved) in try state.list("drives", count: drives.count).enumerated() {
            try new.drives[index]?.importState(saved)
        }
        new.busMaster.command = try state.integer("bm-command", as: UInt8.self) & 9
        new.busMaster.status = try state.integer("bm-status", as: UInt8.self) & 0x67
        new.busMaster.table = try state.integer("bm-table", as: UInt32.self) & ~3
        new.busMaster.entries = try number("bm-entries", 0...IDEBusMaster.mostEntries)
        new.busMaster.address = try state.integer("bm-address")
        new.busMaster.left = try number("bm-left", 0...0x1_0000)
        new.busMaster.isLast = try state.bool("bm-last")
        let code: UInt8 = try state.integer("activity")
        guard let activity = Activity(rawValue: code) else { throw .outOfRange(field: "activity", value: UInt64(code)) }
        var transfer = Transfer(activity: activity)
        transfer.drive = try number("drive", 0...1)
        transfer.lba = try state.integer("lba")
        transfer.remaining = try number("remaining", 0...Int(UInt32.max))
        transfer.unit = try number("unit", 512...2048)
        transfer.block = try number("block", 1...128)
        transfer.isExtended = try state.bool("extended")
        transfer.isDMA = try state.bool("dma")
        transfer.forceUnitAccess = try state.bool("fua")
        transfer.byteLimit = try number("byte-limit", 0...0xFFFF)
        transfer.filled = try number("filled", 0...new.buffer.count)
        transfer.end = try number("end", 0...transfer.filled)
        transfer.position = try number("position", 0...transfer.filled)
        guard transfer.lba <= UInt64.max >> 12, transfer.unit == 512 || transfer.unit == 2048 else {
            throw .outOfRange(field: "lba", value: transfer.lba)
        }
        new.transfer = transfer
        if state.fields["request"] != nil {
            let code: UInt8 = try state.integer("request")
            guard let operation = IDERequest.Operation(rawValue: code) else {
                throw .outOfRange(field: "request", value: UInt64(code))
            }
            // It is asked for under the number that it has.
            new.number &-= 1
            let most = operation == .discard ? 0xFFFF * 512 : Self.mostBytes
            new.ask(
                operation, offset: try state.integer("request-offset"), count: try number("request-count", 0...most),
                forceUnitAccess: try state.bool("request-fua"))
            guard operation != .write || new.request?.count == new.buffer.count else {
                throw .outOfRange(field: "request-count", value: UInt64(new.request?.count ?? 0))
            }
        }
        self = new
    }
}

extension IDEDrive {
    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        let registers = [task.feature, task.count, task.low, task.middle, task.high]
        state.set("registers", registers.flatMap { [$0.current, $0.previous] })
        state.set("device", task.device)
        state.set("status", task.status)
        state.set("error", task.error)
        state.set("heads", heads)
        state.set("sectors", sectors)
        state.set("multiple", multiple)
        state.set("mode", mode)
        state.set("write-cache", cachesWrites)
        state.set("look-ahead", looksAhead)
        state.set("smart", hasSMART)
        state.set("sense", [sense.key, sense.code, sense.qualifier])
        state.set("tray-open", isTrayOpen)
        state.set("locked", isLocked)
        state.set("new-medium", hasNewMedium)
        state.set("medium-event", mediumEvent)
        return state
    }

    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        let bytes = try state.bytes("registers", count: 10)
        func register(_ index: Int) -> IDETaskFile.Register {
            IDETaskFile.Register(current: bytes[index * 2], previous: bytes[index * 2 + 1])
        }
        task.feature = register(0)
        task.count = register(1)
        task.low = register(2)
        task.middle = register(3)
        task.high = register(4)
        task.device = try state.integer("device", as: UInt8.self) & 0x5F
        task.status = try state.integer("status")
        task.error = try state.integer("error")
        heads = min(max(Int(try state.integer("heads", as: UInt8.self)), 1), 16)
        sectors = max(Int(try state.integer("sectors", as: UInt8.self)), 1)
        let block = Int(try state.integer("multiple", as: UInt8.self))
        guard block <= Self.mostMultiple, block & (block &- 1) == 0 else {
            throw .outOfRange(field: "multiple", value: UInt64(block))
        }
        multiple = block
        mode = try state.integer("mode")
        cachesWrites = try state.bool("write-cache")
        looksAhead = try state.bool("look-ahead")
        hasSMART = try state.bool("smart")
        let reason = try state.bytes("sense", count: 3)
        sense = Sense(key: reason[0] & 15, code: reason[1], qualifier: reason[2])
        isTrayOpen = try state.bool("tray-open")
        isLocked = try state.bool("locked")
        hasNewMedium = try state.bool("new-medium")
        mediumEvent = try state.integer("medium-event")
    }
}
