import DeviceModel
import MachineState

/// A stream in memory.
final class Bytes: StateSink, StateSource {
    var bytes: [UInt8] = []
    private var position = 0

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) { unsafe self.bytes.append(contentsOf: bytes) }
    func read(_ buffer: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        let count = min(buffer.count, bytes.count - position)
        unsafe buffer.copyBytes(from: bytes[position..<position + count])
        position += count
        return count
    }
}

/// A block `ram` of some pages.
@safe final class Pages: PageReceiver {
    let memory: UnsafeMutableRawBufferPointer
    init(_ count: Int, fill: UInt8 = 0) {
        unsafe memory = .allocate(byteCount: count * 4096, alignment: 4096)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: fill)
    }
    deinit { unsafe memory.deallocate() }

    func memory(block: String, run: PageRun) -> UnsafeMutableRawBufferPointer? {
        let pages = unsafe UInt64(memory.count / 4096)
        guard block == "ram", run.first < pages, UInt64(run.count) <= pages - run.first else { return nil }
        return unsafe UnsafeMutableRawBufferPointer(
            rebasing: memory[Int(run.first) * 4096..<(Int(run.first) + Int(run.count)) * 4096])
    }
    subscript(_ offset: Int) -> UInt8 {
        get { unsafe memory[offset] }
        set { unsafe memory[offset] = newValue }
    }
    var all: [UInt8] { unsafe Array(memory) }
}

/// A stream with all that there is.
enum Sample {
    static var device: DeviceState {
        var part = DeviceState(version: 3)
        part.set("level", UInt8(7))
        part.set("name", Array("wire".utf8))
        var state = DeviceState(version: 2)
        state.set("control", UInt32(0xDEAD_BEEF))
        state.set("negative", Int64(-5))
        state.set("flag", true)
        state.set("memory", (0..<200).map { UInt8($0) })
        state.set("parts", [part, DeviceState(version: 1), part])
        state.fields["word"] = .string("größer")
        return state
    }

    static func write(to sink: Bytes) throws {
        var writer = try StateWriter(sink)
        try writer.write(device, section: "serial0")
        let pages = Pages(3)
        for index in 0..<3 * 4096 { pages[index] = UInt8(truncatingIfNeeded: index / 7) }
        try unsafe writer.write(
            [
                PageRun(first: 2, count: 2, isZero: false), PageRun(first: 5, count: 3, isZero: true),
                PageRun(first: 9, count: 1, isZero: false),
            ], of: "ram", pages: UnsafeRawBufferPointer(pages.memory))
        try writer.write(DeviceState(version: 1), section: "empty")
        try writer.finish()
    }

    /// Where the section of memory lies, behind its frame.
    static func memory(of bytes: [UInt8]) -> Range<Int> {
        let name = Array("ram".utf8)
        let start = bytes.indices.first { bytes[$0...].starts(with: name) } ?? 0
        return start + 3..<start + 3 + 8 + 3 * 16 + 3 * 4096
    }

    /// All items; throws what is wrong.
    static func read(_ bytes: [UInt8], _ pages: Pages = Pages(10)) throws(StateError) -> [StateReader.Item] {
        var reader = try StateReader(Bytes(bytes))
        var items: [StateReader.Item] = []
        while true {
            let item = try reader.next(pages)
            items.append(item)
            if item == .end { return items }
        }
    }
}
