internal import Display

extension VNCConnection {
    /// Sends what has changed, where the viewer waits for it and has taken all before. False where nothing was sent.
    func update(now: UInt64) -> Bool {
        guard phase == .running, !isClosed, !isClosing, !hasOutput, let request else { return false }
        let bytes = server.consoles[console].screen.look(now: now, age: VNCServer.shortest / 2) {
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
            if isResized { (seen, isFull) = (0, true) }
            size = (picture.width, picture.height)
            message[3] = 1
            return message
        }
        count += appendNews(to: &message)
        let whole = PictureRectangle(
            x: 0, y: 0, width: min(size.width, picture.width), height: min(size.height, picture.height))
        let region = request.cut(to: whole)
        if region.width > 0, region.height > 0 {
            let areas = isFull ? [region] : picture.changes(since: seen, in: region)
            for area in areas.prefix(4096) { count += encoder.append(area, of: picture, to: &message) }
            // What lies outside of the region, or did not fit, is still to come.
            if region == whole, areas.count <= 4096 { seen = picture.stamp }
            isFull = false
        }
        guard count > 0 else { return nil }
        message[2] = UInt8(truncatingIfNeeded: count >> 8)
        message[3] = UInt8(truncatingIfNeeded: count)
        return message
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

    /// The lights, and whether pointers are told places.
    private func appendNews(to message: inout [UInt8]) -> Int {
        var count = 0
        let none = PictureRectangle(x: 0, y: 0, width: 0, height: 0)
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
