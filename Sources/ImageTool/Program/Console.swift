internal import CLinux

/// Where a tool's words go: the process's standard output and error, or into memory.
public final class Console {
    private var pending: [UInt8] = []
    private let captures: Bool
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
        if captures { return output += bytes }
        pending += bytes
        if pending.count > 1 << 16 { flush() }
    }

    /// Writes a line to the standard error.
    func putError(_ line: String) {
        flush()
        let bytes = Array(line.utf8) + [10]
        if captures { errors += bytes } else { Console.write(2, bytes) }
    }

    /// Brings out what is held back.
    public func flush() {
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
