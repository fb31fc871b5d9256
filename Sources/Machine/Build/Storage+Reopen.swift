internal import BlockImage

extension Storage {
    /// Gives nodes other options (`blockdev-reopen`), while all disks stand still.
    func reopen(_ nodes: [BlockNodeConfiguration]) throws(MachineError) {
        for node in nodes {
            try live.checkFree(nil, [node.nodeName].compactMap { $0.flatMap { graph.node(named: $0) } })
        }
        let devices = fixedDevices.map(\.device) + removableDrives.compactMap { $0.current?.device }
        for device in devices { device.beginDrained() }
        defer { for device in devices { device.endDrained() } }
        do throws(BlockError) { try graph.reopen(nodes.map(Self.options)) } catch { throw .failed("\(error)") }
    }

    /// A node's options as the graph reads them: flat, with dots.
    static func options(_ node: BlockNodeConfiguration) -> [String: String] {
        var result = ["driver": node.driver]
        if let name = node.nodeName { result["node-name"] = name }
        if node.readOnly { result["read-only"] = "on" }
        if node.autoReadOnly { result["auto-read-only"] = "on" }
        if node.discardUnmap { result["discard"] = "unmap" }
        if node.detectZeroes != .off { result["detect-zeroes"] = node.detectZeroes.rawValue }
        if node.cacheDirect { result["cache.direct"] = "on" }
        if node.cacheNoFlush { result["cache.no-flush"] = "on" }
        if node.forceShare { result["force-share"] = "on" }
        if let filename = node.filename { result["filename"] = filename }
        if let aio = node.asynchronousIO { result["aio"] = aio.rawValue }
        func add(_ child: BlockNodeConfiguration.Child, _ role: String) {
            switch child {
            case .reference(let name): result[role] = name
            case .node(let below): for (key, value) in options(below) { result["\(role).\(key)"] = value }
            }
        }
        if let file = node.file { add(file, "file") }
        if let backing = node.backing {
            if let backing { add(backing, "backing") } else { result["backing"] = "" }
        }
        if let other = try? ImageName.flat(node.other) { result.merge(other) { first, _ in first } }
        return result
    }
}
