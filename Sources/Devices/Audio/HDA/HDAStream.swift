internal import DeviceModel
internal import GuestMemory

/// A stream of a High Definition Audio controller: its descriptor's registers and its place in the guest's list of
/// buffers. (Intel, High Definition Audio 1.0a, 3.3.35 to 3.3.42 and 3.6.)
struct HDAStream: Equatable, Sendable {
    enum Control {
        static let reset: UInt32 = 1 << 0
        static let run: UInt32 = 1 << 1
        static let writable: UInt32 = 0xFF_001F
    }
    enum Status {
        static let complete: UInt8 = 1 << 2
        static let descriptorError: UInt8 = 1 << 4
        static let ready: UInt8 = 1 << 5
        static let clearable: UInt8 = 0x1C
    }

    var control: UInt32 = 0
    var status: UInt8 = 0
    var position: UInt32 = 0
    var length: UInt32 = 0
    var lastIndex: UInt8 = 0
    var format: UInt16 = 0
    var list: UInt64 = 0
    /// Where it is: the entry of the list, and the bytes of it that are done.
    var entry: UInt8 = 0
    var done: UInt32 = 0
    /// While it runs.
    var pace: AudioPace?

    var isRunning: Bool { control & Control.run != 0 && control & Control.reset == 0 }
    /// The stream's number on the link; 0 is none.
    var number: UInt8 { UInt8(truncatingIfNeeded: control >> 20 & 15) }
    /// What asks for an interrupt.
    var interrupts: Bool { status & UInt8(truncatingIfNeeded: control & 0x1C) != 0 }

    /// Frames a second, 3.7.1.
    var rate: UInt64 {
        let base: UInt64 = format & 0x4000 != 0 ? 44100 : 48000
        return base * (UInt64(format >> 11 & 3) + 1) / (UInt64(format >> 8 & 7) + 1)
    }
    var sampleSize: Int { [1, 2, 4, 4, 4][min(Int(format >> 4 & 7), 4)] }
    var channels: Int { Int(format & 15) + 1 }
    var frameSize: Int { sampleSize * channels }

    /// Bytes to the next end of a buffer that interrupts, or to the end of the list's turn.
    func bytesToInterrupt(_ memory: AddressSpace) -> UInt64 {
        var bytes: UInt64 = 0
        var index = entry
        for step in 0...Int(lastIndex) {
            guard let (_, length, interrupts) = buffer(index, memory) else { break }
            bytes += UInt64(length) - (step == 0 ? UInt64(min(done, length)) : 0)
            if interrupts { break }
            index = index >= lastIndex ? 0 : index + 1
        }
        return bytes
    }

    /// An entry of the list.
    func buffer(_ index: UInt8, _ memory: AddressSpace) -> (address: UInt64, length: UInt32, interrupts: Bool)? {
        let place = GuestPhysical(list &+ UInt64(index) * 16)
        guard let address = try? memory.load(place, as: UInt64.self),
            let second = try? memory.load(GuestPhysical(place.rawValue &+ 8), as: UInt64.self)
        else { return nil }
        return (address, UInt32(truncatingIfNeeded: second), second >> 32 & 1 != 0)
    }

    /// Goes on by `count` bytes, piece by piece of guest memory.
    mutating func move(_ count: Int, _ memory: AddressSpace, _ piece: (GuestPhysical, Int) -> Void) {
        var left = count
        var empty = 0
        while left > 0, isRunning {
            guard let (address, size, interrupts) = buffer(entry, memory) else {
                status |= Status.descriptorError
                control &= ~Control.run
                return
            }
            // A buffer that ends before the position has moved on; one that is empty counts as done.
            let room = size > done ? Int(size - done) : 0
            let step = min(left, room, length > position ? Int(length - position) : 0)
            if step > 0 {
                piece(GuestPhysical(address &+ UInt64(done)), step)
                left -= step
                done += UInt32(step)
                position += UInt32(step)
                empty = 0
            } else {
                empty += 1
                guard empty <= 256 else { return }
            }
            if done >= size {
                done = 0
                entry = entry >= lastIndex ? 0 : entry + 1
                if interrupts { status |= Status.complete }
            }
            if position >= length { position = 0 }
        }
    }

    // MARK: State

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("control", control)
        state.set("status", status)
        state.set("position", position)
        state.set("length", length)
        state.set("last", lastIndex)
        state.set("format", format)
        state.set("list", list)
        state.set("entry", entry)
        state.set("done", done)
        if let pace {
            state.set("start", pace.start)
            state.set("moved", pace.moved)
        }
        return state
    }
    init() {}
    init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        control = try state.integer("control", as: UInt32.self) & Control.writable
        status = try state.integer("status", as: UInt8.self) & (Status.clearable | Status.ready)
        position = try state.integer("position")
        length = try state.integer("length")
        lastIndex = try state.integer("last")
        format = try state.integer("format")
        list = try state.integer("list", as: UInt64.self) & ~0x7F
        entry = try state.integer("entry")
        done = try state.integer("done")
        if state.fields["start"] != nil {
            pace = AudioPace(start: try state.integer("start"))
            pace?.moved = try state.integer("moved")
        }
    }
}
