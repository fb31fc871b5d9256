/// A row of numbers in a file, of which pages are read when they are needed and few are kept: a file of holes may claim a
/// table of gigabytes. Not for several threads at once.
final class PagedTable<Number: FixedWidthInteger & UnsignedInteger & Sendable> {
    /// How many numbers there are.
    let count: Int
    private let file: any BlockNode
    private let offset: UInt64
    private let isBigEndian: Bool
    private let pageSize: Int
    private let kept: Int
    private var pages: [Int: [UInt8]] = [:]
    /// The page that was used last.
    private var last: (page: Int, bytes: [UInt8])?

    private static var width: Int { Number.bitWidth / 8 }

    /// The table at an offset of a file, in which it must lie whole. At most `kept` pages of `pageSize` bytes (a multiple
    /// of a number's) are in memory.
    init(
        _ file: any BlockNode, _ what: String, at offset: UInt64, count: Int, isBigEndian: Bool = false,
        pageSize: Int = 64 << 10, kept: Int = 64
    ) throws(BlockError) {
        let available = file.sizeInBytes
        guard offset <= available, count >= 0, UInt64(count) <= (available - offset) / UInt64(Self.width) else {
            throw .invalidImage(path: file.filename, reason: "The \(what) at \(offset) ends behind the file")
        }
        (self.file, self.offset, self.count) = (file, offset, count)
        (self.isBigEndian, self.pageSize, self.kept) = (isBigEndian, pageSize, kept)
    }

    /// The number at an index below `count`. Blocks.
    func number(_ index: Int) throws(ImageFailure) -> Number {
        let place = index * Self.width
        let page = place / pageSize
        if let last, last.page == page { return number(in: last.bytes, at: place % pageSize) }
        let bytes = try bytes(page)
        last = (page, bytes)
        return number(in: bytes, at: place % pageSize)
    }

    /// Writes the number at an index below `count` to the file. Blocks.
    func store(_ value: Number, at index: Int) throws(ImageFailure) {
        var bytes = [UInt8](repeating: 0, count: Self.width)
        if isBigEndian { bytes.store(value, at: 0) } else { bytes.storeLittle(value, at: 0) }
        let place = index * Self.width
        // What does not reach the file whole is read again.
        last = nil
        let page = pages.removeValue(forKey: place / pageSize)
        try ImageFailure.check(file.writeAndWait(at: offset + UInt64(place), bytes: bytes))
        guard var page else { return }
        page.replaceSubrange(place % pageSize..<place % pageSize + Self.width, with: bytes)
        pages[place / pageSize] = page
    }

    /// Calls the body with every number in turn, but for zeroes if it may leave them out: pages that are a hole then
    /// take no time. None of the pages is kept.
    func forEach(
        skipsZeroes: Bool = false, _ body: (Int, Number) throws(BlockError) -> Void
    ) throws(BlockError) {
        let perPage = pageSize / Self.width
        for start in stride(from: 0, to: count, by: perPage) {
            let bytes: [UInt8]
            do throws(ImageFailure) { bytes = try read(start / perPage) } catch {
                throw .io(path: file.filename, operation: "read a table of", error.status)
            }
            if skipsZeroes, bytes.allSatisfy({ $0 == 0 }) { continue }
            for index in start..<min(count, start + perPage) {
                let number = number(in: bytes, at: (index - start) * Self.width)
                if number != 0 || !skipsZeroes { try body(index, number) }
            }
        }
    }

    private func bytes(_ page: Int) throws(ImageFailure) -> [UInt8] {
        if let found = pages[page] { return found }
        let bytes = try read(page)
        if pages.count >= kept { pages.removeAll() }
        pages[page] = bytes
        return bytes
    }

    private func read(_ page: Int) throws(ImageFailure) -> [UInt8] {
        let length = min(pageSize, count * Self.width - page * pageSize)
        let (status, bytes) = file.bytesAndWait(at: offset + UInt64(page * pageSize), count: length)
        try ImageFailure.check(status)
        return bytes
    }

    @inline(__always)
    private func number(in bytes: [UInt8], at place: Int) -> Number {
        guard place >= 0, place + Self.width <= bytes.count else { return 0 }
        // SAFETY: checked above.
        let raw = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: place, as: Number.self) }
        return isBigEndian ? Number(bigEndian: raw) : Number(littleEndian: raw)
    }
}
