internal import DeviceModel

/// A High Definition Audio codec as a pure model: verbs in, responses out. (Intel, High Definition Audio 1.0a,
/// chapter 7.)
///
/// Node 1 is the audio function group, 2 the converter to analogue with its pin 3, 4 the one from analogue with pin 5.
package struct HDACodec: Sendable {
    /// What is soldered to the codec.
    package enum Kind: String, CaseIterable, Sendable {
        /// A line out.
        case output = "hda-output"
        /// A line out and a line in.
        case duplex = "hda-duplex"
        /// A speaker and a microphone.
        case micro = "hda-micro"

        var hasInput: Bool { self != .output }
        /// The device numbers that drivers know QEMU's codecs by, without and with mixer.
        func deviceID(mixer: Bool) -> UInt32 {
            switch self {
            case .output: mixer ? 0x12 : 0x11
            case .duplex: mixer ? 0x22 : 0x21
            case .micro: mixer ? 0x32 : 0x31
            }
        }
    }

    /// A converter between samples and a stream.
    struct Converter: Equatable, Sendable {
        var format: UInt16 = 0
        /// The stream's number and the first of its channels.
        var stream: UInt8 = 0
        /// Left and right: bit 7 mutes, the rest is the gain.
        var amplifier: [UInt8] = [HDACodec.steps, HDACodec.steps]
        var number: UInt8 { stream >> 4 }
        var channel: Int { Int(stream & 15) }
    }
    /// A pin or the group: what is kept of it.
    struct Pin: Equatable, Sendable {
        var control: UInt8
        var configuration: UInt32
        var unsolicited: UInt8 = 0
        var eapd: UInt8 = 2
    }

    /// Steps of an amplifier, of 1 dB each.
    static let steps: UInt8 = 0x4A
    private static let mute: UInt8 = 0x80

    package let kind: Kind
    let hasMixer: Bool
    var output = Converter()
    var input = Converter()
    /// By node: 3 and 5.
    var pins: [Pin]
    var powerState: UInt8 = 0

    /// A codec after power-on; without a mixer it always plays at full volume.
    package init(_ kind: Kind, mixer: Bool = true) {
        self.kind = kind
        hasMixer = mixer
        let isMicro = kind == .micro
        pins = [
            Pin(control: 0x40, configuration: isMicro ? 0x9017_0110 : 0x0101_4010),
            Pin(control: 0x20, configuration: isMicro ? 0x90A7_0120 : 0x0181_3020),
        ]
    }

    /// To the state after power-on, but for the pins' configuration.
    mutating func reset() {
        let old = pins.map(\.configuration)
        self = HDACodec(kind, mixer: hasMixer)
        for index in pins.indices { pins[index].configuration = old[index] }
    }

    private var lastNode: Int { kind.hasInput ? 5 : 3 }

    // MARK: Verbs

    /// Does what a command says, without the codec's address: a node in bits 20 to 26, then the verb.
    package mutating func command(_ word: UInt32) -> UInt32 {
        let node = Int(word >> 20 & 0x7F)
        guard word >> 27 & 1 == 0, node <= lastNode else { return 0 }
        let verb = word >> 8 & 0xFFF
        let payload = UInt8(truncatingIfNeeded: word)
        switch verb >> 8 {
        case 0x2: setFormat(node, UInt16(truncatingIfNeeded: word))
        case 0xA: return UInt32(converter(node)?.format ?? 0)
        case 0x3: setAmplifier(node, UInt16(truncatingIfNeeded: word))
        case 0xB: return amplifier(node, UInt16(truncatingIfNeeded: word))
        default: return verb == 0xF00 ? parameter(node, payload) : control(node, verb, payload)
        }
        return 0
    }

    /// The converter that a node is.
    private func converter(_ node: Int) -> Converter? { node == 2 ? output : node == 4 ? input : nil }
    private mutating func change(_ node: Int, _ body: (inout Converter) -> Void) {
        if node == 2 { body(&output) } else if node == 4 { body(&input) }
    }
    private func pin(_ node: Int) -> Int? { node == 3 ? 0 : node == 5 ? 1 : nil }

    private mutating func setFormat(_ node: Int, _ format: UInt16) { change(node) { $0.format = format } }

    /// 7.3.3.7: bit 15 output, 14 input, 13 left, 12 right.
    private mutating func setAmplifier(_ node: Int, _ value: UInt16) {
        guard hasMixer, node == 2 ? value & 0x8000 != 0 : value & 0x4000 != 0 else { return }
        let setting = UInt8(truncatingIfNeeded: value)
        let kept = setting & Self.mute | min(setting & ~Self.mute, Self.steps)
        change(node) { converter in
            if value & 0x2000 != 0 { converter.amplifier[0] = kept }
            if value & 0x1000 != 0 { converter.amplifier[1] = kept }
        }
    }
    private func amplifier(_ node: Int, _ value: UInt16) -> UInt32 {
        guard hasMixer, let converter = converter(node), (value & 0x8000 != 0) == (node == 2) else { return 0 }
        return UInt32(converter.amplifier[value & 0x2000 != 0 ? 0 : 1])
    }

    /// The verbs of 12 bits, 7.3.3.
    private mutating func control(_ node: Int, _ verb: UInt32, _ payload: UInt8) -> UInt32 {
        switch verb {
        // Connection list: pin 3 is fed by 2, converter 4 by 5.
        case 0xF02: return payload != 0 ? 0 : node == 3 ? 2 : node == 4 ? 5 : 0
        case 0xF05: return node == 1 ? UInt32(powerState) * 0x11 : 0
        case 0x705: if node == 1 { powerState = payload & 3 }
        case 0xF06: return UInt32(converter(node)?.stream ?? 0)
        case 0x706: change(node) { $0.stream = payload }
        // Subsystem.
        case 0xF20: return node == 1 ? identifier : 0
        case 0x7FF: if node == 1 { reset() }
        default: return controlPin(node, verb, payload)
        }
        return 0
    }

    private mutating func controlPin(_ node: Int, _ verb: UInt32, _ payload: UInt8) -> UInt32 {
        guard let index = pin(node) else { return 0 }
        switch verb {
        case 0xF07: return UInt32(pins[index].control)
        case 0x707: pins[index].control = payload & (index == 0 ? 0xC0 : 0x27)
        case 0xF08: return UInt32(pins[index].unsolicited)
        case 0x708: pins[index].unsolicited = payload & 0xBF
        // Something is always plugged in.
        case 0xF09: return 0x8000_0000
        case 0xF0C: return UInt32(pins[index].eapd)
        case 0x70C: pins[index].eapd = payload & 7
        case 0xF1C: return pins[index].configuration
        case 0x71C...0x71F:
            let shift = (verb - 0x71C) * 8
            pins[index].configuration = pins[index].configuration & ~(0xFF << shift) | UInt32(payload) << shift
        default: break
        }
        return 0
    }

    private var identifier: UInt32 { 0x1AF4_0000 | kind.deviceID(mixer: hasMixer) }

    /// What a node says of itself, 7.3.4.
    private func parameter(_ node: Int, _ number: UInt8) -> UInt32 {
        // 16 bits at 16 to 96 kHz.
        let (rates, pulseCode): (UInt32, UInt32) = (0x0002_01FC, 1)
        // 0 dB is the last of the steps; a mute.
        let gain = hasMixer ? 0x8003_0000 | UInt32(Self.steps) << 8 | UInt32(Self.steps) : 0
        switch (node, number) {
        case (0, 0x00): return identifier
        case (0, 0x02): return 0x0010_0101
        case (0, 0x04): return 0x0001_0001
        case (1, 0x04): return 0x0002_0000 | UInt32(lastNode - 1)
        case (1, 0x05): return 1
        case (1, 0x08): return 0x0000_0808
        case (1, 0x0F): return 0x9
        case (1, 0x0A), (2, 0x0A), (4, 0x0A): return rates
        case (1, 0x0B), (2, 0x0B), (4, 0x0B): return pulseCode
        // Stereo, own formats, an amplifier behind it.
        case (2, 0x09): return 0x0000_0011 | (hasMixer ? 0x0C : 0)
        case (2, 0x12): return gain
        case (3, 0x09): return 0x0040_0101
        case (3, 0x0C): return 0x0000_0010
        case (3, 0x0E), (4, 0x0E): return 1
        case (4, 0x09): return 0x0010_0111 | (hasMixer ? 0x0A : 0)
        case (4, 0x0D): return gain
        case (5, 0x09): return 0x0040_0001
        case (5, 0x0C): return 0x0000_0020
        default: return 0
        }
    }

    // MARK: Sound

    /// What becomes of samples on their way out: left and right.
    func amplified(_ samples: [Int16]) -> [Int16] {
        let gains = output.amplifier.map(Self.gain)
        guard pins[0].control & 0x40 != 0, powerState == 0 else { return [Int16](repeating: 0, count: samples.count) }
        guard hasMixer, gains != [65536, 65536] else { return samples }
        return samples.indices.map { Int16(clamping: (Int(samples[$0]) * gains[$0 & 1]) >> 16) }
    }
    /// A gain as parts of 65536.
    private static func gain(_ setting: UInt8) -> Int {
        guard setting & mute == 0 else { return 0 }
        var factor = 65536.0
        for _ in 0..<Int(steps - min(setting & ~mute, steps)) { factor *= 0.891_250_938_133_7 }
        return Int(factor)
    }

    // MARK: State

    func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        for (name, converter) in [("output", output), ("input", input)] {
            state.set("\(name)-format", converter.format)
            state.set("\(name)-stream", converter.stream)
            state.set("\(name)-amplifier", converter.amplifier)
        }
        for (index, pin) in pins.enumerated() {
            state.set("pin\(index)", [pin.control, pin.unsolicited, pin.eapd])
            state.set("pin\(index)-configuration", pin.configuration)
        }
        state.set("power", powerState)
        return state
    }
    mutating func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        func converter(_ name: String) throws(DeviceStateError) -> Converter {
            Converter(
                format: try state.integer("\(name)-format"), stream: try state.integer("\(name)-stream"),
                amplifier: try state.bytes("\(name)-amplifier", count: 2)
                    .map { $0 & Self.mute | min($0 & ~Self.mute, Self.steps) })
        }
        output = try converter("output")
        input = try converter("input")
        for index in pins.indices {
            let bytes = try state.bytes("pin\(index)", count: 3)
            pins[index] = Pin(
                control: bytes[0], configuration: try state.integer("pin\(index)-configuration"),
                unsolicited: bytes[1], eapd: bytes[2])
        }
        powerState = try state.integer("power", as: UInt8.self) & 3
    }
}
