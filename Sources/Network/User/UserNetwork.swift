internal import HostOS
internal import Log
internal import Synchronization

/// A network in user mode (`-netdev user`): the guest's connections are made by this process, with no privilege.
/// libslirp does it, on a thread of its own. Any thread.
///
/// Frames cross between threads in bounded queues, so neither a processor nor the network waits for the other.
/// The receiver is called on the network's thread. Forwards wait for that thread: do not add or remove one while
/// holding a lock that the receiver takes.
public final class UserNetwork: NetworkBackend {
    /// What the network was made of.
    public let configuration: UserNetworkConfiguration
    private let core: Core
    private let thread: HostThread
    private let joined = Mutex(false)

    /// Makes the network and starts its thread; `name` is for messages. Fails if an option or a forward does.
    public init(_ configuration: UserNetworkConfiguration, name: String = "user") throws(UserNetworkError) {
        self.configuration = configuration
        let log = RateLimitedLogger(Logger(name))
        let instance = try SlirpInstance(configuration) { text in log.debug("The guest misbehaves: \(text)") }
        do throws(HostError) {
            let core = try Core()
            self.core = core
            // SAFETY: the instance goes to the thread, and nothing else keeps it.
            nonisolated(unsafe) let moved = instance
            thread = try HostThread(name: "net-\(name)") { unsafe core.run(moved) }
        } catch {
            throw UserNetworkError.host("\(error)")
        }
    }

    deinit { stop() }

    /// Ends the connections and the thread. Nothing is received after it. May be called again.
    public func stop() {
        let again = joined.withLock { joined in
            defer { joined = true }
            return joined
        }
        if again { return }
        core.setReceiver(nil)
        core.stopping.store(true, ordering: .releasing)
        core.wake()
        thread.join()
    }

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool { unsafe core.transmit(frame) }
    /// libslirp takes TCP segments of any size.
    public var offloads: FrameOffloads { FrameOffloads.wholeSegments }
    public func setReceiver(_ receiver: (any FrameReceiver)?) { core.setReceiver(receiver) }

    public func receiverReady() {
        if core.framesWait.load(ordering: .sequentiallyConsistent) { core.wake() }
    }

    /// Begins to forward a port of the host (`hostfwd_add`).
    public func addHostForward(_ forward: HostForward) throws(UserNetworkError) {
        try core.perform { (instance: SlirpInstance) throws(UserNetworkError) in try instance.add(forward) }
    }

    /// Ends a forward (`hostfwd_remove`). Connections that it made go on.
    public func removeHostForward(_ key: HostForwardKey) throws(UserNetworkError) {
        try core.perform { (instance: SlirpInstance) throws(UserNetworkError) in try instance.remove(key) }
    }

    /// The connections as a table of text (`info usernet`).
    public func connectionInfo() throws(UserNetworkError) -> String {
        let text = Mutex("")
        try core.perform { (instance: SlirpInstance) throws(UserNetworkError) in
            let info = instance.connectionInfo()
            text.withLock { $0 = info }
        }
        return text.withLock { $0 }
    }
}

/// The end of a command that one thread waits for and another brings about.
private final class Outcome: Sendable {
    private let bell = Bell()
    private let state = Mutex<(finished: Bool, failure: UserNetworkError?)>((false, nil))

    func finish(_ failure: UserNetworkError?) {
        state.withLock { $0 = (true, failure) }
        bell.ring()
    }

    func wait() -> UserNetworkError? {
        while !state.withLock({ $0.finished }) { bell.wait(nanoseconds: nil) }
        return state.withLock { $0.failure }
    }
}

/// What the network's thread shares with others.
private final class Core: Sendable {
    typealias Command = @Sendable (SlirpInstance?) -> Void

    /// The largest IPv4 packet behind an Ethernet header.
    private static let frameLimit = 65535 + 14

    private let wakeUp: EventCounter
    private let awake = Atomic(false)
    private let outgoing = Mutex(FrameQueue(capacity: 1 << 20))
    private let receiver = Mutex<(any FrameReceiver)?>(nil)
    /// Nil: the thread has ended.
    private let commands = Mutex<[Command]?>([])
    let stopping = Atomic(false)
    /// Frames wait for the receiver to have room.
    let framesWait = Atomic(false)

    init() throws(HostError) { wakeUp = try EventCounter() }

    func wake() {
        // One signal for as many frames as come before the thread has seen it.
        if !awake.exchange(true, ordering: .acquiringAndReleasing) { wakeUp.signal() }
    }

    func transmit(_ frame: UnsafeRawBufferPointer) -> Bool {
        // What is no frame gets lost on the cable.
        guard frame.count >= 14, frame.count <= Core.frameLimit else { return true }
        guard outgoing.withLock({ unsafe $0.push(frame) }) else { return false }
        wake()
        return true
    }

    func setReceiver(_ new: (any FrameReceiver)?) {
        receiver.withLock { $0 = new }
        wake()
    }

    /// Runs a command on the network's thread, and waits for it.
    func perform(
        _ body: @escaping @Sendable (SlirpInstance) throws(UserNetworkError) -> Void
    ) throws(UserNetworkError) {
        let outcome = Outcome()
        let queued = commands.withLock { commands -> Bool in
            guard commands != nil else { return false }
            commands?.append { instance in
                do throws(UserNetworkError) {
                    guard let instance else { throw UserNetworkError.stopped }
                    try body(instance)
                    outcome.finish(nil)
                } catch {
                    outcome.finish(error)
                }
            }
            return true
        }
        guard queued else { throw UserNetworkError.stopped }
        wake()
        if let failure = outcome.wait() { throw failure }
    }

    // MARK: - On the thread

    func run(_ instance: SlirpInstance) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Core.frameLimit, alignment: 16)
        defer { unsafe buffer.deallocate() }
        while !stopping.load(ordering: .acquiring) {
            instance.sleep(until: wakeUp.descriptor)
            wakeUp.take()
            awake.store(false, ordering: .sequentiallyConsistent)
            for command in commands.withLock({ commands -> [Command] in
                defer { if commands != nil { commands = [] } }
                return commands ?? []
            }) { command(instance) }
            unsafe takeFrames(instance, buffer)
            unsafe deliverFrames(instance, buffer)
        }
        let left = commands.withLock { commands -> [Command] in
            defer { commands = nil }
            return commands ?? []
        }
        for command in left { command(nil) }
    }

    /// Gives the network what the guest has sent.
    private func takeFrames(_ instance: SlirpInstance, _ buffer: UnsafeMutableRawBufferPointer) {
        var taken = 0
        while true {
            let length = outgoing.withLock { queue -> Int in
                // SAFETY: the buffer has room for the largest frame that `transmit` lets in.
                let length = unsafe queue.copyFirst(into: buffer)
                queue.removeFirst()
                return length
            }
            guard length > 0 else { return }
            unsafe instance.input(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
            taken += 1
            // The answers have a bounded queue too: in between, they go on.
            if taken % 32 == 0 { unsafe deliverFrames(instance, buffer) }
        }
    }

    /// Gives the guest what the network has sent, as far as it has room.
    private func deliverFrames(_ instance: SlirpInstance, _ buffer: UnsafeMutableRawBufferPointer) {
        guard instance.hasFrames else { return }
        guard let receiver = receiver.withLock({ $0 }) else {
            instance.removeAllFrames()
            return
        }
        while instance.hasFrames {
            if !receiver.canReceive() {
                framesWait.store(true, ordering: .sequentiallyConsistent)
                // Asked again after the note: room that came between the two would have woken nobody.
                guard receiver.canReceive() else { return }
            }
            let length = unsafe instance.copyFirstFrame(into: buffer)
            instance.removeFirstFrame()
            // The library has made the checksums itself.
            if length > 0 {
                unsafe receiver.receive(UnsafeRawBufferPointer(rebasing: buffer[..<length]), FrameOffload.verified)
            }
        }
        framesWait.store(false, ordering: .sequentiallyConsistent)
    }
}
