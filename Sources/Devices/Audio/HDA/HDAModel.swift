internal import DeviceModel
package import GuestMemory

/// The High Definition Audio controller of Intel's ICH6 and ICH9 as a pure model: registers in; samples, an interrupt
/// level and a deadline out. (Intel, High Definition Audio 1.0a, chapters 3 and 4.)
package struct HDAModel: Sendable {
    /// Samples that a codec plays: left and right by turns.
    package struct Sound: Sendable {
        /// The codec's address.
        package var codec: Int
        /// Frames a second.
        package var rate: Int
        package var samples: [Int16]
    }

    enum Register {
        static let control: UInt32 = 0x08
        static let wakeEnable: UInt32 = 0x0C
        static let wakeStatus: UInt32 = 0x0E
        static let interruptControl: UInt32 = 0x20
        static let interruptStatus: UInt32 = 0x24
        static let wallClock: UInt32 = 0x30
        static let streams: UInt32 = 0x80
        static let aliases: UInt32 = 0x2000
    }
    /// Input streams come first.
    static let inputs = 4
    static let streamCount = 8
    /// Address of a codec on the link, 0 to 14.
    package static let codecLimit = 15

    let memory: AddressSpace
    package internal(set) var codecs: [Int: HDACodec]
    var control: UInt32 = 0
    var wakeEnable: UInt16 = 0
    var wakeStatus: UInt16 = 0
    var flushStatus: UInt16 = 0
    var interruptControl: UInt32 = 0
    var synchronization: UInt32 = 0
    var commandBase: UInt64 = 0
    var commandWrite: UInt16 = 0
    var commandRead: UInt16 = 0
    var commandControl: UInt8 = 0
    var responseBase: UInt64 = 0
    var responseWrite: UInt16 = 0
    var responseCount: UInt16 = 0
    var responseControl: UInt8 = 0
    var responseStatus: UInt8 = 0
    var immediate: UInt32 = 0
    var immediateResponse: UInt32 = 0
    var immediateStatus: UInt16 = 0
    var positionBase: UInt64 = 0
    var streams = [HDAStream](repeating: HDAStream(), count: HDAModel.streamCount)
    /// Interrupt sources that were pending when the level was last told.
    var told: UInt32 = 0

    /// A controller after power-on with codecs by address.
    package init(codecs: [Int: HDACodec], memory: AddressSpace) {
        self.codecs = codecs
        self.memory = memory
    }

    /// To the state after power-on.
    package mutating func reset() {
        self = HDAModel(codecs: codecs, memory: memory)
        for address in codecs.keys { codecs[address]?.reset() }
    }

    /// What the controller's own reset bit does. 4.2.2.
    mutating func restart() {
        let (enable, status) = (wakeEnable, wakeStatus)
        reset()
        wakeEnable = enable
        wakeStatus = status
    }

    // MARK: Interrupts

    /// Sources by bit, as the status register has them, without the sum.
    var sources: UInt32 {
        var bits: UInt32 = 0
        for (index, stream) in streams.enumerated() where stream.interrupts { bits |= 1 << UInt32(index) }
        let wakes = wakeStatus & wakeEnable != 0
        if wakes || responseStatus & responseControl & 1 != 0 || responseStatus & responseControl & 4 != 0 {
            bits |= 1 << 30
        }
        return bits
    }
    private var isPending: Bool { sources & interruptControl & 0x7FFF_FFFF != 0 }

    /// The interrupt line's level, whether something new is pending, and when to ask again.
    package mutating func update(_ now: UInt64) -> (level: Bool, isNew: Bool, deadline: UInt64?) {
        let level = isPending && interruptControl >> 31 != 0
        let asking = level ? sources & interruptControl : 0
        let isNew = asking & ~told != 0
        told = asking
        var deadline: UInt64?
        for stream in streams where stream.isRunning {
            guard let pace = stream.pace else { continue }
            let frames = (stream.bytesToInterrupt(memory) + UInt64(stream.frameSize) - 1) / UInt64(stream.frameSize)
            deadline = min(deadline ?? UInt64.max, pace.deadline(now, after: max(frames, 1), rate: stream.rate))
        }
        return (level, isNew, deadline)
    }

    /// Codecs that a running stream speaks to.
    package var speaking: Set<Int> {
        let numbers = streams[Self.inputs...].filter(\.isRunning).map(\.number)
        return Set(codecs.filter { $0.value.output.number != 0 && numbers.contains($0.value.output.number) }.keys)
    }

    // MARK: Commands

    /// The codecs' answers to what stands in the ring of commands. 4.4.
    mutating func runCommands() {
        guard control & 1 != 0, commandControl & 2 != 0, responseControl & 2 != 0 else { return }
        var count = 0
        while commandRead & 0xFF != commandWrite & 0xFF, count < 256 {
            count += 1
            commandRead = (commandRead + 1) & 0xFF
            let place = GuestPhysical(commandBase &+ UInt64(commandRead) * 4)
            let command = (try? memory.load(place, as: UInt32.self)) ?? 0
            guard let response = ask(command) else { continue }
            responseWrite = (responseWrite + 1) & 0xFF
            let entry = UInt64(response) | UInt64(command >> 28) << 32
            try? memory.store(GuestPhysical(responseBase &+ UInt64(responseWrite) * 8), entry)
            responseStatus |= 1
        }
    }

    /// A codec's answer; nil where there is none.
    private mutating func ask(_ command: UInt32) -> UInt32? {
        codecs[Int(command >> 28)]?.command(command & 0x0FFF_FFFF)
    }

    // MARK: Streams

    /// Moves what is due at a time. Returns what codecs play.
    package mutating func advance(_ now: UInt64) -> [Sound] {
        var sounds: [Sound] = []
        var hasMoved = false
        for index in streams.indices where streams[index].isRunning {
            guard var pace = streams[index].pace else { continue }
            let frames = Int(pace.due(now, rate: streams[index].rate))
            pace.moved += UInt64(frames)
            streams[index].pace = pace
            guard frames > 0 else { continue }
            hasMoved = true
            if index < Self.inputs { record(index, frames) } else { play(index, frames, into: &sounds) }
        }
        if hasMoved, positionBase & 1 != 0 {
            for (index, stream) in streams.enumerated() {
                try? memory.store(
                    GuestPhysical(positionBase & ~0x7F &+ UInt64(index) * 8), UInt64(stream.position))
            }
        }
        return sounds
    }

    /// Silence is what comes in.
    private mutating func record(_ index: Int, _ frames: Int) {
        let memory = memory
        streams[index].move(frames * streams[index].frameSize, memory) { address, count in
            try? memory.write(address, bytes: [UInt8](repeating: 0, count: count))
        }
    }

    private mutating func play(_ index: Int, _ frames: Int, into sounds: inout [Sound]) {
        let memory = memory
        let size = frames * streams[index].frameSize
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        let wanted = codecs.filter { $0.value.output.number == streams[index].number && streams[index].number != 0 }
        streams[index].move(size, memory) { address, count in
            guard !wanted.isEmpty else { return }
            bytes += (try? memory.bytes(address, count: count)) ?? [UInt8](repeating: 0, count: count)
        }
        for (address, codec) in wanted.sorted(by: { $0.key < $1.key }) {
            let samples = Self.stereo(bytes, streams[index], channel: codec.output.channel)
            guard !samples.isEmpty else { continue }
            sounds.append(
                Sound(codec: address, rate: Int(streams[index].rate), samples: codec.amplified(samples)))
        }
    }

    /// Two channels of a stream as 16 bits; one that is alone is heard on both sides.
    static func stereo(_ bytes: [UInt8], _ stream: HDAStream, channel: Int) -> [Int16] {
        let (size, frameSize) = (stream.sampleSize, stream.frameSize)
        guard channel < stream.channels else { return [] }
        let right = min(channel + 1, stream.channels - 1)
        var result: [Int16] = []
        result.reserveCapacity(bytes.count / frameSize * 2)
        var frame = 0
        while frame + frameSize <= bytes.count {
            for place in [frame + channel * size, frame + right * size] {
                if size == 1 {
                    result.append(Int16(Int(bytes[place]) - 128) << 8)
                } else {
                    // The upper 16 of a container's bits: samples are left-justified. 3.7.1.
                    let top = place + size - 2
                    result.append(Int16(bitPattern: UInt16(bytes[top]) | UInt16(bytes[top + 1]) << 8))
                }
            }
            frame += frameSize
        }
        return result
    }
}
