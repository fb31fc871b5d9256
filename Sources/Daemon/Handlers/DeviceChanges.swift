internal import DomainModel
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Devices that come, go and change in a domain's definition, and in its machine.
    mutating func addDeviceChanges() {
        add(Remote.DomainAttachDevice.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.changeDevice(try call.domain(arguments.dom), arguments.xml, .attach, flags: 0)
        }
        add(Remote.DomainAttachDeviceFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.changeDevice(try call.domain(arguments.dom), arguments.xml, .attach, flags: arguments.flags)
        }
        add(Remote.DomainDetachDevice.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.changeDevice(try call.domain(arguments.dom), arguments.xml, .detach, flags: 0)
        }
        add(Remote.DomainDetachDeviceFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.changeDevice(try call.domain(arguments.dom), arguments.xml, .detach, flags: arguments.flags)
        }
        add(Remote.DomainUpdateDeviceFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.changeDevice(try call.domain(arguments.dom), arguments.xml, .update, flags: arguments.flags)
        }
        add(Remote.DomainDetachDeviceAlias.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            let tree = domain.state.withLock { $0.current }
            let found = tree.child("devices")?.children.first { $0.child("alias")?["name"] == arguments.alias }
            guard let device = found else {
                throw LibvirtError(
                    code: VirErrorNumber.deviceMissing,
                    message: "device not found: no device found with alias \(arguments.alias)",
                    detail: "no device found with alias \(arguments.alias)")
            }
            try call.driver.changeDevice(domain, XMLWriter.write(device), .detach, flags: arguments.flags)
        }
        add(Remote.ConnectDomainXMLToNative.self, .worker) { (call, arguments) throws(LibvirtError) in
            guard arguments.nativeFormat == "qemu-argv" else {
                throw LibvirtError.invalidArgument("unsupported config type \(arguments.nativeFormat)")
            }
            return .init(nativeConfig: try call.driver.commandLine(arguments.domainXml))
        }
    }
}

extension DomainDriver {
    enum DeviceChange {
        case attach, detach, update
    }

    /// Changes the definition by one device.
    func changeDevice(
        _ domain: Domain, _ text: String, _ kind: DeviceChange, flags: UInt32
    ) throws(LibvirtError) {
        let device: XMLTree
        do throws(DefinitionError) { device = try XMLReader.parse(text, document: "(device_definition)") } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.none, message: error.message)
        }
        let emulators = emulators
        let isDefinition = flags & 2 != 0 || domain.state.withLock { $0.live == nil }
        try change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            let devices = tree.child("devices")?.children ?? []
            let place =
                devices.firstIndex { DomainDriver.isSame($0, device) }
                ?? (kind == .attach ? nil : devices.firstIndex { DomainDriver.isMeant($0, by: device) })
            switch (kind, place) {
            case (.attach, nil): break
            case (.attach, let place?) where device.name == "disk" && !isDefinition:
                let sources = [devices[place], device].map { "'" + (DomainFigures.path($0) ?? "(null)") + "'" }
                throw LibvirtError.xml(
                    "target '\(DomainDriver.key(device) ?? "")' duplicated for disk sources "
                        + sources.joined(separator: " and "))
            case (.attach, _):
                throw LibvirtError.operationInvalid("target \(DomainDriver.key(device) ?? "") already exists")
            case (.update, nil) where device.name == "disk":
                throw LibvirtError.invalidArgument("target \(DomainDriver.key(device) ?? "") doesn't exist.")
            case (_, nil):
                throw LibvirtError(
                    code: VirErrorNumber.deviceMissing, message: "device not found: no matching device was found",
                    detail: "no matching device was found")
            default: break
            }
            if tree["id"] != nil {
                switch (kind, place) {
                case (.attach, _): try plug(domain, &tree, device)
                case (.detach, let place?):
                    try unplug(domain, devices[place])
                    // The event has changed it; what was read before is old.
                    if let live = domain.state.withLock({ $0.live }) { tree = live }
                case (.update, let place?): try update(domain, &tree, devices[place], device)
                default: break
                }
                return
            }
            tree.update("devices") { element in
                var left = devices
                if let place { left.remove(at: place) }
                if kind != .detach { left.insert(device, at: kind == .update ? place ?? left.count : left.count) }
                element.nodes = left.map { .element($0) }
            }
            // What the client left out of the device is filled in like that of a new domain.
            tree = try DomainDefaults.parse(XMLWriter.write(tree), emulators).tree
        }
    }

    /// What tells devices of a kind apart.
    private static func key(_ device: XMLTree) -> String? {
        switch device.name {
        case "disk": device.child("target")?["dev"]
        case "interface": device.child("mac")?["address"]?.lowercased()
        case "filesystem": device.child("target")?["dir"]
        case "controller": (device["type"] ?? "") + (device["index"] ?? "")
        case "hostdev": device.child("source").map { XMLWriter.write($0) }
        case "channel": device.child("target")?["name"]
        default: nil
        }
    }

    private static func isSame(_ one: XMLTree, _ other: XMLTree) -> Bool {
        guard one.name == other.name else { return false }
        if let alias = other.child("alias")?["name"], one.child("alias")?["name"] == alias { return true }
        if let key = key(other) { return self.key(one) == key }
        return ["memballoon", "watchdog", "video", "graphics", "sound", "tpm"].contains(one.name)
            && one["type"] == other["type"]
    }

    /// Kinds of which a domain may have several that nothing tells apart but what they are.
    private static let alike: Set<String> = ["memory", "rng", "input", "shmem", "vsock", "redirdev", "serial", "console"]

    /// Whether a device is all that a client says of one that it means; the first such is taken.
    private static func isMeant(_ device: XMLTree, by wanted: XMLTree) -> Bool {
        alike.contains(wanted.name) && covers(device, wanted)
    }

    private static func covers(_ element: XMLTree, _ wanted: XMLTree) -> Bool {
        guard element.name == wanted.name else { return false }
        if wanted.name == "size" { return bytes(element) == bytes(wanted) }
        let text = wanted.children.isEmpty ? HostDescription.trim(wanted.text) : ""
        return (text.isEmpty || text == HostDescription.trim(element.text))
            && wanted.attributes.allSatisfy { element[$0.name] == $0.value }
            && wanted.children.allSatisfy { child in element.children.contains { covers($0, child) } }
    }

    /// A size of memory, by default in KiB.
    private static func bytes(_ element: XMLTree) -> UInt64? {
        guard let number = UInt64(HostDescription.trim(element.text)),
            let factor = StorageDriver.units[element["unit"] ?? "KiB"]
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }

    /// The machine's words for a definition, as a shell would take them.
    func commandLine(_ text: String) throws(LibvirtError) -> String {
        let parsed = try DomainDefaults.parse(text, emulators)
        let path = parsed.tree.at("devices", "emulator")?.text ?? ""
        guard let emulator = emulators.emulator(path) else {
            throw LibvirtError.configUnsupported("Emulator '\(path)' cannot be used on this host")
        }
        let command = try MachineCommandLine(parsed.tree, emulator: emulator, folder: "\(paths.running)/\(parsed.uuid)")
        let words = command.environment + command.arguments
        return words.map { word in
            let plain = word.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "="),
                    UInt8(ascii: ","), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "+"):
                    true
                default: false
                }
            }
            return plain && !word.isEmpty
                ? word
                : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }.joined(separator: " ") + "\n"
    }
}
