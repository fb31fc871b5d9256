internal import HostOS
internal import TLS

/// What a server says of an export.
public struct NBDExportInfo: Sendable, Hashable {
    /// Its name, and what it says of itself.
    public var name = ""
    public var description: String?
    /// In bytes.
    public var size: UInt64 = 0
    /// Transmission flags as on the wire.
    public var flags: UInt16 = 0
    /// The server states its block sizes: the smallest request, the best one, and the largest payload, in bytes.
    public var blockSizes: (minimum: UInt32, preferred: UInt32, maximum: UInt32)? {
        get { hasBlockSizes ? (minimumBlock, preferredBlock, maximumBlock) : nil }
        set {
            hasBlockSizes = newValue != nil
            (minimumBlock, preferredBlock, maximumBlock) = newValue ?? (1, 4096, 32 << 20)
        }
    }
    /// The metadata contexts that it has.
    public var contexts: [String] = []

    private var hasBlockSizes = false
    private var minimumBlock: UInt32 = 1
    private var preferredBlock: UInt32 = 4096
    private var maximumBlock: UInt32 = 32 << 20
}

/// The client's side of the handshake: fixed newstyle, with oldstyle servers told apart. Blocks.
struct NBDNegotiation {
    /// What was agreed on.
    struct Result {
        var info = NBDExportInfo()
        var isStructured = false
        /// The numbers of the metadata contexts.
        var contexts: [String: UInt32] = [:]
    }

    private(set) var channel: NBDChannel
    private(set) var reader: NBDReader
    private var sendsZeroes = true
    private var isFixed = false

    /// A handshake on a new connection; `patience` in seconds.
    init(_ channel: NBDChannel, patience: UInt64 = 60) {
        self.channel = channel
        reader = NBDReader(channel)
        reader.deadline = HostClock.monotonic + patience * 1_000_000_000
    }

    /// Takes the greeting; true: the server is of the old style, and transmission begins with this export.
    mutating func greet() throws(NBDFailure) -> NBDExportInfo? {
        var greeting = NBDParser(try reader.take(16))
        guard greeting.number(UInt64.self) == NBD.initialMagic else { throw NBDFailure("Bad initial magic received") }
        let magic = greeting.number(UInt64.self) ?? 0
        if magic == NBD.oldMagic {
            var rest = NBDParser(try reader.take(8 + 4 + 124))
            var info = NBDExportInfo()
            info.size = rest.number(UInt64.self) ?? 0
            info.flags = UInt16(truncatingIfNeeded: rest.number(UInt32.self) ?? 0)
            return info
        }
        guard magic == NBD.optionMagic else { throw NBDFailure("Bad server magic received") }
        let flags = try reader.take(2).bigEndian(UInt16.self, at: 0)
        isFixed = flags & NBD.HandshakeFlag.fixedNewstyle != 0
        sendsZeroes = flags & NBD.HandshakeFlag.noZeroes == 0
        var answer = NBDBytes()
        answer.put(UInt32(flags & (NBD.HandshakeFlag.fixedNewstyle | NBD.HandshakeFlag.noZeroes)))
        channel.send([NBDChannel.Piece(answer.bytes)])
        return nil
    }

    private func send(_ option: UInt32, _ data: [UInt8] = []) {
        var bytes = NBDBytes()
        bytes.put(NBD.optionMagic)
        bytes.put(option)
        bytes.put(UInt32(data.count))
        bytes.bytes += data
        channel.send([NBDChannel.Piece(bytes.bytes)])
    }

    /// The next reply to an option.
    private func reply(to option: UInt32) throws(NBDFailure) -> (type: UInt32, data: [UInt8]) {
        var head = NBDParser(try reader.take(20))
        guard head.number(UInt64.self) == NBD.optionReplyMagic else {
            throw NBDFailure("Unexpected option reply magic")
        }
        guard head.number(UInt32.self) == option else { throw NBDFailure("Unexpected option type in a reply") }
        let type = head.number(UInt32.self) ?? 0
        let length = Int(head.number(UInt32.self) ?? 0)
        guard length <= NBD.maximumOption else { throw NBDFailure("option reply of \(length) bytes is too long") }
        return (type, try reader.take(length))
    }

    private func failure(_ type: UInt32, _ data: [UInt8], _ what: String) -> NBDFailure {
        let text = String(decoding: data.prefix(NBD.maximumString).prefix { $0 >= 32 && $0 < 127 }, as: UTF8.self)
        let suffix = text.isEmpty ? "" : "\nserver reported: \(text)"
        switch type {
        case NBD.Reply.unsupported: return NBDFailure("Unsupported option type \(what)\(suffix)")
        case NBD.Reply.policy: return NBDFailure("Denied by server for option \(what)\(suffix)")
        case NBD.Reply.invalid: return NBDFailure("Invalid parameters for option \(what)\(suffix)")
        case NBD.Reply.tlsRequired:
            return NBDFailure(
                "TLS negotiation required before option \(what)\nDid you forget a valid tls-creds?\(suffix)")
        case NBD.Reply.unknown: return NBDFailure("Requested export not available\(suffix)")
        case NBD.Reply.blockSizeRequired:
            return NBDFailure("Server requires INFO_BLOCK_SIZE for option \(what)\(suffix)")
        default: return NBDFailure("Unknown error code when asking for option \(what)\(suffix)")
        }
    }

    /// Asks for TLS, and goes on with that.
    mutating func startTLS(_ credentials: TLSCredentials, host: String?) throws(NBDFailure) {
        guard isFixed else { throw NBDFailure("Server does not support STARTTLS") }
        send(NBD.Option.startTLS)
        let (type, data) = try reply(to: NBD.Option.startTLS)
        guard type == NBD.Reply.acknowledge else { throw failure(type, data, "5 (starttls)") }
        let deadline = reader.deadline
        channel = try channel.secured(credentials, host: host, after: reader)
        reader = NBDReader(channel)
        reader.deadline = deadline
    }

    /// Asks for structured replies; false where the server has none.
    func structure() throws(NBDFailure) -> Bool {
        guard isFixed else { return false }
        send(NBD.Option.structuredReply)
        let (type, data) = try reply(to: NBD.Option.structuredReply)
        if type == NBD.Reply.acknowledge { return true }
        // What needs TLS says so again to the option that matters.
        if [NBD.Reply.unsupported, NBD.Reply.policy, NBD.Reply.tlsRequired].contains(type) { return false }
        throw failure(type, data, "8 (structured reply)")
    }

    /// Chooses (or only lists) metadata contexts of an export.
    func contexts(
        _ export: String, _ queries: [String], onlyLists: Bool = false
    ) throws(NBDFailure) -> [(name: String, number: UInt32)] {
        let option = onlyLists ? NBD.Option.listMetaContext : NBD.Option.setMetaContext
        var bytes = NBDBytes()
        bytes.put(text: export)
        bytes.put(UInt32(queries.count))
        for query in queries { bytes.put(text: query) }
        send(option, bytes.bytes)
        var found: [(String, UInt32)] = []
        while true {
            let (type, data) = try reply(to: option)
            switch type {
            case NBD.Reply.acknowledge: return found
            case NBD.Reply.metaContext:
                var parser = NBDParser(data)
                guard let number = parser.number(UInt32.self), let name = parser.text(parser.remaining),
                    found.count < 1024
                else { throw NBDFailure("Bad reply to a metadata context") }
                found.append((name, number))
            case NBD.Reply.unsupported, NBD.Reply.policy, NBD.Reply.invalid, NBD.Reply.unknown: return found
            default: throw failure(type, data, "\(option) (metadata context)")
            }
        }
    }

    /// Chooses an export (or only asks about it). Where the server knows no `GO`, the old way is taken.
    func choose(_ export: String, onlyAsks: Bool = false) throws(NBDFailure) -> NBDExportInfo {
        guard isFixed else { return try chooseOldWay(export) }
        let option = onlyAsks ? NBD.Option.info : NBD.Option.go
        var bytes = NBDBytes()
        bytes.put(text: export)
        let wanted = onlyAsks ? [NBD.Info.name, NBD.Info.description, NBD.Info.blockSize] : [NBD.Info.blockSize]
        bytes.put(UInt16(wanted.count))
        for info in wanted { bytes.put(info) }
        send(option, bytes.bytes)
        var result = NBDExportInfo()
        result.name = export
        var hasExport = false
        while true {
            let (type, data) = try reply(to: option)
            switch type {
            case NBD.Reply.acknowledge:
                guard hasExport else { throw NBDFailure("broken server omitted NBD_INFO_EXPORT") }
                return result
            case NBD.Reply.info:
                if try NBDNegotiation.note(data, &result) { hasExport = true }
            case NBD.Reply.unsupported where !onlyAsks: return try chooseOldWay(export)
            default: throw failure(type, data, onlyAsks ? "6 (info)" : "7 (go)")
            }
        }
    }

    /// Notes one piece of information; true: it was the export's size and flags.
    private static func note(_ data: [UInt8], _ result: inout NBDExportInfo) throws(NBDFailure) -> Bool {
        var parser = NBDParser(data)
        guard let kind = parser.number(UInt16.self) else { throw NBDFailure("Information too short") }
        switch kind {
        case NBD.Info.export:
            guard let size = parser.number(UInt64.self), let flags = parser.number(UInt16.self), parser.remaining == 0
            else { throw NBDFailure("Information about the export has the wrong size") }
            result.size = size
            result.flags = flags
            return true
        case NBD.Info.blockSize:
            guard let minimum = parser.number(UInt32.self), let preferred = parser.number(UInt32.self),
                let maximum = parser.number(UInt32.self), parser.remaining == 0
            else { throw NBDFailure("Information about block sizes has the wrong size") }
            guard minimum.nonzeroBitCount == 1, minimum <= 64 << 10 else {
                throw NBDFailure("server minimum block size \(minimum) is not a power of two up to 65536")
            }
            guard preferred.nonzeroBitCount == 1, preferred >= minimum else {
                throw NBDFailure("server preferred block size \(preferred) is not valid")
            }
            guard maximum >= minimum else { throw NBDFailure("server maximum block size \(maximum) is not valid") }
            result.blockSizes = (minimum, preferred, maximum)
        case NBD.Info.name: result.name = parser.text(parser.remaining) ?? result.name
        case NBD.Info.description: result.description = parser.text(parser.remaining)
        default: break
        }
        return false
    }

    private func chooseOldWay(_ export: String) throws(NBDFailure) -> NBDExportInfo {
        send(NBD.Option.exportName, Array(export.utf8))
        var parser = NBDParser(try reader.take(sendsZeroes ? 10 + 124 : 10))
        var info = NBDExportInfo()
        info.name = export
        info.size = parser.number(UInt64.self) ?? 0
        info.flags = parser.number(UInt16.self) ?? 0
        return info
    }

    /// The names of the server's exports, with their descriptions.
    func list() throws(NBDFailure) -> [(name: String, description: String)] {
        guard isFixed else { throw NBDFailure("Server does not support listing exports") }
        send(NBD.Option.list)
        var found: [(String, String)] = []
        while true {
            let (type, data) = try reply(to: NBD.Option.list)
            switch type {
            case NBD.Reply.acknowledge: return found
            case NBD.Reply.server:
                var parser = NBDParser(data)
                guard let name = parser.text(), let text = parser.text(parser.remaining), found.count < 4096 else {
                    throw NBDFailure("Bad entry in the list of exports")
                }
                found.append((name, text))
            default: throw failure(type, data, "3 (list)")
            }
        }
    }

    /// Ends the handshake without an export.
    func abort() { send(NBD.Option.abort) }
}
