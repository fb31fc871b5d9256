internal import DomainModel
internal import HostOS
internal import RPCWire

/// The host's devices, read from Linux's `/sys` when they are asked for.
struct NodeDevices: Sendable {
    struct Entry: Sendable {
        let name: String
        let parent: String?
        /// A `VIR_CONNECT_LIST_NODE_DEVICES_CAP_*`.
        let kind: UInt32
        /// The name of its kind: `pci`, `net`.
        let type: String
        /// Where it is in `/sys/devices`; nil for the computer itself.
        let path: String?
        /// What it is called there.
        let node: String
    }

    let all: [Entry]

    private typealias Flags = VirConnectListAllNodeDeviceFlags

    init() {
        var entries = [
            Entry(name: "computer", parent: nil, kind: Flags.capSystem, type: "system", path: nil, node: "")
        ]
        func add(_ folder: String, _ kind: UInt32, _ type: String, _ name: (String, String) -> String?) {
            for node in ((try? HostFolder.names(in: folder)) ?? []).sorted() {
                guard let path = HostFile.realPath("\(folder)/\(node)"), let name = name(node, path) else { continue }
                entries.append(
                    Entry(name: name, parent: nil, kind: kind, type: type, path: path, node: node))
            }
        }
        add("/sys/bus/pci/devices", Flags.capPciDev, "pci") { node, _ in "pci_" + NodeDevices.plain(node) }
        add("/sys/bus/usb/devices", Flags.capUsbDev, "usb_device") { node, _ in
            node.contains(":") ? nil : "usb_" + NodeDevices.plain(node)
        }
        add("/sys/class/scsi_host", Flags.capScsiHost, "scsi_host") { node, _ in "scsi_" + NodeDevices.plain(node) }
        add("/sys/bus/scsi/devices", Flags.capScsi, "scsi") { node, _ in
            node.split(separator: ":").count == 4 ? "scsi_" + NodeDevices.plain(node) : nil
        }
        add("/sys/class/net", Flags.capNet, "net") { node, path in
            let mac = HostDescription.trim(HostDescription.text(path + "/address"))
            return "net_\(NodeDevices.plain(node))_" + NodeDevices.plain(mac)
        }
        // Only what stands for hardware: not partitions, loops and compressed memory.
        add("/sys/class/block", Flags.capStorage, "storage") { node, path in
            path.contains("/virtual/") || HostFile.status(path + "/partition").kind == .file
                ? nil : "block_" + NodeDevices.plain(node)
        }
        // The parent is the nearest device above that is shown too.
        let places = entries.compactMap { entry in entry.path.map { ($0, entry.name) } }
        all = entries.map { entry in
            guard let path = entry.path else { return entry }
            let above = places.filter { path.hasPrefix($0.0 + "/") }.max { $0.0.utf8.count < $1.0.utf8.count }
            return Entry(
                name: entry.name, parent: above?.1 ?? "computer", kind: entry.kind, type: entry.type, path: path,
                node: entry.node)
        }
    }

    /// Letters and digits stay, everything else becomes `_`.
    private static func plain(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte -> UInt8 in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    byte
                default: UInt8(ascii: "_")
                }
            }, as: UTF8.self)
    }

    func find(_ name: String) throws(LibvirtError) -> Entry {
        if let entry = all.first(where: { $0.name == name }) { return entry }
        let detail = "no node device with matching name '\(name)'"
        throw LibvirtError(
            code: VirErrorNumber.noNodeDevice, domain: VirErrorDomain.nodedev,
            message: "Node device not found: " + detail, detail: detail)
    }

    // MARK: - Documents

    func document(_ entry: Entry, _ host: HostDescription) -> XMLTree {
        var tree = XMLTree("device")
        tree.append(.text("name", entry.name))
        if let path = entry.path { tree.append(.text("path", path)) }
        if entry.type == "storage" { tree.append(.text("devnode", "/dev/\(entry.node)", ["type": "dev"])) }
        if let parent = entry.parent { tree.append(.text("parent", parent)) }
        if let driver = entry.path.flatMap({ HostFile.realPath($0 + "/driver") }), entry.type != "storage",
            let name = driver.split(separator: "/").last
        {
            var element = XMLTree("driver")
            element.append(.text("name", String(name)))
            tree.append(element)
        }
        tree.append(capability(entry, host))
        return tree
    }

    private func capability(_ entry: Entry, _ host: HostDescription) -> XMLTree {
        var tree = XMLTree.of("capability", ["type": entry.type])
        let path = entry.path ?? ""
        func text(_ file: String) -> String { HostDescription.trim(HostDescription.text("\(path)/\(file)")) }
        switch entry.type {
        case "system":
            for (name, file) in [("vendor", "sys_vendor"), ("product", "product_name")] {
                let value = HostDescription.trim(HostDescription.text("/sys/class/dmi/id/\(file)"))
                if !value.isEmpty, name == "product" { tree.append(.text("product", value)) }
            }
            var hardware = XMLTree("hardware")
            let vendor = HostDescription.trim(HostDescription.text("/sys/class/dmi/id/sys_vendor"))
            if !vendor.isEmpty { hardware.append(.text("vendor", vendor)) }
            hardware.append(.text("uuid", UUIDBytes(host.uuid)?.description ?? host.uuid))
            tree.append(hardware)
            var firmware = XMLTree("firmware")
            for (name, file) in [("vendor", "bios_vendor"), ("version", "bios_version"), ("release_date", "bios_date")] {
                let value = HostDescription.trim(HostDescription.text("/sys/class/dmi/id/\(file)"))
                if !value.isEmpty { firmware.append(.text(name, value)) }
            }
            if firmware.nodes.isEmpty { firmware.isAlwaysOpen = true }
            tree.append(firmware)
        case "pci": pci(entry, text, &tree)
        case "net":
            tree.append(.text("interface", entry.node))
            tree.append(.text("address", text("address")))
            tree.append(HostInterfaces.link(entry.node))
            if text("type") == "1" { tree.append(.of("capability", ["type": "80203"])) }
        case "storage":
            tree.append(.text("block", "/dev/\(entry.node)"))
            let isOptical = entry.node.hasPrefix("sr")
            tree.append(.text("drive_type", isOptical ? "cdrom" : "disk"))
            for (name, file) in [("model", "device/model"), ("vendor", "device/vendor")] where !text(file).isEmpty {
                tree.append(.text(name, text(file)))
            }
            let sectors = UInt64(text("size")) ?? 0
            let block = UInt64(text("queue/logical_block_size")) ?? 512
            tree.append(.text("size", "\(sectors &* 512)"))
            tree.append(.text("logical_block_size", "\(block)"))
            tree.append(.text("num_blocks", "\(block == 0 ? 0 : sectors &* 512 / block)"))
        case "usb_device":
            tree.append(.text("bus", text("busnum")))
            tree.append(.text("device", text("devnum")))
            tree.append(.text("product", text("product"), ["id": "0x" + text("idProduct")]))
            tree.append(.text("vendor", text("manufacturer"), ["id": "0x" + text("idVendor")]))
        case "scsi_host": tree.append(.text("host", String(entry.node.drop { !$0.isNumber })))
        case "scsi":
            let parts = entry.node.split(separator: ":").map(String.init)
            for (name, value) in zip(["host", "bus", "target", "lun"], parts) { tree.append(.text(name, value)) }
            tree.append(.text("type", text("type") == "5" ? "cdrom" : "disk"))
        default: break
        }
        return tree
    }

    private func pci(_ entry: Entry, _ text: (String) -> String, _ tree: inout XMLTree) {
        let place = entry.node.split { $0 == ":" || $0 == "." }.map { Int($0, radix: 16) ?? 0 }
        tree.append(.text("class", text("class")))
        for (name, value) in zip(["domain", "bus", "slot", "function"], place) { tree.append(.text(name, "\(value)")) }
        let (vendor, product) = (text("vendor"), text("device"))
        let names = PCINames.standard.names(vendor: vendor, product: product)
        tree.append(named("product", product, names.product))
        tree.append(named("vendor", vendor, names.vendor))
        if let group = entry.path.flatMap({ HostFile.realPath($0 + "/iommu_group") })?.split(separator: "/").last {
            var element = XMLTree.of("iommuGroup", ["number": String(group)])
            for node in ((try? HostFolder.names(in: "\(entry.path ?? "")/iommu_group/devices")) ?? []).sorted() {
                let parts = node.split { $0 == ":" || $0 == "." }.map(String.init)
                guard parts.count == 4 else { continue }
                element.append(
                    .of(
                        "address",
                        [
                            "domain": "0x" + parts[0], "bus": "0x" + parts[1], "slot": "0x" + parts[2],
                            "function": "0x" + parts[3],
                        ]))
            }
            tree.append(element)
        }
        let node = HostDescription.number("\(entry.path ?? "")/numa_node") ?? -1
        if node >= 0 { tree.append(.of("numa", ["node": "\(node)"])) }
    }

    private func named(_ element: String, _ id: String, _ name: String?) -> XMLTree {
        name.map { .text(element, $0, ["id": id]) } ?? .of(element, ["id": id])
    }
}

/// Names of PCI devices, out of the list that Linux distributions carry.
struct PCINames: Sendable {
    private let lines: [Substring]

    static let standard = PCINames()

    private init() {
        let paths = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"]
        lines = paths.lazy.map { HostDescription.text($0) }.first { !$0.isEmpty }?.split(separator: "\n") ?? []
    }

    /// Identifiers as Linux writes them, `0x8086`.
    func names(vendor: String, product: String) -> (vendor: String?, product: String?) {
        let (vendor, product) = (vendor.dropFirst(2), product.dropFirst(2))
        guard vendor.utf8.count == 4, let start = lines.firstIndex(where: { $0.hasPrefix(vendor) }) else {
            return (nil, nil)
        }
        let name = HostDescription.trim(lines[start].dropFirst(4))
        for line in lines[(start + 1)...] {
            guard line.hasPrefix("\t") || line.hasPrefix("#") else { break }
            if line.dropFirst().hasPrefix(product), !line.hasPrefix("\t\t") {
                return (name, HostDescription.trim(line.dropFirst(5)))
            }
        }
        return (name, nil)
    }
}
