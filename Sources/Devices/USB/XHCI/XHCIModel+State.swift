internal import DeviceModel

extension XHCIModel {
    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("command", command)
        saved.set("status", status)
        saved.set("notification", notification)
        saved.set("contexts", contexts)
        saved.set("configuration", configuration)
        saved.set("command-dequeue", commandDequeue)
        saved.set("command-cycle", commandCycle)
        saved.set("command-running", isCommandRingRunning)
        saved.set("ports", ports.map { part(("status", UInt64($0.status))) })
        saved.set(
            "interrupters",
            interrupters.map { one in
                part(
                    ("management", UInt64(one.management)), ("moderation", UInt64(one.moderation)),
                    ("table-size", UInt64(one.tableSize)), ("table", one.table), ("dequeue", one.dequeue),
                    ("start", one.start), ("size", UInt64(one.size)), ("index", UInt64(one.index)),
                    ("cycle", one.cycle ? 1 : 0), ("full", one.isFull ? 1 : 0))
            })
        saved.set(
            "slots",
            slots.enumerated().filter { $0.element.isEnabled }.map { number, slot in
                var saved = part(
                    ("number", UInt64(number)), ("addressed", slot.isAddressed ? 1 : 0), ("context", slot.context),
                    ("port", UInt64(slot.port)), ("route", UInt64(slot.route)),
                    ("interrupter", UInt64(slot.interrupter)))
                saved.set(
                    "endpoints",
                    slot.endpoints.enumerated().compactMap { index, endpoint in
                        guard let endpoint else { return nil }
                        return part(
                            ("index", UInt64(index)), ("kind", UInt64(endpoint.kind)),
                            ("packet", UInt64(endpoint.maxPacket)), ("dequeue", endpoint.dequeue),
                            ("cycle", endpoint.cycle ? 1 : 0), ("state", UInt64(endpoint.state.rawValue)),
                            // One more than the bytes that moved; 0 where none of the transfer has begun.
                            ("progress", UInt64((endpoint.progress ?? -1) + 1)))
                    })
                return saved
            })
        saved.set("rung", (rung + waiting.sorted()).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        return saved
    }

    private func part(_ fields: (String, UInt64)...) -> DeviceState {
        var saved = DeviceState(version: 1)
        for (name, value) in fields { saved.set(name, value) }
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = XHCIModel(layout)
        new.command = try saved.integer("command")
        new.status = try saved.integer("status")
        new.notification = try saved.integer("notification")
        new.contexts = try saved.integer("contexts")
        new.configuration = try saved.integer("configuration")
        new.commandDequeue = try saved.integer("command-dequeue")
        new.commandCycle = try saved.bool("command-cycle")
        new.isCommandRingRunning = try saved.bool("command-running")
        for (index, part) in try saved.list("ports", count: ports.count).enumerated() {
            new.ports[index] = Port(status: try part.integer("status"), device: ports[index].device)
        }
        for (index, part) in try saved.list("interrupters", count: interrupters.count).enumerated() {
            var one = Interrupter()
            one.management = try part.integer("management")
            one.moderation = try part.integer("moderation")
            one.tableSize = try part.integer("table-size")
            one.table = try part.integer("table")
            one.dequeue = try part.integer("dequeue")
            one.start = try part.integer("start")
            one.size = try part.integer("size")
            one.index = try part.integer("index")
            one.cycle = try part.bool("cycle")
            one.isFull = try part.bool("full")
            guard one.size == 0 ? one.index == 0 : 16...4096 ~= one.size && 0..<one.size ~= one.index else {
                throw .outOfRange(field: "index", value: UInt64(truncatingIfNeeded: one.index))
            }
            new.interrupters[index] = one
        }
        for part in try saved.list("slots") {
            let number: Int = try part.integer("number")
            guard 1...layout.slots ~= number else {
                throw .outOfRange(field: "number", value: UInt64(truncatingIfNeeded: number))
            }
            new.slots[number] = try Self.slot(part)
        }
        let bytes = try saved.bytes("rung")
        for place in stride(from: 0, to: bytes.count - 1, by: 2) {
            let (slot, index) = (Int(bytes[place + 1]), Int(bytes[place]))
            guard 1...layout.slots ~= slot, 1...31 ~= index else {
                throw .outOfRange(field: "rung", value: UInt64(slot))
            }
            let key = UInt16(slot) << 8 | UInt16(index)
            if !new.rung.contains(key) { new.rung.append(key) }
        }
        self = new
    }

    private static func slot(_ part: DeviceState) throws(DeviceStateError) -> Slot {
        var slot = Slot()
        slot.isEnabled = true
        slot.isAddressed = try part.bool("addressed")
        slot.context = try part.integer("context")
        slot.port = Int(try part.integer("port", as: UInt8.self))
        slot.route = try part.integer("route")
        slot.interrupter = Int(try part.integer("interrupter", as: UInt16.self))
        for endpoint in try part.list("endpoints") {
            let index: Int = try endpoint.integer("index")
            guard 1...31 ~= index else {
                throw .outOfRange(field: "index", value: UInt64(truncatingIfNeeded: index))
            }
            let state: UInt32 = try endpoint.integer("state")
            guard let known = Endpoint.State(rawValue: state) else {
                throw .outOfRange(field: "state", value: UInt64(state))
            }
            let packet = Int(try endpoint.integer("packet", as: UInt16.self))
            let progress = Int(try endpoint.integer("progress", as: UInt32.self))
            slot.endpoints[index] = Endpoint(
                kind: try endpoint.integer("kind"), maxPacket: max(packet, 1), dequeue: try endpoint.integer("dequeue"),
                cycle: try endpoint.bool("cycle"), state: known, progress: progress == 0 ? nil : progress - 1)
        }
        return slot
    }
}
