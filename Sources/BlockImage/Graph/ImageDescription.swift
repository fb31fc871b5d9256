/// A fact about an image that only its format knows, as `qemu-img info` lists it.
public struct ImageFact: Sendable, Hashable {
    /// What a fact can be.
    public indirect enum Value: Sendable, Hashable {
        case text(String)
        case number(UInt64)
        case flag(Bool)
        case list([Value])
        case group([ImageFact])
    }

    /// The name, with dashes.
    public var name: String
    /// The value.
    public var value: Value

    /// A fact of a name.
    public init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }
}

/// What a format says of an image beyond its size.
public struct ImageDescription: Sendable, Hashable {
    /// The unit of allocation in bytes.
    public var clusterSize: UInt64?
    /// The format tells whether an image was closed.
    public var knowsDirt = true
    /// It was not closed.
    public var isDirty = false
    /// Its content is encrypted.
    public var isEncrypted = false
    /// The image below, as this one names it, and its format.
    public var backing: String?
    public var backingFormat: String?
    /// What is particular to the format; nil for nothing at all.
    public var specific: [ImageFact]?

    /// Nothing to say.
    public init() {}
}

/// A node that is an image of a format with something to say.
public protocol DescribedImage: BlockNode {
    /// What the format says.
    var imageDescription: ImageDescription { get }
}

extension QCow2Node: DescribedImage {
    public var imageDescription: ImageDescription {
        let header = currentHeader
        var result = ImageDescription()
        result.clusterSize = UInt64(header.clusterSize)
        result.isDirty = header.incompatible & QCow2Header.Incompatible.dirty != 0
        result.isEncrypted = header.encryption != 0
        result.backing = header.backingFile
        result.backingFormat = header.backingFormat
        var facts = [
            ImageFact("compat", .text(header.version >= 3 ? "1.1" : "0.10")),
            ImageFact("compression-type", .text(header.compression == .zlib ? "zlib" : "zstd")),
        ]
        if header.version >= 3 {
            facts.append(ImageFact("lazy-refcounts", .flag(header.compatible & QCow2Header.lazyRefcounts != 0)))
        }
        let bitmaps = (try? QCow2Bitmap.directory(header, file: file)) ?? []
        if !bitmaps.isEmpty { facts.append(ImageFact("bitmaps", .list(bitmaps.map(QCow2Node.describe)))) }
        facts.append(ImageFact("refcount-bits", .number(UInt64(header.refcountBits))))
        if header.encryption == 1 { facts.append(ImageFact("encrypt", .group([ImageFact("format", .text("aes"))]))) }
        if header.encryption == 2, let place = header.encryptionHeader, place.offset <= UInt64(Int64.max) / 2 {
            let bytes = file.bytesAndWait(at: place.offset, count: LUKSFacts.size).bytes
            if let luks = LUKSFacts.facts(bytes, at: place.offset) { facts.append(ImageFact("encrypt", .group(luks))) }
        }
        if header.version >= 3 {
            if header.hasDataFile {
                if let name = header.dataFile { facts.append(ImageFact("data-file", .text(name))) }
                facts.append(ImageFact("data-file-raw", .flag(header.hasRawData)))
            }
            let isCorrupt = header.incompatible & QCow2Header.Incompatible.corrupt != 0
            facts.append(ImageFact("corrupt", .flag(isCorrupt)))
            facts.append(ImageFact("extended-l2", .flag(header.isExtended)))
        }
        result.specific = facts
        return result
    }

    private static func describe(_ bitmap: QCow2Bitmap) -> ImageFact.Value {
        var flags: [ImageFact.Value] = []
        if bitmap.flags & QCow2Bitmap.Flag.inUse != 0 { flags.append(.text("in-use")) }
        if bitmap.flags & QCow2Bitmap.Flag.auto != 0 { flags.append(.text("auto")) }
        return .group([
            ImageFact("flags", .list(flags)), ImageFact("name", .text(bitmap.name)),
            ImageFact("granularity", .number(bitmap.granularity)),
        ])
    }
}
