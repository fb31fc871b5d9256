/// A viewer in a browser: the stream in frames of a WebSocket (RFC 6455), after its handshake over HTTP.
package struct WebSocket {
    /// Longest request.
    private static let requestLimit = 8192
    /// Longest frame of a viewer's.
    private static let frameLimit = 1 << 20

    private var pending: [UInt8] = []
    private var isOpen = false

    /// A connection of which nothing has come yet.
    package init() {}

    /// What came of bytes from the wire.
    package struct Result {
        /// The stream's bytes.
        package var data: [UInt8] = []
        /// What goes back at once.
        package var reply: [UInt8] = []
        /// The connection ends once the reply is out.
        package var ends = false
    }

    package mutating func receive(_ bytes: [UInt8]) -> Result {
        pending += bytes
        var result = Result()
        if !isOpen, !shakeHands(&result) { return result }
        while !result.ends, takeFrame(&result) {}
        return result
    }

    /// A frame of the server's around some bytes.
    static func frame(_ bytes: [UInt8], kind: UInt8 = 2) -> [UInt8] {
        var head: [UInt8] = [0x80 | kind]
        switch bytes.count {
        case 0..<126: head.append(UInt8(bytes.count))
        case 126..<65536: head += [126, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)]
        default: head += [127] + (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (56 - $0 * 8)) }
        }
        return head + bytes
    }

    // MARK: Handshake

    /// True once the handshake is done.
    private mutating func shakeHands(_ result: inout Result) -> Bool {
        guard let end = Self.headEnd(pending) else {
            if pending.count > Self.requestLimit { refuse(&result, "431 Request Header Fields Too Large") }
            return false
        }
        let lines = String(decoding: pending[..<end], as: UTF8.self).split(separator: "\r\n")
        pending.removeFirst(end + 4)
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[parts[0].lowercased()] = Self.trimmed(parts[1])
        }
        guard lines.first?.hasPrefix("GET ") == true, lines.first?.hasSuffix(" HTTP/1.1") == true,
            fields["upgrade"]?.lowercased() == "websocket", fields["sec-websocket-version"] == "13",
            let key = fields["sec-websocket-key"], key.utf8.count <= 64
        else {
            refuse(&result, "400 Bad Request")
            return false
        }
        let accept = Base64.encode(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
        var answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(accept)\r\n"
        if let wanted = fields["sec-websocket-protocol"],
            wanted.split(separator: ",").contains(where: { Self.trimmed($0) == "binary" })
        {
            answer += "Sec-WebSocket-Protocol: binary\r\n"
        }
        result.reply += Array((answer + "\r\n").utf8)
        isOpen = true
        return true
    }

    private func refuse(_ result: inout Result, _ status: String) {
        result.reply += Array("HTTP/1.1 \(status)\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".utf8)
        result.ends = true
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...(min(bytes.count, requestLimit) - 4)).first {
            bytes[$0] == 13 && bytes[$0 + 1] == 10 && bytes[$0 + 2] == 13 && bytes[$0 + 3] == 10
        }
    }
    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    // MARK: Frames

    /// Takes one frame where it is whole.
    private mutating func takeFrame(_ result: inout Result) -> Bool {
        guard pending.count >= 2 else { return false }
        let (kind, isMasked) = (pending[0] & 0x0F, pending[1] & 0x80 != 0)
        var count = Int(pending[1] & 0x7F)
        var place = 2
        if count == 126 {
            guard pending.count >= 4 else { return false }
            count = Int(pending[2]) << 8 | Int(pending[3])
            place = 4
        } else if count == 127 {
            guard pending.count >= 10 else { return false }
            guard pending[2..<7].allSatisfy({ $0 == 0 }) else { return fail(&result) }
            count = pending[7..<10].reduce(0) { $0 << 8 | Int($1) }
            place = 10
        }
        // Viewers mask what they send, and use none of the reserved bits.
        guard isMasked, pending[0] & 0x70 == 0, count <= Self.frameLimit else { return fail(&result) }
        guard pending.count >= place + 4 + count else { return false }
        let mask = Array(pending[place..<(place + 4)])
        var data = Array(pending[(place + 4)..<(place + 4 + count)])
        for index in data.indices { data[index] ^= mask[index & 3] }
        pending.removeFirst(place + 4 + count)
        switch kind {
        case 0, 2: result.data += data
        case 8:
            result.reply += Self.frame(Array(data.prefix(2)), kind: 8)
            result.ends = true
        case 9: result.reply += Self.frame(Array(data.prefix(125)), kind: 10)
        case 10: break
        default: return fail(&result)
        }
        return true
    }

    private func fail(_ result: inout Result) -> Bool {
        result.reply += Self.frame([0x03, 0xEA], kind: 8)
        result.ends = true
        return false
    }
}

/// RFC 3174, for the handshake.
enum SHA1 {
    static func hash(_ message: [UInt8]) -> [UInt8] {
        var bytes = message + [0x80]
        while bytes.count % 64 != 56 { bytes.append(0) }
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - $0 * 8)) }
        var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        for block in stride(from: 0, to: bytes.count, by: 64) {
            var words = (0..<16).map { index in
                bytes[(block + index * 4)..<(block + index * 4 + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            for index in 16..<80 {
                words.append(rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1))
            }
            var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
            for index in 0..<80 {
                let (mix, constant): (UInt32, UInt32) =
                    switch index / 20 {
                    case 0: (b & c | ~b & d, 0x5A82_7999)
                    case 1: (b ^ c ^ d, 0x6ED9_EBA1)
                    case 2: (b & c | b & d | c & d, 0x8F1B_BCDC)
                    default: (b ^ c ^ d, 0xCA62_C1D6)
                    }
                let next = rotate(a, 5) &+ mix &+ e &+ constant &+ words[index]
                (a, b, c, d, e) = (next, a, rotate(b, 30), c, d)
            }
            for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
        }
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - UInt32($0) * 8)) } }
    }
    private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
}

/// RFC 4648, section 4.
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = Array(bytes[start..<min(start + 3, bytes.count)])
            let word = Int(part[0]) << 16 | (part.count > 1 ? Int(part[1]) << 8 : 0) | (part.count > 2 ? Int(part[2]) : 0)
            for index in 0..<4 {
                text.append(index <= part.count ? letters[word >> (18 - index * 6) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
