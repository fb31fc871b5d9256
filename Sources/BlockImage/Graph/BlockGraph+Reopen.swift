/// Other options for nodes that are open (`blockdev-reopen`).
///
/// What may change: `read-only`, `auto-read-only`, `discard`, `detect-zeroes`, `cache`, a qcow2 image's caches and what lies
/// below it. What is not given has its default again, or stays, where it cannot change.
extension BlockGraph {
    private typealias Undo = () -> Void

    /// Gives nodes other options: all that are listed, or none. Nothing is in flight at the nodes. Blocks.
    public func reopen(_ list: [[String: String]]) throws(BlockError) {
        var undos: [Undo] = []
        do throws(BlockError) {
            for options in list {
                let options = BlockOptions(options)
                guard let name = options.value("node-name") else { throw .message("node-name not specified") }
                guard let node = self.node(named: name) else {
                    throw .message("Failed to find node with node-name='\(name)'")
                }
                try reopen(node, options, &undos)
            }
        } catch {
            for undo in undos.reversed() { undo() }
            throw error
        }
    }

    private static func fixed(_ option: String) -> BlockError { .message("Cannot change the option '\(option)'") }

    private func reopen(
        _ node: any BlockNode, _ given: BlockOptions, _ undos: inout [Undo]
    ) throws(BlockError) {
        var options = given
        let before = opening(of: node)
        guard options.take("driver") ?? node.driverName == node.driverName else { throw Self.fixed("driver") }
        let wanted = try options.takeNodeOptions()
        guard wanted.forceShare == before.options.forceShare else { throw Self.fixed("force-share") }
        let below = try backing(of: node, &options)
        var parts: [(node: any BlockNode, options: BlockOptions)] = []
        for child in node.children where child.role != "backing" {
            if let part = try part(child, &options, wanted) { parts.append((child.node, part)) }
        }
        if let image = node as? QCow2Node { try BlockDriver.retune(image, &options, &undos) }
        if let option = options.difference(from: before.given) { throw Self.fixed(option) }

        // A file that is for reading until somebody writes waits for that.
        let waits = node is FileNode && wanted.autoReadOnly && !isWritten(node)
        if wanted.readOnly != node.isReadOnly, wanted.readOnly || !waits {
            try change(node, readOnly: wanted.readOnly, wanted, &undos)
        }
        if let node = node as? any AdjustableNode {
            try node.adjust(to: wanted)
            undos.append { try? node.adjust(to: before.options) }
        } else if wanted.discard != before.options.discard || wanted.detectZeroes != before.options.detectZeroes {
            throw Self.fixed(wanted.discard != before.options.discard ? "discard" : "detect-zeroes")
        }
        note(wanted, of: node)
        undos.append { self.note(before.options, of: node) }
        if let below, let image = node as? QCow2Node {
            let old = image.backing
            // It stays until nobody can want it back.
            if let old { pin(old) }
            setBacking(of: image, to: below.node)
            undos.append { self.setBacking(of: image, to: old) }
            if let old { unpin(old) }
        }
        for (node, options) in parts { try reopen(node, options, &undos) }
    }

    /// What becomes of a part that came with its parent: it has the options that are given with the parent's, and follows
    /// it in what it does not say itself. nil: a node of its own.
    private func part(
        _ child: BlockChild, _ options: inout BlockOptions, _ parent: NodeOptions
    ) throws(BlockError) -> BlockOptions? {
        if let name = options.take(child.role), name != child.node.nodeName { throw Self.fixed(child.role) }
        let nested = options.takeChild(child.role)
        let own = opening(of: child.node)
        guard own.isImplicit else {
            guard nested == nil else { throw Self.fixed(child.role) }
            return nil
        }
        var part = nested ?? own.given
        if nested == nil {
            for name in ["read-only", "auto-read-only", "cache.direct", "cache.no-flush"] { _ = part.take(name) }
        }
        part.inherit(parent)
        return part
    }

    /// Whether a device or a node above writes.
    private func isWritten(_ node: any BlockNode) -> Bool {
        opening(of: node).hasWriter
            || nodes.contains { above in
                !above.isReadOnly && above.children.contains { $0.node === node && $0.role != "backing" }
            }
    }

    private func change(
        _ node: any BlockNode, readOnly: Bool, _ wanted: NodeOptions, _ undos: inout [Undo]
    ) throws(BlockError) {
        if readOnly {
            guard !isWritten(node) else {
                throw .message("Cannot make block node read-only, there is a writer on it")
            }
        } else if node.children.contains(where: { child in
            let own = opening(of: child.node)
            return child.role != "backing" && !own.isImplicit && own.options.readOnly
        }) {
            throw .message("Block node is read-only")
        }
        guard let changing = node as? any Reopenable else {
            throw .message(
                "Block format '\(node.driverName)' used by node '\(node.nodeName)' does not support reopening files")
        }
        do throws(BlockError) { try changing.reopen(readOnly: readOnly) } catch {
            // It would have been opened like this, too.
            guard !readOnly, wanted.autoReadOnly else { throw error }
            return
        }
        undos.append { try? changing.reopen(readOnly: !readOnly) }
    }

    /// What is to lie below a node from now on.
    private struct Below {
        let node: (any BlockNode)?
    }

    /// What the options say about the image below; nil: it stays.
    private func backing(of node: any BlockNode, _ options: inout BlockOptions) throws(BlockError) -> Below? {
        let old = node.children.first { $0.role == "backing" }?.node
        if let nested = options.takeChild("backing") {
            // The options of another node: those stay as they are.
            guard let old, nested.difference(from: opening(of: old).given) == nil else { throw Self.fixed("backing") }
            return nil
        }
        guard let wanted = options.take("backing") else {
            guard old == nil else { throw .message("backing is missing for '\(node.nodeName)'") }
            return nil
        }
        guard wanted != old?.nodeName ?? "" else { return nil }
        guard node is QCow2Node else { throw Self.fixed("backing") }
        guard !wanted.isEmpty else { return Below(node: nil) }
        guard let new = self.node(named: wanted) else {
            throw .message("Cannot find device='' nor node-name='\(wanted)'")
        }
        guard !BlockGraph.chain(new).contains(where: { $0 === node }), new !== node else {
            throw .message("Making '\(wanted)' a backing child of '\(node.nodeName)' would create a cycle")
        }
        return Below(node: new)
    }
}

extension BlockOptions {
    /// An option that has another value than in others, or is none of them.
    func difference(from others: BlockOptions) -> String? {
        names.sorted().first { value($0) != others.value($0) }
    }

    /// Takes over what a part does as its parent does, where nothing else is said.
    mutating func inherit(_ parent: NodeOptions) {
        setDefault("read-only", parent.readOnly ? "on" : "off")
        setDefault("auto-read-only", parent.autoReadOnly ? "on" : "off")
        setDefault("cache.direct", parent.cache.direct ? "on" : "off")
        setDefault("cache.no-flush", parent.cache.noFlush ? "on" : "off")
        setDefault("force-share", parent.forceShare ? "on" : "off")
        setDefault("discard", "unmap")
    }
}
