/// A PS/2 keyboard (IBM PS/2 Technical Reference, "Keyboards"): commands, scan code sets, typematic repeat.
struct PS2Keyboard: Sendable {
    /// Most bytes of keys that wait; presses beyond it are dropped, releases have some room more.
    static let queueLimit = 240
    static let queueReserve = 16

    var scanCodeSet: UInt8 = 2
    var scanning = true
    var leds: UInt8 = 0
    /// Rate and delay as command F3 sets them.
    var typematic: UInt8 = 0x2B
    /// The command whose argument comes next.
    var command: UInt8?
    var lastSent: UInt8 = 0
    /// Answers to commands; they go before keys.
    var replies: [UInt8] = []
    var keys: [UInt8] = []
    /// The keys that are down, one bit each.
    var held = [UInt8](repeating: 0, count: 32)
    /// In set 3, keys that do not repeat and keys that send no release, one bit each by set 3 code.
    var noRepeat = [UInt8](repeating: 0, count: 32)
    var noBreak = [UInt8](repeating: 0, count: 32)
    var repeatKey: UInt8?
    var repeatAt: UInt64?

    var hasData: Bool { !replies.isEmpty || !keys.isEmpty }

    private static func bit(_ set: [UInt8], _ number: UInt8) -> Bool { set[Int(number >> 3)] & 1 << (number & 7) != 0 }
    private static func change(_ set: inout [UInt8], _ number: UInt8, _ on: Bool) {
        if on { set[Int(number >> 3)] |= 1 << (number & 7) } else { set[Int(number >> 3)] &= ~(1 << (number & 7)) }
    }

    // MARK: Keys

    private var modifiers: ScanCodes.Modifiers {
        ScanCodes.Modifiers(
            shift: Self.bit(held, 0x2A) || Self.bit(held, 0x36), control: Self.bit(held, 0x1D) || Self.bit(held, 0x9D),
            alt: Self.bit(held, 0x38) || Self.bit(held, 0xB8))
    }

    /// Delay before the first repeat, in nanoseconds: 250 to 1000 ms.
    var repeatDelay: UInt64 { (UInt64(typematic >> 5 & 3) + 1) * 250_000_000 }
    /// Time between repeats: (8 + A) * 2^B * 4.17 ms.
    var repeatPeriod: UInt64 { ((8 + UInt64(typematic & 7)) << UInt64(typematic >> 3 & 3)) * 4_170_000 }

    /// A key goes down or up. A press of a key that is down is ignored: the keyboard repeats by itself.
    mutating func key(_ key: KeyCode, down: Bool, now: UInt64) {
        guard Self.bit(held, key.rawValue) != down else { return }
        Self.change(&held, key.rawValue, down)
        if repeatKey == key.rawValue || down { (repeatKey, repeatAt) = (nil, nil) }
        guard scanning, send(key, down: down), down, key != .pause else { return }
        if scanCodeSet == 3 && Self.bit(noRepeat, ScanCodes.inSet3(key.rawValue)) { return }
        repeatKey = key.rawValue
        repeatAt = now &+ repeatDelay
    }

    private mutating func send(_ key: KeyCode, down: Bool) -> Bool {
        if scanCodeSet == 3 && !down && Self.bit(noBreak, ScanCodes.inSet3(key.rawValue)) { return true }
        let bytes = ScanCodes.bytes(key, down: down, set: scanCodeSet, modifiers: modifiers)
        let limit = Self.queueLimit + (down ? 0 : Self.queueReserve)
        guard keys.count + bytes.count <= limit else { return false }
        keys += bytes
        return true
    }

    /// Repeats the key that is held.
    mutating func tick(now: UInt64) {
        guard let key = repeatKey, let at = repeatAt, now >= at else { return }
        // A repeat is sent only when the one before was read: a slow guest gets no flood.
        if keys.isEmpty { _ = send(KeyCode(rawValue: key), down: true) }
        repeatAt = now &+ repeatPeriod
    }

    // MARK: The wire

    /// The next byte for the controller.
    mutating func next() -> UInt8? {
        if !replies.isEmpty {
            lastSent = replies.removeFirst()
        } else if !keys.isEmpty {
            lastSent = keys.removeFirst()
        } else {
            return nil
        }
        return lastSent
    }

    private mutating func reply(_ bytes: UInt8...) {
        // A guest that only writes gets what fits.
        if replies.count + bytes.count <= 16 { replies += bytes }
    }

    private mutating func setDefaults() {
        typematic = 0x2B
        scanCodeSet = 2
        noRepeat = [UInt8](repeating: 0, count: 32)
        noBreak = noRepeat
        stopRepeat()
        keys = []
    }
    private mutating func stopRepeat() { (repeatKey, repeatAt) = (nil, nil) }

    /// A byte from the controller: a command or its argument.
    mutating func write(_ byte: UInt8) {
        if let command, byte < 0xED || command == 0xED || command == 0xF3 {
            return argument(byte, of: command)
        }
        command = nil
        switch byte {
        case 0xED, 0xF0, 0xF3:
            command = byte
            reply(0xFA)
        case 0xFB, 0xFC, 0xFD:
            command = byte
            keys = []
            reply(0xFA)
        case 0xEE: reply(0xEE)
        case 0xF2: reply(0xFA, 0xAB, 0x83)
        case 0xF4:
            scanning = true
            keys = []
            reply(0xFA)
        case 0xF5:
            setDefaults()
            scanning = false
            reply(0xFA)
        case 0xF6:
            setDefaults()
            reply(0xFA)
        case 0xF7, 0xF8, 0xF9, 0xFA:
            // All keys: repeating, make and break, make only, all three.
            keys = []
            noRepeat = [UInt8](repeating: byte == 0xF7 || byte == 0xFA ? 0 : 0xFF, count: 32)
            noBreak = [UInt8](repeating: byte == 0xF8 || byte == 0xFA ? 0 : 0xFF, count: 32)
            reply(0xFA)
        case 0xFE: reply(lastSent)
        case 0xFF:
            setDefaults()
            replies = []
            scanning = true
            leds = 0
            reply(0xFA, 0xAA)
        default: reply(0xFE)
        }
    }

    private mutating func argument(_ byte: UInt8, of command: UInt8) {
        switch command {
        case 0xED:
            self.command = nil
            leds = byte & 7
            reply(0xFA)
        case 0xF3:
            self.command = nil
            typematic = byte & 0x7F
            reply(0xFA)
        case 0xF0:
            self.command = nil
            switch byte {
            case 0: reply(0xFA, scanCodeSet)
            case 1...3:
                scanCodeSet = byte
                keys = []
                stopRepeat()
                reply(0xFA)
            default: reply(0xFE)
            }
        default:
            // FB to FD take keys until another command comes.
            Self.change(&noRepeat, byte, command != 0xFB)
            Self.change(&noBreak, byte, command != 0xFC)
            reply(0xFA)
        }
    }
}
