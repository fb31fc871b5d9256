internal import HostOS
internal import Log
import Synchronization
internal import VirtQueue

// Beginning and ending: memory, rings and events of a back-end that works.
extension VhostDevice {
    /// Begins where the guest's driver and a back-end are there and nothing is in the way. On the device's thread.
    func startWhereDue() {
        let isRunning = front.withLock { front -> Bool in
            guard let activation = front.activation, let backend = front.backend, !front.isPaused, !front.hasEnded,
                !front.isRunning
            else { return front.isRunning }
            do throws(VhostError) {
                try start(&front, activation, backend)
                front.isRunning = true
            } catch { lose(&front, error) }
            return front.isRunning
        }
        guard isRunning else { return }
        for relay in relays where relay.forward() { scheduleRemap() }
    }

    /// A buffer is where the back-end sees nothing: memory has been plugged in since it was told, which it is now, or there
    /// is none that it can have.
    func remap() {
        let isNew = front.withLock { front -> Bool in
            guard front.isRunning, let backend = front.backend else { return true }
            guard let table = try? backend.reach(memory), front.table?.isSame(as: table) != true else { return false }
            stop(&front)
            return true
        }
        if isNew { startWhereDue() } else { for relay in relays { relay.failMemory() } }
    }

    private func start(
        _ front: inout Front, _ activation: Activation, _ backend: any VhostBackend
    ) throws(VhostError) {
        let hasTables = backend.features & VirtioFeature.indirect != 0
        let version = activation.features & VirtioFeature.version1
        guard backend.features & version == version else { throw .lacks("virtio 1.0 (VIRTIO_F_VERSION_1)") }
        var features = activation.features & model.shared & backend.features | version
        if hasTables { features |= VirtioFeature.indirect }
        try backend.setFeatures(features)

        // The rings, in memory of their own that nobody has seen before.
        let table = try backend.reach(memory)
        var places: [(relay: RelayQueue, start: Int, size: UInt16)] = []
        var count = 0
        for relay in relays.prefix(activation.count) {
            guard let wanted = relay.size else { continue }
            // Packed rings may have any size; those of the back-end are split.
            var size: UInt16 = 2
            while size < wanted { size *= 2 }
            places.append((relay, count, size))
            count += RelayRing.bytes(size: size, hasTables: hasTables)
        }
        let rings: RingMemory
        do throws(HostError) { rings = try RingMemory(count: count) } catch { throw .host("\(error)") }
        try backend.setMemory(table, rings)
        front.table = table

        for (relay, start, size) in places {
            let ring = RelayRing(rings, start: start, size: size, hasTables: hasTables)
            relay.call.take()
            do throws(HostError) {
                front.calls.append(
                    try thread.watch(relay.call) { [weak self, weak relay] in
                        guard let self, let relay else { return }
                        self.complete(relay)
                    })
            } catch { throw .host("\(error)") }
            try backend.begin(relay.index, ring, kick: relay.kick.descriptor, call: relay.call.descriptor)
            relay.start(ring, table)
        }
        try backend.run()
        try enable(front)
    }

    /// Has the back-end work those rings that the guest uses: of a card, so many pairs while its cable is in.
    func enable(_ front: Front) throws(VhostError) {
        guard let backend = front.backend else { return }
        let most = !model.hasLink ? Int.max : settings.withLock({ $0.isPlugged }) ? front.pairs * 2 : 0
        for relay in relays where relay.isStarted { try backend.setEnabled(relay.index, relay.index < most) }
    }

    /// So many pairs of a card's queues are to be in use.
    func setPairs(_ pairs: Int) {
        front.withLock { front in
            front.pairs = pairs
            enableWhereRunning(&front)
        }
    }

    func enableWhereRunning(_ front: inout Front) {
        guard front.isRunning else { return }
        do throws(VhostError) { try enable(front) } catch { lose(&front, error) }
    }

    /// Buffers have come back; a back-end that returns nonsense is one that has gone.
    private func complete(_ relay: RelayQueue) {
        do throws(VhostError) { if try relay.complete() { scheduleRemap() } } catch {
            let error = error
            front.withLock { lose(&$0, error) }
        }
    }

    /// Has the back-end stop, and takes back what it has done by then. When this returns it uses guest memory no more,
    /// unless it is one that does not do as it is told.
    func stop(_ front: inout Front) {
        guard front.isRunning else { return }
        front.isRunning = false
        for source in front.calls { source.remove() }
        front.calls = []
        if let backend = front.backend {
            do throws(VhostError) {
                for relay in relays where relay.isStarted { try backend.end(relay.index) }
                for relay in relays { _ = try relay.complete() }
            } catch { lose(&front, error) }
        }
        for relay in relays { relay.stop() }
    }
}
