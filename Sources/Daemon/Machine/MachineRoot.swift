internal import HostOS

/// The root that a machine's process sees: its own images, sockets and devices at their usual places, what every program
/// reads, and nothing else of the host.
struct MachineRoot {
    /// A folder in which the root is put together; the host's own stays empty.
    let staging: String
    /// Whose the machine's devices are.
    let owner: UInt32
    /// What SELinux knows the machine's own images as; nil: nothing here is labelled.
    let imageLabel: SecurityContext?
    private(set) var steps: [ProcessIsolation.Step] = []
    private var folders: Set<String> = []
    private var bound: [(path: String, isReadOnly: Bool)] = []

    /// Devices that are everybody's; the others are the machine's alone.
    private static let common: Set<String> = ["null", "zero", "full", "random", "urandom", "ptmx", "tty"]

    init(staging: String, owner: UInt32, places: [MachineConfinement.Place], imageLabel: SecurityContext? = nil) {
        self.staging = staging
        self.owner = owner
        self.imageLabel = imageLabel
        steps.append(.temporary(staging, options: "mode=0755,size=4m"))
        label("/")
        makeFolder("/dev")
        steps.append(.temporary(staging + "/dev", options: "mode=0755,size=1m"))
        label("/dev")
        for path in ["/dev/pts", "/dev/shm", "/proc"] { makeFolder(path) }
        steps.append(.bind("/dev/pts", at: staging + "/dev/pts"))
        steps.append(.temporary(staging + "/dev/shm", options: "mode=1777"))
        label("/dev/shm")
        steps.append(.processes(staging + "/proc"))
        for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
            steps.append(.link(staging + "/dev/\(name)", to: "/proc/self/\(target)"))
        }
        for (path, rights) in Self.ordered(places) { add(path, rights) }
        steps += [.root(staging), .allow("/proc", .read), .allow("/dev", [.read, .write])]
        steps.append(.allow("/proc/self", [.read, .write]))
        if imageLabel != nil { steps.append(.transit) }
    }

    /// Each once, with all rights that it has anywhere; folders before what is in them. Where a way leads over symbolic
    /// links, its end is there too.
    static func ordered(_ places: [MachineConfinement.Place]) -> [MachineConfinement.Place] {
        var all: [String: FileConfinement.Rights] = [:]
        for (path, rights) in places where path.hasPrefix("/") && path != "/" {
            // These are the process's own, or there already.
            guard !["/proc", "/dev/pts"].contains(where: { path == $0 || path.hasPrefix($0 + "/") }) else { continue }
            all[path, default: []].formUnion(rights)
            if let real = HostFile.realPath(path) { all[real, default: []].formUnion(rights) }
        }
        return all.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { ($0.key, $0.value) }
    }

    private mutating func makeFolder(_ path: String) {
        var way = ""
        for part in path.split(separator: "/") {
            way += "/\(part)"
            if folders.insert(way).inserted {
                steps.append(.folder(staging + way))
                label(way)
            }
        }
    }

    /// What was made has the label of what stands there on the host.
    private mutating func label(_ path: String, as context: SecurityContext? = nil) {
        guard imageLabel != nil, let context = context ?? SecurityLabels.of(path) else { return }
        steps.append(.label(staging + path, context))
    }

    private mutating func add(_ path: String, _ rights: FileConfinement.Rights) {
        let isReadOnly = rights.isDisjoint(with: [.write, .change, .move])
        let cover = bound.last { path.hasPrefix($0.path + "/") }
        // What is in a folder that is there is there already.
        if let cover, isReadOnly || !cover.isReadOnly { return }
        let kind = HostFile.status(path).kind
        guard kind != .nothing else { return }
        if cover == nil, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            makeFolder(String(path[..<slash]))
        }
        if cover == nil, HostFile.isDevice(path) {
            let isCommon = path.hasPrefix("/dev/") && Self.common.contains(String(path.dropFirst(5)))
            steps.append(
                .device(
                    staging + path, like: path, owner: isCommon ? 0 : owner,
                    mode: isCommon ? 0o666 : isReadOnly ? 0o400 : 0o600))
            let isEverybodys = MachineConfinement.devices.contains { path == "/dev/\($0)" }
            return label(path, as: isEverybodys || isCommon ? nil : imageLabel)
        }
        if kind == .folder {
            if cover == nil { makeFolder(path) }
            bound.append((path, isReadOnly))
        } else if cover == nil {
            steps.append(.file(staging + path))
        }
        steps.append(.bind(path, at: staging + path))
        if isReadOnly { steps.append(.readOnly(staging + path)) }
    }
}

extension MachineRoot {
    /// Whether this host lets processes have roots of their own: tried once.
    static let isSupported: Bool = {
        // Where /bin is a folder of its own, it is there.
        let programs = ["/usr/bin/true", "/bin/true"]
        guard HostIdentity.userID == 0, let program = programs.first(where: { HostFile.status($0).kind == .file }),
            let staging = try? HostFile.makeTemporaryFolder(prefix: "/tmp/apus-root-")
        else { return false }
        defer { try? HostFile.removeFolder(staging) }
        let places: [MachineConfinement.Place] = [
            ("/usr", [.read, .execute]), ("/lib", [.read, .execute]), ("/lib64", [.read, .execute]),
            ("/bin", [.read, .execute]), ("/sys", .read), ("/dev/null", [.read, .write]),
            ("/dev/ptmx", [.read, .write]),
        ]
        let root = MachineRoot(staging: staging, owner: 0, places: places)
        do throws(HostError) {
            let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
            let process = try HostProcess.spawn(
                program, arguments: ["true"], environment: ["LC_ALL=C"], descriptors: [null, null, null],
                isolation: ProcessIsolation(steps: root.steps, hasOwnNetwork: true))
            _ = process.waitForEnd(milliseconds: 10_000)
            return process.reap() == 0
        } catch { return false }
    }()
}
