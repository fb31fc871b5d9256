public import DeviceModel

/// Takes pages of guest memory as they come.
public protocol PageReceiver: AnyObject {
    /// Where the pages of a run are to be written, `count` times 4096 bytes; nil where the block has no such pages.
    func memory(block: String, run: PageRun) -> UnsafeMutableRawBufferPointer?
    /// Whether contents may be written to their pages before they are checked: nobody uses the pages of a stream that
    /// turns out to be damaged.
    var takesDirectly: Bool { get }
    /// Whether contents may stay in their file for now. If so they are the receiver's to fetch, and to check.
    func postpone(_ pages: PostponedPages) -> Bool
    /// Unpacks what was packed by a method: exactly `count` bytes; nil where it cannot.
    func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]?
}

extension PageReceiver {
    public var takesDirectly: Bool { false }
    public func postpone(_ pages: PostponedPages) -> Bool { false }
    public func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]? { nil }
}

/// Pages whose contents were left in a file.
public struct PostponedPages: Sendable {
    /// The block, which is the section's name.
    public let block: String
    /// Which pages: those that are not zero lie in the file one behind the other.
    public let runs: [PageRun]
    /// Where the contents begin, counted from the stream's first byte.
    public let offset: UInt64
    /// Bytes of contents.
    public let count: Int
    let sum: StateChecksum
    let checksum: UInt64

    /// Whether these are the bytes that were written there.
    public func isWhole(_ contents: UnsafeRawBufferPointer) -> Bool {
        var sum = sum
        unsafe sum.add(contents)
        return sum.value == checksum
    }
}

/// Reads a stream of a machine's state. Nothing in it is believed. Confined to one thread.
public struct StateReader {
    /// What came next.
    public enum Item: Equatable, Sendable {
        /// The state of a part.
        case values(section: String, DeviceState)
        /// Pages of a block were written where the receiver said.
        case memory(block: String, pages: UInt64)
        /// The stream is whole.
        case end
    }

    private let source: any StateSource
    private var sections: UInt64 = 0
    /// The name of the section before.
    private var last: String?
    /// Bytes that the last call of the source gave.
    private var lastRead = 0
    /// What there was of a section that is cut.
    private var torso: [UInt8] = []
    /// Bytes read so far.
    public private(set) var count: UInt64 = 0

    /// A stream that begins at the next byte of `source`.
    public init(_ source: any StateSource) throws(StateError) {
        self.source = source
        let head: [UInt8]
        do throws(StateError) { head = try take(16, section: nil) } catch .truncated { throw .notAState }
        guard Array(head[0..<8]) == SectionHead.magic else { throw .notAState }
        let format = Self.integer(head, 8, UInt32.self)
        guard format == SectionHead.format else { throw .format(format) }
        // Nothing is said there yet; what a later release says changes the meaning of the rest.
        let reserved = Self.integer(head, 12, UInt32.self)
        guard reserved == 0 else {
            throw .malformed(section: "head", field: "flags", problem: "\(reserved) is unknown to this program")
        }
    }

    static func integer<T: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int, _: T.Type) -> T {
        var value: T = 0
        for index in 0..<T.bitWidth / 8 { value |= T(truncatingIfNeeded: bytes[offset + index]) << T(index * 8) }
        return value
    }

    private mutating func fill(
        _ buffer: UnsafeMutableRawBufferPointer, section: String?
    ) throws(StateError) {
        let got = try unsafe source.read(buffer)
        count += UInt64(got)
        lastRead = got
        guard got == buffer.count else { throw .truncated(section: section) }
    }

    /// Reads in pieces, so that a length that lies costs no memory that the stream does not fill.
    private mutating func take(_ count: Int, section: String?) throws(StateError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let start = bytes.count
            bytes += [UInt8](repeating: 0, count: min(count - start, 1 << 20))
            var failure: StateError?
            unsafe bytes.withUnsafeMutableBytes { buffer in
                do throws(StateError) {
                    try unsafe fill(UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), section: section)
                } catch { failure = error }
            }
            if let failure {
                torso = Array(bytes[0..<start + min(lastRead, bytes.count - start)])
                throw failure
            }
        }
        return bytes
    }

    /// Reads the next section; pages go where `receiver` says.
    public mutating func next(_ receiver: any PageReceiver) throws(StateError) -> Item {
        let head = try head()
        let text = head.name
        defer {
            sections += 1
            last = text
        }
        switch head.kind {
        case SectionHead.Kind.values: return try values(head)
        case SectionHead.Kind.memory, SectionHead.Kind.packed: return try memory(head, receiver)
        case SectionHead.Kind.end:
            let payload = try checked(head, limit: 8)
            guard payload.count == 8, Self.integer(payload, 0, UInt64.self) == sections else {
                throw .malformed(section: text, field: "count", problem: "Sections are missing before the end")
            }
            return .end
        default: throw .malformed(section: text, field: "kind", problem: "Sections of kind \(head.kind) are unknown")
        }
    }

    /// The next section's frame.
    private mutating func head() throws(StateError) -> SectionHead {
        let fixed: [UInt8]
        let name: [UInt8]
        do throws(StateError) {
            fixed = try take(SectionHead.size, section: nil)
            let length = Int(Self.integer(fixed, 2, UInt16.self))
            guard length <= SectionHead.nameLimit else { throw .head(after: last) }
            name = try take(length, section: nil)
        } catch .truncated {
            throw last.map { .ends(after: $0) } ?? .truncated(section: nil)
        }
        guard SectionHead.check(Array(fixed[0..<24]), name) == Self.integer(fixed, 24, UInt64.self),
            let text = String(validating: name, as: UTF8.self)
        else { throw .head(after: last) }
        return SectionHead(
            kind: fixed[0], name: text, version: Self.integer(fixed, 4, UInt32.self),
            count: Self.integer(fixed, 8, UInt64.self), checksum: Self.integer(fixed, 16, UInt64.self))
    }

    private mutating func checked(_ head: SectionHead, limit: UInt64) throws(StateError) -> [UInt8] {
        guard head.count <= limit else {
            throw .malformed(section: head.name, field: "length", problem: "\(head.count) bytes are too many")
        }
        let payload = try take(Int(head.count), section: head.name)
        var sum = StateChecksum()
        sum.add(payload)
        guard sum.value == head.checksum else { throw .checksum(section: head.name) }
        return payload
    }

    private mutating func values(_ head: SectionHead) throws(StateError) -> Item {
        let payload: [UInt8]
        do throws(StateError) { payload = try checked(head, limit: SectionHead.valuesLimit) } catch .truncated {
            // What is there tells in which field it is cut.
            _ = try StateCoding.decode(torso, section: head.name)
            throw .truncated(section: head.name)
        }
        let state = try StateCoding.decode(payload, section: head.name)
        guard UInt32(clamping: state.version) == head.version else {
            throw .malformed(section: head.name, field: "version", problem: "Two versions are told")
        }
        return .values(section: head.name, state)
    }

    // MARK: Memory

    private mutating func memory(
        _ head: SectionHead, _ receiver: any PageReceiver
    ) throws(StateError) -> Item {
        func malformed(_ field: String, _ problem: String) -> StateError {
            .malformed(section: head.name, field: field, problem: problem)
        }
        let start = try take(8, section: head.name)
        let runCount = Int(Self.integer(start, 0, UInt32.self))
        guard runCount > 0, runCount <= PageRun.runLimit else { throw malformed("runs", "\(runCount) is impossible") }
        let rest = try take(runCount * PageRun.encodedSize, section: head.name)
        var runs: [PageRun] = []
        var pages: UInt64 = 0
        var told: UInt64 = 0
        for index in 0..<runCount {
            let at = index * PageRun.encodedSize
            let kind = Self.integer(rest, at + 12, UInt32.self)
            let run = PageRun(
                first: Self.integer(rest, at, UInt64.self), count: Self.integer(rest, at + 8, UInt32.self),
                isZero: kind == 1)
            guard kind <= 1, run.count > 0 else { throw malformed("run \(index)", "This is no run of pages") }
            if !run.isZero { pages += UInt64(run.count) }
            told += UInt64(run.count)
            runs.append(run)
        }
        guard pages <= UInt64(PageRun.pageLimit) else { throw malformed("runs", "\(pages) pages are too many") }
        let table = start + rest
        let isPacked = head.kind == SectionHead.Kind.packed
        let size = UInt64(table.count) + pages * UInt64(PageRun.pageSize)
        guard isPacked ? pages > 0 && head.count > table.count + 8 && head.count < size + 8 : head.count == size else {
            throw malformed("length", "\(head.count) bytes do not fit the runs")
        }
        // All are looked at before any is written.
        for (index, run) in runs.enumerated() where unsafe place(run, head, receiver) == nil {
            throw malformed("run \(index)", "There are no pages \(run.first) to \(run.first &+ UInt64(run.count) &- 1)")
        }
        var sum = StateChecksum()
        if isPacked {
            let method = try take(8, section: head.name)
            let packed = try take(Int(head.count) - table.count - 8, section: head.name)
            sum.add(table + method)
            sum.add(packed)
            guard sum.value == head.checksum else { throw .checksum(section: head.name) }
            let kind = Self.integer(method, 0, UInt32.self)
            let count = Int(pages) * PageRun.pageSize
            guard let contents = receiver.unpack(packed, method: kind, count: count), contents.count == count else {
                throw malformed("contents", "They cannot be unpacked by method \(kind)")
            }
            unsafe contents.withUnsafeBytes { unsafe put($0, runs, head, receiver) }
            return .memory(block: head.name, pages: told)
        }
        sum.add(table)
        let postponed = PostponedPages(
            block: head.name, runs: runs, offset: self.count, count: Int(pages) * PageRun.pageSize, sum: sum,
            checksum: head.checksum)
        if source.canSkip, receiver.postpone(postponed) {
            guard try source.skip(postponed.count) else { throw .truncated(section: head.name) }
            count += UInt64(postponed.count)
            return .memory(block: head.name, pages: told)
        }
        // A run that is a section by itself goes where it belongs, and is looked at there: memory of a machine that is
        // refused never runs.
        if runs.count == 1, pages > 0, receiver.takesDirectly, let memory = unsafe place(runs[0], head, receiver) {
            try unsafe fill(memory, section: head.name)
            unsafe sum.add(UnsafeRawBufferPointer(memory))
            guard sum.value == head.checksum else { throw .checksum(section: head.name) }
            return .memory(block: head.name, pages: told)
        }
        var contents = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, Int(pages)) * PageRun.pageSize, alignment: 4096)
        defer { unsafe contents.deallocate() }
        unsafe contents = UnsafeMutableRawBufferPointer(
            start: contents.baseAddress, count: Int(pages) * PageRun.pageSize)
        if pages > 0 { try unsafe fill(contents, section: head.name) }
        unsafe sum.add(UnsafeRawBufferPointer(contents))
        guard sum.value == head.checksum else { throw .checksum(section: head.name) }
        unsafe put(UnsafeRawBufferPointer(contents), runs, head, receiver)
        return .memory(block: head.name, pages: told)
    }

    /// Puts checked contents where they belong.
    private func put(
        _ contents: UnsafeRawBufferPointer, _ runs: [PageRun], _ head: SectionHead, _ receiver: any PageReceiver
    ) {
        var offset = 0
        for run in runs {
            // SAFETY: the runs' pages are as many as the contents', which was checked.
            guard let memory = unsafe place(run, head, receiver) else { continue }
            if run.isZero {
                unsafe Self.clear(memory)
            } else {
                unsafe memory.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: contents[offset..<offset + memory.count]))
                offset += memory.count
            }
        }
    }

    private func place(
        _ run: PageRun, _ head: SectionHead, _ receiver: any PageReceiver
    ) -> UnsafeMutableRawBufferPointer? {
        guard let memory = unsafe receiver.memory(block: head.name, run: run),
            memory.count == Int(run.count) * PageRun.pageSize
        else { return nil }
        return unsafe memory
    }

    /// Zeroes memory; pages that are zero already are not touched, so that they take none of the host's.
    private static func clear(_ memory: UnsafeMutableRawBufferPointer) {
        for start in stride(from: 0, to: memory.count, by: PageRun.pageSize) {
            let page = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + PageRun.pageSize])
            if !(unsafe PageContents.isZero(UnsafeRawBufferPointer(page))) {
                unsafe page.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }
}

/// What pages hold.
public enum PageContents {
    /// Whether all bytes, a multiple of 64 at an aligned address, are zero.
    public static func isZero(_ page: UnsafeRawBufferPointer) -> Bool {
        guard let base = page.baseAddress else { return true }
        var offset = 0
        while offset < page.count {
            // SAFETY: the count is a multiple of 64.
            let words = unsafe (base + offset).loadUnaligned(as: SIMD8<UInt64>.self)
            if words != SIMD8<UInt64>(repeating: 0) { return false }
            offset += 64
        }
        return true
    }
}
