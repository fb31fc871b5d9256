internal import BlockImage
internal import JSON

/// How a command writes its results.
enum OutputFormat {
    case human
    case json

    init(_ text: String) throws(ToolFailure) {
        switch text {
        case "human": self = .human
        case "json": self = .json
        default: throw ToolFailure("--output must be used with human or json as argument.")
        }
    }
}

/// `info [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename`
enum InfoCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:U",
            long: [
                .init("help", "h"), .init("format", "f", value: true), .init("output", value: true),
                .init("backing-chain"), .init("object", value: true), .init("image-opts"), .init("force-share", "U"),
            ])
        var format: String?
        var output = OutputFormat.human
        var (isChain, isOptionList, isShared) = (false, false, false)
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "U": isShared = true
            case "output": output = try OutputFormat(value)
            case "backing-chain": isChain = true
            case "image-opts": isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        let all = try collect(scanner.operands[0], format, isOptionList, isChain: isChain, isShared, session)
        switch output {
        case .human: session.put(all.map(\.text).joined(separator: "\n"))
        case .json: session.put(HashOrder.text(isChain ? .array(all.map(\.json)) : all[0].json))
        }
        return 0
    }

    private static func collect(
        _ name: String, _ format: String?, _ isOptionList: Bool, isChain: Bool, _ isShared: Bool, _ session: Session
    ) throws(ToolFailure) -> [ImageInfo] {
        var result: [ImageInfo] = []
        var seen: Set<String> = []
        var (name, format, isOptionList): (String, String?, Bool) = (name, format, isOptionList)
        while true {
            guard seen.insert(name).inserted else {
                throw ToolFailure("Backing file '\(name)' creates an infinite loop.")
            }
            let mode = OpenMode(hasNoBacking: true, isShared: isShared, isDescription: true)
            let image = try OpenImage(name, format: format, isOptionList: isOptionList, mode, session)
            defer { image.close() }
            let info = try ImageInfo(image)
            result.append(info)
            guard isChain, info.backing != nil else { return result }
            do throws(BlockError) { try image.graph.checkReference(info.backing ?? "", of: image.node) } catch {
                throw ToolFailure(Wording.reason(error))
            }
            guard let next = info.fullBacking else { throw ToolFailure("Could not determine the backing file name") }
            (name, format, isOptionList) = (next, info.backingFormat, false)
        }
    }
}
