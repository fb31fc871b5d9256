/// The messages of a guest's agent (SPICE's vd_agent.h), out of the chunks that they come in, and back into chunks.
///
/// All numbers are little-endian. A chunk is a port, the count of its bytes and these; a message is the protocol's
/// number, its type, a number of its own, the count of its data, and these, in as many chunks as it takes.
package struct AgentStream: Sendable {
    /// A message.
    package struct Message: Equatable, Sendable {
        package var type: UInt32
        package var data: [UInt8]
        package init(type: UInt32, data: [UInt8]) {
            self.type = type
            self.data = data
        }
    }
    /// The port of the display's side; the other belongs to the guest's programs alone.
    private static let port: UInt32 = 1
    private static let chunkHead = 8
    private static let messageHead = 20
    private static let protocolNumber: UInt32 = 1
    /// The most bytes of a chunk.
    private static let chunkLimit = 2048
    /// The most bytes of a message's data: a clipboard and its head. Longer messages are passed over.
    package static let dataLimit = ClipboardHub.limit + 64

    private var head: [UInt8] = []
    /// What of a chunk is still to come, and whether it is for this side.
    private var chunkLeft = 0
    private var isOurs = false
    private var message: [UInt8] = []
    /// What of a message is too much, and is thrown away as it comes.
    private var excess = 0

    package init() {}

    /// Takes bytes as they come, in pieces of any size; the messages that are complete with them.
    package mutating func receive(_ bytes: [UInt8]) -> [Message] {
        var messages: [Message] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            if chunkLeft == 0 {
                let count = min(Self.chunkHead - head.count, rest.count)
                head += rest.prefix(count)
                rest = rest.dropFirst(count)
                guard head.count == Self.chunkHead else { break }
                isOurs = Self.number(head, 0) == Self.port
                chunkLeft = Int(Self.number(head, 4))
                head = []
                continue
            }
            let piece = rest.prefix(chunkLeft)
            rest = rest.dropFirst(piece.count)
            chunkLeft -= piece.count
            if isOurs { take(piece, &messages) }
        }
        return messages
    }

    private mutating func take(_ piece: ArraySlice<UInt8>, _ messages: inout [Message]) {
        var rest = piece
        while !rest.isEmpty {
            if excess > 0 {
                let count = min(excess, rest.count)
                excess -= count
                rest = rest.dropFirst(count)
                continue
            }
            if message.count < Self.messageHead {
                let count = min(Self.messageHead - message.count, rest.count)
                message += rest.prefix(count)
                rest = rest.dropFirst(count)
                guard message.count == Self.messageHead else { return }
                guard Self.number(message, 0) == Self.protocolNumber, self.count(of: message) <= Self.dataLimit else {
                    excess = self.count(of: message)
                    message = []
                    continue
                }
            }
            let count = min(Self.messageHead + self.count(of: message) - message.count, rest.count)
            message += rest.prefix(count)
            rest = rest.dropFirst(count)
            guard message.count == Self.messageHead + self.count(of: message) else { return }
            messages.append(Message(type: Self.number(message, 4), data: Array(message[Self.messageHead...])))
            message = []
        }
    }
    private func count(of message: [UInt8]) -> Int { Int(Self.number(message, 16)) }

    /// A number of 32 bits at a place; the bytes that are not there are 0.
    static func number(_ bytes: [UInt8], _ place: Int) -> UInt32 {
        (0..<4).reduce(0) { value, index in
            place + index < bytes.count ? value | UInt32(bytes[place + index]) << UInt32(index * 8) : value
        }
    }
    static func bytes(_ numbers: UInt32...) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32($0 * 8)) } }
    }

    /// A message as the chunks that carry it.
    package static func encode(_ message: Message) -> [UInt8] {
        let whole = bytes(protocolNumber, message.type, 0, 0, UInt32(message.data.count)) + message.data
        var encoded: [UInt8] = []
        encoded.reserveCapacity(whole.count + (whole.count / chunkLimit + 1) * chunkHead)
        for start in stride(from: 0, to: whole.count, by: chunkLimit) {
            let piece = whole[start..<min(start + chunkLimit, whole.count)]
            encoded += bytes(port, UInt32(piece.count)) + piece
        }
        return encoded
    }
}
