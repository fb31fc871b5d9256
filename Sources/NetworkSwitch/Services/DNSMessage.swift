/// A domain name: labels of 1 to 63 bytes in small letters, 255 bytes with their lengths at most (RFC 1035, 2.3.4).
public struct DNSName: Sendable, Hashable, CustomStringConvertible {
    /// The labels, the most special first.
    public let labels: [String]

    init(labels: [String]) { self.labels = labels }

    /// A name with dots; one at the end does not count.
    public init?(_ text: String) {
        var parts = text.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if parts.last == "" { parts.removeLast() }
        guard !parts.isEmpty,
            parts.allSatisfy({ label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy {
                        ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D || $0 == 0x5F
                    }
            }), parts.reduce(1, { $0 + $1.utf8.count + 1 }) <= 255
        else { return nil }
        labels = parts
    }

    public var description: String { labels.joined(separator: ".") }

    /// Whether it is a domain or below it.
    public func isIn(_ domain: DNSName) -> Bool {
        labels.count >= domain.labels.count && Array(labels.suffix(domain.labels.count)) == domain.labels
    }

    /// The name as it travels, without compression.
    var bytes: [UInt8] { labels.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0] }
}

/// The question of a DNS query, and what an answer to it needs.
public struct DNSQuery: Sendable, Equatable {
    /// Types of records.
    public enum Kind {
        public static let a: UInt16 = 1
        public static let cname: UInt16 = 5
        public static let ptr: UInt16 = 12
        public static let txt: UInt16 = 16
        public static let aaaa: UInt16 = 28
        public static let srv: UInt16 = 33
        public static let any: UInt16 = 255
    }
    /// The query's number.
    public var id: UInt16
    public var name: DNSName
    public var kind: UInt16
    /// Bytes that the asker takes.
    public var room: Int
    /// The bytes of the question, for the answer.
    let question: [UInt8]

    /// Reads a query of one question; nil for anything else, and for names with unusual letters.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= 17, bytes.count <= 4096 else { return nil }
        func word(_ place: Int) -> UInt16 { UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1]) }
        // A standard query with one question.
        guard word(2) & 0xF800 == 0, word(4) == 1, word(6) == 0, word(8) == 0 else { return nil }
        id = word(0)
        var place = 12
        var labels: [String] = []
        var total = 1
        while true {
            guard place < bytes.count else { return nil }
            let length = Int(bytes[place])
            place += 1
            if length == 0 { break }
            // Pointers have no place in a question.
            guard length <= 63, place + length <= bytes.count, total + length + 1 <= 255 else { return nil }
            total += length + 1
            labels.append(String(decoding: bytes[place..<place + length], as: UTF8.self).lowercased())
            place += length
        }
        guard place + 4 <= bytes.count, word(place + 2) == 1, let name = DNSName(labels.joined(separator: ".")),
            name.labels.count == labels.count
        else { return nil }
        self.name = name
        kind = word(place)
        question = Array(bytes[12..<place + 4])
        place += 4
        room = 512
        // EDNS says how much the asker takes (RFC 6891, 6.1.2).
        if word(10) == 1, place + 11 <= bytes.count, bytes[place] == 0, word(place + 1) == 41 {
            room = min(max(512, Int(word(place + 3))), 1400)
        }
    }

    /// The same with room for so many bytes.
    func taking(_ bytes: Int) -> DNSQuery {
        var query = self
        query.room = bytes
        return query
    }

    /// A record of an answer.
    public struct Record: Sendable, Equatable {
        var kind: UInt16
        var bytes: [UInt8]
    }

    /// What an answer says.
    public enum Result: UInt8, Sendable {
        case found = 0
        case failed = 2
        case noName = 3
        case refused = 5
    }

    /// The answer with the records that fit.
    public func answer(_ result: Result, _ records: [Record] = [], ttl: UInt32 = 30) -> [UInt8] {
        var body = question
        var count: UInt16 = 0
        var isCut = false
        for record in records {
            let bytes: [UInt8] =
                [0xC0, 0x0C, UInt8(record.kind >> 8), UInt8(record.kind & 255), 0, 1]
                + [24, 16, 8, 0].map { UInt8(ttl >> UInt32($0) & 255) }
                + [UInt8(record.bytes.count >> 8 & 255), UInt8(record.bytes.count & 255)] + record.bytes
            guard 12 + body.count + bytes.count <= room else {
                isCut = true
                break
            }
            body += bytes
            count += 1
        }
        // An authoritative answer of a server that also asks others.
        let flags: [UInt8] = [0x85 | (isCut ? 2 : 0), 0x80 | result.rawValue]
        return [UInt8(id >> 8), UInt8(id & 255)] + flags + [0, 1, UInt8(count >> 8), UInt8(count & 255), 0, 0, 0, 0]
            + body
    }
}
