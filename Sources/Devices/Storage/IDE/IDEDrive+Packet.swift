/// Commands of CD and DVD drives. SPC-3 and MMC-4.
enum SCSICommand {
    static let testUnitReady: UInt8 = 0x00
    static let requestSense: UInt8 = 0x03
    static let inquiry: UInt8 = 0x12
    static let modeSense6: UInt8 = 0x1A
    static let startStopUnit: UInt8 = 0x1B
    static let preventAllow: UInt8 = 0x1E
    static let readCapacity: UInt8 = 0x25
    static let read10: UInt8 = 0x28
    static let seek10: UInt8 = 0x2B
    static let readTOC: UInt8 = 0x43
    static let getConfiguration: UInt8 = 0x46
    static let getEventStatus: UInt8 = 0x4A
    static let readDiscInformation: UInt8 = 0x51
    static let modeSense10: UInt8 = 0x5A
    static let read12: UInt8 = 0xA8
    static let setSpeed: UInt8 = 0xBB
    static let mechanismStatus: UInt8 = 0xBD
    static let readCD: UInt8 = 0xBE
}

extension IDEDrive {
    /// What comes of a PACKET command.
    enum PacketAnswer: Equatable {
        case done
        case failed(Sense)
        case data([UInt8])
        /// Blocks of the medium.
        case blocks(lba: UInt64, count: Int)
    }
    private typealias Command = SCSICommand

    private static let illegalCommand = Sense(key: 5, code: 0x20)
    private static let illegalField = Sense(key: 5, code: 0x24)
    private static let outOfRange = Sense(key: 5, code: 0x21)
    private static let removalPrevented = Sense(key: 5, code: 0x53, qualifier: 2)
    private static let mediumChanged = Sense(key: 6, code: 0x28)
    private var noMedium: Sense { Sense(key: 2, code: 0x3A, qualifier: isTrayOpen ? 2 : 1) }

    /// Does a command of 12 bytes.
    mutating func perform(packet: [UInt8]) -> PacketAnswer {
        guard packet.count >= 12 else { return .failed(Self.illegalCommand) }
        func number(_ place: Int, _ count: Int) -> Int {
            packet[place..<place + count].reduce(0) { $0 << 8 | Int($1) }
        }
        let command = packet[0]
        // A new medium is told once, to the first command that is not about the drive itself. SPC-3, 5.
        switch command {
        case Command.inquiry, Command.requestSense, Command.getConfiguration, Command.getEventStatus: break
        default:
            if hasNewMedium {
                hasNewMedium = false
                return .failed(Self.mediumChanged)
            }
        }
        switch command {
        case Command.testUnitReady: return blockCount == nil ? .failed(noMedium) : .done
        case Command.requestSense: return cut(takeSense(), to: number(4, 1))
        case Command.inquiry:
            guard packet[1] & 1 == 0, packet[2] == 0 else { return .failed(Self.illegalField) }
            return cut(inquiry(), to: number(3, 2))
        case Command.modeSense6: return modeSense(packet[2], allocated: number(4, 1), isShort: true)
        case Command.modeSense10: return modeSense(packet[2], allocated: number(7, 2), isShort: false)
        case Command.startStopUnit: return startStop(packet[4])
        case Command.preventAllow:
            isLocked = packet[4] & 1 != 0
            return .done
        case Command.getConfiguration: return cut(configuration(), to: number(7, 2))
        case Command.getEventStatus:
            guard packet[1] & 1 != 0 else { return .failed(Self.illegalField) }
            return cut(eventStatus(packet[4]), to: number(7, 2))
        case Command.setSpeed: return .done
        case Command.mechanismStatus: return cut([0, 0, 0, 0, 0, 1, 0, 0], to: number(8, 2))
        default: break
        }
        guard let blocks = blockCount else {
            let isKnown = [
                Command.readCapacity, Command.read10, Command.read12, Command.seek10, Command.readTOC,
                Command.readDiscInformation, Command.readCD,
            ].contains(command)
            return .failed(isKnown ? noMedium : Self.illegalCommand)
        }
        switch command {
        case Command.readCapacity:
            guard blocks > 0 else { return .failed(noMedium) }
            return .data(bigEndian(blocks - 1, 4) + bigEndian(2048, 4))
        case Command.read10: return read(number(2, 4), number(7, 2), blocks)
        case Command.read12: return read(number(2, 4), number(6, 4), blocks)
        case Command.seek10: return UInt64(number(2, 4)) < blocks ? .done : .failed(Self.outOfRange)
        case Command.readTOC: return readTOC(packet, allocated: number(7, 2), blocks)
        case Command.readDiscInformation: return cut(discInformation(), to: number(7, 2))
        case Command.readCD:
            // User data of data sectors, or nothing at all; headers and raw sectors are not there.
            switch packet[9] & 0xF8 {
            case 0: return .done
            case 0x10: return read(number(2, 4), number(6, 3), blocks)
            default: return .failed(Self.illegalField)
            }
        default: return .failed(Self.illegalCommand)
        }
    }

    private func cut(_ bytes: [UInt8], to allocated: Int) -> PacketAnswer { .data(Array(bytes.prefix(allocated))) }
    private func bigEndian(_ value: some FixedWidthInteger, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    private func text(_ words: String, _ count: Int) -> [UInt8] {
        let bytes = Array(words.utf8.prefix(count))
        return bytes + [UInt8](repeating: 0x20, count: count - bytes.count)
    }

    private func read(_ lba: Int, _ count: Int, _ blocks: UInt64) -> PacketAnswer {
        guard UInt64(lba) <= blocks, UInt64(count) <= blocks - UInt64(lba) else { return .failed(Self.outOfRange) }
        return .blocks(lba: UInt64(lba), count: count)
    }

    // MARK: About the drive

    private mutating func takeSense() -> [UInt8] {
        // A new medium that nobody was told of is told here.
        if sense == Sense(), hasNewMedium {
            hasNewMedium = false
            sense = Self.mediumChanged
        }
        defer { sense = Sense() }
        return [0x70, 0, sense.key, 0, 0, 0, 0, 10, 0, 0, 0, 0, sense.code, sense.qualifier, 0, 0, 0, 0]
    }

    private func inquiry() -> [UInt8] {
        // A CD drive with a removable medium, of no version of SPC, with ATAPI's response format.
        [0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0] + text("QEMU", 8) + text(properties.model, 16)
            + text(properties.firmware, 4)
    }

    private func modeSense(_ selector: UInt8, allocated: Int, isShort: Bool) -> PacketAnswer {
        let page = selector & 0x3F
        // Saved values are not kept. SPC-3, 6.9.5.
        guard selector >> 6 != 3 else { return .failed(Sense(key: 5, code: 0x39)) }
        let isChangeable = selector >> 6 == 1
        var pages: [UInt8] = []
        // Error recovery: 5 tries.
        if page == 0x01 || page == 0x3F { pages += [0x01, 6, 0, isChangeable ? 0 : 5, 0, 0, 0, 0] }
        if page == 0x2A || page == 0x3F {
            let lock: UInt8 = isLocked ? 2 : 0
            // Reads CD-R, CD-RW, DVD-ROM; several sessions; a tray that locks and ejects; 50x.
            let values: [UInt8] =
                [0x0B, 0, 0x70, 0, 0x29 | lock, 0] + bigEndian(8819, 2) + [0, 0, 2, 0] + bigEndian(8819, 2)
                + [0, 0, 0, 0]
            pages += [0x2A, UInt8(values.count)] + (isChangeable ? values.map { _ in 0 } : values)
        }
        guard !pages.isEmpty else { return .failed(Self.illegalField) }
        let medium: UInt8 = blockCount == nil ? 0x70 : 0x01
        if isShort { return cut([UInt8(pages.count + 3), medium, 0, 0] + pages, to: allocated) }
        return cut(bigEndian(pages.count + 6, 2) + [medium, 0, 0, 0, 0, 0] + pages, to: allocated)
    }

    private mutating func startStop(_ bits: UInt8) -> PacketAnswer {
        // Without the bit that moves the tray there is only a motor, of which nothing is seen.
        guard bits & 2 != 0 else { return .done }
        if bits & 1 == 0 {
            guard !isLocked else { return .failed(Self.removalPrevented) }
            moveTray(isOpen: true)
        } else {
            moveTray(isOpen: false)
        }
        return .done
    }

    /// Opens or closes the tray.
    mutating func moveTray(isOpen: Bool) {
        guard isOpen != isTrayOpen else { return }
        isTrayOpen = isOpen
        if isOpen {
            if size != nil { mediumEvent = Self.removedEvent }
        } else if size != nil {
            hasNewMedium = true
            mediumEvent = Self.newMediumEvent
        }
    }

    /// Puts a medium of so many bytes into the tray, or takes it out.
    mutating func insert(size: UInt64?) {
        self.size = size
        guard !isTrayOpen else { return }
        hasNewMedium = size != nil
        mediumEvent = size == nil ? Self.removedEvent : Self.newMediumEvent
    }
    /// Media events of GET EVENT STATUS NOTIFICATION. MMC-4, 6.7.2.5.
    static let ejectEvent: UInt8 = 1
    static let newMediumEvent: UInt8 = 2
    static let removedEvent: UInt8 = 3

    private mutating func eventStatus(_ classes: UInt8) -> [UInt8] {
        let media: UInt8 = 4
        guard classes & 1 << media != 0 else { return [0, 2, 0x80, 1 << media] }
        defer { mediumEvent = 0 }
        let state: UInt8 = (isTrayOpen ? 1 : 0) | (blockCount != nil ? 2 : 0)
        return [0, 6, media, 1 << media, mediumEvent, state, 0, 0]
    }

    /// Features and profiles. MMC-4, 6.6.
    private func configuration() -> [UInt8] {
        let (cdROM, dvdROM): (UInt16, UInt16) = (0x08, 0x10)
        // More than 80 minutes of CD are a DVD.
        let isDVD = (blockCount ?? 0) > 80 * 60 * 75
        let current = blockCount == nil ? 0 : isDVD ? dvdROM : cdROM
        func profile(_ number: UInt16) -> [UInt8] { bigEndian(number, 2) + [number == current ? 1 : 0, 0] }
        var features: [UInt8] = [0, 0, 0x03, 8] + profile(dvdROM) + profile(cdROM)
        // Core over ATAPI; a removable medium in a tray.
        features += [0, 1, 0x0B, 8, 0, 0, 0, 2, 1, 0, 0, 0] + [0, 3, 0x07, 4, 0x29, 0, 0, 0]
        // Random reading in blocks of 2048; CD reading; DVD reading.
        let there: UInt8 = current == 0 ? 0 : 1
        features += [0, 0x10, there, 8] + bigEndian(2048, 4) + [0, 1, 0, 0]
        features += [0, 0x1E, there & (isDVD ? 0 : 1) | 0x08, 4, 0, 0, 0, 0] + [0, 0x1F, isDVD ? 1 : 0, 0]
        return bigEndian(features.count + 4, 4) + [0, 0] + bigEndian(current, 2) + features
    }

    // MARK: About the medium

    private func discInformation() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 34)
        bytes[1] = 32
        // A complete disc, its last session too; one track of one session.
        bytes[2] = 0x0E
        bytes[3] = 1
        bytes[4] = 1
        bytes[5] = 1
        bytes[6] = 1
        bytes[7] = 0x20
        return bytes
    }

    /// The table of contents of a disc of one data track. MMC-4, 6.30.
    private func readTOC(_ packet: [UInt8], allocated: Int, _ blocks: UInt64) -> PacketAnswer {
        let isTime = packet[1] & 2 != 0
        func address(_ lba: UInt64) -> [UInt8] {
            guard isTime else { return bigEndian(lba, 4) }
            let frames = lba + 150
            return [0, UInt8(truncatingIfNeeded: frames / 4500), UInt8(frames / 75 % 60), UInt8(frames % 75)]
        }
        let format = packet[2] & 0x0F != 0 ? packet[2] & 0x0F : packet[9] >> 6
        let (dataTrack, leadOut): (UInt8, UInt8) = (0x14, 0xAA)
        switch format {
        case 0:
            guard packet[6] <= 1 || packet[6] == leadOut else { return .failed(Self.illegalField) }
            var bytes: [UInt8] = [1, 1]
            if packet[6] <= 1 { bytes += [0, dataTrack, 1, 0] + address(0) }
            bytes += [0, dataTrack, leadOut, 0] + address(blocks)
            return cut(bigEndian(bytes.count, 2) + bytes, to: allocated)
        case 1:
            return cut([0, 10, 1, 1, 0, dataTrack, 1, 0] + address(0), to: allocated)
        case 2:
            // First track, last track, lead-out, and the track; here times are the only form.
            let frames = blocks + 150
            let end = [UInt8(truncatingIfNeeded: frames / 4500), UInt8(frames / 75 % 60), UInt8(frames % 75)]
            var bytes: [UInt8] = [1, 1]
            for (point, place) in [(0xA0, [1, 0, 0]), (0xA1, [1, 0, 0]), (0xA2, end), (1, [0, 2, 0])]
                as [(UInt8, [UInt8])]
            {
                bytes += [1, dataTrack, 0, point, 0, 0, 0, 0] + place
            }
            return cut(bigEndian(bytes.count, 2) + bytes, to: allocated)
        default: return .failed(Self.illegalField)
        }
    }
}
