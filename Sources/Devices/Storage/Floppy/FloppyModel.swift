internal import DeviceModel

/// The 82078 floppy disk controller as a pure model: commands and data by the FIFO in; requests for sectors, data and an
/// interrupt out. (Intel 290474, 82078 data sheet.)
///
/// Whoever drives it does what `request` asks for and says how it went by `complete`, one sector at a time.
package struct FloppyModel: Sendable {
    /// What the running command needs of the outside.
    package enum Request: Equatable, Sendable {
        /// A sector from the diskette, for memory or the FIFO.
        case read(drive: Int, offset: UInt64)
        /// A sector of data from memory, which then goes to the diskette; or, where `data` is there, only the latter.
        case write(drive: Int, offset: UInt64, data: [UInt8]?)
    }
    /// How a sector went.
    package enum Outcome: Equatable, Sendable {
        /// Moved by DMA; the channel's count has ended or not.
        case moved(isLast: Bool)
        /// What was read, for the FIFO.
        case data([UInt8])
        /// The image failed.
        case failed
        /// The DMA channel is switched off: nothing moved.
        case stalled
    }
    struct Drive: Equatable, Sendable {
        var geometry = FloppyGeometry.usual
        var isPresent = false
        var hasMedium = false
        var isReadOnly = false
        var track: UInt8 = 0
        /// A diskette was taken out or put in since the head moved last.
        var hasChanged = true
    }
    enum Phase: UInt8 { case command, execution, result }

    /// Bits of the main status register.
    enum MainStatus {
        static let busy: UInt8 = 1 << 4
        static let notDMA: UInt8 = 1 << 5
        static let toHost: UInt8 = 1 << 6
        static let ready: UInt8 = 1 << 7
    }
    static let sectorSize = 512

    var drives = [Drive(), Drive()]
    var output: UInt8 = 0x0C
    var tape: UInt8 = 0
    var rate: UInt8 = 0
    var phase = Phase.command
    var fifo: [UInt8] = []
    var position = 0
    var isPending = false
    /// Sense Interrupt's answers that are still to come after a reset, by drive.
    var resetSenses: UInt8 = 0
    var senseStatus: UInt8 = 0
    var usesFIFO = true
    var configuration: UInt8 = 0
    var precompensation: UInt8 = 0
    var specify: [UInt8] = [0, 0]
    var isLocked = false
    var perpendicular: UInt8 = 0
    // The command at work.
    var transfer: Transfer?
    /// What the command needs now.
    package internal(set) var request: Request?

    /// A command that moves sectors.
    struct Transfer: Equatable, Sendable {
        var command: UInt8
        var drive: Int
        var track: UInt8
        var head: UInt8
        var sector: UInt8
        var last: UInt8
        var isMultiTrack: Bool
        var usesDMA: Bool
        /// The data of a sector on its way through the FIFO.
        var data: [UInt8] = []
        var place = 0
        /// Format: what a sector is filled with, and how many are left.
        var filler: UInt8 = 0
    }

    package init() {}

    /// Puts in a drive, with a diskette or without.
    package mutating func setMedium(_ drive: Int, geometry: FloppyGeometry?, isReadOnly: Bool) {
        guard drives.indices.contains(drive) else { return }
        drives[drive].isPresent = true
        drives[drive].geometry = geometry ?? .usual
        drives[drive].hasMedium = geometry != nil
        drives[drive].isReadOnly = isReadOnly
        drives[drive].hasChanged = true
    }

    /// To the state after power-on; diskettes stay where they are.
    package mutating func reset() {
        var old = drives
        for index in old.indices {
            old[index].track = 0
            old[index].hasChanged = true
        }
        self = FloppyModel()
        drives = old
    }

    var selected: Int { Int(output & 3) }
    /// Whether the command at work moves its data by DMA.
    var transfersByDMA: Bool { transfer?.usesDMA ?? true }
    /// The interrupt line, which the output register lets through.
    package var level: Bool { isPending && output & 8 != 0 }

    // MARK: Registers

    /// Registers 0 to 7.
    package mutating func read(_ register: Int) -> UInt8 {
        switch register {
        case 0: return (level ? 0x80 : 0) | (drives[selected & 1].track == 0 ? 0x10 : 0)
        case 1: return 0xC0 | (output & 1) << 5 | output >> 4 & 3
        case 2: return output
        case 3: return tape
        case 4: return mainStatus
        case 5: return readFIFO()
        // Bit 7: the diskette was changed.
        case 7: return drives.indices.contains(selected) && drives[selected].isPresent && drives[selected].hasChanged ? 0x80 : 0
        default: return 0xFF
        }
    }

    package mutating func write(_ register: Int, _ value: UInt8) {
        switch register {
        case 2: setOutput(value)
        case 3: tape = value & 3
        case 4:
            rate = value & 3
            if value & 0x80 != 0 { resetController() }
        case 5: writeFIFO(value)
        case 7: rate = value & 3
        default: break
        }
    }

    var mainStatus: UInt8 {
        guard output & 4 != 0 else { return 0 }
        switch phase {
        case .command: return MainStatus.ready | (fifo.isEmpty ? 0 : MainStatus.busy)
        case .result: return MainStatus.ready | MainStatus.toHost | MainStatus.busy
        case .execution:
            guard let transfer, !transfer.usesDMA else { return MainStatus.busy }
            let isReading = isRead(transfer.command)
            let hasData = isReading ? transfer.place < transfer.data.count : request == nil
            return MainStatus.busy | MainStatus.notDMA | (isReading ? MainStatus.toHost : 0)
                | (hasData ? MainStatus.ready : 0)
        }
    }

    mutating func setOutput(_ value: UInt8) {
        let before = output
        output = value
        if before & 4 != 0, value & 4 == 0 { stopCommand() }
        if before & 4 == 0, value & 4 != 0 { resetController() }
    }

    mutating func stopCommand() {
        (phase, fifo, position, transfer, request, isPending) = (.command, [], 0, nil, nil, false)
    }

    /// A reset by software: an interrupt, and four drives to ask about.
    mutating func resetController() {
        stopCommand()
        if !isLocked { (usesFIFO, configuration, precompensation) = (true, 0, 0) }
        perpendicular &= 0x3C
        for index in drives.indices { drives[index].track = 0 }
        isPending = true
        resetSenses = 4
    }

    // MARK: Commands

    /// Bytes of a command, by its first.
    static func length(_ command: UInt8) -> Int {
        switch command & 0x1F {
        case 0x06, 0x05, 0x0C, 0x09, 0x02, 0x16, 0x11, 0x19, 0x1D: return 9
        case 0x0D: return 6
        case 0x0A where command & 0x20 == 0, 0x07, 0x04: return 2
        case 0x03: return 3
        case 0x0F: return 3
        case 0x13: return 4
        case 0x12: return 2
        case 0x0E: return command == 0x8E ? 6 : command == 0x4E ? 17 : 1
        default: return 1
        }
    }

    mutating func writeFIFO(_ value: UInt8) {
        guard output & 4 != 0 else { return }
        switch phase {
        case .command:
            fifo.append(value)
            // Until a command is known to be longer its first byte tells.
            guard fifo.count >= Self.length(fifo[0]) else { return }
            let command = fifo
            fifo = []
            run(command)
        case .execution:
            guard var moving = transfer, !moving.usesDMA, !isRead(moving.command), request == nil else { return }
            moving.data.append(value)
            transfer = moving
            // A sector is whole, or the four bytes that name a sector to be formatted.
            if moving.data.count >= (moving.command & 0x1F == 0x0D ? 4 : Self.sectorSize) { askToWrite() }
        case .result: break
        }
    }

    mutating func readFIFO() -> UInt8 {
        switch phase {
        case .result:
            guard position < fifo.count else { return 0 }
            let value = fifo[position]
            position += 1
            isPending = false
            if position == fifo.count { (phase, fifo, position) = (.command, [], 0) }
            return value
        case .execution:
            guard var moving = transfer, !moving.usesDMA, moving.place < moving.data.count else { return 0 }
            let value = moving.data[moving.place]
            moving.place += 1
            let isOver = moving.place == moving.data.count
            if isOver { (moving.data, moving.place) = ([], 0) }
            transfer = moving
            if isOver { nextSector(isLast: false) }
            return value
        case .command: return 0
        }
    }

    mutating func answer(_ bytes: [UInt8], interrupts: Bool = false) {
        (phase, fifo, position, transfer, request) = (.result, bytes, 0, nil, nil)
        if interrupts { isPending = true }
    }

    func drive(_ byte: UInt8) -> Int { Int(byte & 3) }
    func isThere(_ drive: Int) -> Bool { drives.indices.contains(drive) && drives[drive].isPresent }

    mutating func run(_ bytes: [UInt8]) {
        let command = bytes[0]
        switch command & 0x1F {
        case 0x05, 0x06, 0x09, 0x0C, 0x16: startTransfer(bytes)
        case 0x0D: startFormat(bytes)
        case 0x0A where command & 0x20 == 0: readID(bytes[1])
        case 0x07: seek(bytes[1], to: 0)
        case 0x0F: relativeSeek(command, bytes)
        case 0x08: senseInterrupt()
        case 0x04: senseDrive(bytes[1])
        case 0x03: specify = [bytes[1], bytes[2]]
        case 0x13:
            configuration = bytes[2]
            precompensation = bytes[3]
        case 0x12: perpendicular = bytes[1] & 0x80 != 0 ? bytes[1] & 0x7F : perpendicular & 0x3C | bytes[1] & 3
        // An enhanced controller.
        case 0x10: answer([0x90])
        case 0x18: answer([0x41])
        case 0x14:
            isLocked = command & 0x80 != 0
            answer([isLocked ? 0x10 : 0])
        case 0x17: answer([0])
        case 0x0E: if command == 0x0E { dumpRegisters() } else if command != 0x4E, command != 0x8E { answer([0x80]) }
        default: answer([0x80])
        }
    }

    mutating func dumpRegisters() {
        let tracks = drives.map(\.track)
        answer(
            [tracks[0], tracks[1], 0, 0] + specify
                + [
                    UInt8(truncatingIfNeeded: drives[selected & 1].geometry.sectors),
                    (isLocked ? 0x80 : 0) | perpendicular << 2, configuration, precompensation,
                ])
    }

    mutating func senseInterrupt() {
        if resetSenses > 0 {
            let number = 4 - resetSenses
            resetSenses -= 1
            isPending = false
            answer([0xC0 | number, number < 2 ? drives[Int(number)].track : 0])
        } else if isPending {
            isPending = false
            answer([senseStatus, drives[Int(senseStatus & 1)].track])
        } else {
            answer([0x80])
        }
    }

    mutating func senseDrive(_ byte: UInt8) {
        let number = drive(byte)
        guard isThere(number) else { return answer([byte & 7 | 0x20]) }
        let one = drives[number]
        answer([
            byte & 7 | 0x28 | (one.track == 0 ? 0x10 : 0) | (one.hasMedium && one.isReadOnly ? 0x40 : 0)
        ])
    }

    mutating func seek(_ byte: UInt8, to track: UInt8) {
        let number = drive(byte)
        output = output & ~3 | byte & 3
        guard isThere(number) else {
            // Equipment check: track 0 was not found.
            senseStatus = 0x70 | byte & 7
            isPending = true
            return
        }
        drives[number].track = UInt8(min(Int(track), drives[number].geometry.tracks - 1))
        if drives[number].hasMedium { drives[number].hasChanged = false }
        senseStatus = 0x20 | byte & 7
        isPending = true
    }

    mutating func relativeSeek(_ command: UInt8, _ bytes: [UInt8]) {
        guard command & 0x80 != 0 else { return seek(bytes[1], to: bytes[2]) }
        let number = drive(bytes[1])
        let now = drives.indices.contains(number) ? drives[number].track : 0
        let (up, over) = now.addingReportingOverflow(bytes[2])
        seek(bytes[1], to: command & 0x40 != 0 ? (over ? UInt8.max : up) : now - min(now, bytes[2]))
    }

    mutating func readID(_ byte: UInt8) {
        let number = drive(byte)
        guard isThere(number), drives[number].hasMedium, rateFits(number) else {
            return answer([0x40 | byte & 7, 0x01, 0, 0, byte >> 2 & 1, 1, 2], interrupts: true)
        }
        answer([byte & 7, 0, 0, drives[number].track, byte >> 2 & 1, 1, 2], interrupts: true)
    }

    /// Whether the data rate is the diskette's; a driver that looks for the format tries several.
    func rateFits(_ number: Int) -> Bool { drives[number].geometry.rate == rate }
}
