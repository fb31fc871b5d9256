extension BlockDriver {
    /// The driver `qed`.
    static var qed: BlockDriver {
        BlockDriver(name: "qed") { graph, options, node, nodeName throws(BlockError) in
            let depth = try options.takeSize("x-depth") ?? 0
            let file = try graph.openChild("file", of: "qed", &options, node)
            var children = [BlockChild(role: "file", node: file)]
            do throws(BlockError) {
                let map = try QEDMap(file, isForWriting: !node.readOnly && !node.autoReadOnly)
                do throws(BlockError) {
                    let named = map.backing.map { ($0, map.isBackingRaw ? "raw" : nil) }
                    let backing = try openBacking(graph, named, file, &options, node, depth, driver: "qed")
                    if let backing { children.append(BlockChild(role: "backing", node: backing)) }
                } catch {
                    throw BlockError.below(error)
                }
                try options.finish(driver: "qed")
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
