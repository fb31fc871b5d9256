public import JSON

/// A node of the block graph (`-blockdev`).
public struct BlockNodeConfiguration: Equatable, Sendable {
    /// The driver: `file`, `host_device`, `raw`, `null-co`, `qcow2`, ….
    public var driver: String
    /// The node's name; every root has one.
    public var nodeName: String?
    /// Whether writes are refused.
    public var readOnly = false
    /// Whether it falls back to read-only where writing is not allowed.
    public var autoReadOnly = false
    /// Whether discards reach the file (`discard=unmap`).
    public var discardUnmap = false
    /// What happens to writes of zeroes.
    public var detectZeroes = DetectZeroes.off
    /// Whether the host's page cache is passed by (O_DIRECT).
    public var cacheDirect = false
    /// Whether flushes are ignored.
    public var cacheNoFlush = false
    /// Whether others may write to the image at the same time.
    public var forceShare = false
    /// The file, of drivers on files.
    public var filename: String?
    /// How requests are made, of drivers on files.
    public var asynchronousIO: AsynchronousIO?
    /// The node below, of format drivers.
    public var file: Child?
    /// The backing node: nil as the image says, `.some(nil)` none.
    public var backing: Child??
    /// All other options of the driver, typed and checked.
    public var other = JSONObject()

    /// A node below another.
    public indirect enum Child: Equatable, Sendable {
        /// A node that has a name.
        case reference(String)
        /// A node of its own.
        case node(BlockNodeConfiguration)
    }
    /// A node of a driver.
    public init(driver: String) { self.driver = driver }
}

/// What happens to writes of zeroes.
public enum DetectZeroes: String, CaseIterable, Sendable {
    /// They are written.
    case off
    /// They become write-zeroes requests.
    case on
    /// They become discards.
    case unmap
}

/// How requests on files are made.
public enum AsynchronousIO: String, CaseIterable, Sendable {
    /// A thread pool.
    case threads
    /// Linux AIO.
    case native
    /// io_uring.
    case uring = "io_uring"
}

/// How a drive uses the host's page cache.
public enum CacheMode: String, CaseIterable, Sendable {
    /// O_DIRECT, guest flushes.
    case none
    /// Page cache, guest flushes.
    case writeback
    /// Page cache, every write is flushed.
    case writethrough
    /// Page cache, no flush at all.
    case unsafe
    /// O_DIRECT, every write is flushed.
    case directsync

    /// Whether the page cache is passed by.
    public var isDirect: Bool { self == .none || self == .directsync }
    /// Whether the guest sees a volatile write cache.
    public var isWriteBack: Bool { self != .writethrough && self != .directsync }
    /// Whether flushes are ignored.
    public var ignoresFlush: Bool { self == .unsafe }
}

/// What a drive does about an error of its image.
public enum ErrorPolicy: String, CaseIterable, Sendable {
    /// The guest sees it.
    case report
    /// The guest sees success.
    case ignore
    /// The machine stops.
    case stop
    /// The machine stops when the host's disk is full, else the guest sees it.
    case enospc
    /// `enospc` for writes, `report` for reads.
    case auto
}

/// A drive and the image in it (`-drive`, `-hda`, the positional image).
public struct DriveConfiguration: Equatable, Sendable {
    /// What the drive hangs on.
    public enum Interface: String, CaseIterable, Sendable {
        /// The board's IDE controller.
        case ide
        /// A SCSI adapter.
        case scsi
        /// The floppy controller.
        case floppy
        /// A flash chip with firmware.
        case pflash
        /// Raw NAND.
        case mtd
        /// An SD card.
        case sd
        /// A virtio-blk device of its own.
        case virtio
        /// Nothing: a `-device` names it.
        case none
    }
    /// What is in the drive.
    public enum Media: String, CaseIterable, Sendable {
        /// A disk.
        case disk
        /// A CD or DVD, which can be changed.
        case cdrom
    }
    /// The drive's name, which `-device` uses: given, or `ide0-hd0`, `virtio0`.
    public var id: String
    /// The image, nil for an empty drive.
    public var file: String?
    /// Options of the image's own driver, from keys such as `file.driver`.
    public var fileOptions = JSONObject()
    /// The image's format, nil to probe.
    public var format: String?
    /// What the drive hangs on.
    public var interface = Interface.ide
    /// The bus of its interface.
    public var bus = 0
    /// The unit on that bus.
    public var unit = 0
    /// What is in it.
    public var media = Media.disk
    /// The page cache.
    public var cache = CacheMode.writeback
    /// How requests are made; nil for the best that there is.
    public var asynchronousIO: AsynchronousIO?
    /// Whether discards reach the file.
    public var discardUnmap = false
    /// What happens to writes of zeroes.
    public var detectZeroes = DetectZeroes.off
    /// Whether writes are refused.
    public var readOnly = false
    /// Whether writes go to a temporary file.
    public var snapshot = false
    /// Whether what is read from the backing file is kept.
    public var copyOnRead = false
    /// About errors of reads.
    public var readErrors = ErrorPolicy.auto
    /// About errors of writes.
    public var writeErrors = ErrorPolicy.auto
    /// Limits of throughput by their option names (`bps`, `iops_rd`, …).
    public var throttling = JSONObject()
    /// The option that made it, for messages: `-hda disk.img`.
    public var origin = ""

    /// Whether there is something in it.
    public var hasMedium: Bool { file != nil || !fileOptions.isEmpty }

    /// An empty drive of a name.
    public init(id: String) { self.id = id }
}
