import DeviceModel
import Devices
import TestSupport
import Testing

@Suite struct KeyboardControllerTests {
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let resets = Recorded<Int>()
    private let a20 = Recorded<Bool>()
    private let leds = Recorded<UInt8>()
    private let i8042: KeyboardController

    init() {
        let (resets, a20, leds) = (resets, a20, leds)
        i8042 = KeyboardController(
            clock: clock, keyboardLine: InterruptLine(sink: lines, number: 1),
            mouseLine: InterruptLine(sink: lines, number: 12), onReset: { resets.note(1) },
            onA20: { a20.note($0) }, onLEDs: { leds.note($0) })
    }

    private func command(_ value: UInt8) { i8042.write(offset: 0x64, size: 1, value: UInt64(value)) }
    private func data(_ value: UInt8) { i8042.write(offset: 0x60, size: 1, value: UInt64(value)) }
    private var status: UInt8 { UInt8(truncatingIfNeeded: i8042.read(offset: 0x64, size: 1)) }
    private func take() -> UInt8 { UInt8(truncatingIfNeeded: i8042.read(offset: 0x60, size: 1)) }
    /// Everything that waits at port 60.
    private func drain() -> [UInt8] {
        var bytes: [UInt8] = []
        while status & 1 != 0 && bytes.count < 1000 { bytes.append(take()) }
        return bytes
    }
    private func mouse(_ values: UInt8...) -> [UInt8] {
        for value in values {
            command(0xD4)
            data(value)
        }
        return drain()
    }
    private func setMode(_ value: UInt8) {
        command(0x60)
        data(value)
    }
    private func key(_ name: String, _ down: Bool) {
        guard let code = KeyCode(name: name) else { return #expect(Bool(false), "no key \(name)") }
        i8042.key(code, down: down)
    }
    private func tap(_ name: String) -> [UInt8] {
        key(name, true)
        key(name, false)
        return drain()
    }

    @Test func selfTestAndCommandByte() {
        #expect(status == 0x10)
        command(0xAA)
        #expect(status & 0x0D == 0x0D)
        #expect(drain() == [0x55])
        command(0x20)
        #expect(drain() == [0x07])
        setMode(0x61)
        command(0x20)
        #expect(drain() == [0x61])
        command(0x65)
        data(0x99)
        command(0x25)
        #expect(drain() == [0x99])
        command(0xAB)
        command(0xA9)
        #expect(drain() == [0, 0])
        command(0xA7)
        command(0xAD)
        command(0x20)
        #expect(drain() == [0x71])
        command(0xA8)
        command(0xAE)
        command(0x20)
        #expect(drain() == [0x41])
    }

    @Test func keysInSet2() {
        #expect(tap("a") == [0x1C, 0xF0, 0x1C])
        #expect(tap("up") == [0xE0, 0x75, 0xE0, 0xF0, 0x75])
        #expect(tap("f7") == [0x83, 0xF0, 0x83])
        #expect(tap("pause") == [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77])
        #expect(tap("print") == [0xE0, 0x12, 0xE0, 0x7C, 0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12])
    }

    @Test func keysTranslated() {
        setMode(0x43)
        #expect(tap("a") == [0x1E, 0x9E])
        #expect(tap("f7") == [0x41, 0xC1])
        #expect(tap("delete") == [0xE0, 0x53, 0xE0, 0xD3])
        #expect(tap("pause") == [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5])
        #expect(tap("print") == [0xE0, 0x2A, 0xE0, 0x37, 0xE0, 0xB7, 0xE0, 0xAA])
    }

    @Test func modifiersChangePrintAndPause() {
        setMode(0x43)
        key("alt", true)
        #expect(drain() == [0x38])
        #expect(tap("print") == [0x54, 0xD4])
        key("alt", false)
        key("ctrl", true)
        _ = drain()
        #expect(tap("print") == [0xE0, 0x37, 0xE0, 0xB7])
        #expect(tap("pause") == [0xE0, 0x46, 0xE0, 0xC6])
    }

    @Test func translationOfEveryPlainKeyIsItsSet1Code() {
        setMode(0x43)
        for code in UInt8(1)...0x58 where code != 0x54 && code != 0x55 && code != 0x56 {
            i8042.key(KeyCode(rawValue: code), down: true)
            i8042.key(KeyCode(rawValue: code), down: false)
            #expect(drain() == [code, code | 0x80])
        }
    }

    @Test func scanCodeSets1And3() {
        data(0xF0)
        data(0x01)
        #expect(drain() == [0xFA, 0xFA])
        #expect(tap("a") == [0x1E, 0x9E])
        data(0xF0)
        data(0x03)
        _ = drain()
        #expect(tap("esc") == [0x08, 0xF0, 0x08])
        #expect(tap("ctrl_r") == [0x58, 0xF0, 0x58])
        data(0xF0)
        data(0x00)
        #expect(drain() == [0xFA, 0xFA, 0x03])
        data(0xF9)
        #expect(drain() == [0xFA])
        #expect(tap("esc") == [0x08])
        data(0xFC)
        data(0x08)
        #expect(drain() == [0xFA, 0xFA])
        #expect(tap("esc") == [0x08, 0xF0, 0x08])
    }

    @Test func keyboardCommands() {
        data(0xFF)
        #expect(drain() == [0xFA, 0xAA])
        data(0xF2)
        #expect(drain() == [0xFA, 0xAB, 0x83])
        data(0xEE)
        #expect(drain() == [0xEE])
        data(0xFE)
        #expect(drain() == [0xEE])
        data(0xED)
        data(0x05)
        #expect(drain() == [0xFA, 0xFA])
        #expect(leds.values == [5])
        data(0xF5)
        #expect(drain() == [0xFA])
        #expect(tap("a").isEmpty)
        data(0xF4)
        #expect(drain() == [0xFA])
        #expect(!tap("a").isEmpty)
        data(0x01)
        #expect(drain() == [0xFE])
    }

    @Test func interruptsForEachByte() {
        key("up", true)
        #expect(lines.edges(1) == 1)
        _ = take()
        #expect(lines.edges(1) == 2)
        _ = take()
        #expect(lines.edges(1) == 2)
        #expect(!lines.level(1))
        setMode(0x00)
        key("a", true)
        #expect(status & 1 != 0)
        #expect(lines.edges(1) == 2)
    }

    @Test func disabledKeyboardHoldsItsKeys() {
        command(0xAD)
        key("a", true)
        #expect(status & 1 == 0)
        command(0xAE)
        #expect(drain() == [0x1C])
    }

    @Test func typematicRepeat() {
        data(0xF3)
        data(0x00)
        _ = drain()
        key("a", true)
        #expect(drain() == [0x1C])
        clock.advance(by: 249_000_000)
        #expect(drain().isEmpty)
        clock.advance(by: 2_000_000)
        #expect(drain() == [0x1C])
        key("a", true)
        #expect(drain().isEmpty, "the host's own repeats are ignored")
        clock.advance(by: 34_000_000)
        #expect(drain() == [0x1C])
        key("a", false)
        _ = drain()
        clock.advance(by: 1_000_000_000)
        #expect(drain().isEmpty)
    }

    @Test func repeatsDoNotPileUp() {
        key("a", true)
        clock.advance(by: 60_000_000_000)
        #expect(drain().count <= 3)
    }

    @Test func keysBeyondTheQueueAreDroppedAsAWhole() {
        for _ in 0..<500 {
            key("up", true)
            key("up", false)
        }
        let bytes = drain()
        #expect(bytes.count <= 260)
        #expect(bytes.prefix(5) == [0xE0, 0x75, 0xE0, 0xF0, 0x75])
    }

    @Test func mouseReportsMovement() {
        #expect(mouse(0xF4) == [0xFA])
        i8042.pointer(dx: 5, dy: -3, dz: 0, buttons: 1)
        #expect(lines.level(12))
        #expect(status & 0x21 == 0x21)
        #expect(drain() == [0x09, 5, 3])
        i8042.pointer(dx: -300, dy: 2, dz: 0, buttons: 0)
        #expect(drain() == [0x38, 0x01, 0xFE, 0x18, UInt8(truncatingIfNeeded: -45), 0])
        #expect(lines.edges(12) >= 9)
        i8042.pointer(dx: 0, dy: 0, dz: 0, buttons: 0)
        #expect(drain().isEmpty)
    }

    @Test func wheelAndExtraButtons() {
        #expect(mouse(0xF2) == [0xFA, 0])
        _ = mouse(0xF3, 200, 0xF3, 100, 0xF3, 80)
        #expect(mouse(0xF2) == [0xFA, 3])
        _ = mouse(0xF4)
        i8042.pointer(dx: 1, dy: 0, dz: -1, buttons: 0)
        #expect(drain() == [0x08, 1, 0, 0xFF])
        _ = mouse(0xF3, 200, 0xF3, 200, 0xF3, 80)
        #expect(mouse(0xF2) == [0xFA, 4])
        i8042.pointer(dx: 0, dy: 0, dz: 1, buttons: 0x18)
        #expect(drain() == [0x08, 0, 0, 0x31])
        #expect(mouse(0xFF) == [0xFA, 0xAA, 0x00])
        #expect(mouse(0xF2) == [0xFA, 0])
    }

    @Test func mouseStatusRemoteAndWrap() {
        #expect(mouse(0xE8, 3, 0xF3, 60, 0xE7) == [0xFA, 0xFA, 0xFA, 0xFA, 0xFA])
        #expect(mouse(0xE9) == [0xFA, 0x10, 3, 60])
        _ = mouse(0xF0)
        i8042.pointer(dx: 7, dy: 0, dz: 0, buttons: 0)
        #expect(drain().isEmpty)
        #expect(mouse(0xEB) == [0xFA, 0x08, 7, 0])
        _ = mouse(0xEE)
        #expect(mouse(0x42) == [0x42])
        #expect(mouse(0xEC) == [0xFA])
        #expect(mouse(0x42) == [0xFE])
    }

    @Test func hugeMovementIsBounded() {
        _ = mouse(0xF4)
        for _ in 0..<100 { i8042.pointer(dx: .max, dy: .min, dz: .min, buttons: 0xFF) }
        i8042.pointer(dx: .min, dy: .max, dz: .max, buttons: 0)
        #expect(drain().count <= 1000)
    }

    @Test func bytesPutIntoThePort() {
        command(0xD2)
        data(0x12)
        #expect(status & 0x21 == 0x01)
        #expect(drain() == [0x12])
        command(0xD3)
        data(0x34)
        #expect(status & 0x21 == 0x21)
        #expect(drain() == [0x34])
    }

    @Test func a20Gate() {
        #expect(i8042.a20)
        command(0xD1)
        data(0xDD)
        command(0xD0)
        #expect(drain() == [0xC1])
        command(0xD1)
        data(0xDF)
        i8042.write(offset: 0x92, size: 1, value: 0)
        #expect(i8042.read(offset: 0x92, size: 1) == 0)
        i8042.write(offset: 0x92, size: 1, value: 2)
        command(0xDD)
        command(0xDF)
        #expect(a20.values == [false, true, false, true, false, true])
    }

    @Test func resetRequests() {
        command(0xFE)
        #expect(resets.values.count == 1)
        command(0xFF)
        #expect(resets.values.count == 1)
        command(0xD1)
        data(0x02)
        #expect(resets.values.count == 2)
        i8042.write(offset: 0x92, size: 1, value: 3)
        i8042.write(offset: 0x92, size: 1, value: 3)
        #expect(resets.values.count == 3)
    }

    @Test func keyNames() {
        #expect(KeyCode(name: "spc")?.rawValue == 0x39)
        #expect(KeyCode(name: "meta_l")?.rawValue == 0xDB)
        #expect(KeyCode(name: "pgdn")?.rawValue == 0xD1)
        #expect(KeyCode(name: "m")?.rawValue == 0x32)
        #expect(KeyCode(name: "nonsense") == nil)
        #expect(KeyCode(rawValue: 0x1C).name == "ret")
    }

    @Test func stateRoundTripWithBytesWaiting() throws {
        setMode(0x43)
        _ = mouse(0xF3, 200, 0xF3, 100, 0xF3, 80, 0xF4)
        key("shift", true)
        key("a", true)
        i8042.pointer(dx: 900, dy: 1, dz: 2, buttons: 1)
        command(0xD4)
        let otherLines = RecordedLines()
        let other = KeyboardController(
            clock: clock, keyboardLine: InterruptLine(sink: otherLines, number: 1),
            mouseLine: InterruptLine(sink: otherLines, number: 12), onReset: {})
        try other.importState(i8042.exportState())
        #expect(other.exportState() == i8042.exportState())
        #expect(otherLines.level(1) == lines.level(1))
        for chip in [i8042, other] { chip.write(offset: 0x60, size: 1, value: 0xE9) }
        clock.advance(by: 2_000_000_000)
        for _ in 0..<40 {
            for port: UInt64 in [0x64, 0x60] {
                #expect(i8042.read(offset: port, size: 1) == other.read(offset: port, size: 1))
            }
        }
    }

    @Test func badStateIsRefused() {
        var state = i8042.exportState()
        guard case .list(var keyboard)? = state.fields["keyboard"] else { return #expect(Bool(false)) }
        keyboard[0].set("keys", [UInt8](repeating: 0, count: 5000))
        state.set("keyboard", keyboard)
        #expect(throws: DeviceStateError.self) { try i8042.importState(state) }
    }

    @Test func randomPokes() throws {
        var random = SplitMix64(state: 9)
        for _ in 0..<200 {
            poke(i8042, offsets: [0x60, 0x60, 0x64, 0x64, 0x92], clock: clock, seed: random.next(), count: 500)
            for _ in 0..<20 {
                i8042.key(KeyCode(rawValue: UInt8(truncatingIfNeeded: random.next())), down: random.next() & 1 == 0)
                i8042.pointer(
                    dx: Int(truncatingIfNeeded: random.next()), dy: Int(random.next() % 50), dz: -1,
                    buttons: UInt8(truncatingIfNeeded: random.next()))
            }
            clock.advance(by: 20_000_000)
        }
        try i8042.importState(i8042.exportState())
    }
}
