internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// A guest's console in this terminal.
extension Run {
    static func console(_ c: Call) throws {
        let domain = try c.domain()
        let flags = c.bits(("force", VirDomainConsoleFlags.force), ("safe", VirDomainConsoleFlags.safe))
        try console(c, domain, device: c["devname"], flags: flags)
    }

    static func console(_ c: Call, _ domain: RemoteDomain, device: String?, flags: UInt32) throws {
        let state = try c.ask(Remote.DomainGetState.self, .init(dom: domain, flags: 0)).state
        guard state != VirDomainState.shutoff else { throw CommandFailure("The domain is not running") }
        let input = Descriptor(borrowing: 0)
        guard input.kind == .terminal else {
            throw CommandFailure("Cannot run interactive console without a controlling TTY")
        }
        let escape = c.shell.settings.escape
        c.say("Connected to domain '\(domain.name)'\n")
        c.say("Escape character is ^\(Character(Unicode.Scalar(escape | 0x40)))")
        c.say(" (Ctrl + \(Character(Unicode.Scalar(escape | 0x40))))\n")
        c.shell.flush()
        let stream = try c.client.openStream(
            Remote.DomainOpenConsole.self, .init(dom: domain, devName: device, flags: flags)
        ).stream
        let terminal = try RawTerminal(input, signals: false)
        defer { terminal?.restore() }
        try ConsoleLoop.run(c, stream, input, escape)
        terminal?.restore()
        c.shell.aside("\n")
    }
}

/// Bytes both ways until the guest ends, or the escape character is pressed.
enum ConsoleLoop {
    static func run(_ c: Call, _ stream: ClientStream, _ input: Descriptor, _ escape: UInt8) throws {
        let client = try c.client
        let output = Descriptor(borrowing: 1)
        while true {
            // What has come already has no event of its own any more.
            while let piece = try stream.next(within: 0) {
                switch piece {
                case .data(let bytes): try output.writeAll(bytes)
                case .hole: break
                case .end: return try stream.finish()
                }
            }
            let ready = Waiting.forAny([client.descriptor, input], milliseconds: -1)
            guard ready[1] else { continue }
            let bytes = try input.readAvailable(limit: 1024)
            guard !bytes.isEmpty else { return stream.abort() }
            if let place = bytes.firstIndex(of: escape) {
                if place > 0 { try stream.send(bytes[..<place]) }
                return stream.abort()
            }
            try stream.send(bytes)
        }
    }
}
