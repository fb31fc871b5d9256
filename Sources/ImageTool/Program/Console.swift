internal import CLinux
internal import Synchronization

/// Where a tool's words go: the process's standard output and error, or into memory.
public final class Console {
    private var pending: [UInt8] = []
    private let captures: Bool
    /// Lines that other threads have for the standard error.
    let notes = ConsoleNotes()
    /// What was written to the standard output, when it is captured.
    package private(set) var output: [UInt8] = []
    /// What was written to the standard error, when it is captured.
    package private(set) var errors: [UInt8] = []

    /// The process's own outputs, or memory.
    public init(captures: Bool = false) { self.captures = captures }

    /// Writes to the standard output: at the latest with the next error or `flush`.
    func put(_ text: String) { put(Array(text.utf8)) }

    /// Writes bytes to the standard output.
    func put(_ bytes: [UInt8]) {
        putNotes()
        if captures { return output += bytes }
        pending += bytes
        if pending.count > 1 << 16 { flush() }
    }

    /// Writes a line to the standard error.
    func putError(_ line: String) {
        flush()
        putLine(line)
    }

    private func putNotes() {
        let lines = notes.take()
        guard !lines.isEmpty else { return }
        if !captures { Console.write(1, pending) }
        pending = []
        for line in lines { putLine(line) }
    }

    private func putLine(_ line: String) {
        let bytes = Array(line.utf8) + [10]
        if captures { errors += bytes } else { Console.write(2, bytes) }
    }

    /// Brings out what is held back.
    public func flush() {
        putNotes()
        guard !pending.isEmpty else { return }
        Console.write(1, pending)
        pending = []
    }

    private static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        // SAFETY: the range lies inside the array, which outlives the call.
        unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = unsafe apus_write(descriptor, buffer.baseAddress! + done, buffer.count - done)
                if count <= 0 { return }
                done += count
            }
        }
    }
}

/// Lines for the standard error that come before whatever is written next. Any thread.
final class ConsoleNotes: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    fileprivate func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}
