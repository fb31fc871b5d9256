internal import HostOS
internal import Log
import Synchronization
internal import VirtQueue

// Beginning and ending: memory, rings and events of a back-end that works.
extension VhostUserDevice {
    /// Begins where the guest's driver and a back-end are there and nothing is in the way. On the device's thread.
    func startWhereDue() {
        let isRunning = front.withLock { front -> Bool in
            guard let activation = front.activation, let backend = front.backend, !front.isPaused, !front.hasEnded,
                !front.isRunning
            else { return front.isRunning }
            do throws(VhostUserError) {
                try start(&front, activation, backend)
                front.isRunning = true
            } catch { lose(&front, error) }
            return front.isRunning
        }
        guard isRunning else { return }
        for relay in relays { relay.forward() }
    }

    private func start(
        _ front: inout Front, _ activation: Activation, _ backend: VhostUserBackend
    ) throws(VhostUserError) {
        let connection = backend.connection
        let hasTables = backend.features & VirtioFeature.indirect != 0
        let version = activation.features & VirtioFeature.version1
        guard backend.features & version == version else { throw .lacks("virtio 1.0 (VIRTIO_F_VERSION_1)") }
        var features = activation.features & model.shared & backend.features | version
        if hasTables { features |= VirtioFeature.indirect }
        features |= backend.features & VhostUserFeature.negotiation
        try connection.tell(.setFeatures, VhostUserBytes.of(features))

        // The rings, in memory of their own that nobody has seen before.
        let table = try VhostUserMemory(memory)
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
        let (body, descriptors) = table.table(rings: rings.file, count: UInt64(rings.count))
        try connection.tell(.setMemoryTable, body, passing: descriptors)
        front.table = table

        for (relay, start, size) in places {
            let ring = RelayRing(rings, start: start, size: size, hasTables: hasTables)
            try begin(relay, ring, connection, &front)
            relay.start(ring, table)
        }
        try enable(front.pairs, connection, backend, activation, places.map(\.relay.index))
    }

    /// Tells the back-end of one ring.
    private func begin(
        _ relay: RelayQueue, _ ring: RelayRing, _ connection: VhostUserConnection, _ front: inout Front
    ) throws(VhostUserError) {
        let index = UInt32(relay.index)
        try connection.tell(.setRingSize, VhostUserBytes.of(index, UInt32(ring.size)))
        try connection.tell(.setRingBase, VhostUserBytes.of(index, 0))
        var address = VhostUserBytes.of(index, 0)
        for place in [ring.descriptors, ring.usedRing, ring.availableRing, 0] { address += VhostUserBytes.of(place) }
        try connection.tell(.setRingAddress, address)
        relay.call.take()
        do throws(HostError) {
            front.calls.append(
                try thread.watch(relay.call) { [weak self, weak relay] in
                    guard let self, let relay else { return }
                    self.complete(relay)
                })
        } catch { throw .host("\(error)") }
        let number = VhostUserBytes.of(UInt64(index))
        try connection.tell(.setRingCall, number, passing: [relay.call.descriptor])
        try connection.tell(.setRingKick, number, passing: [relay.kick.descriptor])
    }

    private func enable(
        _ pairs: Int, _ connection: VhostUserConnection, _ backend: VhostUserBackend, _ activation: Activation,
        _ queues: [Int]
    ) throws(VhostUserError) {
        // Without protocol features rings work from their kick on.
        guard backend.features & VhostUserFeature.negotiation != 0 else { return }
        for index in queues {
            let isOn = !model.hasLink || index < pairs * 2
            try connection.tell(.setRingEnable, VhostUserBytes.of(UInt32(index), isOn ? 1 : 0))
        }
    }

    /// So many pairs of a card's queues are to be in use.
    func setPairs(_ pairs: Int) {
        front.withLock { front in
            front.pairs = pairs
            guard front.isRunning, let activation = front.activation, let backend = front.backend else { return }
            let queues = relays.prefix(activation.count).filter { $0.size != nil }.map(\.index)
            do throws(VhostUserError) {
                try enable(pairs, backend.connection, backend, activation, queues)
            } catch { lose(&front, error) }
        }
    }

    /// Buffers have come back; a back-end that returns nonsense is one that has gone.
    private func complete(_ relay: RelayQueue) {
        do throws(VhostUserError) { try relay.complete() } catch {
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
        if let connection = front.backend?.connection {
            do throws(VhostUserError) {
                for relay in relays where relay.isStarted {
                    let body = VhostUserBytes.of(UInt32(relay.index), 0)
                    _ = try connection.ask(.getRingBase, body, counts: 8...8)
                }
                for relay in relays { try relay.complete() }
            } catch { lose(&front, error) }
        }
        for relay in relays { relay.stop() }
    }
}
