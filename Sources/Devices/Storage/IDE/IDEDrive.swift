/// What `-device ide-hd` and `ide-cd` may set.
public struct IDEDriveProperties: Equatable, Sendable {
    /// What kind of drive it is.
    public enum Kind: Equatable, Sendable {
        /// A disk, which speaks ATA.
        case disk
        /// A CD or DVD drive, which speaks ATAPI.
        case cdrom
    }
    /// What kind of drive it is.
    public var kind: Kind
    /// `serial`, of which 20 bytes count.
    public var serial: String
    /// `model`, of which 40 bytes count.
    public var model: String
    /// `ver`, of which 8 bytes count.
    public var firmware: String
    /// `wwn`; 0 for none.
    public var worldWideName: UInt64
    /// `cyls`, `heads` and `secs`; nil for the usual guess.
    public var geometry: (cylinders: Int, heads: Int, sectors: Int)?
    /// `physical_block_size` in bytes; 512 to 1 MiB.
    public var physicalBlockSize: Int
    /// `rotation_rate`: 0 for unknown, 1 for none.
    public var rotationRate: UInt16
    /// `write-cache`: whether writes may wait in caches until a flush.
    public var writeCache: Bool

    /// A drive that calls itself as QEMU's do, so that guests that know disks by their names find them again. `number`
    /// is its place among the machine's IDE drives, from 1.
    public init(_ kind: Kind, number: Int) {
        self.kind = kind
        let digits = String(number)
        serial = "QM" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        model = kind == .disk ? "QEMU HARDDISK" : "QEMU DVD-ROM"
        firmware = "2.5+"
        worldWideName = 0
        physicalBlockSize = 512
        rotationRate = 0
        writeCache = true
    }

    public static func == (a: IDEDriveProperties, b: IDEDriveProperties) -> Bool {
        a.kind == b.kind && a.serial == b.serial && a.model == b.model && a.firmware == b.firmware
            && a.worldWideName == b.worldWideName && a.physicalBlockSize == b.physicalBlockSize
            && a.rotationRate == b.rotationRate && a.writeCache == b.writeCache
            && a.geometry?.cylinders == b.geometry?.cylinders && a.geometry?.heads == b.geometry?.heads
            && a.geometry?.sectors == b.geometry?.sectors
    }
}

/// One drive of a channel: its registers and modes. A pure value.
struct IDEDrive {
    /// Why a PACKET command failed: sense key, code and qualifier. SPC-3, 4.5.
    struct Sense: Equatable {
        var key: UInt8 = 0
        var code: UInt8 = 0
        var qualifier: UInt8 = 0
    }
    let properties: IDEDriveProperties
    /// Bytes of the image; nil where a CD drive is empty.
    var size: UInt64?
    let isReadOnly: Bool
    let cylinders: Int
    let defaultHeads: Int
    let defaultSectors: Int

    var task = IDETaskFile()
    /// Heads and sectors of a track as the driver set them.
    var heads: Int
    var sectors: Int
    /// Sectors of a block of READ and WRITE MULTIPLE; 0 while these are off.
    var multiple = 0
    /// The transfer mode as SET FEATURES has it.
    var mode: UInt8 = IDEDrive.usualMode
    var cachesWrites: Bool
    var looksAhead = true
    var hasSMART = true
    // ATAPI.
    var sense = Sense()
    var isTrayOpen = false
    var isLocked = false
    /// The medium is another than the driver knows.
    var hasNewMedium = false
    /// What GET EVENT STATUS NOTIFICATION tells next; 0 for nothing.
    var mediumEvent: UInt8 = 0

    /// Ultra DMA mode 5.
    static let usualMode: UInt8 = 0x45
    static let sectorSize = 512
    /// The most sectors of a block of READ MULTIPLE.
    static let mostMultiple = 16
    /// The most blocks of ranges of one DATA SET MANAGEMENT.
    static let mostTrimBlocks = 8

    init(_ properties: IDEDriveProperties, size: UInt64?, isReadOnly: Bool) {
        self.properties = properties
        self.size = size
        self.isReadOnly = isReadOnly
        let total = (size ?? 0) / UInt64(Self.sectorSize)
        // The usual guess: 16 heads, 63 sectors, and cylinders up to ATA's limit.
        let guessed = Int(min(max(total / (16 * 63), 2), 16383))
        let geometry = properties.geometry ?? (guessed, 16, 63)
        cylinders = min(max(geometry.cylinders, 1), 65535)
        defaultHeads = min(max(geometry.heads, 1), 16)
        defaultSectors = min(max(geometry.sectors, 1), 255)
        heads = defaultHeads
        sectors = defaultSectors
        cachesWrites = properties.writeCache
    }

    var isDisk: Bool { properties.kind == .disk }
    /// Sectors of 512 bytes.
    var sectorCount: UInt64 { (size ?? 0) / UInt64(Self.sectorSize) }
    /// Blocks of the medium in a CD drive; nil where there is none or the tray is open.
    var blockCount: UInt64? {
        guard let size, !isTrayOpen else { return nil }
        return min(size / 2048, 0xFFFF_FFFF)
    }

    /// What a drive says of itself after a reset. ATA/ATAPI-6, 9.12.
    mutating func setSignature() {
        task.count = IDETaskFile.Register(current: 1, previous: 0)
        task.low = IDETaskFile.Register(current: 1, previous: 0)
        task.middle = IDETaskFile.Register(current: isDisk ? 0 : 0x14, previous: 0)
        task.high = IDETaskFile.Register(current: isDisk ? 0 : 0xEB, previous: 0)
        task.device &= 0x10
    }

    /// After power-on, or a reset of the channel by software, which leaves the modes alone.
    mutating func reset(powerOn: Bool) {
        if powerOn {
            let (tray, medium) = (isTrayOpen, size)
            self = IDEDrive(properties, size: medium, isReadOnly: isReadOnly)
            isTrayOpen = tray
        }
        sense = Sense()
        setSignature()
        task.error = ATAError.diagnosticPassed
        task.status = isDisk ? ATAStatus.idle : 0
    }

    // MARK: Addresses

    /// Where a command begins and how many sectors it has.
    func range(isExtended: Bool) -> (lba: UInt64?, count: Int) {
        if isExtended {
            let count = Int(task.count.previous) << 8 | Int(task.count.current)
            let registers = [
                task.low.current, task.middle.current, task.high.current, task.low.previous, task.middle.previous,
                task.high.previous,
            ]
            let lba = registers.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return (lba, count == 0 ? 65536 : count)
        }
        let count = task.count.current == 0 ? 256 : Int(task.count.current)
        if task.device & 0x40 != 0 {
            let high = UInt64(task.device & 0x0F) << 24 | UInt64(task.high.current) << 16
            return (high | UInt64(task.middle.current) << 8 | UInt64(task.low.current), count)
        }
        // Sectors of a track count from 1.
        guard task.low.current > 0 else { return (nil, count) }
        let cylinder = UInt64(task.high.current) << 8 | UInt64(task.middle.current)
        let track = cylinder * UInt64(heads) + UInt64(task.device & 0x0F)
        return (track * UInt64(sectors) + UInt64(task.low.current) - 1, count)
    }

    /// Puts an address in the registers, in the form in which the command had it.
    mutating func setAddress(_ lba: UInt64, isExtended: Bool) {
        if !isExtended && task.device & 0x40 == 0 {
            let track = lba / UInt64(sectors)
            task.low.current = UInt8(truncatingIfNeeded: lba % UInt64(sectors) + 1)
            task.device = task.device & 0xF0 | UInt8(truncatingIfNeeded: track % UInt64(heads)) & 0x0F
            let cylinder = track / UInt64(heads)
            task.middle.current = UInt8(truncatingIfNeeded: cylinder)
            task.high.current = UInt8(truncatingIfNeeded: cylinder >> 8)
            return
        }
        task.low.current = UInt8(truncatingIfNeeded: lba)
        task.middle.current = UInt8(truncatingIfNeeded: lba >> 8)
        task.high.current = UInt8(truncatingIfNeeded: lba >> 16)
        if isExtended {
            task.low.previous = UInt8(truncatingIfNeeded: lba >> 24)
            task.middle.previous = UInt8(truncatingIfNeeded: lba >> 32)
            task.high.previous = UInt8(truncatingIfNeeded: lba >> 40)
        } else {
            task.device = task.device & 0xF0 | UInt8(truncatingIfNeeded: lba >> 24) & 0x0F
        }
    }
}
