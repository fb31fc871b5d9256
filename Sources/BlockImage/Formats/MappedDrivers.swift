extension BlockDriver {
    /// The driver `qed`.
    static var qed: BlockDriver {
        layered("qed") { (file, node, _, _) throws(BlockError) in
            let map = try QEDMap(file, isForWriting: !node.readOnly && !node.autoReadOnly)
            return (map, map.backing.map { ($0, map.isBackingRaw ? "raw" : nil) })
        }
    }

    /// The driver `qcow`: the first version of that format.
    static var qcow: BlockDriver {
        layered("qcow") { (file, node, options, graph) throws(BlockError) in
            var passphrase: [UInt8]?
            if var encrypt = options.takeChild("encrypt") {
                if let format = encrypt.take("format"), format != "aes" {
                    throw .secret("Header reported 'aes' encryption format but options specify '\(format)'")
                }
                if let secret = encrypt.take("key-secret") { passphrase = try graph.secrets.value(secret) }
                try encrypt.finish(driver: "qcow")
            }
            let isDescription = try options.takeBool("x-describe") ?? false
            let isForWriting = !node.readOnly && !node.autoReadOnly
            let map = try QCowMap(file, isForWriting: isForWriting, passphrase: passphrase)
            guard !map.isEncrypted || passphrase != nil || isDescription else {
                throw .secret("Parameter 'encrypt.key-secret' is required for cipher")
            }
            return (map, map.backing.map { ($0, nil) })
        }
    }

    /// A format that is only read, and whose images may stand on others.
    private static func layered(
        _ name: String,
        open:
            @escaping @Sendable (
                _ file: any BlockNode, _ node: NodeOptions, _ options: inout BlockOptions, _ graph: BlockGraph
            ) throws(BlockError) -> (map: any ImageMap, backing: (name: String, format: String?)?)
    ) -> BlockDriver {
        BlockDriver(name: name) { graph, options, node, nodeName throws(BlockError) in
            let file = try graph.openChild("file", of: name, &options, node)
            var children = [BlockChild(role: "file", node: file)]
            do throws(BlockError) {
                let (map, named) = try open(file, node, &options, graph)
                do throws(BlockError) {
                    let backing = try openBacking(graph, named, file, &options, node, driver: name)
                    if let backing { children.append(BlockChild(role: "backing", node: backing)) }
                } catch {
                    throw BlockError.below(error)
                }
                try options.finish(driver: name)
                var reading = node
                reading.readOnly = true
                return try MappedNode(map, children: children, nodeName: nodeName, node: reading)
            } catch {
                for child in children { graph.discard(child.node) }
                throw error
            }
        }
    }

    /// A driver of a format that is one file and its tables, and that is only read here.
    static func readable(
        _ name: String, open: @escaping @Sendable (_ file: any BlockNode) throws(BlockError) -> any ImageMap
    ) -> BlockDriver {
        mapped(name) { file, node, _ throws(BlockError) in
            guard node.readOnly || node.autoReadOnly else {
                throw BlockError.unsupported(path: file.filename, feature: "writing to a \(name) image")
            }
            return try open(file)
        }
    }

    /// A driver of a format that is one file and its tables.
    static func mapped(
        _ name: String,
        open:
            @escaping @Sendable (_ file: any BlockNode, _ node: NodeOptions, _ options: inout BlockOptions)
            throws(BlockError) -> any ImageMap
    ) -> BlockDriver {
        BlockDriver(name: name) { graph, options, node, nodeName throws(BlockError) in
            let file = try graph.openChild("file", of: name, &options, node)
            do throws(BlockError) {
                let map = try open(file, node, &options)
                try options.finish(driver: name)
                return try MappedNode(
                    map, children: [BlockChild(role: "file", node: file)], nodeName: nodeName, node: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
