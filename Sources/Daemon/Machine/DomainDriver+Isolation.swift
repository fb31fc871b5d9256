internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire

/// Machines' users, and the roots that their processes see.
extension DomainDriver {
    /// Lets the machine's user at its images. Where that cannot be, a machine whose user is the daemon's choice runs as root.
    func takeImages(
        _ domain: Domain, _ live: XMLTree, _ user: inout MachineUser
    ) throws(LibvirtError) {
        guard user.changesOwners, let owner = user.owner else { return }
        let shared = DomainFigures.devices(live, "disk").filter { $0.child("shareable") != nil }
        do throws(LibvirtError) {
            try owners.take(
                domain.uuid, MachineConfinement.files(live), shared: Set(shared.compactMap { DomainFigures.path($0) }),
                owner)
        } catch {
            user.giveUp()
            guard user.owner == nil else { throw error }
            log.warning("'\(domain.name)' runs as root: \(error)")
        }
    }

    /// The namespaces of a machine's own; nil where the host has none for it.
    func isolation(
        _ places: [MachineConfinement.Place], _ user: MachineUser, hasOwnNetwork: Bool
    ) throws(HostError) -> ProcessIsolation? {
        guard MachineRoot.isSupported else { return nil }
        let staging = paths.run + "/root"
        try HostFolder.make(staging, permissions: 0o700)
        let root = MachineRoot(staging: staging, owner: user.owner?.user ?? 0, places: places)
        return ProcessIsolation(steps: root.steps, hasOwnNetwork: hasOwnNetwork)
    }
}

extension MachineConfinement {
    /// Sockets that a machine connects to. Switches make theirs anew when they come back, so it is their folders' folder.
    static func sockets(_ live: XMLTree, _ attachments: [Int: LaunchPlan.Attachment]) -> [Place] {
        var list: [Place] = []
        for case .stream(let path, _) in attachments.values {
            let folders = path.split(separator: "/").dropLast(2)
            if !folders.isEmpty { list.append(("/" + folders.joined(separator: "/"), .read)) }
        }
        func look(_ element: XMLTree) {
            for path in [element["socket"], element["type"] == "unix" ? element["path"] : nil] {
                if let path, path.hasPrefix("/"), HostFile.status(path).kind == .socket { list.append((path, .read)) }
            }
            for child in element.children { look(child) }
        }
        if let devices = live.child("devices") { look(devices) }
        return list
    }

    /// Makes the files that a machine is to write what it says to, as it can make none itself.
    static func makeFiles(_ live: XMLTree, folder: String) {
        for device in live.child("devices")?.children ?? [] {
            var paths = [device.child("log")?["file"]]
            if let log = device.child("log"), let path = log["file"], log["append"] != "on", path.hasPrefix("/") {
                _ = try? HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
            }
            if device["type"] == "file" { paths.append(device.child("source")?["path"]) }
            if device.name == "shmem", let name = device["name"] { paths.append("/dev/shm/\(name)") }
            for path in paths.compactMap({ $0 }) where path.hasPrefix("/") && HostFile.status(path).kind == .nothing {
                // What cannot be made is the machine's own error.
                _ = try? HostFile.open(path, HostFile.Mode.append, permissions: 0o600)
            }
        }
    }
}
