internal import BlockImage
internal import JSON

/// What there is to say of an image.
struct ImageInfo {
    var filename: String
    var format: String
    var size: UInt64
    var storage: UInt64?
    var isEncrypted = false
    var clusterSize: UInt64?
    var isDirty = false
    var knowsDirt = true
    var backing: String?
    var fullBacking: String?
    var backingFormat: String?
    var snapshots: [QCow2Snapshot] = []
    var specific: (type: String, data: JSONObject)?

    init(_ image: OpenImage) throws(ToolFailure) {
        filename = image.path
        let node = image.node
        format = node.driverName
        size = node.sizeInBytes
        storage = try? (node as? any SparseMappable)?.allocatedBytes()
        if let described = node as? any DescribedImage {
            let description = described.imageDescription
            clusterSize = description.clusterSize
            isDirty = description.isDirty
            knowsDirt = description.knowsDirt
            isEncrypted = description.isEncrypted
            backing = description.backing
            backingFormat = description.backingFormat
            if let backing { fullBacking = OpenImage.combine(image.path, backing) }
            if let data = ImageInfo.json(description.specific) { specific = (node.driverName, data) }
        }
        if let qcow2 = image.qcow2 { snapshots = qcow2.snapshots }
    }

    private static func json(_ facts: [ImageFact]?) -> JSONObject? {
        guard let facts else { return nil }
        var object = JSONObject()
        for fact in facts { object[fact.name] = value(fact.value) }
        return object
    }

    private static func value(_ value: ImageFact.Value) -> JSONValue {
        switch value {
        case .text(let text): .string(text)
        case .number(let number): .number(number)
        case .flag(let flag): .bool(flag)
        case .list(let values): .array(values.map(self.value))
        case .group(let facts): .object(json(facts) ?? JSONObject())
        }
    }

    /// As `--output=json` gives it.
    var json: JSONValue {
        var object = JSONObject()
        object["virtual-size"] = .number(size)
        object["filename"] = .string(filename)
        object["format"] = .string(format)
        if let storage { object["actual-size"] = .number(storage) }
        if isEncrypted { object["encrypted"] = true }
        if let clusterSize { object["cluster-size"] = .number(clusterSize) }
        if knowsDirt { object["dirty-flag"] = .bool(isDirty) }
        if let backing {
            object["backing-filename"] = .string(backing)
            if let fullBacking { object["full-backing-filename"] = .string(fullBacking) }
            if let backingFormat { object["backing-filename-format"] = .string(backingFormat) }
        }
        if !snapshots.isEmpty { object["snapshots"] = .array(snapshots.map(SnapshotList.json)) }
        if let specific {
            var data = JSONObject()
            data["type"] = .string(specific.type)
            data["data"] = .object(specific.data)
            object["format-specific"] = .object(data)
        }
        return .object(object)
    }

    /// As people read it.
    var text: String {
        var text = """
            image: \(filename)
            file format: \(format)
            virtual size: \(Formatting.size(size)) (\(size) bytes)
            disk size: \(storage.map(Formatting.size) ?? "unavailable")

            """
        if isEncrypted { text += "encrypted: yes\n" }
        if let clusterSize { text += "cluster_size: \(clusterSize)\n" }
        if isDirty { text += "cleanly shut down: no\n" }
        if let backing {
            text += "backing file: \(backing)"
            if fullBacking == nil { text += " (cannot determine actual path)" }
            if let fullBacking, fullBacking != backing { text += " (actual path: \(fullBacking))" }
            text += "\n"
            if let backingFormat { text += "backing file format: \(backingFormat)\n" }
        }
        if !snapshots.isEmpty { text += SnapshotList.text(snapshots) }
        return text + specificText
    }

    /// What only the format knows, as people read it.
    var specificText: String {
        guard let specific else { return "" }
        var text = "Format specific information:\n"
        ImageInfo.write(specific.data, 1, &text)
        return text
    }

    private static func write(_ object: JSONObject, _ level: Int, _ text: inout String) {
        for member in object.members {
            let name = String(member.name.map { $0 == "-" ? " " : $0 })
            write(name, member.value, level, &text)
        }
    }

    private static func write(_ name: String, _ value: JSONValue, _ level: Int, _ text: inout String) {
        text += String(repeating: " ", count: 4 * level) + "\(name):"
        switch value {
        case .object(let inner):
            text += "\n"
            write(inner, level + 1, &text)
        case .array(let elements):
            text += "\n"
            for (index, element) in elements.enumerated() { write("[\(index)]", element, level + 1, &text) }
        case .string(let string): text += " \(string)\n"
        default: text += " \(value)\n"
        }
    }
}

/// The list of an image's internal snapshots.
enum SnapshotList {
    static func json(_ snapshot: QCow2Snapshot) -> JSONValue {
        var object = JSONObject()
        object["id"] = .string(snapshot.id)
        object["name"] = .string(snapshot.name)
        object["vm-state-size"] = .number(snapshot.stateSize)
        object["date-sec"] = .number(snapshot.seconds)
        object["date-nsec"] = .number(snapshot.nanoseconds)
        object["vm-clock-sec"] = .number(snapshot.guestClock / 1_000_000_000)
        object["vm-clock-nsec"] = .number(snapshot.guestClock % 1_000_000_000)
        if snapshot.instructions != .max { object["icount"] = .number(snapshot.instructions) }
        return .object(object)
    }

    static func text(_ snapshots: [QCow2Snapshot]) -> String {
        func row(_ id: String, _ tag: String, _ size: String, _ date: String, _ clock: String, _ count: String)
            -> String
        {
            Formatting.pad(id, 9, left: true) + " " + Formatting.pad(tag, 16, left: true) + " "
                + Formatting.pad(size, 8) + Formatting.pad(date, 20) + Formatting.pad(clock, 13)
                + Formatting.pad(count, 11) + "\n"
        }
        var text = "Snapshot list:\n" + row("ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT")
        for snapshot in snapshots {
            let seconds = snapshot.guestClock / 1_000_000_000
            let clock = Formatting.c(
                "%02d:%02d:%02d.%03d", Int32(truncatingIfNeeded: seconds / 3600), Int32(seconds / 60 % 60),
                Int32(seconds % 60), Int32(snapshot.guestClock / 1_000_000 % 1000))
            text += row(
                snapshot.id, snapshot.name, Formatting.size(snapshot.stateSize),
                Formatting.localTime(snapshot.seconds), clock,
                snapshot.instructions == .max ? "" : "\(snapshot.instructions)")
        }
        return text
    }
}
