extension Frame {
    /// A call with its arguments.
    public static func call<Procedure: RPCProcedure>(
        _ procedure: Procedure.Type, _ arguments: Procedure.Arguments, serial: UInt32
    ) throws(XDRError) -> Frame {
        let header = RPCHeader(
            program: Procedure.program, procedure: Procedure.number, type: RPCMessageType.call, serial: serial)
        return try Frame(header, arguments)
    }

    /// An event. Its serial is always 1.
    public static func event<Event: RPCEvent>(_ event: Event.Type, _ body: Event.Body) throws(XDRError) -> Frame {
        let header = RPCHeader(
            program: Event.program, procedure: Event.number, type: RPCMessageType.message, serial: 1)
        return try Frame(header, body)
    }

    /// What answers `call` when it failed: a reply, or for a stream's frame the stream's abortion.
    public static func failure(of call: RPCHeader, _ error: RemoteError) -> Frame {
        let type: RPCMessageType =
            call.type == RPCMessageType.stream.rawValue || call.type == RPCMessageType.streamHole.rawValue
            ? RPCMessageType.stream : RPCMessageType.reply
        let header = call.answering(type, RPCStatus.error)
        if let frame = try? Frame(header, error) { return frame }
        // A text above the limit of a string: without it the error still has its code.
        var short = error
        (short.message, short.str1, short.str2, short.str3) = (nil, nil, nil, nil)
        return (try? Frame(header, short)) ?? Frame(header)
    }

    /// A ping of the keepalive program.
    public static let ping = Frame(
        RPCHeader(program: RPCProgram.keepalive, procedure: 1, type: RPCMessageType.message, serial: 0))
    /// Its answer.
    public static let pong = Frame(
        RPCHeader(program: RPCProgram.keepalive, procedure: 2, type: RPCMessageType.message, serial: 0))
}

extension RemoteError {
    /// An error with the fields that clients look at. `domain` is a `virErrorDomain`, `code` a `virErrorNumber`.
    public init(code: Int32, domain: Int32, message: String, detail: String? = nil, format: String? = nil) {
        self.init(
            code: code, domain: domain, message: message, level: VirErrorLevel.error, dom: nil, str1: format,
            str2: detail, str3: nil, int1: -1, int2: -1, net: nil)
    }
}
