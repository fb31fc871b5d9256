/// `<device>`: a device of the host.
public struct NodeDevice: XMLDocument {
    public static var rootNames: [String] { ["device"] }
    public static var documentName: String { "(node_device_definition)" }

    public var name: String?
    public var path: String?
    public var deviceNodes: [Node] = []
    public var parent: String?
    public var driverName: String?
    /// `<capability type='…'>`: what the device is. Their shape depends on their type; kept as they are.
    public var capabilities: [XMLTree] = []

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("name", &name)
        try m.element("path", &path)
        try m.children("devnode", &deviceNodes)
        try m.element("parent", &parent)
        try m.group("driver") { (m: inout XMLMapper) throws(DefinitionError) in try m.element("name", &driverName) }
        try m.subtrees(&capabilities) { $0 == "capability" }
        if m.isReading {
            for tree in capabilities where tree["type"] == nil {
                throw DefinitionError.xml("missing capability type", line: tree.line)
            }
        }
    }

    public struct Node: XMLMappable {
        public var type = "dev"
        public var path = ""
        public init() {}
        public init(type: String, path: String) {
            self.type = type
            self.path = path
        }
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.text(&path)
        }
    }
}
