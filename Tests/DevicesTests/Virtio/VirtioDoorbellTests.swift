import DeviceModel
import Devices
import Glibc
import GuestMemory
import HostOS
import Synchronization
import Testing

/// Doorbells of virtio functions where the engine turns writes into events.
@Suite struct VirtioDoorbellTests {
    /// An engine that hangs doorbells up; the test rings them.
    private final class Bells: DoorbellHost {
        private let hanging = Mutex<[Doorbell]>([])
        func attach(_ doorbell: Doorbell) -> Bool {
            hanging.withLock { $0.append(doorbell) }
            return true
        }
        func detach(_ doorbell: Doorbell) { hanging.withLock { $0.removeAll { $0 == doorbell } } }
        var all: [Doorbell] { hanging.withLock { $0 } }
        func ring(_ doorbell: Doorbell) {
            var one: UInt64 = 1
            // SAFETY: eight bytes on this stack.
            _ = unsafe Glibc.write(doorbell.descriptor, &one, 8)
        }
    }
    private static let (ports, window): (UInt64, UInt64) = (0xC000, 0xE000_0000)

    /// A function with its windows placed and decoded, its thread, and its buses.
    private func make(_ device: CountingDevice, _ bells: Bells, _ thread: WorkerThread) throws -> (VirtioPCI, Bus) {
        let (io, memory) = (Bus(), Bus())
        let pci = PCIBus(spaces: PCISpaces(io: io, memory: memory, doorbells: bells))
        let transport = VirtioPCI(device, memory: try makeMemory(), stateName: "v", doorbells: thread)
        try pci.attach(transport.function, slot: 3)
        let function = transport.function
        function.writeConfiguration(0x10, size: 4, value: UInt32(Self.ports))
        function.writeConfiguration(0x20, size: 4, value: UInt32(Self.window))
        function.writeConfiguration(0x24, size: 4, value: 0)
        function.writeConfiguration(4, size: 2, value: 7)
        return (transport, io)
    }
    private func start(_ io: Bus) {
        for (offset, size, value) in [(18, 1, 3), (4, 4, 1), (14, 2, 1), (8, 4, 0x100), (18, 1, 7)]
            as [(UInt64, Int, UInt64)]
        { io.write(Self.ports + offset, size: size, value: value) }
    }
    private func wait(_ condition: () -> Bool) -> Bool {
        let end = HostClock.monotonic + 60_000_000_000
        while !condition() {
            if HostClock.monotonic > end { return false }
            Bell().wait(nanoseconds: 1_000_000)
        }
        return true
    }

    @Test func queuesThatLiveHaveEventsAndTheDevicesThreadHears() throws {
        let (device, bells) = (CountingDevice(), Bells())
        let thread = try WorkerThread(name: "bells")
        let (transport, io) = try make(device, bells, thread)
        #expect(bells.all == [])
        start(io)
        #expect(device.counts.activations == 1)
        // Queue 1 alone is there: its place in device memory, and its number at the legacy port.
        #expect(bells.all.map(\.address).sorted() == [Self.ports + 16, Self.window + 0x3004])
        #expect(bells.all.allSatisfy { $0.space == .memory ? $0.size == 0 && $0.value == nil : $0.value == 1 })
        let before = device.counts.notifications.count
        for (number, bell) in bells.all.enumerated() {
            bells.ring(bell)
            #expect(wait { device.counts.notifications.count > before + number })
        }
        #expect(device.counts.notifications.suffix(2) == [1, 1])
        // What the thread is asked for otherwise it does as before.
        final class Box: Sendable { let count = Atomic<Int>(0) }
        let box = Box()
        let item = thread.makeItem { box.count.add(1, ordering: .relaxed) }
        for round in 1...100 {
            item.schedule()
            #expect(wait { box.count.load(ordering: .relaxed) >= round })
        }

        // Windows move, and their doorbells with them.
        transport.function.writeConfiguration(0x10, size: 4, value: 0xD000)
        #expect(bells.all.contains { $0.address == 0xD010 } && !bells.all.contains { $0.address == Self.ports + 16 })
        transport.function.writeConfiguration(4, size: 2, value: 0)
        #expect(bells.all == [])
        transport.function.writeConfiguration(4, size: 2, value: 7)
        #expect(bells.all.count == 2)
        // A reset by the driver takes them down, and a new start hangs them up.
        io.write(0xD012, size: 1, value: 0)
        #expect(bells.all == [])
        transport.function.writeConfiguration(0x10, size: 4, value: UInt32(Self.ports))
        start(io)
        #expect(bells.all.count == 2)
        transport.halt()
        #expect(bells.all == [])
        thread.stop()
    }

    @Test func aStateThatComesBringsItsDoorbells() throws {
        let (device, bells) = (CountingDevice(), Bells())
        let thread = try WorkerThread(name: "bells")
        let (transport, io) = try make(device, bells, thread)
        start(io)
        transport.pause()
        let saved = transport.exportState()
        let (other, otherBells) = (CountingDevice(), Bells())
        let (copy, _) = try make(other, otherBells, thread)
        try copy.importState(saved)
        #expect(otherBells.all.map(\.address) == bells.all.map(\.address))
        transport.halt()
        copy.halt()
        thread.stop()
    }
}
