/// Cuts a client's stream into messages.
package struct ClientFrames {
    /// A message: what it is, and its body.
    package struct Frame: Equatable {
        package var type: UInt16
        package var body: [UInt8]
    }
    private let hasMiniHeader: Bool
    private let limit: Int
    private var bytes: [UInt8] = []
    private var start = 0

    /// Messages with the small header or the whole one, of at most `limit` bytes each.
    package init(hasMiniHeader: Bool, limit: Int) {
        self.hasMiniHeader = hasMiniHeader
        self.limit = limit
    }

    package mutating func append(_ more: ArraySlice<UInt8>) {
        if start > 0, start == bytes.count || start > 1 << 16 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// The next message, where it is complete.
    package mutating func next() throws(ProtocolViolation) -> Frame? {
        let head = hasMiniHeader ? 6 : 18
        guard bytes.count - start >= head else { return nil }
        var fields = MessageFields(bytes[start...])
        if !hasMiniHeader { _ = try fields.next(UInt64.self) }
        let (type, size): (UInt16, UInt32) = (try fields.next(), try fields.next())
        guard size <= limit else { throw ProtocolViolation("message \(type) of \(size) bytes; at most \(limit) are") }
        let end = start + head + Int(size)
        guard bytes.count >= end else { return nil }
        let frame = Frame(type: type, body: Array(bytes[(start + head)..<end]))
        start = end
        return frame
    }
}
