internal import BlockImage

/// What a range of a disk is, looking through the chain of images below it.
struct BlockStatus: Equatable {
    /// First byte and length.
    var offset: UInt64
    var length: UInt64
    /// There is data to read.
    var isData: Bool
    /// It reads as zeroes.
    var isZero: Bool
    /// Some image of the chain says what is here.
    var isPresent: Bool
    /// How many images down that one is.
    var depth: Int
    /// Where the bytes are in its file, and that file.
    var hostOffset: UInt64?
    var filename: String?
    var isCompressed = false
    /// A map shows nothing here.
    var isUnmapped = false
}

/// Walks over the runs of a disk.
final class StatusWalker {
    private let node: any BlockNode
    private let looksBelow: Bool
    /// There is an image further down that does not count.
    private let isPartOfChain: Bool
    /// Runs that have been fetched and not used up, one list a node of the chain.
    private var fetched: [[BlockExtent]]
    private let chain: [any BlockNode]
    private let checksHoles: [Bool]
    /// Damage further on does not keep what is before it from being told.
    private let isPatient: Bool
    private static let batch = 256

    /// A walk over the disk of `node`; without `looksBelow` as its own image alone says.
    init(
        _ node: any BlockNode, looksBelow: Bool = true, above base: (any BlockNode)? = nil, isPatient: Bool = false
    ) {
        self.node = node
        self.isPatient = isPatient
        self.looksBelow = looksBelow
        isPartOfChain = base != nil
        var chain = [node.unfiltered]
        if looksBelow {
            while let below = chain.last!.children.first(where: { $0.role == "backing" })?.node, below !== base {
                chain.append(below.unfiltered)
            }
        }
        self.chain = chain
        fetched = chain.map { _ in [] }
        checksHoles = chain.map { ($0 as? QCow2Node)?.isPreallocated ?? false }
    }

    /// The run that begins at `offset`, at most `limit` long. The offset lies inside the disk.
    func status(at offset: UInt64, limit: UInt64) throws(BlockError) -> BlockStatus {
        var length = min(limit, node.sizeInBytes - offset)
        for (depth, image) in chain.enumerated() {
            let size = image.sizeInBytes
            guard offset < size else {
                // A short image below: what is behind its end is zero, as the one above it sees it, whatever lies
                // further down.
                return BlockStatus(
                    offset: offset, length: length, isData: false, isZero: true, isPresent: isPartOfChain,
                    depth: max(0, depth - 1))
            }
            let extent = try extent(depth, offset, min(length, size - offset))
            length = min(length, extent.length)
            let isLast = depth == chain.count - 1
            if extent.isAllocated || extent.isZero || isLast {
                var status = BlockStatus(
                    offset: offset, length: length, isData: extent.isAllocated && (!extent.isZero || extent.isHole),
                    isZero: extent.isZero || (!extent.isAllocated && (!looksBelow || !hasBacking(image))),
                    isPresent: extent.isAllocated, depth: depth, hostOffset: extent.hostOffset,
                    filename: extent.hostOffset == nil ? nil : dataFile(of: image), isCompressed: extent.isCompressed)
                status.isUnmapped = extent.isUnmapped
                if !looksBelow && !extent.isAllocated && hasBacking(image) { status.isZero = extent.isZero }
                if status.isData, checksHoles[depth], let host = status.hostOffset {
                    try lookIntoFile(image, host, &status)
                }
                return status
            }
        }
        return BlockStatus(offset: offset, length: length, isData: false, isZero: true, isPresent: false, depth: 0)
    }

    private func hasBacking(_ image: any BlockNode) -> Bool { image.children.contains { $0.role == "backing" } }

    private func dataFile(of image: any BlockNode) -> String {
        (image.children.first { $0.role == "data-file" } ?? image.children.first { $0.role == "file" })?.node.filename
            ?? image.filename
    }

    /// Data of an image whose file has holes where it promises data may be zero after all.
    private func lookIntoFile(_ image: any BlockNode, _ host: UInt64, _ status: inout BlockStatus) throws(BlockError) {
        guard let file = image.children.first(where: { $0.role == "file" })?.node as? any SparseMappable else { return }
        guard let first = try file.extents(offset: host, length: status.length, limit: 1).first else { return }
        status.length = min(status.length, first.length)
        if first.isZero { status.isZero = true }
    }

    private func fetch(
        _ image: any SparseMappable, _ offset: UInt64, _ length: UInt64
    ) throws(BlockError) -> [BlockExtent] {
        do throws(BlockError) {
            return try image.extents(
                offset: offset, length: image.sizeInBytes - offset, limit: StatusWalker.batch)
        } catch {
            guard isPatient else { throw error }
            return try image.extents(offset: offset, length: min(length, ConvertSource.damagedStep), limit: 1)
        }
    }

    private func extent(_ depth: Int, _ offset: UInt64, _ length: UInt64) throws(BlockError) -> BlockExtent {
        guard let image = chain[depth] as? any SparseMappable else {
            return BlockExtent(offset: offset, length: length, isAllocated: true, isZero: false)
        }
        while let first = fetched[depth].last, first.offset + first.length <= offset { fetched[depth].removeLast() }
        if fetched[depth].last.map({ $0.offset > offset }) ?? true {
            fetched[depth] = try fetch(image, offset, length).reversed()
        }
        guard var extent = fetched[depth].last, extent.offset <= offset else {
            return BlockExtent(offset: offset, length: length, isAllocated: true, isZero: false)
        }
        let skipped = offset - extent.offset
        extent.offset = offset
        extent.length = min(extent.length - skipped, length)
        extent.hostOffset = extent.hostOffset.map { $0 + skipped }
        return extent
    }
}
