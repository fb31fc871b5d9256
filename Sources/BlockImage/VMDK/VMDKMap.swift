/// A VMDK image: extents one behind the other.
final class VMDKMap: ImageMap {
    private var descriptor: VMDKDescriptor
    private let descriptorFile: any BlockNode
    private let descriptorPlace: (offset: UInt64, size: Int)?
    let extents: [VMDKExtent]
    let size: UInt64

    var formatName: String { "vmdk" }
    var isComplete: Bool { false }
    var parent: String? { descriptor.parentIdentity == .max ? nil : descriptor.parent }
    /// Only packed grains can be added.
    var isPacked: Bool {
        if case .sparse(let sparse)? = extents.first?.kind { return sparse.isCompressed }
        return false
    }
    var grainSize: UInt64 {
        if case .sparse(let sparse)? = extents.first?.kind { return sparse.grainSize }
        return 0
    }

    init(
        _ descriptor: VMDKDescriptor, in file: any BlockNode, at place: (offset: UInt64, size: Int)?,
        _ extents: [VMDKExtent]
    ) {
        self.descriptor = descriptor
        descriptorFile = file
        descriptorPlace = place
        self.extents = extents
        size = extents.last.map { $0.start + $0.length } ?? 0
    }

    var description: ImageDescription {
        var description = ImageDescription()
        var sizes: Set<UInt64> = []
        let list = extents.map { extent -> ImageFact.Value in
            var facts: [ImageFact] = []
            var grain: UInt64?
            if case .sparse(let sparse) = extent.kind {
                if sparse.isCompressed { facts.append(ImageFact("compressed", .flag(true))) }
                grain = sparse.grainSize
            }
            facts.append(ImageFact("virtual-size", .number(extent.length)))
            facts.append(ImageFact("filename", .text(extent.file.filename)))
            if let grain { facts.append(ImageFact("cluster-size", .number(grain))) }
            facts.append(ImageFact("format", .text(extent.word)))
            sizes.insert(grain ?? 0)
            return .group(facts)
        }
        if sizes.count == 1, let only = sizes.first, only > 0 { description.clusterSize = only }
        if let parent {
            description.backing = parent
            description.backingFormat = "vmdk"
        }
        description.specific = [
            ImageFact("cid", .number(UInt64(descriptor.identity))),
            ImageFact("parent-cid", .number(UInt64(descriptor.parentIdentity))),
            ImageFact("create-type", .text(descriptor.createType)), ImageFact("extents", .list(list)),
        ]
        return description
    }

    private func extent(_ offset: UInt64) throws(ImageFailure) -> VMDKExtent {
        var (low, high) = (0, extents.count)
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].start + extents[middle].length <= offset { low = middle + 1 } else { high = middle }
        }
        guard low < extents.count else { throw .corrupt("offset \(offset) is in no extent") }
        return extents[low]
    }

    func isFlat(_ offset: UInt64) -> Bool {
        if case .flat? = try? extent(offset).kind { return true }
        return false
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let extent = try extent(offset)
        return try extent.find(offset - extent.start)
    }

    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        let extent = try extent(offset)
        let block = try extent.unpack(offset - extent.start)
        return (block.start + extent.start, block.bytes)
    }

    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock {
        let extent = try extent(offset)
        var block = try extent.allocate(offset - extent.start)
        block.start += extent.start
        return block
    }

    func link(_ block: NewBlock) throws(ImageFailure) {
        let extent = try extent(block.start)
        try extent.link(block.start - extent.start, host: block.host, end: block.host + block.length)
    }

    func clear(_ offset: UInt64) throws(ImageFailure) -> Bool {
        let extent = try extent(offset)
        return try extent.clear(offset - extent.start)
    }

    func writePacked(_ offset: UInt64, _ packed: [UInt8]) throws(ImageFailure) {
        let extent = try extent(offset)
        try extent.writePacked(offset - extent.start, packed)
    }

    /// An image that changes gets another identity, so that an overlay of the old content is known to be stale.
    func beginWriting() throws(ImageFailure) {
        descriptor.renew(UInt32.random(in: 1..<UInt32.max - 1))
        var bytes = Array(descriptor.text.utf8)
        if let descriptorPlace {
            guard bytes.count <= descriptorPlace.size else { return }
            bytes += [UInt8](repeating: 0, count: descriptorPlace.size - bytes.count)
            try ImageFailure.check(descriptorFile.writeAndWait(at: descriptorPlace.offset, bytes: bytes))
        } else {
            try ImageFailure.check(descriptorFile.writeAndWait(at: 0, bytes: bytes))
            do throws(BlockError) {
                try (descriptorFile as? any Resizable)?.resize(to: UInt64(bytes.count), preallocation: .off)
            } catch { throw .io(5) }
        }
    }

    /// Looks for grains that lie behind the end of their file.
    func check(_ report: (String) -> Void) throws(ImageFailure) -> ImageCheck {
        var result = ImageCheck()
        var at: UInt64 = 0
        while at < size {
            let (piece, length) = try find(at)
            if case .data(let file, let host) = piece, host >= file.sizeInBytes {
                report("ERROR: data after EOF for sector \(at / 512)")
                result.corruptions += 1
                break
            }
            at += length
        }
        return result
    }
}
