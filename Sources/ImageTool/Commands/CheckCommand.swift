internal import BlockImage
internal import JSON
internal import SystemPackage

/// `check [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename`
enum CheckCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:r:T:qU",
            long: [
                .init("help", "h"), .init("format", "f", value: true), .init("repair", "r", value: true),
                .init("output", value: true), .init("object", value: true), .init("image-opts"),
                .init("force-share", "U"),
            ])
        var format: String?
        var output = OutputFormat.human
        var mode = OpenMode(hasNoBacking: true)
        var repair = ImageCheck.Repair.nothing
        var isOptionList = false
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "q": session.isQuiet = true
            case "U": mode.isShared = true
            case "T": mode.cache = try CacheOption.parse(value, "source")
            case "output": output = try OutputFormat(value)
            case "image-opts": isOptionList = true
            case "r":
                switch value {
                case "leaks": repair = .leaks
                case "all": repair = .all
                default: throw .usage("Unknown option value for -r (expecting 'leaks' or 'all'): \(value)")
                }
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        (mode.isWritable, mode.isRepair) = (repair != .nothing, true)
        let image = try OpenImage(scanner.operands[0], format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        guard let checkable = image.node as? any CheckableImage else {
            throw ToolFailure("This image format does not support checks", status: 63)
        }
        return try run(image, checkable, repair, output, session)
    }

    private static let mostLines = 1 << 20

    private static func run(
        _ image: OpenImage, _ node: any CheckableImage, _ repair: ImageCheck.Repair, _ output: OutputFormat,
        _ session: Session
    ) throws(ToolFailure) -> Int32 {
        func check(_ repair: ImageCheck.Repair) throws(ToolFailure) -> ImageCheck {
            // A forged image may have something wrong in each of a billion entries: they are counted, not all told.
            var lines = 0
            do throws(BlockError) {
                return try node.check(repair: repair) {
                    lines += 1
                    if lines <= mostLines { session.console.putError($0) }
                    if lines == mostLines { session.console.putError("What else is wrong is counted, not told") }
                }
            } catch {
                if case .system(_, _, let errno) = error, errno == .notSupportedOnSocket || errno == .notSupported {
                    throw ToolFailure("This image format does not support checks", status: 63)
                }
                throw ToolFailure("Check failed: \(Wording.reason(error))")
            }
        }
        var result = try check(repair)
        if result.corruptionsFixed | result.leaksFixed != 0 {
            if output == .human {
                session.say(
                    """
                    The following inconsistencies were found and repaired:

                        \(result.leaksFixed) leaked clusters
                        \(result.corruptionsFixed) corruptions

                    Double checking the fixed image now...

                    """)
            }
            let fixed = result
            result = try check(.nothing)
            (result.corruptionsFixed, result.leaksFixed) = (fixed.corruptionsFixed, fixed.leaksFixed)
        }
        switch output {
        case .human: session.say(text(result))
        case .json: session.put(HashOrder.text(json(result, image)))
        }
        if result.errors > 0 { throw ToolFailure("Check failed") }
        return result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0
    }

    private static func text(_ result: ImageCheck) -> String {
        var text = ""
        if result.corruptions | result.leaks | result.errors == 0 {
            text += "No errors were found on the image.\n"
        }
        if result.corruptions > 0 {
            text += """

                \(result.corruptions) errors were found on the image.
                Data may be corrupted, or further writes to the image may corrupt it.

                """
        }
        if result.leaks > 0 {
            text += """

                \(result.leaks) leaked clusters were found on the image.
                This means waste of disk space, but no harm to data.

                """
        }
        if result.errors > 0 { text += "\n\(result.errors) internal errors have occurred during the check.\n" }
        if result.totalClusters > 0 && result.allocatedClusters > 0 {
            let allocated = Double(result.allocatedClusters)
            text += Formatting.c(
                "%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
                result.allocatedClusters, result.totalClusters, allocated * 100 / Double(result.totalClusters),
                Double(result.fragmentedClusters) * 100 / allocated,
                Double(result.compressedClusters) * 100 / allocated)
        }
        if result.imageEnd > 0 { text += "Image end offset: \(result.imageEnd)\n" }
        return text
    }

    private static func json(_ result: ImageCheck, _ image: OpenImage) -> JSONValue {
        var object = JSONObject()
        object["filename"] = .string(image.name)
        object["format"] = .string(image.format)
        object["check-errors"] = .number(result.errors)
        func put(_ name: String, _ value: UInt64) { if value > 0 { object[name] = .number(value) } }
        put("image-end-offset", result.imageEnd)
        put("corruptions", result.corruptions)
        put("leaks", result.leaks)
        put("corruptions-fixed", result.corruptionsFixed)
        put("leaks-fixed", result.leaksFixed)
        put("total-clusters", result.totalClusters)
        put("allocated-clusters", result.allocatedClusters)
        put("fragmented-clusters", result.fragmentedClusters)
        put("compressed-clusters", result.compressedClusters)
        return .object(object)
    }
}

/// `-t` and `-T`.
enum CacheOption {
    static func parse(_ text: String, _ which: String = "") throws(ToolFailure) -> CacheMode {
        guard let mode = CacheMode(name: text) else {
            throw ToolFailure(
                which.isEmpty ? "Invalid cache option: \(text)" : "Invalid \(which) cache option: \(text)")
        }
        return mode
    }
}
