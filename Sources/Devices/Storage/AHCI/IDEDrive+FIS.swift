/// What becomes of a command that came in a host-to-device FIS.
enum ATAAction: Equatable {
    /// It is done.
    case done
    /// It fails, with this error register.
    case failed(UInt8)
    /// These bytes go to the host.
    case data([UInt8])
    /// Sectors go to the host.
    case read(offset: UInt64, count: Int)
    /// Sectors come from the host.
    case write(offset: UInt64, count: Int, isForced: Bool)
    /// Caches are written.
    case flush
    /// Ranges come from the host and are discarded.
    case trim(bytes: Int)
    /// A packet is to be performed.
    case packet
    /// The drive gets its power-on registers.
    case reset
}

// Commands as Serial ATA brings them. ATA8-ACS; Serial ATA 3.1, 10.5.5 and 13.6 for queued ones.
extension IDEDrive {
    private typealias Command = ATACommand
    /// Slots of command queues, less one.
    static let queueDepth = 31

    /// Whether a command is queued, and ends with a FIS of its own kind.
    static func isQueued(_ command: UInt8) -> Bool { command == 0x60 || command == 0x61 }

    /// Starts the command of a FIS of 20 bytes.
    mutating func perform(fis: [UInt8]) -> ATAAction {
        guard fis.count >= 20 else { return .failed(ATAError.aborted) }
        let command = fis[2]
        task.feature = IDETaskFile.Register(current: fis[3], previous: fis[11])
        task.low = IDETaskFile.Register(current: fis[4], previous: fis[8])
        task.middle = IDETaskFile.Register(current: fis[5], previous: fis[9])
        task.high = IDETaskFile.Register(current: fis[6], previous: fis[10])
        task.count = IDETaskFile.Register(current: fis[12], previous: fis[13])
        task.device = fis[7] & 0x5F
        task.error = 0
        task.status = ATAStatus.idle
        let isForcedQueued = fis[7] & 0x80 != 0
        switch command {
        case Command.standbyNow, Command.idleNow, Command.standby, Command.idle, Command.sleep, 0x94...0x97, 0x99:
            return .done
        case Command.checkPower, 0x98:
            task.count.current = 0xFF
            return .done
        case Command.setFeatures: return setFeatures()
        case _ where isDisk: return performDisk(command, isForcedQueued: isForcedQueued)
        case Command.packet: return .packet
        case Command.identifyPacketDevice: return .data(serial(identifyPacket()))
        case Command.deviceReset: return .reset
        case Command.identify, Command.readSectors:
            setSignature()
            return .failed(ATAError.aborted)
        default: return .failed(ATAError.aborted)
        }
    }

    private mutating func performDisk(_ command: UInt8, isForcedQueued: Bool) -> ATAAction {
        switch command {
        case Command.identify: return .data(serial(identifyDisk()))
        case Command.readSectors, Command.readSectorsOnce, Command.readMultiple, Command.readDMA, Command.readDMAOnce:
            return move(isExtended: false)
        case Command.readSectorsExt, Command.readMultipleExt, Command.readDMAExt: return move(isExtended: true)
        case Command.writeSectors, Command.writeSectorsOnce, Command.writeVerify, Command.writeMultiple,
            Command.writeDMA, Command.writeDMAOnce:
            return move(isExtended: false, isWrite: true)
        case Command.writeSectorsExt, Command.writeMultipleExt, Command.writeDMAExt:
            return move(isExtended: true, isWrite: true)
        case Command.writeDMAForceExt, Command.writeMultipleForceExt:
            return move(isExtended: true, isWrite: true, isForced: true)
        case 0x60: return queued(isWrite: false, isForced: false)
        case 0x61: return queued(isWrite: true, isForced: isForcedQueued)
        case Command.verify, Command.verifyOnce, Command.verifyExt:
            let action = move(isExtended: command == Command.verifyExt)
            if case .read = action { return .done }
            return action
        case Command.flush, Command.flushExt: return .flush
        case 0x10...0x1F, 0x70...0x7F: return .done
        case Command.initializeParameters:
            guard task.count.current > 0 else { return .failed(ATAError.aborted) }
            heads = Int(task.device & 0x0F) + 1
            sectors = Int(task.count.current)
            return .done
        case Command.setMultiple:
            let count = Int(task.count.current)
            guard count <= Self.mostMultiple, count & (count &- 1) == 0 else { return .failed(ATAError.aborted) }
            multiple = count
            return .done
        case Command.readNativeMax, Command.readNativeMaxExt:
            guard sectorCount > 0, task.device & 0x40 != 0 else { return .failed(ATAError.aborted) }
            let isExtended = command == Command.readNativeMaxExt
            setAddress(isExtended ? sectorCount - 1 : min(sectorCount - 1, 0x0FFF_FFFF), isExtended: isExtended)
            return .done
        case Command.dataSetManagement:
            let (_, count) = range(isExtended: true)
            guard task.feature.current == 1, count <= Self.mostTrimBlocks, !isReadOnly else {
                return .failed(ATAError.aborted)
            }
            return .trim(bytes: count * 512)
        case Command.smart: return smart()
        // READ LOG EXT: the error of a queued command, of which no more is known than that it failed.
        case 0x2F, 0x47:
            guard task.low.current == 0x10 else { return .failed(ATAError.aborted) }
            var page = [UInt8](repeating: 0, count: 512)
            page[0] = 0x80
            page[2] = ATAStatus.idle | ATAStatus.error
            page[3] = ATAError.aborted
            page[511] = 0 &- page.reduce(0, &+)
            return .data(page)
        case Command.executeDiagnostic: return .reset
        default: return .failed(ATAError.aborted)
        }
    }

    private func move(isExtended: Bool, isWrite: Bool = false, isForced: Bool = false) -> ATAAction {
        let (lba, count) = range(isExtended: isExtended)
        return move(lba, count, isWrite, isForced)
    }
    private func queued(isWrite: Bool, isForced: Bool) -> ATAAction {
        let words = [
            task.low.current, task.middle.current, task.high.current, task.low.previous, task.middle.previous,
            task.high.previous,
        ]
        let lba = words.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let count = Int(task.feature.previous) << 8 | Int(task.feature.current)
        return move(lba, count == 0 ? 65536 : count, isWrite, isForced)
    }
    private func move(_ lba: UInt64?, _ count: Int, _ isWrite: Bool, _ isForced: Bool) -> ATAAction {
        guard !isWrite || !isReadOnly else { return .failed(ATAError.aborted) }
        guard let lba, lba < sectorCount, UInt64(count) <= sectorCount - lba else {
            return .failed(ATAError.noSector)
        }
        let (offset, bytes) = (lba * UInt64(Self.sectorSize), count * Self.sectorSize)
        return isWrite
            ? .write(offset: offset, count: bytes, isForced: isForced || !cachesWrites)
            : .read(offset: offset, count: bytes)
    }

    private mutating func setFeatures() -> ATAAction {
        switch task.feature.current {
        case 0x02: cachesWrites = true
        case 0x82:
            cachesWrites = false
            return isDisk ? .flush : .done
        case 0x03:
            let wanted = task.count.current
            switch wanted >> 3 {
            case 0, 1, 2: break
            case 4 where wanted & 7 <= 2: mode = wanted
            case 8 where wanted & 7 <= 5: mode = wanted
            default: return .failed(ATAError.aborted)
            }
        case 0xAA: looksAhead = true
        case 0x55: looksAhead = false
        case 0x05, 0x85, 0x42, 0xC2, 0x66, 0xCC, 0x69, 0x67, 0x96, 0x9A: break
        default: return .failed(ATAError.aborted)
        }
        return .done
    }

    private mutating func smart() -> ATAAction {
        let function = task.feature.current
        guard task.middle.current == 0x4F, task.high.current == 0xC2, hasSMART || function == 0xD8 else {
            return .failed(ATAError.aborted)
        }
        switch function {
        case 0xD0, 0xD1: return .data(IDEDrive.smartData(isThresholds: function == 0xD1))
        case 0xD2, 0xD3, 0xD4, 0xDA: return .done
        case 0xD8, 0xD9:
            hasSMART = function == 0xD8
            return .done
        default: return .failed(ATAError.aborted)
        }
    }

    /// The identity of a drive on Serial ATA: queues, its speed, no cable to detect.
    private func serial(_ identity: [UInt8]) -> [UInt8] {
        var bytes = identity
        func set(_ word: Int, _ value: UInt16) {
            bytes[word * 2] = UInt8(value & 0xFF)
            bytes[word * 2 + 1] = UInt8(value >> 8)
        }
        if isDisk { set(75, UInt16(Self.queueDepth)) }
        set(76, isDisk ? 0x0102 : 0x0002)
        set(93, 0)
        return bytes
    }

    /// The bytes of a register FIS, device to host.
    func registerFIS(type: UInt8, interrupts: Bool) -> [UInt8] {
        [
            type, interrupts ? 0x40 : 0, task.status, task.error, task.low.current, task.middle.current,
            task.high.current, task.device, task.low.previous, task.middle.previous, task.high.previous, 0,
            task.count.current, task.count.previous, 0, task.status, 0, 0, 0, 0,
        ]
    }
}
