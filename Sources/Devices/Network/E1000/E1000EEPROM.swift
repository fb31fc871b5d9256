internal import DeviceModel

/// The card's serial EEPROM: 64 words, read by the register that fetches a word at once, or bit by bit over its four
/// wires as drivers of this generation do. Writes are not obeyed. SDM 5.2 and 13.4.3; the wires speak Microwire.
struct E1000EEPROM: Equatable {
    /// Bits of the control register. SDM 13.4.3.
    enum Wire {
        static let clock: UInt32 = 1 << 0
        static let select: UInt32 = 1 << 1
        static let dataIn: UInt32 = 1 << 2
        static let dataOut: UInt32 = 1 << 3
        static let writable: UInt32 = 0x77
        static let grant: UInt32 = 1 << 7
        static let present: UInt32 = 1 << 8
        static let request: UInt32 = 1 << 6
    }
    /// Bits of a command before its data: a start bit, two of operation, six of address.
    private static let commandBits: UInt32 = 9
    private static let readOperation: UInt32 = 0b110
    /// What the sum of all words is. SDM 5.6.35.
    private static let checksum: UInt16 = 0xBABA

    let words: [UInt16]
    private(set) var wires: UInt32 = 0
    private var command: UInt32 = 0
    private var bits: UInt32 = 0
    private var isReading = false
    private var position: UInt32 = 0
    private var output = true

    /// The contents for a hardware address of 6 bytes.
    init(macAddress: [UInt8], deviceID: UInt16 = 0x100E) {
        var words = [UInt16](repeating: 0xFFFF, count: 64)
        for index in 0..<3 where macAddress.count >= 6 {
            words[index] = UInt16(macAddress[index * 2]) | UInt16(macAddress[index * 2 + 1]) << 8
        }
        // SDM 5.6: compatibility, control word 1 (signature, ids are loaded, full duplex), ids, control word 2 (pause).
        for (place, value) in [
            (0x03, 0), (0x04, 0xFFFF), (0x0A, 0x4403), (0x0B, deviceID), (0x0C, 0x8086), (0x0D, deviceID), (0x0E, 0x8086),
            (0x0F, 0x3040), (0x21, 0x0000), (0x23, 0x0000), (0x24, 0x0000),
        ] as [(Int, UInt16)] {
            words[place] = value
        }
        words[63] = Self.checksum &- words[..<63].reduce(0, &+)
        self.words = words
    }

    /// The control register as the driver reads it.
    var control: UInt32 {
        wires | Wire.present | (wires & Wire.request != 0 ? Wire.grant : 0) | (output ? Wire.dataOut : 0)
    }

    /// The driver moves the wires. Bits count at the clock's rise.
    mutating func setControl(_ value: UInt32) {
        let before = wires
        wires = value & Wire.writable
        guard wires & Wire.select != 0 else {
            isReading = false
            output = true
            return
        }
        if before & Wire.select == 0 {
            command = 0
            bits = 0
            isReading = false
            output = true
        }
        guard wires & Wire.clock != 0, before & Wire.clock == 0 else { return }
        if isReading {
            let word = words[Int(position >> 4 & 63)]
            output = word >> UInt16(15 - position & 15) & 1 != 0
            position &+= 1
            return
        }
        let bit: UInt32 = wires & Wire.dataIn != 0 ? 1 : 0
        // Zeroes before the start bit are nothing.
        if bits == 0 && bit == 0 { return }
        command = command << 1 | bit
        bits = min(bits + 1, Self.commandBits + 1)
        if bits == Self.commandBits, command >> 6 & 7 == Self.readOperation {
            isReading = true
            position = (command & 63) << 4
            output = false
        }
    }

    /// The read register's answer to an address: done, with the word. SDM 13.4.4.
    func fetch(_ value: UInt32) -> UInt32 {
        let start: UInt32 = 1
        guard value & start != 0 else { return value & 0xFF00 }
        let address = value >> 8 & 0xFF
        let word = address < 64 ? words[Int(address)] : 0
        return value & 0xFF00 | 1 << 4 | UInt32(word) << 16
    }

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("wires", wires)
        state.set("command", command)
        state.set("bits", bits)
        state.set("reading", isReading)
        state.set("position", position)
        state.set("output", output)
        return state
    }
    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        wires = try state.integer("wires", as: UInt32.self) & Wire.writable
        command = try state.integer("command")
        bits = min(try state.integer("bits"), Self.commandBits + 1)
        isReading = try state.bool("reading")
        position = try state.integer("position")
        output = try state.bool("output")
    }
}
