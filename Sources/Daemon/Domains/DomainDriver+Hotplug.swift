internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Devices that join, leave and change in a machine that runs.
extension DomainDriver {
    /// Adds a device; `live` gets it, with its alias and address.
    func plug(_ domain: Domain, _ live: inout XMLTree, _ device: XMLTree) throws(LibvirtError) {
        let machine = try domain.running()
        let emulator = try emulator(of: live)
        let known = Set(DomainDriver.aliases(live))
        var cards: Set<String> = usedCards
        var passed = NetworkDriver.Passed(first: nil)
        let (new, commands) = try { () throws(LibvirtError) -> (DomainModel.Domain, HotplugArguments) in
            do throws(DefinitionError) {
                let old = try DomainModel.Domain(tree: live, options: [.lenient])
                var tree = live
                tree.update("devices") { $0.append(device) }
                var new = try DomainModel.Domain(tree: tree, options: [.lenient])
                let names = old.devices.interfaces.map(\.target)
                try new.fillIn(DomainDefaults.profile(emulator))
                // Completing a definition takes the names away that running cards have.
                for (index, name) in names.enumerated() where index < new.devices.interfaces.count {
                    new.devices.interfaces[index].target = name
                }
                new.prepareAdded()
                var plan = LaunchPlan(
                    folder: folder(domain), monitor: .path(""), isSandboxed: !emulator.isApus,
                    usesQEMUExtras: !emulator.isApus, knownDrivers: emulator.devices)
                plan.logsConsoles = true
                do throws(LibvirtError) {
                    for index in new.devices.interfaces.indices.dropFirst(names.count) {
                        plan.attachments[index] = try networks.attach(
                            &new.devices.interfaces[index], of: new.name, emulator: emulator, taken: &cards,
                            passed: &passed)
                    }
                } catch { throw DefinitionError(.init(rawValue: error.code), error.message) }
                return (new, try HotplugArguments(from: old, to: new, plan: plan))
            } catch {
                throw LibvirtError(error, VirErrorDomain.qemu)
            }
        }()
        guard !commands.commands.isEmpty else {
            throw LibvirtError.operationUnsupported("live attach of device '\(device.name)' is not supported")
        }
        let cardCount = DomainFigures.devices(live, "interface").count
        do throws(LibvirtError) {
            for one in passed.all {
                try machine.qmp().execute("getfd", ["fdname": .string(one.name)], passing: one.descriptor)
            }
            defer { SecretDriver.remove(commands.secrets, from: folder(domain)) }
            try secrets.write(commands.secrets, to: folder(domain))
            try run(commands.commands, machine) { () throws(LibvirtError) in
                try networks.join(Array(new.devices.interfaces.dropFirst(cardCount)), of: new.name)
            }
        } catch {
            if device.name == "interface" { networks.release(device) }
            releaseImages(domain, commands.images, besides: live)
            throw error
        }
        let added = (new.tree(options: [.secure]).child("devices")?.children ?? []).filter { element in
            element.child("alias")?["name"].map { !known.contains($0) } ?? false
        }
        live.update("devices") { devices in
            for element in added { devices.insertDevice(element) }
        }
        if device.name == "interface" || device.name == "disk" || device.name == "serial" || device.name == "channel" {
            try? complete(&live, machine)
        }
        for element in added where element.name == device.name {
            emit(.deviceAdded(element.child("alias")?["name"] ?? ""), domain)
        }
    }

    /// Gives commands one after the other; if one fails, or what is to be done at the end, what was done is undone.
    private func run(
        _ commands: [HotplugArguments.Command], _ machine: RunningMachine,
        then: () throws(LibvirtError) -> Void = { () throws(LibvirtError) in }
    ) throws(LibvirtError) {
        let monitor = try machine.qmp()
        var done: [HotplugArguments.Command] = []
        do throws(LibvirtError) {
            // Files below images that are only read are opened for that alone.
            let readOnly = Set(
                commands.filter { $0.arguments["read-only"] == true }.compactMap { $0.arguments["file"]?.stringValue })
            for command in commands {
                var arguments = command.arguments
                if readOnly.contains(arguments["node-name"]?.stringValue ?? "") { arguments["read-only"] = true }
                try monitor.execute(command.name, arguments)
                done.append(command)
            }
            try then()
        } catch {
            for command in done.reversed() {
                if let undo = command.undo { _ = try? monitor.execute(undo.name, undo.arguments) }
            }
            throw error
        }
    }

    func emulator(of tree: XMLTree) throws(LibvirtError) -> Emulator {
        let path = tree.at("devices", "emulator")?.text ?? ""
        guard let emulator = emulators.emulator(path) else {
            throw LibvirtError.configUnsupported("Emulator '\(path)' cannot be used on this host")
        }
        return emulator
    }

    static func aliases(_ tree: XMLTree) -> [String] {
        (tree.child("devices")?.children ?? []).compactMap { $0.child("alias")?["name"] }
    }

    // MARK: - Leaving

    /// How long a guest has to give a device up before the call returns; the event tells when it has.
    private static let unplugPatience: UInt64 = 5_000_000_000

    /// Asks the guest to give a device up. The event handler takes it out of the live form when it has.
    func unplug(_ domain: Domain, _ device: XMLTree) throws(LibvirtError) {
        let machine = try domain.running()
        guard let alias = device.child("alias")?["name"] else {
            throw LibvirtError.operationFailed("device not present in domain configuration")
        }
        guard !["memballoon", "video", "graphics", "console", "serial"].contains(device.name) else {
            throw LibvirtError.operationUnsupported("live detach of device '\(device.name)' is not supported")
        }
        let gone = Bell()
        domain.state.withLock { $0.departures[alias] = gone }
        defer { domain.state.withLock { $0.departures[alias] = nil } }
        try machine.qmp().execute("device_del", ["id": .string(alias)])
        let deadline = HostClock.monotonic + DomainDriver.unplugPatience
        while domain.state.withLock({ $0.live.map { DomainDriver.aliases($0).contains(alias) } ?? false }) {
            let now = HostClock.monotonic
            guard now < deadline else { return }
            gone.wait(nanoseconds: deadline - now)
        }
    }

    /// The guest has given a device up: what it stood on goes too.
    func releaseBackends(_ domain: Domain, _ device: XMLTree) {
        guard let monitor = domain.machine?.monitor, let alias = device.child("alias")?["name"] else { return }
        switch device.name {
        case "interface":
            _ = try? monitor.execute("netdev_del", ["id": .string("host" + alias)])
            networks.release(device)
        case "disk":
            DomainDriver.closeImages(device, monitor)
            let live = domain.state.withLock { $0.live }
            releaseImages(domain, DomainDriver.images(device), besides: live ?? XMLTree("domain"))
        case "rng": _ = try? monitor.execute("object-del", ["id": .string("obj" + alias)])
        case "channel", "redirdev", "smartcard":
            _ = try? monitor.execute("chardev-remove", ["id": .string("char" + alias)])
        default: break
        }
    }

    /// Closes the nodes of a disk's images, from the top down.
    static func closeImages(_ disk: XMLTree, _ monitor: QMPClient) {
        if let target = disk.child("target")?["dev"], disk.child("driver")?["copy_on_read"] == "on" {
            _ = try? monitor.execute("blockdev-del", ["node-name": .string("libvirt-CoR-\(target)")])
        }
        var image: XMLTree? = disk
        while let current = image {
            if let index = current.child("source")?["index"] {
                for layer in ["format", "storage"] {
                    _ = try? monitor.execute("blockdev-del", ["node-name": .string("libvirt-\(index)-\(layer)")])
                }
            }
            image = current.child("backingStore")
        }
    }

    // MARK: - Changing

    /// Changes a device in place, as far as a running machine can.
    func update(_ domain: Domain, _ live: inout XMLTree, _ old: XMLTree, _ new: XMLTree) throws(LibvirtError) {
        switch old.name {
        case "disk": try changeMedium(domain, &live, old, new)
        case "interface": try changeCard(domain, &live, old, new)
        case "graphics": try changeScreen(domain, &live, old, new)
        default:
            throw LibvirtError.operationUnsupported("live update of device '\(old.name)' is not supported")
        }
    }

    private func replace(_ live: inout XMLTree, _ old: XMLTree, _ change: (inout XMLTree) -> Void) {
        live.update("devices") { devices in
            devices.updateChildren { if $0 == old { change(&$0) } }
        }
    }

    private func changeMedium(
        _ domain: Domain, _ live: inout XMLTree, _ old: XMLTree, _ new: XMLTree
    ) throws(LibvirtError) {
        guard old["device"] == "cdrom" || old["device"] == "floppy" else {
            // Nothing but what it is.
            let format = new.child("driver")?["type"]
            if DomainFigures.path(old) == DomainFigures.path(new), format == nil || format == old.child("driver")?["type"] {
                return
            }
            throw LibvirtError.operationUnsupported("this disk cannot be changed while the machine runs")
        }
        let monitor = try domain.running().qmp()
        let alias = old.child("alias")?["name"] ?? ""
        // The drive with the new medium, in its old place.
        var drive = old
        drive.remove("source")
        drive.remove("backingStore")
        if let type = new["type"] { drive.set("type", type) }
        if let driver = new.child("driver"), let format = driver["type"] {
            if drive.child("driver") == nil { drive.insert(XMLTree("driver"), before: ["target"]) }
            drive.update("driver") { element in
                if element["name"] == nil { element.set("name", "qemu") }
                element.set("type", format)
            }
        }
        if let source = new.child("source") { drive.insert(source, before: ["target", "backingStore"]) }
        let emulator = try emulator(of: live)
        let (completed, commands) = try { () throws(LibvirtError) -> (XMLTree, [HotplugArguments.Command]) in
            do throws(DefinitionError) {
                var before = live
                var after = live
                var empty = drive
                empty.remove("source")
                replace(&before, old) { $0 = empty }
                replace(&after, old) { $0 = drive }
                let former = try DomainModel.Domain(tree: before, options: [.lenient])
                var domainAfter = try DomainModel.Domain(tree: after, options: [.lenient])
                // Numbers of the medium that goes are not used again at once.
                let numbers = (live.child("devices")?.all("disk") ?? []).compactMap {
                    $0.child("source")?["index"].flatMap { UInt32($0) }
                }
                domainAfter.numberMedium(alias, above: numbers.max() ?? 0)
                let plan = LaunchPlan(
                    folder: folder(domain), monitor: .path(""), isSandboxed: !emulator.isApus,
                    usesQEMUExtras: !emulator.isApus, knownDrivers: emulator.devices)
                let arguments = try HotplugArguments(from: former, to: domainAfter, plan: plan)
                let tree = domainAfter.tree(options: [.secure]).child("devices")?.all("disk").first {
                    $0.child("alias")?["name"] == alias
                }
                return (tree ?? drive, arguments.commands.filter { $0.name == "blockdev-add" })
            } catch {
                throw LibvirtError(error, VirErrorDomain.qemu)
            }
        }()
        let images = HotplugArguments.images(commands)
        do throws(LibvirtError) { try run(commands, try domain.running()) } catch {
            releaseImages(domain, images, besides: live)
            throw error
        }
        do throws(LibvirtError) {
            if old["device"] == "cdrom" || old.child("source") != nil {
                _ = try? monitor.execute("blockdev-open-tray", ["id": .string(alias), "force": false])
            }
            if old.child("source") != nil {
                try removeMedium(monitor, alias)
                DomainDriver.closeImages(old, monitor)
            }
            if let node = commands.last?.arguments["node-name"] {
                try monitor.execute("blockdev-insert-medium", ["id": .string(alias), "node-name": node])
            }
            _ = try? monitor.execute("blockdev-close-tray", ["id": .string(alias)])
        } catch {
            for command in commands.reversed() {
                if let undo = command.undo { _ = try? monitor.execute(undo.name, undo.arguments) }
            }
            releaseImages(domain, images, besides: live)
            throw error
        }
        replace(&live, old) { $0 = completed }
        releaseImages(domain, DomainDriver.images(old), besides: live)
    }

    /// A guest may hold the tray locked: it is asked, and gets some time.
    private func removeMedium(_ monitor: QMPClient, _ alias: String) throws(LibvirtError) {
        let deadline = HostClock.monotonic + 5_000_000_000
        let pause = Bell()
        while true {
            do throws(LibvirtError) {
                try monitor.execute("blockdev-remove-medium", ["id": .string(alias)])
                return
            } catch {
                guard HostClock.monotonic < deadline,
                    error.message.contains("not open") || error.message.contains("locked")
                else { throw error }
                pause.wait(nanoseconds: 100_000_000)
            }
        }
    }

    private func changeCard(
        _ domain: Domain, _ live: inout XMLTree, _ old: XMLTree, _ new: XMLTree
    ) throws(LibvirtError) {
        for (element, attribute) in [("model", "type"), ("mac", "address")] {
            if let wanted = new.child(element)?[attribute], wanted != old.child(element)?[attribute] {
                throw LibvirtError.operationUnsupported("cannot change the \(element) of a card while the machine runs")
            }
        }
        let state = new.child("link")?["state"]
        guard state != old.child("link")?["state"] else { return }
        let alias = old.child("alias")?["name"] ?? ""
        try domain.running().qmp().execute(
            "set_link", ["name": .string(alias), "up": .bool(state != "down")])
        replace(&live, old) { card in
            card.remove("link")
            if let state {
                card.insert(.of("link", ["state": state]), before: ["mtu", "coalesce", "boot", "alias", "address"])
            }
        }
    }

    private func changeScreen(
        _ domain: Domain, _ live: inout XMLTree, _ old: XMLTree, _ new: XMLTree
    ) throws(LibvirtError) {
        try ScreenPasswords.set(new, domain.running())
        replace(&live, old) { screen in
            for name in ["passwd", "passwdValidTo", "connected"] { screen.set(name, new[name]) }
        }
    }
}

extension XMLTree {
    /// Puts a device behind the last of its kind; a disk in its place among those of its bus.
    mutating func insertDevice(_ device: XMLTree) {
        var place: Int?
        var last: Int?
        for (index, node) in nodes.enumerated().reversed() {
            guard case .element(let other) = node, other.name == device.name else { continue }
            if last == nil { last = index + 1 }
            guard device.name == "disk", let own = device.child("target"), let its = other.child("target"),
                own["bus"] == its["bus"]
            else { continue }
            let (name, theirs) = (own["dev"] ?? "", its["dev"] ?? "")
            let isBefore = (name.utf8.count, name) < (theirs.utf8.count, theirs)
            if isBefore { place = index } else if place == nil { place = index + 1 }
        }
        nodes.insert(.element(device), at: place ?? last ?? nodes.count)
    }
}

extension HotplugArguments {
    /// The files that a machine opens by commands.
    static func images(_ commands: [Command]) -> Set<String> {
        var paths: Set<String> = []
        func look(_ value: JSONValue) {
            guard case .object(let object) = value else { return }
            if let path = object["filename"]?.stringValue { paths.insert(path) }
            for member in object.members { look(member.value) }
        }
        for command in commands { look(.object(command.arguments)) }
        return paths
    }

    var images: Set<String> { HotplugArguments.images(commands) }
}

extension DomainModel.Domain {
    /// Numbers the images of one drive anew.
    mutating func numberMedium(_ alias: String, above highest: UInt32) {
        for index in devices.disks.indices where devices.disks[index].info.alias == alias {
            devices.disks[index].source?.index = highest + 1
        }
    }
}
