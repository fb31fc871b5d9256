public import HostOS
internal import Synchronization

/// Where messages go, and how many: standard error or a file. Any thread.
///
/// A line is one write, so lines of several threads and processes do not mix.
public final class LogSink: Sendable {
    /// The process's own sink: standard error at first, warnings and errors.
    public static let standard = LogSink(Descriptor(borrowing: 2), level: LogLevel.warning, program: "apus-vmm")

    private struct Target {
        var descriptor: Descriptor
        var program: String
        var timestamps = false
    }

    private let target: Mutex<Target>
    private let threshold: Atomic<UInt8>

    /// A sink that writes lines to `descriptor`. `program`, if not empty, begins each line.
    public init(_ descriptor: Descriptor, level: LogLevel, program: String = "") {
        target = Mutex(Target(descriptor: descriptor, program: program))
        threshold = Atomic(level.rawValue)
    }

    /// The quietest level that is written.
    public var level: LogLevel {
        get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? LogLevel.trace }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// Whether messages of `level` are written.
    public func writes(_ level: LogLevel) -> Bool { level.rawValue <= threshold.load(ordering: .relaxed) }

    /// Sends what follows to the end of a file (`-D`).
    public func redirect(toFile path: String) throws(HostError) {
        let file = try HostFile.open(path, HostFile.Mode.append)
        target.withLock { $0.descriptor = file }
    }

    /// The name that begins each line.
    public func setProgram(_ name: String) { target.withLock { $0.program = name } }

    /// Whether lines begin with the time, UTC (`-msg timestamp=on`).
    public func setTimestamps(_ on: Bool) { target.withLock { $0.timestamps = on } }

    /// Writes a line, whatever the level. Control characters become `\xNN`: text of a guest or client cannot forge
    /// lines or drive a terminal. A sink that fails is not reported anywhere.
    func write(_ level: LogLevel, _ component: String, _ message: String) {
        target.withLock { target in
            var line = [UInt8]()
            line.reserveCapacity(message.utf8.count + 64)
            if target.timestamps { line += Timestamp.text(HostClock.realtime).utf8 + [0x20] }
            if !target.program.isEmpty { line += target.program.utf8 + [0x3A, 0x20] }
            if !component.isEmpty { line += component.utf8 + [0x3A, 0x20] }
            line += level.name.utf8
            line += [0x3A, 0x20]
            LogSink.appendPrintable(message, to: &line)
            line.append(0x0A)
            try? target.descriptor.writeAll(line)
        }
    }

    /// Writes whole lines as they are, whatever the level: text of the program's own.
    public func writeText(_ text: String) {
        target.withLock { try? $0.descriptor.writeAll(Array(text.utf8)) }
    }

    private static func appendPrintable(_ message: String, to line: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        for byte in message.utf8 {
            if byte >= 0x20 && byte != 0x7F {
                line.append(byte)
            } else {
                line += [0x5C, 0x78, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }
}

/// Times as text, without Foundation.
public enum Timestamp {
    /// `2024-02-29T12:00:00.000000Z` of nanoseconds since 1970.
    public static func text(_ nanoseconds: UInt64) -> String {
        let time = CivilTime(seconds: Int64(nanoseconds / 1_000_000_000))
        let fraction = String(nanoseconds % 1_000_000_000 / 1000)
        return "\(time.date)T\(time.clock).\(String(repeating: "0", count: 6 - fraction.utf8.count))\(fraction)Z"
    }
}
