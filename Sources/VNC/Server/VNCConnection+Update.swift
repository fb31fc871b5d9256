internal import Display

extension VNCConnection {
    /// Sends what has changed, where the viewer waits for it and has taken all before. False where nothing was sent.
    func update(now: UInt64) -> Bool {
        guard phase == .running, !isClosed, !isClosing, output.isEmpty, let request else { return false }
        let bytes = server.consoles[console].screen.look(now: now, age: LookPace.shortest / 2) {
            [self] picture in message(picture, request)
        }
        guard let bytes else { return false }
        self.request = nil
        send(bytes)
        return true
    }

    /// An update; nil where there is nothing to tell.
    private func message(_ picture: borrowing Picture, _ request: PictureRectangle) -> [UInt8]? {
        var message: [UInt8] = [0, 0, 0, 0]
        var count = 0
        let isResized = picture.width != size.width || picture.height != size.height
        if let asked = mustSendSize, supported.contains(Encoding.extendedDesktopSize) {
            appendSize(picture, reason: asked.reason, status: asked.status, to: &message)
            count = 1
        } else if isResized, supported.contains(Encoding.extendedDesktopSize) {
            appendSize(picture, reason: 0, status: 0, to: &message)
            count = 1
        } else if isResized, supported.contains(Encoding.desktopSize) {
            let area = PictureRectangle(x: 0, y: 0, width: picture.width, height: picture.height)
            encoder.header(area, Encoding.desktopSize, to: &message)
            count = 1
        }
        if count > 0 {
            // A change of size stands alone; the viewer's next request gets the picture.
            mustSendSize = nil
            if isResized {
                (seen, isFull) = (0, true)
                shown?.forget()
            }
            size = (picture.width, picture.height)
            message[3] = 1
            return message
        }
        count += appendNews(to: &message)
        let whole = PictureRectangle(
            x: 0, y: 0, width: min(size.width, picture.width), height: min(size.height, picture.height))
        let region = request.cut(to: whole)
        if region.width > 0, region.height > 0 {
            var areas = isFull ? [region] : picture.changes(since: seen, in: region)
            if !isFull, region == whole { areas = copy(areas, of: picture, to: &message, &count) }
            for area in areas.prefix(4096) { count += encoder.append(area, of: picture, to: &message) }
            // What lies outside of the region, or did not fit, is still to come.
            if region == whole, areas.count <= 4096 {
                seen = picture.stamp
                if count > 0 { shown?.take(picture) }
            } else {
                shown?.forget()
            }
            isFull = false
        }
        guard count > 0 else { return nil }
        message[2] = UInt8(truncatingIfNeeded: count >> 8)
        message[3] = UInt8(truncatingIfNeeded: count)
        return message
    }

    /// Has the viewer copy what has moved up or down; what is left to be sent.
    private func copy(
        _ areas: [PictureRectangle], of picture: borrowing Picture, to message: inout [UInt8], _ count: inout Int
    ) -> [PictureRectangle] {
        guard shown != nil, let first = areas.first else { return areas }
        var box = first
        for area in areas {
            let (right, bottom) = (max(box.x + box.width, area.x + area.width), max(box.y + box.height, area.y + area.height))
            (box.x, box.y) = (min(box.x, area.x), min(box.y, area.y))
            (box.width, box.height) = (right - box.x, bottom - box.y)
        }
        guard let (moved, from) = shown?.move(box, of: picture) else { return areas }
        encoder.header(moved, Encoding.copyRectangle, to: &message)
        for value in [moved.x, from] { message += [UInt8(value >> 8), UInt8(value & 0xFF)] }
        count += 1
        // Of the box what lies above and below the copy is sent.
        let above = PictureRectangle(x: box.x, y: box.y, width: box.width, height: moved.y - box.y)
        let end = moved.y + moved.height
        let below = PictureRectangle(x: box.x, y: end, width: box.width, height: box.y + box.height - end)
        return [above, below].filter { $0.height > 0 }
    }

    private func appendSize(_ picture: borrowing Picture, reason: Int, status: Int, to message: inout [UInt8]) {
        encoder.header(
            PictureRectangle(x: reason, y: status, width: picture.width, height: picture.height),
            Encoding.extendedDesktopSize, to: &message)
        // One screen over the whole picture.
        message += [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for value in [picture.width, picture.height] { message += [UInt8(value >> 8), UInt8(value & 0xFF)] }
        message += [0, 0, 0, 0]
    }

    /// The pointer's shape, which the viewer draws by itself.
    private func appendPointer(to message: inout [UInt8]) -> Int {
        let isAlpha = supported.contains(Encoding.alphaCursor)
        guard isAlpha || supported.contains(Encoding.cursor) else { return 0 }
        let pointer = server.consoles[console].screen.pointer
        guard pointer.stamp != sentPointer else { return 0 }
        // A console that has no shape of its own gets the usual one back, as far as viewers know one.
        guard pointer.stamp > 0 || sentPointer != 0 else { return 0 }
        sentPointer = pointer.stamp
        let shape = pointer.shape ?? PointerShape(width: 0, height: 0, hotX: 0, hotY: 0, pixels: [])
        encoder.header(
            PictureRectangle(x: shape.hotX, y: shape.hotY, width: shape.width, height: shape.height),
            isAlpha ? Encoding.alphaCursor : Encoding.cursor, to: &message)
        if isAlpha {
            // Raw; red, green, blue and opacity, the colours multiplied by it as the guest has them.
            message += [0, 0, 0, 0]
            for pixel in shape.pixels {
                for shift: UInt32 in [16, 8, 0, 24] { message.append(UInt8(truncatingIfNeeded: pixel >> shift)) }
            }
            return 1
        }
        for pixel in shape.pixels { encoder.translator.append(pixel & 0xFF_FFFF, to: &message) }
        // A bit for each pixel that is there.
        for y in 0..<shape.height {
            var byte: UInt8 = 0
            for x in 0..<shape.width {
                if shape.pixels[y * shape.width + x] >> 24 >= 128 { byte |= 0x80 >> UInt8(x & 7) }
                if x & 7 == 7 || x == shape.width - 1 {
                    message.append(byte)
                    byte = 0
                }
            }
        }
        return 1
    }

    /// The lights, and whether pointers are told places.
    private func appendNews(to message: inout [UInt8]) -> Int {
        var count = 0
        let none = PictureRectangle(x: 0, y: 0, width: 0, height: 0)
        count += appendPointer(to: &message)
        let lights = server.input.leds
        if supported.contains(Encoding.lights), lights != sentLights {
            sentLights = lights
            encoder.header(none, Encoding.lights, to: &message)
            message.append(lights)
            count += 1
        }
        let isAbsolute = server.input.isAbsolute
        if supported.contains(Encoding.pointerType), isAbsolute != sentAbsolute {
            sentAbsolute = isAbsolute
            encoder.header(
                PictureRectangle(x: isAbsolute ? 1 : 0, y: 0, width: size.width, height: size.height),
                Encoding.pointerType, to: &message)
            count += 1
        }
        return count
    }
}
