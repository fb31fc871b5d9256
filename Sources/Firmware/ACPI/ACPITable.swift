/// One description table before it is placed: its bytes, and where it points to other tables.
struct ACPITable {
    /// A field that holds another table's address.
    struct Pointer {
        let offset: Int
        /// Bytes of the field, 4 or 8.
        let size: Int
        /// The other table's signature.
        let target: String
    }

    let signature: String
    var bytes: [UInt8]
    var pointers: [Pointer] = []

    /// The length of the common header (ACPI 6.5, 5.2.6).
    static let headerCount = 36
    static let oemID = Array("APUS  ".utf8)
    static let creator = Array("APUS".utf8)

    /// A table with the common header before `body`; the checksum is set when it is placed.
    init(_ signature: String, revision: UInt8, body: [UInt8]) {
        self.signature = signature
        bytes = Array(signature.utf8)
        bytes.append(little: UInt32(Self.headerCount + body.count))
        bytes += [revision, 0]
        bytes += Self.oemID
        bytes += Array("APUS".utf8) + Array(signature.utf8)
        bytes.append(little: UInt32(1))
        bytes += Self.creator
        bytes.append(little: UInt32(1))
        bytes += body
    }

    /// A table without the common header: the FACS.
    init(_ signature: String, raw: [UInt8]) {
        self.signature = signature
        bytes = raw
    }

    /// The FACS has no checksum.
    var hasChecksum: Bool { signature != "FACS" }
}
