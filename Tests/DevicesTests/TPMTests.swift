import DeviceModel
import Devices
import Synchronization
import TestSupport
import Testing

/// Answers each command with its bytes turned round, behind a head.
private final class FakeTPM: TPMBackend {
    private struct State {
        var commands: [(bytes: [UInt8], locality: UInt8)] = []
        var parts = [TPMStatePart([1], isEncrypted: true), TPMStatePart([2, 2]), TPMStatePart([])]
        var fails = false
        var starts = 0
    }
    private let state = Mutex(State())
    var commands: [(bytes: [UInt8], locality: UInt8)] { state.withLock { $0.commands } }
    var starts: Int { state.withLock { $0.starts } }
    func fail() { state.withLock { $0.fails = true } }

    func execute(_ command: [UInt8], locality: UInt8) throws(TPMError) -> [UInt8] {
        let fails = state.withLock { state in
            if state.commands.count < 1000 { state.commands.append((command, locality)) }
            return state.fails
        }
        if fails { throw .connection("gone") }
        let body = Array(command.dropFirst(10).reversed())
        return [0x80, 0x01, 0, 0, UInt8((10 + body.count) >> 8), UInt8((10 + body.count) & 0xFF), 0, 0, 0, 0] + body
    }
    func start(bufferSize: UInt32) throws(TPMError) { state.withLock { $0.starts += 1 } }
    func cancel() {}
    var isEstablished: Bool { false }
    func resetEstablished(locality: UInt8) {}
    func exportState() throws(TPMError) -> [TPMStatePart] {
        let (fails, parts) = state.withLock { ($0.fails, $0.parts) }
        if fails { throw .connection("gone") }
        return parts
    }
    func importState(_ parts: [TPMStatePart], bufferSize: UInt32) throws(TPMError) {
        let fails = state.withLock { $0.fails }
        if fails { throw .connection("gone") }
        state.withLock { $0.parts = parts }
    }
    /// Nothing is in it.
    func clear() { state.withLock { $0.parts = [] } }
    func close() {}
}

@Suite struct TPMTests {
    private struct Machine {
        let bus = Bus()
        let tpm = FakeTPM()
        let lines = RecordedLines()
        let device: TPMDevice
        init(_ interface: TPMDevice.Interface) {
            device = TPMDevice(
                interface, backend: tpm, line: InterruptLine(sink: lines, number: 5), scheduler: InlineScheduler(),
                controlScheduler: InlineScheduler(), stateName: "tpm")
            device.attach(to: bus)
        }
        func read(_ offset: UInt64, size: Int = 4) -> UInt32 {
            UInt32(truncatingIfNeeded: bus.read(TPMDevice.address + offset, size: size))
        }
        func write(_ offset: UInt64, _ value: UInt32, size: Int = 4) {
            bus.write(TPMDevice.address + offset, size: size, value: UInt64(value))
        }
    }
    private static let command: [UInt8] = [0x80, 0x01, 0, 0, 0, 14, 0, 0, 1, 0x7B, 1, 2, 3, 4]
    private static let response: [UInt8] = [0x80, 0x01, 0, 0, 0, 14, 0, 0, 0, 0, 4, 3, 2, 1]

    @Test func theFIFO() {
        let machine = Machine(.tis)
        #expect(machine.read(0, size: 1) == 0x81)
        machine.write(0, 2, size: 1)
        #expect(machine.read(0, size: 1) == 0xA1, "Locality 0 is active")
        machine.write(0x08, 1 << 31 | 1)
        machine.write(0x18, 0x40)
        #expect(machine.read(0x18) & 0xC0 == 0xC0 && machine.read(0x18) >> 26 & 3 == 1)
        for byte in Self.command {
            #expect(machine.read(0x18) & 0x10 == 0)
            machine.write(0x24, UInt32(byte), size: 1)
        }
        #expect(machine.read(0x18) & 0x88 == 0x80, "The command is whole")
        machine.write(0x18, 0x20)
        #expect(machine.tpm.commands.first?.bytes == Self.command && machine.lines.level(5))
        #expect(machine.read(0x18) & 0x90 == 0x90 && machine.read(0x18) >> 8 & 0xFFFF == 14)
        #expect((0..<14).map { _ in UInt8(machine.read(0x24, size: 1)) } == Self.response)
        #expect(machine.read(0x18) & 0x10 == 0)
        machine.write(0x10, 0xFF)
        #expect(!machine.lines.level(5))
        // Once more.
        machine.write(0x18, 2)
        #expect(machine.read(0x24, size: 4) == 0x0000_0180)
    }

    @Test(arguments: [[0x80, 0x01, 0, 0, 0, 6], [0x80, 0x01, 0, 0, 0, 0], [0x80, 0x01, 0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]])
    func lengthsThatAreNone(_ head: [UInt8]) {
        let fifo = Machine(.tis)
        fifo.write(0, 2, size: 1)
        fifo.write(0x18, 0x40)
        for byte in head + [UInt8](repeating: 0, count: 5000) { fifo.write(0x24, UInt32(byte), size: 1) }
        fifo.write(0x18, 0x20)
        #expect(fifo.tpm.commands.isEmpty, "The TPM would wait for the rest")
        #expect((0..<10).map { _ in UInt8(fifo.read(0x24, size: 1)) } == [0x80, 0x01, 0, 0, 0, 10, 0, 0, 1, 0x42])
        let buffer = Machine(.crb)
        buffer.write(0x08, 1)
        for (index, byte) in head.enumerated() { buffer.write(0x80 + UInt64(index), UInt32(byte), size: 1) }
        buffer.write(0x4C, 1)
        #expect(buffer.tpm.commands.isEmpty && buffer.read(0x88, size: 2) == 0x4201)
    }

    @Test func localities() {
        let machine = Machine(.tis)
        machine.write(0x0000, 2, size: 1)
        machine.write(0x2000, 2, size: 1)
        #expect(machine.read(0x2000, size: 1) & 0x22 == 0x02 && machine.read(0, size: 1) & 4 != 0, "2 waits")
        machine.write(0x0000, 0x20, size: 1)
        #expect(machine.read(0x2000, size: 1) & 0x22 == 0x20)
        machine.write(0x3000, 8, size: 1)
        #expect(machine.read(0x3000, size: 1) & 0x20 != 0 && machine.read(0x2000, size: 1) & 0x10 != 0, "Seized")
        machine.write(0x3018, 0x40)
        for byte in Self.command { machine.write(0x3024, UInt32(byte), size: 1) }
        machine.write(0x3018, 0x20)
        #expect(machine.tpm.commands.first?.locality == 3)
        #expect(machine.read(0x24, size: 1) == 0xFF, "It is not for locality 0")
    }

    @Test func theCommandBuffer() {
        let machine = Machine(.crb)
        #expect(machine.read(0x30) & 15 == 1 && machine.read(0x5C) == 0xFED4_0080)
        machine.write(0x4C, 1)
        #expect(machine.tpm.commands.isEmpty, "Nobody has the locality")
        machine.write(0x08, 1)
        #expect(machine.read(0) & 0x82 == 0x82 && machine.read(0x0C) & 1 == 1)
        machine.write(0x40, 1)
        #expect(machine.read(0x44) & 2 == 0)
        for (index, byte) in Self.command.enumerated() { machine.write(0x80 + UInt64(index), UInt32(byte), size: 1) }
        machine.write(0x4C, 1)
        #expect(machine.tpm.commands.first?.bytes == Self.command && machine.read(0x4C) == 0)
        #expect((0..<14).map { UInt8(machine.read(0x80 + $0, size: 1)) } == Self.response)
        machine.tpm.fail()
        machine.write(0x40, 1)
        machine.write(0x4C, 1)
        #expect(machine.read(0x44) & 1 == 1 && machine.read(0x88, size: 2) == 0x0101, "A fatal error")
    }

    @Test(arguments: [TPMDevice.Interface.tis, .crb])
    func stateMoves(_ interface: TPMDevice.Interface) throws {
        let machine = Machine(interface)
        machine.write(interface == .tis ? 0 : 8, interface == .tis ? 2 : 1, size: interface == .tis ? 1 : 4)
        let place: UInt64 = interface == .tis ? 0x24 : 0x80
        if interface == .tis { machine.write(0x18, 0x40) }
        for (index, byte) in Self.command.enumerated() {
            machine.write(interface == .tis ? place : place + UInt64(index), UInt32(byte), size: 1)
        }
        machine.device.pause()
        machine.write(interface == .tis ? 0x18 : 0x4C, interface == .tis ? 0x20 : 1)
        let saved = try machine.device.fetchState()
        let twin = Machine(interface)
        twin.tpm.clear()
        twin.device.pause()
        try twin.device.importState(saved)
        #expect(twin.device.exportState() == saved && twin.tpm.commands.isEmpty)
        twin.device.resume()
        #expect(twin.tpm.commands.first?.bytes == Self.command, "The command was on its way")
        var other = saved
        other.fields["tpm"] = .list([])
        #expect(throws: DeviceStateError.self) { try twin.device.importState(other) }
        // Streams of before say nothing of keys; too long a part is none.
        other = saved
        var parts = try other.list("tpm")
        for place in parts.indices { parts[place].fields["encrypted"] = nil }
        other.set("tpm", parts)
        try twin.device.importState(other)
        #expect(try twin.device.fetchState().list("tpm")[0].bool("encrypted") == false)
        parts[1].set("blob", [UInt8](repeating: 0, count: TPMStatePart.limit + 1))
        other.set("tpm", parts)
        #expect(throws: DeviceStateError.outOfRange(field: "blob", value: UInt64(TPMStatePart.limit + 1))) {
            try twin.device.importState(other)
        }
        // A TPM that is gone is said by those who save, and by those who take.
        machine.tpm.fail()
        #expect(throws: DeviceStateError.refused(field: "tpm", "gone")) { try machine.device.fetchState() }
        #expect(throws: DeviceStateError.refused(field: "tpm", "gone")) { try machine.device.importState(saved) }
    }

    @Test(arguments: [TPMDevice.Interface.tis, .crb])
    func randomPokesDoNoHarm(_ interface: TPMDevice.Interface) {
        let machine = Machine(interface)
        let registers: [UInt64] =
            interface == .tis
            ? (0..<5).flatMap { locality in
                [0, 8, 0x0C, 0x10, 0x18, 0x18, 0x24, 0x24, 0x30, 0x80, 0xF00].map { locality << 12 + $0 }
            } : [0, 8, 0x0C, 0x30, 0x40, 0x44, 0x48, 0x4C, 0x50, 0x58, 0x80, 0x82, 0x84, 0xFFC, 0xFFF]
        poke(
            machine.device, offsets: registers, clock: ManualClock(), seed: 51, count: FuzzRounds.times(40_000))
        machine.device.reset()
        #expect(machine.tpm.starts == 1 && machine.read(0, size: 1) & 0x80 != 0)
    }
}
