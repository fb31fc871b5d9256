public import HostOS
internal import Synchronization

/// All voices mixed into a WAV file (`-audiodev wav`): time in which no voice speaks is left out, as QEMU does.
public final class WAVAudio: AudioBackend {
    /// What the file holds.
    public struct Format: Sendable, Equatable {
        /// Frames a second, 8000 to 192000.
        public var frequency = 44100
        /// 1 or 2.
        public var channels = 2
        /// 8 (unsigned) or 16 (signed).
        public var bits = 16
        /// QEMU's default: 44.1 kHz, two channels of 16 bits.
        public init() {}
        var frameSize: Int { channels * bits / 8 }
    }
    private struct Speaker {
        /// The frame of the file that this voice's next one is mixed with.
        var position: UInt64
        var resampler: Resampler
    }
    private struct State {
        var speakers: [Int: Speaker] = [:]
        var nextVoice = 0
        /// Frames that are in the file, which is where the mix begins.
        var written: UInt64 = 0
        var mix: [Int32] = []
        /// Where in the file the voices' present turn began, and when.
        var turn: (position: UInt64, time: UInt64) = (0, 0)
        /// The newest virtual time that any voice of this turn has come to.
        var newest: UInt64 = 0
        var isClosed = false
    }
    /// Frames that may wait for another voice.
    private static let mostWaiting = 1 << 16

    private let file: Descriptor
    private let format: Format
    private let state = Mutex(State())

    /// A file at a path, replaced where it is there.
    public init(path: String, format: Format = Format()) throws(HostError) {
        self.format = format
        file = try HostFile.open(path, .replace)
        try file.writeAll(header(frames: 0), at: 0)
    }

    public func makeVoice() -> any AudioVoice {
        Voice(
            self,
            number: state.withLock { state in
                state.nextVoice += 1
                return state.nextVoice
            })
    }

    public func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.speakers = [:]
            write(&state, upTo: UInt64.max)
            state.isClosed = true
        }
    }

    fileprivate func play(_ voice: Int, _ samples: [Int16], _ rate: Int, _ end: UInt64) {
        guard rate > 0, samples.count >= 2 else { return }
        state.withLock { state in
            guard !state.isClosed else { return }
            let length = UInt64(samples.count / 2) &* 1_000_000_000 / UInt64(rate)
            let begin = end &- min(length, end)
            if state.speakers.isEmpty {
                state.turn = (state.written, begin)
                state.newest = end
            }
            state.newest = max(state.newest, end)
            var speaker =
                state.speakers[voice]
                ?? Speaker(
                    position: state.turn.position
                        + min(
                            Ticks.at(begin &- min(state.turn.time, begin), hertz: UInt64(format.frequency)),
                            // Never far behind what is in the file, or ahead of the others.
                            state.written &- state.turn.position + UInt64(Self.mostWaiting)),
                    resampler: Resampler())
            speaker.position = max(speaker.position, state.written)
            let frames = speaker.resampler.convert(samples, from: rate, to: format.frequency)
            let place = Int(speaker.position - state.written) * 2
            if state.mix.count < place + frames.count {
                state.mix += repeatElement(0, count: place + frames.count - state.mix.count)
            }
            for index in frames.indices { state.mix[place + index] &+= Int32(frames[index]) }
            speaker.position += UInt64(frames.count / 2)
            state.speakers[voice] = speaker
            // A voice that has yet to begin may be as late as devices are: until then the mix waits for it.
            let settled = state.newest - min(AudioPace.mostLate, state.newest)
            let open =
                state.turn.position
                + Ticks.at(settled - min(state.turn.time, settled), hertz: UInt64(format.frequency))
            let slowest = min(state.speakers.values.map(\.position).min() ?? 0, open)
            let least = state.written + UInt64(max(state.mix.count / 2 - Self.mostWaiting, 0))
            write(&state, upTo: max(slowest, least))
        }
    }

    fileprivate func stop(_ voice: Int) {
        state.withLock { state in
            guard state.speakers.removeValue(forKey: voice) != nil, state.speakers.isEmpty else { return }
            write(&state, upTo: UInt64.max)
        }
    }

    /// Moves the mix before a frame into the file; the file's header follows when nobody speaks.
    private func write(_ state: inout State, upTo end: UInt64) {
        guard !state.isClosed else { return }
        let count = Int(min(UInt64(state.mix.count / 2), end - min(end, state.written)))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * format.frameSize)
        for frame in 0..<count {
            let (left, right) = (state.mix[frame * 2], state.mix[frame * 2 + 1])
            for sample in format.channels == 2 ? [left, right] : [(left + right) / 2] {
                let value = Int16(clamping: sample)
                if format.bits == 8 {
                    bytes.append(UInt8(truncatingIfNeeded: (Int(value) + 32768) >> 8))
                } else {
                    bytes.append(UInt8(truncatingIfNeeded: value))
                    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
                }
            }
        }
        state.mix.removeFirst(count * 2)
        // The format's lengths have 32 bits: what does not fit is not kept.
        let size = UInt64(format.frameSize)
        if (state.written + UInt64(count)) * size < 0xFFFF_FF00 {
            try? file.writeAll(bytes, at: 44 + state.written * size)
            state.written += UInt64(count)
        }
        if state.speakers.isEmpty { try? file.writeAll(header(frames: state.written), at: 0) }
    }

    /// The RIFF and format chunks, and the head of the data. (Microsoft, Multimedia Programming Interface 1.0.)
    private func header(frames: UInt64) -> [UInt8] {
        func number(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        let data = Int(clamping: frames) * format.frameSize
        var bytes = Array("RIFF".utf8) + number(data + 36, 4) + Array("WAVEfmt ".utf8) + number(16, 4)
        bytes += number(1, 2) + number(format.channels, 2) + number(format.frequency, 4)
        bytes += number(format.frequency * format.frameSize, 4) + number(format.frameSize, 2) + number(format.bits, 2)
        return bytes + Array("data".utf8) + number(data, 4)
    }

    private final class Voice: AudioVoice {
        private let owner: WAVAudio
        private let number: Int
        init(_ owner: WAVAudio, number: Int) {
            self.owner = owner
            self.number = number
        }
        func play(_ samples: [Int16], rate: Int, end: UInt64) { owner.play(number, samples, rate, end) }
        func stop() { owner.stop(number) }
    }
}

/// Changes the rate of a stream by straight lines between its frames.
struct Resampler: Sendable {
    private var last: (Int, Int) = (0, 0)
    /// Where the next frame lies after `last`, in units of a frame of the source divided by the target's rate.
    private var phase = 0

    /// The frames of the target's rate that these make.
    mutating func convert(_ samples: [Int16], from source: Int, to target: Int) -> [Int16] {
        guard source != target else { return samples }
        var result: [Int16] = []
        result.reserveCapacity(samples.count / 2 * target / source * 2 + 4)
        for frame in 0..<samples.count / 2 {
            let next = (Int(samples[frame * 2]), Int(samples[frame * 2 + 1]))
            while phase < target {
                let left = last.0 + (next.0 - last.0) * phase / target
                let right = last.1 + (next.1 - last.1) * phase / target
                result.append(Int16(clamping: left))
                result.append(Int16(clamping: right))
                phase += source
            }
            phase -= target
            last = next
        }
        return result
    }
}
