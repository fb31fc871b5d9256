import HostOS
import Log
import Synchronization
import Testing

@Suite struct LogTests {
    private func sink(_ level: LogLevel) throws -> (LogSink, Descriptor) {
        let pipe = try DescriptorPair.pipe()
        return (LogSink(pipe.output, level: level, program: "vm"), pipe.input)
    }

    private func text(_ input: Descriptor) throws -> String {
        try input.setNonBlocking()
        return String(decoding: try input.readAvailable(limit: 4096), as: UTF8.self)
    }

    @Test func aLineNamesProgramComponentAndLevel() throws {
        let (sink, input) = try sink(.info)
        Logger("serial0", sink: sink).warning("slow reader")
        #expect(try text(input) == "vm: serial0: warning: slow reader\n")
    }

    @Test func aLevelThatIsOffDoesNotMakeTheMessage() throws {
        let (sink, input) = try sink(.warning)
        let made = Mutex(false)
        Logger("x", sink: sink).debug(
            {
                made.withLock { $0 = true }
                return "text"
            }())
        #expect(made.withLock { $0 } == false)
        #expect(try text(input) == "")
        sink.level = .trace
        Logger("x", sink: sink).trace("now")
        #expect(try text(input) == "vm: x: trace: now\n")
    }

    @Test func controlCharactersCannotForgeLines() throws {
        let (sink, input) = try sink(.info)
        Logger("x", sink: sink).info("a\nvm: error: b\u{1B}[2J\u{7F}é")
        #expect(try text(input) == "vm: x: info: a\\x0avm: error: b\\x1b[2J\\x7fé\n")
    }

    @Test func aFileTakesOver() throws {
        let (sink, input) = try sink(.info)
        let folder = try HostFile.makeTemporaryFolder()
        defer { HostFile.removeTree(folder) }
        let path = folder + "/log"
        try sink.redirect(toFile: path)
        sink.setTimestamps(true)
        Logger("x", sink: sink).error("text")
        let line = String(decoding: try HostFile.contents(path), as: UTF8.self)
        #expect(line.hasSuffix("Z vm: x: error: text\n"))
        #expect(try text(input) == "")
    }

    @Test func timesAsText() {
        #expect(Timestamp.text(0) == "1970-01-01T00:00:00.000000Z")
        #expect(Timestamp.text(1_709_164_800_000_001_000) == "2024-02-29T00:00:00.000001Z")
        #expect(Timestamp.text(4_102_444_799_999_999_999) == "2099-12-31T23:59:59.999999Z")
    }

    @Test func aBucketRefillsWithTimeUpToItsBurst() {
        var bucket = TokenBucket(burst: 2, perSecond: 10, now: 0)
        let times: [UInt64] = [
            0, 0, 99_999_999, 100_000_000, 150_000_000, 200_000_000, UInt64.max, UInt64.max, UInt64.max, 0,
        ]
        var taken: [Bool] = []
        for time in times { taken.append(bucket.take(now: time)) }
        #expect(taken == [true, true, false, true, false, true, true, true, false, false])
    }

    @Test func aGuestCannotFloodTheLog() throws {
        let (sink, input) = try sink(.info)
        let shared = Mutex<UInt64>(0)
        let logger = RateLimitedLogger(Logger("x", sink: sink), burst: 2, perSecond: 1) { shared.withLock { $0 } }
        for index in 0..<100 { logger.warning("\(index)") }
        shared.withLock { $0 = 2_000_000_000 }
        logger.warning("later")
        logger.warning("last")
        #expect(
            try text(input).split(separator: "\n") == [
                "vm: x: warning: 0", "vm: x: warning: 1", "vm: x: warning: later (98 messages left out)",
                "vm: x: warning: last",
            ])
    }
}
