internal import BlockImage

/// `create [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]`
enum CreateCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "F:b:f:ho:qu",
            long: [.init("help", "h"), .init("object", value: true)])
        var format = "raw"
        var request = CreationRequest()
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "F": request.backingFormat = value
            case "b": request.backing = value
            case "f": format = value
            case "o": try request.add(options: value)
            case "q": session.isQuiet = true
            case "u": request.isUnsafe = true
            default: break
            }
        }
        let operands = scanner.operands
        if request.wantsHelp {
            try request.showHelp(format, hasFile: !operands.isEmpty, session)
            return 0
        }
        guard let path = operands.first else { throw .usage("Expecting image file name") }
        if operands.count > 1 {
            request.size = try Sizes.parse(operands[1], "image size")
            request.isSizeGiven = true
        }
        guard operands.count <= 2 else { throw .usage("Unexpected argument: \(operands[2])") }
        try request.create(path, format, session)
        return 0
    }
}

/// Sizes as they are given to commands.
enum Sizes {
    static func parse(
        _ text: String, _ what: String, minimum: UInt64 = 0, maximum: UInt64 = UInt64(Int64.max)
    ) throws(ToolFailure) -> UInt64 {
        guard let size = BlockOptions.size(String(text.drop { $0 == " " })) else {
            // Too large for 64 bits is a size all the same.
            let digits = text.last.map { "bkmgtpeBKMGTPE".contains($0) } == true ? text.dropLast() : text[...]
            if !digits.isEmpty && digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) { throw outOfRange() }
            throw ToolFailure(lines: [
                "Invalid \(what) specified. You may use k, M, G, T, P or E suffixes for",
                "kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.",
            ])
        }
        guard size >= minimum, size <= maximum else { throw outOfRange() }
        return size
        func outOfRange() -> ToolFailure {
            ToolFailure("Invalid \(what) specified. Must be between \(minimum) and \(maximum).")
        }
    }
}
