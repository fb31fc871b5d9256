/// The PC's keyboard controller, an 8042 with the PS/2's program (IBM PS/2 Technical Reference, "Keyboard and
/// auxiliary device controller"), with its keyboard and mouse, and port 92.
struct I8042: Sendable {
    enum Mode {
        static let keyboardInterrupt: UInt8 = 0x01
        static let mouseInterrupt: UInt8 = 0x02
        static let system: UInt8 = 0x04
        static let keyboardOff: UInt8 = 0x10
        static let mouseOff: UInt8 = 0x20
        static let translate: UInt8 = 0x40
    }

    var keyboard = PS2Keyboard()
    var mouse = PS2Mouse()
    /// The controller's memory; byte 0 is the command byte.
    var memory = [UInt8](repeating: 0, count: 32)
    /// The byte at port 60 and where it came from.
    var output: UInt8 = 0
    var outputFull = false
    var outputFromMouse = false
    /// Answers of the controller itself that wait, with bit 8 for the mouse's side.
    var replies: [UInt16] = []
    /// The controller command whose argument comes next at port 60.
    var command: UInt8?
    /// The last write went to port 64.
    var lastWasCommand = false
    /// A release prefix went by in translation.
    var releasePrefix = false
    var a20 = true
    /// Bit 0 of port 92.
    var fastReset = false
    /// The guest asked for a reset of the processor. The adapter clears it.
    var resetRequested = false

    init(commandByte: UInt8) { memory[0] = commandByte }

    var commandByte: UInt8 { memory[0] }
    var keyboardInterrupt: Bool { outputFull && !outputFromMouse && commandByte & Mode.keyboardInterrupt != 0 }
    var mouseInterrupt: Bool { outputFull && outputFromMouse && commandByte & Mode.mouseInterrupt != 0 }

    /// Moves the next byte to port 60 where that is free. Called after the interrupt lines have shown it empty.
    mutating func fill() {
        guard !outputFull else { return }
        if !replies.isEmpty {
            let next = replies.removeFirst()
            output = UInt8(truncatingIfNeeded: next)
            outputFromMouse = next & 0x100 != 0
        } else if commandByte & Mode.keyboardOff == 0, let byte = nextFromKeyboard() {
            output = byte
            outputFromMouse = false
        } else if commandByte & Mode.mouseOff == 0, let byte = mouse.next() {
            output = byte
            outputFromMouse = true
        } else {
            return
        }
        outputFull = true
    }

    private mutating func nextFromKeyboard() -> UInt8? {
        guard commandByte & Mode.translate != 0 else { return keyboard.next() }
        while let byte = keyboard.next() {
            if byte == 0xF0 {
                releasePrefix = true
                continue
            }
            let translated = ScanCodes.translate(byte) | (releasePrefix ? 0x80 : 0)
            releasePrefix = false
            return translated
        }
        return nil
    }

    private mutating func reply(_ byte: UInt8, mouse: Bool = false) {
        if replies.count < 16 { replies.append(UInt16(byte) | (mouse ? 0x100 : 0)) }
    }

    // MARK: Registers

    var status: UInt8 {
        (outputFull ? 0x01 : 0) | (commandByte & Mode.system) | (lastWasCommand ? 0x08 : 0) | 0x10
            | (outputFull && outputFromMouse ? 0x20 : 0)
    }

    /// A read of port 60; `fill` comes after it.
    mutating func readData() -> UInt8 {
        outputFull = false
        return output
    }

    var port92: UInt8 { (a20 ? 2 : 0) | (fastReset ? 1 : 0) }

    mutating func writePort92(_ value: UInt8) {
        a20 = value & 2 != 0
        if value & 1 != 0 && !fastReset { resetRequested = true }
        fastReset = value & 1 != 0
    }

    /// A write to port 60.
    mutating func writeData(_ value: UInt8) {
        lastWasCommand = false
        guard let command else {
            memory[0] &= ~Mode.keyboardOff
            keyboard.write(value)
            return
        }
        self.command = nil
        switch command {
        case 0x60...0x7F: memory[Int(command & 0x1F)] = value
        case 0xD1:
            a20 = value & 2 != 0
            if value & 1 == 0 { resetRequested = true }
        case 0xD2: reply(value)
        case 0xD3: reply(value, mouse: true)
        case 0xD4:
            memory[0] &= ~Mode.mouseOff
            mouse.write(value)
        default: break
        }
    }

    /// A write to port 64.
    mutating func writeCommand(_ value: UInt8) {
        lastWasCommand = true
        command = nil
        switch value {
        case 0x20...0x3F: reply(memory[Int(value & 0x1F)])
        case 0x60...0x7F, 0xD1...0xD4: command = value
        case 0xA4: reply(0xF1)
        case 0xA7: memory[0] |= Mode.mouseOff
        case 0xA8: memory[0] &= ~Mode.mouseOff
        case 0xA9, 0xAB: reply(0x00)
        case 0xAA:
            memory[0] |= Mode.system
            reply(0x55)
        case 0xAD: memory[0] |= Mode.keyboardOff
        case 0xAE: memory[0] &= ~Mode.keyboardOff
        case 0xC0: reply(0x80)
        case 0xD0:
            let full: UInt8 = (keyboardInterrupt ? 0x10 : 0) | (mouseInterrupt ? 0x20 : 0)
            reply(0xC1 | (a20 ? 2 : 0) | full)
        case 0xDD: a20 = false
        case 0xDF: a20 = true
        case 0xE0: reply(0x00)
        case 0xF0...0xFF:
            // Pulses the output bits that are 0 in the command; bit 0 is the processor's reset.
            if value & 1 == 0 { resetRequested = true }
        default: break
        }
    }
}
