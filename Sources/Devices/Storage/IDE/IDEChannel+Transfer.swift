internal import GuestMemory

// How data goes between host and drive. ATA/ATAPI-6, chapter 9.
extension IDEChannel {
    private mutating func setStatus(_ status: UInt8) { drives[transfer.drive]?.task.status = status }

    // MARK: Words

    /// Answers a command with bytes that are there.
    mutating func answer(_ index: Int, _ bytes: [UInt8]) {
        buffer = bytes
        transfer = Transfer(
            activity: .data, drive: index, block: max(bytes.count / 512, 1), filled: bytes.count)
        offerBlock()
    }

    /// The host may read: the next block is in the buffer.
    private mutating func offerBlock() {
        transfer.end = min(transfer.filled, transfer.position + transfer.block * transfer.unit)
        setStatus(ATAStatus.idle | ATAStatus.dataRequest)
        raise()
    }

    /// The host is to write the next block.
    mutating func awaitBlock() {
        let count = min(transfer.remaining, transfer.block)
        transfer.position = 0
        transfer.end = count * transfer.unit
        transfer.filled = transfer.end
        buffer = [UInt8](repeating: 0, count: transfer.end)
        setStatus(ATAStatus.idle | ATAStatus.dataRequest)
    }

    private var isReading: Bool {
        switch transfer.activity {
        case .data, .readSectors, .packetData: !transfer.isDMA && transfer.position < transfer.end && !isWaiting
        default: false
        }
    }
    private var isWriting: Bool {
        switch transfer.activity {
        case .writeSectors, .packet: transfer.position < transfer.end && !isWaiting
        default: false
        }
    }
    private var isWaiting: Bool { request != nil || isAwaiting }

    /// The host reads 2 or 4 bytes of the data register; zeroes where there is nothing.
    package mutating func readData(size: Int) -> UInt32 {
        var value: UInt32 = 0
        for word in 0..<UInt32(size / 2) {
            guard isReading else { break }
            let place = transfer.position
            var bits = UInt32(buffer[place])
            if place + 1 < transfer.end { bits |= UInt32(buffer[place + 1]) << 8 }
            value |= bits << (word * 16)
            transfer.position = min(place + 2, transfer.end)
            if transfer.position == transfer.end { blockRead() }
        }
        return value
    }

    /// The host writes 2 or 4 bytes to the data register.
    package mutating func writeData(_ value: UInt32, size: Int) {
        for word in 0..<UInt32(size / 2) {
            guard isWriting else { return }
            let bits = value >> (word * 16)
            let place = transfer.position
            buffer[place] = UInt8(truncatingIfNeeded: bits)
            if place + 1 < transfer.end { buffer[place + 1] = UInt8(truncatingIfNeeded: bits >> 8) }
            transfer.position = min(place + 2, transfer.end)
            if transfer.position == transfer.end { blockWritten() }
        }
    }

    private mutating func blockRead() {
        if transfer.activity == .packetData { return packetBlockRead() }
        if transfer.position < transfer.filled { return offerBlock() }
        if transfer.remaining > 0 { return fetch() }
        // The host knows that this was the last: there is no interrupt.
        drives[transfer.drive]?.task.count.current = 0
        setStatus(ATAStatus.idle)
        transfer = Transfer()
    }

    private mutating func blockWritten() {
        if transfer.activity == .packet { return executePacket() }
        setStatus(ATAStatus.busy | ATAStatus.seekComplete)
        ask(
            .write, offset: transfer.lba * UInt64(transfer.unit), count: transfer.end,
            forceUnitAccess: transfer.forceUnitAccess)
    }

    /// Asks the image for as many of the remaining sectors as a request takes.
    mutating func fetch() {
        let count = min(transfer.remaining, Self.mostBytes / transfer.unit)
        setStatus(ATAStatus.busy | ATAStatus.seekComplete)
        ask(.read, offset: transfer.lba * UInt64(transfer.unit), count: count * transfer.unit)
    }

    // MARK: DMA

    /// The drive is ready for its bus master.
    mutating func awaitDMA() {
        setStatus(ATAStatus.idle | ATAStatus.dataRequest)
        continueDMA()
    }

    /// Goes on once both drive and master are ready.
    mutating func continueDMA() {
        guard transfer.isDMA, busMaster.isActive, !isWaiting else { return }
        guard isMaster else { return failDMA() }
        switch transfer.activity {
        case .readDMA: fetch()
        case .packetData where transfer.filled == 0: fetch()
        case .packetData:
            // SAFETY: the bytes are the array's for the call, here and below.
            let outcome = unsafe buffer.withUnsafeBytes { unsafe busMaster.store($0, memory) }
            if settle(outcome) { finishDMA() }
        case .writeDMA, .trim:
            let count = min(transfer.remaining, Self.mostBytes / transfer.unit) * transfer.unit
            var bytes = [UInt8](repeating: 0, count: count)
            let outcome = unsafe bytes.withUnsafeMutableBytes { unsafe busMaster.load($0, memory) }
            buffer = bytes
            guard settle(outcome) else { return }
            setStatus(ATAStatus.busy | ATAStatus.seekComplete)
            transfer.filled = count
            if transfer.activity == .trim {
                transfer.position = 0
                nextRange()
            } else {
                ask(
                    .write, offset: transfer.lba * UInt64(transfer.unit), count: count,
                    forceUnitAccess: transfer.forceUnitAccess)
            }
        default: break
        }
    }

    /// Ends the command unless all of a piece was moved. A table that is too short leaves the drive without its
    /// interrupt, by which drivers know it (Bus Master IDE 1.0, 3.1).
    private mutating func settle(_ outcome: IDEBusMaster.Outcome) -> Bool {
        switch outcome {
        case .done: return true
        case .exhausted:
            setStatus(ATAStatus.idle)
            transfer = Transfer()
        case .fault: failDMA()
        }
        return false
    }
    private mutating func failDMA() {
        busMaster.status |= IDEBusMaster.Status.error
        busMaster.status &= ~IDEBusMaster.Status.active
        if transfer.activity == .packetData {
            failPacket(transfer.drive, IDEDrive.Sense(key: 4))
        } else {
            fail(transfer.drive)
        }
    }
    private mutating func finishDMA() {
        busMaster.driveFinished()
        if transfer.activity == .packetData { return finishPacket(transfer.drive) }
        drives[transfer.drive]?.task.count.current = 0
        succeed(transfer.drive)
    }

    // MARK: Answers of images

    /// An image's answer to a request: 0 or an `errno` value, and the bytes that were read.
    package mutating func complete(_ number: UInt32, error: Int32, _ bytes: UnsafeRawBufferPointer) {
        guard isAwaiting, number == self.number else { return }
        isAwaiting = false
        guard error == 0 else { return failTransfer() }
        let drive = transfer.drive
        switch transfer.activity {
        case .flush: succeed(drive)
        case .trim: nextRange()
        case .readSectors:
            unsafe fill(bytes)
            offerBlock()
        case .writeSectors:
            advance(by: transfer.end)
            guard transfer.remaining > 0 else {
                drives[drive]?.task.count.current = 0
                return succeed(drive)
            }
            awaitBlock()
            raise()
        case .readDMA:
            advance(by: bytes.count)
            guard settle(unsafe busMaster.isActive ? busMaster.store(bytes, memory) : .exhausted) else { return }
            if transfer.remaining > 0 { continueDMA() } else { finishDMA() }
        case .writeDMA:
            advance(by: transfer.filled)
            if transfer.remaining > 0 { continueDMA() } else { finishDMA() }
        case .packetData:
            if transfer.isDMA {
                advance(by: bytes.count)
                guard settle(unsafe busMaster.isActive ? busMaster.store(bytes, memory) : .exhausted) else { return }
                if transfer.remaining > 0 { continueDMA() } else { finishDMA() }
            } else {
                unsafe fill(bytes)
                offerPacketBlock()
            }
        case .none, .data, .packet: break
        }
    }

    /// Asks for a request once more that failed; false where the driver no longer waits for it.
    package mutating func retry(_ failed: IDERequest) -> Bool {
        guard isAwaiting, failed.number == number else { return false }
        isAwaiting = false
        request = failed
        return true
    }

    /// Takes what was read into the buffer.
    private mutating func fill(_ bytes: UnsafeRawBufferPointer) {
        buffer = unsafe [UInt8](bytes)
        transfer.filled = bytes.count
        transfer.position = 0
        transfer.end = 0
        advance(by: bytes.count)
    }
    private mutating func advance(by bytes: Int) {
        let count = min(bytes / transfer.unit, transfer.remaining)
        transfer.lba += UInt64(count)
        transfer.remaining -= count
    }

    private mutating func failTransfer() {
        let index = transfer.drive
        switch transfer.activity {
        case .packetData: failPacket(index, IDEDrive.Sense(key: 3, code: 0x11))
        case .readSectors, .readDMA:
            drives[index]?.setAddress(transfer.lba, isExtended: transfer.isExtended)
            busMaster.driveFinished()
            fail(index, ATAError.uncorrectable)
        default:
            busMaster.driveFinished()
            fail(index)
        }
    }

    /// Discards the next range of those in the buffer: 48 bits of address, 16 of count.
    private mutating func nextRange() {
        guard let drive = drives[transfer.drive] else { return }
        while transfer.position + 8 <= transfer.filled {
            let place = transfer.position
            let entry = (0..<8).reduce(UInt64(0)) { $0 | UInt64(buffer[place + $1]) << UInt64($1 * 8) }
            transfer.position += 8
            let (lba, count) = (entry & 0xFFFF_FFFF_FFFF, entry >> 48)
            if count == 0 { continue }
            guard lba < drive.sectorCount, count <= drive.sectorCount - lba else {
                busMaster.driveFinished()
                return fail(transfer.drive, ATAError.noSector)
            }
            return ask(.discard, offset: lba * 512, count: Int(count) * 512)
        }
        finishDMA()
    }
}
