internal import BlockImage
internal import GuestMemory
internal import HostOS

/// A guest's memory in the form of `diskdump`, pages compressed by zlib, in makedumpfile's flattened order, which can be
/// written to a pipe: `crash` reads it as it is, `makedumpfile -R` makes a plain one of it (crash's `diskdump.h` and
/// makedumpfile's `IMPLEMENTATION` describe both).
struct CompressedDump {
    let ranges: [CoreFile.Segment]
    /// The notes of an ELF file.
    let notes: [UInt8]
    let guestNote: GuestNote?
    let processors: Int

    private static let pageSize = 4096
    private static let blockSize: UInt64 = 4096
    private static let isZlib: UInt32 = 1
    /// Pages that are read together.
    private static let batch = 256

    private var pages: UInt64 { ranges.reduce(0) { $0 + $1.count / Self.blockSize } }
    /// One more than the highest page's number.
    private var end: UInt64 { ranges.map { ($0.physical + $0.count) / Self.blockSize }.max() ?? 0 }
    private var subHeaderBlocks: UInt64 { (104 + UInt64(notes.count) + Self.blockSize - 1) / Self.blockSize }
    /// Blocks of one of the two bitmaps.
    private var bitmapBlocks: UInt64 { ((end + 7) / 8 + Self.blockSize - 1) / Self.blockSize }

    /// Writes the file. `read` gives bytes of guest memory.
    func write(
        to file: Descriptor, read: (UInt64, Int) throws(MachineError) -> [UInt8]
    ) throws(MachineError) {
        var head = Array("makedumpfile".utf8) + [UInt8](repeating: 0, count: 4)
        head.big(1)
        head.big(1)
        try put(head + [UInt8](repeating: 0, count: 4096 - head.count), file)
        try put(record(0, header), file)
        try put(record(Self.blockSize, subHeader), file)
        let bitmaps = Self.blockSize * (1 + subHeaderBlocks)
        for copy in 0..<2 as Range<UInt64> {
            try putBitmap(at: bitmaps + copy * bitmapBlocks * Self.blockSize, file)
        }
        var descriptors = bitmaps + 2 * bitmapBlocks * Self.blockSize
        // Pages of zeroes are one in the file.
        let zeroes = descriptors + pages * 24
        var place = zeroes + Self.blockSize
        try put(record(zeroes, [UInt8](repeating: 0, count: Self.pageSize)), file)
        guard let packer = ClusterPacker(.zlib) else { throw .failed("zlib has no memory") }
        for range in ranges {
            var done: UInt64 = 0
            while done < range.count {
                let count = Int(min(UInt64(Self.batch * Self.pageSize), range.count - done))
                let bytes = try read(range.physical + done, count)
                var table: [UInt8] = []
                var data: [UInt8] = []
                for start in stride(from: 0, to: count, by: Self.pageSize) {
                    let page = Array(bytes[start..<start + Self.pageSize])
                    var (offset, size, flags) = (zeroes, UInt32(Self.pageSize), 0 as UInt32)
                    if page.contains(where: { $0 != 0 }) {
                        offset = place + UInt64(data.count)
                        if let packed = packer.pack(page), packed.count < Self.pageSize {
                            (size, flags) = (UInt32(packed.count), Self.isZlib)
                            data += packed
                        } else {
                            data += page
                        }
                    }
                    table.little(offset)
                    table.little(size)
                    table.little(flags)
                    table.little(0 as UInt64)
                }
                try put(record(descriptors, table), file)
                if !data.isEmpty { try put(record(place, data), file) }
                descriptors += UInt64(table.count)
                place += UInt64(data.count)
                done += UInt64(count)
            }
        }
        // The end: a record of neither place nor length.
        try put([UInt8](repeating: 0xFF, count: 16), file)
    }

    private func put(_ bytes: [UInt8], _ file: Descriptor) throws(MachineError) {
        do throws(HostError) { try file.writeAll(bytes) } catch { throw .failed("\(error)") }
    }

    /// Bytes with their place in the plain file.
    private func record(_ offset: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        var record: [UInt8] = []
        record.big(offset)
        record.big(UInt64(bytes.count))
        return record + bytes
    }

    private var header: [UInt8] {
        var bytes = Array("KDUMP   ".utf8)
        bytes.little(6 as UInt32)
        // utsname: system, node, release, version, machine, domain.
        for word in ["Linux", "", "", "", "x86_64", ""] {
            bytes += Array(word.utf8) + [UInt8](repeating: 0, count: 65 - word.utf8.count)
        }
        bytes += [UInt8](repeating: 0, count: 22)
        bytes.little(Self.isZlib)
        bytes.little(UInt32(Self.blockSize))
        bytes.little(UInt32(subHeaderBlocks))
        bytes.little(UInt32(2 * bitmapBlocks))
        bytes.little(UInt32(clamping: end))
        bytes.little(0 as UInt32)
        bytes.little(0 as UInt32)
        bytes.little(0 as UInt32)
        bytes.little(0 as UInt32)
        bytes.little(UInt32(processors))
        return bytes
    }

    private var subHeader: [UInt8] {
        let notesAt = Self.blockSize + 104
        var bytes: [UInt8] = []
        bytes.little(guestNote?.physicalBase ?? 0)
        bytes.little(1 as UInt32)
        bytes.little(0 as UInt32)
        bytes.little(0 as UInt64)
        bytes.little(0 as UInt64)
        let text = guestNote.map { note in
            (offset: notes.count - note.bytes.count + note.description.lowerBound, size: note.description.count)
        }
        bytes.little(text.map { notesAt + UInt64($0.offset) } ?? 0)
        bytes.little(UInt64(text?.size ?? 0))
        bytes.little(notesAt)
        bytes.little(UInt64(notes.count))
        for word in [0, 0, 0, 0, end] as [UInt64] { bytes.little(word) }
        return bytes + notes
    }

    private func putBitmap(at place: UInt64, _ file: Descriptor) throws(MachineError) {
        var bits = [UInt8](repeating: 0, count: Int(bitmapBlocks * Self.blockSize))
        for range in ranges {
            for page in range.physical / Self.blockSize..<(range.physical + range.count) / Self.blockSize {
                bits[Int(page >> 3)] |= 1 << UInt8(page & 7)
            }
        }
        try put(record(place, bits), file)
    }
}

/// The ELF note that a guest's kernel has told of itself by fw_cfg's `etc/vmcoreinfo`.
struct GuestNote {
    /// All of it: lengths, name, text.
    let bytes: [UInt8]
    static let limit: UInt32 = 1 << 20

    /// What the guest wrote to fw_cfg, and the memory that it names; nil where that is no such note.
    init?(told: [UInt8], read: (UInt64, Int) -> [UInt8]?) {
        func number(_ at: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(told[at + $1]) << UInt64($1 * 8) }
        }
        guard told.count == 16, number(2, 2) == 1 else { return nil }
        let size = UInt32(number(4, 4))
        guard size >= 24, size <= Self.limit, let bytes = read(number(8, 8), Int(size)) else { return nil }
        func length(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) } }
        let start = 12 + (length(0) + 3) & ~3
        let count = length(4)
        guard start <= bytes.count, count <= bytes.count - start else { return nil }
        description = start..<start + count
        // Linux tells of a larger place, and what is behind the note there would be notes of their own to debuggers.
        self.bytes = bytes[..<(start + count)] + [UInt8](repeating: 0, count: -(start + count) & 3)
    }

    /// Where its text lies.
    let description: Range<Int>

    /// Where the kernel's own mapping begins in memory.
    var physicalBase: UInt64? {
        for line in bytes[description].split(separator: 10) {
            let words = String(decoding: line, as: UTF8.self)
            guard words.hasPrefix("NUMBER(phys_base)=") else { continue }
            return Int64(words.dropFirst(18)).map { UInt64(bitPattern: $0) }
        }
        return nil
    }
}

extension [UInt8] {
    fileprivate mutating func little<T: FixedWidthInteger>(_ value: T) {
        for index in 0..<T.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> T(index * 8))) }
    }
    fileprivate mutating func big(_ value: UInt64) {
        for index in 0..<8 as Range<UInt64> { append(UInt8(truncatingIfNeeded: value >> (56 - index * 8))) }
    }
}
