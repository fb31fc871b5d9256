/// The tables of a Parallels image ("Parallels Expandable Image File Format"), for reading.
final class ParallelsMap: ImageMap {
    let file: any BlockNode
    let size: UInt64
    private let clusterSize: UInt64
    private let multiplier: UInt64
    private let table: PagedTable<UInt32>
    var formatName: String { "parallels" }
    var isComplete: Bool { false }
    var description: ImageDescription {
        var description = ImageDescription()
        description.knowsDirt = false
        return description
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        let path = file.filename
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let (status, head) = file.bytesAndWait(at: 0, count: 64)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        let isExtended = head.prefix(16).elementsEqual("WithouFreSpacExt".utf8)
        guard isExtended || head.prefix(16).elementsEqual("WithoutFreeSpace".utf8),
            head.littleEndian(UInt32.self, at: 16) == 2
        else { throw fail("Image not in Parallels format") }
        let tracks = UInt64(head.littleEndian(UInt32.self, at: 28))
        guard tracks > 0 else { throw fail("Invalid image: Zero sectors per track") }
        guard tracks <= UInt64(Int32.max) / 513 else { throw fail("Invalid image: Too big cluster") }
        var sectors = head.littleEndian(UInt64.self, at: 36)
        if !isExtended { sectors &= 0xffff_ffff }
        guard sectors <= UInt64(Int64.max) / 512 else { throw fail("Invalid image: \(sectors) sectors") }
        let entries = head.littleEndian(UInt32.self, at: 32)
        guard entries <= UInt32(Int32.max) / 4 else { throw fail("Catalog too large") }
        clusterSize = tracks * 512
        multiplier = isExtended ? tracks : 1
        // What the table does not reach cannot be there.
        size = min(sectors * 512, UInt64(entries) * clusterSize)
        table = try PagedTable(file, "block allocation table", at: 64, count: Int(entries))
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let index = Int(offset / clusterSize)
        guard index < table.count else { throw .corrupt("offset \(offset) is behind the table") }
        let inside = offset % clusterSize
        let length = min(clusterSize - inside, size - offset)
        let entry = try table.number(index)
        guard entry != 0 else { return (.unallocated, length) }
        return (.data(file, UInt64(entry) * multiplier * 512 + inside), length)
    }

    func check(_ report: (String) -> Void) throws(BlockError) -> ImageCheck {
        var result = ImageCheck()
        result.totalClusters = UInt64(table.count)
        var (highest, before): (UInt64, UInt64) = (0, 0)
        let length = file.sizeInBytes
        try table.forEach { index, entry in
            let offset = UInt64(entry) * multiplier * 512
            guard offset != 0, offset <= length else {
                before = 0
                guard offset != 0 else { return }
                report("ERROR cluster \(index) is outside image")
                result.corruptions += 1
                return
            }
            result.allocatedClusters += 1
            highest = max(highest, offset)
            if before != 0 && before + clusterSize != offset { result.fragmentedClusters += 1 }
            before = offset
        }
        result.imageEnd = highest + clusterSize
        if length > result.imageEnd {
            let count = (length - result.imageEnd + clusterSize - 1) / clusterSize
            report("ERROR space leaked at the end of the image \(length - result.imageEnd)")
            result.leaks += count
        }
        return result
    }
}
