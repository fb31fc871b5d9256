internal import CLinux
internal import HostOS
internal import Synchronization

/// Opening what lies below an image.
extension BlockDriver {
    /// The backing image: the one that the options name (or deny, with an empty name), or else the image's own.
    static func openBacking(
        _ graph: BlockGraph, _ named: (name: String, format: String?)?, _ file: any BlockNode,
        _ options: inout BlockOptions, _ node: NodeOptions, _ above: ChainPlace, driver: String
    ) throws(BlockError) -> (any BlockNode)? {
        if let reference = options.take("backing") {
            if reference.isEmpty || reference == "null" { return nil }
            options.setDefault("backing", reference)
            return try graph.openChild("backing", of: driver, &options, node)
        }
        let given = options.takeChild("backing")
        guard named != nil || given != nil else { return nil }
        var child = given ?? BlockOptions([:])
        if let named, child.value("file") == nil, child.value("file.filename") == nil {
            try graph.references.check(named.name, "backing file", in: file)
        }
        var identity: String?
        if let named, child.value("file") == nil, ImageName.isJSON(named.name) {
            for (name, value) in try ImageName.options(json: named.name) { child.setDefault(name, value) }
            child.setDefault("driver", named.format ?? "raw")
        } else if let named, child.value("file") == nil, NBDLocation.isLocation(named.name) {
            child.setDefault("file.driver", "nbd")
            child.setDefault("file.filename", named.name)
            child.setDefault("driver", named.format ?? "raw")
        } else if let named, child.value("file") == nil {
            let path = try resolve(named.name, of: file.filename)
            child.setDefault("file.filename", path)
            let found = try BlockGraph.examine(path, graph.opener)
            identity = found.identity
            child.setDefault("file.driver", found.isDevice ? "host_device" : "file")
            child.setDefault("driver", named.format ?? ImageFormat.probe(found.head, path: path).rawValue)
        }
        child.setDefault("read-only", "on")
        child.setDefault("cache.direct", node.cache.direct ? "on" : "off")
        child.setDefault("cache.no-flush", node.cache.noFlush ? "on" : "off")
        child.setDefault("force-share", node.forceShare ? "on" : "off")
        var place = above
        try place.descend(to: identity, from: file.filename)
        if ["qcow2", "vmdk", "qed", "qcow"].contains(child.value("driver") ?? "") { place.hand(to: &child) }
        return try openBelow(child, place, graph)
    }

    /// How many images are opened within one another on one thread's stack.
    private static let mostOnStack: UInt64 = 32

    /// Opens an image of a chain. Long ones go on with a stack of their own now and then, and with more descriptors than
    /// a process usually may have.
    private static func openBelow(
        _ options: BlockOptions, _ place: ChainPlace, _ graph: BlockGraph
    ) throws(BlockError) -> any BlockNode {
        guard place.depth % mostOnStack == 0 else { return try graph.openBelow(options) }
        _ = apus_share_descriptors(1 << 16)
        let answer = Answer()
        let thread: HostThread
        do throws(HostError) {
            thread = try HostThread(name: "block-chain") {
                do throws(BlockError) {
                    let node = try graph.openBelow(options)
                    answer.result.withLock { $0 = .success(node) }
                } catch {
                    answer.result.withLock { $0 = .failure(error) }
                }
            }
        } catch { return try graph.openBelow(options) }
        thread.join()
        return try answer.result.withLock { $0 }.get()
    }

    /// What a thread has opened.
    private final class Answer: Sendable {
        let result = Mutex<Result<any BlockNode, BlockError>>(.failure(.message("The image was not opened")))
    }

    /// A backing file's name is relative to the image that names it.
    static func resolve(_ name: String, of image: String) throws(BlockError) -> String {
        var name = name
        if name.hasPrefix("file:") {
            name = String(name.dropFirst(5))
        } else if let colon = name.firstIndex(of: ":"), !name[..<colon].contains("/") {
            throw .unsupported(path: image, feature: "the backing image '\(name)'")
        }
        guard !name.hasPrefix("/"), let slash = image.lastIndex(of: "/") else { return name }
        return String(image[...slash]) + name
    }
}
