internal import Devices
internal import FileSharing
internal import HostOS
internal import JSON
internal import Synchronization

/// Folders of `-fsdev` and `-device virtio-9p-…`.
extension BoardBuilder {
    func sharedFolder(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let id = properties.string("fsdev") ?? ""
        guard let folder = configuration.sharedFolders.first(where: { $0.id == id }) else {
            throw MachineBuildError(
                id.isEmpty
                    ? "\(device.origin): '\(device.driver)' needs fsdev=, the id of an -fsdev"
                    : "\(device.origin): there is no -fsdev with id '\(id)'")
        }
        guard let tag = properties.string("mount_tag"), !tag.isEmpty else {
            throw MachineBuildError("\(device.origin): '\(device.driver)' needs mount_tag=, the name to mount it by")
        }
        guard tag.utf8.count <= VirtioShare.mostTagBytes else {
            throw MachineBuildError(
                "\(device.origin): mount tag '\(tag)' is longer than maximum (\(VirtioShare.mostTagBytes))")
        }
        let session = try MachineBuildError.wrapping("-fsdev local,id=\(id): ") { () throws(HostError) in
            try ShareSession(folder.options)
        }
        let made = VirtioShare(tag: tag, session: session, scheduler: try worker(name))
        shares.add(folder.options.path, made)
        return made
    }
}

/// Devices that share folders, those that came later too. Any thread.
final class SharedFolders: Sendable {
    private let devices = Mutex<[(path: String, device: VirtioShare)]>([])
    private struct Outside: Sendable {
        let name: String
        weak let device: VhostDevice?
    }
    private let others = Mutex<[Outside]>([])

    func add(_ path: String, _ device: VirtioShare) { devices.withLock { $0.append((path, device)) } }
    func add(_ name: String, _ device: VhostDevice) {
        others.withLock { $0.append(Outside(name: name, device: device)) }
    }
    /// A device that keeps what the guest has open in another process; with `all`, any that has one.
    func outside(all: Bool) -> String? {
        others.withLock { others in
            for other in others {
                if let device = other.device, all || !device.isMigratable { return "\(other.name)/\(device.kind.name)" }
            }
            return nil
        }
    }
    /// A folder that the guest has mounted.
    var pathInUse: String? { devices.withLock { $0.first { $0.device.isInUse }?.path } }
}
