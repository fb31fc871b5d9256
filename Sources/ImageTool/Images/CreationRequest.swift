internal import BlockImage

/// What an image is to be, as `create` and `convert` put it together.
struct CreationRequest {
    var backing: String?
    var backingFormat: String?
    var size: UInt64?
    /// The size stands on the command line.
    var isSizeGiven = false
    /// Nobody looks whether the backing image is there (`-u`).
    var isUnsafe = false
    private var given: [(name: String, value: String?)] = []
    private(set) var wantsHelp = false

    /// Adds the options of one `-o`.
    mutating func add(options text: String) throws(ToolFailure) {
        // A comma at an end, unless it is a doubled one, is half of a list.
        let (first, last) = (text.prefix { $0 == "," }.count, text.reversed().prefix { $0 == "," }.count)
        guard !text.isEmpty, first % 2 == 0, last % 2 == 0 else { throw ToolFailure("Invalid option list: \(text)") }
        for (name, value) in OptionText.pairs(text) {
            if (name == "help" || name == "?") && value == nil { wantsHelp = true }
            given.append((name, value))
        }
    }

    /// The value of an option that was given.
    func value(_ name: String) -> String? { given.last { $0.name == name }?.value }
    /// Every option that was given.
    var all: [(name: String, value: String?)] { given }
    var isEmpty: Bool { given.isEmpty }

    func showHelp(_ name: String, hasFile: Bool, _ session: Session) throws(ToolFailure) {
        guard let format = CreationFormat.named(name) else { throw CreationRequest.unknown(name) }
        session.put(format.help(withFile: hasFile))
    }

    /// Formats that QEMU knows.
    static let knownFormats: Set<String> = [
        "bochs", "cloop", "dmg", "luks", "nbd", "parallels", "qcow", "qcow2", "qed", "raw", "vdi", "vhdx", "vmdk",
        "vpc", "null-co", "null-aio", "quorum", "throttle", "vvfat",
    ]

    static func unknown(_ name: String) -> ToolFailure {
        knownFormats.contains(name)
            ? ToolFailure("Format driver '\(name)' does not support image creation")
            : ToolFailure("Unknown file format '\(name)'")
    }

    /// Makes the image. The size, where none is given, is the backing image's.
    func create(_ path: String, _ name: String, _ session: Session) throws(ToolFailure) {
        do throws(ToolFailure) {
            try createUnnamed(path, name, session)
        } catch {
            // Whatever went wrong went wrong with this image.
            var failure = error
            if let first = failure.lines.first, !first.hasPrefix("\(path): ") {
                failure.lines[0] = "\(path): \(first)"
            }
            throw failure
        }
    }

    private func createUnnamed(_ path: String, _ name: String, _ session: Session) throws(ToolFailure) {
        guard let format = CreationFormat.named(name) else { throw CreationRequest.unknown(name) }
        var values = CreationValues(format)
        for (option, value) in format.defaults { try values.set(option, value) }
        for (option, value) in given {
            // A flag may stand alone.
            try values.set(option, value ?? "on")
        }
        if size != nil && isSizeGiven && values.has("size") {
            throw ToolFailure("The image size must be specified only once")
        }
        if let size { try values.set("size", "\(size)") }
        if let backing {
            guard format.hasBacking else {
                throw ToolFailure("Backing file not supported for file format '\(name)'")
            }
            try values.set("backing_file", backing)
        }
        if let backingFormat {
            guard format.hasBacking else {
                throw ToolFailure("Backing format not supported for file format '\(name)'")
            }
            try values.set("backing_fmt", backingFormat)
        }
        if let backing = values.text("backing_file"), backing == path {
            throw ToolFailure("Error: Trying to create an image with the same filename as the backing file")
        }
        if values.text("backing_file") == "" { throw ToolFailure("Expected backing file name, got empty string") }
        try examineBacking(path, &values, session)
        guard values.has("size") else { throw ToolFailure("Image creation needs a size parameter") }
        session.say(values.announcement(path))
        session.console.flush()
        if values.has("backing_fmt") && !values.has("backing_file") {
            throw ToolFailure("Backing format cannot be used without backing file")
        }
        try format.create(path, values, session)
    }

    /// Opens the backing image, unless nobody is to look: for its size, and for its format where none is given.
    private func examineBacking(
        _ path: String, _ values: inout CreationValues, _ session: Session
    ) throws(ToolFailure) {
        guard let name = values.text("backing_file") else { return }
        if let format = values.text("backing_fmt"), !BlockGraph().driverNames.contains(format) {
            throw ToolFailure("Unknown driver '\(format)'\nCould not open backing image.")
        }
        if isUnsafe {
            if values.text("backing_fmt") == nil {
                throw ToolFailure("Backing file specified without backing format")
            }
            return
        }
        let full = OpenImage.combine(path, name)
        let image: OpenImage
        do throws(ToolFailure) {
            image = try OpenImage(full, format: values.text("backing_fmt"), .read, session)
        } catch {
            let prefix = "Could not open '\(full)': "
            var text = error.lines.first ?? ""
            if text.hasPrefix(prefix) { text = String(text.dropFirst(prefix.count)) }
            throw ToolFailure("\(text)\nCould not open backing image.")
        }
        defer { image.close() }
        if values.text("backing_fmt") == nil {
            // QEMU refuses this since 6.1; what is assumed here is written down in the image, so that no later
            // writer of the base can change it.
            try values.set("backing_fmt", image.format)
            session.warn(
                "\(path): Backing file specified without backing format; assuming '\(image.format)', as its content "
                    + "is (use -F to say so)")
        }
        if !values.has("size") { try values.set("size", "\(image.size)") }
    }
}
