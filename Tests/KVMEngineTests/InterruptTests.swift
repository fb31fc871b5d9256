import Execution
import GuestPrograms
import HostOS
import KVMEngine
import Synchronization
import SystemPackage
import Testing

@Suite("Interrupts of KVM", .serialized, .enabled(if: Host.isThere, Host.reason))
struct InterruptTests {
    /// Runs to the guest's word that it is ready.
    private func start(_ code: [UInt8]) throws -> Bench {
        let bench = try Bench(code, .long)
        _ = try bench.run { if case .portWrite(GuestLayout.outputPort, _, _) = $0 { true } else { false } }
        return bench
    }

    @Test("A message wakes a guest through its IDT")
    func message() throws {
        let bench = try start(Code.interrupt)
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        #expect(try bench.finish().count == 1)
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("Messages to nobody, and writes elsewhere, do nothing")
    func strayMessages() throws {
        let bench = try start(Code.interrupt)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<2000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let data = UInt32(truncatingIfNeeded: random)
            // Every delivery mode, edge and level, to processors 1 to 127, which there are not.
            let destination = max(1, random >> 33 & 0x7F)
            bench.engine.deliverMSI(address: 0xFEE0_0000 | destination << 12, data: data)
            bench.engine.deliverMSI(address: random | 1 << 40, data: data)
        }
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        try bench.finish()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("The end of a level-triggered message comes out, that of an edge does not")
    func endOfInterrupt() throws {
        let bench = try start(Code.interrupt)
        bench.engine.deliverMSI(address: 0xFEE0_0000, data: 0xC030)
        // A KVM that emulates ring 0 tells it only when it next enters the guest: it may come after the guest's end.
        var exits = try bench.finish()
        if exits.count == 1 { exits.append(try bench.next()) }
        #expect(exits.contains(.endOfInterrupt(vector: 0x30)))
        #expect(exits.count == 2)

        let other = try start(Code.interrupt)
        other.engine.deliverMSI(address: 0xFEE0_0000, data: 0x30)
        #expect(try other.finish() == [.portWrite(port: GuestLayout.exitPort, size: 1, value: 0)])
    }

    @Test("An eventfd is an interrupt, by the message of its line")
    func eventDescriptor() throws {
        let bench = try start(Code.threeInterrupts)
        let routes = bench.engine.routes
        let event = try EventDescriptor()
        let line = try routes.add(address: 0xFEE0_0000, data: 0x55)
        #expect(line >= UInt32(InterruptRoutes.controllerPins))
        try routes.update(line, address: 0xFEE0_0000, data: 0x30)
        try routes.attach(eventDescriptor: event.number, line: line)
        let isOver = Over()
        let ringer = try HostThread(name: "ringer") {
            // Each at its own time: requests of one vector that meet are one.
            for _ in 0..<10_000 where !isOver.value.load(ordering: .acquiring) {
                event.ring()
                Bell().wait(nanoseconds: 5_000_000)
            }
        }
        defer { isOver.value.store(true, ordering: .releasing) }
        try bench.finish()
        isOver.value.store(true, ordering: .releasing)
        ringer.join()
        #expect(try bench.word(0x10_0000) >= 3)
        try routes.detach(eventDescriptor: event.number, line: line)
        try routes.remove(line)
        #expect(try routes.add(address: 0xFEE0_0000, data: 0x31) == line)
    }

    @Test("The 8259A's line asks for its vector")
    func external() throws {
        let bench = try start(Code.external)
        let engine = bench.engine
        let raiser = try HostThread(name: "raiser") {
            Bell().wait(nanoseconds: 20_000_000)
            engine.setExternalInterrupt(true)
        }
        #expect(try bench.next() == .interruptAcknowledge)
        raiser.join()
        engine.setExternalInterrupt(false)
        bench.processor.acknowledge(vector: 0x31)
        try bench.finish()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("A request of the 8259A that went away does nothing")
    func spurious() throws {
        let bench = try start(Code.external)
        bench.engine.setExternalInterrupt(true)
        #expect(try bench.next() == .interruptAcknowledge)
        bench.engine.setExternalInterrupt(false)
        bench.processor.acknowledge(vector: nil)
        bench.engine.setExternalInterrupt(true)
        #expect(try bench.next() == .interruptAcknowledge)
        bench.engine.setExternalInterrupt(false)
        bench.processor.acknowledge(vector: 0x31)
        try bench.finish()
    }

    @Test("A non-maskable interrupt reaches vector 2")
    func nonMaskable() throws {
        let bench = try start(Code.nonMaskable)
        let processor = bench.processor
        let poster = try HostThread(name: "poster") {
            Bell().wait(nanoseconds: 20_000_000)
            processor.injectNMI()
        }
        try bench.finish()
        poster.join()
        #expect(try bench.word(0x10_0000) == 1)
    }

    @Test("Doorbells ring without an exit, by value and by any value")
    func doorbells() throws {
        let bench = try Bench(Code.doorbells, .protected)
        let port = try EventDescriptor()
        let memory = try EventDescriptor()
        let engine = bench.engine
        try engine.attach(
            Doorbell(space: .port, address: 0x500, size: 2, value: 2), eventDescriptor: port.number)
        let bell = Doorbell(space: .memory, address: 0xF000_2000, size: 4)
        try engine.attach(bell, eventDescriptor: memory.number)
        let exits = try bench.finish()
        #expect(exits.first == .portWrite(port: 0x500, size: 2, value: 1))
        #expect(exits.count == 2)
        #expect(port.take() == 1)
        #expect(memory.take() == 2)
        try engine.detach(bell, eventDescriptor: memory.number)
        #expect(throws: KVMError.self) { try engine.detach(bell, eventDescriptor: memory.number) }
    }
}

private final class Over: Sendable {
    let value = Atomic<Bool>(false)
}
