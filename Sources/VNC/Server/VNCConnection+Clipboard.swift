internal import Display

/// Texts of clipboards, which viewers of a server share: in Latin-1 (RFC 6143, 7.5.6 and 7.6.4), or by the extended
/// clipboard of the community's protocol in Unicode.
extension VNCConnection {
    private enum Clipboard {
        static let text: UInt32 = 1
        static let capabilities: UInt32 = 1 << 24
        static let request: UInt32 = 1 << 25
        static let peek: UInt32 = 1 << 26
        static let notify: UInt32 = 1 << 27
        static let provide: UInt32 = 1 << 28
        static let actions: UInt32 = 0x1F00_0000
    }
    private static let limit = ClientMessageParser.textLimit

    /// Says what the server can do, once the viewer has said that it knows the extension.
    func announceClipboard() {
        guard supported.contains(Encoding.extendedClipboard) else { return clipboardActions = nil }
        guard clipboardActions == nil else { return }
        // What every viewer can do until it says more.
        clipboardActions = Clipboard.text | Clipboard.request | Clipboard.notify | Clipboard.provide
        var data: [UInt8] = []
        Encoder.word(UInt32(Self.limit), to: &data)
        sendClipboard(Clipboard.actions | Clipboard.text, data)
    }

    private func sendClipboard(_ flags: UInt32, _ data: [UInt8] = []) {
        var message: [UInt8] = [3, 0, 0, 0]
        Encoder.word(UInt32(bitPattern: Int32(-(4 + data.count))), to: &message)
        Encoder.word(flags, to: &message)
        send(message + data)
    }

    // MARK: From the viewer

    func take(latin bytes: [UInt8]) {
        guard !server.configuration.isViewOnly else { return }
        server.share(String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) })), from: self)
    }

    func takeClipboard(_ flags: UInt32, _ data: [UInt8]) {
        guard clipboardActions != nil else { return }
        if flags & Clipboard.capabilities != 0 {
            clipboardActions = flags
            return
        }
        guard flags & Clipboard.text != 0 || flags & Clipboard.peek != 0 else { return }
        switch flags & Clipboard.actions {
        case Clipboard.notify: if !server.configuration.isViewOnly { sendClipboard(Clipboard.request | Clipboard.text) }
        case Clipboard.request: if let offered { provide(offered) }
        case Clipboard.peek: sendClipboard(Clipboard.notify | (offered == nil ? 0 : Clipboard.text))
        case Clipboard.provide:
            guard !server.configuration.isViewOnly, let bytes = ZlibStream.unpack(data, limit: Self.limit + 4),
                bytes.count >= 4
            else { return }
            let count = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
            var text = Array(bytes[4..<min(4 + count, bytes.count)])
            if text.last == 0 { text.removeLast() }
            let lines = String(decoding: text, as: UTF8.self)
            server.share(String(String.UnicodeScalarView(lines.unicodeScalars.filter { $0 != "\r" })), from: self)
        default: break
        }
    }

    // MARK: To the viewer

    /// A text of somebody else's.
    func offer(_ text: String) {
        guard phase == .running, !isClosed, !isClosing, text.utf8.count <= Self.limit else { return }
        offered = text
        // A guest may copy faster than a viewer reads: what is not on its way yet is left out, up to the last.
        guard output.count < 8 * Self.limit else { return }
        if let clipboardActions {
            if clipboardActions & Clipboard.notify != 0 {
                sendClipboard(Clipboard.notify | Clipboard.text)
            } else if clipboardActions & Clipboard.provide != 0 {
                provide(text)
            }
            return
        }
        let bytes = text.unicodeScalars.map { $0.value < 256 ? UInt8($0.value) : UInt8(ascii: "?") }
        var message: [UInt8] = [3, 0, 0, 0]
        Encoder.word(UInt32(bytes.count), to: &message)
        send(message + bytes)
    }

    private func provide(_ text: String) {
        // Lines end as in a network's text, and the text with a zero.
        var bytes: [UInt8] = []
        for byte in text.utf8 { bytes += byte == 10 ? [13, 10] : [byte] }
        bytes.append(0)
        var plain: [UInt8] = []
        Encoder.word(UInt32(bytes.count), to: &plain)
        var data: [UInt8] = []
        ZlibStream(level: 6).pack(plain + bytes, to: &data)
        sendClipboard(Clipboard.provide | Clipboard.text, data)
    }
}
