/// `<secret>`: a password that machines and pools refer to.
public struct Secret: XMLDocument {
    public static var rootNames: [String] { ["secret"] }
    public static var documentName: String { "(definition_of_secret)" }

    public var ephemeral = YesNo.no
    public var isPrivate = YesNo.no
    public var uuid: UniqueID?
    public var description: String?
    public var usageType: String?
    /// The volume's path, or the name of a Ceph client, iSCSI target, certificate or TPM.
    public var usageID: String?

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("ephemeral", &ephemeral, default: .no)
        try m.attribute("private", &isPrivate, default: .no)
        try m.element("uuid", &uuid, refusal: "malformed uuid element")
        try m.element("description", &description)
        try m.group("usage") { (m: inout XMLMapper) throws(DefinitionError) in
            if m.isReading, m.peek("type") == nil {
                throw DefinitionError.xml("unknown secret usage type", line: m.line)
            }
            if m.isReading, let text = m.peek("type"), !XMLMapper.isOne(text, of: "none volume ceph iscsi tls vtpm") {
                throw DefinitionError.xml("unknown secret usage type \(text)", line: m.line)
            }
            try m.attribute("type", &usageType)
            switch usageType {
            case "volume": try m.element("volume", &usageID)
            case "iscsi": try m.element("target", &usageID)
            default: try m.element("name", &usageID)
            }
            if m.isReading, usageType != "none", usageID == nil {
                throw DefinitionError.xml(
                    "\(usageType ?? "") usage specified, but name is missing", line: m.line)
            }
        }
    }
}
