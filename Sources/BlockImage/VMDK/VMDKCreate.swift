/// A new VMDK image.
public struct VMDKCreateOptions: Sendable {
    /// How the disk is laid out.
    public enum Layout: String, Sendable, CaseIterable {
        case monolithicSparse
        case monolithicFlat
        case twoGbMaxExtentSparse
        case twoGbMaxExtentFlat
        case streamOptimized

        var isFlat: Bool { self == .monolithicFlat || self == .twoGbMaxExtentFlat }
        var isSplit: Bool { self == .twoGbMaxExtentSparse || self == .twoGbMaxExtentFlat }
    }

    /// How many files the extents take; 0 where the image is the one file.
    public var extentCount: Int {
        if layout.isSplit { return Int((size + OtherFormats.splitSize - 1) / OtherFormats.splitSize) }
        return layout.isFlat ? 1 : 0
    }

    /// The disk's size in bytes.
    public var size: UInt64
    /// `subformat`.
    public var layout = Layout.monolithicSparse
    /// `adapter_type`.
    public var adapter = "ide"
    /// `hwversion`.
    public var hardware = "4"
    /// `toolsversion`.
    public var tools = "2147483647"
    /// `zeroed_grain`.
    public var hasZeroGrains = false
    /// `backing_file`, and that image's identity.
    public var parent: (name: String, identity: UInt32)?

    /// An image of a size.
    public init(size: UInt64) { self.size = size }
}

extension OtherFormats {
    static let splitSize: UInt64 = 2 << 30

    /// Makes a VMDK image of the files that it needs: one, or a descriptor and extents beside it. `make` makes an
    /// empty file and opens it for as long as the body runs. `names` are those of the extents in their order, where they
    /// are not to follow from the image's.
    public static func createVMDK(
        _ options: VMDKCreateOptions, at path: String, names: [String]? = nil,
        make: (_ path: String, _ body: (any Resizable) throws(BlockError) -> Void) throws(BlockError) -> Void
    ) throws(BlockError) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        let name = String(path.dropFirst(folder.count))
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        let (stem, suffix) = (String(name[..<dot]), String(name[dot...]))
        var lines: [String] = []
        let identity = UInt32.random(in: 1..<UInt32.max - 1)
        func text() -> String {
            VMDKDescriptor.new(
                createType: options.layout.rawValue, extents: lines, size: options.size, parent: options.parent,
                adapter: options.adapter, hardware: options.hardware, tools: options.tools, identity: identity)
        }
        if !options.layout.isSplit && !options.layout.isFlat {
            lines = ["RW \(options.size / 512) SPARSE \"\(name)\""]
            let embedded = text()
            return try make(path) { file throws(BlockError) in
                try createSparse(options, options.size, embedded, in: file)
            }
        }
        var (at, number): (UInt64, Int) = (0, 1)
        while at < options.size {
            let length = options.layout.isSplit ? min(splitSize, options.size - at) : options.size
            let digits = String(number)
            let count = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
            let extent: String
            switch options.layout {
            case _ where names != nil: extent = number <= names!.count ? names![number - 1] : ""
            case .monolithicFlat: extent = "\(stem)-flat\(suffix)"
            case .twoGbMaxExtentFlat: extent = "\(stem)-f\(count)\(suffix)"
            default: extent = "\(stem)-s\(count)\(suffix)"
            }
            try make(folder + extent) { file throws(BlockError) in
                if options.layout.isFlat {
                    try file.resize(to: length, preallocation: .off)
                    try allocateFirstBlock(file)
                } else {
                    try createSparse(options, length, nil, in: file)
                }
            }
            lines.append(
                "RW \(length / 512) \(options.layout.isFlat ? "FLAT" : "SPARSE") \"\(extent)\""
                    + (options.layout.isFlat ? " 0" : ""))
            at += length
            number += 1
        }
        let descriptor = Array(text().utf8)
        try make(path) { file throws(BlockError) in
            try file.put(descriptor, at: 0)
            try file.flushAndWait()
        }
    }

    private static func createSparse(
        _ options: VMDKCreateOptions, _ size: UInt64, _ descriptor: String?, in file: any Resizable
    ) throws(BlockError) {
        let isPacked = options.layout == .streamOptimized
        let sectors = (size + 511) / 512
        let (granularity, entries): (UInt64, UInt64) = (128, 512)
        let grains = (sectors + granularity - 1) / granularity
        let tables = (grains + entries - 1) / entries
        let tableSectors = entries * 4 / 512
        let directorySectors = (tables * 4 + 511) / 512
        guard tables <= 512 << 20 / 4, sectors <= UInt64(UInt32.max) * 8 else {
            throw .invalidSize(path: file.filename, size: size)
        }
        let descriptorSectors: UInt64 = 20
        let redundant = 1 + descriptorSectors
        let main = redundant + directorySectors + tableSectors * tables
        let data = (main + directorySectors + tableSectors * tables + granularity - 1) / granularity * granularity
        var flags = VMDKExtent.Flag.newLines | VMDKExtent.Flag.redundantTable
        if isPacked { flags |= VMDKExtent.Flag.compressed | VMDKExtent.Flag.markers }
        if options.hasZeroGrains { flags |= VMDKExtent.Flag.zeroGrains }
        var head = [UInt8](repeating: 0, count: 512)
        head.replaceSubrange(0..<4, with: VMDKExtent.magic)
        head.storeLittle(UInt32(isPacked ? 3 : options.hasZeroGrains ? 2 : 1), at: 4)
        head.storeLittle(flags, at: 8)
        head.storeLittle(sectors, at: 12)
        head.storeLittle(granularity, at: 20)
        head.storeLittle(UInt64(1), at: 28)
        head.storeLittle(descriptorSectors, at: 36)
        head.storeLittle(UInt32(entries), at: 44)
        head.storeLittle(redundant, at: 48)
        head.storeLittle(main, at: 56)
        head.storeLittle(data, at: 64)
        head.replaceSubrange(73..<77, with: [10, 32, 13, 10])
        head.storeLittle(UInt16(isPacked ? 1 : 0), at: 77)
        try file.resize(to: 0, preallocation: .off)
        try file.resize(to: data * 512, preallocation: .off)
        for place in [redundant, main] {
            var directory = [UInt8](repeating: 0, count: Int(directorySectors) * 512)
            for table in 0..<tables {
                directory.storeLittle(UInt32(place + directorySectors + table * tableSectors), at: Int(table) * 4)
            }
            try file.put(directory, at: place * 512)
        }
        if let descriptor {
            guard descriptor.utf8.count <= Int(descriptorSectors) * 512 else {
                throw .invalidImage(path: file.filename, reason: "The descriptor would be too long")
            }
            try file.put(Array(descriptor.utf8), at: 512)
        }
        try file.put(head, at: 0)
        try file.flushAndWait()
    }
}
