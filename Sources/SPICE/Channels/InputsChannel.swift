internal import Display
internal import HostOS

/// Keys and movements of the client's.
final class InputsChannel: Channel {
    private enum Button {
        static let up: UInt8 = 4
        static let down: UInt8 = 5
    }
    /// How many movements come before the client waits to hear of them (SPICE_INPUT_MOTION_ACK_BUNCH).
    private static let bunch = 4
    /// The keys of the lights, in the order of the protocol's bits and the keyboard's: scroll, num and caps lock.
    private static let locks: [UInt8] = [0x46, 0x45, 0x3A]

    /// How old the picture's size may be, in nanoseconds.
    private static let sizeAge: UInt64 = 100_000_000

    private unowned let connection: SPICEConnection
    private let server: SPICEServer
    private var prefix: UInt8 = 0
    private var held: Set<UInt8> = []
    private var buttons: UInt8 = 0
    private var movements = 0
    private var sentLights: UInt8 = 0

    init(_ connection: SPICEConnection) {
        self.connection = connection
        server = connection.server
    }

    func begin() {
        sentLights = server.input.leds
        connection.send(Message.Inputs.initialise, Self.bytes(UInt16(sentLights)))
    }
    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number & 0xFF), UInt8(number >> 8)] }

    func look(now: UInt64) -> Bool {
        let lights = server.input.leds
        guard lights != sentLights else { return false }
        sentLights = lights
        connection.send(Message.Inputs.modifiers, Self.bytes(UInt16(lights)))
        return true
    }

    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {
        server.hurry()
        var fields = MessageFields(body)
        switch type {
        case Message.Inputs.keyDown, Message.Inputs.keyUp:
            var code: UInt32 = try fields.next()
            while code != 0 {
                scan(UInt8(code & 0xFF))
                code >>= 8
            }
        case Message.Inputs.scanCodes: for byte in body { scan(byte) }
        case Message.Inputs.keyModifiers: setLights(try fields.next(UInt16.self))
        case Message.Inputs.motion:
            let (dx, dy): (Int32, Int32) = (try fields.next(), try fields.next())
            count()
            setButtons(try fields.next())
            guard !isClientMouse else { return }
            // A hand does not move so far at once.
            server.input.move(dx: Int(dx).clamped, dy: Int(dy).clamped)
        case Message.Inputs.position:
            let (x, y): (UInt32, UInt32) = (try fields.next(), try fields.next())
            let mask: UInt16 = try fields.next()
            let display: UInt8 = try fields.next()
            count()
            guard isClientMouse, server.screens.indices.contains(Int(display)) else { return setButtons(mask) }
            place(x, y, mask, Int(display))
        case Message.Inputs.press, Message.Inputs.release:
            let button: UInt8 = try fields.next()
            setButtons(try fields.next(), wheel: type == Message.Inputs.press ? button : 0)
        default: break
        }
    }

    private var isClientMouse: Bool { server.main?.isClientMouse ?? false }

    private func count() {
        movements += 1
        guard movements == Self.bunch else { return }
        movements = 0
        connection.send(Message.Inputs.motionAck)
    }

    private func place(_ x: UInt32, _ y: UInt32, _ mask: UInt16, _ display: Int) {
        let size = server.screens[display].look(now: HostClock.monotonic, age: Self.sizeAge) { ($0.width, $0.height) }
        func scaled(_ value: UInt32, _ size: Int) -> Int {
            size > 1 ? min(Int(value), size - 1) * PointerEvent.limit / (size - 1) : 0
        }
        if server.input.isAbsolute {
            server.input.place(x: scaled(x, size.0), y: scaled(y, size.1))
            setButtons(mask)
        } else {
            server.relay.point(x: x, y: y, buttons: mask, display: UInt8(display))
        }
    }

    /// What the agent is not told goes to the guest's mouse or tablet.
    private func setButtons(_ mask: UInt16, wheel button: UInt8 = 0) {
        if isClientMouse, !server.input.isAbsolute {
            return server.relay.press(mask | (button == Button.up ? 1 << 3 : button == Button.down ? 1 << 4 : 0), mask)
        }
        // Left, middle and right; side and extra as bits 5 and 6.
        let state = UInt8(
            truncatingIfNeeded: mask & 1 | (mask & 2) << 1 | (mask & 4) >> 1 | (mask >> 5 & 1) << 3 | (mask >> 6 & 1) << 4)
        let wheel = button == Button.up ? -1 : button == Button.down ? 1 : 0
        buttons = state
        if state != server.input.buttons || wheel != 0 { server.input.setButtons(state, dz: wheel) }
    }

    // MARK: Keys

    /// A byte as a keyboard of set 1 sends it.
    private func scan(_ byte: UInt8) {
        switch (prefix, byte) {
        case (0, 0xE0): prefix = 0xE0
        // Pause: E1 1D 45, and E1 9D C5 when it is let go.
        case (0, 0xE1): prefix = 0xE1
        case (0xE1, _):
            if byte & 0x7F == 0x45 {
                key(0xC6, down: byte & 0x80 == 0)
                prefix = 0
            } else if byte & 0x7F != 0x1D {
                prefix = 0
            }
        default:
            let isExtended = prefix == 0xE0
            prefix = 0
            guard byte & 0x7F != 0 else { return }
            key(byte & 0x7F | (isExtended ? 0x80 : 0), down: byte & 0x80 == 0)
        }
    }

    private func key(_ code: UInt8, down: Bool) {
        if down { held.insert(code) } else { held.remove(code) }
        server.input.key(code, down: down)
    }

    private func setLights(_ wanted: UInt16) {
        let lights = server.input.leds
        for (bit, code) in Self.locks.enumerated() where (wanted >> UInt16(bit) ^ UInt16(lights >> UInt8(bit))) & 1 != 0 {
            guard !held.contains(code) else { continue }
            server.input.key(code, down: true)
            server.input.key(code, down: false)
        }
    }

    /// Keys and buttons that are down do not stay so without a client.
    func end() {
        for code in held { server.input.key(code, down: false) }
        if buttons != 0 { server.input.setButtons(0) }
    }
}

extension Int {
    fileprivate var clamped: Int { Swift.min(Swift.max(self, -0x7FFF), 0x7FFF) }
}
