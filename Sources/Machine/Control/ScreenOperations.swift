/// The format of a picture's file.
public enum PictureFormat: String, CaseIterable, Sendable {
    /// Portable pixmap.
    case ppm
    /// Portable Network Graphics.
    case png
}

/// What monitors ask about pictures and keys. Any thread but a processor's.
public protocol ScreenOperations: AnyObject, Sendable {
    /// Writes what an adapter shows to a file of the host. `device` is an adapter's id, nil the first adapter's.
    func saveScreen(
        device: String?, head: Int, format: PictureFormat, to path: String
    ) throws(MachineError)
}

extension ScreenOperations {
    public func saveScreen(
        device: String?, head: Int, format: PictureFormat, to path: String
    ) throws(MachineError) { throw .failed("There is no console to take a screendump from.") }
}
