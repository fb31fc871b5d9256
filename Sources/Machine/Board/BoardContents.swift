internal import DeviceModel
internal import Devices
internal import Synchronization

/// The parts of a board that change while its machine is there: what is plugged in comes, and goes again.
final class BoardContents: Sendable {
    struct Parts: Sendable {
        var devices: [any Device]
        var workers: [WorkerThread]
        var tree: [(bus: String, node: DeviceNode)]
        var networkStatus: [NetworkStatus]
        var cards: [(name: String, backend: String?, card: any NetworkCard)]
        var disks: [(name: String, device: VirtioBlock)]
        var scsiHosts: [(name: String, host: VirtioSCSI)]
        var ioThreads: [(id: String, thread: WorkerThread)]
    }
    private let state: Mutex<Parts>

    init(_ builder: BoardBuilder) { state = Mutex(Self.parts(builder)) }

    /// What there is now.
    var parts: Parts { state.withLock { $0 } }

    /// Takes over what a builder has now.
    func update(_ builder: BoardBuilder) {
        let parts = Self.parts(builder)
        state.withLock { $0 = parts }
    }

    private static func parts(_ builder: BoardBuilder) -> Parts {
        Parts(
            devices: builder.devices, workers: builder.workers, tree: builder.tree,
            networkStatus: builder.networkStatus, cards: builder.cards, disks: builder.disks,
            scsiHosts: builder.scsiBuses.map { ($0.name, $0.host) }, ioThreads: builder.ioThreads)
    }
}
