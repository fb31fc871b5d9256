internal import BlockImage

/// `bitmap (--merge SOURCE | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F source_fmt]]
/// [-g granularity] [-f fmt] filename bitmap`
enum BitmapCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "b:f:F:g:h",
            long: [
                .init("help", "h"), .init("object", value: true), .init("image-opts"), .init("add"), .init("remove"),
                .init("clear"), .init("enable"), .init("disable"), .init("merge", value: true),
                .init("granularity", "g", value: true), .init("source-file", "b", value: true),
                .init("source-format", "F", value: true),
            ])
        var (format, source, sourceFormat): (String?, String?, String?)
        var isOptionList = false
        var granularity: UInt64?
        var actions: [(name: String, value: String)] = []
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "b": source = value
            case "F": sourceFormat = value
            case "g": granularity = try Sizes.parse(value, "granularity", minimum: 1)
            case "image-opts": isOptionList = true
            case "object": break
            default: actions.append((key, value))
            }
        }
        guard !actions.isEmpty else {
            throw ToolFailure("Need at least one of --add, --remove, --clear, --enable, --disable, or --merge")
        }
        guard scanner.operands.count == 2 else { throw ToolFailure("Expecting filename and bitmap name") }
        let isAdding = actions.contains { $0.name == "add" }
        let isMerging = actions.contains { $0.name == "merge" }
        if granularity != nil && !isAdding { throw ToolFailure("granularity only supported with --add") }
        if source != nil && !isMerging { throw ToolFailure("Merge bitmap source file only supported with --merge") }
        if sourceFormat != nil && source == nil { throw ToolFailure("-F only supported with -b") }
        let (path, name) = (scanner.operands[0], scanner.operands[1])
        var mode = OpenMode.write
        mode.hasNoBacking = true
        let image = try OpenImage(path, format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        for action in actions {
            do throws(BlockError) {
                guard let node = image.qcow2 else {
                    throw BlockError.bitmap(
                        "Cannot store dirty bitmaps in file '\(image.name)': driver does not support them")
                }
                var change: QCow2Node.BitmapChange
                switch action.name {
                case "add":
                    change = .add(
                        granularity: granularity ?? node.defaultGranularity,
                        isEnabled: !actions.contains { $0.name == "disable" })
                case "remove": change = .remove
                case "clear": change = .clear
                case "enable": change = .enable
                case "disable": change = .disable
                default:
                    change = try merge(action.value, source, sourceFormat, node, session)
                }
                try node.changeBitmap(name, change)
            } catch {
                let words = Wording.reason(error)
                throw ToolFailure(
                    lines: ["Operation \(action.name) on bitmap \(name) failed: \(words)"],
                    hint: words.hasSuffix("is inconsistent and cannot be used")
                        ? "Try block-dirty-bitmap-remove to delete this bitmap from disk" : nil)
            }
        }
        return 0
    }

    /// The marks of the source bitmap, in this image or in another.
    private static func merge(
        _ name: String, _ source: String?, _ format: String?, _ node: QCow2Node, _ session: Session
    ) throws(BlockError) -> QCow2Node.BitmapChange {
        guard let source else {
            let found = try node.bitmapRanges(name)
            return .merge(granularity: found.granularity, ranges: found.ranges)
        }
        let image: OpenImage
        do throws(ToolFailure) {
            image = try OpenImage(source, format: format, OpenMode(hasNoBacking: true), session)
        } catch {
            throw .bitmap(error.lines.first ?? source)
        }
        defer { image.close() }
        guard let other = image.qcow2 else { throw .bitmap("Dirty bitmap '\(name)' not found") }
        let found = try other.bitmapRanges(name)
        guard other.sizeInBytes == node.sizeInBytes else {
            throw .bitmap(
                "Bitmaps are of different sizes (destination size is \(node.sizeInBytes), source size is "
                    + "\(other.sizeInBytes)) and can't be merged")
        }
        return .merge(granularity: found.granularity, ranges: found.ranges)
    }
}
