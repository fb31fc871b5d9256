internal import BlockImage

/// `rebase [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] -b backing_file [-F backing_fmt] filename`
enum RebaseCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:F:b:upt:T:qU",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts"), .init("force-share", "U")])
        var (format, baseFormat, base): (String?, String?, String?)
        var (isOptionList, isUnsafe, showsProgress) = (false, false, false)
        var mode = OpenMode.write
        var source = OpenMode.read
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "F": baseFormat = value
            case "b": base = value
            case "u": isUnsafe = true
            case "p": showsProgress = true
            case "t": mode.cache = try CacheOption.parse(value)
            case "T": source.cache = try CacheOption.parse(value, "source")
            case "q": session.isQuiet = true
            case "U": source.isShared = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        guard isUnsafe || base != nil else { throw .usage("Must specify backing file (-b) or use unsafe mode (-u)") }
        let name = scanner.operands[0]
        mode.hasNoBacking = isUnsafe
        let progress = Progress(session, isOn: showsProgress && !session.isQuiet)
        let image = try OpenImage(name, format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        guard let node = image.qcow2 else {
            throw ToolFailure("Could not change the backing file to '\(base ?? "")': Operation not supported")
        }
        if let baseFormat, !BlockGraph().driverNames.contains(baseFormat) {
            throw ToolFailure("Invalid format name: '\(baseFormat)'")
        }
        let wanted = base.flatMap { $0.isEmpty ? nil : $0 }
        if !isUnsafe { try copyDifferences(image, node, wanted, baseFormat, source, progress, session) }
        do throws(BlockError) {
            if wanted != nil && baseFormat == nil {
                throw BlockError.invalidImage(path: name, reason: "backing format must be specified")
            }
            try node.changeBacking(file: wanted, format: baseFormat)
        } catch {
            if case .invalidImage(_, "backing format must be specified") = error {
                throw ToolFailure(
                    "Could not change the backing file to '\(wanted ?? "")': backing format must be specified")
            }
            throw ToolFailure(
                "Could not change the backing file to '\(wanted ?? "")': \(Wording.reason(error))")
        }
        progress.end()
        return 0
    }

    /// Writes into the image what it shows of the old base and would not show of the new one.
    private static func copyDifferences(
        _ image: OpenImage, _ node: QCow2Node, _ base: String?, _ baseFormat: String?, _ mode: OpenMode,
        _ progress: Progress, _ session: Session
    ) throws(ToolFailure) {
        var new: OpenImage?
        if let base {
            do throws(ToolFailure) {
                new = try OpenImage(
                    OpenImage.combine(image.path, base), format: baseFormat, mode, session)
            } catch {
                let text = error.lines.first ?? ""
                let prefix = "Could not open '\(OpenImage.combine(image.path, base))': "
                throw ToolFailure(
                    "Could not open new backing file '\(base)': "
                        + (text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text))
            }
        }
        defer { new?.close() }
        let job = RebaseJob(node, from: image.backing, to: new?.node, size: image.size)
        do throws(BlockError) {
            try job.run(show: progress.show)
            try BlockError.check(node.performAndWait(.flush), node)
        } catch {
            throw ToolFailure("error while rebasing: \(Wording.reason(error))")
        }
    }
}
