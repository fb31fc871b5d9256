internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// The virtiofsd processes of machines: one for each shared folder that no other program serves. They end with the
/// connection to their machine.
final class FileServers: Sendable {
    /// Where distributions have it.
    private static let places = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"]
    private let running = Mutex<[UUIDBytes: [HostProcess]]>([:])

    /// Starts those of a machine; their sockets are in its folder, and wait for it.
    func start(
        _ domain: UUIDBytes, _ live: XMLTree, folder: String, log: Descriptor, _ confinement: ServerConfinement
    ) throws(LibvirtError) {
        guard DomainFigures.devices(live, "filesystem").contains(where: { $0.child("driver")?["type"] == "virtiofs" }),
            let definition = try? DomainModel.Domain(tree: live, options: [.lenient])
        else { return }
        guard Self.sharesMemory(live) else {
            throw LibvirtError.configUnsupported("'virtiofs' requires shared memory")
        }
        for (index, system) in definition.devices.filesystems.enumerated() {
            guard system.driver?.type == "virtiofs", system.source?.socket == nil, let path = system.source?.dir else {
                continue
            }
            let program = try Self.program(system)
            let socket = "\(folder)/\(system.info.alias ?? "fs\(index)")-fs.sock"
            do throws(HostError) {
                let listener = try SecurityLabels.withSockets(of: confinement.label?.process) { () throws(HostError) in
                    try Socket.listen(try SocketAddress.unix(socket))
                }
                try listener.setNonBlocking(false)
                let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
                // In namespaces of its own it sees nothing but the folder. It makes those by mounts, which Landlock forbids.
                let isChroot = system.binary?.sandboxMode == "chroot"
                let process = try confinement.spawn(
                    program, ["--fd=3"] + Self.options(system, path), [null, log, log, listener],
                    places: isChroot ? Self.places(program, path) : nil, hasPowers: true)
                running.withLock { $0[domain, default: []].append(process) }
            } catch { throw LibvirtError.system("\(error)") }
        }
    }

    /// Takes those of a machine that has gone off the host.
    func end(_ domain: UUIDBytes) {
        for process in running.withLock({ $0.removeValue(forKey: domain) }) ?? [] {
            if !process.waitForEnd(milliseconds: 500) { process.kill() }
            _ = process.waitForEnd(milliseconds: 5000)
            process.reap()
        }
    }

    private static func program(_ system: FileSystem) throws(LibvirtError) -> String {
        if let path = system.binary?.path {
            guard HostFile.status(path).kind == .file else {
                throw LibvirtError.configUnsupported("virtiofsd binary '\(path)' is not executable")
            }
            return path
        }
        guard let path = places.first(where: { HostFile.status($0).kind == .file }) else {
            throw LibvirtError.configUnsupported("Unable to find a satisfying virtiofsd")
        }
        return path
    }

    private static func places(_ program: String, _ folder: String) -> [MachineConfinement.Place] {
        let own: [MachineConfinement.Place] = [
            (program, [.read, .execute]), (folder, [.read, .write, .change, .move]),
        ]
        return MachineConfinement.programs + own
    }

    /// The program's words for the XML's.
    private static func options(_ system: FileSystem, _ path: String) -> [String] {
        var text = "source=\(path.replacing(",", with: ",,"))"
        if let mode = system.binary?.cacheMode { text += ",cache=\(mode)" }
        if let mode = system.binary?.sandboxMode { text += ",sandbox=\(mode)" }
        if let value = system.binary?.xattr { text += value == .on ? ",xattr" : ",no_xattr" }
        if let value = system.binary?.lockFlock { text += value == .on ? ",flock" : ",no_flock" }
        if let value = system.binary?.lockPosix { text += value == .on ? ",posix_lock" : ",no_posix_lock" }
        var words = ["-o", text]
        if let size = system.binary?.threadPoolSize { words.append("--thread-pool-size=\(size)") }
        return words
    }

    /// Whether the machine's memory is one that other processes can have.
    private static func sharesMemory(_ live: XMLTree) -> Bool {
        let cells = live.at("cpu", "numa")?.all("cell") ?? []
        let usual = live.at("memoryBacking", "access")?["mode"] == "shared"
        guard !cells.isEmpty else { return usual }
        return cells.allSatisfy { $0["memAccess"].map { $0 == "shared" } ?? usual }
    }
}
