internal import HostOS
import Synchronization

/// The doorbells of a virtio device as eventfds, from the moment at which its driver is ready: the guest's write ends in
/// the engine, and the device's thread hears of it. Where the engine hangs none up, writes come as before.
final class VirtioDoorbells: Sendable {
    /// Hangs up these queues' doorbells in place of all that hang.
    typealias Publish = @Sendable (_ bells: [(queue: Int, descriptor: Int32)]) -> Void

    private struct Bell: Sendable {
        let counter: EventCounter
        let source: EventSource
    }
    private struct State: Sendable {
        var bells: [Int: Bell] = [:]
        var isClosed = false
    }
    private weak let core: VirtioCore?
    private let thread: WorkerThread
    private let publish: Publish
    private let state = Mutex(State())

    init(core: VirtioCore, thread: WorkerThread, publish: @escaping Publish) {
        self.core = core
        self.thread = thread
        self.publish = publish
    }

    func connect() {
        let tell: @Sendable (Set<Int>) -> Void = { [weak self] live in self?.follow(live) }
        core?.activity.withLock { $0 = tell }
    }

    /// The device is gone for good.
    func close() {
        state.withLock { $0.isClosed = true }
        follow([])
    }

    /// Hangs up the doorbells of these queues, and takes all others down. With no lock held.
    private func follow(_ live: Set<Int>) {
        let gone = state.withLock { state -> [Bell]? in
            let wanted = state.isClosed ? [] : live
            guard Set(state.bells.keys) != wanted else { return nil }
            let gone = state.bells.filter { !wanted.contains($0.key) }.map(\.value)
            state.bells = state.bells.filter { wanted.contains($0.key) }
            for queue in wanted where state.bells[queue] == nil { state.bells[queue] = make(queue) }
            return gone
        }
        guard let gone else { return }
        let bells = state.withLock { $0.bells }
        publish(bells.sorted { $0.key < $1.key }.map { ($0.key, $0.value.counter.descriptor.rawValue) })
        for bell in gone {
            bell.source.remove()
            // What was rung last is work like any other: a queue that is gone has none.
            bell.counter.take()
        }
    }

    /// A doorbell of a queue; nil where the host has no descriptors left: its writes come with exits then.
    private func make(_ queue: Int) -> Bell? {
        guard let counter = try? EventCounter() else { return nil }
        let owner = Owner(core: core)
        guard let source = try? thread.watch(counter, { owner.core?.notify(UInt64(queue)) }) else { return nil }
        return Bell(counter: counter, source: source)
    }

    private struct Owner: Sendable { weak let core: VirtioCore? }
}
