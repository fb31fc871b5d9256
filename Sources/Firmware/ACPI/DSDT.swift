/// The differentiated definition block: the board's devices as AML objects.
enum DSDT {
    static func body(_ board: ACPIConfiguration) -> [UInt8] {
        var system = board.systemBus
        system += processors(board)
        if let pci = board.pci {
            system.append(PCIHostAML.bridge(pci, isaDevices: ISADevicesAML.devices(board)))
            system += PCIHostAML.links(pci)
            if let reserved = PCIHostAML.reserved(pci) { system.append(reserved) }
        } else {
            system += ISADevicesAML.devices(board)
        }
        if let generation = board.generation { system.append(GenerationAML.device(generation)) }
        if let hpet = board.hpet { system.append(Self.hpet(hpet)) }
        if let tpm = board.tpm { system.append(Self.tpm(tpm)) }
        system += board.virtioMMIO.enumerated().map { virtio($0.offset, $0.element) }
        if case .reduced(let power) = board.power { system += powerButton(power) }
        if let hotplug = board.processorHotplug { system += HotplugAML.processors(hotplug, board.processors) }
        if let hotplug = board.memoryHotplug { system += MemoryHotplugAML.objects(hotplug) }
        let states = [("\\_S3", board.sleepTypeMemory), ("\\_S4", board.sleepTypeDisk), ("\\_S5", board.sleepTypeOff)]
        let sleep = states.compactMap { name, type in type.map { Self.sleepState(name, $0) } }
        return AML.concatenate([AML.scope("\\_SB", system)] + sleep + HotplugAML.events(board))
    }

    /// The package of a sleep state: SLP_TYP of both control registers (ACPI 6.5, 7.4.2).
    private static func sleepState(_ name: String, _ type: UInt8) -> AML {
        let value = AML.integer(UInt64(type))
        return AML.define(name, AML.package([value, value, AML.integer(0), AML.integer(0)]))
    }

    /// `C000` to `CFFF`. A processor that is not there has status 0; without a hot-plug controller it stays so.
    private static func processors(_ board: ACPIConfiguration) -> [AML] {
        board.processors.map { processor in
            var terms = [
                AML.define("_HID", AML.string("ACPI0007")),
                AML.define("_UID", AML.integer(UInt64(processor.uid))),
            ]
            if let hotplug = board.processorHotplug, processor.uid < 256 {
                terms += HotplugAML.processorTerms(processor, hotplug)
            } else {
                terms.append(AML.define("_STA", AML.integer(processor.isPresent ? 15 : 0)))
            }
            if !board.nodeMemory.isEmpty { terms.append(AML.define("_PXM", AML.integer(UInt64(processor.node)))) }
            return AML.device("C" + hexDigits(processor.uid, 3), terms)
        }
    }

    private static func hpet(_ address: UInt32) -> AML {
        AML.device(
            "HPET",
            [
                AML.define("_HID", AML.eisaID("PNP0103")),
                AML.define("_UID", AML.integer(0)),
                AML.define("_CRS", AML.resourceTemplate([ACPIResource.memory32(address, count: 0x400)])),
            ])
    }

    /// No interrupt: drivers ask.
    private static func tpm(_ tpm: ACPIConfiguration.TPM) -> AML {
        let (address, count): (UInt64, UInt32) =
            switch tpm {
            case .fifo(let address): (address, 0x5000)
            case .commandBuffer(let address): (address, 0x1000)
            }
        return AML.device(
            "TPM",
            [
                AML.define("_HID", AML.string("MSFT0101")),
                AML.define("_STA", AML.integer(15)),
                AML.define(
                    "_CRS",
                    AML.resourceTemplate([
                        ACPIResource.memory32(UInt32(truncatingIfNeeded: address), count: count)
                    ])),
            ])
    }

    private static func virtio(_ index: Int, _ slot: ACPIConfiguration.VirtioMMIO) -> AML {
        AML.device(
            "VR" + hexDigits(UInt32(index), 2),
            [
                AML.define("_HID", AML.string("LNRO0005")),
                AML.define("_UID", AML.integer(UInt64(index))),
                AML.define("_CCA", AML.integer(1)),
                AML.define(
                    "_CRS",
                    AML.resourceTemplate([
                        ACPIResource.memory32(slot.address, count: slot.count),
                        ACPIResource.interrupt([slot.gsi], edge: slot.edge, shared: false),
                    ])),
            ])
    }

    /// The generic event device (ACPI 6.5, 5.6.9) and the button that it speaks for.
    private static func powerButton(_ power: ACPIConfiguration.ReducedPower) -> [AML] {
        [
            AML.device(
                "PWRB",
                [AML.define("_HID", AML.eisaID("PNP0C0C")), AML.define("_UID", AML.integer(0))]),
            AML.device(
                "GED",
                [
                    AML.define("_HID", AML.string("ACPI0013")),
                    AML.define("_UID", AML.integer(0)),
                    AML.define(
                        "_CRS", AML.resourceTemplate([ACPIResource.interrupt([power.eventGSI], shared: false)])),
                    AML.operationRegion(
                        "EREG", AML.RegionSpace.systemMemory, offset: UInt64(power.eventSelector), length: 4),
                    AML.field("EREG", AML.FieldAccess.dword, [(name: "ESEL", bits: 32)]),
                    AML.method(
                        "_EVT", arguments: 1, serialized: true,
                        [
                            AML.store(AML.name("ESEL"), AML.local(0)),
                            AML.ifTrue(
                                AML.and(
                                    AML.local(0),
                                    AML.integer(UInt64(ACPIConfiguration.ReducedPower.powerButtonEvent))),
                                [AML.notify("\\_SB.PWRB", 0x80)]),
                        ]),
                ]),
        ]
    }

    /// Upper-case digits for a name's segment.
    static func hexDigits(_ value: UInt32, _ count: Int) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        precondition(digits.count <= count, "A name's number has at most \(count) digits")
        return String(repeating: "0", count: count - digits.count) + digits
    }
}
