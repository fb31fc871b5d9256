public import DomainModel
public import JSON

/// What a running machine is told so that devices join it: the commands of QMP for all that its command line would
/// have besides what it has.
public struct HotplugArguments {
    /// One command of the monitor, and the one that undoes it.
    public struct Command: Sendable {
        public let name: String
        public let arguments: JSONObject
        public let undo: (name: String, arguments: JSONObject)?
    }

    /// In the order in which they are given.
    public private(set) var commands: [Command] = []
    /// Values that have to lie in the machine's folder before that.
    public let secrets: [QEMUArguments.Secret]

    /// - Parameters:
    ///   - old: what runs, with its aliases.
    ///   - new: the same with the new devices, completed by `fillIn` and `prepareAdded`.
    ///   - plan: as at the start; attachments only of new cards.
    /// - Throws: 67 for a device that cannot join a running machine.
    public init(from old: Domain, to new: Domain, plan: LaunchPlan) throws(DefinitionError) {
        var before = plan
        before.attachments = [:]
        var had: [String: Int] = [:]
        let present = try QEMUArguments(old, plan: before)
        for pair in Self.pairs(present.words) { had[pair.0 + " " + pair.1, default: 0] += 1 }
        let made = try QEMUArguments(new, plan: plan)
        let known = Set(present.secrets.map(\.id))
        secrets = made.secrets.filter { !known.contains($0.id) }
        if let missing = made.omitted.first(where: { !present.omitted.contains($0) }) {
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: the emulator does not have \(missing)")
        }
        for (option, value) in Self.pairs(made.words) {
            if let count = had[option + " " + value], count > 0 {
                had[option + " " + value] = count - 1
                continue
            }
            try add(option, value)
        }
    }

    private static func pairs(_ words: [String]) -> [(String, String)] {
        var pairs: [(String, String)] = []
        var index = 0
        while index < words.count {
            if words[index].hasPrefix("-"), index + 1 < words.count, !words[index + 1].hasPrefix("-") {
                pairs.append((words[index], words[index + 1]))
                index += 2
            } else {
                pairs.append((words[index], ""))
                index += 1
            }
        }
        return pairs
    }

    private mutating func add(_ option: String, _ value: String) throws(DefinitionError) {
        if option == "-chardev" { return try addCharacter(value) }
        guard case .object(let object)? = try? JSONReader.parse(value) else {
            // Limits and the like that a machine is told only at its start.
            guard ["-device", "-blockdev", "-netdev", "-object"].contains(option) else { return }
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: '\(value)' cannot be added while the machine runs")
        }
        func id(_ name: String) -> JSONObject { [name: object[name] ?? .null] }
        switch option {
        case "-object":
            commands.append(Command(name: "object-add", arguments: object, undo: ("object-del", id("id"))))
        case "-blockdev":
            commands.append(Command(name: "blockdev-add", arguments: object, undo: ("blockdev-del", id("node-name"))))
        case "-netdev":
            commands.append(Command(name: "netdev_add", arguments: object, undo: ("netdev_del", id("id"))))
        case "-device":
            commands.append(Command(name: "device_add", arguments: object, undo: ("device_del", id("id"))))
        default: break
        }
    }

    /// The back-ends that a device which is added may have: terminals, sockets, files and nothing.
    private mutating func addCharacter(_ text: String) throws(DefinitionError) {
        var fields: [String: String] = [:]
        let parts = text.split(separator: ",").map(String.init)
        for part in parts.dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
            fields[sides[0]] = sides.count > 1 ? sides[1] : "on"
        }
        var data = JSONObject()
        switch parts.first {
        case "pty", "null": break
        case "file": data["out"] = .string(fields["path"] ?? "")
        case "socket" where fields["path"] != nil:
            data["addr"] = .object(["type": "unix", "data": .object(["path": .string(fields["path"] ?? "")])])
            data["server"] = .bool(fields["server"] == "on")
            data["wait"] = false
        default:
            throw DefinitionError(
                .configUnsupported, "unsupported configuration: '\(text)' cannot be added while the machine runs")
        }
        if let log = fields["logfile"] { data["logfile"] = .string(log) }
        if fields["logappend"] == "on" { data["logappend"] = true }
        let id = fields["id"] ?? ""
        let backend: JSONObject = ["type": .string(parts.first ?? "null"), "data": .object(data)]
        commands.append(
            Command(
                name: "chardev-add", arguments: ["id": .string(id), "backend": .object(backend)],
                undo: ("chardev-remove", ["id": .string(id)])))
    }
}
