internal import BlockImage
internal import Devices
internal import Synchronization

/// A drive whose medium can be changed: the tray, which the device has, and what is in it, which `Storage` opens.
///
/// Any thread. The medium's lock is never held while the device is called.
final class RemovableDrive: Sendable {
    /// What is in the drive.
    struct Medium: Sendable {
        let device: BlockDevice
        /// The image's name, and its format as it was given or found.
        let file: String
        let format: String
        let cache: CacheMode
        let detectZeroes: DetectZeroes
    }
    /// The drive's name (`ide1-cd0`), empty for a device without `drive=`.
    let name: String
    /// The name of the device that it is, or nil.
    let id: String?
    /// The device's path in the object tree.
    let path: String
    private let channel: Int
    private let unit: Int
    // Weak: the controller's images are this drive's.
    private struct Device: Sendable { weak var controller: (any RemovableMediaHost)? }
    private let device = Mutex(Device())
    private let medium: Mutex<Medium?>

    init(name: String, id: String?, path: String, channel: Int, unit: Int, medium: Medium?) {
        self.name = name
        self.id = id
        self.path = path
        self.channel = channel
        self.unit = unit
        self.medium = Mutex(medium)
    }

    func connect(_ controller: any RemovableMediaHost) { device.withLock { $0.controller = controller } }
    private var controller: (any RemovableMediaHost)? { device.withLock { $0.controller } }

    /// Whether its controller is there.
    var isConnected: Bool { controller?.tray(channel: channel, unit: unit) != nil }
    /// Whether it is a diskette drive, whose media are written to.
    var isDiskette: Bool { channel == FloppyController.channel }
    /// Whether it hangs on that controller.
    func isConnected(to host: (any RemovableMediaHost)?) -> Bool { host != nil && controller === host }

    /// Whether it is the drive at a place, by which the device tells of its tray.
    func isAt(channel: Int, unit: Int) -> Bool { channel == self.channel && unit == self.unit }

    var tray: (isOpen: Bool, isLocked: Bool) { controller?.tray(channel: channel, unit: unit) ?? (false, false) }
    var current: Medium? { medium.withLock { $0 } }

    /// Opens the tray. False where the guest has locked it, which is told that somebody wants it open.
    func open(force: Bool) -> Bool {
        let tray = tray
        if tray.isOpen { return true }
        guard force || !tray.isLocked else {
            controller?.requestEject(channel: channel, unit: unit)
            return false
        }
        controller?.setTray(channel: channel, unit: unit, isOpen: true)
        return true
    }
    func close() { controller?.setTray(channel: channel, unit: unit, isOpen: false) }

    /// Puts in another medium, or none; what was there before.
    func exchange(_ new: Medium?) -> Medium? {
        controller?.changeMedium(channel: channel, unit: unit, backend: new?.device)
        return medium.withLock { medium in
            defer { medium = new }
            return medium
        }
    }
}
