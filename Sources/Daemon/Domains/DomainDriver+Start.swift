internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

extension DomainDriver {
    /// Starts a defined domain: from the state that it was saved in, if it was.
    func start(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (definition, active, name) = domain.state.withLock { ($0.definition, $0.isActive, $0.name) }
            guard !active else { throw LibvirtError.operationInvalid("domain is already running") }
            guard let definition else { throw LibvirtError.noDomain("no domain with matching uuid '\(domain.uuid)'") }
            if store.hasSaved(name) {
                let path = store.savedPath(name)
                if flags & VirDomainCreateFlags.startForceBoot == 0 {
                    let image = try SavedMachine(path)
                    try launch(domain, try image.definition(keeping: definition), flags, from: image)
                }
                try? HostFile.remove(path)
                if flags & VirDomainCreateFlags.startForceBoot == 0 { return }
            }
            try launch(domain, definition, flags)
        }
    }

    /// Starts a domain that need not be defined: it goes when it stops.
    func create(_ text: String, flags: UInt32) throws(LibvirtError) -> Domain {
        let parsed = try DomainDefaults.parse(text, emulators)
        while true {
            let (domain, isNew) = try list.findOrAdd(parsed.uuid, parsed.name)
            let done = try domain.job.run { () throws(LibvirtError) -> Bool in
                let (removed, active) = domain.state.withLock { ($0.removed, $0.isActive) }
                guard !removed else { return false }
                guard !active else {
                    throw LibvirtError.operationInvalid("domain '\(parsed.name)' is already active")
                }
                do throws(LibvirtError) { try launch(domain, parsed.tree, flags) } catch {
                    if isNew { list.remove(domain) }
                    throw error
                }
                return true
            }
            if done { return domain }
        }
    }

    /// Starts the process and takes it to its first instruction. The job is held.
    ///
    /// - Parameter image: the state to begin with; nil: from power-on, or from what comes to the address `arrival`.
    func launch(
        _ domain: Domain, _ definition: XMLTree, _ flags: UInt32, from image: SavedMachine? = nil,
        snapshot: String? = nil, arrival: String? = nil
    ) throws(LibvirtError) {
        let name = domain.name
        let path = definition.at("devices", "emulator")?.text ?? emulators.standard?.path ?? ""
        guard let emulator = emulators.emulator(path) else {
            throw LibvirtError.configUnsupported("Emulator '\(path)' cannot be used on this host")
        }
        let id = list.activate(domain)
        do throws(LibvirtError) {
            let asked = flags & VirDomainCreateFlags.startPaused != 0
            let paused = asked || image?.wasRunning == false
            let beginning =
                image.map { Beginning.image($0) } ?? arrival.map { Beginning.migration($0) } ?? Beginning.powerOn
            let (machine, live, messages) = try startProcess(
                domain, definition, emulator, id, name, beginning,
                resetsVariables: flags & VirDomainCreateFlags.startResetNvram != 0)
            domain.state.withLock { state in
                state.machine = machine
                state.live = live
                state.state = VirDomainState.paused
                state.reason = VirDomainPausedReason.startingUp
                state.ending = nil
                state.restartsOnShutdown = false
                state.messages = messages
            }
            do throws(LibvirtError) {
                try writeStatus(domain)
                if image != nil || arrival != nil { try waitForArrival(machine) }
                if let snapshot { try loadSnapshot(snapshot, machine) }
                if !paused {
                    try machine.qmp().execute("cont")
                    machine.settle()
                }
            } catch {
                machine.process.kill()
                _ = machine.process.waitForEnd(milliseconds: 10_000)
                machine.process.reap()
                throw error
            }
            domain.state.withLock { state in
                guard state.machine === machine,
                    state.state == VirDomainState.paused || state.state == VirDomainState.running
                else { return }
                state.state = paused ? VirDomainState.paused : VirDomainState.running
                state.reason =
                    paused
                    ? VirDomainPausedReason.user
                    : image != nil
                        ? VirDomainRunningReason.restored
                        : arrival != nil
                            ? VirDomainRunningReason.migrated
                            : snapshot != nil ? VirDomainRunningReason.fromSnapshot : VirDomainRunningReason.booted
            }
            try? writeStatus(domain)
            let detail =
                image != nil
                ? VirDomainEventStartedDetailType.restored
                : arrival != nil
                    ? VirDomainEventStartedDetailType.migrated
                    : snapshot != nil
                        ? VirDomainEventStartedDetailType.fromSnapshot : VirDomainEventStartedDetailType.booted
            emit(.lifecycle(VirDomainEventType.started, detail), domain)
            if paused {
                emit(.lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.paused), domain)
            }
            watchEnd(domain, machine)
        } catch {
            list.deactivate(domain)
            fileServers.end(domain.uuid)
            tpms.end(domain.uuid)
            releaseImages(domain)
            store.removeStatus(name)
            for card in DomainFigures.devices(definition, "interface") { networks.release(card) }
            domain.state.withLock { state in
                state.machine = nil
                state.live = nil
                state.state = VirDomainState.shutoff
                state.reason = VirDomainShutoffReason.failed
            }
            throw error
        }
    }

    /// The folder of a machine's sockets.
    func folder(_ domain: Domain) -> String { "\(paths.running)/\(domain.uuid)" }

    /// How a machine begins.
    enum Beginning {
        case powerOn
        /// With a state that was saved.
        case image(SavedMachine)
        /// With a state that comes from another machine to an address, or to one that is told later (`defer`).
        case migration(String)
        /// In the same way, and it may run before all of its memory is here.
        case lateMigration(String)

        var isPowerOn: Bool { if case .powerOn = self { true } else { false } }
    }

    func startProcess(
        _ domain: Domain, _ definition: XMLTree, _ emulator: Emulator, _ id: Int32, _ name: String,
        _ beginning: Beginning, resetsVariables: Bool = false
    ) throws(LibvirtError) -> (RunningMachine, XMLTree, [String]) {
        var image: SavedMachine?
        if case .image(let saved) = beginning { image = saved }
        let media = MissingMedia(definition, isPowerOn: beginning.isPowerOn)
        var live = try withFirmware(media.rest, emulator, resetsVariables: resetsVariables)
        live.set("id", "\(id)")
        let folder = folder(domain)
        let monitorPath = "\(folder)/monitor.sock"
        var incoming = image.map { _ in "fd:\(emulator.takesListener ? 4 : 3)" }
        var powers: ProcessIdentity.Powers = []
        switch beginning {
        case .migration(let address): incoming = address
        case .lateMigration(let address):
            incoming = address
            // userfaultfd(2) asks for it. In namespaces of its own the machine sees no process that it could use it on.
            powers = .traceProcesses
        case .powerOn, .image: break
        }
        // Behind the monitor and the state that it begins with.
        var passed = NetworkDriver.Passed(first: 3 + (emulator.takesListener ? 1 : 0) + (image == nil ? 0 : 1))
        let label = try labels.choose(domain.uuid, definition)
        // A process within Landlock's rules takes a label on only where it has a root of its own.
        let isConfined = MachineConfinement.isWanted(definition) && (label == nil || MachineRoot.isSupported)
        var user = try MachineUser(definition, uuid: domain.uuid)
        var attachments: [Int: LaunchPlan.Attachment] = [:]
        let command = try MachineCommandLine(
            live, emulator: emulator, folder: folder, incoming: incoming, isConfined: isConfined || label != nil
        ) {
            (domain: inout DomainModel.Domain) throws(LibvirtError) in
            attachments = try networks.attach(&domain, emulator: emulator, taken: usedCards, passed: &passed)
            return attachments
        }
        if isConfined { user.choose(command.live, attachments: attachments, folder: folder) }
        let logPath = "\(paths.machineLogs)/\(name).log"
        let cards = passed.all.map(\.descriptor)
        let serverLog = try onHost { () throws(HostError) -> Descriptor in
            HostFile.removeTree(folder)
            try HostFolder.make(folder, permissions: 0o700)
            return try HostFile.open(logPath, HostFile.Mode.append, permissions: 0o600)
        }
        let servers = ServerConfinement(user, label, isConfined: isConfined, staging: paths.run + "/root")
        do throws(LibvirtError) {
            try fileServers.start(domain.uuid, command.live, folder: folder, log: serverLog, servers)
            try tpms.start(domain.uuid, command.live, folder: folder, isIncoming: incoming != nil, servers)
        } catch {
            fileServers.end(domain.uuid)
            tpms.end(domain.uuid)
            throw error
        }
        let places =
            MachineConfinement.places(command.live, emulator: emulator.path, folder: folder)
            + MachineConfinement.sockets(command.live, attachments)
        MachineConfinement.makeFiles(command.live, folder: folder)
        try takeImages(domain, command.live, &user)
        if let label { try labelImages(domain, command.live, label, state: image?.path) }
        try secrets.write(command.secrets, to: folder)
        defer { SecretDriver.remove(command.secrets, from: folder) }
        let (process, logStart) = try onHost { () throws(HostError) -> (HostProcess, Int64) in
            let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
            let output = try HostFile.open(logPath, HostFile.Mode.append, permissions: 0o600)
            try output.writeAll(Array(commandText(command).utf8))
            let logStart = HostFile.status(logPath).size
            let listener = try SecurityLabels.withSockets(of: label?.process) { () throws(HostError) in
                emulator.takesListener ? try Socket.listen(SocketAddress.unix(monitorPath)) : nil
            }
            try user.take(folder)
            if let label { try relabel(folder, label) }
            let rules = isConfined ? try MachineConfinement.make(places) : nil
            let hasOwnNetwork = !MachineNeeds.network(command.live, attachments)
            let isolation =
                isConfined ? try isolation(places, user, label, hasOwnNetwork: hasOwnNetwork) : nil
            let identity = user.identity(
                command.arguments, of: command.live, powers: isConfined || user.owner != nil ? powers : nil,
                label: label?.process)
            let process = try HostProcess.spawn(
                emulator.path, arguments: command.arguments,
                environment: environment(folder, command),
                descriptors: [null, output, output] + (listener.map { [$0] } ?? [])
                    + (image.map { [$0.file] } ?? []) + cards,
                confinement: rules, isolation: isolation, identity: identity)
            return (process, logStart)
        }
        do throws(LibvirtError) {
            let machine = try connect(domain, process, monitorPath, isConfined: isConfined || label != nil)
            workers.submit { [self] in keepLogs() }
            var running = command.live
            if isConfined { MachineConfinement.label(&running, domain.uuid.description) }
            user.label(&running)
            label?.write(to: &running)
            try networks.join(DomainDriver.cards(running), of: name)
            let late = running.processors.enumerated().filter { $0.element.isThere && $0.element.mayGo }.map(\.offset)
            if running.child("vcpus") != nil, !late.isEmpty, incoming == nil {
                try machine.setProcessors(late, present: true)
            }
            try complete(&running, machine)
            try ScreenPasswords.setAll(running, machine)
            try onHost { () throws(HostError) in try machine.bind(running) }
            var messages = command.messages
            if ControlGroup.isAsked(running) {
                do throws(LibvirtError) { try machine.limit(by: running) } catch {
                    // An ordinary user's machine runs without them.
                    guard HostIdentity.userID != 0 else { throw error }
                    messages.append("Limits are left out: \(error)")
                }
            }
            for event in media.events(in: running) { emit(event, domain) }
            return (machine, running, messages)
        } catch {
            process.kill()
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
            ControlGroup(process: process.number).remove()
            throw DomainDriver.withLog(error, logPath, from: logStart)
        }
    }

    /// Errors of the host as libvirt tells them.
    func onHost<Result>(_ body: () throws(HostError) -> Result) throws(LibvirtError) -> Result {
        do throws(HostError) { return try body() } catch { throw LibvirtError.system("\(error)") }
    }

    /// An error of a machine that did not start, with what the machine itself said.
    private static func withLog(_ error: LibvirtError, _ path: String, from beginning: Int64) -> LibvirtError {
        guard let bytes = try? HostFile.contents(path), bytes.count > Int(beginning) else { return error }
        let said = HostDescription.trim(String(decoding: bytes[Int(beginning)...].suffix(2000), as: UTF8.self))
        guard !said.isEmpty else { return error }
        return LibvirtError.internalError("process exited while connecting to monitor: \(said)")
    }

    /// Connects to the monitor of a process and hears its greeting.
    func connect(
        _ domain: Domain, _ process: HostProcess, _ path: String, isConfined: Bool
    ) throws(LibvirtError) -> RunningMachine {
        let events = SerialQueue(workers)
        let monitor = try onHost { () throws(HostError) -> QMPClient in
            let socket = try DomainDriver.connect(path, of: process)
            return try QMPClient(
                socket, loop: loop,
                handlers: QMPClient.Handlers(
                    event: { [self] event in events.submit { [self] in handle(event, domain) } },
                    close: { [self] in monitorClosed(domain, process) },
                    opening: { [self] (path, writes) throws(LibvirtError) in
                        try labelImage(domain, path, writes: writes)
                    }), opensImages: isConfined)
        }
        do throws(LibvirtError) { try monitor.negotiate() } catch {
            monitor.close()
            // One that ends by itself has yet to say why.
            _ = process.waitForEnd(milliseconds: 2000)
            throw error
        }
        let machine = RunningMachine(
            process: process, startTime: HostProcess.startTime(of: process.number) ?? 0, monitorPath: path,
            monitor: monitor, events: events)
        machine.refreshProcessors()
        return machine
    }

    /// A machine whose monitor ends before it does cannot be told anything any more.
    private func monitorClosed(_ domain: Domain, _ process: HostProcess) {
        workers.submit { [self] in
            let isOurs = domain.state.withLock { state in
                state.machine?.process.number == process.number && state.ending == nil
                    && state.machine?.monitor?.isClosed == true
            }
            // Its end takes a moment longer than its monitor's.
            guard isOurs, !process.waitForEnd(milliseconds: 5000), domain.machine?.process.number == process.number
            else { return }
            log.warning("The monitor of '\(domain.name)' does not answer any more")
            emit(.controlError, domain)
        }
    }

    /// Connects as soon as the process listens.
    private static func connect(_ path: String, of process: HostProcess) throws(HostError) -> Descriptor {
        let deadline = HostClock.monotonic + 60_000_000_000
        let pause = Bell()
        while true {
            do throws(HostError) { return try Socket.connect(SocketAddress.unix(path)) } catch {
                if process.hasEnded || HostClock.monotonic > deadline { throw error }
                pause.wait(nanoseconds: 1_000_000)
            }
        }
    }

    /// Writes into the live form what only the machine knows: terminals, ports.
    func complete(_ live: inout XMLTree, _ machine: RunningMachine) throws(LibvirtError) {
        var terminals: [String: String] = [:]
        for entry in try machine.qmp().execute("query-chardev").arrayValue ?? [] {
            guard let label = entry["label"]?.stringValue, let file = entry["filename"]?.stringValue,
                file.hasPrefix("pty:")
            else { continue }
            terminals[label] = String(file.dropFirst(4))
        }
        let hasScreen = live.at("devices", "graphics") != nil
        let screen = hasScreen ? try? machine.qmp().execute("query-vnc") : nil
        DomainDriver.connectPorts(&live, machine)
        let period = live.at("devices", "memballoon", "stats")?["period"].flatMap { Int64($0) }
        if let period, let path = GuestMemoryFigures.path(live) {
            // One that tells nothing by itself is a machine nevertheless.
            _ = try? machine.qmp().execute(
                "qom-set", ["path": path, "property": "guest-stats-polling-interval", "value": .number(period)])
        }
        live.update("devices") { devices in
            devices.updateChildren { device in
                if let alias = device.child("alias")?["name"], let path = terminals["char\(alias)"] {
                    if device.name == "console" { device.set("tty", path) }
                    let source = XMLTree.of("source", ["path": path])
                    device.remove("source")
                    device.nodes.insert(.element(source), at: 0)
                }
                if device.name == "graphics", let port = screen?["service"]?.stringValue {
                    device.set("port", port)
                    if device["listen"] == nil { device.set("listen", screen?["host"]?.stringValue) }
                }
            }
        }
    }

    /// The environment of a machine's process.
    private func environment(_ folder: String, _ command: MachineCommandLine) -> [String] {
        // Emulators read a kernel into buffers of malloc. In huge pages the host's kernel hands them out in a few
        // faults: the guest's first instruction runs some 8 ms earlier, for the same anonymous memory after a boot.
        let tunables = "GLIBC_TUNABLES="
        let takesHugePages =
            command.arguments.contains("-kernel") && !command.environment.contains { $0.hasPrefix(tunables) }
        return [
            "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=\(folder)",
            "XDG_DATA_HOME=\(folder)/.local/share", "XDG_CACHE_HOME=\(folder)/.cache",
            "XDG_CONFIG_HOME=\(folder)/.config",
        ] + (takesHugePages ? [tunables + "glibc.malloc.hugetlb=1"] : []) + command.environment
    }

    private func commandText(_ command: MachineCommandLine) -> String {
        let time = Timestamp.text(HostClock.realtime)
        return "\(time): starting up apus\n" + command.arguments.joined(separator: " \\\n") + "\n"
            + command.messages.map { "\(time): \($0)\n" }.joined()
    }
}
