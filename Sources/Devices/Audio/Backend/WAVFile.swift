public import HostOS
internal import Synchronization

/// A WAV file that takes what is played (`-audiodev wav`).
public final class WAVFile: AudioSink {
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
    private let file: Descriptor
    private let format: Format
    /// Frames that are in the file.
    private let written = Mutex<UInt64>(0)
    public var frequency: Int { format.frequency }

    /// A file at a path, replaced where it is there.
    public init(path: String, format: Format = Format()) throws(HostError) {
        self.format = format
        file = try HostFile.open(path, .replace)
        try file.writeAll(header(frames: 0), at: 0)
    }

    public func take(_ mix: ArraySlice<Int32>) {
        let count = mix.count / 2
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * format.frameSize)
        for place in stride(from: mix.startIndex, to: mix.startIndex + count * 2, by: 2) {
            let (left, right) = (mix[place], mix[place + 1])
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
        // The format's lengths have 32 bits: what does not fit is not kept.
        let size = UInt64(format.frameSize)
        written.withLock { written in
            guard (written + UInt64(count)) * size < 0xFFFF_FF00 else { return }
            try? file.writeAll(bytes, at: 44 + written * size)
            written += UInt64(count)
        }
    }

    /// The header follows when nobody speaks.
    public func pause() { try? file.writeAll(header(frames: written.withLock { $0 }), at: 0) }

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
}
