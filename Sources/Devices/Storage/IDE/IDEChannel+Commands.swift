// Commands of disks, and those of both kinds of drives. ATA/ATAPI-6, chapter 8.
extension IDEChannel {
    private typealias Command = ATACommand

    /// Ends the command of a drive well.
    mutating func succeed(_ index: Int, status: UInt8 = ATAStatus.idle) {
        drives[index]?.task.status = status
        drives[index]?.task.error = 0
        transfer = Transfer()
        raise()
    }
    /// Ends the command of a drive with an error.
    mutating func fail(_ index: Int, _ error: UInt8 = ATAError.aborted) {
        drives[index]?.task.status = ATAStatus.idle | ATAStatus.error
        drives[index]?.task.error = error
        transfer = Transfer()
        raise()
    }

    mutating func execute(_ command: UInt8) {
        // Heard by both drives, and done by them together.
        if command == Command.executeDiagnostic { return executeDiagnostic() }
        let index = selected
        guard let drive = drives[index] else { return }
        if command == Command.deviceReset {
            guard !drive.isDisk else {
                if transfer.activity == .none { fail(index) }
                return
            }
            cancel()
            drives[index]?.setSignature()
            drives[index]?.task.status = 0
            drives[index]?.task.error = ATAError.diagnosticPassed
            return
        }
        drives[index]?.task.error = 0
        switch command {
        case Command.standbyNow, Command.idleNow, Command.standby, Command.idle, Command.sleep, 0x94...0x97, 0x99:
            succeed(index)
        case Command.checkPower, 0x98:
            // Active or idle.
            drives[index]?.task.count.current = 0xFF
            succeed(index)
        case Command.setFeatures: setFeatures(index, drive)
        case _ where drive.isDisk: executeDisk(command, index, drive)
        case Command.packet: beginPacket(index, drive)
        case Command.identifyPacketDevice: answer(index, drive.identifyPacket())
        case Command.identify, Command.readSectors:
            drives[index]?.setSignature()
            fail(index)
        default: fail(index)
        }
    }

    private mutating func executeDiagnostic() {
        cancel()
        selected = 0
        for index in drives.indices { drives[index]?.reset(powerOn: false) }
        for index in drives.indices { drives[index]?.task.device = 0 }
        raise()
    }

    private mutating func executeDisk(_ command: UInt8, _ index: Int, _ drive: IDEDrive) {
        switch command {
        case Command.identify: answer(index, drive.identifyDisk())
        case Command.readSectors, Command.readSectorsOnce: begin(.readSectors, index)
        case Command.readSectorsExt: begin(.readSectors, index, isExtended: true)
        case Command.readMultiple, Command.readMultipleExt:
            guard drive.multiple > 0 else { return fail(index) }
            begin(.readSectors, index, isExtended: command == Command.readMultipleExt, block: drive.multiple)
        case Command.readDMA, Command.readDMAOnce: begin(.readDMA, index)
        case Command.readDMAExt: begin(.readDMA, index, isExtended: true)
        case Command.writeSectors, Command.writeSectorsOnce, Command.writeVerify: begin(.writeSectors, index)
        case Command.writeSectorsExt: begin(.writeSectors, index, isExtended: true)
        case Command.writeMultiple, Command.writeMultipleExt, Command.writeMultipleForceExt:
            guard drive.multiple > 0 else { return fail(index) }
            begin(
                .writeSectors, index, isExtended: command != Command.writeMultiple, block: drive.multiple,
                forces: command == Command.writeMultipleForceExt)
        case Command.writeDMA, Command.writeDMAOnce: begin(.writeDMA, index)
        case Command.writeDMAExt: begin(.writeDMA, index, isExtended: true)
        case Command.writeDMAForceExt: begin(.writeDMA, index, isExtended: true, forces: true)
        case Command.verify, Command.verifyOnce, Command.verifyExt: verify(index, command == Command.verifyExt)
        case Command.flush, Command.flushExt:
            transfer = Transfer(activity: .flush, drive: index)
            drives[index]?.task.status = ATAStatus.busy | ATAStatus.seekComplete
            ask(.flush)
        case 0x10...0x1F, 0x70...0x7F: succeed(index)
        case Command.initializeParameters:
            guard drive.task.count.current > 0 else { return fail(index) }
            drives[index]?.heads = Int(drive.task.device & 0x0F) + 1
            drives[index]?.sectors = Int(drive.task.count.current)
            succeed(index)
        case Command.setMultiple:
            let count = Int(drive.task.count.current)
            guard count <= IDEDrive.mostMultiple, count & (count &- 1) == 0 else { return fail(index) }
            drives[index]?.multiple = count
            succeed(index)
        case Command.readNativeMax, Command.readNativeMaxExt:
            guard drive.sectorCount > 0, drive.task.device & 0x40 != 0 else { return fail(index) }
            let isExtended = command == Command.readNativeMaxExt
            let last = drive.sectorCount - 1
            drives[index]?.setAddress(isExtended ? last : min(last, 0x0FFF_FFFF), isExtended: isExtended)
            succeed(index)
        case Command.dataSetManagement: beginTrim(index, drive)
        case Command.smart: smart(index, drive)
        default: fail(index)
        }
    }

    /// Starts to move sectors, if there are such.
    private mutating func begin(
        _ activity: Activity, _ index: Int, isExtended: Bool = false, block: Int = 1, forces: Bool = false
    ) {
        guard let drive = drives[index] else { return }
        let isWrite = activity == .writeSectors || activity == .writeDMA
        let (lba, count) = drive.range(isExtended: isExtended)
        guard !isWrite || !drive.isReadOnly else { return fail(index) }
        guard let lba, lba < drive.sectorCount, UInt64(count) <= drive.sectorCount - lba else {
            return fail(index, ATAError.noSector)
        }
        transfer = Transfer(
            activity: activity, drive: index, lba: lba, remaining: count, unit: IDEDrive.sectorSize, block: block,
            isExtended: isExtended, isDMA: activity == .readDMA || activity == .writeDMA,
            forceUnitAccess: isWrite && (forces || !drive.cachesWrites))
        switch activity {
        case .readSectors: fetch()
        case .writeSectors: awaitBlock()
        default: awaitDMA()
        }
    }

    private mutating func verify(_ index: Int, _ isExtended: Bool) {
        guard let drive = drives[index] else { return }
        let (lba, count) = drive.range(isExtended: isExtended)
        guard let lba, lba < drive.sectorCount, UInt64(count) <= drive.sectorCount - lba else {
            return fail(index, ATAError.noSector)
        }
        succeed(index)
    }

    /// DATA SET MANAGEMENT's only function, TRIM, with its ranges. ATA8-ACS, 7.5.
    private mutating func beginTrim(_ index: Int, _ drive: IDEDrive) {
        let (_, count) = drive.range(isExtended: true)
        guard drive.task.feature.current == 1, count <= IDEDrive.mostTrimBlocks, !drive.isReadOnly else {
            return fail(index)
        }
        transfer = Transfer(activity: .trim, drive: index, remaining: count, isExtended: true, isDMA: true)
        awaitDMA()
    }

    private mutating func setFeatures(_ index: Int, _ drive: IDEDrive) {
        switch drive.task.feature.current {
        case 0x02: drives[index]?.cachesWrites = true
        case 0x82:
            drives[index]?.cachesWrites = false
            guard drive.isDisk else { break }
            // What is in caches must not stay there.
            transfer = Transfer(activity: .flush, drive: index)
            drives[index]?.task.status = ATAStatus.busy | ATAStatus.seekComplete
            return ask(.flush)
        case 0x03:
            // PIO default, with and without flow control; multiword and ultra DMA.
            let mode = drive.task.count.current
            switch mode >> 3 {
            case 0, 1, 2: break
            case 4 where mode & 7 <= 2: drives[index]?.mode = mode
            case 8 where mode & 7 <= 5: drives[index]?.mode = mode
            default: return fail(index)
            }
        case 0xAA: drives[index]?.looksAhead = true
        case 0x55: drives[index]?.looksAhead = false
        // Power management, acoustics, keeping of settings: nothing to change.
        case 0x05, 0x85, 0x42, 0xC2, 0x66, 0xCC, 0x69, 0x67, 0x96, 0x9A: break
        default: return fail(index)
        }
        succeed(index)
    }

    private mutating func smart(_ index: Int, _ drive: IDEDrive) {
        let function = drive.task.feature.current
        guard drive.task.middle.current == 0x4F, drive.task.high.current == 0xC2,
            drive.hasSMART || function == 0xD8
        else { return fail(index) }
        switch function {
        case 0xD0, 0xD1: answer(index, IDEDrive.smartData(isThresholds: function == 0xD1))
        // Automatic saving, saving, immediate self-test.
        case 0xD2, 0xD3, 0xD4: succeed(index)
        case 0xD8, 0xD9:
            drives[index]?.hasSMART = function == 0xD8
            succeed(index)
        // The registers stay as they are: no threshold is exceeded.
        case 0xDA: succeed(index)
        default: fail(index)
        }
    }
}
