internal import BlockImage

/// `map [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename`
enum MapCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "f:s:l:hU",
            long: [
                .init("help", "h"), .init("format", "f", value: true), .init("output", value: true),
                .init("object", value: true), .init("image-opts"), .init("force-share", "U"),
                .init("start-offset", "s", value: true), .init("max-length", "l", value: true),
            ])
        var format: String?
        var output = OutputFormat.human
        var (isOptionList, isShared) = (false, false)
        var start: UInt64 = 0
        var length = UInt64(Int64.max)
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "U": isShared = true
            case "output": output = try OutputFormat(value)
            case "image-opts": isOptionList = true
            case "s": start = try Sizes.parse(value, "start offset")
            case "l": length = try Sizes.parse(value, "max length")
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        let image = try OpenImage(
            scanner.operands[0], format: format, isOptionList: isOptionList, OpenMode(isShared: isShared), session)
        defer { image.close() }
        let end = start < image.size ? start + min(length, image.size - start) : start
        try write(image, start, end, output, session)
        return 0
    }

    private static func write(
        _ image: OpenImage, _ start: UInt64, _ end: UInt64, _ output: OutputFormat, _ session: Session
    ) throws(ToolFailure) {
        switch output {
        case .human:
            session.put("Offset          Length          Mapped to       File\n")
        case .json: session.put("[")
        }
        let walker = StatusWalker(image.node)
        var at = start
        var last: BlockStatus?
        while at < end {
            var next: BlockStatus
            do throws(BlockError) {
                next = try walker.status(at: at, limit: end - at)
            } catch {
                throw ToolFailure("Failed to read image metadata: \(Wording.reason(error))")
            }
            at += next.length
            if next.isUnmapped {
                (next.isData, next.isZero, next.isPresent) = (false, false, false)
                (next.hostOffset, next.filename) = (nil, nil)
            }
            if var merged = last, joins(merged, next) {
                merged.length += next.length
                last = merged
            } else {
                if let last { try put(last, hasNext: true, output, session) }
                last = next
            }
        }
        // Where there is nothing, that has a row as well.
        try put(
            last ?? BlockStatus(offset: start, length: 0, isData: false, isZero: false, isPresent: false, depth: 0),
            hasNext: false, output, session)
    }

    private static func joins(_ one: BlockStatus, _ next: BlockStatus) -> Bool {
        guard one.isZero == next.isZero, one.isData == next.isData, one.isPresent == next.isPresent,
            one.depth == next.depth, one.filename == next.filename
        else { return false }
        switch (one.hostOffset, next.hostOffset) {
        case (nil, nil): return true
        case (.some(let first), .some(let second)): return first + one.length == second
        default: return false
        }
    }

    private static func put(
        _ run: BlockStatus, hasNext: Bool, _ output: OutputFormat, _ session: Session
    ) throws(ToolFailure) {
        switch output {
        case .human:
            if run.isData && run.hostOffset == nil {
                throw ToolFailure("File contains external, encrypted or compressed clusters.")
            }
            guard run.isData, !run.isZero, let host = run.hostOffset else { return }
            func number(_ value: UInt64) -> String {
                Formatting.pad(value == 0 ? "0" : "0x" + String(value, radix: 16), 16, left: true)
            }
            session.put(number(run.offset) + number(run.length) + number(host) + (run.filename ?? "") + "\n")
        case .json:
            var line = "{ \"start\": \(run.offset), \"length\": \(run.length), \"depth\": \(run.depth), "
            line += "\"present\": \(run.isPresent), \"zero\": \(run.isZero), \"data\": \(run.isData)"
            if let host = run.hostOffset { line += ", \"offset\": \(host)" }
            session.put(line + (hasNext ? "},\n" : "}]\n"))
        }
    }
}
