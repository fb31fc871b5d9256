internal import Display

/// The shape of the guest's pointer, which the client draws.
final class CursorChannel: Channel {
    private enum Flags {
        /// There is no shape.
        static let none: UInt16 = 1
    }
    /// Colours with opacity.
    private static let alpha: UInt8 = 0
    private unowned let connection: SPICEConnection
    private let server: SPICEServer
    private let screen: Screen
    private var sent: UInt64 = 0
    private var nextShape: UInt64 = 1

    init(_ connection: SPICEConnection, _ screen: Screen) {
        self.connection = connection
        server = connection.server
        self.screen = screen
    }

    func begin() {
        let pointer = screen.pointer
        sent = pointer.stamp
        var message = MessageBytes()
        // Its place, and no trail.
        message.append(0 as Int16, 0, 0, 0)
        append(pointer.shape, to: &message)
        connection.send(Message.Cursor.initialise, message.bytes)
    }
    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {}

    func look(now: UInt64) -> Bool {
        let pointer = screen.pointer
        guard pointer.stamp != sent, connection.pending == 0 else { return false }
        sent = pointer.stamp
        guard pointer.shape != nil else {
            connection.send(Message.Cursor.hide)
            return true
        }
        var message = MessageBytes()
        message.append(0 as Int16, 0)
        append(pointer.shape, to: &message)
        connection.send(Message.Cursor.set, message.bytes)
        return true
    }

    /// Whether there is a shape, and the shape.
    private func append(_ shape: PointerShape?, to message: inout MessageBytes) {
        guard let shape, shape.width > 0, shape.height > 0 else {
            message.append(0 as UInt8)
            message.append(Flags.none)
            return
        }
        message.append(1 as UInt8)
        message.append(0 as UInt16)
        message.append(nextShape)
        nextShape += 1
        message.append(Self.alpha)
        message.append(
            UInt16(clamping: shape.width), UInt16(clamping: shape.height), UInt16(clamping: shape.hotX),
            UInt16(clamping: shape.hotY))
        for pixel in shape.pixels { message.append(pixel) }
    }
}
