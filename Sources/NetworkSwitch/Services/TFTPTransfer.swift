/// What a machine asks for by TFTP (RFC 1350, 5, with the options of RFC 2347).
package struct TFTPRequest: Equatable, Sendable {
    package enum Fault: Error, Equatable {
        /// It is no request for a file.
        case malformed
        /// It would write.
        case writes
        /// It is for a text in another form than the file's.
        case mode(String)
    }
    /// The name of a file below the server's folder, without a leading slash.
    package let file: String
    /// Options by their names in small letters.
    package let options: [String: String]
    /// Options that a request may have.
    private static let optionLimit = 16

    package init(_ bytes: [UInt8]) throws(Fault) {
        guard bytes.count >= 4, bytes.count <= 1500, bytes[0] == 0, bytes[1] == 1 || bytes[1] == 2, bytes.last == 0
        else { throw .malformed }
        if bytes[1] == 2 { throw .writes }
        let words = bytes[2...].dropLast().split(separator: 0, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count >= 2, !words[0].isEmpty else { throw .malformed }
        guard words[1].lowercased() == "octet" else { throw .mode(words[1]) }
        // Machines name paths from the root, as the folder were all there is; nothing leads out of it.
        let parts = words[0].split(whereSeparator: { $0 == "/" || $0 == "\\" })
        guard !parts.isEmpty, !parts.contains(".."), !words[0].unicodeScalars.contains(where: { $0.value < 0x20 })
        else {
            throw .malformed
        }
        file = parts.joined(separator: "/")
        var options: [String: String] = [:]
        for place in stride(from: 2, to: words.count - 1, by: 2) where options.count < Self.optionLimit {
            options[words[place].lowercased()] = words[place + 1]
        }
        self.options = options
    }
}

/// A file on its way to a machine, one block at a time: acknowledgements in, packets out. A pure value.
package struct TFTPTransfer: Sendable {
    package enum Step: Equatable, Sendable {
        /// Options that are agreed to (RFC 2347).
        case agree([UInt8])
        /// A block: its number, and which bytes of the file it has.
        case block(UInt16, Range<Int64>)
        /// All has arrived, or the machine has given up.
        case done
        /// Nothing new.
        case wait
    }
    private let size: Int64
    private let blockSize: Int64
    private let agreement: [UInt8]?
    /// Blocks that have arrived.
    private var arrived: Int64 = 0
    private var hasBegun: Bool

    /// - Parameter size: bytes of the file.
    package init(_ request: TFTPRequest, size: Int64) {
        self.size = max(0, size)
        var (agreed, block) = ([UInt8](), Int64(512))
        func agree(_ name: String, _ value: Int64) { agreed += Array("\(name)\0\(value)\0".utf8) }
        // RFC 2348: 8 to 65464; what fits an Ethernet frame is what machines get (1468).
        if let wanted = request.options["blksize"].flatMap({ Int64($0) }), wanted >= 8 {
            block = min(wanted, 1468)
            agree("blksize", block)
        }
        if request.options["tsize"] != nil { agree("tsize", self.size) }
        blockSize = block
        agreement = agreed.isEmpty ? nil : [0, 6] + agreed
        hasBegun = agreed.isEmpty
    }

    /// What is to be sent now, the first time and again.
    package var current: Step {
        if !hasBegun, let agreement { return .agree(agreement) }
        let start = arrived * blockSize
        // A file whose last block is a full one ends with an empty one.
        if start > size { return .done }
        return .block(UInt16(truncatingIfNeeded: arrived + 1), start..<min(size, start + blockSize))
    }

    /// Takes a packet of the machine's.
    package mutating func take(_ bytes: [UInt8]) -> Step {
        guard bytes.count >= 4, bytes[0] == 0 else { return .wait }
        if bytes[1] == 5 { return .done }
        guard bytes[1] == 4 else { return .wait }
        let number = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        if !hasBegun {
            guard number == 0 else { return .wait }
            hasBegun = true
            return current
        }
        // An old one answered would be sent twice from then on (RFC 1123, 4.2.3.1).
        guard number == UInt16(truncatingIfNeeded: arrived + 1) else { return .wait }
        let wasLast = size - arrived * blockSize < blockSize
        arrived += 1
        return wasLast ? .done : current
    }
}
