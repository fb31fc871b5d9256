/// What `-device scsi-hd` and `scsi-cd` may set.
public struct SCSIUnitProperties: Sendable {
    /// A CD drive; else a disk.
    public var isCD: Bool
    /// `vendor`, of which 8 bytes count.
    public var vendor = "QEMU"
    /// `product`, of which 16 bytes count.
    public var product: String
    /// `ver`, of which 4 bytes count.
    public var revision = "2.5+"
    /// `serial`; empty for none.
    public var serial = ""
    /// `device_id`, or what names the unit where it is not given.
    public var identifier = ""
    /// `wwn`; 0 for none.
    public var worldWideName: UInt64 = 0
    /// `rotation_rate`.
    public var rotationRate: UInt16 = 0
    /// `logical_block_size`, of disks.
    public var blockSize = 512
    /// `physical_block_size`.
    public var physicalBlockSize = 512
    /// Whether writes may wait in caches.
    public var writeCache = true

    /// A unit with QEMU's names.
    public init(isCD: Bool) {
        self.isCD = isCD
        product = isCD ? "QEMU CD-ROM" : "QEMU HARDDISK"
    }
}

/// What becomes of a SCSI command.
enum SCSIAnswer: Equatable {
    case done
    case failed(IDEDrive.Sense)
    case data([UInt8])
    case read(offset: UInt64, count: Int)
    case write(offset: UInt64, count: Int, isForced: Bool)
    case flush
    /// Ranges of UNMAP's parameters come.
    case unmap(count: Int)
    /// A block comes and is written so often.
    case writeSame(offset: UInt64, length: UInt64, unmaps: Bool)
    /// Parameters come that change nothing but the write cache's mode.
    case modeSelect(count: Int, isLong: Bool)
}

/// A logical unit: a disk (SBC-3) or a CD drive (MMC-4). A pure value; commands in, what is to be done out.
struct SCSIUnit {
    private enum Code {
        static let testUnitReady: UInt8 = 0x00
        static let requestSense: UInt8 = 0x03
        static let read6: UInt8 = 0x08
        static let write6: UInt8 = 0x0A
        static let inquiry: UInt8 = 0x12
        static let modeSelect6: UInt8 = 0x15
        static let modeSense6: UInt8 = 0x1A
        static let startStop: UInt8 = 0x1B
        static let preventAllow: UInt8 = 0x1E
        static let readCapacity10: UInt8 = 0x25
        static let read10: UInt8 = 0x28
        static let write10: UInt8 = 0x2A
        static let seek10: UInt8 = 0x2B
        static let writeVerify10: UInt8 = 0x2E
        static let verify10: UInt8 = 0x2F
        static let synchronize10: UInt8 = 0x35
        static let writeSame10: UInt8 = 0x41
        static let unmap: UInt8 = 0x42
        static let modeSelect10: UInt8 = 0x55
        static let modeSense10: UInt8 = 0x5A
        static let read16: UInt8 = 0x88
        static let write16: UInt8 = 0x8A
        static let writeVerify16: UInt8 = 0x8E
        static let verify16: UInt8 = 0x8F
        static let synchronize16: UInt8 = 0x91
        static let writeSame16: UInt8 = 0x93
        static let serviceIn16: UInt8 = 0x9E
        static let read12: UInt8 = 0xA8
        static let write12: UInt8 = 0xAA
        static let verify12: UInt8 = 0xAF
    }
    static let illegalCommand = IDEDrive.Sense(key: 5, code: 0x20)
    static let illegalField = IDEDrive.Sense(key: 5, code: 0x24)
    static let outOfRange = IDEDrive.Sense(key: 5, code: 0x21)
    static let writeProtected = IDEDrive.Sense(key: 7, code: 0x27)
    static let noUnit = IDEDrive.Sense(key: 5, code: 0x25)

    let properties: SCSIUnitProperties
    /// The drive with its tray; for disks its size and write cache alone.
    var drive: IDEDrive

    init(_ properties: SCSIUnitProperties, size: UInt64?, isReadOnly: Bool) {
        self.properties = properties
        var old = IDEDriveProperties(properties.isCD ? .cdrom : .disk, number: 1)
        old.writeCache = properties.writeCache
        drive = IDEDrive(old, size: size, isReadOnly: isReadOnly)
    }

    private var blocks: UInt64 { (drive.size ?? 0) / UInt64(properties.blockSize) }

    mutating func reset() { drive.reset(powerOn: true) }

    private func number(_ cdb: [UInt8], _ place: Int, _ count: Int) -> UInt64 {
        cdb[place..<place + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
    private func bigEndian(_ value: some FixedWidthInteger, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    private func text(_ words: String, _ count: Int) -> [UInt8] {
        let bytes = Array(words.utf8.prefix(count))
        return bytes + [UInt8](repeating: 0x20, count: count - bytes.count)
    }

    /// Does a command of 16 bytes or more.
    mutating func perform(_ cdb: [UInt8]) -> SCSIAnswer {
        guard cdb.count >= 16 else { return .failed(Self.illegalCommand) }
        if cdb[0] == Code.inquiry { return inquiry(cdb) }
        if properties.isCD {
            switch drive.perform(packet: Array(cdb.prefix(12))) {
            case .done: return .done
            case .failed(let sense): return .failed(sense)
            case .data(let bytes): return .data(bytes)
            case .blocks(let lba, let count): return .read(offset: lba * 2048, count: count * 2048)
            }
        }
        switch cdb[0] {
        case Code.testUnitReady, Code.startStop, Code.preventAllow, Code.seek10: return .done
        case Code.requestSense:
            return .data(Array([0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].prefix(Int(cdb[4]))))
        case Code.read6, Code.write6:
            let count = cdb[4] == 0 ? 256 : UInt64(cdb[4])
            return move(number(cdb, 1, 3) & 0x1F_FFFF, count, isWrite: cdb[0] == Code.write6, isForced: false)
        case Code.read10, Code.write10, Code.writeVerify10:
            return move(number(cdb, 2, 4), number(cdb, 7, 2), isWrite: cdb[0] != Code.read10, isForced: cdb[1] & 8 != 0)
        case Code.read12, Code.write12:
            return move(number(cdb, 2, 4), number(cdb, 6, 4), isWrite: cdb[0] == Code.write12, isForced: cdb[1] & 8 != 0)
        case Code.read16, Code.write16, Code.writeVerify16:
            return move(
                number(cdb, 2, 8), number(cdb, 10, 4), isWrite: cdb[0] != Code.read16, isForced: cdb[1] & 8 != 0)
        case Code.verify10, Code.verify12, Code.verify16:
            // Without a comparison of bytes there is nothing to do but to look at the range.
            guard cdb[1] & 6 == 0 else { return .failed(Self.illegalField) }
            let isLong = cdb[0] == Code.verify16
            let (lba, count) =
                isLong
                ? (number(cdb, 2, 8), number(cdb, 10, 4))
                : (number(cdb, 2, 4), cdb[0] == Code.verify10 ? number(cdb, 7, 2) : number(cdb, 6, 4))
            return isInside(lba, count) ? .done : .failed(Self.outOfRange)
        case Code.synchronize10, Code.synchronize16: return .flush
        case Code.readCapacity10:
            guard blocks > 0 else { return .failed(IDEDrive.Sense(key: 2, code: 0x3A)) }
            return .data(bigEndian(min(blocks - 1, 0xFFFF_FFFF), 4) + bigEndian(properties.blockSize, 4))
        case Code.serviceIn16:
            guard cdb[1] & 0x1F == 0x10 else { return .failed(Self.illegalField) }
            return .data(Array(capacity16().prefix(Int(clamping: number(cdb, 10, 4)))))
        case Code.modeSense6: return modeSense(cdb[2], Int(cdb[4]), isLong: false, hasBlock: cdb[1] & 8 == 0)
        case Code.modeSense10:
            return modeSense(cdb[2], Int(number(cdb, 7, 2)), isLong: true, hasBlock: cdb[1] & 8 == 0)
        case Code.modeSelect6: return .modeSelect(count: Int(cdb[4]), isLong: false)
        case Code.modeSelect10: return .modeSelect(count: Int(number(cdb, 7, 2)), isLong: true)
        case Code.unmap:
            guard !drive.isReadOnly else { return .failed(Self.writeProtected) }
            return .unmap(count: Int(number(cdb, 7, 2)))
        case Code.writeSame10, Code.writeSame16:
            let isLong = cdb[0] == Code.writeSame16
            let lba = isLong ? number(cdb, 2, 8) : number(cdb, 2, 4)
            var count = isLong ? number(cdb, 10, 4) : number(cdb, 7, 2)
            guard !drive.isReadOnly else { return .failed(Self.writeProtected) }
            if count == 0, lba <= blocks { count = blocks - lba }
            guard isInside(lba, count) else { return .failed(Self.outOfRange) }
            let size = UInt64(properties.blockSize)
            return .writeSame(offset: lba * size, length: count * size, unmaps: cdb[1] & 8 != 0)
        default: return .failed(Self.illegalCommand)
        }
    }

    private func isInside(_ lba: UInt64, _ count: UInt64) -> Bool { lba <= blocks && count <= blocks - lba }

    private func move(_ lba: UInt64, _ count: UInt64, isWrite: Bool, isForced: Bool) -> SCSIAnswer {
        guard isInside(lba, count) else { return .failed(Self.outOfRange) }
        if isWrite, drive.isReadOnly { return .failed(Self.writeProtected) }
        guard count > 0 else { return .done }
        let size = UInt64(properties.blockSize)
        // A command of this kind never names more than 2^32 blocks.
        guard count <= UInt64(Int.max) / size / 2 else { return .failed(Self.outOfRange) }
        return isWrite
            ? .write(offset: lba * size, count: Int(count * size), isForced: isForced || !drive.cachesWrites)
            : .read(offset: lba * size, count: Int(count * size))
    }

    private func capacity16() -> [UInt8] {
        let ratio = max(properties.physicalBlockSize / properties.blockSize, 1)
        var bytes = bigEndian(max(blocks, 1) - 1, 8) + bigEndian(properties.blockSize, 4)
        // Logical blocks of a physical one as a power of two; blocks may be unmapped.
        bytes += [0, UInt8(ratio.trailingZeroBitCount & 15), drive.isReadOnly ? 0 : 0x80, 0]
        return bytes + [UInt8](repeating: 0, count: 16)
    }

    // MARK: About the unit

    private func inquiry(_ cdb: [UInt8]) -> SCSIAnswer {
        let allocated = Int(number(cdb, 3, 2))
        let kind: UInt8 = properties.isCD ? 5 : 0
        guard cdb[1] & 1 != 0 else {
            guard cdb[2] == 0 else { return .failed(Self.illegalField) }
            var bytes: [UInt8] = [kind, properties.isCD ? 0x80 : 0, 5, 0x12, 31, 0, 0, 2]
            bytes += text(properties.vendor, 8) + text(properties.product, 16) + text(properties.revision, 4)
            return .data(Array(bytes.prefix(allocated)))
        }
        guard let page = vitalPage(cdb[2]) else { return .failed(Self.illegalField) }
        return .data(Array(([kind, cdb[2]] + bigEndian(page.count, 2) + page).prefix(allocated)))
    }

    /// Vital product data. SPC-4, 7.8; SBC-3, 6.5.
    private func vitalPage(_ page: UInt8) -> [UInt8]? {
        switch page {
        case 0x00:
            return [0] + (properties.serial.isEmpty ? [] : [0x80]) + [0x83] + (properties.isCD ? [] : [0xB0, 0xB1, 0xB2])
        case 0x80: return properties.serial.isEmpty ? nil : Array(properties.serial.utf8.prefix(36))
        case 0x83:
            var bytes: [UInt8] = []
            let id = Array((properties.serial.isEmpty ? properties.identifier : properties.serial).utf8.prefix(200))
            if !id.isEmpty { bytes += [2, 0, 0, UInt8(id.count)] + id }
            if properties.worldWideName != 0 { bytes += [1, 3, 0, 8] + bigEndian(properties.worldWideName, 8) }
            return bytes
        case 0xB0 where !properties.isCD:
            var bytes = [UInt8](repeating: 0, count: 60)
            // Up to 2^31 blocks and 255 ranges of UNMAP, by 4 KiB.
            bytes.replaceSubrange(16..<20, with: bigEndian(UInt32(0x3F_FFFF), 4))
            bytes.replaceSubrange(20..<24, with: bigEndian(UInt32(255), 4))
            bytes.replaceSubrange(24..<28, with: bigEndian(UInt32(max(4096 / properties.blockSize, 1)), 4))
            bytes.replaceSubrange(32..<40, with: bigEndian(UInt64(0x3F_FFFF), 8))
            return bytes
        case 0xB1 where !properties.isCD:
            return bigEndian(properties.rotationRate, 2) + [UInt8](repeating: 0, count: 58)
        case 0xB2 where !properties.isCD:
            // UNMAP and both kinds of WRITE SAME unmap; thin provisioning.
            return [0, drive.isReadOnly ? 0 : 0xE0, drive.isReadOnly ? 0 : 2, 0]
        default: return nil
        }
    }

    /// Mode pages: caching, control, and for whoever asks for all, error recovery. SPC-4, 7.5; SBC-3, 6.4.
    private func modeSense(_ selector: UInt8, _ allocated: Int, isLong: Bool, hasBlock: Bool) -> SCSIAnswer {
        let page = selector & 0x3F
        guard selector >> 6 != 3 else { return .failed(IDEDrive.Sense(key: 5, code: 0x39)) }
        let isChangeable = selector >> 6 == 1
        var pages: [UInt8] = []
        if page == 0x01 || page == 0x3F { pages += [0x01, 10] + (isChangeable ? [0] : [0x80]) + [0, 0, 0, 0, 0, 0, 0, 0, 0] }
        if page == 0x08 || page == 0x3F {
            let cache: UInt8 = isChangeable || drive.cachesWrites ? 4 : 0
            pages += [0x08, 18, cache] + [UInt8](repeating: 0, count: 17)
        }
        if page == 0x0A || page == 0x3F { pages += [0x0A, 10] + [UInt8](repeating: 0, count: 10) }
        guard !pages.isEmpty else { return .failed(Self.illegalField) }
        let block: [UInt8] =
            hasBlock ? [0] + bigEndian(min(blocks, 0xFF_FFFF), 3) + [0] + bigEndian(properties.blockSize, 3) : []
        // Write protection; DPO and FUA are understood.
        let specific: UInt8 = (drive.isReadOnly ? 0x80 : 0) | 0x10
        let body = block + pages
        let head =
            isLong
            ? bigEndian(body.count + 6, 2) + [0, specific, 0, 0] + bigEndian(block.count, 2)
            : [UInt8(truncatingIfNeeded: body.count + 3), 0, specific, UInt8(block.count)]
        return .data(Array((head + body).prefix(allocated)))
    }

    /// Takes the parameters of MODE SELECT: of all that they may say the write cache's mode changes.
    mutating func select(_ bytes: [UInt8], isLong: Bool) -> Bool {
        let head = isLong ? 8 : 4
        guard bytes.count >= head else { return bytes.isEmpty }
        let blockLength = isLong ? Int(bytes[6]) << 8 | Int(bytes[7]) : Int(bytes[3])
        var place = head + blockLength
        while place + 2 <= bytes.count {
            let (page, count) = (bytes[place] & 0x3F, Int(bytes[place + 1]))
            guard place + 2 + count <= bytes.count else { return false }
            if page == 0x08, count >= 1 { drive.cachesWrites = bytes[place + 2] & 4 != 0 }
            place += 2 + count
        }
        return true
    }

    /// The ranges of UNMAP's parameters, in bytes; nil where one is beyond the end.
    func ranges(_ bytes: [UInt8]) -> [(offset: UInt64, length: UInt64)]? {
        guard bytes.count >= 8 else { return [] }
        let count = min(Int(number(bytes, 2, 2)), bytes.count - 8) / 16
        var result: [(UInt64, UInt64)] = []
        for entry in 0..<count {
            let (lba, length) = (number(bytes, 8 + entry * 16, 8), number(bytes, 16 + entry * 16, 4))
            guard isInside(lba, length) else { return nil }
            let size = UInt64(properties.blockSize)
            if length > 0 { result.append((lba * size, length * size)) }
        }
        return result
    }

    /// Fixed-format sense data. SPC-4, 4.5.3.
    static func bytes(of sense: IDEDrive.Sense) -> [UInt8] {
        [0x70, 0, sense.key, 0, 0, 0, 0, 10, 0, 0, 0, 0, sense.code, sense.qualifier, 0, 0, 0, 0]
    }
}
