internal import BlockImage
internal import HostOS

/// `commit [-q] [-f fmt] [-t cache] [-b base] [-d] [-p] [-r rate_limit] filename`
enum CommitCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "f:ht:b:dpqr:",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts")])
        var (format, base): (String?, String?)
        var (isOptionList, keepsTop, showsProgress) = (false, false, false)
        var mode = OpenMode.write
        var limit: RateLimit?
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "t": mode.cache = try CacheOption.parse(value)
            case "b": (base, keepsTop) = (value, true)
            case "d": keepsTop = true
            case "p": showsProgress = true
            case "r": limit = try RateLimit(option: value)
            case "q": session.isQuiet = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        let name = scanner.operands[0]
        let progress = Progress(session, isOn: showsProgress && !session.isQuiet, showsStart: false)
        mode.writableDepth = try depth(name, format, isOptionList, base, session, progress)
        let image = try OpenImage(name, format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        let chain = BlockGraph.chain(image.node)
        guard chain.count > mode.writableDepth, mode.writableDepth > 0 else {
            throw ToolFailure("Image does not have a backing file")
        }
        try merge(image, into: chain[mode.writableDepth], limit, progress)
        if !keepsTop {
            do throws(BlockError) {
                try image.qcow2?.makeEmpty()
            } catch {
                throw ToolFailure("Could not empty \(name): \(Wording.reason(error))")
            }
        }
        progress.end()
        session.say("Image committed.\n")
        return 0
    }

    /// How many images below the top the base is.
    private static func depth(
        _ name: String, _ format: String?, _ isOptionList: Bool, _ base: String?, _ session: Session,
        _ progress: Progress
    ) throws(ToolFailure) -> Int {
        let image = try OpenImage(name, format: format, isOptionList: isOptionList, .read, session)
        defer { image.close() }
        progress.show(0)
        guard image.backing != nil else {
            if format == nil, !isOptionList, image.format == "raw" { OpenImage.warnOfProbing(name, session) }
            throw ToolFailure("Image does not have a backing file")
        }
        guard let base else { return 1 }
        var depth = 0
        var node = image.node.unfiltered
        while let below = node.children.first(where: { $0.role == "backing" })?.node {
            depth += 1
            let named = (node as? any DescribedImage)?.imageDescription.backing
            if below.filename == base || named == base { return depth }
            let wanted = HostFile.realPath(OpenImage.combine(node.filename, base))
            if let wanted, wanted == HostFile.realPath(below.filename) { return depth }
            node = below
        }
        throw ToolFailure("Did not find '\(base)' in the backing chain of '\(name)'")
    }

    /// Writes into the base what the images above it hold.
    private static func merge(
        _ image: OpenImage, into base: any BlockNode, _ limit: RateLimit?, _ progress: Progress
    ) throws(ToolFailure) {
        do throws(BlockError) {
            if base.sizeInBytes < image.size {
                guard let base = base as? any Resizable else {
                    throw BlockError.invalidSize(path: base.filename, size: image.size)
                }
                try base.resize(to: image.size, preallocation: .off)
            }
            let walker = StatusWalker(image.node, above: base)
            let buffer = AlignedBuffer(count: 2 << 20)
            var at: UInt64 = 0
            while at < image.size {
                let run = try walker.status(at: at, limit: image.size - at)
                if run.isPresent && run.isZero {
                    try BlockError.check(
                        base.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: run.length), base)
                } else if run.isPresent {
                    var done: UInt64 = 0
                    while done < run.length {
                        let count = Int(min(run.length - done, UInt64(buffer.count)))
                        limit?.take(UInt64(count))
                        try BlockError.check(image.node.read(buffer, at: at + done, count: count), image.node)
                        try BlockError.check(base.write(buffer, at: at + done, count: count), base)
                        done += UInt64(count)
                    }
                }
                at += run.length
                progress.show(Double(at) / Double(image.size))
            }
            try BlockError.check(base.performAndWait(.flush), base)
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
    }
}
