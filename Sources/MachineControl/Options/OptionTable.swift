internal import JSON

/// All options, by section.
enum OptionTable {
    /// A heading of `-help` and its options.
    struct Section: Sendable {
        let title: String
        let options: [OptionDescription]
    }
    static let sections: [Section] = [
        Section(title: "Standard options", options: standard),
        Section(title: "Block device options", options: block),
        Section(title: "Network options", options: network),
        Section(title: "Character device options", options: character),
        Section(title: "Display and USB options", options: display),
        Section(title: "PC options", options: firmware),
        Section(title: "Boot options", options: boot),
        Section(title: "Debug and expert options", options: expert),
    ]
    static let all: [OptionDescription] = sections.flatMap(\.options) + unsupported
    private static let byName: [String: OptionDescription] =
        Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    static func find(_ name: String) -> OptionDescription? { byName[name] }

    /// The text of `-help`.
    static func help(program: String) -> String {
        var text = versionText + "usage: \(program) [options] [disk_image]\n\n"
        text += "'disk_image' is a raw hard disk image for IDE hard disk 0\n"
        for section in sections {
            text += "\n\(section.title):\n"
            for option in section.options {
                let head = "-\(option.name)" + (option.usage.isEmpty ? "" : " \(option.usage)")
                let lines = option.help.split(separator: "\n")
                if head.count < 16, let first = lines.first {
                    text += head + String(repeating: " ", count: 16 - head.count) + first + "\n"
                } else {
                    text += head + "\n" + (lines.first.map { String(repeating: " ", count: 16) + $0 + "\n" } ?? "")
                }
                for line in lines.dropFirst() { text += String(repeating: " ", count: 16) + line + "\n" }
            }
        }
        return text + "\nWith -nographic, Ctrl-A H shows the keys that the terminal takes.\n"
    }

    /// The text of `-version`; its first words are what scripts look for.
    static var versionText: String {
        let version = CommandLineParser.version
        return "QEMU emulator version \(version.major).\(version.minor).\(version.micro)"
            + " (\(CommandLineParser.package))\nApus, a virtual machine monitor with QEMU's command line\n"
    }

    /// The parameters of an option, for `-smp help`.
    static func parameterHelp(_ option: OptionDescription) -> String {
        var text = "-\(option.name) options:\n"
        for parameter in option.parameters.sorted(by: { $0.name < $1.name }) {
            var line = "  \(parameter.name)=<\(parameter.schemaType)>"
            if !parameter.help.isEmpty {
                line += String(repeating: " ", count: max(0, 24 - line.count)) + " - \(parameter.help)"
            }
            if case .choice(let words) = parameter.kind { line += " (\(words.joined(separator: ", ")))" }
            text += line + "\n"
        }
        return text
    }

    /// The reply to `query-command-line-options`: all options that declare parameters, or one of them.
    static func schema(option name: String?) -> JSONValue? {
        var result: [JSONValue] = []
        var seen: Set<String> = []
        for option in all where !option.parameters.isEmpty && (name == nil || name == option.group) {
            guard seen.insert(option.group).inserted else { continue }
            let parameters = option.parameters.map { parameter in
                var object: JSONObject = ["name": .string(parameter.name), "type": .string(parameter.schemaType)]
                if !parameter.help.isEmpty { object["help"] = .string(parameter.help) }
                return JSONValue.object(object)
            }
            result.append(["option": .string(option.group), "parameters": .array(parameters)])
        }
        return name != nil && result.isEmpty ? nil : .array(result)
    }
}
