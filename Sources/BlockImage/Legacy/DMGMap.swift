/// An Apple disk image (UDIF), for reading: chunks that are raw, zero or packed by ADC, zlib, bzip2, LZFSE or LZMA, listed
/// in a property list or a resource fork at the end of the file. Big-endian.
final class DMGMap: ImageMap {
    private struct Chunk {
        var start: UInt64
        var length: UInt64
        var kind: UInt32
        var offset: UInt64
        var packed: UInt64
    }

    private enum Kind {
        static let zero: UInt32 = 0
        static let raw: UInt32 = 1
        static let ignored: UInt32 = 2
        static let adc: UInt32 = 0x8000_0004
        static let zlib: UInt32 = 0x8000_0005
        static let bzip2: UInt32 = 0x8000_0006
        static let lzfse: UInt32 = 0x8000_0007
        static let lzma: UInt32 = 0x8000_0008
        static let packed = adc...lzma
        static let comment: UInt32 = 0x7fff_fffe
        static let end: UInt32 = 0xffff_ffff
    }

    private static let maximumList: UInt64 = 64 << 20
    private static let maximumChunk: UInt64 = 64 << 20

    let file: any BlockNode
    let size: UInt64
    private var chunks: [Chunk] = []
    private var last: (start: UInt64, bytes: [UInt8])?
    var formatName: String { "dmg" }
    var description: ImageDescription {
        var description = ImageDescription()
        description.knowsDirt = false
        return description
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        func fail(_ reason: String) -> BlockError { .invalidImage(path: file.filename, reason: reason) }
        let length = file.sizeInBytes
        guard length >= 512 else { throw fail("dmg file must be at least 512 bytes long") }
        let from = length >= 1024 ? length - 1024 : 0
        let end = try file.metadataBytes("trailer", at: from, count: Int(length - from))
        guard let place = (0...end.count - 512).last(where: { end[$0..<$0 + 4].elementsEqual("koly".utf8) }) else {
            throw fail("Could not locate UDIF trailer in dmg file")
        }
        let koly = Array(end[place..<place + 512])
        func field(_ at: Int) -> UInt64 { koly.bigEndian(UInt64.self, at: at) }
        let data = field(0x18)
        guard data <= length else { throw fail("The data fork lies at \(data)") }
        let (listOffset, listLength) = field(0x30) != 0 ? (field(0x28), field(0x30)) : (field(0xd8), field(0xe0))
        guard listLength > 0, listLength <= DMGMap.maximumList, listOffset <= length else {
            throw fail("The list of chunks has \(listLength) bytes")
        }
        let list = try file.metadataBytes("list of chunks", at: listOffset, count: Int(listLength))
        let blocks = field(0x30) != 0 ? DMGMap.resources(list) : DMGMap.properties(list)
        var found: [Chunk] = []
        for block in blocks { try DMGMap.read(block, data, file.filename, &found) }
        found.sort { $0.start < $1.start }
        var reach: UInt64 = 0
        for chunk in found {
            guard chunk.start >= reach else { throw fail("Two chunks hold sector \(chunk.start / 512)") }
            reach = chunk.start + chunk.length
        }
        guard reach <= UInt64(Int64.max) else { throw fail("A chunk lies behind every file") }
        try DMGMap.openLibraries(Set(found.map(\.kind)), file.filename)
        chunks = found
        let stated = koly.bigEndian(UInt64.self, at: 0x1ec)
        size = max(reach, stated <= UInt64(Int64.max) / 512 ? stated * 512 : 0)
    }

    /// The blocks of a resource fork: each with its length before it.
    private static func resources(_ bytes: [UInt8]) -> [[UInt8]] {
        var at = Int(bytes.bigEndian(UInt32.self, at: 0))
        let end = min(bytes.count, at + Int(bytes.bigEndian(UInt32.self, at: 8)))
        var result: [[UInt8]] = []
        while at + 4 <= end {
            let count = Int(bytes.bigEndian(UInt32.self, at: at))
            at += 4
            guard count > 0, count <= end - at else { break }
            result.append(Array(bytes[at..<at + count]))
            at += count
        }
        return result
    }

    /// The blocks of a property list: what is in its `data` elements, in base 64.
    private static func properties(_ bytes: [UInt8]) -> [[UInt8]] {
        let (open, close) = (Array("<data>".utf8), Array("</data>".utf8))
        func find(_ word: [UInt8], _ start: Int) -> Int? {
            guard bytes.count >= word.count, start <= bytes.count - word.count else { return nil }
            return (start...bytes.count - word.count).first {
                bytes[$0] == word[0] && bytes[$0..<$0 + word.count].elementsEqual(word)
            }
        }
        var result: [[UInt8]] = []
        var at = 0
        while let start = find(open, at), let end = find(close, start + open.count) {
            result.append(base64(bytes[start + open.count..<end]))
            at = end + close.count
        }
        return result
    }

    private static func base64(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var (value, bits): (UInt32, UInt32) = (0, 0)
        for letter in text {
            let digit: UInt32
            switch letter {
            case 65...90: digit = UInt32(letter) - 65
            case 97...122: digit = UInt32(letter) - 71
            case 48...57: digit = UInt32(letter) + 4
            case 43: digit = 62
            case 47: digit = 63
            default: continue
            }
            value = value << 6 | digit
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: value >> bits))
            }
        }
        return result
    }

    /// The chunks of one block.
    private static func read(
        _ block: [UInt8], _ data: UInt64, _ path: String, _ chunks: inout [Chunk]
    ) throws(BlockError) {
        guard block.count >= 204, block.prefix(4).elementsEqual("mish".utf8) else { return }
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let limit = UInt64(Int64.max) / 1024
        let first = block.bigEndian(UInt64.self, at: 8)
        let base = block.bigEndian(UInt64.self, at: 0x18)
        for at in stride(from: 204, through: block.count - 40, by: 40) {
            let kind = block.bigEndian(UInt32.self, at: at)
            switch kind {
            case Kind.comment, Kind.end: continue
            case Kind.zero, Kind.raw, Kind.ignored, Kind.packed: break
            default: throw .unsupported(path: path, feature: "a chunk of type 0x\(String(kind, radix: 16))")
            }
            let sector = block.bigEndian(UInt64.self, at: at + 8)
            let sectors = block.bigEndian(UInt64.self, at: at + 16)
            let offset = block.bigEndian(UInt64.self, at: at + 24)
            let packed = block.bigEndian(UInt64.self, at: at + 32)
            guard first <= limit, sector <= limit, sectors <= limit, offset <= limit, base <= limit, packed <= limit
            else { throw fail("A chunk lies behind every file") }
            if Kind.packed.contains(kind) {
                guard packed <= maximumChunk, sectors * 512 <= maximumChunk else {
                    throw fail(
                        "length \(max(packed, sectors * 512)) for chunk \(chunks.count) is larger than max "
                            + "\(maximumChunk)"
                    )
                }
            }
            guard sectors > 0 else { continue }
            chunks.append(
                Chunk(
                    start: (first + sector) * 512, length: sectors * 512, kind: kind, offset: data + base + offset,
                    packed: packed))
        }
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        guard let chunk = chunk(offset) else { return (.zero, size - offset) }
        guard chunk.start <= offset else { return (.zero, chunk.start - offset) }
        let length = chunk.start + chunk.length - offset
        switch chunk.kind {
        case Kind.raw: return (.data(file, chunk.offset + offset - chunk.start), length)
        case Kind.packed: return (.packed, length)
        default: return (.zero, length)
        }
    }

    /// The chunk that holds an offset, or else the next one.
    private func chunk(_ offset: UInt64) -> Chunk? {
        var (low, high) = (0, chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].start + chunks[middle].length <= offset { low = middle + 1 } else { high = middle }
        }
        return low < chunks.count ? chunks[low] : nil
    }

    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        guard let chunk = chunk(offset), chunk.start <= offset, Kind.packed.contains(chunk.kind) else {
            throw .corrupt("nothing is packed here")
        }
        if let last, last.start == chunk.start { return last }
        let (status, packed) = file.bytesAndWait(at: chunk.offset, count: Int(chunk.packed))
        try ImageFailure.check(status)
        guard let bytes = DMGMap.unpack(packed, chunk.kind, count: Int(chunk.length)) else {
            throw .corrupt("a chunk is broken")
        }
        last = (chunk.start, bytes)
        return (chunk.start, bytes)
    }

    private static func unpack(_ packed: [UInt8], _ kind: UInt32, count: Int) -> [UInt8]? {
        switch kind {
        case Kind.adc: AppleChunks.adc(packed, count: count)
        case Kind.zlib: Unpacking.inflate(packed, count: count, window: 15)
        case Kind.bzip2: try? Unpacking.bzip2(packed, count: count)
        case Kind.lzfse: LZFSE.unpack(packed, count: count)
        default: try? Unpacking.lzma(packed, count: count)
        }
    }

    /// Opens the libraries that chunks of these kinds need.
    private static func openLibraries(_ kinds: Set<UInt32>, _ path: String) throws(BlockError) {
        for kind in [Kind.bzip2, Kind.lzma] where kinds.contains(kind) {
            do throws(Unpacking.Fault) {
                _ = try kind == Kind.bzip2 ? Unpacking.bzip2([], count: 1) : Unpacking.lzma([], count: 1)
            } catch {
                guard case .missing(let library) = error else { continue }
                throw .unsupported(
                    path: path, feature: "a chunk of type 0x\(String(kind, radix: 16)) without \(library)")
            }
        }
    }
}
