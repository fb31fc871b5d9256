internal import Display

extension VNCConnection {
    func handle(_ message: ClientMessage) {
        switch message {
        case .pixelFormat(let format):
            encoder.translator = PixelTranslator(format)
            if !format.isTrueColour { sendColourMap() }
        case .encodings(let list): take(list)
        case .update(let isIncremental, let x, let y, let width, let height):
            request = PictureRectangle(x: x, y: y, width: width, height: height)
            if !isIncremental { isFull = true }
            server.wantUpdate()
        case .key(let symbol, let isDown):
            key(Keysyms.code(symbol), symbol: symbol, isDown: isDown)
        case .scanCode(let code, let symbol, let isDown):
            key(UInt8(truncatingIfNeeded: code > 0xFF ? code & 0x7F | 0x80 : code), symbol: symbol, isDown: isDown)
        case .pointer(let buttons, let x, let y): pointer(buttons, x, y)
        case .desktopSize(let width, let height): wantSize(width, height)
        case .cutText(let bytes): take(latin: bytes)
        case .clipboard(let flags, let data): takeClipboard(flags, data)
        case .ignored: break
        }
    }

    /// The guest gives its picture a size: it is told of the wish, where its adapter can.
    private func wantSize(_ width: Int, _ height: Int) {
        guard supported.contains(Encoding.extendedDesktopSize) else { return }
        let isTold = !server.configuration.isViewOnly && server.consoles[console].screen.want(width: width, height: height)
        // 4: the wish has gone on; 1: not allowed.
        mustSendSize = (1, isTold ? 4 : 1)
        server.wantUpdate()
    }

    private func take(_ list: [Int32]) {
        let hadLights = supported.contains(Encoding.lights)
        supported = Set(list)
        encoder.encoding = list.first { Encoding.pictures.contains($0) } ?? Encoding.raw
        // Of each kind of level the viewer gives one: JPEG's from -32 to -23, zlib's from -256 to -247.
        encoder.quality =
            server.configuration.isLossy ? list.first { -32 ... -23 ~= $0 }.map { Int($0) + 32 } : nil
        if let level = list.first(where: { -256 ... -247 ~= $0 }) { encoder.level = Int(level) + 256 }
        parser.hasExtendedMouse = supported.contains(Encoding.extendedMouse)
        if !hadLights { sentLights = nil }
        sentAbsolute = nil
        if supported.contains(Encoding.extendedDesktopSize) { mustSendSize = (0, 0) }
        sentPointer = 0
        shown = supported.contains(Encoding.copyRectangle) ? ShownPicture() : nil
        announceClipboard()
        announceExtensions()
    }

    /// Empty rectangles that say what the server can do.
    private func announceExtensions() {
        let here = supported.intersection([Encoding.extendedKeys, Encoding.extendedMouse]).sorted()
        guard !here.isEmpty, !hasAnnounced else { return }
        hasAnnounced = true
        var message: [UInt8] = [0, 0, 0, UInt8(here.count)]
        for encoding in here {
            encoder.header(
                PictureRectangle(x: 0, y: 0, width: size.width, height: size.height), encoding, to: &message)
        }
        send(message)
    }

    private func sendColourMap() {
        var message: [UInt8] = [1, 0, 0, 0, 1, 0]
        for index in 0..<256 {
            for level in [(index & 7) * 255 / 7, (index >> 3 & 7) * 255 / 7, (index >> 6) * 255 / 3] {
                message += [UInt8(level), UInt8(level)]
            }
        }
        send(message)
    }

    // MARK: Input

    private static let controls: Set<UInt8> = [0x1D, 0x9D]
    private static let alternates: Set<UInt8> = [0x38, 0xB8]

    private func key(_ code: UInt8?, symbol: UInt32, isDown: Bool) {
        guard !server.configuration.isViewOnly else { return }
        server.hurry()
        let hasControl = !held.isDisjoint(with: Self.controls)
        if let code, isDown, 0x02...0x0A ~= code, hasControl, !held.isDisjoint(with: Self.alternates),
            server.consoles.count > 1
        {
            let wanted = Int(code) - 2
            guard server.consoles.indices.contains(wanted), wanted != console else { return }
            releaseInput()
            console = wanted
            (seen, isFull) = (0, true)
            if sentPointer != 0 { sentPointer = UInt64.max }
            server.wantUpdate()
            return
        }
        if let terminal = server.consoles[console].terminal {
            if let code { if isDown { held.insert(code) } else { held.remove(code) } }
            if isDown { terminal.type(symbol: symbol, control: hasControl) }
            return
        }
        guard let code, code & 0x7F != 0 else { return }
        if isDown { held.insert(code) } else { held.remove(code) }
        server.input.key(code, down: isDown)
    }

    private func pointer(_ mask: UInt16, _ x: Int, _ y: Int) {
        guard !server.configuration.isViewOnly, server.consoles[console].terminal == nil else { return }
        server.hurry()
        let input = server.input
        if input.isAbsolute {
            func scaled(_ value: Int, _ size: Int) -> Int {
                size > 1 ? min(value, size - 1) * PointerEvent.limit / (size - 1) : 0
            }
            if lastPlace.map({ $0 != (x, y) }) ?? true {
                input.place(x: scaled(x, size.width), y: scaled(y, size.height))
            }
        } else if supported.contains(Encoding.pointerType) {
            // A viewer that was told so sends ways, around the middle of the range.
            let (dx, dy) = (x - 0x7FFF, y - 0x7FFF)
            if dx != 0 || dy != 0 { input.move(dx: dx, dy: dy) }
        } else if let lastPlace {
            let (dx, dy) = (x - lastPlace.x, y - lastPlace.y)
            if dx != 0 || dy != 0 { input.move(dx: dx, dy: dy) }
        }
        lastPlace = (x, y)
        let pressed = mask & ~buttons
        buttons = mask
        // Left, middle and right; the wheel as buttons 4 and 5; side and extra as 8 and 9.
        let state = UInt8(
            truncatingIfNeeded: mask & 1 | (mask & 2) << 1 | (mask & 4) >> 1 | (mask >> 7 & 1) << 3
                | (mask >> 8 & 1) << 4)
        let wheel = (pressed & 0x08 != 0 ? -1 : 0) + (pressed & 0x10 != 0 ? 1 : 0)
        if state != input.buttons || wheel != 0 { input.setButtons(state, dz: wheel) }
    }
}
