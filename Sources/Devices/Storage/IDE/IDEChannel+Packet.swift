// PACKET commands: how they come and how their data goes. ATA/ATAPI-6, 8.24 and 9.8.
extension IDEChannel {
    private static let packetBytes = 12

    /// The drive takes the twelve bytes of a command.
    mutating func beginPacket(_ index: Int, _ drive: IDEDrive) {
        let limit = Int(drive.task.middle.current) | Int(drive.task.high.current) << 8
        transfer = Transfer(
            activity: .packet, drive: index, unit: 2048, isDMA: drive.task.feature.current & 1 != 0,
            byteLimit: limit, end: Self.packetBytes, filled: Self.packetBytes)
        buffer = [UInt8](repeating: 0, count: Self.packetBytes)
        drives[index]?.task.count.current = ATAReason.command
        drives[index]?.task.status = ATAStatus.idle | ATAStatus.dataRequest
    }

    /// The command is complete.
    mutating func executePacket() {
        let index = transfer.drive
        guard var drive = drives[index] else { return }
        let answer = drive.perform(packet: buffer)
        drives[index] = drive
        switch answer {
        case .done: finishPacket(index)
        case .failed(let sense): failPacket(index, sense)
        case .data(let bytes):
            guard !bytes.isEmpty else { return finishPacket(index) }
            buffer = bytes
            transfer.activity = .packetData
            transfer.position = 0
            transfer.end = 0
            transfer.filled = bytes.count
            transfer.remaining = 0
            if transfer.isDMA { awaitPacketDMA() } else { offerPacketBlock() }
        case .blocks(let lba, let count):
            guard count > 0 else { return finishPacket(index) }
            buffer = []
            transfer.activity = .packetData
            transfer.position = 0
            transfer.end = 0
            transfer.filled = 0
            transfer.lba = lba
            transfer.remaining = count
            if transfer.isDMA { awaitPacketDMA() } else { fetch() }
        }
    }

    private mutating func awaitPacketDMA() {
        drives[transfer.drive]?.task.count.current = ATAReason.toHost
        awaitDMA()
    }

    /// The host may read as many bytes as it said that it takes, which it finds in the cylinder registers.
    mutating func offerPacketBlock() {
        let left = transfer.filled - transfer.position
        var limit = transfer.byteLimit == 0 ? 0xFFFE : min(transfer.byteLimit, 0xFFFE)
        // An odd number only for the last.
        if limit < left { limit = max(limit & ~1, 2) }
        let count = min(left, limit)
        transfer.end = transfer.position + count
        let index = transfer.drive
        drives[index]?.task.count.current = ATAReason.toHost
        drives[index]?.task.middle.current = UInt8(truncatingIfNeeded: count)
        drives[index]?.task.high.current = UInt8(truncatingIfNeeded: count >> 8)
        drives[index]?.task.status = ATAStatus.idle | ATAStatus.dataRequest
        raise()
    }

    /// The host has read all that was offered.
    mutating func packetBlockRead() {
        if transfer.position < transfer.filled {
            offerPacketBlock()
        } else if transfer.remaining > 0 {
            fetch()
        } else {
            finishPacket(transfer.drive)
        }
    }

    mutating func finishPacket(_ index: Int) {
        drives[index]?.sense = IDEDrive.Sense()
        drives[index]?.task.count.current = ATAReason.done
        succeed(index)
    }

    mutating func failPacket(_ index: Int, _ sense: IDEDrive.Sense) {
        drives[index]?.sense = sense
        drives[index]?.task.count.current = ATAReason.done
        fail(index, sense.key << 4 | ATAError.aborted)
    }

    // MARK: Media

    /// Which drives' trays are open.
    var openTrays: [Bool] { drives.map { $0?.isTrayOpen ?? false } }

    /// A CD drive's tray; nil where there is no such drive.
    package func tray(of unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        guard drives.indices.contains(unit), let drive = drives[unit], !drive.isDisk else { return nil }
        return (drive.isTrayOpen, drive.isLocked)
    }

    /// Moves a CD drive's tray by hand, whatever the guest has locked.
    package mutating func setTray(of unit: Int, isOpen: Bool) {
        guard tray(of: unit) != nil else { return }
        drives[unit]?.moveTray(isOpen: isOpen)
    }

    /// Somebody pressed the button of a locked drive: the guest hears of it and may open the tray.
    package mutating func requestEject(of unit: Int) {
        guard tray(of: unit) != nil else { return }
        drives[unit]?.mediumEvent = IDEDrive.ejectEvent
    }

    /// A medium of so many bytes in a CD drive, or none.
    package mutating func setMedium(of unit: Int, size: UInt64?) {
        guard tray(of: unit) != nil else { return }
        drives[unit]?.insert(size: size)
    }

    /// A disk has another size: the next IDENTIFY tells it.
    package mutating func setSize(of unit: Int, _ size: UInt64?) {
        if drives.indices.contains(unit), drives[unit]?.isDisk ?? false { drives[unit]?.size = size }
    }
}
