internal import BlockImage

/// `dd [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output`
enum DDCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hnf:O:U",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts"), .init("force-share", "U")])
        var (format, outputFormat) = (String?.none, "raw")
        var mode = OpenMode.read
        var isOptionList = false
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "O": outputFormat = value
            case "U": mode.isShared = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        var (input, output): (String?, String?)
        var (block, skip): (UInt64, UInt64) = (512, 0)
        var count: UInt64?
        for word in scanner.operands {
            let name = word.prefix { $0 != "=" }
            let value = String(word.dropFirst(name.count + 1))
            switch name {
            case "if": input = value
            case "of": output = value
            case "bs": block = try Sizes.parse(value, "bs", minimum: 1, maximum: UInt64(Int32.max))
            case "count": count = try Sizes.parse(value, "count")
            case "skip": skip = try Sizes.parse(value, "skip")
            default: throw ToolFailure("unrecognized operand \(name)")
            }
        }
        guard let input, let output else { throw ToolFailure("Must specify both input and output files") }
        let image = try OpenImage(input, format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        guard let target = CreationFormat.named(outputFormat) else {
            throw ToolFailure(
                CreationRequest.knownFormats.contains(outputFormat)
                    ? "Format driver '\(outputFormat)' does not support image creation" : "Unknown file format")
        }
        var size = image.size
        if let count, let bytes = Optional(count.multipliedReportingOverflow(by: block)), !bytes.overflow {
            size = min(size, bytes.partialValue)
        }
        let (start, overflow) = skip.multipliedReportingOverflow(by: block)
        // As in qemu-img, the count is of blocks from the input's start: those that are skipped count too.
        let isBehind = overflow || start > size
        var values = CreationValues(target)
        for (name, value) in target.defaults { try values.set(name, value) }
        let length = isBehind ? 0 : size - start
        try values.set("size", "\(length)")
        try target.create(output, values, session)
        if isBehind {
            session.report("\(input): cannot skip to specified offset")
            return 0
        }
        try copy(image, start, length, max(block, 1 << 20), output, outputFormat, session)
        return 0
    }

    private static func copy(
        _ image: OpenImage, _ start: UInt64, _ length: UInt64, _ unit: UInt64, _ output: String, _ format: String,
        _ session: Session
    ) throws(ToolFailure) {
        let target = try OpenImage(output, format: format, .write, session)
        defer { target.close() }
        let buffer = AlignedBuffer(count: Int(min(unit, 16 << 20)))
        var done: UInt64 = 0
        while done < length {
            let count = Int(min(length - done, UInt64(buffer.count)))
            var status = image.node.read(buffer, at: start + done, count: count)
            guard status == 0 else {
                throw ToolFailure("error while reading from input image file: \(Formatting.reason(status))")
            }
            status = target.node.write(buffer, at: done, count: count)
            guard status == 0 else {
                throw ToolFailure("error while writing to output image file: \(Formatting.reason(status))")
            }
            done += UInt64(count)
        }
        let status = target.node.performAndWait(.flush)
        guard status == 0 else {
            throw ToolFailure("error while writing to output image file: \(Formatting.reason(status))")
        }
    }
}
