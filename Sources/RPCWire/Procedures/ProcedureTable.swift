/// What is known of a program's procedures beside their payloads.
public struct ProcedureTable: Sendable {
    /// One procedure or event.
    public struct Entry: Sendable {
        /// Its number.
        public let number: Int32
        /// Its name in the protocol, without the program's prefix: `DOMAIN_CREATE`.
        public let name: String
        /// The function of the C API that calls it, such as `virDomainCreate`; `-` if there is none.
        public let function: String
        /// Whether a read-only connection may call it.
        public let readOnly: Access
        /// Whether it is a message of the daemon's.
        public let isEvent: Bool
        /// Whether it must be answered even while slow calls take all ordinary workers.
        public let isUrgent: Bool
        /// Whether a stream from the daemon to the client, or the other way, follows the answer.
        public let stream: Stream?
    }

    /// Who may call.
    public enum Access: Sendable {
        /// Everybody.
        case allowed
        /// Not a read-only connection.
        case refused
        /// The flags decide.
        case conditional
    }

    /// The main direction of a stream.
    public enum Stream: Sendable {
        /// From the daemon; a console also sends.
        case download
        /// From the client.
        case upload
    }

    /// All, by ascending number.
    public let entries: [Entry]
    private let places: [Int16]

    /// Reads lines of `number name function letters`; see `Scripts/generate-rpc` for the letters.
    init(_ text: String) {
        var entries: [Entry] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 4, let number = Int32(words[0]) else { continue }
            let letters = words[3]
            entries.append(
                Entry(
                    number: number, name: String(words[1]), function: String(words[2]),
                    readOnly: letters.contains("r")
                        ? Access.allowed : letters.contains("c") ? Access.conditional : Access.refused,
                    isEvent: letters.contains("e"), isUrgent: letters.contains("h"),
                    stream: letters.contains("d") ? Stream.download : letters.contains("u") ? Stream.upload : nil))
        }
        var places = [Int16](repeating: -1, count: Int(entries.last?.number ?? 0) + 1)
        for (index, entry) in entries.enumerated() where entry.number >= 0 && Int(entry.number) < places.count {
            places[Int(entry.number)] = Int16(index)
        }
        self.entries = entries
        self.places = places
    }

    /// The procedure of a number.
    public subscript(_ number: Int32) -> Entry? {
        guard number >= 0, Int(number) < places.count, places[Int(number)] >= 0 else { return nil }
        return entries[Int(places[Int(number)])]
    }
}
