internal import Display

/// The picture of a screen: a surface, and copies of what has changed onto it.
final class DisplayChannel: Channel {
    private static let surfaceFormat: UInt32 = 32
    private static let primary: UInt32 = 1
    /// ROPD_OP_PUT.
    private static let put: UInt16 = 8
    private enum Image {
        static let bitmap: UInt8 = 0
        static let lz: UInt8 = 101
        /// Pixels of 32 bits, the first row on top.
        static let format: UInt8 = 8
        static let topDown: UInt8 = 4
    }
    /// Pixels of one message.
    private static let areaLimit = 1 << 20
    /// Changed areas that go out at once; more are sent as what encloses them.
    private static let mostAreas = 512

    private unowned let connection: SPICEConnection
    private let server: SPICEServer
    private let screen: Screen
    private let number: Int
    private var compressor = LZCompressor()
    private var isReady = false
    private var seen: UInt64 = 0
    private var size: (width: Int, height: Int)?
    private var nextImage: UInt64 = 1

    init(_ connection: SPICEConnection, _ screen: Screen, _ number: Int) {
        self.connection = connection
        server = connection.server
        self.screen = screen
        self.number = number
    }

    func begin() {}

    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {
        // Caches and dictionaries are not used; what the client would have of them does not matter.
        guard type == Message.Display.initialise, !isReady else { return }
        isReady = true
        connection.send(Message.Display.invalidateAllPalettes)
        server.hurry()
        server.wantLook()
    }

    func drained() { if isReady { server.wantLook() } }

    func look(now: UInt64) -> Bool {
        // The client has yet to take what was sent before.
        guard isReady, connection.pending == 0, connection.unacknowledged < 2 * SPICEConnection.window else { return false }
        let messages = screen.look(now: now, age: LookPace.shortest / 2) { [self] picture in news(picture) }
        for (type, body) in messages { connection.send(type, body) }
        return !messages.isEmpty
    }

    private func news(_ picture: borrowing Picture) -> [(UInt16, [UInt8])] {
        var messages: [(UInt16, [UInt8])] = []
        let whole = PictureRectangle(x: 0, y: 0, width: picture.width, height: picture.height)
        if size.map({ $0 != (picture.width, picture.height) }) ?? true {
            messages += surface(picture.width, picture.height)
            messages += draw(whole, of: picture)
            messages.append((Message.Display.mark, []))
        } else {
            var areas = picture.changes(since: seen, in: whole)
            if areas.count > Self.mostAreas { areas = [Self.enclosing(areas)] }
            for area in areas { messages += draw(area, of: picture) }
        }
        seen = picture.stamp
        return messages
    }

    private static func enclosing(_ areas: [PictureRectangle]) -> PictureRectangle {
        var (left, top, right, bottom) = (Int.max, Int.max, 0, 0)
        for area in areas {
            (left, top) = (min(left, area.x), min(top, area.y))
            (right, bottom) = (max(right, area.x + area.width), max(bottom, area.y + area.height))
        }
        return PictureRectangle(x: left, y: top, width: right - left, height: bottom - top)
    }

    /// A new surface of a size, in place of the one before.
    private func surface(_ width: Int, _ height: Int) -> [(UInt16, [UInt8])] {
        var messages: [(UInt16, [UInt8])] = []
        var message = MessageBytes()
        if size != nil {
            message.append(0 as UInt32)
            messages.append((Message.Display.surfaceDestroy, message.bytes))
            message = MessageBytes()
        }
        size = (width, height)
        message.append(0, UInt32(width), UInt32(height), Self.surfaceFormat, Self.primary)
        messages.append((Message.Display.surfaceCreate, message.bytes))
        if connection.request.can(1) {
            // One monitor over the whole surface.
            message = MessageBytes()
            message.append(1 as UInt16, 1)
            message.append(0 as UInt32, 0, UInt32(width), UInt32(height), 0, 0, 0)
            messages.append((Message.Display.monitors, message.bytes))
        }
        return messages
    }

    private func draw(_ area: PictureRectangle, of picture: borrowing Picture) -> [(UInt16, [UInt8])] {
        guard area.width > 0, area.height > 0 else { return [] }
        let rows = max(1, Self.areaLimit / area.width)
        var messages: [(UInt16, [UInt8])] = []
        for top in stride(from: area.y, to: area.y + area.height, by: rows) {
            let part = PictureRectangle(
                x: area.x, y: top, width: area.width, height: min(rows, area.y + area.height - top))
            messages.append((Message.Display.drawCopy, copy(part, of: picture)))
        }
        return messages
    }

    /// A copy of an image onto the surface (`SpiceMsgDisplayDrawCopy`).
    private func copy(_ area: PictureRectangle, of picture: borrowing Picture) -> [UInt8] {
        let (width, height) = (area.width, area.height)
        var pixels: [UInt32] = []
        pixels.reserveCapacity(width * height)
        for y in area.y..<area.y + height {
            let start = y * picture.width + area.x
            pixels += picture.pixels[start..<start + width]
        }
        let coded = server.configuration.compression == .off
            ? nil : compressor.compress(pixels, width: width, height: height)
        var message = MessageBytes(capacity: 160 + (coded?.count ?? width * height * 4))
        message.append(0 as UInt32)
        // The place on the surface, which no list of rectangles cuts.
        message.append(Int32(area.y), Int32(area.x), Int32(area.y + height), Int32(area.x + width))
        message.append(0 as UInt8)
        let pointer = message.bytes.count
        message.append(0 as UInt32)
        message.append(0 as Int32, 0, Int32(height), Int32(width))
        message.append(Self.put)
        // No scaling, and no mask.
        message.append(0 as UInt8, 0)
        message.append(0 as Int32, 0)
        message.append(0 as UInt32)
        message.set(UInt32(message.bytes.count), at: pointer)
        // The image.
        message.append(nextImage)
        nextImage += 1
        message.append(coded == nil ? Image.bitmap : Image.lz, 0)
        message.append(UInt32(width), UInt32(height))
        if let coded {
            message.append(UInt32(coded.count))
            message.append(contentsOf: coded)
        } else {
            message.append(Image.format, Image.topDown)
            message.append(UInt32(width), UInt32(height), UInt32(width * 4))
            message.append(0 as UInt32)
            // SAFETY: the bytes of the array's own pixels, lowest first as this processor has them.
            unsafe pixels.withUnsafeBytes { unsafe message.append(contentsOf: $0) }
        }
        return message.bytes
    }
}
