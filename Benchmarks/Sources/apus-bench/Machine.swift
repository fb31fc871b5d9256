import Foundation

/// A running machine, whose serial console is on pipes that this thread alone reads: the time of a line is when it came.
final class Machine {
    private let process = Process()
    private let input: FileHandle
    private let output: Int32
    private var pending: [UInt8] = []
    private let clock = ContinuousClock()
    /// When the process was started.
    let start: ContinuousClock.Instant

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ program: String, _ arguments: [String]) throws {
        // A machine that ends early must not end the benchmark with it.
        signal(SIGPIPE, SIG_IGN)
        let (toGuest, fromGuest) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = toGuest
        process.standardOutput = fromGuest
        process.standardError = FileHandle.standardError
        input = toGuest.fileHandleForWriting
        output = fromGuest.fileHandleForReading.fileDescriptor
        keep = fromGuest
        start = clock.now
        try process.run()
    }
    private let keep: Pipe

    deinit { end() }

    /// Kills the process and waits for it.
    func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// The process's number.
    var number: Int32 { process.processIdentifier }

    /// Has the whole process stand still, and go on.
    func halt() { kill(process.processIdentifier, SIGSTOP) }
    func go() { kill(process.processIdentifier, SIGCONT) }

    /// The peak of the process's resident memory in KiB, from the kernel's own account.
    var peakMemory: Int? {
        guard let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        else { return nil }
        return status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            .flatMap { Int($0.filter(\.isNumber)) }
    }

    func send(_ line: String) throws {
        try input.write(contentsOf: Data((line + "\n").utf8))
    }

    /// The next line of the console and when its end came.
    func line(limit: Double) throws -> (text: String, at: ContinuousClock.Instant) {
        let deadline = clock.now + .seconds(limit)
        while true {
            if let end = pending.firstIndex(of: 10) {
                let text = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return (text.trimmingCharacters(in: .whitespacesAndNewlines), clock.now)
            }
            guard try take(until: deadline) else { throw Failed(description: "no answer in \(Int(limit)) s") }
        }
    }

    /// Waits for a text, which need not end a line, and tells when it came. What came before it is gone.
    func wait(forText wanted: String, limit: Double) throws -> ContinuousClock.Instant {
        let deadline = clock.now + .seconds(limit)
        let bytes = Array(wanted.utf8)
        while true {
            if let place = pending.firstRange(of: bytes) {
                pending.removeSubrange(..<place.upperBound)
                return clock.now
            }
            guard try take(until: deadline) else {
                throw Failed(description: "no '\(wanted)' in \(Int(limit)) s")
            }
        }
    }

    /// Takes what comes next. False where nothing comes in time.
    private func take(until deadline: ContinuousClock.Instant) throws -> Bool {
        while true {
            let left = (deadline - clock.now) / .milliseconds(1)
            guard left > 0 else { return false }
            var wanted = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&wanted, 1, Int32(left) + 1) > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = unsafe read(output, &buffer, buffer.count)
            guard count > 0 else { throw Failed(description: "the machine ended") }
            pending += buffer[..<count]
            return true
        }
    }

    /// Waits for a line that holds a text, and tells when it came.
    func wait(for wanted: String, limit: Double) throws -> ContinuousClock.Instant {
        let deadline = clock.now + .seconds(limit)
        while true {
            let left = (deadline - clock.now) / .seconds(1)
            guard left > 0 else { throw Failed(description: "no '\(wanted)' in \(Int(limit)) s") }
            let (text, at) = try line(limit: left)
            if text.contains(wanted) { return at }
        }
    }

    /// Runs a line in the guest: seconds from its "begin" to its "end", and what it says that it computed.
    func run(_ command: String, limit: Double) throws -> (seconds: Double, result: String) {
        try send(command)
        var began: ContinuousClock.Instant?
        while true {
            let (text, at) = try line(limit: limit)
            if text.hasPrefix("begin") {
                began = at
            } else if text.hasPrefix("failed") {
                throw Failed(description: text)
            } else if text.hasPrefix("end "), let began {
                return ((at - began) / .seconds(1), String(text.dropFirst(4)))
            }
        }
    }
}
