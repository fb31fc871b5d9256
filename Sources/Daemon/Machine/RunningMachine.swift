internal import DomainModel
internal import HostOS
internal import JSON
internal import Synchronization

/// The process of a domain that runs, and its monitor. It goes on when the daemon ends.
final class RunningMachine: Sendable {
    let process: HostProcess
    /// With the number, what tells this process from all others of the host's life.
    let startTime: UInt64
    let monitorPath: String
    /// Nil: taken up again, and its monitor does not answer.
    let monitor: QMPClient?
    /// Events of the monitor, one at a time.
    let events: SerialQueue
    private let watch = Mutex<EventSource?>(nil)
    /// Threads of the virtual processors, by index.
    let processorThreads = Mutex<[Int: Int32]>([:])
    /// Whether nodes of its disks may have marks of writes: one was set, or may have been by others.
    let mayHaveThresholds = Atomic(false)

    init(process: HostProcess, startTime: UInt64, monitorPath: String, monitor: QMPClient?, events: SerialQueue) {
        self.process = process
        self.startTime = startTime
        self.monitorPath = monitorPath
        self.monitor = monitor
        self.events = events
    }

    /// Calls `ended` once, on the loop's thread, when the process has ended.
    func watchEnd(_ loop: EventLoop, _ ended: @escaping @Sendable () -> Void) throws(HostError) {
        let source = try loop.add(process.descriptor, EventLoop.Events.read) { [weak self] _ in
            guard let self, let source = watch.withLock({ $0.take() }) else { return }
            source.remove()
            process.reap()
            ended()
        }
        watch.withLock { $0 = source }
        // It may have ended between the two.
        if process.hasEnded {
            loop.post { [weak self] in
                guard let self, let source = watch.withLock({ $0.take() }) else { return }
                source.remove()
                process.reap()
                ended()
            }
        }
    }

    /// Lets go of a machine that is to go on: nobody looks for its end, and its monitor is free for the next daemon.
    func leave() {
        watch.withLock { $0.take() }?.remove()
        monitor?.close()
    }

    /// Ends the process: politely, and after some time not.
    func end(gracefulOnly: Bool = false) throws(LibvirtError) {
        process.send(signal: 15)
        if process.waitForEnd(milliseconds: 5000) { return }
        if gracefulOnly {
            throw LibvirtError.operationFailed("Failed to terminate process \(process.number) with SIGTERM")
        }
        process.kill()
        if !process.waitForEnd(milliseconds: 30_000) {
            throw LibvirtError.operationFailed("Failed to terminate process \(process.number) with SIGKILL")
        }
    }

    /// After the process has ended: waits until all that its monitor still said is in the queue of events.
    func hearOut() {
        let pause = Bell()
        let deadline = HostClock.monotonic + 2_000_000_000
        while let monitor, !monitor.isClosed, HostClock.monotonic < deadline { pause.wait(nanoseconds: 200_000) }
    }

    /// Waits until the events that came so far are worked up: those that a command causes come before its answer.
    func settle() {
        let done = Bell()
        events.submit { done.ring() }
        done.wait(nanoseconds: 10_000_000_000)
    }

    /// The monitor, for commands.
    func qmp() throws(LibvirtError) -> QMPClient {
        guard let monitor else { throw LibvirtError.operationFailed("the machine's monitor cannot be reached") }
        return monitor
    }

    /// Lets the kernel keep the process to the shares and limits of a document.
    func limit(by tree: XMLTree) throws(LibvirtError) {
        let threads = processorThreads.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
        try ControlGroup(process: process.number).apply(tree, threads: threads)
    }

    /// Asks for the processors' threads.
    func refreshProcessors() {
        guard let list = try? monitor?.execute("query-cpus-fast").arrayValue else { return }
        let numbers = hostThreads()
        var threads: [Int: Int32] = [:]
        for entry in list {
            guard let index = entry["cpu-index"]?.intValue, let thread = entry["thread-id"]?.intValue else { continue }
            threads[index] = numbers(Int32(clamping: thread))
        }
        processorThreads.withLock { [threads] in $0 = threads }
    }

    /// What the host calls threads that the machine has numbers for: in a process namespace of its own it counts anew.
    func hostThreads() -> (Int32) -> Int32 {
        func numbers(_ path: String) -> [Int32] {
            for line in HostDescription.text(path).split(separator: "\n") where line.hasPrefix("NSpid:") {
                return line.dropFirst(6).split(whereSeparator: { $0 == "\t" || $0 == " " }).compactMap { Int32($0) }
            }
            return []
        }
        guard numbers("/proc/\(process.number)/status").count > 1 else { return { $0 } }
        var known: [Int32: Int32] = [:]
        for name in (try? HostFolder.names(in: "/proc/\(process.number)/task")) ?? [] {
            guard let own = numbers("/proc/\(process.number)/task/\(name)/status").last else { continue }
            known[own] = Int32(name)
        }
        return { [known] in known[$0] ?? -1 }
    }
}
