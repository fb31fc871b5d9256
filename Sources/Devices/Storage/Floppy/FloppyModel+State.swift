package import DeviceModel

extension FloppyModel {
    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set(
            "registers",
            [
                output, tape, rate, phase.rawValue, isPending ? 1 : 0, resetSenses, senseStatus, configuration,
                precompensation, specify[0], specify[1], isLocked ? 1 : 0, perpendicular,
            ])
        state.set("fifo", fifo)
        state.set("position", position)
        state.set("tracks", drives.map(\.track))
        state.set("changed", drives.map { $0.hasChanged ? 1 : 0 })
        if let moving = transfer {
            var part = DeviceState(version: 1)
            part.set(
                "bytes",
                [
                    moving.command, UInt8(moving.drive), moving.track, moving.head, moving.sector, moving.last,
                    moving.isMultiTrack ? 1 : 0, moving.usesDMA ? 1 : 0, moving.filler,
                ])
            part.set("data", moving.data)
            part.set("place", moving.place)
            state.set("transfer", [part])
        }
        switch request {
        case .read(_, let offset): state.set("read", offset)
        case .write(_, let offset, let data):
            state.set("write", offset)
            if let data { state.set("write-data", data) }
        case nil: break
        }
        return state
    }

    /// Takes a saved state; diskettes are the machine's.
    package mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let bytes = try state.bytes("registers", count: 13)
        (output, tape, rate) = (bytes[0], bytes[1] & 3, bytes[2] & 3)
        guard let phase = Phase(rawValue: bytes[3]) else { throw .outOfRange(field: "registers", value: 3) }
        self.phase = phase
        (isPending, resetSenses, senseStatus) = (bytes[4] != 0, min(bytes[5], 4), bytes[6])
        (configuration, precompensation, specify) = (bytes[7], bytes[8], [bytes[9], bytes[10]])
        (isLocked, perpendicular) = (bytes[11] != 0, bytes[12])
        fifo = try state.bytes("fifo")
        position = Int(try state.integer("position", as: UInt8.self))
        guard fifo.count <= 17, phase == .result ? position < fifo.count : true else {
            throw .outOfRange(field: "fifo", value: UInt64(fifo.count))
        }
        let tracks = try state.bytes("tracks", count: 2)
        let changed = try state.bytes("changed", count: 2)
        for index in drives.indices { (drives[index].track, drives[index].hasChanged) = (tracks[index], changed[index] != 0) }
        (transfer, request) = (nil, nil)
        guard state.fields["transfer"] != nil else { return }
        let part = try state.list("transfer", count: 1)[0]
        let moving = try part.bytes("bytes", count: 9)
        var made = Transfer(
            command: moving[0], drive: Int(moving[1] & 1), track: moving[2], head: moving[3], sector: moving[4],
            last: moving[5], isMultiTrack: moving[6] != 0, usesDMA: moving[7] != 0, filler: moving[8])
        made.data = try part.bytes("data")
        made.place = Int(try part.integer("place", as: UInt16.self))
        guard made.data.count <= Self.sectorSize, made.place <= made.data.count else {
            throw .outOfRange(field: "data", value: UInt64(made.data.count))
        }
        transfer = made
        if state.fields["read"] != nil {
            request = .read(drive: made.drive, offset: try state.integer("read"))
        } else if state.fields["write"] != nil {
            let data = state.fields["write-data"] == nil ? nil : try state.bytes("write-data", count: Self.sectorSize)
            request = .write(drive: made.drive, offset: try state.integer("write"), data: data)
        }
    }
}
