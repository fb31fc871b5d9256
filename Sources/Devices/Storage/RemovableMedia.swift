public import BlockImage

/// A controller with drives whose media can be changed. Any thread.
public protocol RemovableMediaHost: AnyObject, Sendable {
    /// A drive's tray; nil where there is no such drive.
    func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)?
    /// Moves a drive's tray, locked or not.
    func setTray(channel: Int, unit: Int, isOpen: Bool)
    /// Tells the guest that somebody pressed the button of a drive whose tray it has locked.
    func requestEject(channel: Int, unit: Int)
    /// Puts another image into a drive, or none. Waits for a request on its way to the image before.
    func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?)
}

extension IDEController: RemovableMediaHost {}
