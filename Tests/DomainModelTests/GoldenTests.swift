import DomainModel
import Foundation
import TestSupport
import Testing

/// Definitions of ours, and what libvirt 9.0 with QEMU 7.2 answered when they were defined.
@Suite struct GoldenTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Definitions")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".in.xml") }.map { String($0.dropLast(7)) }.sorted()
    }()

    private func text(_ name: String) throws -> String {
        try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
    }

    /// Reads, completes and writes a document of any kind.
    private func completed(_ xml: String) throws -> String {
        var generator = SplitMix64(state: 1)
        switch try XMLReader.parse(xml).name {
        case "domain":
            var domain = try Domain(xml: xml)
            try domain.fillIn(HostProfile.x86(emulator: "/usr/bin/qemu-system-x86_64"), using: &generator)
            return domain.xml(options: .inactive)
        case "network":
            var network = try VirtualNetwork(xml: xml)
            network.fillIn(bridge: "virbr0", using: &generator)
            return network.xml(options: .inactive)
        case "pool":
            var pool = try StoragePool(xml: xml)
            try pool.fillIn(using: &generator)
            return pool.xml()
        case "volume": return try StorageVolume(xml: xml).xml()
        case "filter": return try NetworkFilter(xml: xml).xml()
        case "secret": return try Secret(xml: xml).xml()
        default: return ""
        }
    }

    @Test func thereAreCases() {
        #expect(Self.names.count > 30)
    }

    @Test(arguments: names)
    func aDefinitionIsCompletedAsLibvirtDoes(name: String) throws {
        let output = try completed(text(name + ".in.xml"))

        #expect(output == (try text(name + ".out.xml")))
    }

    @Test(arguments: names)
    func aCompleteDefinitionStaysAsItIs(name: String) throws {
        // libvirt sorts controllers when it reads them, and adds new ones at the end: so one round may still move some.
        let once = try completed(text(name + ".out.xml"))

        #expect(try completed(once) == once)
    }

    @Test func whatIsRandomIsMadeOnce() throws {
        let xml = """
            <domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os>
            <devices><interface type='user'/></devices></domain>
            """
        var domain = try Domain(xml: xml)
        var generator = SplitMix64(state: 7)

        try domain.fillIn(HostProfile.x86(emulator: "/q"), using: &generator)

        let mac = try #require(domain.devices.interfaces[0].mac)
        let uuid = try #require(domain.uuid)
        #expect(mac.xml.hasPrefix("52:54:00:"))
        #expect(uuid.bytes[6] >> 4 == 4)
        #expect(uuid.bytes[8] >> 6 == 2)
        try domain.fillIn(HostProfile.x86(emulator: "/q"), using: &generator)
        #expect(domain.uuid == uuid)
        #expect(domain.devices.interfaces[0].mac == mac)
    }

    @Test(arguments: [
        (
            "<disk><source file='/a'/><target dev='vda'/></disk><disk><source file='/b'/><target dev='vda'/></disk>",
            27,
            "XML error: target 'vda' duplicated for disk sources '/a' and '/b'"
        ),
        (
            "<channel type='spicevmc'><target type='virtio'/></channel>", 67,
            "unsupported configuration: chardev 'spicevmc' not supported without spice graphics"
        ),
        (
            "<video><model type='qxl'/></video><video><model type='vga'/></video>", 67,
            "unsupported configuration: video type 'vga' is only valid as primary video device"
        ),
        (
            "<controller type='pci' index='0' model='pcie-root'/>", 27,
            "XML error: The PCI controller with index='0' must be model='pci-root' for this machine type, "
                + "but model='pcie-root' was found instead"
        ),
        (
            "<rng model='virtio'><backend model='random'/><address type='pci' slot='7'/></rng>"
                + "<memballoon model='virtio'><address type='pci' slot='7'/></memballoon>", 27,
            "XML error: Attempted double use of PCI Address 0000:00:07.0"
        ),
        (
            "<disk><target dev='vda1x' bus='ide'/></disk>", 27,
            "XML error: Unknown disk name 'vda1x' and no address specified"
        ),
    ])
    func whatContradictsItselfIsRefused(devices: String, code: Int, message: String) throws {
        var domain = try Domain(
            xml: "<domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os>"
                + "<devices>\(devices)</devices></domain>")

        let error = #expect(throws: DefinitionError.self) { try domain.fillIn(HostProfile.x86(emulator: "/q")) }

        #expect(error?.code.rawValue == Int32(code))
        #expect(error?.message == message)
    }

    @Test func aFullBusGetsABridge() throws {
        let disks = (0..<40).map { number in
            let name = "vd" + (number < 26 ? "" : "a") + String(UnicodeScalar(UInt8(97 + number % 26)))
            return "<disk><source file='/\(number)'/><target dev='\(name)'/></disk>"
        }
        var domain = try Domain(
            xml: "<domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os>"
                + "<devices>\(disks.joined())</devices></domain>")

        try domain.fillIn(HostProfile.x86(emulator: "/q"))

        #expect(domain.devices.controllers.contains { $0.model == "pci-bridge" && $0.index == 1 })
        let addresses = Set(domain.devices.disks.compactMap { $0.info.address?.pci })
        #expect(addresses.count == 40)
    }

    @Test func aliasesAreLibvirts() throws {
        var domain = try Domain(xml: text("q35-devices.out.xml"))

        domain.prepareToStart()

        #expect(domain.devices.disks.map(\.info.alias) == ["sata0-0-0", "sata0-0-1"])
        #expect(domain.devices.disks[0].source?.index == 2)
        #expect(domain.devices.controllers.first { $0.type == .sata }?.info.alias == "ide")
        #expect(domain.devices.controllers.first { $0.model == "pcie-root" }?.info.alias == "pcie.0")
        #expect(domain.devices.consoles[0].info.alias == "serial0")
        #expect(domain.devices.memballoon?.info.alias == "balloon0")
        #expect(domain.xml(options: .inactive) == (try Domain(xml: text("q35-devices.out.xml"))).xml())
    }
}
