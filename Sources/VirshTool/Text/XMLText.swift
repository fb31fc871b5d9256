internal import HostOS

/// XML that a command makes out of its options, two spaces a level.
struct XMLText {
    let name: String
    var attributes: [(String, String)]
    var children: [XMLText] = []
    var text: String?

    init(_ name: String, _ attributes: [(String, String)] = [], text: String? = nil) {
        self.name = name
        self.attributes = attributes
        self.text = text
    }

    mutating func add(_ name: String, _ attributes: [(String, String)] = [], text: String? = nil) {
        children.append(XMLText(name, attributes, text: text))
    }

    /// The element with its children, a line each.
    func written(_ indent: Int = 0) -> String {
        let space = String(repeating: " ", count: indent)
        let open =
            space + "<\(name)" + attributes.map { " \($0.0)='\(XMLDocument.escaped($0.1))'" }.joined()
        if let text { return "\(open)>\(XMLDocument.escaped(text))</\(name)>\n" }
        if children.isEmpty { return "\(open)/>\n" }
        return "\(open)>\n" + children.map { $0.written(indent + 2) }.joined() + "\(space)</\(name)>\n"
    }
}

/// What the host's file system says of a path.
enum HostPath {
    static func isBlockDevice(_ path: String) -> Bool { HostFile.status(path).kind == .blockDevice }
}

/// `pci:0000.00.0a.0`, `scsi:0.0.0`, `usb:1.2`, `ide:0.0.0`, `sata:0.0.0`, `ccw:fe.0.0001`.
enum DeviceAddressText {
    static func attributes(_ text: String, target: String, multifunction: Bool) throws -> [(String, String)] {
        let failure = CommandFailure("Invalid address.")
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw failure }
        let numbers = parts[1].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        func hex(_ text: String, _ digits: Int) throws -> String {
            guard let number = UInt32(text, radix: 16) else { throw failure }
            let plain = String(number, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, digits - plain.utf8.count)) + plain
        }
        func decimal(_ text: String) throws -> String {
            guard let number = UInt32(text) else { throw failure }
            return "\(number)"
        }
        switch parts[0] {
        case "pci" where numbers.count == 4:
            var list = [
                ("type", "pci"), ("domain", try hex(numbers[0], 4)), ("bus", try hex(numbers[1], 2)),
                ("slot", try hex(numbers[2], 2)), ("function", try hex(numbers[3], 1)),
            ]
            if multifunction { list.append(("multifunction", "on")) }
            return list
        case "usb" where numbers.count == 2:
            return [("type", "usb"), ("bus", try decimal(numbers[0])), ("port", try decimal(numbers[1]))]
        case "scsi" where numbers.count == 3:
            return [
                ("type", "drive"), ("controller", try decimal(numbers[0])), ("bus", try decimal(numbers[1])),
                ("unit", try decimal(numbers[2])),
            ]
        case "ide" where numbers.count == 3, "sata" where numbers.count == 3:
            return [
                ("type", "drive"), ("controller", try decimal(numbers[0])), ("bus", try decimal(numbers[1])),
                ("unit", try decimal(numbers[2])),
            ]
        case "ccw" where numbers.count == 3:
            return [
                ("type", "ccw"), ("cssid", try hex(numbers[0], 2)), ("ssid", try hex(numbers[1], 1)),
                ("devno", try hex(numbers[2], 4)),
            ]
        default: throw failure
        }
    }
}
