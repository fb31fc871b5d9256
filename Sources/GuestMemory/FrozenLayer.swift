public import HostOS
internal import Synchronization

/// Bytes of a block that nobody changes any more, in a sealed memory file that several processes have in common.
public struct FrozenLayer: Sendable {
    /// The file, sealed.
    public var file: Descriptor
    /// Where in it the block's first byte would be.
    public var offset: Int64
    /// The pages that it has, in ascending order; nil: all.
    public var runs: [Run]?

    /// Pages that follow one another.
    public struct Run: Equatable, Sendable {
        public var first: Int
        public var count: Int
        /// So many pages.
        public init(first: Int, count: Int) {
            self.first = first
            self.count = count
        }
    }

    /// A layer of a file.
    public init(file: Descriptor, offset: Int64, runs: [Run]?) {
        self.file = file
        self.offset = offset
        self.runs = runs
    }
}

extension RAMBlock {
    /// The layers that the block stands on, the lowest first: what it has not changed since is theirs. Empty for
    /// one that is not frozen.
    public var frozen: [FrozenLayer] { layers.withLock { $0 } }

    /// Makes the bytes of a layer the block's, above the layers that it stands on: what the process changes from now on
    /// is its own. The first layer has all pages. While nobody writes to the block.
    public func freeze(onto layer: FrozenLayer) throws(HostError) {
        guard layer.file.isSealed, layer.offset >= 0, layer.offset & 4095 == 0,
            layer.file.fileSize - layer.offset >= Int64(size)
        else { throw HostError.noDescriptor("use a file as frozen memory that may change or is too short") }
        if let runs = layer.runs {
            guard !frozen.isEmpty else { throw HostError.noDescriptor("freeze memory onto a part of it") }
            for run in runs {
                guard run.first >= 0, run.count > 0, run.count <= size >> 12, run.first <= size >> 12 - run.count else {
                    throw HostError.noDescriptor("use pages as frozen memory that are not there")
                }
                try mapping.replace(
                    offset: run.first << 12, count: run.count << 12, with: layer.file,
                    at: layer.offset + Int64(run.first) << 12)
            }
            layers.withLock { $0.append(layer) }
        } else {
            try mapping.replace(offset: 0, count: size, with: layer.file, at: layer.offset)
            layers.withLock { $0 = [layer] }
        }
        view.store(View.frozen, ordering: .relaxed)
    }

    /// Makes the file of a block that was to be shared its lowest layer, without a copy: others may map it from now on,
    /// and nobody writes to it. Nil for a block of another kind, or whose file others write to. While nobody writes to
    /// the block.
    public func freezeInPlace() throws(HostError) -> FrozenLayer? {
        guard case .shared = backing, let file, file.fileSize >= Int64(size) else { return nil }
        try mapping.replace(offset: 0, count: size, with: file, at: 0)
        do throws(HostError) { try file.seal() } catch {
            // Somebody else has it too.
            try mapping.replaceShared(offset: 0, count: size, with: file, at: 0)
            return nil
        }
        let layer = FrozenLayer(file: file, offset: 0, runs: nil)
        layers.withLock { $0 = [layer] }
        view.store(View.frozen, ordering: .relaxed)
        return layer
    }
}
