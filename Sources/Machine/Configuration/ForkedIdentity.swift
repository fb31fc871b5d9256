internal import HostOS
public import JSON
internal import SPICE
internal import VNC

/// What makes a child of a running machine another machine than its parent: where its files and sockets are, its name,
/// and the disks that it writes to (`-x-fork`, which `apus fork` gives to each child beside the parent's options).
public struct ForkedIdentity: Equatable, Sendable {
    /// A disk of the parent's as it is when the child comes: what the child's overlay stands on.
    public struct Disk: Equatable, Sendable {
        /// The drive's or the node's name on the command line.
        public var device: String
        /// The image that the parent has written to until then, and its format.
        public var backing: String
        public var format: String
        /// Bytes that the guest sees.
        public var size: UInt64

        /// A disk of all parts.
        public init(device: String, backing: String, format: String, size: UInt64) {
            self.device = device
            self.backing = backing
            self.format = format
            self.size = size
        }
    }
    /// A folder that is the child's alone, by its absolute path.
    public var folder: String
    /// The child's name.
    public var name: String
    /// The disks that it writes to; all that the parent writes to.
    public var disks: [Disk] = []
    /// Whether it waits for `cont`, as the parent does.
    public var isPaused = false

    /// A child without disks.
    public init(folder: String, name: String) {
        self.folder = folder
        self.name = name
    }

    /// Where it waits for its parent.
    public var door: String { "\(folder)/fork" }
    /// Its monitor for programs.
    public var monitor: String { "\(folder)/qmp" }

    /// Reads what `json` writes. Nil where that is something else.
    public init?(_ value: JSONValue) {
        guard let folder = value["folder"]?.stringValue, folder.hasPrefix("/"), let name = value["name"]?.stringValue
        else { return nil }
        self.init(folder: folder, name: name)
        isPaused = value["paused"]?.boolValue ?? false
        for entry in value["disks"]?.arrayValue ?? [] {
            guard let device = entry["device"]?.stringValue, let backing = entry["backing"]?.stringValue,
                let format = entry["format"]?.stringValue, let size = entry["size"]?.uint64Value
            else { return nil }
            disks.append(Disk(device: device, backing: backing, format: format, size: size))
        }
    }

    /// A name as part of a file's name.
    private static func plain(_ name: String) -> String {
        String(name.map { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : "_" })
    }
    fileprivate func path(_ name: String, _ suffix: String) -> String { "\(folder)/\(Self.plain(name)).\(suffix)" }
}

/// An image that a machine makes before it opens any.
public struct OverlayConfiguration: Equatable, Sendable {
    /// The new file, of the format qcow2.
    public var path: String
    /// Bytes that the guest sees.
    public var size: UInt64
    /// What it stands on, and of which format that is.
    public var backing: String
    public var format: String
}

extension MachineConfiguration {
    /// Becomes a child's: the same devices, but all that is one machine's alone is its own. Throws where the parent has
    /// something that cannot be had twice, and says what.
    public mutating func become(_ child: ForkedIdentity) throws(MachineBuildError) {
        name = child.name
        var identifier = try Self.random(16)
        identifier[6] = identifier[6] & 0x0F | 0x40
        identifier[8] = identifier[8] & 0x3F | 0x80
        uuid = identifier
        incoming = "unix:\(child.door)"
        snapshot = nil
        lifecycle.startsPaused = child.isPaused
        process.daemonizes = false
        process.pidFile = "\(child.folder)/pid"
        if process.logFile != nil { process.logFile = "\(child.folder)/log" }
        guard process.descriptors.isEmpty else {
            throw MachineBuildError("A machine with descriptors of its parent process (-add-fd) cannot be forked here")
        }
        if let seed = process.seed {
            process.seed = seed ^ (try Self.random(8)).reduce(0) { $0 << 8 | UInt64($1) }
        }
        if let tpm = tpmBackends.first {
            throw MachineBuildError("TPM '\(tpm.id)' keeps the secrets of one machine: a fork cannot have it")
        }
        for place in audioBackends.indices { audioBackends[place].path = child.path(audioBackends[place].id, "wav") }
        try ownNetworks(child)
        ownCharacterDevices(child)
        if display == .curses { display = vncServers.isEmpty ? .none : .vnc }
        for place in vncServers.indices {
            vncServers[place].listener = Self.own(vncServers[place].listener, "\(child.folder)/vnc\(place).sock")
            vncServers[place].webSocket = vncServers[place].webSocket.map {
                Self.own($0, "\(child.folder)/vnc\(place)-web.sock")
            }
            vncServers[place].isAnnounced = false
        }
        if var own = spice {
            // The parent has the ports.
            (own.port, own.tlsPort, own.path) = (nil, nil, "\(child.folder)/spice.sock")
            spice = own
        }
        for place in devices.indices where devices[place].driver == "vmgenid" {
            devices[place].properties["guid"] = "auto"
        }
        for disk in child.disks { try own(disk, child) }
        // What only a disk's old chain used is read at most, and its parent may write to it.
        for place in blockNodes.indices where !blockNodes[place].readOnly {
            guard !child.disks.contains(where: { $0.device == blockNodes[place].nodeName }) else { continue }
            blockNodes[place].readOnly = true
            blockNodes[place].forceShare = true
        }
    }

    private static func own(_ listener: VNCConfiguration.Listener, _ path: String) -> VNCConfiguration.Listener {
        switch listener {
        // The parent has the first.
        case .tcp(let host, let port, let last): .tcp(host: host, port: port, last: max(last, min(port + 199, 65_535)))
        case .unix: .unix(path: path)
        case .nowhere: .nowhere
        }
    }

    // MARK: Networks

    private static func random(_ count: Int) throws(MachineBuildError) -> [UInt8] {
        try MachineBuildError.wrapping { () throws(HostError) in try HostRandom.bytes(count) }
    }
    private static func newAddress() throws(MachineBuildError) -> [UInt8] { [0x52, 0x54, 0] + (try random(3)) }

    private mutating func ownNetworks(_ child: ForkedIdentity) throws(MachineBuildError) {
        for place in nics.indices { nics[place].mac = try Self.newAddress() }
        for place in devices.indices where DeviceCatalogue.find(devices[place].driver)?.category == .network {
            let address = try Self.newAddress()
            let text = address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
            devices[place].properties["mac"] = .string(text)
        }
        for place in networks.indices {
            // Ports of the host are chosen anew: 'info usernet' shows them.
            for index in networks[place].user.hostForwards.indices {
                networks[place].user.hostForwards[index].hostPort = 0
            }
            func refuse(_ why: String) -> MachineBuildError {
                MachineBuildError("Network '\(networks[place].id)' cannot be had by a fork too: \(why)")
            }
            switch networks[place].peer {
            case .stream(_, isServer: true, _, _): throw refuse("it waits for its peer at an address")
            case .stream(.descriptor, _, _, _): throw refuse("it is a descriptor of the parent")
            case .datagram(let local, _) where local != nil: throw refuse("it has an address of its own")
            case .tap(var tap):
                guard tap.descriptors.isEmpty else { throw refuse("it is a descriptor of the parent") }
                tap.interface = nil
                networks[place].peer = .tap(tap)
            default: break
            }
        }
    }

    // MARK: Character devices

    private mutating func ownCharacterDevices(_ child: ForkedIdentity) {
        for place in characterDevices.indices {
            let id = characterDevices[place].id
            if characterDevices[place].logFile != nil {
                characterDevices[place].logFile = child.path(id, "log")
            }
            var socket = SocketConfiguration(
                address: .unix(path: child.path(id, "sock"), abstract: false, tight: true))
            socket.isServer = true
            socket.waits = false
            switch characterDevices[place].kind {
            case .stdio, .pipe: characterDevices[place].kind = .socket(socket)
            case .socket(let old) where old.isServer:
                (socket.telnet, socket.webSocket) = (old.telnet, old.webSocket)
                characterDevices[place].kind = .socket(socket)
            case .socket(let old):
                if case .descriptor = old.address { characterDevices[place].kind = .null }
            case .file: characterDevices[place].kind = .file(path: child.path(id, "out"), append: false, input: nil)
            case .pty(let path): characterDevices[place].kind = .pty(path: path.map { _ in child.path(id, "pty") })
            case .udp(let host, let port, _, _):
                characterDevices[place].kind = .udp(host: host, port: port, localHost: nil, localPort: nil)
            case .serial, .parallel: characterDevices[place].kind = .null
            case .null, .ringBuffer, .virtualConsole, .agent, .spice: break
            }
        }
        // Sockets to the host are found by a path, too.
        for place in devices.indices where devices[place].driver.hasPrefix("virtio-vsock") {
            devices[place].properties["path"] = .string(child.path(devices[place].id ?? "vsock", "sock"))
        }
        var socket = SocketConfiguration(address: .unix(path: child.monitor, abstract: false, tight: true))
        socket.isServer = true
        socket.waits = false
        characterDevices.append(CharacterDeviceConfiguration(id: "#fork", kind: .socket(socket)))
        monitors.append(MonitorConfiguration(characterDevice: "#fork", mode: .control))
    }

    // MARK: Disks

    private mutating func own(_ disk: ForkedIdentity.Disk, _ child: ForkedIdentity) throws(MachineBuildError) {
        // Names that differ in what a file's name does not take are told apart.
        var path = child.path(disk.device, "qcow2")
        if overlays.contains(where: { $0.path == path }) { path = child.path(disk.device, "\(overlays.count).qcow2") }
        overlays.append(
            OverlayConfiguration(path: path, size: disk.size, backing: disk.backing, format: disk.format))
        if let place = drives.firstIndex(where: { $0.id == disk.device }) {
            guard !drives[place].snapshot else {
                throw MachineBuildError("Drive '\(disk.device)' writes to a temporary file, which a fork cannot have")
            }
            drives[place].file = path
            drives[place].fileOptions = JSONObject()
            drives[place].format = "qcow2"
            return
        }
        guard let place = blockNodes.firstIndex(where: { $0.nodeName == disk.device }) else {
            throw MachineBuildError("Disk '\(disk.device)' is not on the command line: it was plugged in later")
        }
        let old = blockNodes[place]
        var file = BlockNodeConfiguration(driver: "file")
        file.filename = path
        (file.cacheDirect, file.cacheNoFlush) = (old.cacheDirect, old.cacheNoFlush)
        file.discardUnmap = old.discardUnmap
        var node = BlockNodeConfiguration(driver: "qcow2")
        node.nodeName = old.nodeName
        node.discardUnmap = old.discardUnmap
        node.detectZeroes = old.detectZeroes
        (node.cacheDirect, node.cacheNoFlush) = (old.cacheDirect, old.cacheNoFlush)
        node.file = .node(file)
        blockNodes[place] = node
    }
}
