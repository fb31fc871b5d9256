internal import DomainModel
internal import HostOS
internal import RPCWire

/// Makes a definition that a client sent whole: what it leaves out is filled in, what it must not say is refused.
enum DomainDefaults {
    struct Parsed {
        var name: String
        var uuid: UUIDBytes
        var tree: XMLTree
    }

    /// Reads a domain's definition.
    static func parse(_ text: String, _ emulators: EmulatorList) throws(LibvirtError) -> Parsed {
        let tree: XMLTree
        do throws(DefinitionError) {
            tree = try XMLReader.parse(text, document: "(domain_definition)")
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.none, message: error.message)
        }
        return try complete(tree, emulators)
    }

    static func complete(_ tree: XMLTree, _ emulators: EmulatorList) throws(LibvirtError) -> Parsed {
        guard tree.name == "domain" else {
            throw LibvirtError.xml("unexpected root element <\(tree.name)>, expecting <domain>").from(0)
        }
        guard let type = tree["type"] else { throw LibvirtError.xml("missing domain type attribute").from(0) }
        guard ["qemu", "kvm"].contains(type) else {
            throw LibvirtError.configUnsupported("unsupported virtualization type '\(type)'")
        }
        var tree = tree
        tree.set("id", nil)
        let name = try name(tree)
        let uuid = try uuid(tree)
        if tree.child("uuid") == nil {
            let index = tree.nodes.firstIndex { if case .element(let child) = $0 { child.name == "name" } else { false } }
            tree.nodes.insert(.element(.text("uuid", uuid.description)), at: (index ?? -1) + 1)
        }
        try memory(&tree)
        try processors(&tree)
        try system(&tree, emulators)
        policies(&tree)
        try devices(&tree)
        return Parsed(name: name, uuid: uuid, tree: tree)
    }

    private static func name(_ tree: XMLTree) throws(LibvirtError) -> String {
        guard let name = tree.child("name")?.text, !name.isEmpty else {
            throw LibvirtError(code: VirErrorNumber.noName, domain: 0, message: "missing name information")
        }
        guard !name.contains("/") else { throw LibvirtError.xml("name \(name) cannot contain '/'").from(0) }
        guard !name.contains("\n") else {
            throw LibvirtError.xml("name \(name) cannot contain '\\n'").from(0)
        }
        guard name != ".", name != ".." else { throw LibvirtError.xml("name \(name) is not allowed").from(0) }
        return name
    }

    private static func uuid(_ tree: XMLTree) throws(LibvirtError) -> UUIDBytes {
        guard let text = tree.child("uuid")?.text else {
            var bytes = (try? HostRandom.bytes(16)) ?? [UInt8](repeating: 0, count: 16)
            bytes[6] = bytes[6] & 0x0F | 0x40
            bytes[8] = bytes[8] & 0x3F | 0x80
            guard let uuid = UUIDBytes(bytes) else { throw LibvirtError.internalError("Failed to generate UUID") }
            return uuid
        }
        guard let uuid = UUIDBytes(text), uuid.bytes.contains(where: { $0 != uuid.bytes[0] }) else {
            throw LibvirtError.internalError("malformed uuid element").from(0)
        }
        return uuid
    }

    private static let units: [String: UInt64] = [
        "b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 1_000_000, "M": 1 << 20, "MiB": 1 << 20,
        "GB": 1_000_000_000, "G": 1 << 30, "GiB": 1 << 30, "TB": 1_000_000_000_000, "T": 1 << 40, "TiB": 1 << 40,
    ]

    /// The KiB that an element says.
    static func kilobytes(_ element: XMLTree) throws(LibvirtError) -> UInt64 {
        let text = HostDescription.trim(element.text)
        guard let number = UInt64(text), let unit = units[element["unit"] ?? "KiB"] else {
            throw LibvirtError.xml("Invalid value '\(text)' for element '\(element.name)'").from(0)
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow, bytes < 1 << 60 else {
            throw LibvirtError(code: VirErrorNumber.overflow, domain: 0, message: "numerical overflow: \(text)")
        }
        return (bytes + 1023) / 1024
    }

    private static func memory(_ tree: inout XMLTree) throws(LibvirtError) {
        guard let element = tree.child("memory") else {
            throw LibvirtError.xml("missing memory element").from(0)
        }
        let size = try kilobytes(element)
        guard size > 0 else { throw LibvirtError.xml("domain memory must not be zero").from(0) }
        let current = try tree.child("currentMemory").map { (element) throws(LibvirtError) in try kilobytes(element) }
        tree.update("memory") { element in
            element.set("unit", "KiB")
            element.nodes = [.text("\(size)")]
        }
        let used = min(current ?? size, size)
        if tree.child("currentMemory") == nil { tree.insert(XMLTree("currentMemory"), before: ["memoryBacking", "vcpu", "os"]) }
        tree.update("currentMemory") { element in
            element.set("unit", "KiB")
            element.nodes = [.text("\(used)")]
        }
    }

    private static func processors(_ tree: inout XMLTree) throws(LibvirtError) {
        if tree.child("vcpu") == nil { tree.insert(.text("vcpu", "1"), before: ["iothreads", "os"]) }
        guard let count = tree.child("vcpu").flatMap({ Int(HostDescription.trim($0.text)) }), count > 0, count <= 4096
        else { throw LibvirtError.xml("invalid maximum number of vCPUs").from(0) }
        if let current = tree.child("vcpu")?["current"] {
            guard let number = Int(current), number > 0, number <= count else {
                throw LibvirtError.xml("maxvcpus must not be less than current vcpus (\(count) < \(current))").from(0)
            }
        }
        tree.update("vcpu") { element in
            if element["placement"] == nil { element.attributes.insert(XMLAttribute("placement", "static"), at: 0) }
        }
    }

    private static func system(_ tree: inout XMLTree, _ emulators: EmulatorList) throws(LibvirtError) {
        guard let type = tree.at("os", "type")?.text else {
            throw LibvirtError(code: VirErrorNumber.osType, domain: 0, message: "unknown OS type no OS type")
        }
        guard HostDescription.trim(type) == "hvm" else {
            throw LibvirtError(code: VirErrorNumber.osType, domain: 0, message: "unknown OS type \(type)")
        }
        if let architecture = tree.at("os", "type")?["arch"], architecture != "x86_64", architecture != "i686" {
            throw LibvirtError.configUnsupported("Emulator for architecture '\(architecture)' is not available")
        }
        let path = tree.at("devices", "emulator")?.text
        let emulator = path.map { emulators.emulator($0) } ?? emulators.standard
        tree.update("os") { system in
            system.update("type") { type in
                if type["arch"] == nil { type.set("arch", "x86_64") }
                if let emulator { type.set("machine", emulator.canonicalMachine(type["machine"])) }
            }
            if system.child("kernel") == nil, system.child("boot") == nil { system.append(.of("boot", ["dev": "hd"])) }
        }
        tree.update("devices") { devices in
            guard devices.child("emulator") == nil, let emulator else { return }
            devices.nodes.insert(.element(.text("emulator", emulator.path)), at: 0)
        }
    }

    private static func policies(_ tree: inout XMLTree) {
        if tree.child("clock") == nil {
            tree.insert(
                .of("clock", ["offset": "utc"]), before: ["on_poweroff", "on_reboot", "on_crash", "pm", "devices"])
        }
        for (name, value) in [("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")]
        where tree.child(name) == nil {
            tree.insert(.text(name, value), before: ["pm", "perf", "devices"])
        }
    }

    private static func devices(_ tree: inout XMLTree) throws(LibvirtError) {
        for disk in tree.child("devices")?.all("disk") ?? [] where disk.child("target")?["dev"] == nil {
            throw LibvirtError(code: VirErrorNumber.noTarget, domain: 0, message: "missing target information for disk")
        }
        var random = ((try? HostRandom.bytes(64 * 3)) ?? [])[...]
        tree.update("devices") { devices in
            devices.updateChildren { device in
                guard device.name == "interface", device.child("mac") == nil else { return }
                let bytes = random.prefix(3)
                random = random.dropFirst(3)
                let address = ([0x52, 0x54, 0x00] + Array(bytes)).map { byte in
                    (byte < 16 ? "0" : "") + String(byte, radix: 16)
                }
                device.nodes.insert(.element(.of("mac", ["address": address.joined(separator: ":")])), at: 0)
            }
            if devices.child("console") == nil, let serial = devices.child("serial") {
                var console = XMLTree("console", attributes: serial.attributes)
                for child in serial.children where child.name == "source" { console.append(child) }
                console.append(.of("target", ["type": "serial", "port": "0"]))
                devices.insert(console, before: ["channel", "input", "graphics", "video", "memballoon", "rng"])
            } else if devices.child("serial") == nil, let console = devices.child("console"),
                (console.child("target")?["type"] ?? "serial") == "serial"
            {
                var serial = XMLTree("serial", attributes: console.attributes)
                for child in console.children where child.name == "source" { serial.append(child) }
                serial.append(.of("target", ["type": "isa-serial", "port": "0"]))
                devices.insert(serial, before: ["console"])
            }
        }
    }
}
