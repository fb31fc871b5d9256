internal import Synchronization

/// Where mixed sound goes: frames of two channels. Called with the mixer's lock held.
public protocol AudioSink: AnyObject, Sendable {
    /// Frames a second, 8000 to 192000.
    var frequency: Int { get }
    /// Takes frames, left and right by turns. What is louder than 16 bits can say is the sink's to cut.
    func take(_ mix: ArraySlice<Int32>)
    /// Nobody speaks for now.
    func pause()
}

/// All voices mixed: time in which no voice speaks is left out, as QEMU does.
public final class MixedAudio: AudioBackend {
    private struct Speaker {
        /// The frame of the mix that this voice's next one is mixed with.
        var position: UInt64
        var resampler: Resampler
    }
    private struct State {
        var speakers: [Int: Speaker] = [:]
        var nextVoice = 0
        /// Frames that the sink has, which is where the mix begins.
        var written: UInt64 = 0
        var mix: [Int32] = []
        /// Where in the mix the voices' present turn began, and when.
        var turn: (position: UInt64, time: UInt64) = (0, 0)
        /// The newest virtual time that any voice of this turn has come to.
        var newest: UInt64 = 0
        var isClosed = false
    }
    /// Frames that may wait for another voice.
    private static let mostWaiting = 1 << 16

    private let sink: any AudioSink
    private let frequency: Int
    private let state = Mutex(State())

    /// A mixer in front of a sink.
    public init(_ sink: any AudioSink) {
        self.sink = sink
        frequency = sink.frequency
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
                            Ticks.at(begin &- min(state.turn.time, begin), hertz: UInt64(frequency)),
                            // Never far behind what the sink has, or ahead of the others.
                            state.written &- state.turn.position + UInt64(Self.mostWaiting)),
                    resampler: Resampler())
            speaker.position = max(speaker.position, state.written)
            let frames = speaker.resampler.convert(samples, from: rate, to: frequency)
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
                + Ticks.at(settled - min(state.turn.time, settled), hertz: UInt64(frequency))
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

    /// Hands the mix before a frame to the sink.
    private func write(_ state: inout State, upTo end: UInt64) {
        guard !state.isClosed else { return }
        let count = Int(min(UInt64(state.mix.count / 2), end - min(end, state.written)))
        if count > 0 { sink.take(state.mix.prefix(count * 2)) }
        state.mix.removeFirst(count * 2)
        state.written += UInt64(count)
        if state.speakers.isEmpty { sink.pause() }
    }

    private final class Voice: AudioVoice {
        private let owner: MixedAudio
        private let number: Int
        init(_ owner: MixedAudio, number: Int) {
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
