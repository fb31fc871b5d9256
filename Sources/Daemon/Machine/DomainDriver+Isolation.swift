internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

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

    /// Labels a machine's folder, with what is in it.
    func relabel(_ folder: String, _ label: MachineLabel) throws(HostError) {
        for name in try HostFolder.names(in: folder) { try SecurityLabels.set("\(folder)/\(name)", label.image) }
        try SecurityLabels.set(folder, label.image)
    }

    /// Labels the images that a machine opens when it starts, and the file with the state that it begins with.
    func labelImages(
        _ domain: Domain, _ live: XMLTree, _ label: MachineLabel, state: String?
    ) throws(LibvirtError) {
        guard let policy = LabelPolicy.host else { return }
        var files = label.files(live, policy, hasRoot: MachineRoot.isSupported)
        if let path = state.flatMap({ HostFile.realPath($0) }), label.relabels { files.append((path, label.image)) }
        try imageLabels.take(domain.uuid, files)
    }

    /// Labels one more image for a machine that runs, before it has it; nothing for one without a label.
    func labelImage(_ domain: Domain, _ path: String, writes: Bool) throws(LibvirtError) {
        guard let policy = LabelPolicy.host, let live = domain.state.withLock({ $0.live }),
            let label = MachineLabel(live), label.relabels, let path = HostFile.realPath(path)
        else { return }
        try imageLabels.take(domain.uuid, [(path, writes ? label.image : policy.content)])
    }

    /// Images that a running machine may have let go are given back, but for those that another of its devices has.
    func releaseImages(_ domain: Domain, _ paths: Set<String>, besides live: XMLTree) {
        let kept = live.child("devices").map { Self.images($0) } ?? []
        let gone = Set(paths.compactMap { HostFile.realPath($0) }).subtracting(kept.compactMap { HostFile.realPath($0) })
        guard !gone.isEmpty else { return }
        owners.release(domain.uuid, gone)
        imageLabels.release(domain.uuid, gone)
    }

    /// The files and block devices that a device, or all of them, stand on: images below others too.
    static func images(_ element: XMLTree) -> Set<String> {
        var paths: Set<String> = []
        if let path = DomainFigures.path(element), path.hasPrefix("/") { paths.insert(path) }
        for child in element.children { paths.formUnion(images(child)) }
        return paths
    }

    /// What was a machine's alone is no longer.
    func releaseImages(_ domain: Domain) {
        owners.release(domain.uuid)
        imageLabels.release(domain.uuid)
        labels.release(domain.uuid)
    }

    /// The namespaces of a machine's own; nil where the host has none for it.
    func isolation(
        _ places: [MachineConfinement.Place], _ user: MachineUser, _ label: MachineLabel?, hasOwnNetwork: Bool
    ) throws(HostError) -> ProcessIsolation? {
        guard MachineRoot.isSupported else { return nil }
        let staging = paths.run + "/root"
        try HostFolder.make(staging, permissions: 0o700)
        let root = MachineRoot(staging: staging, owner: user.owner?.user ?? 0, places: places, imageLabel: label?.image)
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
