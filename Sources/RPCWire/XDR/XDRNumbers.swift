// Numbers and strings on the wire. Types of less than four bytes travel in four; what does not fit is cut, as rpcgen's
// code does.

extension UInt32: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self = try reader.word() }
    public func write(to writer: inout XDRWriter) throws(XDRError) { writer.word(self) }
}

extension Int32: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(bitPattern: try reader.word()) }
    public func write(to writer: inout XDRWriter) throws(XDRError) { writer.word(UInt32(bitPattern: self)) }
}

extension UInt64: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) {
        let high = try reader.word()
        let low = try reader.word()
        self = UInt64(high) << 32 | UInt64(low)
    }
    public func write(to writer: inout XDRWriter) throws(XDRError) {
        writer.word(UInt32(truncatingIfNeeded: self >> 32))
        writer.word(UInt32(truncatingIfNeeded: self))
    }
}

extension Int64: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(bitPattern: try UInt64(from: &reader)) }
    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try UInt64(bitPattern: self).write(to: &writer)
    }
}

extension Double: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(bitPattern: try UInt64(from: &reader)) }
    public func write(to writer: inout XDRWriter) throws(XDRError) { try bitPattern.write(to: &writer) }
}

extension Int8: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(truncatingIfNeeded: try reader.word()) }
    public func write(to writer: inout XDRWriter) throws(XDRError) { try Int32(self).write(to: &writer) }
}

extension UInt8: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(truncatingIfNeeded: try reader.word()) }
    public func write(to writer: inout XDRWriter) throws(XDRError) { writer.word(UInt32(self)) }
}

extension UInt16: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self.init(truncatingIfNeeded: try reader.word()) }
    public func write(to writer: inout XDRWriter) throws(XDRError) { writer.word(UInt32(self)) }
}

extension String: XDRCodable {
    public init(from reader: inout XDRReader) throws(XDRError) { self = try reader.string() }
    public func write(to writer: inout XDRWriter) throws(XDRError) { try writer.string(self) }
}
