package import DeviceModel

/// Takes telnet's commands out of a stream and puts its quoting in (RFC 854), no more: the negotiation is one-sided.
package struct TelnetFilter: Sendable {
    private enum State {
        case data
        case carriageReturn
        case command
        case option
        case subnegotiation
        case subnegotiationCommand
    }
    private var state = State.data

    /// A filter at the beginning of a connection.
    package init() {}

    /// What a server says first: it echoes (RFC 857), needs no go-ahead (858), and speaks binary, as should the client
    /// (856).
    package static let greeting: [UInt8] = [
        0xFF, 0xFB, 0x01, 0xFF, 0xFB, 0x03, 0xFF, 0xFB, 0x00, 0xFF, 0xFD, 0x00,
    ]

    /// The data bytes of a part of the stream, and the breaks in it.
    package mutating func receive(_ bytes: [UInt8]) -> ([UInt8], [CharacterEvent]) {
        var data: [UInt8] = []
        var events: [CharacterEvent] = []
        data.reserveCapacity(bytes.count)
        for byte in bytes {
            switch state {
            case .carriageReturn where byte == 0: state = .data  // CR NUL is a bare CR.
            case .data, .carriageReturn:
                if byte == 0xFF {
                    state = .command
                } else {
                    data.append(byte)
                    state = byte == 0x0D ? .carriageReturn : .data
                }
            case .command:
                switch byte {
                case 0xFF:
                    data.append(0xFF)
                    state = .data
                case 0xF3:
                    events.append(CharacterEvent.breakReceived)
                    state = .data
                case 0xFA: state = .subnegotiation
                case 0xFB...0xFE: state = .option
                default: state = .data
                }
            case .option: state = .data
            case .subnegotiation: if byte == 0xFF { state = .subnegotiationCommand }
            case .subnegotiationCommand: state = byte == 0xF0 ? .data : .subnegotiation
            }
        }
        return (data, events)
    }

    /// The bytes to send for data.
    package static func quote(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.contains(0xFF) else { return bytes }
        return bytes.flatMap { $0 == 0xFF ? [0xFF, 0xFF] : [$0] }
    }
}
