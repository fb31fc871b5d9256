internal import DeviceModel

extension MassStorageFunction {
    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("unit", [unit.drive.exportState()])
        saved.set("bot-phase", phase.rawValue)
        saved.set("tag", tag)
        saved.set("expected", expected)
        saved.set("wanted", wanted)
        saved.set("disk-place", place)
        saved.set("to-read", toRead)
        saved.set("bot-data", Array(data.dropFirst(dataStart)))
        saved.set("residue", residue)
        saved.set("outcome", outcome)
        saved.set("sense", [sense.key, sense.code, sense.qualifier])
        let (number, numbers): (UInt8, [UInt64]) =
            switch purpose {
            case .nothing: (0, [])
            case .disk(let isForced): (1, [isForced ? 1 : 0])
            case .modes(let isLong): (2, [isLong ? 1 : 0])
            case .ranges: (3, [])
            case .block(let offset, let length, let unmaps): (4, [offset, length, unmaps ? 1 : 0])
            }
        saved.set("purpose", number)
        for index in 0..<3 { saved.set("purpose-\(index)", index < numbers.count ? numbers[index] : 0) }
        saved.set(
            "ranges",
            ranges.map { range in
                var part = DeviceState(version: 1)
                part.set("offset", range.offset)
                part.set("length", range.length)
                return part
            })
        if let workUnderWay { saved.set("work", [Self.state(of: workUnderWay)]) }
        saved.set("void", isVoid)
        return saved
    }

    private static func state(of work: USBDiskWork) -> DeviceState {
        var part = DeviceState(version: 1)
        let (kind, offset, length, flag, bytes): (UInt8, UInt64, UInt64, Bool, [UInt8]) =
            switch work {
            case .read(let offset, let count): (0, offset, UInt64(count), false, [])
            case .write(let offset, let bytes, let isForced): (1, offset, UInt64(bytes.count), isForced, bytes)
            case .flush: (2, 0, 0, false, [])
            case .discard(let offset, let length): (3, offset, length, false, [])
            case .zero(let offset, let length, let unmaps): (4, offset, length, unmaps, [])
            }
        part.set("kind", kind)
        part.set("offset", offset)
        part.set("length", length)
        part.set("flag", flag)
        part.set("bytes", bytes)
        return part
    }

    private func work(of part: DeviceState) throws(DeviceStateError) -> USBDiskWork {
        let (offset, length): (UInt64, UInt64) = (try part.integer("offset"), try part.integer("length"))
        let size = unit.drive.size ?? 0
        guard offset <= size, length <= size - offset else { throw .outOfRange(field: "offset", value: offset) }
        let flag = try part.bool("flag")
        let kind: UInt8 = try part.integer("kind")
        switch kind {
        case 0:
            guard length <= UInt64(Self.pieceSize) else { throw .outOfRange(field: "length", value: length) }
            return .read(offset: offset, count: Int(length))
        case 1: return .write(offset: offset, bytes: try part.bytes("bytes", count: Int(length)), isForced: flag)
        case 2: return .flush
        case 3: return .discard(offset: offset, length: length)
        case 4: return .zero(offset: offset, length: length, unmaps: flag)
        default: throw .outOfRange(field: "kind", value: UInt64(kind))
        }
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = self
        try new.unit.drive.importState(try saved.list("unit", count: 1)[0])
        let size = unit.drive.size ?? 0
        let number: UInt8 = try saved.integer("bot-phase")
        guard let phase = Phase(rawValue: number) else { throw .outOfRange(field: "bot-phase", value: UInt64(number)) }
        new.phase = phase
        new.tag = try saved.integer("tag")
        new.expected = UInt64(try saved.integer("expected", as: UInt32.self))
        new.wanted = try saved.integer("wanted")
        new.place = try saved.integer("disk-place")
        new.toRead = try saved.integer("to-read")
        guard new.wanted <= new.expected else { throw .outOfRange(field: "wanted", value: new.wanted) }
        guard new.place <= size, max(new.toRead, new.wanted) <= size - new.place || new.toRead == 0 else {
            throw .outOfRange(field: "disk-place", value: new.place)
        }
        new.data = try saved.bytes("bot-data")
        new.dataStart = 0
        guard new.data.count <= 2 * Self.pieceSize else {
            throw .outOfRange(field: "bot-data", value: UInt64(new.data.count))
        }
        new.residue = try saved.integer("residue")
        new.outcome = try saved.integer("outcome")
        let sense = try saved.bytes("sense", count: 3)
        new.sense = IDEDrive.Sense(key: sense[0] & 15, code: sense[1], qualifier: sense[2])
        let kind: UInt8 = try saved.integer("purpose")
        func part(_ index: Int) throws(DeviceStateError) -> UInt64 { try saved.integer("purpose-\(index)") }
        switch kind {
        case 0: new.purpose = .nothing
        case 1: new.purpose = .disk(isForced: try part(0) != 0)
        case 2: new.purpose = .modes(isLong: try part(0) != 0)
        case 3: new.purpose = .ranges
        case 4: new.purpose = .block(offset: try part(0), length: try part(1), unmaps: try part(2) != 0)
        default: throw .outOfRange(field: "purpose", value: UInt64(kind))
        }
        new.ranges = []
        for range in try saved.list("ranges") {
            new.ranges.append((try range.integer("offset"), try range.integer("length")))
        }
        new.isVoid = try saved.bool("void")
        new.workUnderWay = nil
        if saved.fields["work"] != nil { new.workUnderWay = try work(of: try saved.list("work", count: 1)[0]) }
        new.effects = []
        self = new
    }
}
