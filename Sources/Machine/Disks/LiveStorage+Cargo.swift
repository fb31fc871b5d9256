internal import BlockImage
internal import JSON

// Dirty bitmaps that go with a machine (the capability `dirty-bitmaps`), those of the running machine and those that
// images keep. Without the capability the first stay behind, and the others are where their images are.
extension LiveStorage {
    /// A bitmap that is to go.
    struct Departing {
        let node: any BlockNode
        let name: String
        let alias: (node: String, name: String)
        let isPersistent: Bool
        let isRecording: Bool
    }

    /// The bitmaps that go: those that a mapping names, or all. Throws where one of them cannot.
    ///
    /// Bitmaps of images that are only read stay in them, unless they are named.
    func departing(_ mapping: BitmapMapping?) throws(MachineError) -> [Departing] {
        let storage = try storage()
        var found: [Departing] = []
        for node in storage.graph.nodes {
            let entry = mapping?.nodes.first { $0.name == node.nodeName }
            if mapping != nil, entry == nil { continue }
            let drive = storage.fixedDevices.first { $0.device.image === node && !$0.name.isEmpty }
            let alias = entry?.alias ?? drive?.name ?? node.nodeName
            for status in bitmapStatus(node) {
                let bitmap = entry?.bitmaps.first { $0.name == status.name }
                if mapping != nil, bitmap == nil { continue }
                if mapping == nil, status.isPersistent, node.isReadOnly { continue }
                guard !status.isBusy else {
                    throw .failed("Bitmap '\(status.name)' is currently in use by another operation and cannot be used")
                }
                guard !status.isInconsistent else {
                    throw .failed("Bitmap '\(status.name)' is inconsistent and cannot be used")
                }
                guard !alias.hasPrefix("#") else {
                    throw .failed(
                        "Bitmap '\(status.name)' in a node with auto-generated name '\(alias)' can't be migrated")
                }
                guard mapping != nil || status.name.utf8.count <= 255 else {
                    throw .failed(
                        "Cannot migrate bitmap '\(status.name)' on node '\(alias)': Name is longer than 255 bytes")
                }
                found.append(
                    Departing(
                        node: node, name: status.name, alias: (alias, bitmap?.alias ?? status.name),
                        isPersistent: bitmap?.isPersistent ?? status.isPersistent, isRecording: status.isRecording))
            }
        }
        return found
    }

    /// What those bitmaps mark now. The machine stands.
    func cargo(_ mapping: BitmapMapping?) throws(MachineError) -> [BitmapCargo] {
        var cargo: [BitmapCargo] = []
        var bytes = 0
        for bitmap in try departing(mapping) {
            let marked = try marks(bitmap.node, bitmap.name)
            cargo.append(
                BitmapCargo(
                    node: bitmap.alias.node, name: bitmap.alias.name, size: bitmap.node.sizeInBytes,
                    granularity: marked.granularity, isRecording: bitmap.isRecording,
                    isPersistent: bitmap.isPersistent, ranges: marked.ranges))
            bytes += cargo.last?.runs.count ?? 0
            guard bytes <= 48 << 20 else { throw .failed("The marks of all bitmaps take more than 48 MiB") }
        }
        return cargo
    }

    /// Puts bitmaps that have come where they belong. What keeps one from its place: the machine runs without it.
    func unload(_ cargo: [BitmapCargo], _ mapping: BitmapMapping?) -> [String] {
        var complaints: [String] = []
        for bitmap in cargo {
            do throws(MachineError) {
                try unload(bitmap, mapping)
            } catch { complaints.append("\(error)") }
        }
        return complaints
    }

    private func unload(_ cargo: BitmapCargo, _ mapping: BitmapMapping?) throws(MachineError) {
        var (place, name, persistent) = (cargo.node, cargo.name, cargo.isPersistent)
        if let mapping {
            guard let entry = mapping.nodes.first(where: { $0.alias == cargo.node }) else {
                throw .failed("Unknown node alias '\(cargo.node)'")
            }
            guard let bitmap = entry.bitmaps.first(where: { $0.alias == cargo.name }) else {
                throw .failed(
                    "Unknown bitmap alias '\(cargo.name)' on node '\(entry.name)' (alias '\(cargo.node)')")
            }
            (place, name) = (entry.name, bitmap.name)
            persistent = bitmap.isPersistent ?? persistent
        }
        let node = try node(place)
        guard node.sizeInBytes == cargo.size else {
            throw .failed(
                "Bitmap '\(name)' is one of \(cargo.size) bytes, node '\(place)' has \(node.sizeInBytes)")
        }
        guard let image = node as? QCow2Node, image.bitmapList.contains(where: { $0.name == name }) else {
            return try add(cargo, name, place, persistent, node)
        }
        // The image came with it, and may have been another machine's: then it is the same.
        let isBroken = image.bitmapList.contains { $0.name == name && $0.flags & QCow2Bitmap.Flag.inUse != 0 }
        guard persistent, !isBroken else {
            throw .failed("Bitmap with the same name ('\(name)') already exists on destination")
        }
        try fill(cargo, name, node)
    }

    private func add(
        _ cargo: BitmapCargo, _ name: String, _ place: String, _ persistent: Bool, _ node: any BlockNode
    ) throws(MachineError) {
        if try usable(node, name) != nil {
            throw .failed("Bitmap with the same name ('\(name)') already exists on destination")
        }
        let arguments: JSONObject = [
            "node": .string(place), "name": .string(name), "granularity": .number(cargo.granularity),
            "persistent": .bool(persistent), "disabled": .bool(!cargo.isRecording),
        ]
        let undo = try addBitmap(arguments)
        do throws(MachineError) { try fill(cargo, name, node) } catch {
            undo()
            throw error
        }
    }

    private func fill(_ cargo: BitmapCargo, _ name: String, _ node: any BlockNode) throws(MachineError) {
        var failure: MachineError?
        do {
            try cargo.forEachBatch { ranges in
                do throws(MachineError) { try mark(ranges, cargo.granularity, name, node) } catch { failure = error }
            }
        } catch { throw .failed("Bitmap '\(name)': \(error)") }
        if let failure { throw failure }
    }
}
