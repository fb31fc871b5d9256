internal import DomainModel
internal import JSON

/// QEMU's command line of a domain. On the way the live form gets the devices' aliases.
struct MachineCommandLine {
    var arguments: [String] = []
    var environment: [String] = []
    /// The domain as it runs.
    var live: XMLTree
    /// What was left out, and why.
    var messages: [String] = []
    let emulator: Emulator
    let folder: String

    /// `folder`: a place of the machine's own, for its sockets. The monitor is descriptor 3, where the emulator takes that.
    init(_ live: XMLTree, emulator: Emulator, folder: String, startPaused: Bool = true) throws(LibvirtError) {
        self.live = live
        self.emulator = emulator
        self.folder = folder
        arguments = [emulator.path]
        try machine()
        try processors()
        try memory()
        add("-uuid", live.child("uuid")?.text ?? "")
        add("-no-user-config", "-nodefaults")
        let socket = emulator.takesListener ? "fd=3" : "path=\(MachineCommandLine.escape(folder))/monitor.sock"
        add("-chardev", "socket,id=charmonitor,\(socket),server=on,wait=off")
        add("-mon", "chardev=charmonitor,id=monitor,mode=control")
        clock()
        add("-no-shutdown")
        if live.child("on_reboot")?.text == "destroy" { add("-no-reboot") }
        boot()
        try devices()
        if !hasScreen { add("-display", "none") }
        passThrough()
        add("-msg", "timestamp=on")
    }

    mutating func add(_ words: String...) { arguments += words }

    /// `-device` in the form that all versions take.
    mutating func addDevice(_ properties: KeyValuePairs<String, String?>) {
        let words = properties.compactMap { name, value in
            value.map { name == "driver" ? MachineCommandLine.escape($0) : "\(name)=\(MachineCommandLine.escape($0))" }
        }
        add("-device", words.joined(separator: ","))
    }

    /// A comma is doubled in QEMU's options.
    static func escape(_ text: String) -> String {
        text.contains(",") ? text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,") : text
    }

    private var hasScreen: Bool { arguments.contains("-vnc") || arguments.contains("-nographic") }

    // MARK: - The board

    private mutating func machine() throws(LibvirtError) {
        let name = live.child("name")?.text ?? ""
        add("-name", "guest=\(MachineCommandLine.escape(name)),debug-threads=on", "-S")
        var board = live.at("os", "type")?["machine"] ?? emulator.canonicalMachine(nil)
        board += ",usb=off"
        if live.at("features", "acpi") == nil, !board.hasPrefix("microvm") { board += ",acpi=off" }
        add("-machine", board)
        add("-accel", live["type"] == "kvm" ? "kvm" : "tcg")
    }

    private mutating func processors() throws(LibvirtError) {
        let cpu = live.child("cpu")
        var model: String
        switch cpu?["mode"] {
        case "host-passthrough", "host-model": model = live["type"] == "kvm" ? "host" : "max"
        case "maximum": model = "max"
        default: model = cpu?.child("model")?.text ?? "qemu64"
        }
        for feature in cpu?.all("feature") ?? [] {
            guard let name = feature["name"] else { continue }
            switch feature["policy"] ?? "require" {
            case "disable", "forbid": model += ",\(name)=off"
            case "optional": break
            default: model += ",\(name)=on"
            }
        }
        add("-cpu", model)
        let maximum = Int(live.child("vcpu")?.text ?? "") ?? 1
        let count = Int(live.child("vcpu")?["current"] ?? "") ?? maximum
        var words = "\(count)"
        if count != maximum { words += ",maxcpus=\(maximum)" }
        if let topology = cpu?.child("topology") {
            for part in ["sockets", "dies", "cores", "threads"] {
                if let value = topology[part], part != "dies" || value != "1" { words += ",\(part)=\(value)" }
            }
        } else {
            words += ",sockets=\(maximum),cores=1,threads=1"
        }
        add("-smp", words)
    }

    private mutating func memory() throws(LibvirtError) {
        guard let element = live.child("memory") else { return }
        add("-m", "size=\(try DomainDefaults.kilobytes(element))k")
        add("-overcommit", "mem-lock=off")
    }

    private mutating func clock() {
        let offset = live.child("clock")?["offset"] ?? "utc"
        add("-rtc", "base=\(offset == "localtime" ? "localtime" : "utc")")
    }

    private mutating func boot() {
        guard let system = live.child("os") else { return }
        add("-boot", "strict=on")
        if let loader = system.child("loader"), loader["type"] != "pflash" { add("-bios", loader.text) }
        if let kernel = system.child("kernel")?.text { add("-kernel", kernel) }
        if let initrd = system.child("initrd")?.text { add("-initrd", initrd) }
        if let words = system.child("cmdline")?.text { add("-append", words) }
    }

    /// `<qemu:commandline>`: words and variables as they are.
    private mutating func passThrough() {
        for child in live.children where child.name.hasSuffix(":commandline") {
            for part in child.children {
                if part.name.hasSuffix(":arg"), let value = part["value"] { arguments.append(value) }
                if part.name.hasSuffix(":env"), let name = part["name"] {
                    environment.append("\(name)=\(part["value"] ?? "")")
                }
            }
        }
    }

    // MARK: - Devices

    /// Goes over the devices in order and writes their aliases into the live form.
    private mutating func devices() throws(LibvirtError) {
        guard let devices = live.child("devices") else { return }
        let order = bootOrder()
        var counts: [String: Int] = [:]
        var nodes: [XMLNode] = []
        for node in devices.nodes {
            guard case .element(var device) = node else {
                nodes.append(node)
                continue
            }
            let index = counts[device.name, default: 0]
            counts[device.name] = index + 1
            try add(&device, index: index, order: order)
            nodes.append(.element(device))
        }
        live.update("devices") { $0.nodes = nodes }
    }

    private mutating func add(_ device: inout XMLTree, index: Int, order: [String]) throws(LibvirtError) {
        switch device.name {
        case "disk": try addDisk(&device, index: index, order: order)
        case "interface": try addInterface(&device, index: index, order: order)
        case "serial": try addSerial(&device, index: index)
        case "console": try addConsole(&device, index: index)
        case "channel": try addChannel(&device, index: index)
        case "controller": addController(&device)
        case "memballoon": addBalloon(&device)
        case "rng": addEntropy(&device, index: index)
        case "graphics": addGraphics(&device)
        case "video": addVideo(&device, index: index)
        case "input": addInput(&device, index: index)
        default: break
        }
    }

    /// `<os><boot dev=…/>` in order.
    private func bootOrder() -> [String] { (live.child("os")?.all("boot") ?? []).compactMap { $0["dev"] } }

    /// The place of a PCI device that has one.
    func place(_ device: XMLTree) -> (bus: String?, address: String?) {
        guard let address = device.child("address"), address["type"] == "pci",
            let slot = MachineCommandLine.number(address["slot"])
        else { return (nil, nil) }
        let function = MachineCommandLine.number(address["function"]) ?? 0
        let bus = MachineCommandLine.number(address["bus"]) ?? 0
        let root = (live.at("os", "type")?["machine"] ?? "").contains("q35") ? "pcie.0" : "pci.0"
        return (
            bus == 0 ? root : "pci.\(bus)",
            "0x" + String(slot, radix: 16) + (function == 0 ? "" : ".0x" + String(function, radix: 16))
        )
    }

    static func number(_ text: String?) -> Int? {
        guard let text else { return nil }
        return text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    }

    /// Gives the device its name in the machine.
    func name(_ device: inout XMLTree, _ alias: String) -> String {
        if let own = device.child("alias")?["name"], own.hasPrefix("ua-") { return own }
        device.remove("alias")
        device.insert(.of("alias", ["name": alias]), before: ["address"])
        return alias
    }
}
