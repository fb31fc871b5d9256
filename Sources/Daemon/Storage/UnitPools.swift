internal import DomainModel
internal import HostOS
internal import RPCWire

/// Logical units of SCSI hosts as the kernel shows them in `/sys`, as volumes.
enum LogicalUnits {
    private static func text(_ path: String) -> String { HostDescription.trim(HostDescription.text(path)) }

    /// The units of a host, as of now.
    ///
    /// - Parameter folder: where links to devices are looked for, which last longer than the kernel's names.
    static func volumes(host: UInt32, folder: String) -> [StorageVolume] {
        let links = links(folder)
        var volumes: [StorageVolume] = []
        for name in (try? HostFolder.names(in: "/sys/bus/scsi/devices")) ?? [] {
            let numbers = name.split(separator: ":", omittingEmptySubsequences: false).compactMap { UInt32($0) }
            guard numbers.count == 4, numbers[0] == host else { continue }
            let unit = "/sys/bus/scsi/devices/\(name)"
            // Disks, and drives that read disks (SPC-5, peripheral device types).
            guard ["0", "5"].contains(text(unit + "/type")),
                let block = (try? HostFolder.names(in: unit + "/block"))?.first
            else { continue }
            let device = "/dev/\(block)"
            let sectors = UInt64(text("\(unit)/block/\(block)/size")) ?? 0
            var volume = StorageVolume(
                device: "unit:\(numbers[1]):\(numbers[2]):\(numbers[3])", path: links[device] ?? device,
                capacity: sectors << 9)
            if let serial = serial(unit) { volume.key = serial }
            volumes.append(volume)
        }
        return volumes
    }

    /// What a folder of links such as `/dev/disk/by-path` calls devices.
    private static func links(_ folder: String) -> [String: String] {
        guard folder != "/dev" else { return [:] }
        var found: [String: String] = [:]
        for name in (try? HostFolder.names(in: folder)) ?? [] {
            if let device = HostFile.realPath("\(folder)/\(name)"), found[device] == nil {
                found[device] = "\(folder)/\(name)"
            }
        }
        return found
    }

    /// The unit's identifier (SPC-5, page 83h), in the form of udev's `scsi_id`: of type NAA, else of another.
    private static func serial(_ unit: String) -> String? {
        guard let page = try? HostFile.contents(unit + "/vpd_pg83", limit: 4096), page.count > 4 else { return nil }
        var place = 4
        var best: (order: Int, text: String)?
        while place + 4 <= page.count {
            let (kind, count) = (page[place + 1], Int(page[place + 3]))
            guard place + 4 + count <= page.count else { break }
            let bytes = page[place + 4..<place + 4 + count]
            // Of the unit itself: an NAA name, an EUI-64, or a vendor's own.
            if kind & 0x30 == 0, let order = [3: 0, 2: 1, 1: 2][Int(kind & 15)], order < best?.order ?? 9 {
                let digits =
                    page[place] & 15 == 1
                    ? bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                    : String(decoding: bytes, as: UTF8.self).split(separator: " ").joined(separator: "_")
                best = (order, "\(kind & 15)\(digits)")
            }
            place += 4 + count
        }
        return best?.text
    }

    static func state(_ volumes: [StorageVolume]) -> BlockPoolState {
        var state = BlockPoolState()
        state.volumes = volumes
        state.capacity = volumes.reduce(0) { $0 &+ $1.capacity }
        return state
    }

    /// Has the kernel look for units of a host again.
    static func scan(host: UInt32) throws(LibvirtError) {
        do throws(HostError) {
            try HostFile.open("/sys/class/scsi_host/host\(host)/scan", HostFile.Mode.write).writeAll(
                Array("- - -".utf8))
        } catch { throw StorageDriver.fail(.system("\(error)")) }
    }
}

extension BlockPool {
    /// Programs of the host, along the daemon's `PATH`.
    static func tool(_ name: String) throws(LibvirtError) -> String {
        let folders = (HostIdentity.environment("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin").split(separator: ":")
        for folder in folders where HostFile.status("\(folder)/\(name)").kind == .file { return "\(folder)/\(name)" }
        throw StorageDriver.fail(.internalError("Cannot find '\(name)' in path: No such file or directory"))
    }

    /// Runs one.
    @discardableResult
    static func run(tool name: String, _ words: [String]) throws(LibvirtError) -> String {
        try StorageDriver.run(try tool(name), words)
    }

    /// A word for a command line out of a document: not empty, no option, nothing that could be two words.
    static func word(_ text: String?, _ missing: String) throws(LibvirtError) -> String {
        guard let text, !text.isEmpty else { throw StorageDriver.fail(.xml(missing)) }
        guard text.utf8.count < 256, !text.hasPrefix("-"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw StorageDriver.fail(.xml("'\(text)' cannot be a name of a pool's source"))
        }
        return text
    }
}

/// What pools whose volumes come from elsewhere answer to what they cannot do.
protocol UnitPool: BlockPool {}

extension UnitPool {
    func build(overwrites: Bool) throws(LibvirtError) {
        throw StorageDriver.fail(.noSupport("pool does not support pool build"))
    }
    func delete() throws(LibvirtError) {
        throw StorageDriver.fail(.noSupport("pool does not support pool deletion"))
    }
    func create(_ wanted: WantedVolume) throws(LibvirtError) -> String {
        throw StorageDriver.fail(.noSupport("storage pool does not support volume creation"))
    }
    func remove(_ volume: StorageVolume) throws(LibvirtError) {
        throw StorageDriver.fail(.noSupport("storage pool does not support vol deletion"))
    }
}

/// A pool of kind `scsi`: the units of a host adapter.
struct AdapterPool: UnitPool {
    private let name: String?
    private let port: (node: String, port: String)?
    private let folder: String

    var key: String { "scsi:\(name ?? port.map { "\($0.node):\($0.port)" } ?? "")" }

    init(_ tree: XMLTree) throws(LibvirtError) {
        guard let adapter = tree.at("source", "adapter") else {
            throw StorageDriver.fail(.xml("missing storage pool source adapter"))
        }
        folder = tree.at("target", "path")?.text ?? "/dev"
        if adapter["type"] == "fc_host" {
            name = nil
            port = (
                try Self.word(adapter["wwnn"], "missing 'wwnn' of a fibre channel adapter"),
                try Self.word(adapter["wwpn"], "missing 'wwpn' of a fibre channel adapter")
            )
        } else {
            name = try Self.word(adapter["name"], "missing storage pool source adapter name")
            port = nil
        }
    }

    /// The host's number, of `host3` or `scsi_host3`, or of the port with the given names.
    private func host() throws(LibvirtError) -> UInt32 {
        if let port {
            for entry in (try? HostFolder.names(in: "/sys/class/fc_host")) ?? [] {
                func own(_ file: String) -> String {
                    let text = HostDescription.trim(HostDescription.text("/sys/class/fc_host/\(entry)/\(file)"))
                    return text.hasPrefix("0x") ? String(text.dropFirst(2)) : text
                }
                if own("node_name") == port.node, own("port_name") == port.port,
                    let number = UInt32(entry.dropFirst(4))
                {
                    return number
                }
            }
            throw StorageDriver.fail(
                .xml("Failed to find SCSI host with wwnn='\(port.node)', wwpn='\(port.port)'"))
        }
        let text = name ?? ""
        let digits = text.hasPrefix("scsi_host") ? text.dropFirst(9) : text.dropFirst(text.hasPrefix("host") ? 4 : 0)
        guard let number = UInt32(digits), HostFile.status("/sys/class/scsi_host/host\(number)").kind == .folder else {
            throw StorageDriver.fail(.xml("Failed to find SCSI host '\(text)'"))
        }
        return number
    }

    func start() throws(LibvirtError) { try LogicalUnits.scan(host: try host()) }
    func stop() throws(LibvirtError) {}
    func look() throws(LibvirtError) -> BlockPoolState {
        LogicalUnits.state(LogicalUnits.volumes(host: try host(), folder: folder))
    }
}

/// A pool of kind `mpath`: all maps of the host that are several ways to one disk.
struct MultipathPool: UnitPool {
    var key: String { "mpath" }

    func start() throws(LibvirtError) {
        guard HostDescription.text("/proc/devices").contains("device-mapper") else {
            throw StorageDriver.fail(.internalError("this host's kernel has no device-mapper"))
        }
    }
    func stop() throws(LibvirtError) {}

    func look() throws(LibvirtError) -> BlockPoolState {
        var volumes: [StorageVolume] = []
        for name in (try? HostFolder.names(in: "/sys/block")) ?? [] where name.hasPrefix("dm-") {
            func text(_ file: String) -> String {
                HostDescription.trim(HostDescription.text("/sys/block/\(name)/\(file)"))
            }
            let identity = text("dm/uuid")
            guard identity.hasPrefix("mpath-") else { continue }
            var volume = StorageVolume(
                device: name, path: "/dev/mapper/\(text("dm/name"))", capacity: (UInt64(text("size")) ?? 0) << 9)
            volume.key = String(identity.dropFirst(6))
            volumes.append(volume)
        }
        return LogicalUnits.state(volumes)
    }
}
