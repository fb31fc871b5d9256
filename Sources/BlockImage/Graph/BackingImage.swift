/// Opening what lies below an image.
extension BlockDriver {
    /// The backing image: the one that the options name (or deny, with an empty name), or else the image's own.
    static func openBacking(
        _ graph: BlockGraph, _ named: (name: String, format: String?)?, _ file: any BlockNode,
        _ options: inout BlockOptions, _ node: NodeOptions, driver: String
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
        child.place = options.place
        try child.place.descend(to: identity, from: file.filename)
        return try graph.openBelow(child)
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
