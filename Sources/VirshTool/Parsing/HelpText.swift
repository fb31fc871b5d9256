/// `help`, made from the table of commands.
enum HelpText {
    /// The groups with their commands, or one of them.
    static func groups(_ groups: [CommandGroup]) -> String {
        var text = ""
        for group in groups {
            text += " \(group.title) (help keyword '\(group.keyword)'):\n"
            for command in group.commands where !command.isHidden {
                text += "    \(NumberText.left(command.name, 30)) \(command.summary)\n"
            }
            if groups.count > 1 { text += "\n" }
        }
        return text
    }

    /// One command.
    static func command(_ command: Command) -> String {
        let options = command.options.filter { if case .alias = $0.kind { false } else { true } }
        var text = "  NAME\n    \(command.name) - \(command.summary)\n\n  SYNOPSIS\n    \(command.name)"
        var hasPositional = false
        for option in options {
            text += " " + synopsis(option, hasPositional)
            if option.isPositional, option.kind == .text, !option.takesRest { hasPositional = true }
        }
        text += "\n"
        guard !options.isEmpty else { return text + "\n" }
        text += "\n  OPTIONS\n"
        for option in options {
            let name: String
            switch option.kind {
            case .flag, .alias: name = "--\(option.name)"
            case .number: name = option.isRequired ? "[--\(option.name)] <number>" : "--\(option.name) <number>"
            case .text:
                let isOptionalName = option.isRequired || option.takesRest
                if option.takesRest, !hasPositional {
                    name = "<\(option.name)>"
                } else {
                    name =
                        isOptionalName && option.isPositional
                        ? "[--\(option.name)] <string>" : "--\(option.name) <string>"
                }
            }
            text += "    \(NumberText.left(name, 15))  \(OptionHelp.text(option.name, of: command.name))\n"
        }
        return text + "\n"
    }

    private static func synopsis(_ option: CommandOption, _ hasPositional: Bool) -> String {
        let name = option.name
        switch option.kind {
        case .flag, .alias: return "[--\(name)]"
        case .number: return option.isRequired ? "<\(name)>" : "[--\(name) <number>]"
        case .text where option.takesRest:
            guard hasPositional else { return option.isRequired ? "<\(name)>..." : "[<\(name)>]..." }
            return option.isRequired ? "{[--\(name)] <string>}..." : "[[--\(name)] <string>]..."
        case .text: return option.isRequired ? "<\(name)>" : "[--\(name) <string>]"
        }
    }
}
