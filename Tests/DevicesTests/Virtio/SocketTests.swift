import DeviceModel
import Devices
import Foundation
import GuestMemory
import HostOS
import TestSupport
import Testing
import VirtQueue

/// Sockets between guest and host: a driver's packets at one end, Unix sockets at the other.
@Suite(.serialized) struct SocketTests {
    struct Packet: Equatable {
        var source: UInt64 = 3
        var destination: UInt64 = 2
        var sourcePort: UInt32
        var destinationPort: UInt32
        var type: UInt16 = 1
        var operation: UInt16
        var flags: UInt32 = 0
        var room: UInt32 = 65536
        var taken: UInt32 = 0
        var data: [UInt8] = []
        /// What it says of its length, where that is not the truth.
        var claims: UInt32?

        init(_ operation: UInt16, from: UInt32, to: UInt32, _ data: [UInt8] = []) {
            (self.operation, sourcePort, destinationPort, self.data) = (operation, from, to, data)
        }
        init(_ bytes: [UInt8]) {
            func number(_ offset: Int, _ count: Int) -> UInt64 {
                (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8) }
            }
            source = number(0, 8)
            destination = number(8, 8)
            sourcePort = UInt32(number(16, 4))
            destinationPort = UInt32(number(20, 4))
            type = UInt16(number(28, 2))
            operation = UInt16(number(30, 2))
            flags = UInt32(number(32, 4))
            room = UInt32(number(36, 4))
            taken = UInt32(number(40, 4))
            data = Array(bytes.dropFirst(44))
        }
        var bytes: [UInt8] {
            func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
                (0..<MemoryLayout.size(ofValue: value)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
            }
            return bytes(source) + bytes(destination) + bytes(sourcePort) + bytes(destinationPort)
                + bytes(claims ?? UInt32(data.count)) + bytes(type) + bytes(operation) + bytes(flags) + bytes(room)
                + bytes(taken) + data
        }
    }

    /// A device with a driver that gives it buffers.
    final class Rig {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("s-\(UUID().uuidString.prefix(8))")
            .path
        let memory: AddressSpace
        let thread: WorkerThread
        let device: VirtioSocket
        let transport: MMIOTransport
        var queues: [DriverQueue] = []
        private var places: [UInt16: UInt64] = [:]
        private var turn: UInt64 = 0

        init(receiveBuffers: Int = 8) throws {
            memory = try makeMemory()
            thread = try WorkerThread(name: "vsock-test")
            device = try VirtioSocket(guest: 3, path: path, thread: thread)
            transport = MMIOTransport(device, memory)
            queues = try transport.start(memory, size: 32)
            for number in 0..<receiveBuffers { give(0x20_0000 + UInt64(number) * 0x2000) }
            transport.notify(0)
        }
        deinit {
            transport.transport.halt()
            thread.stop()
        }
        private func give(_ place: UInt64) {
            if let id = queues[0].add(readable: [], writable: [.init(place, 44), .init(place + 0x100, 4096)]) {
                places[id] = place
            }
        }
        func send(_ packet: Packet) throws {
            turn += 1
            let place = 0x40_0000 + (turn % 16) * 0x20000
            try memory.write(GuestPhysical(place), bytes: packet.bytes)
            while queues[1].poll() != nil {}
            _ = queues[1].add(
                readable: [.init(place, 44)]
                    + (packet.data.isEmpty
                        ? [] : [.init(place + 44, UInt32(packet.data.count))]),
                writable: [])
            transport.notify(1)
        }
        /// The next packet for the guest; nil after the time.
        func receive(_ seconds: Double = 3) throws -> Packet? {
            let end = Date().addingTimeInterval(seconds)
            repeat {
                if let used = queues[0].poll(), let place = places[used.id] {
                    let bytes =
                        try memory.bytes(GuestPhysical(place), count: 44)
                        + memory.bytes(GuestPhysical(place + 0x100), count: max(0, Int(used.length) - 44))
                    give(place)
                    transport.notify(0)
                    return Packet(bytes)
                }
                if seconds > 0 { usleep(300) }
            } while Date() < end
            return nil
        }
        func client() throws -> Descriptor { try Socket.connect(try SocketAddress.unix(path)) }
    }

    /// What a socket brings until there are `count` bytes, or its end.
    static func read(_ socket: Descriptor, _ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard !socket.wait(for: [.read], milliseconds: 3000).isEmpty else { break }
            // A connection that is ended with something unread in it ends with an error.
            guard let more = try? socket.readAvailable(limit: count - bytes.count) else { break }
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    @Test func theHostConnectsToAPortOfTheGuest() throws {
        let rig = try Rig()
        #expect(rig.transport.configuration(0, 4) == 3 && rig.transport.configuration(4, 4) == 0)
        let client = try rig.client()
        try client.writeAll(Array("CONNECT 1234\nhello".utf8))
        let request = try #require(try rig.receive())
        #expect(request.operation == 1 && request.destinationPort == 1234 && request.source == 2)
        let port = request.sourcePort
        try rig.send(Packet(2, from: 1234, to: port))
        #expect(try Self.read(client, "OK \(port)\n".utf8.count) == Array("OK \(port)\n".utf8))
        let data = try #require(try rig.receive())
        #expect(data.operation == 5 && data.data == Array("hello".utf8))
        try rig.send(Packet(5, from: 1234, to: port, Array("answer".utf8)))
        #expect(try Self.read(client, 6) == Array("answer".utf8))
        // The guest wants to know how much room there is.
        try rig.send(Packet(7, from: 1234, to: port))
        let credit = try #require(try rig.receive())
        #expect(credit.operation == 6 && credit.taken == 6 && credit.room > 0)
        // It ends what it sends; then all.
        var half = Packet(4, from: 1234, to: port)
        half.flags = 2
        try rig.send(half)
        #expect(try Self.read(client, 1) == [])
        half.flags = 3
        try rig.send(half)
        #expect(try rig.receive()?.operation == 3)
    }

    @Test func theGuestConnectsToAProgramOfTheHost() throws {
        let rig = try Rig()
        let listener = try Socket.listen(try SocketAddress.unix("\(rig.path)_80"), backlog: 2)
        defer { try? FileManager.default.removeItem(atPath: "\(rig.path)_80") }
        try rig.send(Packet(1, from: 5000, to: 80))
        #expect(try rig.receive()?.operation == 2)
        let server = try #require(try Socket.accept(listener))
        // More than the guest has room for: it comes as there is room.
        let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        Thread.detachNewThread {
            try? server.writeAll(content); Socket.endOutput(server)
        }
        var got: [UInt8] = []
        var update = Packet(6, from: 5000, to: 80)
        var ended = false
        while let packet = try rig.receive() {
            if packet.operation == 4 {
                ended = true
                #expect(packet.flags == 2)
                break
            }
            #expect(packet.operation == 5)
            got += packet.data
            #expect(got.count - Int(update.taken) <= 65536)
            if got.count - Int(update.taken) > 32768 {
                update.taken = UInt32(got.count)
                try rig.send(update)
            }
        }
        #expect(ended && got == content)
        // Nobody listens at another port.
        try rig.send(Packet(1, from: 5001, to: 81))
        let refusal = try #require(try rig.receive())
        #expect(refusal.operation == 3 && refusal.destinationPort == 5001 && refusal.sourcePort == 81)
    }

    @Test func whatIsNoConnectionIsReset() throws {
        let rig = try Rig()
        for operation in [UInt16(2), 4, 5, 6, 7, 0, 99] {
            try rig.send(Packet(operation, from: 7, to: 8))
            #expect(try rig.receive()?.operation == 3, "\(operation)")
        }
        // A reset is not answered, nor are other addresses reached.
        try rig.send(Packet(3, from: 7, to: 8))
        var other = Packet(1, from: 7, to: 8)
        other.destination = 4
        try rig.send(other)
        #expect(try rig.receive()?.source == 4)
        other.destination = 2
        other.source = 9
        try rig.send(other)
        #expect(try rig.receive()?.operation == 3)
        other.source = 3
        other.type = 2
        try rig.send(other)
        let refusal = try #require(try rig.receive())
        #expect(refusal.operation == 3 && refusal.type == 2)
        #expect(try rig.receive(0.05) == nil)
    }

    @Test func clientsThatSayNothingUsefulAreLetGo() throws {
        let rig = try Rig()
        for text in [
            "\n", "CONNECT\n", "CONNECT x\n", "CONNECT 4294967296\n", "GET / HTTP/1.1\n",
            String(repeating: "C", count: 40),
        ] {
            let client = try rig.client()
            try client.writeAll(Array(text.utf8))
            #expect(try Self.read(client, 1) == [], "\(text)")
        }
        #expect(try rig.receive(0.05) == nil)
        // One that the guest refuses hears nothing but the end.
        let client = try rig.client()
        try client.writeAll(Array("connect 9\n".utf8))
        let request = try #require(try rig.receive())
        try rig.send(Packet(3, from: 9, to: request.sourcePort))
        #expect(try Self.read(client, 1) == [])
    }

    @Test func moreThanThereIsRoomForEndsTheConnection() throws {
        let rig = try Rig()
        let listener = try Socket.listen(try SocketAddress.unix("\(rig.path)_80"), backlog: 2)
        defer { try? FileManager.default.removeItem(atPath: "\(rig.path)_80") }
        try rig.send(Packet(1, from: 5000, to: 80))
        #expect(try rig.receive()?.operation == 2)
        // Nobody reads: what a Unix socket holds and what waits here is all there is.
        var packets = 0
        while packets < 200, try rig.receive(0) == nil {
            try rig.send(Packet(5, from: 5000, to: 80, [UInt8](repeating: 7, count: 60_000)))
            packets += 1
            usleep(500)
        }
        #expect(packets < 60)
        _ = listener
        var lying = Packet(1, from: 5002, to: 80)
        try rig.send(lying)
        while let packet = try rig.receive(), packet.operation != 2 {}
        lying = Packet(5, from: 5002, to: 80, [1, 2, 3])
        lying.claims = 5000
        try rig.send(lying)
        #expect(try rig.receive()?.operation == 3)
    }

    @Test func aMachineThatGoesOnElsewhereTellsItsDriver() throws {
        let rig = try Rig()
        _ = rig.queues[2].add(readable: [], writable: [.init(0x60_0000, 8)])
        rig.transport.notify(2)
        rig.transport.transport.pause()
        let state = rig.transport.transport.exportState()
        #expect(rig.queues[2].poll() == nil)
        try rig.transport.transport.importState(state)
        rig.transport.transport.resume()
        let end = Date().addingTimeInterval(3)
        var used: DriverQueue.Used?
        while used == nil, Date() < end {
            used = rig.queues[2].poll()
            usleep(500)
        }
        #expect(used?.length == 4)
        #expect(try rig.memory.bytes(GuestPhysical(0x60_0000), count: 4) == [0, 0, 0, 0])
        // And it works on.
        try rig.send(Packet(5, from: 7, to: 8))
        #expect(try rig.receive()?.operation == 3)
    }

    @Test func nonsenseOfGuestsAndClients() throws {
        var random = SplitMix64(state: 5)
        let rig = try Rig()
        let listener = try Socket.listen(try SocketAddress.unix("\(rig.path)_1"), backlog: 16)
        defer { try? FileManager.default.removeItem(atPath: "\(rig.path)_1") }
        var clients: [Descriptor] = []
        for _ in 0..<FuzzRounds.times(3000) {
            var packet = Packet(
                UInt16(random.next() % 9), from: UInt32(random.next() % 3), to: UInt32(random.next() % 3),
                [UInt8](repeating: 1, count: Int(random.next() % 200)))
            if random.next() % 8 == 0 { packet.claims = UInt32(truncatingIfNeeded: random.next()) }
            if random.next() % 16 == 0 { packet.type = UInt16(truncatingIfNeeded: random.next()) }
            packet.flags = UInt32(random.next() % 4)
            packet.room = UInt32(truncatingIfNeeded: random.next())
            packet.taken = UInt32(truncatingIfNeeded: random.next())
            try rig.send(packet)
            if random.next() % 50 == 0, clients.count < 40 {
                // A queue of clients that is full refuses.
                if let client = try? rig.client() {
                    try? client.writeAll(Array("CONNECT 1\n".utf8))
                    clients.append(client)
                }
            }
            if random.next() % 3 == 0 { while try rig.receive(0) != nil {} }
            if random.next() % 60 == 0, let socket = try Socket.accept(listener) { clients.append(socket) }
        }
        while try rig.receive(0.1) != nil {}
        // A new driver finds a device that works.
        rig.transport.status = 0
        rig.queues = try rig.transport.start(rig.memory, size: 32)
        #expect(rig.transport.status == 0xF)
        for socket in clients { _ = try? Self.read(socket, 0) }
    }
}
