internal import BlockImage

/// `amend [-p] [-q] [-f fmt] [-t cache] [--force] -o options filename`
enum AmendCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "ho:f:t:pq",
            long: [.init("help", "h"), .init("object", value: true), .init("image-opts"), .init("force")])
        var format: String?
        var (isOptionList, showsProgress, isForced) = (false, false, false)
        var mode = OpenMode.write
        var creation = CreationRequest()
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "o": try creation.add(options: value)
            case "t": mode.cache = try CacheOption.parse(value)
            case "p": showsProgress = true
            case "q": session.isQuiet = true
            case "image-opts": isOptionList = true
            case "force": isForced = true
            default: break
            }
        }
        guard !creation.isEmpty else { throw .usage("Must specify options (-o)") }
        if creation.wantsHelp {
            var name = format ?? "qcow2"
            if format == nil, let path = scanner.operands.first {
                let image = try OpenImage(path, format: nil, isOptionList: isOptionList, .read, session)
                name = image.format
                image.close()
            }
            if name == "luks" {
                session.put(AmendKeys.help)
                return 0
            }
            guard name == "qcow2" else {
                throw BlockGraph().driverNames.contains(name)
                    ? ToolFailure("Format driver '\(name)' does not support option amendment")
                    : ToolFailure("Unknown file format '\(name)'")
            }
            session.put(help)
            return 0
        }
        guard scanner.operands.count == 1 else { throw ToolFailure("Expecting one image file name") }
        let progress = Progress(session, isOn: showsProgress && !session.isQuiet, showsStart: false)
        let image = try OpenImage(scanner.operands[0], format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        let keyOptions = try ImageReference(scanner.operands[0], isOptionList: isOptionList).options
        if image.format == "luks" {
            try AmendKeys.run(
                image, creation.all, prefix: "", key: keyOptions["key-secret"], isForced: isForced, session)
            return 0
        }
        guard let node = image.qcow2, let target = CreationFormat.named("qcow2") else {
            throw ToolFailure("Format driver '\(image.format)' does not support option amendment")
        }
        var values = CreationValues(target)
        let keys = creation.all.filter { $0.name.hasPrefix("encrypt.") }
            .map { (name: String($0.name.dropFirst(8)), value: $0.value) }
        if !keys.isEmpty {
            let id = keyOptions["encrypt.key-secret"]
            try AmendKeys.run(image, keys, prefix: "encrypt.", key: id, isForced: isForced, session)
        }
        for (name, value) in creation.all where !name.hasPrefix("encrypt.") {
            guard options.contains(where: { $0.0 == name }) else {
                throw target.options.contains { $0.name == name }
                    ? ToolFailure(
                        lines: ["Invalid parameter '\(name)'"],
                        hint: "This option is only supported for image creation")
                    : ToolFailure("Invalid parameter '\(name)'")
            }
            try values.set(name, value ?? "on")
        }
        progress.show(0)
        try amend(node, image, values, session)
        progress.show(1)
        progress.end()
        return 0
    }

    private static let options: [(String, String, String)] = [
        ("backing_file", "<str>", "File name of a base image"),
        ("backing_fmt", "<str>", "Image format of the base image"),
        ("compat", "<str>", "Compatibility level (v2 [0.10] or v3 [1.1])"),
        ("data_file", "<str>", "File name of an external data file"),
        ("data_file_raw", "<bool (on/off)>", "The external data file must stay valid as a raw image"),
        ("encrypt.iter-time", "<num>", "Time to spend in PBKDF in milliseconds"),
        ("encrypt.keyslot", "<num>", "Select a single keyslot to modify explicitly"),
        ("encrypt.new-secret", "<str>", "New secret to set in the matching keyslots. Empty string to erase"),
        ("encrypt.old-secret", "<str>", "Select all keyslots that match this password"),
        ("encrypt.state", "<str>", "Select new state of affected keyslots (active/inactive)"),
        ("lazy_refcounts", "<bool (on/off)>", "Postpone refcount updates"),
        ("refcount_bits", "<num>", "Width of a reference count entry in bits"),
        ("size", "<size>", "Virtual disk size"),
    ]

    private static var help: String {
        "Amend options for 'qcow2':\n"
            + options.map { "  \(Formatting.pad("\($0.0)=\($0.1)", 22, left: true)) - \($0.2)\n" }.joined()
    }

    private static func amend(
        _ node: QCow2Node, _ image: OpenImage, _ values: CreationValues, _ session: Session
    ) throws(ToolFailure) {
        let header = node.currentHeader
        var version = header.version
        switch values.text("compat") {
        case nil: break
        case "0.10", "v2": version = 2
        case "1.1", "v3": version = 3
        case .some(let other): throw ToolFailure("Unknown compatibility level \(other)")
        }
        // What stays has to be said whole.
        if values.has("backing_file") || values.has("backing_fmt"),
            values.text("backing_file") != header.backingFile || values.text("backing_fmt") != header.backingFormat
        {
            throw ToolFailure(
                lines: ["Cannot amend the backing file"], hint: "You can use 'qemu-img rebase' instead.")
        }
        let bits = values.number("refcount_bits") ?? UInt64(header.refcountBits)
        if version == 2 && bits != 16 {
            throw ToolFailure(
                values.has("refcount_bits")
                    ? "Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or "
                        + "greater)"
                    : "compat=0.10 requires refcount_bits=16")
        }
        do throws(BlockError) {
            if version > header.version { try node.upgrade() }
            if let bits = values.number("refcount_bits"), Int(bits) != header.refcountBits {
                guard bits >= 1, bits <= 64, bits & (bits - 1) == 0 else {
                    throw BlockError.invalidImage(
                        path: image.path,
                        reason: "Refcount width must be a power of two and may not exceed 64 bits")
                }
                try node.changeRefcountBits(Int(bits))
            }
            if values.has("data_file_raw"), values.flag("data_file_raw") != header.hasRawData {
                guard !values.flag("data_file_raw") else {
                    throw BlockError.invalidImage(
                        path: image.path, reason: "data-file-raw cannot be set on existing images")
                }
                try node.amendHeader { $0.autoclear &= ~QCow2Header.Autoclear.rawData }
            }
            if let data = values.text("data_file") {
                guard header.hasDataFile else {
                    throw BlockError.invalidImage(
                        path: image.path, reason: "data-file can only be set for images that use an external data file")
                }
                try node.amendHeader { $0.dataFile = data }
            }
            if values.has("lazy_refcounts") {
                let isLazy = values.flag("lazy_refcounts")
                let wasLazy = header.compatible & QCow2Header.lazyRefcounts != 0
                // What stays as it is goes with the version.
                guard !isLazy || version >= 3 || wasLazy else {
                    throw BlockError.invalidImage(
                        path: image.path,
                        reason: "Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 "
                            + "or greater)")
                }
                try node.amendHeader {
                    $0.compatible =
                        isLazy
                        ? $0.compatible | QCow2Header.lazyRefcounts
                        : $0.compatible & ~QCow2Header.lazyRefcounts
                }
            }
            if values.has("size") { try node.resize(to: (values.size + 511) / 512 * 512, preallocation: .off) }
            if version < header.version { try node.downgrade() }
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
    }
}
