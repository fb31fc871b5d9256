internal import BlockImage
internal import HostOS

/// An image of which only a copy is written to, which goes with the process (`-s`).
enum TemporaryOverlay {
    /// Opens an empty overlay of an image. Nothing of it is left in the file system.
    static func open(
        _ text: String, format: String?, isOptionList: Bool, _ mode: OpenMode, _ session: Session
    ) throws(ToolFailure) -> OpenImage {
        var reading = mode
        reading.isWritable = false
        let base = try OpenImage(text, format: format, isOptionList: isOptionList, reading, session)
        let (size, driver, path) = (base.size, base.format, base.path)
        base.close()
        guard !isOptionList, !ImageName.isJSON(text) else {
            throw ToolFailure("A temporary snapshot is only made of an image that a file name names")
        }
        let folder: String
        do throws(HostError) {
            folder = try HostFile.makeTemporaryFolder(prefix: "/var/tmp/apus-overlay-")
        } catch {
            throw ToolFailure("Could not make a temporary snapshot: \(error)")
        }
        defer { HostFile.removeTree(folder) }
        var request = CreationRequest()
        request.isUnsafe = true
        request.size = size
        request.backing = path.hasPrefix("/") || NBDLocation.isLocation(path) ? path : absolute(path)
        request.backingFormat = driver
        let wasQuiet = session.isQuiet
        session.isQuiet = true
        defer { session.isQuiet = wasQuiet }
        try request.create("\(folder)/overlay", "qcow2", session)
        return try OpenImage("\(folder)/overlay", format: "qcow2", mode, session)
    }

    private static func absolute(_ path: String) -> String {
        guard let folder = HostFile.workingFolder else { return path }
        return "\(folder)/\(path)"
    }
}
