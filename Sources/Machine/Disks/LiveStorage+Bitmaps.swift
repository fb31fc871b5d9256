internal import BlockImage
internal import JSON
internal import Synchronization

// Dirty bitmaps: those of the running machine, and those that a qcow2 image keeps.
extension LiveStorage {
    /// What a bitmap marked when a job took it.
    struct Marked: Sendable {
        let node: any BlockNode
        let name: String
        /// Bytes.
        let ranges: [Range<UInt64>]
        let granularity: UInt64
        let isPersistent: Bool
    }
    private func entry(_ node: any BlockNode, _ name: String) -> Bitmap? {
        state.withLock { state in
            state.bitmaps.first { $0.node == node.nodeName && $0.bitmap.name == name }
        }
    }
    private func image(_ node: any BlockNode, _ name: String) throws(MachineError) -> QCow2Node {
        guard let image = node as? QCow2Node, image.bitmapList.contains(where: { $0.name == name }) else {
            throw .failed("Dirty bitmap '\(name)' not found")
        }
        return image
    }
    func usable(_ node: any BlockNode, _ name: String) throws(MachineError) -> Bitmap? {
        guard let found = entry(node, name) else { return nil }
        guard !found.isBusy else {
            throw .failed("Bitmap '\(name)' is currently in use by another operation and cannot be used")
        }
        return found
    }
    func setBusy(_ node: String, _ name: String, _ isBusy: Bool) {
        state.withLock { state in
            guard let place = state.bitmaps.firstIndex(where: { $0.node == node && $0.bitmap.name == name }) else {
                return
            }
            state.bitmaps[place].isBusy = isBusy
        }
    }

    /// What a bitmap marks, for a backup; it is empty afterwards, unless it `keeps` its marks.
    func takeBitmap(_ name: String, of node: any BlockNode, keeps: Bool) throws(MachineError) -> Marked {
        if let found = try usable(node, name) {
            let marked = Marked(
                node: node, name: name, ranges: found.bitmap.ranges, granularity: found.bitmap.granularity,
                isPersistent: false)
            if !keeps { found.bitmap.clear() }
            setBusy(node.nodeName, name, true)
            return marked
        }
        let marked = try marks(node, name)
        let image = try image(node, name)
        if !keeps { try images { () throws(BlockError) in try image.changeBitmap(name, .clear) } }
        return marked
    }
    /// A backup that took a bitmap's marks did not work: they are there again, besides the new ones.
    func giveBack(_ marked: Marked) {
        try? mark(marked.ranges, marked.granularity, marked.name, marked.node)
    }
    /// Marks more in a bitmap: ranges of bytes that came of granules of a size.
    func mark(
        _ ranges: [Range<UInt64>], _ size: UInt64, _ name: String, _ node: any BlockNode
    ) throws(MachineError) {
        if let found = entry(node, name) { return found.bitmap.mark(ranges) }
        let image = try image(node, name)
        let granules = ranges.map { $0.lowerBound / size..<($0.upperBound + size - 1) / size }
        try images { () throws(BlockError) in
            try image.changeBitmap(name, .merge(granularity: size, ranges: granules))
        }
    }
    func release(_ marked: Marked) { setBusy(marked.node.nodeName, marked.name, false) }

    /// What a bitmap marks now.
    func marks(_ node: any BlockNode, _ name: String) throws(MachineError) -> Marked {
        if let found = entry(node, name) {
            return Marked(
                node: node, name: name, ranges: found.bitmap.ranges, granularity: found.bitmap.granularity,
                isPersistent: false)
        }
        let image = try image(node, name)
        let (granularity, granules) = try images { () throws(BlockError) in try image.bitmapRanges(name) }
        let size = image.sizeInBytes
        let ranges = granules.compactMap { run -> Range<UInt64>? in
            let start = run.lowerBound.multipliedReportingOverflow(by: granularity)
            let end = run.upperBound.multipliedReportingOverflow(by: granularity)
            guard !start.overflow, start.partialValue < size else { return nil }
            return start.partialValue..<(end.overflow ? size : min(size, end.partialValue))
        }
        return Marked(node: node, name: name, ranges: ranges, granularity: granularity, isPersistent: true)
    }

    // MARK: Commands

    func addBitmap(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let node = try node(arguments.string("node") ?? "")
        let name = arguments.string("name") ?? ""
        guard !name.isEmpty else { throw .failed("Bitmap name cannot be empty") }
        guard name.utf8.count <= 1023 else { throw .failed("Bitmap name too long: \(name.prefix(40))…") }
        let image = node as? QCow2Node
        guard entry(node, name) == nil, !(image?.bitmapList.contains { $0.name == name } ?? false) else {
            throw .failed("Bitmap already exists: \(name)")
        }
        let granularity = arguments["granularity"]?.uint64Value ?? image?.defaultGranularity ?? 65536
        guard granularity >= 512, granularity <= 1 << 31, granularity & (granularity - 1) == 0 else {
            throw .failed("Granularity must be power of 2 and at least 512")
        }
        let isRecording = arguments["disabled"] != true
        if arguments["persistent"] == true {
            guard let image else {
                throw .failed("Cannot store persistent bitmaps in images of the format '\(node.driverName)'")
            }
            try images { () throws(BlockError) in
                try image.changeBitmap(name, .add(granularity: granularity, isEnabled: isRecording))
            }
            return { try? image.changeBitmap(name, .remove) }
        }
        let device = try carrier(of: node)
        let bitmap = DirtyBitmap(
            name: name, size: node.sizeInBytes, granularity: granularity, isRecording: isRecording)
        device.attach(bitmap)
        state.withLock { $0.bitmaps.append(Bitmap(node: node.nodeName, device: device, bitmap: bitmap)) }
        return { [weak self] in self?.drop(node, name) }
    }
    private func drop(_ node: any BlockNode, _ name: String) {
        guard let found = entry(node, name) else { return }
        found.device.detach(found.bitmap)
        state.withLock { state in state.bitmaps.removeAll { $0.bitmap === found.bitmap } }
    }

    func removeBitmap(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let node = try node(arguments.string("node") ?? "")
        let name = arguments.string("name") ?? ""
        if let found = try usable(node, name) {
            drop(node, name)
            return { [weak self] in
                self?.state.withLock { $0.bitmaps.append(found) }
                self?.settleBitmaps()
            }
        }
        let image = try image(node, name)
        let marked = try? marks(node, name)
        let isRecording = image.bitmapList.first { $0.name == name }.map { $0.flags & QCow2Bitmap.Flag.auto != 0 }
        try images { () throws(BlockError) in try image.changeBitmap(name, .remove) }
        return { [weak self] in
            guard let marked else { return }
            try? image.changeBitmap(name, .add(granularity: marked.granularity, isEnabled: isRecording ?? true))
            self?.giveBack(marked)
        }
    }

    func clearBitmap(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let node = try node(arguments.string("node") ?? "")
        let marked = try takeBitmap(arguments.string("name") ?? "", of: node, keeps: false)
        release(marked)
        return { [weak self] in self?.giveBack(marked) }
    }

    func setRecording(_ arguments: JSONObject, _ isOn: Bool) throws(MachineError) -> Undo {
        let node = try node(arguments.string("node") ?? "")
        let name = arguments.string("name") ?? ""
        if let found = try usable(node, name) {
            let before = found.bitmap.isRecording
            found.bitmap.isRecording = isOn
            return { found.bitmap.isRecording = before }
        }
        let image = try image(node, name)
        let before = image.bitmapList.first { $0.name == name }.map { $0.flags & QCow2Bitmap.Flag.auto != 0 } ?? isOn
        try images { () throws(BlockError) in try image.changeBitmap(name, isOn ? .enable : .disable) }
        return { try? image.changeBitmap(name, before ? .enable : .disable) }
    }

    func mergeBitmaps(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let node = try node(arguments.string("node") ?? "")
        let target = arguments.string("target") ?? ""
        let before = try marks(node, target)
        var sources: [Marked] = []
        for source in arguments["bitmaps"]?.arrayValue ?? [] {
            if let name = source.stringValue {
                sources.append(try marks(node, name))
            } else if let object = source.objectValue, let name = object.string("name") {
                sources.append(try marks(try self.node(object.string("node") ?? ""), name))
            } else {
                throw .failed("Invalid parameter type for 'bitmaps[]', expected: string or an object")
            }
            let size = sources.last?.node.sizeInBytes ?? 0
            guard size == node.sizeInBytes else {
                throw .failed(
                    "Bitmaps are of different sizes (destination size is \(node.sizeInBytes), source size is \(size)) and "
                        + "can't be merged")
            }
        }
        if let found = try usable(node, target) {
            for source in sources { found.bitmap.mark(source.ranges) }
            return {
                found.bitmap.clear()
                found.bitmap.mark(before.ranges)
            }
        }
        let image = try image(node, target)
        for source in sources { try mark(source.ranges, source.granularity, target, node) }
        return { [weak self] in
            try? image.changeBitmap(target, .clear)
            self?.giveBack(before)
        }
    }

    /// A node's bitmaps for `query-block` and `query-named-block-nodes`.
    func bitmapStatus(_ node: any BlockNode) -> [BlockDeviceStatus.DirtyBitmap] {
        let own = state.withLock { state in state.bitmaps.filter { $0.node == node.nodeName } }.map { entry in
            BlockDeviceStatus.DirtyBitmap(
                name: entry.bitmap.name, granularity: entry.bitmap.granularity, dirtyBytes: entry.bitmap.dirtyBytes,
                isRecording: entry.bitmap.isRecording, isBusy: entry.isBusy, isPersistent: false)
        }
        let kept = ((node as? QCow2Node)?.bitmapList ?? []).map { bitmap in
            let isBroken = bitmap.flags & QCow2Bitmap.Flag.inUse != 0
            let marked = isBroken ? nil : try? marks(node, bitmap.name)
            var status = BlockDeviceStatus.DirtyBitmap(
                name: bitmap.name, granularity: bitmap.granularity,
                dirtyBytes: marked.map { $0.ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) } } ?? 0,
                isRecording: bitmap.flags & QCow2Bitmap.Flag.auto != 0, isBusy: false, isPersistent: true)
            status.isInconsistent = isBroken
            return status
        }
        return own + kept
    }
}
