internal import DeviceModel

/// The 93C46 on an RTL8139: 64 words, read bit by bit over four wires of a register. Writes are not obeyed. (Realtek,
/// RTL8139C+ 6.26; Microchip 93C46.)
struct RTL8139EEPROM: Equatable, Sendable {
    private enum Wire {
        static let output: UInt8 = 1 << 0
        static let input: UInt8 = 1 << 1
        static let clock: UInt8 = 1 << 2
        static let select: UInt8 = 1 << 3
    }
    let words: [UInt16]
    private var wires: UInt8 = 0
    private var command: UInt16 = 0
    private var bits: UInt8 = 0
    private var position: UInt16?
    private var output = true

    init(macAddress: [UInt8]) {
        var words = [UInt16](repeating: 0, count: 64)
        words[0] = 0x8129
        (words[1], words[2]) = (0x10EC, 0x8139)
        for index in 0..<3 where macAddress.count >= 6 {
            words[7 + index] = UInt16(macAddress[index * 2]) | UInt16(macAddress[index * 2 + 1]) << 8
        }
        self.words = words
    }

    /// The register's lower four bits.
    var control: UInt8 { wires & 0x0E | (output ? Wire.output : 0) }

    mutating func set(_ value: UInt8) {
        let before = wires
        wires = value & 0x0E
        guard wires & Wire.select != 0 else { return end() }
        if before & Wire.select == 0 { end() }
        guard wires & Wire.clock != 0, before & Wire.clock == 0 else { return }
        if let place = position {
            output = words[Int(place >> 4 & 63)] >> (15 - place & 15) & 1 != 0
            position = place &+ 1
            return
        }
        let bit: UInt16 = wires & Wire.input != 0 ? 1 : 0
        if bits == 0, bit == 0 { return }
        command = command << 1 | bit
        bits = min(bits + 1, 10)
        // A start bit, the operation (read: 10), six bits of address.
        if bits == 9, command >> 6 & 7 == 0b110 {
            position = (command & 63) << 4
            output = false
        }
    }
    private mutating func end() {
        command = 0
        bits = 0
        position = nil
        output = true
    }

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("wires", [wires, bits, output ? 1 : 0])
        state.set("command", command)
        if let position { state.set("position", position) }
        return state
    }
    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        let bytes = try state.bytes("wires", count: 3)
        (wires, bits, output) = (bytes[0] & 0x0E, min(bytes[1], 10), bytes[2] != 0)
        command = try state.integer("command")
        position = state.fields["position"] == nil ? nil : try state.integer("position")
    }
}
