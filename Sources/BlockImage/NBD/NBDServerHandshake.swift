internal import HostOS

/// The server's side of the handshake with one client, and what it ends in. Used on the client's thread.
final class NBDServerHandshake {
    private let server: NBDServer
    /// Who is told the export that the client has chosen.
    private let onChoice: (String) -> Void
    private var channel: NBDChannel
    private var reader: NBDReader
    private var isSecure = false
    private var isStructured = false
    private var omitsZeroes = false
    /// The metadata contexts that the client chose, and for which export.
    private var contexts: (export: String, names: [String]) = ("", [])

    /// A client that has this many seconds to choose.
    private static let patience: UInt64 = 60
    /// Options that a client may try.
    private static let maximumOptions = 4096

    init(_ server: NBDServer, _ channel: NBDChannel, onChoice: @escaping (String) -> Void) {
        self.server = server
        self.onChoice = onChoice
        self.channel = channel
        reader = NBDReader(channel)
    }

    /// Serves the client to its end.
    func run() {
        reader.deadline = HostClock.monotonic + NBDServerHandshake.patience * 1_000_000_000
        do throws(NBDFailure) {
            guard let export = try greet() else { return }
            reader.deadline = nil
            onChoice(export.name)
            let chosen = contexts.export == export.name ? contexts.names : []
            NBDService(export, channel, reader, isStructured: isStructured, contexts: chosen).run()
            if isSecure { channel.shutDown() }
        } catch {
            // The client is not worth a word; it sees the end of the connection.
        }
    }

    private func greet() throws(NBDFailure) -> NBDExport? {
        var greeting = NBDBytes()
        greeting.put(NBD.initialMagic)
        greeting.put(NBD.optionMagic)
        greeting.put(NBD.HandshakeFlag.fixedNewstyle | NBD.HandshakeFlag.noZeroes)
        channel.send([NBDChannel.Piece(greeting.bytes)])
        let flags = try reader.take(4).bigEndian(UInt32.self, at: 0)
        let known = UInt32(NBD.HandshakeFlag.fixedNewstyle | NBD.HandshakeFlag.noZeroes)
        guard flags & ~known == 0 else { throw NBDFailure("unknown client flags") }
        omitsZeroes = flags & UInt32(NBD.HandshakeFlag.noZeroes) != 0
        let isFixed = flags & UInt32(NBD.HandshakeFlag.fixedNewstyle) != 0
        for _ in 0..<NBDServerHandshake.maximumOptions {
            var head = NBDParser(try reader.take(16))
            guard head.number(UInt64.self) == NBD.optionMagic else { throw NBDFailure("bad option magic") }
            let option = head.number(UInt32.self) ?? 0
            let length = Int(head.number(UInt32.self) ?? 0)
            guard length <= NBD.maximumPayload else { throw NBDFailure("an option of \(length) bytes") }
            guard length <= NBD.maximumOption else {
                try reader.skip(length)
                reply(option, NBD.Reply.tooBig)
                continue
            }
            let data = try reader.take(length)
            guard isFixed || option == NBD.Option.exportName else { throw NBDFailure("option before its time") }
            if option == NBD.Option.abort {
                reply(option, NBD.Reply.acknowledge)
                return nil
            }
            guard isSecure || server.credentials == nil || option == NBD.Option.startTLS else {
                guard option != NBD.Option.exportName else { throw NBDFailure("TLS is required") }
                refuse(option, NBD.Reply.tlsRequired, "Option 0x\(String(option, radix: 16)) not permitted before TLS")
                continue
            }
            if let export = try handle(option, data) { return export }
        }
        throw NBDFailure("too many options")
    }

    private func reply(_ option: UInt32, _ type: UInt32, _ data: [UInt8] = []) {
        var bytes = NBDBytes()
        bytes.put(NBD.optionReplyMagic)
        bytes.put(option)
        bytes.put(type)
        bytes.put(UInt32(data.count))
        bytes.bytes += data
        channel.send([NBDChannel.Piece(bytes.bytes)])
    }

    private func refuse(_ option: UInt32, _ type: UInt32, _ text: String) {
        reply(option, type, Array(text.utf8))
    }

    /// Answers an option; an export: transmission begins.
    private func handle(_ option: UInt32, _ data: [UInt8]) throws(NBDFailure) -> NBDExport? {
        switch option {
        case NBD.Option.exportName:
            guard data.count <= NBD.maximumString, let name = String(validating: data, as: UTF8.self),
                let export = find(name)
            else { throw NBDFailure("export not found") }
            var bytes = NBDBytes()
            bytes.put(export.node.sizeInBytes)
            bytes.put(export.flags(isStructured: isStructured))
            if !omitsZeroes { bytes.bytes += [UInt8](repeating: 0, count: 124) }
            channel.send([NBDChannel.Piece(bytes.bytes)])
            return export
        case NBD.Option.list: list(data)
        case NBD.Option.info, NBD.Option.go: return describe(option, data)
        case NBD.Option.startTLS: try startTLS(data)
        case NBD.Option.structuredReply:
            if !data.isEmpty {
                refuse(option, NBD.Reply.invalid, "option 'structured reply' should have zero length")
            } else if isStructured {
                refuse(option, NBD.Reply.invalid, "structured reply already negotiated")
            } else {
                isStructured = true
                reply(option, NBD.Reply.acknowledge)
            }
        case NBD.Option.listMetaContext, NBD.Option.setMetaContext: chooseContexts(option, data)
        default: refuse(option, NBD.Reply.unsupported, "Unsupported option \(option)")
        }
        return nil
    }

    private func startTLS(_ data: [UInt8]) throws(NBDFailure) {
        let option = NBD.Option.startTLS
        guard let credentials = server.credentials else {
            return refuse(option, NBD.Reply.policy, "TLS not configured")
        }
        guard data.isEmpty else {
            return refuse(option, NBD.Reply.invalid, "option 'starttls' should have zero length")
        }
        guard !isSecure else { return refuse(option, NBD.Reply.invalid, "TLS already enabled") }
        reply(option, NBD.Reply.acknowledge)
        let deadline = reader.deadline
        channel = try channel.secured(credentials, host: nil, after: reader)
        if let authorization = server.authorization {
            let name = channel.peerName
            guard let name, authorization.allows(name) else {
                throw NBDFailure("TLS x509 authz check for \(name ?? "nobody") is denied")
            }
        }
        reader = NBDReader(channel)
        reader.deadline = deadline
        // What was agreed on before could be anybody's.
        (isSecure, isStructured, contexts) = (true, false, ("", []))
    }

    private func find(_ name: String) -> NBDExport? { server.exports.first { $0.name == name } }

    private func list(_ data: [UInt8]) {
        guard data.isEmpty else {
            return refuse(NBD.Option.list, NBD.Reply.invalid, "option 'list' should have zero length")
        }
        for export in server.exports {
            var bytes = NBDBytes()
            bytes.put(text: export.name)
            bytes.bytes += Array((export.description ?? "").utf8)
            reply(NBD.Option.list, NBD.Reply.server, bytes.bytes)
        }
        reply(NBD.Option.list, NBD.Reply.acknowledge)
    }

    private func describe(_ option: UInt32, _ data: [UInt8]) -> NBDExport? {
        var parser = NBDParser(data)
        guard let name = parser.text(), let count = parser.number(UInt16.self), parser.remaining == Int(count) * 2
        else {
            refuse(option, NBD.Reply.invalid, "malformed request for an export")
            return nil
        }
        guard let export = find(name) else {
            refuse(option, NBD.Reply.unknown, "export '\(name)' not present")
            return nil
        }
        var wanted: Set<UInt16> = []
        while let kind = parser.number(UInt16.self) { wanted.insert(kind) }
        func inform(_ kind: UInt16, _ fill: (inout NBDBytes) -> Void) {
            var bytes = NBDBytes()
            bytes.put(kind)
            fill(&bytes)
            reply(option, NBD.Reply.info, bytes.bytes)
        }
        if wanted.contains(NBD.Info.name) { inform(NBD.Info.name) { $0.bytes += Array(name.utf8) } }
        if wanted.contains(NBD.Info.description), let text = export.description {
            inform(NBD.Info.description) { $0.bytes += Array(text.utf8) }
        }
        inform(NBD.Info.blockSize) {
            $0.put(UInt32(1))
            $0.put(UInt32(4096))
            $0.put(UInt32(NBD.maximumPayload))
        }
        inform(NBD.Info.export) {
            $0.put(export.node.sizeInBytes)
            $0.put(export.flags(isStructured: isStructured))
        }
        reply(option, NBD.Reply.acknowledge)
        return option == NBD.Option.go ? export : nil
    }

    private func chooseContexts(_ option: UInt32, _ data: [UInt8]) {
        let isChoice = option == NBD.Option.setMetaContext
        if isChoice { contexts = ("", []) }
        guard isStructured else {
            return refuse(option, NBD.Reply.invalid, "request option \(option) when structured reply is not negotiated")
        }
        var parser = NBDParser(data)
        guard let name = parser.text(), let count = parser.number(UInt32.self) else {
            return refuse(option, NBD.Reply.invalid, "malformed request for metadata contexts")
        }
        guard let export = find(name) else {
            return refuse(option, NBD.Reply.unknown, "export '\(name)' not present")
        }
        var chosen: [String] = count == 0 && !isChoice ? export.contexts : []
        for _ in 0..<count {
            guard let query = parser.text() else {
                return refuse(option, NBD.Reply.invalid, "malformed query for metadata contexts")
            }
            for context in export.contexts where !chosen.contains(context) {
                // A name space, or the first part of a name, stands for all in it where they are only listed.
                let matches = context == query || (!isChoice && query.hasSuffix(":") && context.hasPrefix(query))
                if matches { chosen.append(context) }
            }
        }
        guard parser.remaining == 0 else {
            return refuse(option, NBD.Reply.invalid, "malformed request for metadata contexts")
        }
        for context in chosen {
            var bytes = NBDBytes()
            let number = export.contexts.firstIndex(of: context) ?? 0
            bytes.put(isChoice ? UInt32(number) : 0)
            bytes.bytes += Array(context.utf8)
            reply(option, NBD.Reply.metaContext, bytes.bytes)
        }
        if isChoice { contexts = (name, chosen) }
        reply(option, NBD.Reply.acknowledge)
    }
}
