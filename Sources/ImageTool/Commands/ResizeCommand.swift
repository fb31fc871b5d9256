internal import BlockImage

/// `resize [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size`
enum ResizeCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        // The size is the last word, as it may begin with a minus.
        guard let sizeText = words.last, words.count >= 2 || sizeText == "-h" || sizeText == "--help" else {
            throw .usage("Not enough arguments")
        }
        let isHelp = sizeText == "-h" || sizeText == "--help"
        var scanner = OptionScanner(
            isHelp ? words : Array(words.dropLast()), short: "f:hq",
            long: [
                .init("help", "h"), .init("object", value: true), .init("image-opts"),
                .init("preallocation", value: true), .init("shrink"),
            ])
        var format: String?
        var (isOptionList, shrinks) = (false, false)
        var way = Preallocation.off
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "q": session.isQuiet = true
            case "image-opts": isOptionList = true
            case "shrink": shrinks = true
            case "preallocation":
                guard let found = Preallocation(rawValue: value) else {
                    throw ToolFailure("Invalid preallocation mode '\(value)'")
                }
                way = found
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting image file name and size") }
        let (sign, digits) = parts(sizeText)
        guard let amount = BlockOptions.size(digits) else {
            throw ToolFailure(
                lines: ["Parameter 'size' expects a non-negative number below 2^64"],
                hint: """
                    Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-
                    and exabytes, respectively.
                    """)
        }
        let image = try OpenImage(
            scanner.operands[0], format: format, isOptionList: isOptionList, .write, session)
        defer { image.close() }
        let current = image.size
        let total: UInt64
        switch sign {
        case "+": total = current &+ amount >= current ? current &+ amount : .max
        case "-": total = amount < current ? current - amount : 0
        default: total = amount
        }
        guard total > 0, total <= UInt64(Int64.max) else { throw ToolFailure("New image size must be positive") }
        if total <= current && way != .off {
            throw ToolFailure("Preallocation can only be used for growing images")
        }
        if total < current && !shrinks {
            session.report("Use the --shrink option to perform a shrink operation.")
            session.warn(
                "Shrinking an image will delete all data beyond the shrunken image's end. Before performing such an "
                    + "operation, make sure there is no important data there.")
            return 1
        }
        guard let node = image.node as? any Resizable else {
            throw ToolFailure("Image format driver does not support resize")
        }
        if way == .metadata && ["raw", "luks"].contains(image.format) {
            throw ToolFailure("Unsupported preallocation mode: \(way.rawValue)")
        }
        guard image.format != "qcow2" || total % 512 == 0 else {
            throw ToolFailure("The new size must be a multiple of 512")
        }
        do throws(BlockError) {
            // A raw disk may end anywhere; an encrypted one keeps the sector that it ends in.
            try node.resize(to: image.format == "raw" ? total : (total + 511) / 512 * 512, preallocation: way)
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
        session.say("Image resized.\n")
        return 0
    }

    private static func parts(_ text: String) -> (Character?, String) {
        if let first = text.first, first == "+" || first == "-" { return (first, String(text.dropFirst())) }
        return (nil, text)
    }
}
