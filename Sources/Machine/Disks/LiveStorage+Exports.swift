internal import BlockImage
internal import JSON
internal import Synchronization

// What clients of the NBD server may reach.
extension LiveStorage {
    /// A node that clients may reach.
    struct Export: Sendable {
        let id: String
        /// What clients call it.
        let name: String
        /// The node's name.
        let node: String
        /// A node stays where clients write to it, or where somebody uses it now: until they may no more.
        let pinned: (any BlockNode)?
        /// Bitmaps that clients see: by node and name.
        let bitmaps: [(node: String, name: String)]
    }

    private func running() throws(MachineError) -> NBDListener {
        guard let server = state.withLock({ $0.nbd }) else { throw .failed("NBD server not running") }
        return server
    }

    /// `nbd-server-add`: the export's name is its id, and an image that is only read is exported for reading.
    func addExport(_ arguments: JSONObject) throws(MachineError) {
        _ = try running()
        let device = arguments.string("device") ?? ""
        // A filter that is named is exported as such.
        let node: any BlockNode
        if let named = try storage().graph.node(named: device) { node = named } else { node = try self.node(device) }
        let name = arguments.string("name") ?? device
        var isWritable = arguments["writable"] == true
        if isWritable {
            let graph = try storage().graph
            try images { () throws(BlockError) in try graph.expectWrites(to: node) }
            isWritable = !node.isReadOnly
        }
        var bitmaps: [JSONValue] = []
        if let bitmap = arguments["bitmap"] { bitmaps = [bitmap] }
        try add(
            id: name, name: name, node: node, isWritable: isWritable, bitmaps: bitmaps,
            description: arguments.string("description"))
    }

    /// `block-export-add`, of which there is the type `nbd`.
    func addBlockExport(_ arguments: JSONObject) throws(MachineError) {
        let id = arguments.string("id") ?? ""
        guard Self.isWellFormed(id) else { throw .failed("Invalid block export id") }
        guard !state.withLock({ $0.exports.contains { $0.id == id } }) else {
            throw .failed("Block export id '\(id)' is already in use")
        }
        let name = arguments.string("node-name") ?? ""
        guard let node = try storage().graph.node(named: name) else {
            throw .failed("Cannot find device='' nor node-name='\(name)'")
        }
        if arguments["fixed-iothread"] == true, arguments["iothread"] == nil {
            throw .failed("Parameter 'fixed-iothread' needs 'iothread'")
        }
        let isWritable = arguments["writable"] == true
        if isWritable {
            let graph = try storage().graph
            try images { () throws(BlockError) in try graph.expectWrites(to: node) }
            guard !node.isReadOnly else { throw .failed("Cannot export read-only node as writable") }
        }
        try add(
            id: id, name: arguments.string("name") ?? name, node: node, isWritable: isWritable,
            bitmaps: arguments["bitmaps"]?.arrayValue ?? [], description: arguments.string("description"),
            showsDepth: arguments["allocation-depth"] == true)
    }

    private func add(
        id: String, name: String, node: any BlockNode, isWritable: Bool, bitmaps: [JSONValue], description: String?,
        showsDepth: Bool = false
    ) throws(MachineError) {
        let server = try running()
        guard name.utf8.count <= 4096 else { throw .failed("export name '\(name.prefix(40))…' too long") }
        if let description, description.utf8.count > 4096 {
            throw .failed("description '\(description.prefix(40))…' too long")
        }
        guard !server.server.exports.contains(where: { $0.name == name }) else {
            throw .failed("NBD server already has export named '\(name)'")
        }
        let graph = try storage().graph
        var device: BlockDevice?
        var pinned: (any BlockNode)?
        if isWritable, graph.isInactive {
            // Who sends the machine here fills its disks before it comes.
            try images { () throws(BlockError) in try graph.activate(node) }
        } else if isWritable {
            guard try user(of: node) == nil else {
                throw .failed("Node '\(node.nodeName)' is a guest's disk: it can be exported read-only")
            }
            (device, pinned) = (try standIn(on: node), node)
        }
        var export = NBDExport(name: name, node: node, isReadOnly: !isWritable, by: device)
        export.description = description
        export.isShared = true
        export.showsDepth = showsDepth
        var shown: [(node: String, name: String)] = []
        for bitmap in bitmaps { shown.append(try show(bitmap, in: &export, of: node, isWritable)) }
        // Clients keep what they read where its other users leave it, as a guest does at the end of a mirror.
        if pinned == nil, graph.users(of: node) > 0 { pinned = node }
        if let pinned { graph.pin(pinned) }
        for bitmap in shown { setBusy(bitmap.node, bitmap.name, true) }
        let entry = Export(id: id, name: name, node: node.nodeName, pinned: pinned, bitmaps: shown)
        state.withLock { $0.exports.append(entry) }
        server.server.add(export)
    }

    /// Lets clients see a bitmap: that of the node, or of the nearest image below that has it, or of another node by name.
    private func show(
        _ bitmap: JSONValue, in export: inout NBDExport, of node: any BlockNode, _ isWritable: Bool
    ) throws(MachineError) -> (node: String, name: String) {
        let name = bitmap.stringValue ?? bitmap.objectValue?.string("name") ?? ""
        var chain = [node] + BlockGraph.chain(node)
        if let other = bitmap.objectValue?.string("node") { chain = [try self.node(other)] }
        for image in chain {
            if let found = try usable(image, name) {
                guard isWritable || image.isReadOnly || !found.bitmap.isRecording else {
                    throw .failed("Enabled bitmap '\(name)' incompatible with readonly export")
                }
                export.add(found.bitmap)
                return (image.nodeName, name)
            }
            guard let qcow2 = image as? QCow2Node, qcow2.bitmapList.contains(where: { $0.name == name }) else {
                continue
            }
            do throws(BlockError) { try export.add(bitmap: name, of: qcow2) } catch { throw .failed("\(error)") }
            return (image.nodeName, name)
        }
        throw .failed("Bitmap '\(name)' is not found")
    }

    /// Ends an export, by its id or as one of the NBD server's. With `safe`, which is usual, only if no client has it.
    func removeExport(_ id: String, _ arguments: JSONObject, ofServer: Bool) throws(MachineError) {
        if ofServer { _ = try running() }
        let server = state.withLock { $0.nbd }
        let found = state.withLock { state in state.exports.first { (ofServer ? $0.name : $0.id) == id } }
        guard let server, let found else { throw .failed("Export '\(id)' is not found") }
        let isHard = arguments.string("mode") == "hard"
        guard isHard || server.server.clientCount(of: found.name) == 0 else {
            throw .failed("export '\(found.id)' still in use")
        }
        _ = server.server.remove(found.name)
        server.server.disconnect(found.name)
        forget([found])
    }

    /// The machine is here: what its guest writes is nobody else's to write.
    func guestTakesDisks() {
        guard let server = state.withLock({ $0.nbd })?.server else { return }
        server.endWriting { node in (try? user(of: node)) != nil }
        let left = Set(server.exports.map(\.name))
        forget(state.withLock { $0.exports }.filter { !left.contains($0.name) })
    }

    func stopServer() throws(MachineError) {
        _ = try running()
        closeServer()
    }

    /// Ends the server, if there is one, with all that it offers.
    func closeServer() {
        let (server, exports) = state.withLock { state in
            defer { state.nbd = nil }
            return (state.nbd, state.exports)
        }
        server?.stop()
        forget(exports)
    }

    private func forget(_ exports: [Export]) {
        let graph = try? storage().graph
        for export in exports {
            state.withLock { state in state.exports.removeAll { $0.id == export.id } }
            for bitmap in export.bitmaps {
                let isShown = state.withLock { state in
                    state.exports.contains { $0.bitmaps.contains { $0.node == bitmap.node && $0.name == bitmap.name } }
                }
                if !isShown { setBusy(bitmap.node, bitmap.name, false) }
            }
            if let pinned = export.pinned { graph?.unpin(pinned) }
            emit("BLOCK_EXPORT_DELETED", ["id": .string(export.id)])
        }
    }

    /// What `query-block-exports` tells: the newest first.
    var exports: JSONValue {
        .array(
            state.withLock { $0.exports }.reversed().map {
                ["node-name": .string($0.node), "shutting-down": false, "type": "nbd", "id": .string($0.id)]
            })
    }
}
