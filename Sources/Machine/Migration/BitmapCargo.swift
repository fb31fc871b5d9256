package import DeviceModel
internal import MachineState

/// A dirty bitmap on its way from one machine to another, under its aliases.
package struct BitmapCargo: Sendable {
    /// The section of a stream that holds them.
    static let section = "dirty-bitmaps"

    let node: String
    let name: String
    /// The node's size in bytes.
    let size: UInt64
    let granularity: UInt64
    let isRecording: Bool
    let isPersistent: Bool
    /// What is marked: for each run how many granules are clear before it and how many it has, seven bits a byte, the
    /// low ones first.
    let runs: [UInt8]

    package init(
        node: String, name: String, size: UInt64, granularity: UInt64, isRecording: Bool, isPersistent: Bool,
        ranges: [Range<UInt64>]
    ) {
        self.node = node
        self.name = name
        self.size = size
        self.granularity = granularity
        self.isRecording = isRecording
        self.isPersistent = isPersistent
        var bytes: [UInt8] = []
        func append(_ value: UInt64) {
            var rest = value
            while rest > 0x7F {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        var at: UInt64 = 0
        for range in ranges {
            let start = max(at, range.lowerBound / granularity)
            let end = (range.upperBound - 1) / granularity + 1
            guard end > start else { continue }
            append(start - at)
            append(end - start)
            at = end
        }
        runs = bytes
    }

    // MARK: The stream

    package var exported: DeviceState {
        var state = DeviceState(version: 1)
        state.fields["node"] = .string(node)
        state.fields["name"] = .string(name)
        state.set("size", size)
        state.set("granularity", granularity)
        state.set("recording", isRecording)
        state.set("persistent", isPersistent)
        state.set("runs", runs)
        return state
    }

    package init(_ state: DeviceState) throws(DeviceStateError) {
        func text(_ field: String) throws(DeviceStateError) -> String {
            guard case .string(let text)? = state.fields[field] else { throw .missing(field: field) }
            guard text.utf8.count <= 1023 else { throw .refused(field: field, "It is too long") }
            return text
        }
        try state.requireVersion(1...1)
        node = try text("node")
        name = try text("name")
        size = try state.integer("size")
        granularity = try state.integer("granularity")
        isRecording = try state.bool("recording")
        isPersistent = try state.bool("persistent")
        runs = try state.bytes("runs")
        guard !name.isEmpty else { throw .refused(field: "name", "Bitmap name cannot be empty") }
        guard granularity >= 512, granularity <= 1 << 31, granularity & (granularity - 1) == 0 else {
            throw .outOfRange(field: "granularity", value: granularity)
        }
        guard size < 1 << 63 else { throw .outOfRange(field: "size", value: size) }
        try forEachBatch { _ in }
    }

    /// Calls with some of the marked ranges after the other, in bytes: all of them at once may be many.
    package func forEachBatch(_ body: ([Range<UInt64>]) -> Void) throws(DeviceStateError) {
        let granules = (size + granularity - 1) / granularity
        var place = 0
        func next() throws(DeviceStateError) -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 63, by: 7) {
                guard place < runs.count else { throw .refused(field: "runs", "It ends in the middle of a number") }
                let byte = runs[place]
                place += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            throw .refused(field: "runs", "A number is too long")
        }
        var at: UInt64 = 0
        var batch: [Range<UInt64>] = []
        while place < runs.count {
            let gap = try next()
            let count = try next()
            // Both are below 2^63, and so is the disk's end.
            guard count > 0, gap <= granules, count <= granules, at + gap + count <= granules else {
                throw .outOfRange(field: "runs", value: at &+ gap &+ count)
            }
            let start = at + gap
            at = start + count
            batch.append(start * granularity..<min(size, at * granularity))
            guard batch.count == 4096 else { continue }
            body(batch)
            batch.removeAll(keepingCapacity: true)
        }
        body(batch)
    }

    static func exported(_ cargo: [BitmapCargo]) -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("bitmaps", cargo.map(\.exported))
        return state
    }
    static func imported(_ state: DeviceState) throws(DeviceStateError) -> [BitmapCargo] {
        try state.requireVersion(1...1)
        var cargo: [BitmapCargo] = []
        for part in try state.list("bitmaps") { cargo.append(try BitmapCargo(part)) }
        return cargo
    }
}
