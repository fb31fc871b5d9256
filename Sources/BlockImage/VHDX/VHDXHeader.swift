/// The header of a VHDX file ("[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format", 2.2). Two copies take turns: the
/// one with the higher sequence number counts.
struct VHDXHeader {
    static let size = 4096
    static let places: [UInt64] = [64 << 10, 128 << 10]

    var sequence: UInt64
    var fileIdentifier: [UInt8]
    var dataIdentifier: [UInt8]
    var logIdentifier: [UInt8]
    var logLength: UInt32
    var logOffset: UInt64
    /// Which of the copies it is.
    var copy: Int

    var hasLog: Bool { logIdentifier.contains { $0 != 0 } }

    /// The header in force.
    static func read(_ file: any BlockNode) throws(BlockError) -> VHDXHeader {
        var best: VHDXHeader?
        for (copy, place) in places.enumerated() {
            let (status, bytes) = file.bytesAndWait(at: place, count: size)
            guard status == 0 else { throw .io(path: file.filename, operation: "read", status) }
            guard let header = VHDXHeader(bytes, copy) else { continue }
            if header.sequence > best?.sequence ?? 0 || best == nil { best = header }
        }
        guard let best else { throw .invalidImage(path: file.filename, reason: "No valid VHDX header found") }
        guard best.logOffset >= 1 << 20, best.logOffset % (1 << 20) == 0, best.logOffset <= UInt64(Int64.max) / 2,
            best.logLength % (1 << 20) == 0, best.logLength <= 256 << 20
        else {
            throw .invalidImage(
                path: file.filename, reason: "The log has \(best.logLength) bytes at \(best.logOffset)")
        }
        return best
    }

    private init?(_ bytes: [UInt8], _ copy: Int) {
        guard bytes.prefix(4).elementsEqual("head".utf8),
            CRC32C.of(bytes, without: 4) == bytes.littleEndian(UInt32.self, at: 4),
            bytes.littleEndian(UInt16.self, at: 66) == 1
        else { return nil }
        sequence = bytes.littleEndian(UInt64.self, at: 8)
        fileIdentifier = Array(bytes[16..<32])
        dataIdentifier = Array(bytes[32..<48])
        logIdentifier = Array(bytes[48..<64])
        logLength = bytes.littleEndian(UInt32.self, at: 68)
        logOffset = bytes.littleEndian(UInt64.self, at: 72)
        self.copy = copy
    }

    /// A new file's header.
    init(logOffset: UInt64, logLength: UInt32) {
        sequence = UInt64.random(in: 0..<1 << 32)
        fileIdentifier = OtherFormats.identifier(16)
        dataIdentifier = OtherFormats.identifier(16)
        logIdentifier = [UInt8](repeating: 0, count: 16)
        self.logLength = logLength
        self.logOffset = logOffset
        copy = 1
    }

    /// Writes the header over the other copy, and makes it the one in force.
    mutating func advance(_ file: any BlockNode) throws(BlockError) {
        sequence &+= 1
        copy = 1 - copy
        var bytes = [UInt8](repeating: 0, count: VHDXHeader.size)
        bytes.store("head", at: 0)
        bytes.storeLittle(sequence, at: 8)
        bytes.replaceSubrange(16..<32, with: fileIdentifier)
        bytes.replaceSubrange(32..<48, with: dataIdentifier)
        bytes.replaceSubrange(48..<64, with: logIdentifier)
        bytes.storeLittle(UInt16(1), at: 66)
        bytes.storeLittle(logLength, at: 68)
        bytes.storeLittle(logOffset, at: 72)
        bytes.storeLittle(CRC32C.of(bytes), at: 4)
        try file.put(bytes, at: VHDXHeader.places[copy])
        try file.flushAndWait()
    }
}
