/// The program headers of an ELF executable for x86 (System V ABI, "Object Files" and "Program Loading").
struct ELFFile {
    /// A part of the file that is loaded, or a note.
    struct Segment {
        let type: UInt32
        let offset: UInt64
        let virtual: UInt64
        let physical: UInt64
        let fileCount: UInt64
        let memoryCount: UInt64
    }

    static let load: UInt32 = 1
    static let note: UInt32 = 4

    let source: any ImageSource
    /// ELFCLASS64.
    let is64Bit: Bool
    /// `e_entry`.
    let entry: UInt64
    let segments: [Segment]

    static func isPresent(_ prefix: [UInt8]) -> Bool { prefix.starts(with: [0x7F, 0x45, 0x4C, 0x46]) }

    /// Reads the headers and checks that they are those of an x86 executable.
    init(file: any ImageSource) throws(LoadError) {
        let name = file.name
        let head = try file.prefix(64)
        func field<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) throws(LoadError) -> UInt64 {
            guard let value = head.load(little: type, at: offset) else {
                throw .truncated(file: name, size: file.count, needed: UInt64(offset + T.bitWidth / 8))
            }
            return UInt64(value)
        }
        let fileClass = try field(UInt8.self, 4)
        let encoding = try field(UInt8.self, 5)
        guard fileClass == 1 || fileClass == 2, encoding == 1 else {
            throw .unsupported(file: name, "it is not a little-endian 32-bit or 64-bit ELF file")
        }
        let wide = fileClass == 2
        let type = try field(UInt16.self, 16)
        guard type == 2 || type == 3 else {
            throw .unsupported(file: name, "ELF type \(type) is not an executable")
        }
        let machine = try field(UInt16.self, 18)
        guard machine == 3 || machine == 62 else {
            throw .unsupported(file: name, "ELF machine \(machine) is neither i386 nor x86-64")
        }
        source = file
        is64Bit = wide
        entry = try wide ? field(UInt64.self, 24) : field(UInt32.self, 24)
        let table = try wide ? field(UInt64.self, 32) : field(UInt32.self, 28)
        let entrySize = try field(UInt16.self, wide ? 54 : 42)
        let number = try field(UInt16.self, wide ? 56 : 44)
        guard entrySize >= (wide ? 56 : 32) else {
            throw .malformed(file: name, "its program headers have \(entrySize) bytes each")
        }
        let bytes = try file.bytes(at: table, count: entrySize * number, limit: 1 << 24)
        var list: [Segment] = []
        for index in 0..<Int(number) {
            if let segment = Self.segment(bytes, at: index * Int(entrySize), wide: wide) { list.append(segment) }
        }
        segments = list
    }

    private static func segment(_ bytes: [UInt8], at base: Int, wide: Bool) -> Segment? {
        func field<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> UInt64 {
            UInt64(bytes.load(little: type, at: base + offset) ?? 0)
        }
        guard let type = bytes.load(little: UInt32.self, at: base) else { return nil }
        if wide {
            return Segment(
                type: type, offset: field(UInt64.self, 8), virtual: field(UInt64.self, 16),
                physical: field(UInt64.self, 24), fileCount: field(UInt64.self, 32),
                memoryCount: field(UInt64.self, 40))
        }
        return Segment(
            type: type, offset: field(UInt32.self, 4), virtual: field(UInt32.self, 8),
            physical: field(UInt32.self, 12), fileCount: field(UInt32.self, 16), memoryCount: field(UInt32.self, 20))
    }

    /// The address in Xen's note XEN_ELFNOTE_PHYS32_ENTRY, or nil without such a note.
    func physicalEntry() throws(LoadError) -> UInt64? {
        for segment in segments where segment.type == Self.note {
            // Notes of kernels are a few hundred bytes; a longer segment is no place for this one.
            guard segment.fileCount <= 1 << 16 else { continue }
            let bytes = try source.bytes(at: segment.offset, count: segment.fileCount)
            if let entry = Self.physicalEntry(inNotes: bytes) { return entry }
        }
        return nil
    }

    private static func physicalEntry(inNotes bytes: [UInt8]) -> UInt64? {
        var offset = 0
        while let nameCount = bytes.load(little: UInt32.self, at: offset),
            let count = bytes.load(little: UInt32.self, at: offset + 4),
            let type = bytes.load(little: UInt32.self, at: offset + 8),
            nameCount <= 1 << 16, count <= 1 << 16
        {
            let name = offset + 12
            let description = name + (Int(nameCount) + 3) & ~3
            if type == 18, nameCount == 4, bytes.load(little: UInt32.self, at: name) == 0x006E_6558 {
                if count == 8 { return bytes.load(little: UInt64.self, at: description) }
                if count == 4 { return bytes.load(little: UInt32.self, at: description).map { UInt64($0) } }
            }
            offset = description + (Int(count) + 3) & ~3
        }
        return nil
    }

    /// The physical address of `e_entry`: as it stands where that is loaded, else through the segment that holds it
    /// as a virtual address.
    func entryAddress() throws(LoadError) -> UInt64 {
        let loaded = segments.filter { $0.type == Self.load && $0.memoryCount > 0 }
        if loaded.contains(where: { entry >= $0.physical && entry - $0.physical < $0.memoryCount }) { return entry }
        if let home = loaded.first(where: { entry >= $0.virtual && entry - $0.virtual < $0.memoryCount }) {
            return home.physical &+ (entry - home.virtual)
        }
        throw .malformed(file: source.name, "its entry \(hex(entry)) lies in none of its segments")
    }

    /// Copies the loadable segments to their physical addresses, after all of them were found to fit, and returns
    /// their extent.
    func loadSegments(into builder: inout EntryBuilder) throws(LoadError) -> Range<UInt64> {
        let loaded = segments.filter { $0.type == Self.load && $0.memoryCount > 0 }
        guard !loaded.isEmpty else { throw .malformed(file: source.name, "it has no segment to load") }
        var extent: Range<UInt64>?
        let untouched = builder.placement
        for segment in loaded {
            guard segment.fileCount <= segment.memoryCount else {
                throw .malformed(
                    file: source.name,
                    "a segment of \(segment.fileCount) bytes is to be loaded to \(segment.memoryCount) bytes")
            }
            let (end, overflow) = segment.physical.addingReportingOverflow(segment.memoryCount)
            // Segments may share RAM with each other (they are loaded in order), but not with anything else.
            var probe = untouched
            guard !overflow, end <= 1 << 32, probe.claim(segment.physical, segment.memoryCount) else {
                throw .doesNotFit(
                    file: source.name, needed: segment.memoryCount, at: segment.physical,
                    available: untouched.available(at: segment.physical))
            }
            let old = extent ?? segment.physical..<end
            extent = min(old.lowerBound, segment.physical)..<max(old.upperBound, end)
        }
        let span = extent ?? 0..<0
        builder.placement.exclude(span)
        for segment in loaded {
            try source.load(
                at: segment.offset, count: segment.fileCount, to: segment.physical, in: builder.memory)
            try builder.memory.clear(
                segment.physical + segment.fileCount, count: segment.memoryCount - segment.fileCount,
                for: source.name)
        }
        return span
    }
}
