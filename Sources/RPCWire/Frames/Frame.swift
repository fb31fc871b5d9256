public import HostOS

/// What a frame is (`virNetMessageType`).
public enum RPCMessageType: Int32, Sendable {
    /// Asks for something.
    case call = 0
    /// Answers a call.
    case reply = 1
    /// Tells something that nobody asked for at this moment: events, pings.
    case message = 2
    /// Data of a stream, its end or its abortion.
    case stream = 3
    /// A call with descriptors.
    case callWithDescriptors = 4
    /// A reply with descriptors.
    case replyWithDescriptors = 5
    /// Zeroes of a sparse stream that are not sent.
    case streamHole = 6
}

/// How it went (`virNetMessageStatus`).
public enum RPCStatus: Int32, Sendable {
    /// Well; of a stream: its end.
    case ok = 0
    /// Not: the payload is a `RemoteError`.
    case error = 1
    /// More of the stream follows.
    case `continue` = 2
}

/// The six words before each payload.
public struct RPCHeader: Sendable, Equatable {
    /// Program number; one of `RPCProgram` if the message is for us.
    public var program: UInt32
    /// Its version.
    public var version: UInt32
    /// Procedure number.
    public var procedure: Int32
    /// The number of an `RPCMessageType`.
    public var type: Int32
    /// Chosen by the caller; a reply and all frames of a stream repeat it.
    public var serial: UInt32
    /// The number of an `RPCStatus`.
    public var status: Int32

    /// A header of known kind.
    public init(
        program: RPCProgram, procedure: Int32, type: RPCMessageType, serial: UInt32, status: RPCStatus = RPCStatus.ok
    ) {
        self.program = program.rawValue
        version = RPCProgram.version
        self.procedure = procedure
        self.type = type.rawValue
        self.serial = serial
        self.status = status.rawValue
    }

    init(from reader: inout XDRReader) throws(XDRError) {
        program = try UInt32(from: &reader)
        version = try UInt32(from: &reader)
        procedure = try Int32(from: &reader)
        type = try Int32(from: &reader)
        serial = try UInt32(from: &reader)
        status = try Int32(from: &reader)
    }

    /// The kind, if it is a known one.
    public var messageType: RPCMessageType? { RPCMessageType(rawValue: type) }

    /// The same call's header with another kind and status: what answers it.
    public func answering(_ type: RPCMessageType, _ status: RPCStatus) -> RPCHeader {
        var header = self
        header.type = type.rawValue
        header.status = status.rawValue
        return header
    }
}

/// One message: header, payload and the descriptors that travel with it.
public struct Frame: Sendable {
    /// What it is.
    public var header: RPCHeader
    /// XDR, or a stream's bytes.
    public var payload: [UInt8]
    /// At most `RPCLimits.descriptors`; only with a type that has them.
    public var descriptors: [Descriptor]

    /// A frame of the given parts.
    public init(_ header: RPCHeader, payload: [UInt8] = [], descriptors: [Descriptor] = []) {
        self.header = header
        self.payload = payload
        self.descriptors = descriptors
    }

    /// A frame whose payload is one value.
    public init(
        _ header: RPCHeader, _ value: some XDRCodable, descriptors: [Descriptor] = []
    ) throws(XDRError) {
        var writer = XDRWriter()
        try value.write(to: &writer)
        guard writer.bytes.count + RPCLimits.header <= RPCLimits.message else {
            throw XDRError.tooLong(count: writer.bytes.count, limit: RPCLimits.message - RPCLimits.header)
        }
        self.init(header, payload: writer.bytes, descriptors: descriptors)
    }

    /// The bytes of the stream, without what carries the descriptors.
    public var bytes: [UInt8] {
        var writer = XDRWriter(capacity: payload.count + RPCLimits.header + 4)
        writer.word(0)
        writer.word(header.program)
        writer.word(header.version)
        writer.word(UInt32(bitPattern: header.procedure))
        writer.word(UInt32(bitPattern: header.type))
        writer.word(header.serial)
        writer.word(UInt32(bitPattern: header.status))
        if Frame.carriesDescriptors(header.type) { writer.word(UInt32(truncatingIfNeeded: descriptors.count)) }
        writer.raw(payload)
        writer.replaceWord(at: 0, UInt32(truncatingIfNeeded: writer.bytes.count))
        return writer.bytes
    }

    static func carriesDescriptors(_ type: Int32) -> Bool {
        type == RPCMessageType.callWithDescriptors.rawValue || type == RPCMessageType.replyWithDescriptors.rawValue
    }
}

/// A hole of a sparse stream (`virNetStreamHole`).
public struct StreamHole: XDRCodable, Equatable {
    /// Its length in bytes.
    public var length: Int64
    /// None is defined.
    public var flags: UInt32

    /// A hole of so many bytes.
    public init(length: Int64, flags: UInt32 = 0) {
        self.length = length
        self.flags = flags
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        length = try Int64(from: &reader)
        flags = try UInt32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try length.write(to: &writer)
        try flags.write(to: &writer)
    }
}
