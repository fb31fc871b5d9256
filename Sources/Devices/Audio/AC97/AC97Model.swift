internal import DeviceModel
package import GuestMemory

/// The AC'97 controller of Intel's 82801AA with a codec, as a pure model: registers in; samples, an interrupt level and
/// a deadline out. (Intel 290658, chapter 13; Audio Codec '97 2.3.)
package struct AC97Model: Sendable {
    /// What the guest plays: left and right by turns.
    package struct Sound: Sendable {
        /// Frames a second.
        package var rate: Int
        package var samples: [Int16]
    }

    /// A bus master: the engine of one stream. 13.2.
    struct Engine: Equatable, Sendable {
        enum Status {
            static let halted: UInt8 = 1 << 0
            static let currentIsLast: UInt8 = 1 << 1
            static let lastDone: UInt8 = 1 << 2
            static let bufferDone: UInt8 = 1 << 3
            static let fifoError: UInt8 = 1 << 4
            static let clearable: UInt8 = 0x1C
        }
        enum Control {
            static let run: UInt8 = 1 << 0
            static let reset: UInt8 = 1 << 1
            static let writable: UInt8 = 0x1D
        }
        var list: UInt32 = 0
        var current: UInt8 = 0
        var last: UInt8 = 0
        var status: UInt8 = Status.halted
        /// Samples of the buffer that are left.
        var left: UInt16 = 0
        var address: UInt32 = 0
        var flags: UInt16 = 0
        var prefetched: UInt8 = 0
        var control: UInt8 = 0
        /// While it moves.
        var pace: AudioPace?

        var isMoving: Bool { control & Control.run != 0 && status & Status.halted == 0 }
        /// Whether it asks for an interrupt: the enables of last buffer, FIFO error and buffer done are bits 2, 3, 4.
        var interrupts: Bool {
            (status & Status.lastDone != 0 && control & 4 != 0) || (status & Status.fifoError != 0 && control & 8 != 0)
                || (status & Status.bufferDone != 0 && control & 16 != 0)
        }
    }

    /// PCM in, PCM out, microphone.
    static let engineCount = 3
    static let output = 1
    static let mixerRegisters = 64

    let memory: AddressSpace
    var mixer: [UInt16] = AC97Model.initialMixer
    var engines = [Engine](repeating: Engine(), count: AC97Model.engineCount)
    var globalControl: UInt32 = 0
    var semaphore = false

    /// A controller after power-on.
    package init(memory: AddressSpace) { self.memory = memory }

    /// To the state after power-on.
    package mutating func reset() { self = AC97Model(memory: memory) }

    // MARK: The mixer

    enum Mixer {
        static let reset = 0x00
        static let master = 0x02
        static let pcmOut = 0x18
        static let powerDown = 0x26
        static let extendedID = 0x28
        static let extendedControl = 0x2A
        static let frontRate = 0x2C
        static let inputRate = 0x32
        static let microphoneRate = 0x34
        static let vendor = 0x7C
    }
    private static let initialMixer: [UInt16] = {
        var words = [UInt16](repeating: 0, count: mixerRegisters)
        let values: [(Int, UInt16)] = [
            (0x02, 0x8000), (0x04, 0x8000), (0x06, 0x8000), (0x0C, 0x8008), (0x0E, 0x8008), (0x10, 0x8808),
            (0x12, 0x8808), (0x14, 0x8808), (0x16, 0x8808), (0x18, 0x8808), (0x1C, 0x8000), (0x26, 0x000F),
            // Variable rates, for the microphone too.
            (0x28, 0x0809), (0x2A, 0x0009), (0x2C, 48000), (0x2E, 48000), (0x30, 48000), (0x32, 48000),
            (0x34, 48000),
            // SigmaTel STAC9700.
            (0x7C, 0x8384), (0x7E, 0x7600),
        ]
        for (register, value) in values { words[register / 2] = value }
        return words
    }()
    subscript(_ register: Int) -> UInt16 { mixer[register / 2] }

    /// A register of the codec, 16 bits at an even offset.
    package func readMixer(_ offset: Int) -> UInt16 {
        guard 0..<Self.mixerRegisters ~= offset / 2 else { return UInt16.max }
        return mixer[offset / 2]
    }

    package mutating func writeMixer(_ offset: Int, _ value: UInt16) {
        guard 0..<Self.mixerRegisters ~= offset / 2 else { return }
        var kept = value
        switch offset & ~1 {
        case Mixer.reset:
            mixer = Self.initialMixer
            return
        case 0x02, 0x04: kept &= 0xBF3F
        case 0x06: kept &= 0x803F
        case 0x0C, 0x0E: kept &= 0x805F
        case 0x10, 0x12, 0x14, 0x16, 0x18: kept &= 0x9F1F
        case 0x1A: kept &= 0x0707
        case 0x1C: kept &= 0x8F0F
        case Mixer.powerDown: kept = kept & 0xFF00 | 0x000F
        case Mixer.extendedControl:
            kept &= 0x0009
            if kept & 1 == 0 { for register in [0x2C, 0x2E, 0x30, 0x32] { mixer[register / 2] = 48000 } }
            if kept & 8 == 0 { mixer[Mixer.microphoneRate / 2] = 48000 }
        case Mixer.frontRate, 0x2E, 0x30, Mixer.inputRate:
            guard self[Mixer.extendedControl] & 1 != 0 else { return }
            kept = min(max(kept, 4000), 48000)
        case Mixer.microphoneRate:
            guard self[Mixer.extendedControl] & 8 != 0 else { return }
            kept = min(max(kept, 4000), 48000)
        case Mixer.extendedID, Mixer.vendor, Mixer.vendor + 2: return
        default: break
        }
        mixer[offset / 2] = kept
    }

    func rate(_ engine: Int) -> UInt64 {
        UInt64(self[[Mixer.inputRate, Mixer.frontRate, Mixer.microphoneRate][engine]])
    }

    // MARK: Interrupts

    /// PCM in, PCM out and microphone are bits 5, 6 and 7 of the global status.
    var interruptBits: UInt32 {
        var bits: UInt32 = 0
        for (index, engine) in engines.enumerated() where engine.interrupts { bits |= 1 << UInt32(5 + index) }
        return bits
    }

    /// Whether something is being played.
    package var isSpeaking: Bool { engines[Self.output].isMoving }

    /// The interrupt line, and when to ask again.
    package func update(_ now: UInt64) -> (level: Bool, deadline: UInt64?) {
        var deadline: UInt64?
        for (index, engine) in engines.enumerated() where engine.isMoving {
            guard let pace = engine.pace else { continue }
            let frames = UInt64(max(engine.left / 2, 1))
            deadline = min(deadline ?? UInt64.max, pace.deadline(now, after: frames, rate: rate(index)))
        }
        return (interruptBits != 0, deadline)
    }

    // MARK: Streams

    /// Moves what is due at a time. Returns what the guest plays.
    package mutating func advance(_ now: UInt64) -> [Sound] {
        var sounds: [Sound] = []
        for index in engines.indices where engines[index].isMoving {
            guard var pace = engines[index].pace else { continue }
            let frames = Int(pace.due(now, rate: rate(index)))
            pace.moved += UInt64(frames)
            engines[index].pace = pace
            guard frames > 0 else { continue }
            let samples = move(index, frames * 2)
            if index == Self.output, !samples.isEmpty {
                sounds.append(Sound(rate: Int(rate(index)), samples: amplified(samples)))
            }
        }
        return sounds
    }

    /// Moves so many samples; returns those that go out.
    private mutating func move(_ index: Int, _ count: Int) -> [Int16] {
        var wanted = count
        var samples: [Int16] = []
        var empty = 0
        while wanted > 0, engines[index].isMoving {
            let step = min(wanted, Int(engines[index].left))
            if step > 0 {
                let place = GuestPhysical(UInt64(engines[index].address))
                if index == Self.output {
                    let bytes = (try? memory.bytes(place, count: step * 2)) ?? [UInt8](repeating: 0, count: step * 2)
                    for sample in 0..<step {
                        samples.append(
                            Int16(bitPattern: UInt16(bytes[sample * 2]) | UInt16(bytes[sample * 2 + 1]) << 8))
                    }
                } else {
                    try? memory.write(place, bytes: [UInt8](repeating: 0, count: step * 2))
                }
                engines[index].address &+= UInt32(step * 2)
                engines[index].left -= UInt16(step)
                wanted -= step
                empty = 0
            } else {
                empty += 1
                // A list of nothing but empty buffers.
                guard empty <= 64 else { break }
            }
            if engines[index].left == 0 { finishBuffer(index) }
        }
        if samples.count % 2 != 0 { samples.append(0) }
        return samples
    }

    /// A buffer has ended: the next one, or a halt after the last valid one. 13.2.3.
    private mutating func finishBuffer(_ index: Int) {
        var engine = engines[index]
        if engine.flags & 0x8000 != 0 { engine.status |= Engine.Status.bufferDone }
        if engine.current == engine.last {
            engine.status |= Engine.Status.lastDone | Engine.Status.halted | Engine.Status.currentIsLast
            engine.pace = nil
            engines[index] = engine
        } else {
            engine.current = engine.prefetched
            engine.prefetched = (engine.prefetched + 1) & 31
            engines[index] = engine
            fetch(index)
        }
    }

    /// Reads the current buffer's descriptor.
    private mutating func fetch(_ index: Int) {
        let engine = engines[index]
        let place = GuestPhysical(UInt64(engine.list) + UInt64(engine.current) * 8)
        let entry = (try? memory.load(place, as: UInt64.self)) ?? 0
        engines[index].address = UInt32(truncatingIfNeeded: entry) & ~3
        engines[index].left = UInt16(truncatingIfNeeded: entry >> 32)
        engines[index].flags = UInt16(truncatingIfNeeded: entry >> 48)
        if engine.current == engine.last {
            engines[index].status |= Engine.Status.currentIsLast
        } else {
            engines[index].status &= ~Engine.Status.currentIsLast
        }
    }

    /// Starts an engine, or has it go on after its list grew.
    mutating func start(_ index: Int, _ now: UInt64, isNew: Bool) {
        engines[index].status &= ~(Engine.Status.halted | Engine.Status.currentIsLast)
        if isNew || engines[index].left == 0 {
            engines[index].current = engines[index].prefetched
            engines[index].prefetched = (engines[index].prefetched + 1) & 31
            fetch(index)
        }
        engines[index].pace = AudioPace(start: now)
    }

    /// Master and PCM out: steps of 1.5 dB down; 8 is 0 dB for PCM out. A mute each.
    private func amplified(_ samples: [Int16]) -> [Int16] {
        let (master, pcm) = (self[Mixer.master], self[Mixer.pcmOut])
        guard (master | pcm) & 0x8000 == 0 else { return [Int16](repeating: 0, count: samples.count) }
        let gains = [UInt16(8), 0].map { shift -> Int in
            let down = Int(master >> shift & 0x3F) + Int(pcm >> shift & 0x1F) - 8
            var factor = 65536.0
            for _ in 0..<abs(down) { factor *= down > 0 ? 0.841_395_141_6 : 1.188_502_227_4 }
            return Int(factor)
        }
        guard gains != [65536, 65536] else { return samples }
        return samples.indices.map { Int16(clamping: Int(samples[$0]) * gains[$0 & 1] >> 16) }
    }
}
