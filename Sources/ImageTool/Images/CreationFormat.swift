internal import BlockImage

/// A format that images can be created in: its options, as `-o help` shows them.
struct CreationFormat {
    enum Kind: String {
        case size = "<size>"
        case flag = "<bool (on/off)>"
        case number = "<num>"
        case text = "<str>"
    }

    struct Option {
        let name: String
        let kind: Kind
        let help: String

        init(_ name: String, _ kind: Kind, _ help: String) {
            self.name = name
            self.kind = kind
            self.help = help
        }
    }

    let name: String
    /// In the order in which `Formatting` shows them.
    let options: [Option]
    /// Options that have a value when none is given.
    var defaults: [String: String] = [:]
    /// Makes an image of the values.
    let create: (_ path: String, _ values: CreationValues, _ session: Session) throws(ToolFailure) -> Void

    var hasBacking: Bool { options.contains { $0.name == "backing_file" } }

    static func named(_ name: String) -> CreationFormat? { all.first { $0.name == name } }

    static var all: [CreationFormat] { [raw, qcow2, luks, vdi, vpc, vmdk, vhdx] }

    static let size = Option("size", Kind.size, "Virtual disk size")
    /// What the driver of files adds.
    static let fileOptions = [
        Option("nocow", Kind.flag, "Turn off copy-on-write (valid only on btrfs)"),
        Option("extent_size_hint", Kind.size, "Extent size hint for the image file, 0 to disable"),
    ]

    /// The help that `-o help` gives; with a file's name also the options of its protocol.
    func help(withFile: Bool) -> String {
        var all = options
        if withFile {
            all += CreationFormat.fileOptions
            if !options.contains(where: { $0.name == "preallocation" }) {
                all.append(Option("preallocation", Kind.text, CreationFormat.preallocationHelp))
            }
        }
        var text = withFile ? "Supported options:\n" : "Supported \(name) options:\n"
        for option in all.sorted(by: { $0.name < $1.name }) {
            let head = "  \(option.name)=\(option.kind.rawValue)"
            text += "\(Formatting.pad(head, 24, left: true)) - \(option.help)\n"
        }
        if !withFile {
            text += "\nThe protocol level may support further options.\n"
            text += "Specify the target filename to include those options.\n"
        }
        return text
    }

    static let preallocationHelp = "Preallocation mode (allowed values: off, falloc, full)"
}

/// Values of options, checked by their kind.
struct CreationValues {
    let format: CreationFormat
    /// As `Formatting` shows them.
    private(set) var texts: [String: String] = [:]
    private var sizes: [String: UInt64] = [:]

    init(_ format: CreationFormat) { self.format = format }

    /// The options in force, the file driver's after the format's own.
    private var known: [CreationFormat.Option] {
        var all = format.options
        if format.name == "raw" {
            all += [CreationFormat.fileOptions[0]]
            all.append(.init("preallocation", .text, CreationFormat.preallocationHelp))
            all.append(CreationFormat.fileOptions[1])
        } else {
            all += CreationFormat.fileOptions
            if !all.contains(where: { $0.name == "preallocation" }) {
                all.append(.init("preallocation", .text, CreationFormat.preallocationHelp))
            }
        }
        return all
    }

    /// Sets an option from its text. The error is without the image's name.
    mutating func set(_ name: String, _ value: String) throws(ToolFailure) {
        guard let option = known.first(where: { $0.name == name }) else {
            throw ToolFailure("Invalid parameter '\(name)'")
        }
        switch option.kind {
        case .text: texts[name] = value
        case .flag:
            switch value {
            case "on", "yes", "true", "y": texts[name] = "on"
            case "off", "no", "false", "n": texts[name] = "off"
            default: throw ToolFailure("Parameter '\(name)' expects 'on' or 'off'")
            }
        case .number:
            guard let number = UInt64(value) else { throw ToolFailure("Parameter '\(name)' expects a number") }
            texts[name] = value
            sizes[name] = number
        case .size:
            guard let size = BlockOptions.size(value) else {
                throw ToolFailure(
                    lines: ["Parameter '\(name)' expects a non-negative number below 2^64"],
                    hint: """
                        Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-
                        and exabytes, respectively.
                        """)
            }
            texts[name] = "\(size)"
            sizes[name] = size
        }
    }

    func has(_ name: String) -> Bool { texts[name] != nil }
    func text(_ name: String) -> String? { texts[name] }
    func number(_ name: String) -> UInt64? { sizes[name] }
    func flag(_ name: String) -> Bool { texts[name] == "on" }

    /// The disk's size.
    var size: UInt64 { sizes["size"] ?? 0 }

    /// The line that says what is being made.
    func announcement(_ path: String) -> String {
        var line = "Formatting '\(path)', fmt=\(format.name)"
        for option in known {
            guard let text = texts[option.name] else { continue }
            // A comma is doubled, as it would have to be given.
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            line += " \(option.name)=\(parts.joined(separator: ",,"))"
        }
        return line + "\n"
    }
}
