// The commands that move sectors.
extension FloppyModel {
    func isRead(_ command: UInt8) -> Bool { [0x06, 0x0C, 0x16].contains(command & 0x1F) }

    mutating func startTransfer(_ bytes: [UInt8]) {
        let number = drive(bytes[1])
        output = output & ~3 | bytes[1] & 3
        transfer = Transfer(
            command: bytes[0], drive: number, track: bytes[2], head: bytes[3], sector: bytes[4], last: bytes[6],
            isMultiTrack: bytes[0] & 0x80 != 0, usesDMA: specify[1] & 1 == 0)
        phase = .execution
        guard isThere(number), drives[number].hasMedium else { return end(0x40, 0x01) }
        guard bytes[5] == 2, rateFits(number) else { return end(0x40, 0x04) }
        if !isRead(bytes[0]), drives[number].isReadOnly { return end(0x40, 0x02) }
        if bytes[0] & 0x1F == 0x16 {
            // Verify: all sectors are good.
            return end(0, 0)
        }
        askForSector()
    }

    /// Asks for the sector that the transfer has come to.
    mutating func askForSector() {
        guard let moving = transfer else { return }
        guard
            let offset = drives[moving.drive].geometry.offset(
                track: Int(moving.track), head: Int(moving.head), sector: Int(moving.sector))
        else { return end(0x40, moving.sector > moving.last ? 0x80 : 0x04) }
        if isRead(moving.command) {
            request = .read(drive: moving.drive, offset: offset)
        } else if moving.usesDMA {
            request = .write(drive: moving.drive, offset: offset, data: nil)
        }
    }

    /// A sector is in the FIFO as a whole.
    mutating func askToWrite() {
        guard var moving = transfer else { return }
        if moving.command & 0x1F == 0x0D {
            (moving.track, moving.head, moving.sector) = (moving.data[0], moving.data[1], moving.data[2])
            moving.data = [UInt8](repeating: moving.filler, count: Self.sectorSize)
        }
        let data = moving.data
        moving.data = []
        transfer = moving
        guard
            let offset = drives[moving.drive].geometry.offset(
                track: Int(moving.track), head: Int(moving.head), sector: Int(moving.sector))
        else { return end(0x40, 0x04) }
        request = .write(drive: moving.drive, offset: offset, data: data)
    }

    mutating func startFormat(_ bytes: [UInt8]) {
        let number = drive(bytes[1])
        output = output & ~3 | bytes[1] & 3
        phase = .execution
        let track = isThere(number) ? drives[number].track : 0
        // All sectors of a track, whose names DMA would bring: here they come in order.
        transfer = Transfer(
            command: bytes[0], drive: number, track: track, head: bytes[1] >> 2 & 1, sector: 1, last: bytes[3],
            isMultiTrack: false, usesDMA: specify[1] & 1 == 0, filler: bytes[5])
        guard isThere(number), drives[number].hasMedium else { return end(0x40, 0x01) }
        guard !drives[number].isReadOnly else { return end(0x40, 0x02) }
        guard bytes[2] == 2, Int(bytes[3]) <= drives[number].geometry.sectors, bytes[3] > 0 else {
            return end(0x40, 0x04)
        }
        if specify[1] & 1 == 0 { formatNext() }
    }
    mutating func formatNext() {
        guard let moving = transfer,
            let offset = drives[moving.drive].geometry.offset(
                track: Int(moving.track), head: Int(moving.head), sector: Int(moving.sector))
        else { return end(0x40, 0x04) }
        request = .write(
            drive: moving.drive, offset: offset, data: [UInt8](repeating: moving.filler, count: Self.sectorSize))
    }

    /// How the request went.
    package mutating func complete(_ outcome: Outcome) {
        guard let asked = request, var moving = transfer else { return }
        switch outcome {
        // Nobody fetched the data in time: an overrun.
        case .stalled:
            request = nil
            return end(0x40, 0x10)
        case .failed:
            request = nil
            return end(0x40, isRead(moving.command) ? 0x20 : 0x02)
        case .data(let bytes):
            request = nil
            guard case .read = asked else { return }
            (moving.data, moving.place) = (bytes, 0)
            transfer = moving
        case .moved(let isLast):
            request = nil
            if moving.command & 0x1F == 0x0D {
                if moving.sector >= moving.last { return end(0, 0) }
                if moving.usesDMA {
                    moving.sector += 1
                    transfer = moving
                    return formatNext()
                }
                return
            }
            nextSector(isLast: isLast)
        }
    }

    /// Goes on to the next sector, or ends.
    mutating func nextSector(isLast: Bool) {
        guard var moving = transfer else { return }
        if moving.sector < moving.last {
            moving.sector += 1
        } else if moving.isMultiTrack, moving.head == 0 {
            (moving.head, moving.sector) = (1, 1)
        } else {
            // The end of the cylinder; a host that counts itself has what it wants.
            moving.sector = 1
            moving.track &+= 1
            moving.head = moving.isMultiTrack ? 0 : moving.head
            transfer = moving
            return end(isLast || !moving.usesDMA ? 0 : 0x40, isLast || !moving.usesDMA ? 0 : 0x80)
        }
        transfer = moving
        if isLast { return end(0, 0) }
        askForSector()
    }

    /// Ends a command with its seven bytes of results.
    mutating func end(_ status0: UInt8, _ status1: UInt8) {
        guard let done = transfer else { return }
        answer(
            [
                status0 | done.head << 2 | UInt8(done.drive), status1, 0, done.track, done.head, done.sector, 2,
            ], interrupts: true)
    }
}
