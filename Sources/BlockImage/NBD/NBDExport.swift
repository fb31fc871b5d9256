internal import Synchronization

/// A disk as an NBD server offers it.
public struct NBDExport: Sendable {
    /// The name that clients ask for.
    public var name: String
    /// What it says of itself.
    public var description: String?
    /// The disk.
    public let node: any BlockNode
    /// What takes clients' requests: the disk, or the device on it whose bitmaps and jobs hear of them.
    let backend: any BlockBackend
    /// Clients may not write.
    public var isReadOnly: Bool
    /// Several clients may be connected, and a flush of one holds for all.
    public var isShared = false
    /// Clients may ask how deep in the chain of backing images data lies.
    public var showsDepth = false
    private(set) var bitmaps: [NBDBitmap] = []
    /// Whether those who are connected have lost the leave to write.
    private let lostWriting = Flag()
    private final class Flag: Sendable { let isSet = Atomic(false) }

    /// Whether a client may change the disk now.
    var takesWrites: Bool { !isReadOnly && !lostWriting.isSet.load(ordering: .acquiring) }
    /// Clients may write no more, connected ones too.
    func endWriting() { lostWriting.isSet.store(true, ordering: .releasing) }

    /// An export of a node, which stays the caller's to close; by the device on it where jobs and bitmaps are to hear of
    /// what clients write.
    public init(name: String, node: any BlockNode, isReadOnly: Bool = false, by device: BlockDevice? = nil) {
        self.name = name
        self.node = node
        backend = device ?? node
        self.isReadOnly = isReadOnly || node.isReadOnly
    }

    /// Shows a bitmap of a running machine's.
    public mutating func add(_ bitmap: DirtyBitmap) { bitmaps.append(NBDBitmap(bitmap)) }

    /// Shows a persistent bitmap of an image. Blocks.
    public mutating func add(bitmap name: String, of image: QCow2Node) throws(BlockError) {
        bitmaps.append(try NBDBitmap(name, of: image))
    }

    /// Shows a persistent bitmap of the image, or of the nearest one below that has it. Blocks.
    public mutating func add(bitmap name: String) throws(BlockError) {
        var image: (any BlockNode)? = node
        while let current = image {
            if let qcow2 = current as? QCow2Node {
                do throws(BlockError) {
                    bitmaps.append(try NBDBitmap(name, of: qcow2))
                    return
                } catch {
                    guard case .bitmap(let text) = error, text.hasSuffix("is not found") else { throw error }
                }
            }
            let below = current.children
            image = (below.first { $0.role == "backing" } ?? below.first { $0.role == "file" })?.node
        }
        throw .bitmap("Bitmap '\(name)' is not found")
    }

    /// The metadata contexts; a context's number is its place.
    var contexts: [String] {
        [NBD.allocationContext] + (showsDepth ? [NBD.depthContext] : []) + bitmaps.map { NBD.bitmapPrefix + $0.name }
    }

    /// The transmission flags.
    func flags(isStructured: Bool) -> UInt16 {
        typealias Flag = NBD.TransmissionFlag
        var flags = Flag.hasFlags | Flag.flush | Flag.forceUnitAccess | Flag.cache
        flags |= isReadOnly ? Flag.readOnly : Flag.trim | Flag.writeZeroes | Flag.fastZero
        if isStructured { flags |= Flag.dontFragment }
        if isShared { flags |= Flag.multipleConnections }
        return flags
    }

    /// Whether zeroes are made by changing tables or holes, not by writing.
    var hasFastZeroes: Bool { node is QCow2Node || node is RawNode }

    /// What a context says of a range, at most `limit` runs. Blocks.
    func status(
        _ context: String, offset: UInt64, length: UInt64, limit: Int
    ) throws(BlockError) -> [(length: UInt32, flags: UInt32)] {
        var runs: [(length: UInt32, flags: UInt32)] = []
        func add(_ length: UInt64, _ flags: UInt32) {
            if let last = runs.last, last.flags == flags, UInt64(last.length) + length <= UInt64(UInt32.max) {
                runs[runs.count - 1].length += UInt32(length)
            } else {
                runs.append((UInt32(min(length, UInt64(UInt32.max))), flags))
            }
        }
        if let bitmap = bitmaps.first(where: { NBD.bitmapPrefix + $0.name == context }) {
            for run in bitmap.runs(offset: offset, length: length, limit: limit) {
                add(run.length, run.isDirty ? NBD.StateFlag.dirty : 0)
            }
            return runs
        }
        var at = offset
        let end = offset + length
        while at < end && runs.count < limit {
            for (extent, depth) in try NBDExport.extents(node, at, end - at, limit, 1) {
                if context == NBD.depthContext {
                    add(extent.length, depth)
                } else {
                    let isData = extent.isAllocated && (!extent.isZero || extent.isHole)
                    add(extent.length, (isData ? 0 : NBD.StateFlag.hole) | (extent.isZero ? NBD.StateFlag.zero : 0))
                }
                at += extent.length
            }
        }
        // The last one may have been joined with what was too much.
        return Array(runs.prefix(limit))
    }

    /// The runs of a range as the whole chain has them, with the depth (1: the image itself; 0: nowhere). Not empty,
    /// and never longer than the range.
    private static func extents(
        _ node: any BlockNode, _ offset: UInt64, _ length: UInt64, _ limit: Int, _ depth: UInt32
    ) throws(BlockError) -> [(BlockExtent, UInt32)] {
        let node = node.unfiltered
        let known = try (node as? any SparseMappable)?.extents(offset: offset, length: length, limit: limit) ?? []
        guard !known.isEmpty else {
            return [(BlockExtent(offset: offset, length: length, isAllocated: true, isZero: false), depth)]
        }
        let backing = node.children.first { $0.role == "backing" }?.node
        var result: [(BlockExtent, UInt32)] = []
        for var extent in known {
            if extent.isAllocated || extent.isZero {
                result.append((extent, extent.isAllocated ? depth : 0))
                continue
            }
            let size = backing?.sizeInBytes ?? 0
            guard let backing, extent.offset < size else {
                extent.isZero = true
                result.append((extent, 0))
                continue
            }
            let count = min(extent.length, size - extent.offset)
            let below = try extents(backing, extent.offset, count, limit, depth + 1)
            result += below
            // What the image below could not tell within the limit is left for the next question.
            let told = below.reduce(UInt64(0)) { $0 + $1.0.length }
            if told < count { return result }
            if count < extent.length {
                var rest = extent
                rest.offset += count
                rest.length -= count
                rest.isZero = true
                result.append((rest, 0))
            }
        }
        return result
    }
}
