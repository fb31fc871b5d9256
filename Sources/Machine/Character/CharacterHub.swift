public import CharacterBackend
internal import DeviceModel
internal import Display
public import HostOS
internal import SPICE
internal import Synchronization

/// The character back-ends of a machine by name, and who shares them.
public final class CharacterHub: Sendable {
    private struct Entry: Sendable {
        let port: any HostCharacterPort
        let mux: CharacterMux?
        var users = 0
        /// Whether a guest has its port open, where that is for the guest to say.
        var isGuestOpen: Bool?
    }
    private let entries = Mutex<[String: Entry]>([:])
    private let consoles = Mutex<[TextConsole]>([])
    private let exit = Mutex<(@Sendable () -> Void)?>(nil)
    /// What viewers and the guest have copied.
    let clipboard = ClipboardHub()

    private let descriptors: DescriptorSets

    /// Opens all back-ends of a configuration. Those that monitors use wait for slow readers. Files may be
    /// descriptors of sets.
    public init(
        _ configuration: MachineConfiguration, loop: EventLoop, descriptors: DescriptorSets = DescriptorSets()
    ) throws(MachineBuildError) {
        self.descriptors = descriptors
        let monitored = Set(configuration.monitors.map(\.characterDevice) + [configuration.gdbServer].compactMap { $0 })
        do throws(MachineBuildError) {
            // A TPM speaks on its socket by itself, as descriptors go with what it says.
            let tpms = Set(configuration.tpmBackends.map(\.characterDevice))
            for device in configuration.characterDevices where !tpms.contains(device.id) {
                try open(device, configuration, waits: monitored.contains(device.id), loop: loop)
            }
        } catch {
            closeAll()
            throw error
        }
    }

    private func open(
        _ device: CharacterDeviceConfiguration, _ configuration: MachineConfiguration, waits: Bool, loop: EventLoop
    ) throws(MachineBuildError) {
        let port: any HostCharacterPort
        if case .virtualConsole(let size) = device.kind, configuration.showsConsoles {
            port = openConsole(device.id, size: size, configuration, loop: loop)
        } else if case .agent(let hasClipboard, let hasMouse) = device.kind {
            port = AgentPort(
                label: device.id, hasClipboard: hasClipboard, hasMouse: hasMouse, clipboard: clipboard, loop: loop)
        } else if case .spice(let use) = device.kind {
            port = SPICEPort(label: device.id, use, loop: loop)
        } else {
            let specification = try Self.specification(device)
            do throws(ChardevError) {
                port = try CharacterPorts.open(
                    specification, label: device.id, loop: loop,
                    overflow: waits ? OverflowPolicy.wait : OverflowPolicy.dropOldest,
                    openFile: { path, append throws(HostError) -> Descriptor in
                        if let copy = try descriptors.openOutput(path, append: append) { return copy }
                        return try CharacterPorts.openDirectly(path, append: append)
                    })
            } catch { throw MachineBuildError("\(error)") }
        }
        var mux: CharacterMux?
        if device.isMultiplexed {
            mux = CharacterMux(
                port, loop: loop, escape: configuration.process.escapeCharacter, program: configuration.program
            ) { [weak self] in self?.exit.withLock { $0 }?() }
        }
        let entry = Entry(port: port, mux: mux)
        entries.withLock { $0[device.id] = entry }
    }

    /// A text console of the display. Its size is given in characters (`80Cx24C`) or pixels (`640x480`).
    private func openConsole(
        _ id: String, size: String, _ configuration: MachineConfiguration, loop: EventLoop
    ) -> ConsolePort {
        let parts = size.lowercased().split(separator: "x").map(String.init)
        func characters(_ index: Int, _ usual: Int, _ pixels: Int) -> Int {
            guard parts.count == 2 else { return usual }
            let isText = parts[index].hasSuffix("c")
            guard let number = Int(isText ? String(parts[index].dropLast()) : parts[index]), number > 0 else {
                return usual
            }
            return isText ? number : max(1, number / pixels)
        }
        let console = TextConsole(
            name: id, columns: characters(0, 80, ConsoleFont.width), rows: characters(1, 25, ConsoleFont.height),
            font: BoardBuilder.consoleFont(configuration))
        let port = ConsolePort(label: id, console: console, loop: loop)
        consoles.withLock { $0.append(console) }
        return port
    }

    /// The text consoles, the monitors' first.
    func consoles(_ configuration: MachineConfiguration) -> [TextConsole] {
        let monitored = Set(configuration.monitors.map(\.characterDevice))
        let all = consoles.withLock { $0 }
        return all.filter { monitored.contains($0.name) } + all.filter { !monitored.contains($0.name) }
    }

    private static func specification(
        _ device: CharacterDeviceConfiguration
    ) throws(MachineBuildError) -> ChardevSpecification {
        let backend: ChardevSpecification.Backend
        switch device.kind {
        case .null: backend = .null
        case .stdio(let signal): backend = .stdio(signals: signal ?? !device.isMultiplexed)
        case .file(let path, let append, _): backend = .file(path: path, append: append)
        case .pty: backend = .pty
        case .pipe(let path): backend = .pipe(path: path)
        case .serial(let path), .parallel(let path):
            throw MachineBuildError("chardev '\(device.id)': host device '\(path)' is not supported")
        case .socket(let socket): backend = .socket(try specification(socket, of: device.id))
        case .udp(let host, let port, let localHost, let localPort):
            backend = .udp(host: host, port: port, localHost: localHost ?? "", localPort: localPort ?? "0")
        case .ringBuffer(let size): backend = .ringBuffer(size: Int(clamping: size))
        case .virtualConsole: backend = .virtualConsole
        case .agent, .spice: backend = .null
        }
        return ChardevSpecification(
            backend, id: device.id, isMultiplexed: device.isMultiplexed, logFile: device.logFile,
            logAppends: device.logAppend)
    }

    private static func specification(
        _ socket: SocketConfiguration, of id: String
    ) throws(MachineBuildError) -> SocketSpecification {
        if socket.tlsCredentials != nil { throw MachineBuildError("chardev '\(id)': TLS is not supported") }
        if socket.webSocket { throw MachineBuildError("chardev '\(id)': WebSocket is not supported") }
        let endpoint: SocketSpecification.Endpoint
        var family = SocketSpecification.SocketFamily.any
        switch socket.address {
        case .unix(let path, _, _): endpoint = .unix(path: path)
        case .inet(let host, let port, _, let ipv4, let ipv6):
            endpoint = .tcp(host: host, port: port)
            if ipv6 == false || (ipv4 == true && ipv6 != true) { family = .ipv4 }
            if ipv4 == false || (ipv6 == true && ipv4 != true) { family = .ipv6 }
        case .descriptor(let name):
            guard let number = Int32(name), number > 2 else {
                throw MachineBuildError("chardev '\(id)': there is no descriptor '\(name)' that could be a socket")
            }
            endpoint = .descriptor(number)
        }
        let (reconnect, overflow) = socket.reconnect.multipliedReportingOverflow(by: 1000)
        return SocketSpecification(
            endpoint, isServer: socket.isServer, waits: socket.isServer && socket.waits,
            reconnectMilliseconds: overflow ? Int.max : reconnect, isTelnet: socket.telnet, noDelay: socket.noDelay,
            family: family)
    }

    /// Opens one more back-end (`chardev-add`). With `waits` output is kept until it is taken.
    public func add(
        _ device: CharacterDeviceConfiguration, _ configuration: MachineConfiguration, waits: Bool = false,
        loop: EventLoop
    ) throws(MachineBuildError) {
        guard entries.withLock({ $0[device.id] == nil }) else {
            throw MachineBuildError("Duplicate ID '\(device.id)' for chardev")
        }
        try open(device, configuration, waits: waits, loop: loop)
    }

    /// Closes a back-end that nobody uses (`chardev-remove`), or whose only user asks.
    public func remove(_ id: String, byItsUser: Bool = false) throws(MachineError) {
        let entry = try entries.withLock { entries throws(MachineError) -> Entry in
            guard let entry = entries[id] else { throw .failed("Chardev '\(id)' not found") }
            guard byItsUser || entry.users == 0 else { throw .failed("Chardev '\(id)' is busy") }
            entries[id] = nil
            return entry
        }
        if let mux = entry.mux { mux.close() } else { entry.port.close() }
    }

    /// Where a back-end leads, for who asked for a new one.
    func filename(of id: String) -> String? { entries.withLock { $0[id]?.port.filename } }

    /// The memory of a `ringbuf` back-end.
    func ringBuffer(_ id: String) -> RingBufferPort? { entries.withLock { $0[id]?.port } as? RingBufferPort }

    /// A back-end that wants to know whether a program of the guest has its port open.
    func guestPort(_ id: String) -> (any GuestPortListener)? { entries.withLock { $0[id]?.port } as? any GuestPortListener }
    /// The display's side of guests' agents.
    var agents: [AgentPort] { entries.withLock { $0.values.compactMap { $0.port as? AgentPort } } }

    /// The channels of the SPICE server's, in the order of their names.
    var spicePorts: [SPICEPort] {
        entries.withLock { $0.values.compactMap { $0.port as? SPICEPort } }.sorted { $0.label < $1.label }
    }

    /// What happens when the user asks for the end at a shared terminal; runs on the loop's thread.
    func onExit(_ handler: @escaping @Sendable () -> Void) { exit.withLock { $0 = handler } }

    /// A user's end of a back-end: the back-end itself, or a share of it. Nil for a name that is not there.
    public func port(_ id: String) -> (any HostCharacterPort)? {
        let entry = entries.withLock { entries -> Entry? in
            entries[id]?.users += 1
            return entries[id]
        }
        guard let entry else { return nil }
        return entry.mux?.addPort(label: id) ?? entry.port
    }

    /// Whether a back-end is shared and somebody else has its input.
    public func isInBackground(_ id: String, _ port: any HostCharacterPort) -> Bool {
        guard let mux = entries.withLock({ $0[id]?.mux }) else { return false }
        return mux.focused !== port
    }

    /// A device's port is open only while a program of the guest has it open, which is told here.
    func setGuestOpen(_ id: String, _ isOpen: Bool) { entries.withLock { $0[id]?.isGuestOpen = isOpen } }

    /// The back-ends for `info chardev`, by name.
    var status: [CharacterDeviceStatus] {
        entries.withLock { entries in
            entries.sorted { $0.key < $1.key }.map {
                CharacterDeviceStatus(
                    label: $0.key, filename: $0.value.mux == nil ? $0.value.port.filename : "mux",
                    isOpen: $0.value.users > 0 && $0.value.isGuestOpen ?? true)
            }
        }
    }

    /// Closes every back-end and gives the terminal its modes back.
    func closeAll() {
        let all = entries.withLock { entries -> [Entry] in
            defer { entries = [:] }
            return Array(entries.values)
        }
        for entry in all {
            if let mux = entry.mux { mux.close() } else { entry.port.close() }
        }
        RawTerminal.restoreAny()
    }
}
