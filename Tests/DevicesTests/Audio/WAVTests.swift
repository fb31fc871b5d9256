import Devices
import Foundation
import Testing

@Suite struct WAVTests {
    private static func file() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString).wav").path
    }
    private static func audio48kHz(_ path: String) throws -> MixedAudio {
        var format = WAVFile.Format()
        format.frequency = 48000
        return MixedAudio(try WAVFile(path: path, format: format))
    }
    private static func number(_ data: Data, _ place: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 | Int(data[place + $1]) << ($1 * 8) }
    }
    private static func samples(_ data: Data) -> [Int16] {
        stride(from: 44, to: data.count - 1, by: 2).map { Int16(truncatingIfNeeded: number(data, $0, 2)) }
    }

    @Test func headersAndSamples() throws {
        let path = Self.file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let audio = MixedAudio(try WAVFile(path: path))
        let voice = audio.makeVoice()
        let tone = (0..<4410).flatMap { [Int16($0), Int16(-$0)] }
        voice.play(tone, rate: 44100, end: 100_000_000)
        voice.stop()
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(data.count == 44 + tone.count * 2)
        #expect(String(decoding: data[0..<4], as: UTF8.self) == "RIFF")
        #expect(String(decoding: data[8..<16], as: UTF8.self) == "WAVEfmt ")
        #expect(Self.number(data, 4, 4) == data.count - 8 && Self.number(data, 40, 4) == data.count - 44)
        #expect(Self.number(data, 22, 2) == 2 && Self.number(data, 24, 4) == 44100 && Self.number(data, 34, 2) == 16)
        #expect(Self.samples(data) == tone)
        audio.close()
    }

    @Test func voicesMixAndRatesChange() throws {
        let path = Self.file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let audio = try Self.audio48kHz(path)
        let (first, second) = (audio.makeVoice(), audio.makeVoice())
        // 10 ms each: the second at half the rate, and loud enough to clip.
        first.play([Int16](repeating: 20000, count: 960), rate: 48000, end: 10_000_000)
        second.play([Int16](repeating: 20000, count: 480), rate: 24000, end: 10_000_000)
        audio.close()
        let samples = Self.samples(try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(samples.count >= 958 && samples.count <= 964, "\(samples.count)")
        #expect(samples[100..<900].allSatisfy { $0 == 32767 })
        // Nothing is written once it is closed.
        first.play([1, 1], rate: 48000, end: 20_000_000)
        #expect(Self.samples(try Data(contentsOf: URL(fileURLWithPath: path))) == samples)
    }

    @Test func aLateVoiceIsAddedWhereItBelongs() throws {
        let path = Self.file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let audio = try Self.audio48kHz(path)
        let (first, second) = (audio.makeVoice(), audio.makeVoice())
        // 10 ms, 480 frames, at a time; what the second plays belongs to the second of three.
        for end in 1...3 as ClosedRange<UInt64> {
            first.play([Int16](repeating: 1000, count: 960), rate: 48000, end: end * 10_000_000)
        }
        second.play([Int16](repeating: 2000, count: 960), rate: 48000, end: 20_000_000)
        first.stop()
        second.stop()
        audio.close()
        let samples = Self.samples(try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(samples.count == 2880)
        #expect(samples[..<960].allSatisfy { $0 == 1000 } && samples[1920...].allSatisfy { $0 == 1000 })
        #expect(samples[960..<1920].allSatisfy { $0 == 3000 })
    }

    @Test func aVoiceAloneDoesNotWaitForEver() throws {
        let path = Self.file()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let audio = MixedAudio(try WAVFile(path: path))
        let voice = audio.makeVoice()
        // A second, 441 frames at a time: what is older than a tenth is in the file.
        for end in 1...100 as ClosedRange<UInt64> {
            voice.play([Int16](repeating: 1, count: 882), rate: 44100, end: end * 10_000_000)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == 44 + 90 * 441 * 4)
        audio.close()
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == 44 + 100 * 441 * 4)
    }
}
