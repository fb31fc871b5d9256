internal import BlockImage

/// Where a new image goes that is no file which could be made: a block device, or an export of an NBD server. Its size is
/// fixed, and its content is lost.
struct NewImagePlace {
    /// The driver that opens it.
    let driver: String
    private let path: String

    /// nil for the path of a file.
    init?(_ text: String) {
        if NBDLocation.isLocation(text) {
            (driver, path) = ("nbd", text)
        } else {
            path = ImageReference.stripped(text)
            guard (try? BlockGraph.isDevice(path)) ?? false else { return nil }
            driver = "host_device"
        }
    }

    /// Opens it while the body writes into it.
    func open(_ session: Session, _ body: (any Resizable) throws(BlockError) -> Void) throws(BlockError) {
        let graph = BlockGraph(defaultAIO: .threads, secrets: session.secrets, throttles: session.throttles)
        defer { graph.closeAll() }
        let node: any BlockNode
        do throws(BlockError) {
            node = try graph.open(["driver": driver, "filename": path, "discard": "unmap"])
        } catch {
            throw .message(
                "Protocol driver '\(driver)' does not support image creation, and opening the image failed: "
                    + Wording.reason(error))
        }
        guard let file = node as? any Resizable else { return }
        try body(file)
    }

    /// Makes it a raw image: nobody is to take what it held for one of another format.
    func makeRaw(size: UInt64, _ session: Session) throws(BlockError) {
        try open(session) { file throws(BlockError) in
            guard size <= file.sizeInBytes else {
                throw .message(driver == "nbd" ? "Cannot grow NBD nodes" : "Cannot grow device files")
            }
            let head = min(512, file.sizeInBytes)
            guard head > 0 else { return }
            let status = file.performAndWait(.writeZeroes(mayUnmap: false), offset: 0, length: head)
            guard status == 0 else { throw .message("Failed to clear the new image's first sector") }
            _ = file.performAndWait(.flush)
        }
    }
}
