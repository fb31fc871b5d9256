internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// A running domain becomes several: transient domains that go on from where it is, each with its own identity, cards
/// and images.
extension DomainDriver {
    /// Children of one fork; each costs a process and threads.
    static let forkLimit = 64

    /// What a monitor's client says instead of a command of the machine: `x-fork-domain` with `count`, and `folder` for
    /// the images. Nil where it is something else.
    func fork(_ domain: Domain, _ command: JSONObject) throws(LibvirtError) -> String? {
        guard command["execute"]?.stringValue == "x-fork-domain" else { return nil }
        let arguments = command["arguments"]
        let count = arguments?["count"]?.intValue ?? 1
        guard (1...DomainDriver.forkLimit).contains(count) else {
            throw LibvirtError.invalidArgument("'count' is 1 to \(DomainDriver.forkLimit), not \(count)")
        }
        let folder = arguments?["folder"]?.stringValue
        if let folder, !folder.hasPrefix("/") {
            throw LibvirtError.invalidArgument("folder '\(folder)' is not absolute")
        }
        let names = try fork(domain, count: count, folder: folder)
        let answer: JSONObject = ["return": .object(["domains": .array(names.map { .string($0) })])]
        return JSONValue.object(answer).description
    }

    private struct ForkedDisk {
        let element: XMLTree
        let target: String
        let base: String
        let format: String
        let size: UInt64
        let number: Int
        /// What the parent writes to from now on.
        var path = ""
    }

    private func fork(_ parent: Domain, count: Int, folder: String?) throws(LibvirtError) -> [String] {
        try parent.job.run { () throws(LibvirtError) in
            let machine = try parent.running()
            let (name, live, running) = parent.state.withLock {
                ($0.name, $0.live ?? XMLTree("domain"), $0.state == VirDomainState.running)
            }
            let path = live.at("devices", "emulator")?.text ?? emulators.standard?.path ?? ""
            guard emulators.emulator(path)?.isApus == true else {
                throw LibvirtError.configUnsupported("Emulator '\(path)' cannot fork machines")
            }
            let disks = try forkedDisks(live, name, folder)
            var made: [String] = disks.map(\.path)
            var children: [ForkedChild] = []
            do throws(LibvirtError) {
                for tree in try forkedDefinitions(live, name, count, disks, folder, &made) {
                    let parsed = try DomainDefaults.read(tree)
                    let (child, isNew) = try list.findOrAdd(parsed.uuid, parsed.name)
                    guard isNew else {
                        throw LibvirtError.operationFailed("domain '\(parsed.name)' exists already")
                    }
                    children.append(ForkedChild(child, tree))
                }
                for child in children { try start(child, paused: !running) }
                try fork(parent, machine, children, disks)
                for child in children {
                    child.thread.withLock { $0.take() }?.join()
                    if let error = child.failure.withLock({ $0 }) { throw error }
                }
            } catch {
                for child in children {
                    child.domain.state.withLock { $0.machine }?.process.kill()
                    child.thread.withLock { $0.take() }?.join()
                    if !child.domain.isActive { list.remove(child.domain) }
                }
                // Where the parent has moved to its new images, they stay.
                let used = Set(parent.state.withLock { $0.current }.devicePaths)
                for path in made where !used.contains(path) { try? HostFile.remove(path) }
                throw error
            }
            return children.map(\.domain.name)
        }
    }

    // MARK: Images and definitions

    private func forkedDisks(
        _ live: XMLTree, _ name: String, _ folder: String?
    ) throws(LibvirtError) -> [ForkedDisk] {
        var number = freeImageNumber(live)
        var disks: [ForkedDisk] = []
        for disk in DomainFigures.devices(live, "disk") {
            guard disk.child("readonly") == nil, disk["device"] ?? "disk" == "disk",
                let base = DomainFigures.path(disk)
            else { continue }
            let target = disk.child("target")?["dev"] ?? "disk"
            let size = DomainFigures.capacity(disk)
            var made = ForkedDisk(
                element: disk, target: target, base: base, format: disk.child("driver")?["type"] ?? "raw", size: size,
                number: number)
            made.path = DomainDriver.freePath(base, folder, "\(name)-\(target)-fork")
            disks.append(made)
            number += 1
        }
        return disks
    }

    /// A path that nothing has, in a folder or beside an image.
    private static func freePath(_ base: String, _ folder: String?, _ stem: String) -> String {
        let place = folder ?? base.lastIndex(of: "/").map { String(base[..<$0]) } ?? "."
        var number = 1
        while HostFile.status("\(place)/\(stem)\(number).qcow2").kind != .nothing { number += 1 }
        return "\(place)/\(stem)\(number).qcow2"
    }

    private func forkedDefinitions(
        _ live: XMLTree, _ name: String, _ count: Int, _ disks: [ForkedDisk], _ folder: String?, _ made: inout [String]
    ) throws(LibvirtError) -> [XMLTree] {
        var trees: [XMLTree] = []
        var number = 1
        while trees.count < count {
            let own = "\(name)-\(number)"
            number += 1
            if list.find(name: own) != nil { continue }
            var tree = live
            tree.set("id", nil)
            tree.setText("name", own)
            tree.setText("uuid", try newUUID())
            var images: [String: String] = [:]
            for disk in disks {
                let path = DomainDriver.freePath(disk.base, folder, "\(own)-\(disk.target)-")
                made.append(path)
                try ImageProgram.run([
                    "create", "-u", "-f", "qcow2", "-b", disk.base, "-F", disk.format, path, "\(disk.size)",
                ])
                images[disk.target] = path
            }
            if let variables = variablesPath(live), HostFile.status(variables).kind == .file {
                let path = "\(emulators.firmware.variables)/\(own)_VARS.fd"
                made.append(path)
                try onHost { () throws(HostError) in
                    try HostFolder.make(emulators.firmware.variables, permissions: 0o700)
                    try HostFile.replace(path, with: try HostFile.contents(variables, limit: 64 << 20))
                }
                tree.update("os") { os in
                    os.update("nvram") { nvram in
                        nvram.remove("source")
                        nvram.set("type", nil)
                        nvram.nodes = [.text(path)]
                    }
                }
            }
            let paths = images
            var failure: LibvirtError?
            tree.update("devices") { devices in
                devices.updateChildren { device in
                    do throws(LibvirtError) { try DomainDriver.makeOwn(&device, paths) } catch { failure = error }
                }
            }
            if let failure { throw failure }
            trees.append(tree)
        }
        return trees
    }

    /// A device of the parent's as its child has it.
    private static func makeOwn(_ device: inout XMLTree, _ images: [String: String]) throws(LibvirtError) {
        switch device.name {
        case "disk":
            guard let path = images[device.child("target")?["dev"] ?? "disk"] else { return }
            device.moveOnTop(path, number: nil)
            device.remove("backingStore")
        case "interface":
            var address: [UInt8] = [0x52, 0x54, 0]
            do throws(HostError) { address += try HostRandom.bytes(3) } catch { throw LibvirtError.system("\(error)") }
            let text = address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
            device.remove("mac")
            device.remove("target")
            device.nodes.insert(.element(.of("mac", ["address": text])), at: 0)
        case "graphics":
            if device["port"] != nil { device.set("port", "-1") }
            device.set("autoport", "yes")
        case "console", "serial", "parallel", "channel":
            device.set("tty", nil)
            guard device["type"] == "pty" || device["type"] == "unix" else { return }
            device.remove("source")
        default: break
        }
    }

    private func newUUID() throws(LibvirtError) -> String {
        var bytes = try onHost { () throws(HostError) in try HostRandom.bytes(16) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        guard let uuid = UUIDBytes(bytes) else { throw LibvirtError.internalError("no identifier can be made") }
        return "\(uuid)"
    }

    // MARK: Processes

    private final class ForkedChild: Sendable {
        let domain: Domain
        let tree: XMLTree
        let thread = Mutex<HostThread?>(nil)
        let failure = Mutex<LibvirtError?>(nil)

        init(_ domain: Domain, _ tree: XMLTree) {
            self.domain = domain
            self.tree = tree
        }
    }

    private func door(_ child: Domain) -> String { "\(folder(child))/fork.sock" }

    /// Starts a child on a thread of its own, which ends when the child runs.
    private func start(_ child: ForkedChild, paused: Bool) throws(LibvirtError) {
        let thread = try onHost { () throws(HostError) in
            try HostThread(name: "fork") { [self] in
                do throws(LibvirtError) {
                    try child.domain.job.run { () throws(LibvirtError) in
                        try launch(
                            child.domain, child.tree, paused ? VirDomainCreateFlags.startPaused : 0,
                            arrival: "unix:\(door(child.domain))")
                    }
                } catch {
                    let error = error
                    child.failure.withLock { $0 = error }
                }
            }
        }
        child.thread.withLock { $0 = thread }
    }

    private func fork(
        _ parent: Domain, _ machine: RunningMachine, _ children: [ForkedChild], _ disks: [ForkedDisk]
    ) throws(LibvirtError) {
        let pause = Bell()
        for child in children {
            while child.domain.state.withLock({ $0.machine }) == nil {
                if let error = child.failure.withLock({ $0 }) { throw error }
                pause.wait(nanoseconds: 2_000_000)
            }
        }
        let monitor = try machine.qmp()
        var added: [String] = []
        do throws(LibvirtError) {
            let overlays = try addOverlays(monitor, disks, &added)
            try fork(monitor, children, overlays)
        } catch {
            // Those that the machine writes to stay.
            for node in added.reversed() { _ = try? monitor.execute("blockdev-del", ["node-name": .string(node)]) }
            try? move(parent, machine, disks)
            throw error
        }
        try move(parent, machine, disks)
    }

    /// Makes the parent's new images and opens them; they are its disks' once it is forked.
    private func addOverlays(
        _ monitor: QMPClient, _ disks: [ForkedDisk], _ added: inout [String]
    ) throws(LibvirtError) -> [JSONValue] {
        var overlays: [JSONValue] = []
        for disk in disks {
            let (file, node) = ("libvirt-\(disk.number)-storage", "libvirt-\(disk.number)-format")
            try ImageProgram.run([
                "create", "-u", "-f", "qcow2", "-b", disk.base, "-F", disk.format, disk.path, "\(disk.size)",
            ])
            try monitor.execute(
                "blockdev-add",
                [
                    "driver": "file", "filename": .string(disk.path), "node-name": .string(file),
                    "auto-read-only": true, "discard": "unmap",
                ])
            added.append(file)
            try monitor.execute(
                "blockdev-add",
                [
                    "driver": "qcow2", "node-name": .string(node), "read-only": false, "file": .string(file),
                    "backing": .null,
                ])
            added.append(node)
            overlays.append(
                .object([
                    "device": .string("libvirt-\(disk.element.child("source")?["index"] ?? "0")-format"),
                    "overlay": .string(node),
                ]))
        }
        return overlays
    }

    private func fork(
        _ monitor: QMPClient, _ children: [ForkedChild], _ overlays: [JSONValue]
    ) throws(LibvirtError) {
        let pause = Bell()
        var names: [JSONValue] = []
        for (index, child) in children.enumerated() {
            // The machine does not see its children's folders.
            let socket = try onHost { () throws(HostError) in
                try Socket.connect(SocketAddress.unix(door(child.domain)))
            }
            try monitor.execute("getfd", ["fdname": .string("child-\(index)")], passing: socket)
            names.append(.string("fd:child-\(index)"))
        }
        try monitor.execute("x-fork", ["children": .array(names), "overlays": .array(overlays)])
        var answer = try monitor.execute("query-migrate")
        while ["setup", "active", "device"].contains(answer["status"]?.stringValue ?? "") {
            pause.wait(nanoseconds: 2_000_000)
            answer = try monitor.execute("query-migrate")
        }
        guard answer["status"]?.stringValue == "completed" else {
            throw LibvirtError.operationFailed(
                "the machine was not forked: " + (answer["error-desc"]?.stringValue ?? "it was cancelled"))
        }
    }

    /// Tells in the parent's forms which images it writes to now: those that it has moved to.
    private func move(_ parent: Domain, _ machine: RunningMachine, _ disks: [ForkedDisk]) throws(LibvirtError) {
        let drives = try machine.qmp().execute("query-block").arrayValue ?? []
        let used = Set(drives.compactMap { $0["inserted"]?["node-name"]?.stringValue })
        let moved = disks.filter { used.contains("libvirt-\($0.number)-format") }
        guard !moved.isEmpty else { return }
        parent.state.withLock { state in
            state.live?.update("devices") { devices in
                devices.updateChildren { disk in
                    guard disk.name == "disk",
                        let change = moved.first(where: { $0.target == disk.child("target")?["dev"] })
                    else { return }
                    disk.moveOnTop(change.path, number: change.number)
                }
            }
        }
        try writeStatus(parent)
        try moveDefinition(parent, moved.map { ($0.element, $0.path) })
    }
}

extension XMLTree {
    /// The images of all disks.
    fileprivate var devicePaths: [String] { DomainFigures.devices(self, "disk").compactMap { DomainFigures.path($0) } }
}
