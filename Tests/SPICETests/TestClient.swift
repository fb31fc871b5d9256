import HostOS

import SPICE

/// A client for tests: one connection, its link, and its messages.
final class TestClient {
    struct Failed: Error, CustomStringConvertible { let description: String }
    /// A message of the server's.
    struct Message: Equatable {
        var type: UInt16
        var body: [UInt8]
    }
    let socket: Descriptor
    private var bytes: [UInt8] = []
    private(set) var key: [UInt8] = []
    /// What the server can do in the channel.
    private(set) var capabilities: [UInt32] = []

    init(port: Int) throws {
        socket = try Socket.connect(anyOf: try SocketAddress.resolve(host: "127.0.0.1", port: "\(port)"))
    }
    init(_ socket: Descriptor) { self.socket = socket }

    static func words(_ numbers: UInt32...) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32($0 * 8)) } }
    }
    static func number(_ bytes: [UInt8], _ place: Int, _ count: Int = 4) -> Int {
        (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << ($1 * 8) }
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            // SAFETY: the slice's bytes, for as long as the call.
            switch unsafe rest.withUnsafeBytes({ unsafe Socket.send(socket, $0) }) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock: _ = socket.wait(for: .write, milliseconds: 20_000)
            case .end, .failed: throw Failed(description: "The server has hung up")
            }
        }
    }

    func take(_ count: Int, milliseconds: Int32 = 20_000) throws -> [UInt8] {
        while bytes.count < count {
            guard socket.wait(for: .read, milliseconds: milliseconds) != [] else {
                throw Failed(description: "Nothing came")
            }
            let more = try socket.readAvailable(limit: 1 << 20)
            guard !more.isEmpty else { throw Failed(description: "The server has hung up") }
            bytes += more
        }
        defer { bytes.removeFirst(count) }
        return Array(bytes.prefix(count))
    }

    /// The first half of a link: what the server says of it.
    func ask(_ kind: ChannelKind, _ channel: UInt8 = 0, session: UInt32 = 0, own: UInt32 = 0b110) throws -> Link.Result {
        let capabilities = Self.words(0b1011, own)
        let message = Self.words(session) + [kind.rawValue, channel] + Self.words(1, 1, 18) + capabilities
        try send(Self.words(0x5144_4552, 2, 2, UInt32(message.count)) + message)
        let head = try take(16)
        let reply = try take(Self.number(head, 12))
        key = Array(reply[4..<166])
        let result = Link.Result(rawValue: UInt32(Self.number(reply, 0))) ?? .error
        if result == .ok {
            let (common, count) = (Self.number(reply, 166), Self.number(reply, 170))
            self.capabilities = (0..<count).map { UInt32(Self.number(reply, 178 + (common + $0) * 4)) }
        }
        return result
    }

    /// The second half: the ticket, and what becomes of it.
    func show(_ ticket: [UInt8] = [UInt8](repeating: 0, count: 128)) throws -> Link.Result {
        try send(Self.words(1) + ticket)
        return Link.Result(rawValue: UInt32(Self.number(try take(4), 0))) ?? .error
    }

    /// A link whose ticket does not matter.
    convenience init(port: Int, _ kind: ChannelKind, _ channel: UInt8 = 0, session: UInt32 = 0) throws {
        try self.init(port: port)
        guard try ask(kind, channel, session: session) == .ok, try show() == .ok else {
            throw Failed(description: "No link to \(kind)")
        }
    }

    func send(_ type: UInt16, _ body: [UInt8] = []) throws {
        try send([UInt8(type & 0xFF), UInt8(type >> 8)] + Self.words(UInt32(body.count)) + body)
    }

    /// The next message; what says that some were taken is answered, and passed over.
    func next() throws -> Message {
        while true {
            let head = try take(6)
            let message = Message(type: UInt16(Self.number(head, 0, 2)), body: try take(Self.number(head, 2)))
            taken += 1
            if taken % 20 == 0 { try send(2) }
            guard message.type == 3 else { return message }
            taken = 0
            try send(1, Array(message.body.prefix(4)))
        }
    }
    private var taken = 0

    /// The next message of a type; others are passed over.
    func next(_ type: UInt16) throws -> [UInt8] {
        while true {
            let message = try next()
            if message.type == type { return message.body }
        }
    }
}

/// What a display channel has shown.
struct ShownSurface {
    private(set) var width = 0
    private(set) var height = 0
    private(set) var pixels: [UInt32] = []
    /// How many images came in each form.
    private(set) var forms: [UInt8: Int] = [:]

    /// Takes messages until one says that all is there, or the pixels are as they should be.
    mutating func follow(_ client: TestClient, until isDone: (ShownSurface) -> Bool) throws {
        while !isDone(self) {
            let message = try client.next()
            let body = message.body
            switch message.type {
            case 314:
                (width, height) = (TestClient.number(body, 4), TestClient.number(body, 8))
                pixels = [UInt32](repeating: 0xFFFF_FFFF, count: width * height)
            case 304: try draw(body)
            default: break
            }
        }
    }

    private mutating func draw(_ body: [UInt8]) throws {
        func word(_ place: Int) -> Int { TestClient.number(body, place) }
        let (top, left, bottom, right) = (word(4), word(8), word(12), word(16))
        // No clipping, the image behind the message, no scaling and no mask.
        guard body[20] == 0, word(25) == 0, word(29) == 0, word(33) == bottom - top, word(37) == right - left,
            TestClient.number(body, 41, 2) == 8, body[43...56].allSatisfy({ $0 == 0 }), bottom <= height, right <= width
        else { throw TestClient.Failed(description: "No copy") }
        let image = word(21)
        let form = body[image + 8]
        forms[form, default: 0] += 1
        let size = (width: word(image + 10), height: word(image + 14))
        guard size == (right - left, bottom - top) else { throw TestClient.Failed(description: "No image") }
        var part: [UInt32]
        if form == 101 {
            let count = word(image + 18)
            part = try LZDecoder.decode(Array(body[(image + 22)..<(image + 22 + count)])).pixels
        } else {
            guard form == 0, body[image + 18] == 8, body[image + 19] == 4, word(image + 28) == size.width * 4 else {
                throw TestClient.Failed(description: "No bitmap")
            }
            part = (0..<size.width * size.height).map { UInt32(word(image + 36 + $0 * 4)) & 0xFF_FFFF }
        }
        for y in 0..<size.height {
            for x in 0..<size.width { pixels[(top + y) * width + left + x] = part[y * size.width + x] }
        }
    }
}
