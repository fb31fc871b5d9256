internal import BlockImage
internal import VirtQueue

/// What a driver asks of a disk, read out of a chain and checked: a pure value. virtio 1.2, 5.2.6.
struct BlockCommand: Equatable {
    /// The answer's last byte (5.2.6.1).
    enum Status {
        static let ok: UInt8 = 0
        static let ioError: UInt8 = 1
        static let unsupported: UInt8 = 2
    }

    /// What to do.
    enum Action: Equatable {
        /// Fill the writable part, but for the status, from the disk.
        case read
        /// Store the readable part after the header to the disk.
        case write
        case flush
        case discard
        case writeZeroes(mayUnmap: Bool)
        /// Answer with the serial.
        case getID
        /// Nothing but answer with a status.
        case fail(UInt8)
    }
    var action: Action
    /// First byte on the disk.
    var offset: UInt64 = 0
    /// Bytes on the disk.
    var count: UInt64 = 0

    static let headerSize = 16

    /// What a command is checked against.
    struct Disk {
        var size: UInt64
        var blockSize: UInt64
        var isReadOnly: Bool
        var hasDiscard: Bool
        var hasWriteZeroes: Bool
    }

    private enum Kind {
        static let read: UInt32 = 0
        static let write: UInt32 = 1
        static let flush: UInt32 = 4
        static let getID: UInt32 = 8
        static let discard: UInt32 = 11
        static let writeZeroes: UInt32 = 13
    }

    /// The command of a chain; nil where it has no whole header or no room for a status, of which there is no answer.
    init?(_ chain: DescriptorChain, _ disk: Disk) {
        guard let kind = chain.load(at: 0, as: UInt32.self), let sector = chain.load(at: 8, as: UInt64.self),
            chain.writableCount >= 1
        else { return nil }
        switch kind {
        case Kind.read:
            self.init(.read, sector: sector, count: UInt64(chain.writableCount - 1), disk)
        case Kind.write:
            self.init(.write, sector: sector, count: UInt64(chain.readableCount - Self.headerSize), disk)
        case Kind.flush: self.init(.flush)
        case Kind.getID: self.init(.getID)
        case Kind.discard where disk.hasDiscard, Kind.writeZeroes where disk.hasWriteZeroes:
            self.init(range: chain, isDiscard: kind == Kind.discard, disk)
        default: self.init(.fail(Status.unsupported))
        }
    }

    /// A discard or a write of zeroes: one range of sector (8 bytes), count (4) and flags (4).
    private init(range chain: DescriptorChain, isDiscard: Bool, _ disk: Disk) {
        guard chain.readableCount == Self.headerSize + 16,
            let sector = chain.load(at: Self.headerSize, as: UInt64.self),
            let sectors = chain.load(at: Self.headerSize + 8, as: UInt32.self),
            let flags = chain.load(at: Self.headerSize + 12, as: UInt32.self),
            flags & ~(isDiscard ? 0 : 1) == 0
        else {
            self.init(.fail(Status.unsupported))
            return
        }
        guard sectors <= VirtioBlock.mostSectors else {
            self.init(.fail(Status.ioError))
            return
        }
        self.init(
            isDiscard ? .discard : .writeZeroes(mayUnmap: flags & 1 != 0), sector: sector,
            count: UInt64(sectors) * VirtioBlock.sectorSize, disk)
    }

    /// A command that names no range.
    private init(_ action: Action) { self.action = action }

    private init(_ action: Action, sector: UInt64, count: UInt64, _ disk: Disk) {
        let (offset, overflow) = sector.multipliedReportingOverflow(by: VirtioBlock.sectorSize)
        let isSound =
            !overflow && offset <= disk.size && count <= disk.size - offset && offset % disk.blockSize == 0
            && count % disk.blockSize == 0 && (action == .read || !disk.isReadOnly)
        self.action = isSound ? action : .fail(Status.ioError)
        self.offset = offset
        self.count = count
    }
}
