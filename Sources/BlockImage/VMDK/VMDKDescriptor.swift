/// The text that describes a VMDK image ("Virtual Disk Format 5.0"): what kind it is, its identity and its parent's,
/// and the extents it consists of.
struct VMDKDescriptor {
    struct Extent {
        /// `RW`, `RDONLY` or `NOACCESS`.
        var access: String
        var sectors: UInt64
        /// `SPARSE`, `FLAT`, `ZERO` and others.
        var kind: String
        var file: String
        /// Sectors into the file, of a flat one.
        var offset: UInt64
    }

    static let maximumSize = 1 << 20

    private(set) var text: String
    private(set) var extents: [Extent] = []
    private(set) var createType = ""
    private(set) var parent: String?
    private(set) var parentIdentity: UInt32 = .max
    private(set) var identity: UInt32 = 0

    /// Reads the text of a descriptor.
    init(_ bytes: [UInt8], path: String) throws(BlockError) {
        text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        for line in text.split(whereSeparator: \.isNewline) {
            let words = VMDKDescriptor.words(line)
            if let first = words.first, ["RW", "RDONLY", "NOACCESS"].contains(first) {
                guard words.count >= 3, let sectors = UInt64(words[1]), sectors > 0, sectors <= UInt64(Int64.max) / 512
                else { throw fail("Invalid extent line: \(line)") }
                guard extents.count < 4096 else { throw fail("The descriptor has over 4096 extents") }
                let file = words.count > 3 ? words[3] : ""
                guard words[2] == "ZERO" || !file.isEmpty else { throw fail("Invalid extent line: \(line)") }
                let offset = words.count > 4 ? UInt64(words[4]) ?? 0 : 0
                guard offset <= UInt64(Int64.max) / 512 - sectors else { throw fail("Invalid extent line: \(line)") }
                extents.append(
                    Extent(access: words[0], sectors: sectors, kind: words[2], file: file, offset: offset))
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = line[..<equals].filter { $0 != " " }
            let value = line[line.index(after: equals)...].filter { $0 != "\"" }
            switch name {
            case "CID": identity = UInt32(value.filter { $0 != " " }, radix: 16) ?? 0
            case "parentCID": parentIdentity = UInt32(value.filter { $0 != " " }, radix: 16) ?? .max
            case "createType": createType = value
            case "parentFileNameHint": parent = value
            default: break
            }
        }
        guard !createType.isEmpty else { throw fail("invalid VMDK image descriptor") }
    }

    /// The words of a line; quotes hold one together.
    private static func words(_ line: Substring) -> [String] {
        var result: [String] = []
        var word = ""
        var isQuoted = false
        for letter in line {
            if letter == "\"" {
                if isQuoted {
                    result.append(word)
                    word = ""
                }
                isQuoted.toggle()
            } else if !isQuoted && (letter == " " || letter == "\t") {
                if !word.isEmpty { result.append(word) }
                word = ""
            } else {
                word.append(letter)
            }
        }
        if !word.isEmpty { result.append(word) }
        return result
    }

    /// Gives the image another identity: its content is about to differ from what an overlay remembers.
    mutating func renew(_ identity: UInt32) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for index in lines.indices where lines[index].hasPrefix("CID=") {
            lines[index] = "CID=" + String(identity, radix: 16)
        }
        text = lines.joined(separator: "\n")
        self.identity = identity
    }

    /// The text of a new image's descriptor.
    static func new(
        createType: String, extents: [String], size: UInt64, parent: (name: String, identity: UInt32)?,
        adapter: String, hardware: String, tools: String, identity: UInt32
    ) -> String {
        let heads: UInt64 = adapter == "ide" ? 16 : 255
        var text = "# Disk DescriptorFile\nversion=1\nCID=\(String(identity, radix: 16))\n"
        text += "parentCID=\(parent.map { String($0.identity, radix: 16) } ?? "ffffffff")\n"
        text += "createType=\"\(createType)\"\n"
        if let parent { text += "parentFileNameHint=\"\(parent.name)\"\n" }
        text += "\n# Extent description\n" + extents.map { $0 + "\n" }.joined()
        text += "\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"\(hardware)\"\n"
        text += "ddb.geometry.cylinders = \"\(size / 512 / heads / 63)\"\nddb.geometry.heads = \"\(heads)\"\n"
        text += "ddb.geometry.sectors = \"63\"\nddb.adapterType = \"\(adapter)\"\n"
        return text + "ddb.toolsVersion = \"\(tools)\"\n"
    }
}
