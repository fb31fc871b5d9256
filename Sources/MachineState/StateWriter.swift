public import DeviceModel

/// Writes a stream of a machine's state: one section after another, then the end. Confined to one thread.
public struct StateWriter {
    private let sink: any StateSink
    /// Bytes written so far.
    public private(set) var count: UInt64 = 0
    private var sections: UInt64 = 0
    /// Packs pages on their way; nil: they go as they are.
    public var packer: (any PagePacker)?

    /// A stream that begins in `sink`.
    public init(_ sink: any StateSink) throws(StateError) {
        self.sink = sink
        var head = SectionHead.magic
        StateCoding.append(SectionHead.format, to: &head)
        StateCoding.append(0 as UInt32, to: &head)
        try put(head)
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) throws(StateError) {
        // SAFETY: the caller's bytes live through the call, and a sink keeps none.
        try unsafe sink.write(bytes)
        count += UInt64(bytes.count)
    }
    private mutating func put(_ bytes: [UInt8]) throws(StateError) {
        var failure: StateError?
        // SAFETY: the buffer is the array's own for the call.
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(StateError) { try unsafe put(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes the state of one part of the machine.
    public mutating func write(_ state: DeviceState, section name: String) throws(StateError) {
        let payload = StateCoding.encode(state)
        var sum = StateChecksum()
        sum.add(payload)
        let head = SectionHead(
            kind: SectionHead.Kind.values, name: name, version: UInt32(clamping: state.version),
            count: UInt64(payload.count), checksum: sum.value)
        sections += 1
        try put(head.encoded + payload)
    }

    /// Writes pages of a block. `pages` holds those of the runs that are not zero, one after another; at most
    /// `PageRun.runLimit` runs and `PageRun.pageLimit` pages with contents.
    public mutating func write(
        _ runs: [PageRun], of block: String, pages: UnsafeRawBufferPointer
    ) throws(StateError) {
        var table: [UInt8] = []
        StateCoding.append(UInt32(runs.count), to: &table)
        StateCoding.append(0 as UInt32, to: &table)
        for run in runs {
            StateCoding.append(run.first, to: &table)
            StateCoding.append(run.count, to: &table)
            StateCoding.append(run.isZero ? 1 : 0 as UInt32, to: &table)
        }
        if pages.count > 0, let packer, let packed = unsafe packer.pack(pages) {
            StateCoding.append(packer.method, to: &table)
            StateCoding.append(0 as UInt32, to: &table)
            var sum = StateChecksum()
            sum.add(table)
            sum.add(packed)
            let head = SectionHead(
                kind: SectionHead.Kind.packed, name: block, count: UInt64(table.count + packed.count),
                checksum: sum.value)
            sections += 1
            try put(head.encoded + table)
            return try put(packed)
        }
        var sum = StateChecksum()
        sum.add(table)
        unsafe sum.add(pages)
        let head = SectionHead(
            kind: SectionHead.Kind.memory, name: block, count: UInt64(table.count + pages.count), checksum: sum.value)
        sections += 1
        try put(head.encoded + table)
        if pages.count > 0 { try unsafe put(pages) }
    }

    /// Ends the stream.
    public mutating func finish() throws(StateError) {
        var payload: [UInt8] = []
        StateCoding.append(sections, to: &payload)
        var sum = StateChecksum()
        sum.add(payload)
        let head = SectionHead(
            kind: SectionHead.Kind.end, name: "end", count: UInt64(payload.count), checksum: sum.value)
        try put(head.encoded + payload)
    }
}

/// Packs pages for a stream. Used by one thread.
public protocol PagePacker: AnyObject {
    /// The number by which a reader knows how they were packed.
    var method: UInt32 { get }
    /// The packed bytes; nil where they are not fewer.
    func pack(_ pages: UnsafeRawBufferPointer) -> [UInt8]?
}
