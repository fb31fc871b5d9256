/// Where a piece of a disk is.
enum MappedPiece {
    /// Nowhere: the backing image's, or zero.
    case unallocated
    /// Zero, whatever the backing image says.
    case zero
    /// As it is, at an offset of a file.
    case data(any BlockNode, UInt64)
    /// Packed: unpacking gives the whole block that holds the offset.
    case packed
}

/// The tables of a format whose disk is a row of blocks, each somewhere in a file or nowhere. Not for several threads
/// at once: the node's lock is held around every call.
protocol ImageMap: AnyObject {
    /// The format's name.
    var formatName: String { get }
    /// The disk's size in bytes, a multiple of 512.
    var size: UInt64 { get }
    /// What is not allocated counts as the image's own, as it has nothing below it.
    var isComplete: Bool { get }
    /// Whether what is data at an offset may be a hole of the file, because all of it was laid out in advance.
    func isFlat(_ offset: UInt64) -> Bool
    /// What the format says of the image.
    var description: ImageDescription { get }

    /// What is at an offset inside the disk, and how long that goes on within its block.
    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64)
    /// Storage for the block that holds an offset; `link` makes it count. Throws `ENOTSUP` where the format cannot.
    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock
    /// The storage holds the block's content now.
    func link(_ block: NewBlock) throws(ImageFailure)
    /// Makes the whole block that begins at an offset zero without storage; false where the format cannot.
    func clear(_ offset: UInt64) throws(ImageFailure) -> Bool
    /// The block that is packed at an offset: its first byte on the disk, and its content.
    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8])
    /// The image is about to change for the first time.
    func beginWriting() throws(ImageFailure)
    /// Everything is to be on the disk.
    func flush() throws(ImageFailure)
    /// The image closes.
    func close() throws(ImageFailure)
}

/// Storage that a block of the disk is about to get.
struct NewBlock {
    /// The block's first byte on the disk.
    var start: UInt64
    /// Its length.
    var length: UInt64
    /// Where it goes.
    var file: any BlockNode
    var host: UInt64
    /// The storage reads as zeroes.
    var isZero: Bool
}

extension ImageMap {
    var isComplete: Bool { true }
    func isFlat(_ offset: UInt64) -> Bool { false }
    func clear(_ offset: UInt64) throws(ImageFailure) -> Bool { false }
    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        throw .corrupt("nothing packed")
    }
    func beginWriting() throws(ImageFailure) {}
    func flush() throws(ImageFailure) {}
    func close() throws(ImageFailure) {}
    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock { throw .io(95) }
    func link(_ block: NewBlock) throws(ImageFailure) {}
}

extension ImageFailure {
    /// The failure of a request to a node.
    static func check(_ status: Int32) throws(ImageFailure) {
        guard status == 0 else { throw .io(status) }
    }
}
