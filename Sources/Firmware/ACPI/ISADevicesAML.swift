/// The devices at fixed I/O ports.
enum ISADevicesAML {
    static func devices(_ board: ACPIConfiguration) -> [AML] {
        var list = board.serialPorts.enumerated().map { index, port in
            plain(
                "COM" + DSDT.hexDigits(UInt32(index + 1), 1), "PNP0501", uid: UInt64(index + 1),
                [ACPIResource.io(port.port, count: 8), ACPIResource.irq([port.irq])])
        }
        if board.hasRTC {
            list.append(plain("RTC", "PNP0B00", [ACPIResource.io(0x70, count: 8), ACPIResource.irq([8])]))
        }
        if board.hasI8042 {
            list.append(
                plain(
                    "KBD", "PNP0303",
                    [ACPIResource.io(0x60, count: 1), ACPIResource.io(0x64, count: 1), ACPIResource.irq([1])]))
            list.append(plain("MOU", "PNP0F13", [ACPIResource.irq([12])]))
        }
        if let port = board.fwCfg {
            list.append(
                AML.device(
                    "FWCF",
                    [
                        AML.define("_HID", AML.string("QEMU0002")),
                        AML.define("_STA", AML.integer(11)),
                        AML.define("_CRS", AML.resourceTemplate([ACPIResource.io(port, count: 12)])),
                    ]))
        }
        list += board.isaDevices.map { plain($0.name, $0.id, uid: $0.uid, $0.resources) }
        if let port = board.pvpanic { list.append(pvpanic(port)) }
        return list
    }

    private static func plain(_ name: String, _ id: String, uid: UInt64? = nil, _ resources: [ACPIResource]) -> AML {
        var terms = [AML.define("_HID", AML.eisaID(id))]
        if let uid { terms.append(AML.define("_UID", AML.integer(uid))) }
        terms += [
            AML.define("_STA", AML.integer(15)), AML.define("_CRS", AML.resourceTemplate(resources)),
        ]
        return AML.device(name, terms)
    }

    /// pvpanic (QEMU, docs/specs/pvpanic): one port, with methods to read and write it.
    private static func pvpanic(_ port: UInt16) -> AML {
        AML.device(
            "PEVT",
            [
                AML.define("_HID", AML.string("QEMU0001")),
                AML.define("_STA", AML.integer(15)),
                AML.define("_CRS", AML.resourceTemplate([ACPIResource.io(port, count: 1)])),
                AML.operationRegion("PEOR", AML.RegionSpace.systemIO, offset: UInt64(port), length: 1),
                AML.field("PEOR", AML.FieldAccess.byte, [(name: "PEPT", bits: 8)]),
                AML.method("RDPT", [AML.store(AML.name("PEPT"), AML.local(0)), AML.returning(AML.local(0))]),
                AML.method("WRPT", arguments: 1, [AML.store(AML.argument(0), AML.name("PEPT"))]),
            ])
    }
}
