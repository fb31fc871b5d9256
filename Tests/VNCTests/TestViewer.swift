import CZlib
import Display
import HostOS

/// A viewer for tests: speaks the protocol over a socket, decodes every encoding, and keeps the picture.
final class TestViewer {
    struct Failed: Error, CustomStringConvertible { let description: String }

    let socket: Descriptor
    var bytes: [UInt8] = []
    var width = 0
    var height = 0
    var name = ""
    var pixels: [UInt32] = []
    /// Encodings of the rectangles that came, and other news.
    var seen: [Int32] = []
    var lights: UInt8?
    var isAbsolute: Bool?
    /// Whether the stream is within a WebSocket.
    var isWebSocket = false
    private var frames: [UInt8] = []
    private var streams: [Int: Inflater] = [:]
    /// Bytes of a pixel, and how they become colours.
    var format = Format.native

    struct Format {
        var bytes: Int
        var compact: Int
        var tight: Int
        var wire: [UInt8]
        /// The colour that a value stands for.
        var colour: @Sendable (UInt32) -> UInt32
        static let native = Format(bytes: 4, compact: 3, tight: 3, wire: []) { $0 & 0xFF_FFFF }
        /// 16 bits, high byte first, 5-6-5.
        static let big16 = Format(
            bytes: 2, compact: 2, tight: 2, wire: [16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0]
        ) { value in
            let swapped: UInt32 = (value & 0xFF) << 8 | value >> 8 & 0xFF
            let red: UInt32 = (swapped >> 11 & 31) * 255 / 31
            let green: UInt32 = (swapped >> 5 & 63) * 255 / 63
            let blue: UInt32 = (swapped & 31) * 255 / 31
            return red << 16 | green << 8 | blue
        }
    }

    init(_ socket: Descriptor) { self.socket = socket }

    convenience init(port: UInt16) throws {
        let address = try SocketAddress.resolve(host: "127.0.0.1", port: "\(port)")
        self.init(try Socket.connect(anyOf: address))
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) throws {
        guard isWebSocket else { return try socket.writeAll(bytes) }
        var frame: [UInt8] = [0x82]
        if bytes.count < 126 { frame.append(0x80 | UInt8(bytes.count)) } else {
            frame += [0x80 | 126, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)]
        }
        let mask: [UInt8] = [1, 2, 3, 4]
        try socket.writeAll(frame + mask + bytes.enumerated().map { $0.element ^ mask[$0.offset & 3] })
    }

    /// More bytes from the wire; throws at the end and after a minute.
    private func wait() throws {
        guard !socket.wait(for: [.read], milliseconds: 60_000).isEmpty else { throw Failed(description: "silence") }
        let more = try socket.readAvailable(limit: 1 << 16)
        guard !more.isEmpty else { throw Failed(description: "the server hung up") }
        if isWebSocket { frames += more } else { bytes += more }
        while isWebSocket, takeFrame() {}
    }

    private func takeFrame() -> Bool {
        guard frames.count >= 2 else { return false }
        var (count, place) = (Int(frames[1]), 2)
        if count == 126 {
            guard frames.count >= 4 else { return false }
            (count, place) = (Int(frames[2]) << 8 | Int(frames[3]), 4)
        } else if count == 127 {
            guard frames.count >= 10 else { return false }
            (count, place) = (frames[2..<10].reduce(0) { $0 << 8 | Int($1) }, 10)
        }
        guard frames.count >= place + count else { return false }
        bytes += frames[place..<(place + count)]
        frames.removeFirst(place + count)
        return true
    }

    func take(_ count: Int) throws -> [UInt8] {
        while bytes.count < count { try wait() }
        defer { bytes.removeFirst(count) }
        return Array(bytes.prefix(count))
    }
    /// Bytes up to and with an end.
    func line(_ end: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        while !result.suffix(end.count).elementsEqual(end) { result += try take(1) }
        return result
    }
    func number(_ count: Int) throws -> Int { try take(count).reduce(0) { $0 << 8 | Int($1) } }
    /// Whether the server ends the connection within a minute.
    func isHungUp() -> Bool {
        while true {
            do { try wait() } catch let error as Failed { return error.description != "silence" } catch { return true }
            bytes = []
        }
    }

    /// From now on the stream is within a WebSocket.
    func begin() {
        isWebSocket = true
        frames = bytes
        bytes = []
        while takeFrame() {}
    }
    func hangUp() { Socket.shutDown(socket) }

    // MARK: Handshake

    /// What came of clipboards, and the last shape of the pointer: its hot spot, its size, pixels and mask.
    var texts: [[UInt8]] = []
    var pointer: (x: Int, y: Int, width: Int, height: Int, pixels: [UInt8], mask: [UInt8])?

    /// To the desktop's size and name, with the answer to a challenge where one is asked for.
    func shakeHands(version: String = "003.008", isShared: Bool = true, answer: (([UInt8]) -> [UInt8])? = nil) throws {
        _ = try take(12)
        try send(Array("RFB \(version)\n".utf8))
        let type: Int
        if version == "003.003" {
            type = try number(4)
        } else {
            let types = try take(try number(1))
            type = Int(types.first ?? 0)
            try send([UInt8(type)])
        }
        if type == 2 {
            let challenge = try take(16)
            try send(answer?(challenge) ?? [UInt8](repeating: 0, count: 16))
        }
        if type == 2 || version == "003.008" {
            let result = try number(4)
            if result != 0 {
                let reason = version == "003.008" ? try take(try number(4)) : []
                throw Failed(description: "refused: \(String(decoding: reason, as: UTF8.self))")
            }
        }
        try send([isShared ? 1 : 0])
        width = try number(2)
        height = try number(2)
        _ = try take(16)
        name = String(decoding: try take(try number(4)), as: UTF8.self)
        pixels = [UInt32](repeating: 0xDEAD, count: width * height)
    }

    func setEncodings(_ list: [Int32]) throws {
        var message: [UInt8] = [2, 0, UInt8(list.count >> 8), UInt8(list.count & 0xFF)]
        for encoding in list {
            message += (0..<4).map { UInt8(truncatingIfNeeded: encoding >> (24 - Int32($0) * 8)) }
        }
        try send(message)
    }
    func set(_ format: Format) throws {
        self.format = format
        try send([0, 0, 0, 0] + format.wire)
    }

    func ask(isIncremental: Bool = false) throws {
        var message: [UInt8] = [3, isIncremental ? 1 : 0, 0, 0, 0, 0]
        for side in [width, height] { message += [UInt8(side >> 8), UInt8(side & 0xFF)] }
        try send(message)
    }

    /// Asks for the picture until it comes: changes of size come alone.
    func look(isIncremental: Bool = false) throws {
        while true {
            try ask(isIncremental: isIncremental)
            var kinds: [Int32] = []
            repeat { kinds = try update() } while kinds.allSatisfy { $0 == -258 || $0 == -316 } && !kinds.isEmpty
            if kinds.contains(where: { $0 >= 0 }) { return }
        }
    }

    // MARK: Updates

    /// Takes one update, and returns its rectangles' encodings.
    func update() throws -> [Int32] {
        while true {
            let type = try number(1)
            if type == 0 { break }
            if type == 3 {
                try takeText()
                continue
            }
            guard type == 1 else { throw Failed(description: "message \(type)") }
            _ = try take(3)
            _ = try take(try number(2) * 6)
        }
        _ = try take(1)
        var kinds: [Int32] = []
        for _ in 0..<(try number(2)) {
            let (x, y, w, h) = (try number(2), try number(2), try number(2), try number(2))
            let encoding = Int32(truncatingIfNeeded: try number(4))
            kinds.append(encoding)
            switch encoding {
            case 0: try raw(x, y, w, h)
            case 1:
                let (fromX, fromY) = (try number(2), try number(2))
                let before = pixels
                for index in 0..<(w * h) {
                    try put(x + index % w, y + index / w, before[(fromY + index / w) * width + fromX + index % w])
                }
            case -239:
                let shape = try take(w * h * format.bytes)
                pointer = (x, y, w, h, shape, try take((w + 7) / 8 * h))
            case -314:
                _ = try take(4)
                pointer = (x, y, w, h, try take(w * h * 4), [])
            case 5: try hextile(x, y, w, h)
            case 6:
                let data = try inflate(0, try take(try number(4)))
                try fill(x, y, w, h, data, size: format.bytes)
            case 7: try tight(x, y, w, h)
            case 16: try zrle(x, y, w, h)
            case -223: resize(w, h)
            case -308:
                let count = try number(1)
                _ = try take(3 + count * 16)
                if y == 0 { resize(w, h) }
            case -257: isAbsolute = x == 1
            case -258, -316: break
            case -261: lights = try take(1)[0]
            default: throw Failed(description: "encoding \(encoding)")
            }
        }
        seen += kinds
        return kinds
    }

    /// Takes a message of the clipboard's after its type, and notes it: a text, or flags and what belongs to them.
    func takeText() throws {
        _ = try take(3)
        let count = Int(Int32(truncatingIfNeeded: try number(4)))
        texts.append(try take(abs(count)))
    }

    private func resize(_ w: Int, _ h: Int) {
        (width, height) = (w, h)
        pixels = [UInt32](repeating: 0xDEAD, count: w * h)
    }

    func colour(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        format.colour(bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
    func put(_ x: Int, _ y: Int, _ colour: UInt32) throws {
        guard x >= 0, y >= 0, x < width, y < height else { throw Failed(description: "a pixel outside") }
        pixels[y * width + x] = colour
    }
    func fill(_ x: Int, _ y: Int, _ w: Int, _ h: Int, _ data: [UInt8], size: Int) throws {
        guard data.count == w * h * size else { throw Failed(description: "\(data.count) bytes for \(w) by \(h)") }
        for index in 0..<(w * h) {
            try put(x + index % w, y + index / w, colour(data[(index * size)..<(index * size + size)]))
        }
    }
    private func raw(_ x: Int, _ y: Int, _ w: Int, _ h: Int) throws {
        try fill(x, y, w, h, try take(w * h * format.bytes), size: format.bytes)
    }

    func inflate(_ stream: Int, _ data: [UInt8]) throws -> [UInt8] {
        let inflater = streams[stream] ?? Inflater()
        streams[stream] = inflater
        return inflater.unpack(data)
    }
    func forget(_ stream: Int) { streams[stream] = nil }
}

/// A zlib stream that is unpacked piece by piece.
@safe final class Inflater {
    private let stream: UnsafeMutablePointer<z_stream>

    init() {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // SAFETY: the structure stays where it is until `deinit`.
        _ = unsafe apus_inflate_init(stream, 15)
    }
    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    func unpack(_ data: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        unsafe data.withUnsafeBufferPointer { source in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe stream.pointee.avail_in = UInt32(source.count)
            while true {
                let left = unsafe chunk.withUnsafeMutableBufferPointer { target -> Int in
                    unsafe stream.pointee.next_out = target.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(target.count)
                    _ = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                    return unsafe Int(stream.pointee.avail_out)
                }
                result += chunk[..<(chunk.count - left)]
                if left > 0 { break }
            }
        }
        return result
    }
}
