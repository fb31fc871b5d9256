import DeviceModel
import Devices
import GuestMemory
import Synchronization
import Testing
import VirtQueue

/// A back-end that keeps what it is given and gives what a test says.
final class FakeCharacters: CharacterPort {
    private struct State {
        var output: [UInt8] = []
        var waiting: [UInt8] = []
        var receiver: (any CharacterReceiver)?
    }
    private let state = Mutex(State())
    var output: String { state.withLock { String(decoding: $0.output, as: UTF8.self) } }
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    func write(_ bytes: [UInt8]) { state.withLock { $0.output += bytes } }
    func setReceiver(_ receiver: (any CharacterReceiver)?) { state.withLock { $0.receiver = receiver } }
    func acceptInput() {
        while let receiver = state.withLock({ $0.receiver }) {
            let room = receiver.receiveCapacity()
            let bytes = state.withLock { state in
                let bytes = Array(state.waiting.prefix(room))
                state.waiting.removeFirst(bytes.count)
                return bytes
            }
            if bytes.isEmpty { return }
            receiver.receive(bytes)
        }
    }
    func type(_ text: String) {
        state.withLock { $0.waiting += Array(text.utf8) }
        acceptInput()
    }
}

/// What was heard of a port.
private final class Opened: Sendable {
    private let state = Mutex<[Bool]>([])
    var list: [Bool] { state.withLock { $0 } }
    func note(_ isOpen: Bool) { state.withLock { $0.append(isOpen) } }
}

@Suite struct ConsoleTests {
    private func text(_ memory: AddressSpace, _ address: UInt64, _ count: UInt32) throws -> String {
        String(decoding: try memory.bytes(GuestPhysical(address), count: Int(count)), as: UTF8.self)
    }

    @Test(arguments: Road.allCases) func singlePort(_ road: Road) throws {
        let memory = try makeMemory()
        let backend = FakeCharacters()
        let device = VirtioConsole(
            .init(maxPorts: 1), ports: [.init(id: 0, isConsole: true, backend: backend)], scheduler: InlineScheduler())
        let transport = try road.make(device, memory)
        backend.type("early")
        #expect(backend.waitingCount == 5, "Nobody is there to take it")
        let queues = try transport.start(memory)
        #expect(queues.count == 2)

        try memory.write(GuestPhysical(0x80000), bytes: Array("hello world".utf8))
        _ = queues[1].add(readable: [.init(0x80000, 6), .init(0x80006, 5)], writable: [])
        transport.notify(1)
        #expect(backend.output == "hello world" && queues[1].poll()?.length == 0)

        _ = queues[0].add(readable: [], writable: [.init(0x90000, 3)])
        _ = queues[0].add(readable: [], writable: [.init(0x91000, 100)])
        transport.notify(0)
        #expect(queues[0].poll()?.length == 3 && queues[0].poll()?.length == 2)
        #expect(try text(memory, 0x90000, 3) + text(memory, 0x91000, 2) == "early")
        #expect(transport.takeInterrupt() == 1)
    }

    @Test func inputWaitsAndIsBounded() throws {
        let memory = try makeMemory()
        let backend = FakeCharacters()
        let device = VirtioConsole(
            .init(maxPorts: 1), ports: [.init(id: 0, isConsole: true, backend: backend)], scheduler: InlineScheduler())
        let transport = MMIOTransport(device, memory)
        let queues = try transport.start(memory)
        backend.type(String(repeating: "x", count: 10_000))
        #expect(backend.waitingCount == 10_000 - 4096)
        var total = 0
        while total < 10_000 {
            try #require(queues[0].add(readable: [], writable: [.init(0x90000, 1000)]) != nil)
            transport.notify(0)
            total += Int(try #require(queues[0].poll()).length)
        }
        #expect(total == 10_000 && backend.waitingCount == 0)
    }

    @Test func manyPorts() throws {
        let memory = try makeMemory()
        let console = FakeCharacters()
        let agent = FakeCharacters()
        let opened = Opened()
        let device = VirtioConsole(
            ports: [
                .init(id: 0, isConsole: true, backend: console),
                .init(
                    id: 1, name: "org.apus.agent", isConsole: false, backend: agent, onGuestOpen: { opened.note($0) }),
            ], scheduler: InlineScheduler())
        let transport = MMIOTransport(device, memory)
        let queues = try transport.start(memory, features: 2)
        #expect(queues.count == 64 && transport.configuration(4, 4) == 31)
        for index in 0..<10 {
            _ = queues[2].add(readable: [], writable: [.init(0x80_0000 + UInt64(index) * 64, 64)])
        }
        func send(_ id: UInt32, _ event: UInt16, _ value: UInt16) throws {
            try memory.store(GuestPhysical(0x90_0000), id)
            try memory.store(GuestPhysical(0x90_0004), event)
            try memory.store(GuestPhysical(0x90_0006), value)
            _ = queues[3].add(readable: [.init(0x90_0000, 8)], writable: [])
            transport.notify(3)
            #expect(queues[3].poll() != nil)
        }
        var next: UInt64 = 0x80_0000
        func message() throws -> [UInt8]? {
            guard let used = queues[2].poll() else { return nil }
            defer { next += 64 }
            return try memory.bytes(GuestPhysical(next), count: Int(used.length))
        }
        try send(0, 0, 1)
        #expect(try message() == [0, 0, 0, 0, 1, 0, 1, 0])
        #expect(try message() == [1, 0, 0, 0, 1, 0, 1, 0])
        try send(0, 3, 1)
        #expect(try message() == [0, 0, 0, 0, 4, 0, 1, 0])
        #expect(try message() == [0, 0, 0, 0, 6, 0, 1, 0])
        try send(1, 3, 1)
        #expect(try message() == [1, 0, 0, 0, 7, 0, 1, 0] + Array("org.apus.agent".utf8) + [0])
        #expect(try message() == [1, 0, 0, 0, 6, 0, 1, 0])
        try send(99, 3, 1)
        #expect(try message() == nil)

        agent.type("ping")
        #expect(agent.waitingCount == 4, "The guest has not opened the port")
        _ = queues[4].add(readable: [], writable: [.init(0xA0_0000, 64)])
        try send(1, 6, 1)
        #expect(queues[4].poll()?.length == 4)
        #expect(try text(memory, 0xA0_0000, 4) == "ping")
        try memory.write(GuestPhysical(0xB0_0000), bytes: Array("pong".utf8))
        _ = queues[5].add(readable: [.init(0xB0_0000, 4)], writable: [])
        transport.notify(5)
        #expect(agent.output == "pong" && console.output.isEmpty)
        // Who listens hears of it once, and of every reset; loading a state begins with one.
        #expect(opened.list == [true])
        transport.transport.pause()
        try transport.transport.importState(transport.transport.exportState())
        transport.transport.resume()
        #expect(opened.list == [true, false, true])
        try send(1, 6, 0)
        try send(1, 6, 1)
        #expect(opened.list == [true, false, true, false, true])
        device.setHostOpen(false, port: 1)
        #expect(try message() == [1, 0, 0, 0, 6, 0, 0, 0])
        device.reset()
        #expect(opened.list == [true, false, true, false, true, false])
    }

    @Test func emergencyWriteNeedsNoDriver() throws {
        let backend = FakeCharacters()
        let device = VirtioConsole(
            ports: [.init(id: 0, isConsole: true, backend: backend)], scheduler: InlineScheduler())
        let transport = MMIOTransport(device, try makeMemory())
        transport.setConfiguration(8, 4, 0x41)
        #expect(backend.output == "A")
    }

    @Test func inputSurvivesSaving() throws {
        let memory = try makeMemory()
        let backend = FakeCharacters()
        func make() -> MMIOTransport {
            MMIOTransport(
                VirtioConsole(
                    .init(maxPorts: 1), ports: [.init(id: 0, isConsole: true, backend: backend)],
                    scheduler: InlineScheduler()), memory)
        }
        let first = make()
        let queues = try first.start(memory)
        backend.type("kept")
        first.transport.pause()
        let second = make()
        try second.transport.importState(first.transport.exportState())
        second.transport.resume()
        _ = queues[0].add(readable: [], writable: [.init(0x90000, 64)])
        second.notify(0)
        #expect(queues[0].poll()?.length == 4)
        #expect(try text(memory, 0x90000, 4) == "kept")
    }

    @Test func workerThreadDoesTheWork() throws {
        let memory = try makeMemory()
        let worker = try WorkerThread(name: "worker")
        let transport = MMIOTransport(VirtioEntropy(scheduler: worker), memory)
        let queue = try transport.start(memory)[0]
        for _ in 0..<200 {
            _ = queue.add(readable: [], writable: [.init(0x80000, 16)])
            transport.notify(0)
            while queue.poll() == nil {}
        }
        transport.transport.halt()
        worker.stop()
    }
}
