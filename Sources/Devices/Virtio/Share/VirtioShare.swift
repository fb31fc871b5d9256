public import DeviceModel
public import FileSharing
import Synchronization
internal import VirtQueue

/// A folder of the host, shared by 9P2000.L. The specification has no chapter for it; Linux's `virtio_9p.h` says what a
/// driver sees, and the device is QEMU's: one queue, whose buffers are a request and room for its reply.
///
/// Requests are answered on the device's own thread, in their order, and outside of the lock that a processor takes: the
/// host's file system may be slow.
public final class VirtioShare: VirtioDevice {
    /// VIRTIO_9P_MOUNT_TAG: the configuration has the name by which the guest mounts.
    public static let mountTag: UInt64 = 1 << 0
    /// The most bytes of that name, as QEMU has it.
    public static let mostTagBytes = 32
    private static let queueSize: UInt16 = 128
    /// Requests that one turn of the thread answers.
    private static let turnLimit = 32

    private struct State {
        var queue: VirtQueue?
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var isPaused = false
        /// How often the device was reset.
        var generation: UInt64 = 0
    }
    private struct Session {
        let session: ShareSession
        /// The device's when the session was last at its beginning.
        var generation: UInt64 = 0
    }
    private struct Request {
        let bytes: [UInt8]
        let room: Int
        let generation: UInt64
    }
    // Lock order: `session`, `state`. Host calls are made under `session` alone.
    private let session: Mutex<Session>
    private let state = Mutex(State())
    private let configuration: [UInt8]
    private let usage = Atomic<Bool>(false)
    // Made once in `init`, after which it is read only; it needs `self`.
    private let item = Mutex<(any WorkItem)?>(nil)

    /// A device that shares a session's folder under a name of 1 to 32 bytes. The session is the device's from now on.
    public init(tag: String, session: ShareSession, scheduler: any WorkScheduler) {
        let name = Array(tag.utf8.prefix(VirtioShare.mostTagBytes))
        configuration = [UInt8(name.count), 0] + name
        self.session = Mutex(Session(session: session))
        let work = scheduler.makeItem { [weak self] in self?.work() }
        item.withLock { $0 = work }
    }

    public var kind: VirtioDeviceKind { .share }
    public var features: UInt64 { VirtioShare.mountTag }
    public var queueSizes: [UInt16] { [VirtioShare.queueSize] }
    public var configurationCount: Int { configuration.count }
    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        VirtioConfiguration.read(configuration, offset: offset, size: size)
    }

    /// Whether the guest has the folder mounted. Any thread.
    public var isInUse: Bool { usage.load(ordering: .acquiring) }

    public func activate(_ context: consuming VirtioActivation) {
        let (queue, interrupt, memory) = (context.queues[0], context.interrupt, context.memory)
        state.withLock { state in
            state.queue = queue
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
        }
    }

    public func notify(queue: Int) { schedule() }
    private func schedule() { item.withLock { $0 }?.schedule() }

    private func work() {
        let hasMore = session.withLock { work in
            begin(&work, state.withLock { $0.generation })
            for _ in 0..<VirtioShare.turnLimit {
                guard let request = take() else { return false }
                begin(&work, request.generation)
                let reply = work.session.reply(to: request.bytes, room: request.room)
                usage.store(work.session.isInUse, ordering: .releasing)
                give(reply, to: request)
            }
            return true
        }
        if hasMore { schedule() }
    }

    /// Forgets what was before the last reset.
    private func begin(_ work: inout Session, _ generation: UInt64) {
        guard work.generation != generation else { return }
        work.generation = generation
        work.session.reset()
        usage.store(false, ordering: .releasing)
    }

    /// The next request, whose buffer the chain then is; nil where there is none.
    private func take() -> Request? {
        state.withLock { state in
            guard let queue = state.queue, let chain = state.chain, !state.isPaused else { return nil }
            do throws(VirtQueueError) {
                queue.disableNotifications()
                repeat {
                    guard try queue.pop(into: chain) else { continue }
                    return Request(
                        bytes: chain.bytes(at: 0, count: ShareSession.mostBytes), room: chain.writableCount,
                        generation: state.generation)
                } while queue.enableNotifications()
            } catch {
                fail(&state)
            }
            return nil
        }
    }

    /// Writes the reply to the buffer that the request was taken from, unless a reset came between.
    private func give(_ reply: [UInt8]?, to request: Request) {
        state.withLock { state in
            guard state.generation == request.generation, let queue = state.queue, let chain = state.chain else {
                return
            }
            guard let reply else { return fail(&state) }
            queue.push(chain, written: chain.write(at: 0, bytes: reply))
            if queue.needsInterrupt() { state.interrupt?.signalQueue(0) }
        }
    }

    private func fail(_ state: inout State) {
        state.interrupt?.setNeedsReset()
        state.queue?.stop()
    }

    public func reset() {
        state.withLock { state in
            state.queue = nil
            state.interrupt = nil
            state.chain = nil
            state.generation &+= 1
        }
        // What the guest had open is closed on the device's thread.
        schedule()
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        // Waits for the request in progress.
        session.withLock { _ in }
    }
    public func resume() {
        state.withLock { $0.isPaused = false }
        schedule()
    }
    /// Nothing: a machine whose guest has the folder mounted is not saved (`isInUse`).
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try state.requireVersion(1...1) }
}
