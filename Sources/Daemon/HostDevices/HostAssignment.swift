internal import DomainModel
internal import HostOS
internal import RPCWire

/// Whether a PCI device of this host can be given to a machine whole: by VFIO, which needs an IOMMU.
enum HostAssignment {
    /// An error says what is missing: the device, its IOMMU group, VFIO, its driver, or a machine's program that can.
    static func check(_ address: PCIAddress, emulator: Emulator) throws(LibvirtError) {
        func fail(_ text: String) -> LibvirtError {
            .configUnsupported("host device '\(address.text)' cannot be given to a machine: \(text)")
        }
        let folder = "/sys/bus/pci/devices/\(address.text)"
        guard HostFile.status(folder).kind == .folder else { throw fail("there is no such device") }
        guard HostFile.status(folder + "/iommu_group").kind == .folder else {
            throw fail("it has no IOMMU group (is the IOMMU on, in the firmware and on the kernel's command line?)")
        }
        guard HostFile.status("/dev/vfio/vfio").kind != .nothing else { throw fail("the host has no VFIO (vfio-pci)") }
        let driver = (try? HostFile.target(ofLink: folder + "/driver")) ?? ""
        guard driver.hasSuffix("/vfio-pci") else {
            let name = driver.split(separator: "/").last.map { "'\($0)'" } ?? "none"
            throw fail("its driver is \(name), not 'vfio-pci'")
        }
        if emulator.isApus {
            throw fail("apus-vmm takes no devices of the host; name a QEMU as <emulator>")
        }
    }

    /// The device that a network of mode `hostdev` has for one more machine: of those that it names, or of its cards'
    /// virtual functions, the first that nobody has.
    static func free(_ network: VirtualNetwork, used: Set<String>) throws(LibvirtError) -> PCIAddress {
        var pool = network.forward?.addresses.map(\.address) ?? []
        for card in network.forward?.physicalFunctions ?? [] where !card.dev.contains("/") && !card.dev.hasPrefix(".") {
            let folder = "/sys/class/net/\(card.dev)/device"
            guard HostFile.status(folder).kind == .folder else {
                throw LibvirtError.configUnsupported(
                    "interface '\(card.dev)' of network '\(network.name)' is no PCI device")
            }
            let names = ((try? HostFolder.names(in: folder)) ?? []).filter { $0.hasPrefix("virtfn") }
            for name in names.sorted(by: { ($0.utf8.count, $0) < ($1.utf8.count, $1) }) {
                let target = (try? HostFile.target(ofLink: "\(folder)/\(name)")) ?? ""
                if let address = PCIAddress(text: String(target.split(separator: "/").last ?? "")) {
                    pool.append(address)
                }
            }
        }
        guard let free = pool.first(where: { !used.contains($0.text) }) else {
            throw LibvirtError.configUnsupported("network '\(network.name)' has no device left of its \(pool.count)")
        }
        return free
    }
}

extension PCIAddress {
    /// `0000:00:1f.2`; nil for anything else.
    init?(text: String) {
        let parts = text.split(whereSeparator: { $0 == ":" || $0 == "." }).compactMap { UInt32($0, radix: 16) }
        guard parts.count == 4, parts[1] < 256, parts[2] < 32, parts[3] < 8 else { return nil }
        self.init(domain: parts[0], bus: parts[1], slot: parts[2], function: parts[3])
    }
}
