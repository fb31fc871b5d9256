internal import DeviceModel

/// A SCSI unit behind the bulk-only transport (Universal Serial Bus Mass Storage Class, Bulk-Only Transport 1.0). A
/// pure model: the disk's bytes come and go in pieces, as effects.
struct MassStorageFunction: USBFunction {
    /// Most bytes of a piece.
    static let pieceSize = 64 << 10
    /// Most bytes of a command's parameters.
    private static let parameterLimit = 64 << 10

    enum Phase: UInt8 {
        /// A command block is awaited.
        case command
        /// Data go to the host, the rest of what it expects filled up with zeroes (6.7.2).
        case dataIn
        /// Data come.
        case dataOut
        /// The status is to be fetched.
        case status
        /// A command block was none: all is stalled until a reset (6.6.1).
        case broken
    }
    /// What incoming data are for.
    enum Purpose: Equatable {
        case nothing
        case disk(isForced: Bool)
        case modes(isLong: Bool)
        case ranges
        case block(offset: UInt64, length: UInt64, unmaps: Bool)
    }
    private enum Outcome {
        static let passed: UInt8 = 0
        static let failed: UInt8 = 1
        static let phaseError: UInt8 = 2
    }

    var unit: SCSIUnit
    private let isRemovable: Bool
    private let serial: String
    var phase = Phase.command
    var purpose = Purpose.nothing
    var tag: UInt32 = 0
    /// What the host still expects to send or to get.
    var expected: UInt64 = 0
    /// Of which the device still means so much.
    var wanted: UInt64 = 0
    /// Where on the disk the next piece is.
    var place: UInt64 = 0
    /// How much of the disk is still to be read.
    var toRead: UInt64 = 0
    /// Bytes that go to the host next, or that came and are not used.
    var data: [UInt8] = []
    var dataStart = 0
    var residue: UInt32 = 0
    var outcome = Outcome.passed
    var sense = IDEDrive.Sense(key: 0, code: 0)
    /// Ranges that are still to be discarded.
    var ranges: [(offset: UInt64, length: UInt64)] = []
    var effects: [USBEffect] = []
    /// The work that the disk has in hand.
    var workUnderWay: USBDiskWork?

    let speeds: Set<USBSpeed> = [.full, .high, .superSpeed]

    init(_ unit: SCSIUnit, isRemovable: Bool, serial: String) {
        self.unit = unit
        self.isRemovable = isRemovable
        self.serial = serial
    }

    func descriptors(_ speed: USBSpeed) -> USBDescriptors {
        let isSuper = speed == .superSpeed
        let packet = speed.bulkPacket
        func endpoint(_ number: UInt8) -> [UInt8] {
            [7, 5, number, 2, UInt8(packet & 0xFF), UInt8(packet >> 8), 0] + (isSuper ? [6, 48, 15, 0, 0, 0] : [])
        }
        let body: [UInt8] = [9, 4, 0, 0, 2, 8, 6, 0x50, 0] + endpoint(0x81) + endpoint(0x02)
        return USBDescriptors(
            device: [
                18, 1, 0, isSuper ? 3 : 2, 0, 0, 0, speed.controlPacket, 0xF4, 0x46, 0x01, 0, 0, 0, 1, 2, 3, 1,
            ],
            configuration: [9, 2, UInt8(9 + body.count), 0, 1, 1, 0, 0xC0, 0] + body,
            strings: ["Apus", "USB Storage", serial])
    }

    mutating func reset() {
        unit.reset()
        sense = IDEDrive.Sense(key: 0, code: 0)
        recover()
    }
    /// To the state in which a command block is awaited. Work in hand ends without effect.
    private mutating func recover() {
        (phase, purpose, tag, expected, wanted, toRead) = (.command, .nothing, 0, 0, 0, 0)
        (data, dataStart, residue, outcome, ranges) = ([], 0, 0, Outcome.passed, [])
        isVoid = workUnderWay != nil
    }
    /// Whether what the disk has in hand is of a command that is gone.
    var isVoid = false

    // MARK: Requests

    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16) -> [UInt8]? {
        type == 0xA1 && number == 0xFE ? [0] : nil
    }
    mutating func request(type: UInt8, _ number: UInt8, value: UInt16, index: UInt16, data: [UInt8]) -> Bool {
        guard type == 0x21, number == 0xFF else { return false }
        recover()
        return true
    }

    mutating func takeEffects() -> [USBEffect] {
        guard !effects.isEmpty else { return [] }
        defer { effects = [] }
        return effects
    }

    // MARK: From the host

    mutating func output(endpoint: UInt8, _ bytes: [UInt8]) -> USBResult {
        guard endpoint == 2, phase != .broken else { return .stall }
        guard workUnderWay == nil else { return .notReady }
        switch phase {
        case .command: return begin(bytes)
        case .dataOut:
            guard UInt64(bytes.count) <= expected else { return .stall }
            expected -= UInt64(bytes.count)
            let used = Int(min(UInt64(bytes.count), wanted))
            wanted -= UInt64(used)
            data += bytes.prefix(used)
            take(isLast: expected == 0)
            return .done([])
        default: return .stall
        }
    }

    private mutating func begin(_ block: [UInt8]) -> USBResult {
        func word(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(block[place + $1]) << UInt32($1 * 8) } }
        guard block.count == 31, word(0) == 0x4342_5355, block[13] & 15 == 0, 1...16 ~= block[14] & 31 else {
            phase = .broken
            return .stall
        }
        tag = word(4)
        expected = UInt64(word(8))
        residue = word(8)
        outcome = Outcome.passed
        (data, dataStart, toRead, wanted, purpose) = ([], 0, 0, 0, .nothing)
        let isInput = block[12] & 0x80 != 0
        var cdb = Array(block[15..<15 + Int(block[14] & 31)])
        cdb += [UInt8](repeating: 0, count: 16 - cdb.count)
        perform(cdb, isInput: isInput)
        return .done([])
    }

    private mutating func perform(_ cdb: [UInt8], isInput: Bool) {
        if cdb[0] == 0x03 {
            let bytes = Array(SCSIUnit.bytes(of: sense).prefix(Int(cdb[4])))
            sense = IDEDrive.Sense(key: 0, code: 0)
            return send(bytes, isInput: isInput)
        }
        switch unit.perform(cdb) {
        case .done: settle(isInput: isInput)
        case .failed(let why):
            fail(why)
            settle(isInput: isInput)
        case .data(var bytes):
            if cdb[0] == 0x12, cdb[1] & 1 == 0, isRemovable, bytes.count > 1 { bytes[1] |= 0x80 }
            send(bytes, isInput: isInput)
        case .read(let offset, let count):
            guard isInput, UInt64(count) <= expected else { return confuse(isInput: isInput) }
            (place, toRead) = (offset, UInt64(count))
            residue = UInt32(truncatingIfNeeded: expected - toRead)
            settle(isInput: true)
            readMore()
        case .write(let offset, let count, let isForced):
            guard !isInput, UInt64(count) <= expected else { return confuse(isInput: isInput) }
            place = offset
            receive(UInt64(count), .disk(isForced: isForced))
        case .flush:
            settle(isInput: isInput)
            start(.flush)
        case .unmap(let count):
            guard !isInput, count <= Self.parameterLimit else { return confuse(isInput: isInput) }
            receive(min(UInt64(count), expected), .ranges)
        case .writeSame(let offset, let length, let unmaps):
            let size = UInt64(unit.properties.blockSize)
            guard !isInput, expected >= size else { return confuse(isInput: isInput) }
            receive(size, .block(offset: offset, length: length, unmaps: unmaps))
        case .modeSelect(let count, let isLong):
            guard !isInput, count <= Self.parameterLimit else { return confuse(isInput: isInput) }
            receive(min(UInt64(count), expected), .modes(isLong: isLong))
        }
    }

    private mutating func fail(_ why: IDEDrive.Sense) {
        sense = why
        outcome = Outcome.failed
    }
    /// What host and device mean is not the same (6.7).
    private mutating func confuse(isInput: Bool) {
        outcome = Outcome.phaseError
        settle(isInput: isInput)
    }
    private mutating func send(_ bytes: [UInt8], isInput: Bool) {
        guard isInput || bytes.isEmpty else { return confuse(isInput: false) }
        data = Array(bytes.prefix(Int(min(expected, UInt64(bytes.count)))))
        residue = UInt32(truncatingIfNeeded: expected - UInt64(data.count))
        settle(isInput: isInput)
    }
    private mutating func receive(_ count: UInt64, _ purpose: Purpose) {
        self.purpose = purpose
        wanted = count
        residue = UInt32(truncatingIfNeeded: expected - count)
        settle(isInput: false)
        if phase == .status { take(isLast: true) }
    }
    /// The phase after a command: whatever the host expects to move is moved.
    private mutating func settle(isInput: Bool) { phase = expected == 0 ? .status : isInput ? .dataIn : .dataOut }

    /// Uses what came, where it is a whole piece or the last.
    private mutating func take(isLast: Bool) {
        if isLast { phase = .status }
        switch purpose {
        case .disk(let isForced):
            guard data.count >= Self.pieceSize || wanted == 0, !data.isEmpty else { break }
            let bytes = data
            data = []
            start(.write(offset: place, bytes: bytes, isForced: isForced))
            place += UInt64(bytes.count)
        case .nothing: break
        case .modes(let isLong) where isLast:
            if !unit.select(data, isLong: isLong) { fail(IDEDrive.Sense(key: 5, code: 0x26)) }
            data = []
        case .ranges where isLast:
            guard let found = unit.ranges(data) else { return fail(SCSIUnit.outOfRange) }
            data = []
            ranges = found
            discardNext()
        case .block(let offset, let length, let unmaps) where isLast:
            guard data.allSatisfy({ $0 == 0 }) else { return fail(SCSIUnit.illegalField) }
            data = []
            start(.zero(offset: offset, length: length, unmaps: unmaps))
        default: break
        }
    }

    // MARK: To the host

    mutating func input(endpoint: UInt8, limit: Int) -> USBResult {
        guard endpoint == 1, phase != .broken else { return .stall }
        switch phase {
        case .dataIn:
            let left = data.count - dataStart
            if left == 0, toRead > 0 || workUnderWay != nil { return .notReady }
            let room = Int(min(UInt64(limit), expected))
            let count = min(room, left)
            var part = Array(data[dataStart..<dataStart + count])
            dataStart += count
            // A host that expects more than there is gets zeroes, in the same packets: a short one would end its
            // transfer.
            if dataStart == data.count, toRead == 0, workUnderWay == nil {
                part += [UInt8](repeating: 0, count: min(room - count, Self.pieceSize))
            }
            expected -= UInt64(part.count)
            if dataStart == data.count {
                (data, dataStart) = ([], 0)
                readMore()
            }
            if expected == 0 { phase = .status }
            return .done(part)
        case .status:
            guard workUnderWay == nil else { return .notReady }
            phase = .command
            func bytes(_ word: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32($0 * 8)) } }
            return .done(Array((bytes(0x5342_5355) + bytes(tag) + bytes(residue) + [outcome]).prefix(limit)))
        case .command: return .notReady
        default: return .stall
        }
    }

    // MARK: The disk

    private mutating func start(_ work: USBDiskWork) {
        workUnderWay = work
        effects.append(.disk(work))
    }
    private mutating func readMore() {
        guard toRead > 0, workUnderWay == nil else { return }
        let count = Int(min(toRead, UInt64(Self.pieceSize)))
        start(.read(offset: place, count: count))
        place += UInt64(count)
        toRead -= UInt64(count)
    }
    private mutating func discardNext() {
        guard let first = ranges.first else { return }
        ranges.removeFirst()
        start(.discard(offset: first.offset, length: first.length))
    }

    mutating func diskEnded(_ bytes: [UInt8]?) {
        let work = workUnderWay
        workUnderWay = nil
        guard !isVoid else {
            isVoid = false
            return
        }
        guard let bytes else {
            let isRead = if case .read = work { true } else { false }
            fail(IDEDrive.Sense(key: 3, code: isRead ? 0x11 : 0x0C))
            // The rest is not read; the host gets zeroes and hears of it by the status.
            residue = UInt32(truncatingIfNeeded: expected)
            (toRead, ranges) = (0, [])
            return
        }
        switch work {
        case .read: (data, dataStart) = (bytes, 0)
        case .discard: discardNext()
        default: break
        }
    }
}
