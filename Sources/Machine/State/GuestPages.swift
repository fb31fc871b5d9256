internal import CEngine
internal import GuestMemory
internal import HostOS
internal import MachineState

/// The memory of a guest, block by block, as it is saved. Confined to one thread at a time.
@safe final class GuestPages: PageReceiver {
    struct Block {
        let name: String
        let block: RAMBlock
        var pages: Int { block.size >> 12 }
    }
    let blocks: [Block]
    private let buffer: UnsafeMutableRawBufferPointer
    /// What was sent so far.
    private(set) var counters = Counters()

    struct Counters: Sendable {
        var zeroPages: UInt64 = 0
        var fullPages: UInt64 = 0
    }

    init(_ blocks: [RAMBlock]) {
        var named: [Block] = []
        for block in blocks {
            var name = block.name
            var number = 1
            while named.contains(where: { $0.name == name }) {
                name = "\(block.name).\(number)"
                number += 1
            }
            named.append(Block(name: name, block: block))
        }
        self.blocks = named
        unsafe buffer = .allocate(byteCount: PageRun.pageLimit << 12, alignment: 4096)
    }
    deinit { unsafe buffer.deallocate() }

    /// Fewer pages than these go together with others.
    private static let directPages = 8

    /// Pages of all blocks.
    var pageCount: UInt64 { blocks.reduce(0) { $0 + UInt64($1.pages) } }

    // MARK: Sending

    /// Writes the pages that `pages` names: one bit a page for each block. Zero pages are left out where the receiver
    /// has zeroes already. While the guest runs, pages are copied first, so that what is sent fits its checksum.
    func send(
        _ pages: [PageSet], to writer: inout StateWriter, skipsZeroes: Bool, isStanding: Bool = false,
        unsent: UnsentPages? = nil, progress: (Counters) throws(StateError) -> Void
    ) throws(StateError) {
        for (place, block) in blocks.enumerated() {
            var runs: [PageRun] = []
            var filled = 0
            var failure: StateError?
            func flush() throws(StateError) {
                if !runs.isEmpty {
                    let contents = unsafe UnsafeRawBufferPointer(rebasing: buffer[0..<filled << 12])
                    try unsafe writer.write(runs, of: block.name, pages: contents)
                }
                runs = []
                filled = 0
                try progress(counters)
            }
            // Pages of a guest that stands, one behind the other, which go from where they are.
            var first = 0
            var count = 0
            func flushRun() throws(StateError) {
                defer { count = 0 }
                guard count >= Self.directPages else {
                    for page in first..<first + count { try addCopy(page) }
                    return
                }
                // SAFETY: the pages lie in the block.
                let contents = unsafe UnsafeRawBufferPointer(
                    start: block.block.base + first << 12, count: count << 12)
                let run = PageRun(first: UInt64(first), count: UInt32(count), isZero: false)
                try unsafe writer.write([run], of: block.name, pages: contents)
                counters.fullPages += UInt64(count)
                try progress(counters)
            }
            func add(_ page: Int) throws(StateError) {
                guard isStanding else { return try addCopy(page) }
                // SAFETY: the page lies in the block.
                let contents = unsafe UnsafeRawBufferPointer(start: block.block.base + page << 12, count: 4096)
                if unsafe PageContents.isZero(contents) {
                    guard skipsZeroes else { return try addCopy(page) }
                    counters.zeroPages += 1
                    return
                }
                if count > 0, first + count != page || count == PageRun.pageLimit { try flushRun() }
                if count == 0 { first = page }
                count += 1
            }
            func addCopy(_ page: Int) throws(StateError) {
                // SAFETY: the page lies in the block, and the buffer has room for `pageLimit` pages.
                let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled << 12..<(filled + 1) << 12])
                // A page that the guest changes meanwhile is sent again; what is sent must fit its checksum.
                unsafe target.copyMemory(
                    from: UnsafeRawBufferPointer(start: block.block.base + page << 12, count: 4096))
                let isZero = unsafe PageContents.isZero(UnsafeRawBufferPointer(target))
                if isZero {
                    counters.zeroPages += 1
                    if skipsZeroes { return }
                } else {
                    counters.fullPages += 1
                    filled += 1
                }
                if let last = runs.last, last.isZero == isZero, last.first + UInt64(last.count) == UInt64(page) {
                    runs[runs.count - 1].count += 1
                } else {
                    runs.append(PageRun(first: UInt64(page), count: 1, isZero: isZero))
                }
                if filled == PageRun.pageLimit || runs.count == PageRun.runLimit { try flush() }
            }
            pages[place].forEach { page in
                guard failure == nil else { return }
                if let unsent, unsent.isAsked(at: page) { return unsent.sets[place].insert(page) }
                do throws(StateError) { try add(page) } catch { failure = error }
            }
            if let failure { throw failure }
            try flushRun()
            try flush()
        }
    }

    /// All pages.
    var all: [PageSet] { blocks.map { PageSet(count: $0.pages, isFull: true) } }

    /// All pages but those that nobody ever touched, which are zero: looking at them would cost the host a fault each.
    /// All of the machine's memory has come. Pages that are touched later are in the log of written pages.
    func touched() -> [PageSet] {
        blocks.map { block in
            guard block.block.backing == .anonymous,
                let words = unsafe HostPages.own(block.block.base, pages: block.pages)
            else { return PageSet(count: block.pages, isFull: true) }
            let set = PageSet(count: block.pages, words: words)
            counters.zeroPages += UInt64(block.pages - set.size)
            return set
        }
    }

    /// Takes the pages that were written since the last time out of the blocks' flags. While no processor runs.
    func takeDirty() -> [PageSet] {
        blocks.map { block in
            var set = PageSet(count: block.pages, isFull: false)
            let flags = unsafe block.block.pageFlags
            for page in 0..<block.pages {
                // SAFETY: there is one flag byte for each page.
                guard unsafe apus_atomic_load8(flags + page) & RAMBlock.PageFlag.dirtyMigration != 0 else { continue }
                _ = unsafe apus_atomic_and8(flags + page, ~RAMBlock.PageFlag.dirtyMigration)
                set.insert(page)
            }
            return set
        }
    }

    // MARK: Receiving

    /// All memory becomes zero, as a stream that leaves zero pages out expects it.
    func clear() { for block in blocks { block.block.clear() } }

    /// Where contents that stay in their file are noted; nil where all are read at once.
    var late: LateMemory.Plan?
    var takesDirectly: Bool { true }
    func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]? {
        PagePacking.unpack(bytes, method: method, count: count)
    }
    func postpone(_ pages: PostponedPages) -> Bool {
        guard let place = blocks.firstIndex(where: { $0.name == pages.block }) else { return false }
        return late?.note(pages, place) ?? false
    }

    func memory(block: String, run: PageRun) -> UnsafeMutableRawBufferPointer? {
        guard let found = blocks.first(where: { $0.name == block }), run.first < UInt64(found.pages),
            UInt64(run.count) <= UInt64(found.pages) - run.first
        else { return nil }
        // SAFETY: the run lies in the block, which this object keeps.
        return unsafe UnsafeMutableRawBufferPointer(
            start: found.block.base + Int(run.first) << 12, count: Int(run.count) << 12)
    }
}

/// Pages of a round that is ended early, and whether it is. Used by one thread.
final class UnsentPages {
    var sets: [PageSet]
    private let asks: () -> Bool
    private var isOver = false

    init(_ blocks: [GuestPages.Block], _ asks: @escaping () -> Bool) {
        sets = blocks.map { PageSet(count: $0.pages, isFull: false) }
        self.asks = asks
    }
    /// Whether the page stays here. Looked up now and then.
    fileprivate func isAsked(at page: Int) -> Bool {
        if !isOver, page & 255 == 0 { isOver = asks() }
        return isOver
    }
}

/// A set of pages of one block.
struct PageSet: Sendable {
    private var words: [UInt64]
    let count: Int

    init(count: Int, isFull: Bool) {
        self.count = count
        words = [UInt64](repeating: isFull ? .max : 0, count: (count + 63) / 64)
        if isFull, count & 63 != 0 { words[words.count - 1] = (1 << UInt64(count & 63)) - 1 }
    }
    /// A set of given bits: one a page.
    init(count: Int, words: [UInt64]) {
        self.count = count
        self.words = words
    }
    /// A set of bits as bytes, the first page in the lowest bit; 8 bytes for each 64 pages.
    init(count: Int, bytes: [UInt8]) {
        self.count = count
        words = (0..<(count + 63) / 64).map { word in
            (0..<8).reduce(0) { $0 | UInt64(bytes[word * 8 + $1]) << UInt64($1 * 8) }
        }
        if count & 63 != 0 { words[words.count - 1] &= (1 << UInt64(count & 63)) - 1 }
    }
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.count * 8)
        for word in words { for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift * 8))) } }
        return bytes
    }
    /// The set in so many of about the same size.
    func parts(_ number: Int) -> [PageSet] {
        var parts = [PageSet](repeating: PageSet(count: count, isFull: false), count: number)
        let all = size
        var seen = 0
        for index in words.indices where words[index] != 0 {
            parts[min(number - 1, seen * number / max(1, all))].words[index] = words[index]
            seen += words[index].nonzeroBitCount
        }
        return parts
    }
    /// The page, a multiple of 64, that half of the pages lie before, all but a few.
    var middle: Int {
        let half = size / 2
        var seen = 0
        for index in words.indices {
            if seen >= half { return index << 6 }
            seen += words[index].nonzeroBitCount
        }
        return count
    }
    /// The pages before a page that is a multiple of 64, or the end, and the others.
    func split(at page: Int) -> (low: PageSet, high: PageSet) {
        var (low, high) = (self, self)
        let first = min((page + 63) >> 6, words.count)
        for index in words.indices { if index < first { high.words[index] = 0 } else { low.words[index] = 0 } }
        return (low, high)
    }
    func contains(_ page: Int) -> Bool { words[page >> 6] >> UInt64(page & 63) & 1 != 0 }
    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    mutating func remove(_ pages: Range<Int>) { for page in pages { words[page >> 6] &= ~(1 << UInt64(page & 63)) } }
    /// Takes out the first pages from `start` on, at most so many.
    mutating func take(_ most: Int, from start: Int) -> PageSet {
        var taken = PageSet(count: count, isFull: false)
        var left = most
        var index = start >> 6
        var mask = UInt64.max << UInt64(start & 63)
        while index < words.count, left > 0 {
            var word = words[index] & mask
            mask = .max
            while word != 0, left > 0 {
                let bit = word & (0 &- word)
                word ^= bit
                words[index] ^= bit
                taken.words[index] |= bit
                left -= 1
            }
            index += 1
        }
        return taken
    }
    /// Calls the body with runs of pages that follow one another.
    func forEachRun(_ body: (_ first: Int, _ count: Int) -> Void) {
        var first = 0
        var length = 0
        forEach { page in
            if length > 0, first + length == page {
                length += 1
            } else {
                if length > 0 { body(first, length) }
                (first, length) = (page, 1)
            }
        }
        if length > 0 { body(first, length) }
    }
    mutating func insert(_ page: Int) { words[page >> 6] |= 1 << UInt64(page & 63) }
    mutating func formUnion(_ other: PageSet) { for index in words.indices { words[index] |= other.words[index] } }
    var size: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    func forEach(_ body: (Int) -> Void) {
        for (index, word) in words.enumerated() where word != 0 {
            var left = word
            while left != 0 {
                body(index << 6 + left.trailingZeroBitCount)
                left &= left &- 1
            }
        }
    }
}
