import DeviceModel
import Devices
import Testing

@Suite struct SerialPortTests {
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let host = RecordedCharacters()
    private let port: SerialPort

    init() {
        port = SerialPort(name: "serial0", clock: clock, line: InterruptLine(sink: lines, number: 4), backend: host)
    }

    private func read(_ register: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: port.read(offset: register, size: 1)) }
    private func write(_ register: UInt64, _ value: UInt8) {
        port.write(offset: register, size: 1, value: UInt64(value))
    }
    private var irq: Bool { lines.level(4) }

    @Test func powerOnRegisters() {
        #expect(read(1) == 0)
        #expect(read(2) == 0x01)
        #expect(read(3) == 0)
        #expect(read(4) == 0)
        #expect(read(5) == 0x60)
        #expect(read(6) == 0xB0)
    }

    @Test func scratchAndDivisorKeepTheirValues() {
        write(7, 0x5A)
        write(3, 0x83)
        write(0, 0x0C)
        write(1, 0x02)
        #expect(read(7) == 0x5A)
        #expect(read(0) == 0x0C)
        #expect(read(1) == 0x02)
        write(3, 0x03)
        #expect(read(1) == 0)
    }

    @Test func charactersLeaveInOrder() {
        for byte in Array("Apus".utf8) { write(0, byte) }
        #expect(host.written == Array("Apus".utf8))
        #expect(read(5) == 0x60)
    }

    @Test func transmitterInterruptIsRaisedAndClearedByIIR() {
        write(1, 0x02)
        #expect(irq)
        #expect(read(2) == 0x02)
        #expect(!irq)
        #expect(read(2) == 0x01)
        write(0, 0x41)
        #expect(irq)
    }

    @Test func receivedDataInterruptWithoutFIFO() {
        write(1, 0x01)
        host.type([0x61, 0x62])
        #expect(irq)
        #expect(read(2) == 0x04)
        #expect(host.held == 1)
        #expect(read(0) == 0x61)
        #expect(host.held == 0)
        #expect(read(0) == 0x62)
        #expect(!irq)
        #expect(read(5) & 1 == 0)
    }

    @Test(arguments: [(UInt8(0x01), 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
    func triggerLevels(control: UInt8, level: Int) {
        write(2, control)
        write(1, 0x01)
        host.type([UInt8](repeating: 0x30, count: level - 1))
        #expect(!irq)
        host.type([0x31])
        #expect(irq)
        #expect(read(2) == 0xC4)
    }

    @Test func fifoTimeoutAfterFourCharacters() {
        write(3, 0x03)
        write(2, 0xC1)
        write(1, 0x01)
        host.type([0x41, 0x42])
        clock.advance(by: 340_000)
        #expect(!irq)
        clock.advance(by: 10_000)
        #expect(irq)
        #expect(read(2) == 0xCC)
        #expect(read(0) == 0x41)
        #expect(!irq)
        clock.advance(by: 350_000)
        #expect(read(2) == 0xCC)
        #expect(read(0) == 0x42)
        clock.advance(by: 1_000_000)
        #expect(read(2) == 0xC1)
    }

    @Test func interruptPriorities() {
        write(2, 0x01)
        write(1, 0x0F)
        write(4, 0x10)
        #expect(read(2) & 0x0F == 0x02)
        write(0, 0x55)
        write(3, 0x40)
        #expect(read(2) & 0x0F == 0x04)
        #expect(read(0) == 0x55)
        // The break is now at the top, with its error: line status goes first.
        #expect(read(2) & 0x0F == 0x06)
        #expect(read(5) & 0x10 != 0)
        #expect(read(2) & 0x0F == 0x04)
        #expect(read(0) == 0)
        #expect(read(2) & 0x0F == 0x02)
        #expect(read(2) & 0x0F == 0x00)
        #expect(read(6) & 0x0F == 0x0B)
        #expect(read(2) & 0x0F == 0x01)
        #expect(!irq)
    }

    @Test func loopbackWiresModemLines() {
        write(4, 0x1A)
        #expect(read(6) & 0xF0 == 0x90)
        write(4, 0x15)
        #expect(read(6) & 0xF0 == 0x60)
        write(4, 0x11)
        #expect(read(6) & 0x04 != 0, "the end of ring is noted")
        write(0, 0x77)
        #expect(host.written.isEmpty)
        #expect(read(0) == 0x77)
    }

    @Test func loopbackHoldsHostInput() {
        write(4, 0x10)
        host.type([1, 2])
        #expect(host.held == 2)
        write(4, 0x00)
        #expect(host.held == 1)
        #expect(read(0) == 1)
        #expect(read(0) == 2)
    }

    @Test func overrunOnlyInLoopback() {
        write(2, 0x01)
        write(4, 0x10)
        for byte in 0..<17 { write(0, UInt8(byte)) }
        #expect(read(5) & 0x02 != 0)
        #expect(read(5) & 0x02 == 0)
        #expect((0..<16).map { _ in read(0) } == (0..<16).map { UInt8($0) })
        #expect(read(5) & 1 == 0)
    }

    @Test func breakFromTheHost() {
        write(1, 0x04)
        port.receive(event: .breakReceived)
        #expect(irq)
        #expect(read(2) == 0x06)
        #expect(read(5) & 0x11 == 0x11)
        #expect(!irq)
    }

    @Test func errorsInTheFIFOShowInBit7() {
        write(2, 0x01)
        host.type([0x20])
        port.receive(event: .breakReceived)
        #expect(read(5) & 0x90 == 0x80)
        _ = read(0)
        #expect(read(5) & 0x90 == 0x90)
        #expect(read(5) & 0x90 == 0)
    }

    @Test func pasteOfManyBytesLosesNothing() {
        write(2, 0x81)
        let text = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
        host.type(text)
        var got: [UInt8] = []
        while read(5) & 1 != 0 { got.append(read(0)) }
        #expect(got == text)
    }

    @Test func fifoResetMakesRoom() {
        write(2, 0x01)
        host.type([UInt8](repeating: 1, count: 20))
        #expect(host.held == 4)
        write(2, 0x03)
        #expect(host.held == 0)
        #expect(read(5) & 1 != 0)
    }

    @Test func stateRoundTripInTheMiddleOfWork() throws {
        write(3, 0x03)
        write(2, 0xC1)
        write(1, 0x05)
        host.type([9, 8, 7])
        clock.advance(by: 100_000)
        let saved = port.exportState()
        let otherLines = RecordedLines()
        let other = SerialPort(
            name: "serial0", clock: clock, line: InterruptLine(sink: otherLines, number: 4), backend: nil)
        try other.importState(saved)
        #expect(other.exportState() == saved)
        clock.advance(by: 300_000)
        #expect(irq && otherLines.level(4))
        for register in [UInt64(2), 5, 0, 0, 2, 0, 2, 5, 6] {
            #expect(port.read(offset: register, size: 1) == other.read(offset: register, size: 1))
        }
    }

    /// What is typed for a machine that waits for its state stays with the back-end until the machine goes on.
    @Test func whatIsTypedBeforeTheStateComesIsKept() throws {
        write(2, 0x01)
        write(1, 0x01)
        let saved = port.exportState()
        port.reset()
        port.pause()
        host.type([1, 2, 3])
        #expect(host.held == 3)
        try port.importState(saved)
        #expect(host.held == 3)
        // The controller's own state comes last: no edge before the machine goes on.
        #expect(!irq)
        port.resume()
        #expect(host.held == 0 && irq)
        #expect([read(0), read(0), read(0)] == [1, 2, 3])
    }

    @Test func badStatesAreRefused() {
        var state = port.exportState()
        state.set("rx", [UInt8](repeating: 0, count: 17))
        #expect(throws: DeviceStateError.self) { try port.importState(state) }
        state = DeviceState(version: 2)
        #expect(throws: DeviceStateError.self) { try port.importState(state) }
    }

    @Test func randomPokes() {
        for seed in 1...2 {
            poke(port, offsets: (0..<9).map { UInt64($0) }, clock: clock, seed: UInt64(seed), count: 50_000)
            host.type([1, 2, 3])
        }
        #expect(host.written.count <= 100_000)
        #expect(throws: Never.self) { try port.importState(port.exportState()) }
    }
}
