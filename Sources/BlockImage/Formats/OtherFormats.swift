/// Making images of the formats beside raw and qcow2. Each writes into a file that is there, whose content is lost.
public enum OtherFormats {
    /// A VDI image.
    public static func createVDI(size: UInt64, isStatic: Bool, in file: any Resizable) throws(BlockError) {
        try VDIMap.create(size: size, isStatic: isStatic, in: file, identifier: identifier(32))
    }

    /// A VPC image; its disk may be a little larger, unless it is to be exact.
    public static func createVPC(
        size: UInt64, isFixed: Bool, isExact: Bool, in file: any Resizable
    ) throws(BlockError) {
        try VPCMap.create(size: size, isFixed: isFixed, isExact: isExact, in: file, identifier: identifier(16))
    }

    /// Gives a new file of holes one block of storage, from which direct I/O can tell its alignment.
    public static func allocateFirstBlock(_ file: any BlockNode) throws(BlockError) {
        try file.put([UInt8](repeating: 0, count: Int(min(4096, file.sizeInBytes))), at: 0)
    }

    /// Random bytes that tell one image from another.
    static func identifier(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}

extension MappedNode: CheckableImage {
    public func check(
        repair: ImageCheck.Repair, report: @escaping (String) -> Void
    ) throws(BlockError) -> ImageCheck {
        if let vdi = map.value as? VDIMap {
            guard repair == .nothing else { throw .io(path: filename, operation: "repair", 95) }
            return try vdi.check(report)
        }
        // A log was carried out when the image was opened; there is nothing else to look at.
        if map.value is VHDXMap { return ImageCheck() }
        if repair == .nothing {
            if let parallels = map.value as? ParallelsMap { return try parallels.check(report) }
            do throws(ImageFailure) {
                if let vmdk = map.value as? VMDKMap { return try vmdk.check(report) }
                if let qed = map.value as? QEDMap { return try qed.check(report) }
            } catch {
                throw .io(path: filename, operation: "check", error.status)
            }
        }
        throw .io(path: filename, operation: "check", 95)
    }
}
