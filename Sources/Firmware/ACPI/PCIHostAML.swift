/// The PCI host bridge `\_SB.PCI0`, its interrupt links and what it keeps from others.
enum PCIHostAML {
    static func bridge(_ pci: PCIHost, isaDevices: [AML]) -> AML {
        var terms: [AML] = []
        if pci.isExpress {
            terms += [
                AML.define("_HID", AML.eisaID("PNP0A08")), AML.define("_CID", AML.eisaID("PNP0A03")), osc(),
            ]
        } else {
            terms.append(AML.define("_HID", AML.eisaID("PNP0A03")))
        }
        terms += [
            AML.define("_UID", AML.integer(0)),
            AML.define("_BBN", AML.integer(UInt64(pci.buses.lowerBound))),
            AML.define("_CRS", AML.resourceTemplate(resources(pci))),
            AML.define("_PRT", AML.package(pci.routes.map { route($0, pci.routing) })),
        ]
        if let address = pci.isaBridge {
            var bridge = [AML.define("_ADR", AML.integer(UInt64(address)))]
            if case .links = pci.routing {
                bridge += [
                    AML.operationRegion("PIRQ", AML.RegionSpace.pciConfig, offset: 0x60, length: 4),
                    AML.field("PIRQ", AML.FieldAccess.byte, linkLetters.map { (name: "PRQ" + $0, bits: 8) }),
                ]
            }
            terms.append(AML.device("ISA", bridge + isaDevices))
        } else {
            terms += isaDevices
        }
        if let hotplug = pci.hotplug { terms += HotplugAML.slots(hotplug) }
        return AML.device("PCI0", terms)
    }

    private static let linkLetters = ["A", "B", "C", "D"]

    private static func resources(_ pci: PCIHost) -> [ACPIResource] {
        var list = [ACPIResource.busNumbers(pci.buses), ACPIResource.io(0xCF8, count: 8)]
        list += pci.ioWindows.map { ACPIResource.ioWindow($0) }
        list.append(ACPIResource.memoryWindow32(0xA0000...0xBFFFF, cacheable: true))
        list += pci.memoryWindows.map { ACPIResource.memoryWindow32($0) }
        if let window = pci.highWindow { list.append(ACPIResource.memoryWindow64(window)) }
        return list
    }

    /// An entry of `_PRT` (ACPI 6.5, 6.2.13): all functions of a device, pin, source, index in the source or GSI.
    private static func route(_ route: PCIHost.Route, _ routing: PCIHost.Routing) -> AML {
        let address = AML.integer(UInt64(route.device) << 16 | 0xFFFF)
        let pin = AML.integer(UInt64(route.pin))
        switch routing {
        case .links:
            let link = linkLetters[Int(route.target & 3)]
            return AML.package([address, pin, AML.name("\\_SB.LNK" + link), AML.integer(0)])
        case .fixed:
            return AML.package([address, pin, AML.integer(0), AML.integer(UInt64(route.target))])
        }
    }

    /// The interrupt links (`PNP0C0F`) over PIIX3's PIRQRC registers: the interrupt in bits 0-3, off with bit 7 set.
    static func links(_ pci: PCIHost) -> [AML] {
        guard case .links(let irqs) = pci.routing else { return [] }
        return linkLetters.enumerated().map { index, letter in
            let register = AML.name("\\_SB.PCI0.ISA.PRQ" + letter)
            let disabled = AML.integer(0x80)
            // In an extended interrupt descriptor the first interrupt is at byte 5.
            return AML.device(
                "LNK" + letter,
                [
                    AML.define("_HID", AML.eisaID("PNP0C0F")),
                    AML.define("_UID", AML.integer(UInt64(index))),
                    AML.define("_PRS", AML.resourceTemplate([ACPIResource.interrupt(irqs, shared: true)])),
                    AML.method(
                        "_STA",
                        [
                            AML.ifTrue(AML.and(register, disabled), [AML.returning(AML.integer(9))]),
                            AML.returning(AML.integer(11)),
                        ]),
                    AML.method("_DIS", [AML.or(register, disabled, register)]),
                    AML.method(
                        "_CRS", serialized: true,
                        [
                            AML.define("PRR0", AML.resourceTemplate([ACPIResource.interrupt([0], shared: true)])),
                            AML.createDWordField(AML.name("PRR0"), offset: 5, "PRRI"),
                            AML.ifTrue(
                                AML.not(AML.and(register, disabled)),
                                [AML.store(AML.and(register, AML.integer(15)), AML.name("PRRI"))]),
                            AML.returning(AML.name("PRR0")),
                        ]),
                    AML.method(
                        "_SRS", arguments: 1, serialized: true,
                        [
                            AML.createDWordField(AML.argument(0), offset: 5, "PRRI"),
                            AML.store(AML.name("PRRI"), register),
                        ]),
                ])
        }
    }

    /// The motherboard's claim on the memory-mapped configuration space, which an operating system wants to see
    /// before it uses MCFG (PCI Firmware Specification 3.3, 4.1.2).
    static func reserved(_ pci: PCIHost) -> AML? {
        guard let ecam = pci.ecam else { return nil }
        let count = (UInt64(pci.buses.upperBound - pci.buses.lowerBound) + 1) << 20
        return AML.device(
            "MRES",
            [
                AML.define("_HID", AML.eisaID("PNP0C02")),
                AML.define("_UID", AML.integer(1)),
                AML.define(
                    "_CRS",
                    AML.resourceTemplate([
                        ACPIResource.memoryWindow64(ecam...(ecam + (count - 1)), cacheable: false)
                    ])),
            ])
    }

    /// `_OSC` (PCI Firmware Specification 3.3, 4.5.1): of what the system asks, it gets hot plug, PME, AER and the
    /// capability structure; nothing of it is the firmware's.
    private static func osc() -> AML {
        let uuid: [UInt8] = [
            0x5B, 0x4D, 0xDB, 0x33, 0xF7, 0x1F, 0x1C, 0x40, 0x96, 0x57, 0x74, 0x41, 0xC0, 0x3D, 0xD7, 0x66,
        ]
        let status = AML.name("CDW1")
        let control = AML.name("CDW3")
        let granted = AML.integer(0x1D)
        return AML.method(
            "_OSC", arguments: 4, serialized: true,
            [
                AML.createDWordField(AML.argument(3), offset: 0, "CDW1"),
                AML.ifTrue(
                    AML.equal(AML.argument(0), AML.buffer(uuid)),
                    [
                        AML.createDWordField(AML.argument(3), offset: 8, "CDW3"),
                        AML.store(control, AML.local(0)),
                        AML.and(control, granted, control),
                        AML.ifTrue(
                            AML.not(AML.equal(AML.argument(1), AML.integer(1))),
                            [AML.or(status, AML.integer(8), status)]),
                        AML.ifTrue(
                            AML.not(AML.equal(control, AML.local(0))), [AML.or(status, AML.integer(16), status)]),
                    ]),
                AML.otherwise([AML.or(status, AML.integer(4), status)]),
                AML.returning(AML.argument(3)),
            ])
    }
}
