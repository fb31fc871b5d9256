/// What a check of an image's metadata found, and what it mended.
public struct ImageCheck: Sendable, Hashable {
    /// What a check may change.
    public enum Repair: Sendable {
        case nothing
        /// Clusters that nothing refers to are given up.
        case leaks
        /// And what is wrong is made right.
        case all
    }

    /// Things that are wrong: content is lost or may be.
    public var corruptions: UInt64 = 0
    /// Clusters that are taken and not used.
    public var leaks: UInt64 = 0
    /// Things that could not be looked at.
    public var errors: UInt64 = 0
    /// Mended of each.
    public var corruptionsFixed: UInt64 = 0
    public var leaksFixed: UInt64 = 0
    /// The end of the last cluster in use; 0 where the format does not know.
    public var imageEnd: UInt64 = 0
    /// Clusters of the guest's disk: all, with storage, not one behind the other, and packed.
    public var totalClusters: UInt64 = 0
    public var allocatedClusters: UInt64 = 0
    public var fragmentedClusters: UInt64 = 0
    public var compressedClusters: UInt64 = 0

    /// A check that has found nothing.
    public init() {}
}

/// A node whose format can be checked.
public protocol CheckableImage: BlockNode {
    /// Checks the image, and mends what `repair` allows; `report` gets a line at a time. Blocks; nothing else may use
    /// the image meanwhile, and after a repair it is to be opened anew.
    func check(repair: ImageCheck.Repair, report: @escaping (String) -> Void) throws(BlockError) -> ImageCheck
}

extension QCow2Node: CheckableImage {
    public func check(
        repair: ImageCheck.Repair, report: @escaping (String) -> Void
    ) throws(BlockError) -> ImageCheck {
        guard repair == .nothing || !isReadOnly else { throw .readOnly(path: filename) }
        return try alone { () throws(BlockError) in
            try QCow2Check(file: file, repair: repair, report: report).run()
        }
    }
}
