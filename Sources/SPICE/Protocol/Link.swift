/// The first messages of every connection (spice-protocol's protocol.h): who wants which channel, and who may.
package enum Link {
    /// "REDQ".
    static let magic: UInt32 = 0x5144_4552
    static let version: (major: UInt32, minor: UInt32) = (2, 2)
    package static let headerSize = 16
    /// The least and the most bytes of a client's message.
    static let sizes = 18...4096
    /// The bytes of a public key of 1,024 bits, and of a ticket that is encrypted by it.
    package static let keySize = 162
    package static let ticketSize = 128

    /// What became of a link.
    package enum Result: UInt32, Error {
        case ok, error, invalidMagic, invalidData, versionMismatch, needSecured, needUnsecured, permissionDenied
        case badConnectionID, channelNotAvailable
    }
    /// Ways to say who one is.
    enum Mechanism {
        static let ticket: UInt32 = 1
    }
    /// What both ends of a link can do, whatever its channel.
    package struct Capabilities: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let authSelection = Self(rawValue: 1 << 0)
        package static let ticket = Self(rawValue: 1 << 1)
        package static let miniHeader = Self(rawValue: 1 << 3)
        static let own: Self = [.authSelection, .ticket, .miniHeader]
    }

    /// What a client asks for.
    package struct Request: Equatable, Sendable {
        /// The session that it belongs to; 0 for a new one.
        package var session: UInt32
        /// The channel; the kind is nil for one that is not known here.
        package var kind: ChannelKind?
        package var channel: UInt8
        package var common: Capabilities
        /// What it can do in this channel.
        package var own: [UInt32]

        func can(_ capability: Int) -> Bool {
            own.indices.contains(capability / 32) && own[capability / 32] >> UInt32(capability % 32) & 1 != 0
        }
    }

    /// How many bytes follow a header. Throws what a client is told.
    package static func size(of header: [UInt8]) throws(Result) -> Int {
        var fields = MessageFields(header)
        do throws(ProtocolViolation) {
            guard try fields.next(UInt32.self) == magic else { throw ProtocolViolation("magic") }
        } catch { throw .invalidMagic }
        guard let major = try? fields.next(UInt32.self), major == version.major else { throw .versionMismatch }
        _ = try? fields.next(UInt32.self)
        guard let size = try? fields.next(UInt32.self), sizes.contains(Int(size)) else { throw .invalidData }
        return Int(size)
    }

    /// What a client's message asks for.
    package static func request(_ message: [UInt8]) throws(Result) -> Request {
        do throws(ProtocolViolation) {
            var fields = MessageFields(message)
            let session: UInt32 = try fields.next()
            let (kind, channel): (UInt8, UInt8) = (try fields.next(), try fields.next())
            let (common, own): (UInt32, UInt32) = (try fields.next(), try fields.next())
            let offset: UInt32 = try fields.next()
            let words = UInt64(common) + UInt64(own)
            guard UInt64(offset) + words * 4 <= UInt64(message.count), offset >= 18 || words == 0 else {
                throw ProtocolViolation("capabilities outside of the message")
            }
            var all: [UInt32] = []
            if words > 0 {
                var capabilities = MessageFields(message[Int(offset)...])
                for _ in 0..<words { all.append(try capabilities.next()) }
            }
            return Request(
                session: session, kind: ChannelKind(rawValue: kind), channel: channel,
                common: Capabilities(rawValue: common > 0 ? all[0] : 0), own: Array(all.dropFirst(Int(common))))
        } catch { throw .invalidData }
    }

    /// The server's answer: its key, and what it can do.
    static func reply(_ result: Result, key: [UInt8], own: [UInt32]) -> [UInt8] {
        var message = MessageBytes(capacity: 256)
        let capabilities = result == .ok ? [Capabilities.own.rawValue] + own : []
        let head = 4 + keySize + 12
        message.append(magic, version.major, version.minor, UInt32(head + capabilities.count * 4))
        message.append(result.rawValue)
        message.append(contentsOf: key + [UInt8](repeating: 0, count: keySize - key.count))
        message.append(result == .ok ? 1 : 0, UInt32(result == .ok ? own.count : 0), UInt32(head))
        for word in capabilities { message.append(word) }
        return message.bytes
    }
}
