import DeviceModel
import Devices
import Foundation
import GuestMemory
import HostOS
import Synchronization
import TestSupport
import Testing
import VirtQueue

/// The front-end of vhost-user against a back-end that speaks the real protocol, and against ones that lie.
@Suite(.serialized) struct VhostUserTests {
    /// 16 MiB of shared memory at 0.
    static func sharedMemory() throws -> AddressSpace {
        let memory = AddressSpace()
        let file = try Descriptor.memoryFile(name: "ram", count: 16 << 20, canBeSealed: true)
        let block = try RAMBlock(name: "ram", size: 16 << 20, file: file, isShared: true)
        memory.add(FlatView.Range(start: GuestPhysical(0), count: 16 << 20, block: block))
        return memory
    }

    /// A device with its thread, which ends with it.
    final class Rig {
        let memory: AddressSpace
        let thread: WorkerThread
        let device: VhostDevice
        let transport: MMIOTransport

        init(
            _ model: VhostModel, _ peer: VhostUserPeer, rings: VirtioRingOptions = VirtioRingOptions(),
            patience: Int32 = 1500
        ) throws {
            memory = try VhostUserTests.sharedMemory()
            thread = try WorkerThread(name: "vhost-test")
            do {
                device = try VhostDevice(
                    model, peer: .process(peer), memory: memory, thread: thread, name: "d", patience: patience)
            } catch {
                thread.stop()
                throw error
            }
            transport = MMIOTransport(device, memory, rings: rings)
        }
        deinit {
            transport.transport.halt()
            thread.stop()
        }

        /// Gives the device a buffer and waits for it.
        func echo(_ queue: DriverQueue, _ bytes: [UInt8], at place: UInt64 = 0x80000, index: Int = 0) throws -> [UInt8]?
        {
            try memory.write(GuestPhysical(place), bytes: bytes)
            let count = UInt32(bytes.count)
            let id = queue.add(
                readable: [.init(place, 1), .init(place + 1, count - 1)],
                writable: [.init(place + 0x8000, 3), .init(place + 0x9000, count)])
            try #require(id != nil)
            transport.notify(index)
            guard let used = wait(for: queue) else { return nil }
            #expect(used.length == count)
            return try memory.bytes(GuestPhysical(place + 0x8000), count: 3)
                + memory.bytes(GuestPhysical(place + 0x9000), count: bytes.count - 3)
        }
        func wait(for queue: DriverQueue, seconds: Double = 5) -> DriverQueue.Used? {
            let end = Date().addingTimeInterval(seconds)
            while Date() < end {
                if let used = queue.poll() { return used }
                usleep(500)
            }
            return nil
        }
    }

    static func until(_ seconds: Double = 15, _ holds: () -> Bool) -> Bool {
        let end = Date().addingTimeInterval(seconds)
        while Date() < end {
            if holds() { return true }
            usleep(1000)
        }
        return holds()
    }
    private static let files = VhostModel.fileSystem(tag: "t", queueCount: 1, queueSize: 64)

    @Test(arguments: [
        VirtioRingOptions(), VirtioRingOptions(hasIndirect: false, hasEventIndex: false),
        VirtioRingOptions(isPacked: true),
    ]) func buffersGoThereAndBack(_ rings: VirtioRingOptions) throws {
        let (backend, socket) = try VhostBackend.pair()
        let rig = try Rig(Self.files, VhostUserPeer(first: socket), rings: rings)
        let queues = try rig.transport.start(rig.memory, features: UInt64.max)
        let block = try #require(rig.memory.blocks.first)
        for round in 0..<50 {
            let bytes = (0..<(20 + round)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ round) }
            unsafe block.pageFlags[0x89] = 0
            #expect(try rig.echo(queues[round & 1], bytes, index: round & 1) == bytes.map { $0 &+ 1 })
            // What another process wrote is as good as written here: it is saved and shown, and code there is dropped.
            #expect(unsafe block.pageFlags[0x89] & RAMBlock.PageFlag.dirtyMigration != 0)
        }
        #expect(rig.transport.interruptLevel)
        // A reset ends the rings, and the next driver begins anew.
        rig.transport.status = 0
        #expect(backend.requests.filter { $0 == 11 }.count == 2)
        let again = try rig.transport.start(rig.memory, features: UInt64.max)
        #expect(try rig.echo(again[0], [1, 2, 3, 4]) == [2, 3, 4, 5])
    }

    /// A memory module comes: what is in it is the back-end's too, and where there is nothing is still nothing.
    @Test func memoryThatCameLaterIsReached() throws {
        let (backend, socket) = try VhostBackend.pair()
        let rig = try Rig(Self.files, VhostUserPeer(first: socket))
        let queues = try rig.transport.start(rig.memory, features: UInt64.max)
        #expect(try rig.echo(queues[0], [1, 2, 3, 4]) == [2, 3, 4, 5])
        let file = try Descriptor.memoryFile(name: "module", count: 1 << 20, canBeSealed: true)
        let block = try RAMBlock(name: "module", size: 1 << 20, file: file, isShared: true)
        rig.memory.add(FlatView.Range(start: GuestPhysical(1 << 30), count: 1 << 20, block: block))
        #expect(try rig.echo(queues[0], [5, 6, 7, 8], at: 1 << 30) == [6, 7, 8, 9])
        #expect(try rig.echo(queues[1], [1, 1, 2, 2], at: 1 << 30, index: 1) == [2, 2, 3, 3])
        // SET_MEM_TABLE, once for each.
        #expect(backend.requests.filter { $0 == 5 }.count == 2)
        // Memory of this process alone is none that another can have.
        let own = try RAMBlock(name: "own", size: 1 << 20)
        rig.memory.add(FlatView.Range(start: GuestPhysical(2 << 30), count: 1 << 20, block: own))
        #expect(try rig.echo(queues[0], [1, 2, 3, 4], at: 2 << 30) == nil)
        #expect(rig.transport.status & 0x40 != 0)
    }

    @Test func privateMemoryIsRefused() throws {
        let (_, socket) = try VhostBackend.pair()
        let thread = try WorkerThread(name: "vhost-test")
        defer { thread.stop() }
        #expect(throws: VhostError.memoryIsPrivate) {
            _ = try VhostDevice(
                Self.files, peer: .process(VhostUserPeer(first: socket)), memory: try makeMemory(), thread: thread, name: "d")
        }
    }

    @Test func theNextBackendGetsWhatTheLastOneLeft() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("v-\(UUID().uuidString.prefix(8))")
            .path
        let listener = try Socket.listen(try SocketAddress.unix(path), backlog: 4)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try VhostBackend(try Socket.connect(try SocketAddress.unix(path)), holds: true)
        let rig = try Rig(VhostModel.card(.init(address: [])), VhostUserPeer(first: nil, next: .accept(listener)))
        let queues = try rig.transport.start(rig.memory, features: UInt64.max)
        try rig.memory.write(GuestPhysical(0x80000), bytes: [1, 2, 3, 4])
        for place in UInt64(0)..<5 {
            _ = queues[1].add(readable: [.init(0x80000, 4)], writable: [.init(0x90000 + place * 16, 4)])
        }
        rig.transport.notify(1)
        #expect(Self.until { first.requests.contains(18) })
        #expect(rig.transport.configuration(6, 2) == 1)
        first.end()
        // The cable is out while nobody is there.
        #expect(Self.until { rig.transport.configuration(6, 2) == 0 })
        #expect(queues[1].poll() == nil)
        let second = try VhostBackend(try Socket.connect(try SocketAddress.unix(path)))
        for _ in 0..<5 { #expect(rig.wait(for: queues[1])?.length == 4) }
        #expect(try rig.memory.bytes(GuestPhysical(0x90040), count: 4) == [2, 3, 4, 5])
        #expect(Self.until { rig.transport.configuration(6, 2) == 1 } && second.served == 5)
    }

    /// Requests before the device works: every lie ends in an error, none in anything worse.
    @Test(arguments: [UInt32(1), 15, 16, 3, 17, 21]) func liesAtTheBeginningAreErrors(_ request: UInt32) throws {
        for lie in [
            VhostBackend.Lie.mistakes(request), .silent(request), .hangsUp(request), .answer(request, bytes: 7),
            .answer(request, bytes: 4096),
        ] {
            let (backend, socket) = try VhostBackend.pair(lie)
            // Features are asked for before answers can be; then silence is an answer.
            if request == 16, lie == .silent(16) || lie == .mistakes(16) || lie != .hangsUp(16) { continue }
            #expect(throws: VhostError.self, "\(lie)") {
                _ = try Rig(
                    VhostModel.fileSystem(tag: "t", queueCount: 1, queueSize: 64), VhostUserPeer(first: socket), patience: 300)
            }
            backend.end()
        }
    }

    /// Lies while it works: the guest loses its device, its processors never wait for long.
    @Test(arguments: [
        VhostBackend.Lie.mistakes(5), .silent(8), .hangsUp(9), .answer(13, bytes: 3), .answer(12, bytes: 8),
        .badBuffer(5), .badBuffer(0xFFFF_FFFF), .badBuffer(64), .badIndex, .speaks, .hangsUp(18),
    ]) func liesLaterCostTheDevice(_ lie: VhostBackend.Lie) throws {
        let (backend, socket) = try VhostBackend.pair(lie)
        let rig = try Rig(Self.files, VhostUserPeer(first: socket))
        let queues = try rig.transport.start(rig.memory)
        try rig.memory.write(GuestPhysical(0x80000), bytes: [1, 2, 3, 4])
        _ = queues[0].add(readable: [.init(0x80000, 4)], writable: [.init(0x90000, 4)])
        rig.transport.notify(0)
        #expect(Self.until { !rig.device.hasBackend }, "\(lie)")
        let start = Date()
        rig.transport.status = 0
        #expect(Date().timeIntervalSince(start) < 8)
        // The driver may begin again, with nobody there.
        _ = try rig.transport.start(rig.memory)
        #expect(rig.transport.status == 0xF)
        backend.end()
    }

    @Test func aSilentEndIsNotWaitedForLong() throws {
        let (backend, socket) = try VhostBackend.pair(.silent(11))
        let rig = try Rig(Self.files, VhostUserPeer(first: socket))
        let queues = try rig.transport.start(rig.memory)
        #expect(try rig.echo(queues[0], [1, 2, 3, 4]) == [2, 3, 4, 5])
        let start = Date()
        rig.transport.status = 0
        #expect(Date().timeIntervalSince(start) < 8 && !rig.device.hasBackend)
        backend.end()
    }

    @Test func aCardIsSavedWithWhatItsBackendHas() throws {
        let (backend, socket) = try VhostBackend.pair(holds: true)
        let model = VhostModel.card(.init(address: [2, 0, 0, 0, 0, 1]))
        let rig = try Rig(model, VhostUserPeer(first: socket))
        let queues = try rig.transport.start(rig.memory)
        try rig.memory.write(GuestPhysical(0x80000), bytes: [1, 2, 3, 4])
        for place in UInt64(0)..<4 {
            _ = queues[0].add(readable: [.init(0x80000, 4)], writable: [.init(0x90000 + place * 16, 4)])
        }
        rig.transport.notify(0)
        #expect(Self.until { backend.requests.contains(18) })
        rig.transport.transport.pause()
        let state = rig.transport.transport.exportState()
        backend.end()
        // Elsewhere, the next back-end gets the four buffers again.
        let (other, otherSocket) = try VhostBackend.pair()
        let thread = try WorkerThread(name: "vhost-test")
        let device = try VhostDevice(
            model, peer: .process(VhostUserPeer(first: otherSocket)), memory: rig.memory, thread: thread, name: "e", patience: 1500
        )
        let transport = MMIOTransport(device, rig.memory)
        transport.transport.pause()
        try transport.transport.importState(state)
        transport.transport.resume()
        for _ in 0..<4 { #expect(rig.wait(for: queues[0])?.length == 4) }
        #expect(other.served == 4)
        transport.transport.halt()
        thread.stop()
        other.end()
    }

    @Test func pairsOfQueuesAreEnabledAsTheDriverWantsThem() throws {
        let (backend, socket) = try VhostBackend.pair()
        var card = VhostModel.Card(address: [2, 0, 0, 0, 0, 1])
        card.pairs = 2
        let rig = try Rig(VhostModel.card(card), VhostUserPeer(first: socket))
        let queues = try rig.transport.start(rig.memory, features: UInt64.max)
        #expect(queues.count == 5)
        #expect(Self.until { backend.state.withLock { $0.enabled } == [0: true, 1: true, 2: false, 3: false] })
        func command(_ bytes: [UInt8]) throws -> UInt8? {
            try rig.memory.write(GuestPhysical(0xA0000), bytes: bytes + [0xFF])
            _ = queues[4].add(
                readable: [.init(0xA0000, UInt32(bytes.count))], writable: [.init(0xA0000 + UInt64(bytes.count), 1)])
            rig.transport.notify(4)
            guard rig.wait(for: queues[4]) != nil else { return nil }
            return try rig.memory.bytes(GuestPhysical(0xA0000 + UInt64(bytes.count)), count: 1)[0]
        }
        #expect(try command([4, 0, 2, 0]) == 0)
        #expect(Self.until { backend.state.withLock { $0.enabled } == [0: true, 1: true, 2: true, 3: true] })
        #expect(try command([4, 0, 3, 0]) == 1)
        #expect(try command([4, 0, 0, 0]) == 1)
        #expect(try command([1, 1, 2, 3, 4, 5, 6, 7]) == 0)
        #expect(rig.transport.configuration(0, 4) == 0x0504_0302)
        #expect(try command([9]) == 1)
        backend.end()
    }

    @Test func theConfigurationIsTheBackends() throws {
        let (backend, socket) = try VhostBackend.pair()
        backend.state.withLock { $0.configuration[0] = 0x42 }
        let rig = try Rig(
            VhostModel.block(queueCount: 2, queueSize: 64, writeCacheControl: true), VhostUserPeer(first: socket))
        #expect(rig.transport.configuration(0, 4) == 0x42 && rig.transport.configuration(34, 2) == 2)
        _ = try rig.transport.start(rig.memory)
        // It says that the configuration has changed, and is answered; what else it says is refused.
        let channel = try #require(backend.state.withLock { $0.channel })
        backend.state.withLock { $0.configuration[0] = 0x43 }
        for (request, answer) in [(UInt8(2), UInt8(0)), (3, 1), (77, 1)] {
            try channel.writeAll([request, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
            var bytes: [UInt8] = []
            #expect(
                Self.until {
                    bytes += (try? channel.readAvailable(limit: 100)) ?? []
                    return bytes.count >= 20
                })
            #expect(bytes.prefix(13) == [request, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, answer])
        }
        #expect(Self.until { rig.transport.configuration(0, 4) == 0x43 })
        // The guest writes its own.
        rig.transport.setConfiguration(32, 1, 1)
        #expect(backend.state.withLock { $0.bodies[25] } == [32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1])
        // Nonsense on the channel ends the channel, and nothing else.
        try channel.writeAll([UInt8](repeating: 0xEE, count: 64))
        rig.transport.setConfiguration(32, 1, 0)
        #expect(rig.device.hasBackend)
        backend.end()
    }

    @Test func nonsenseOfDriversAndBackends() throws {
        var random = SplitMix64(state: 77)
        for round in 0..<FuzzRounds.times(40) {
            let (backend, socket) = try VhostBackend.pair()
            let rig = try Rig(Self.files, VhostUserPeer(first: socket), patience: 1500)
            let queues = try rig.transport.start(rig.memory, features: random.next())
            for _ in 0..<8 {
                let index = Int(random.next() % 2)
                func piece() -> DriverQueue.Piece {
                    .init(
                        random.next() % 3 == 0 ? random.next() : random.next() % (15 << 20),
                        UInt32(random.next() % 9000))
                }
                _ = queues[index].add(
                    readable: (0..<random.next() % 4).map { _ in piece() },
                    writable: (0..<random.next() % 4).map { _ in piece() })
                if random.next() % 4 == 0 {
                    let place = 0x10000 * UInt64(index + 1) + random.next() % 0x160 & ~1
                    try rig.memory.store(GuestPhysical(place), UInt16(truncatingIfNeeded: random.next()))
                }
                rig.transport.notify(index)
                if random.next() % 4 == 0 {
                    rig.transport.transport.pause()
                    try rig.transport.transport.importState(rig.transport.transport.exportState())
                    rig.transport.transport.resume()
                }
            }
            if round % 4 == 0 {
                // Bytes that are no protocol.
                let noise = (0..<Int(random.next() % 200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                backend.shout(noise)
            }
            rig.transport.status = 0
            if rig.device.hasBackend {
                let fresh = try rig.transport.start(rig.memory)
                if rig.device.hasBackend, round % 4 != 0 {
                    #expect(try rig.echo(fresh[0], [1, 2, 3, 4]) == [2, 3, 4, 5])
                }
            }
            backend.end()
        }
    }
}
