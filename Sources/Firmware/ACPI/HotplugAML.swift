/// Slots whose devices come and go, for boards whose guests learn of it by ACPI (6.5, 5.6.4 and 6.3).
public struct PCIHotplug: Equatable, Sendable {
    /// Ports of the controller: a word of slots with a new device, one of slots whose device is to leave, one that ejects.
    public var port: UInt16
    /// The general-purpose event that tells of changes.
    public var event: UInt8
    /// The slots.
    public var slots: ClosedRange<UInt8>

    /// Slots with a controller.
    public init(port: UInt16, event: UInt8, slots: ClosedRange<UInt8>) {
        self.port = port
        self.event = event
        self.slots = slots
    }
}

/// The objects of slots that are hot-plugged.
enum HotplugAML {
    private static func slot(_ number: UInt8) -> String { "S" + DSDT.hexDigits(UInt32(number) << 3, 2) + "_" }

    /// What goes into the host bridge: the controller's fields, the slots, and the method that tells of changes.
    static func slots(_ hotplug: PCIHotplug) -> [AML] {
        var terms = [
            AML.operationRegion("HPLG", AML.RegionSpace.systemIO, offset: UInt64(hotplug.port), length: 12),
            AML.field(
                "HPLG", AML.FieldAccess.dword,
                [(name: "PCIU", bits: 32), (name: "PCID", bits: 32), (name: "B0EJ", bits: 32)]),
        ]
        for number in hotplug.slots {
            terms.append(
                AML.device(
                    slot(number),
                    [
                        AML.define("_SUN", AML.integer(UInt64(number))),
                        AML.define("_ADR", AML.integer(UInt64(number) << 16)),
                        AML.method(
                            "_EJ0", arguments: 1,
                            [AML.store(AML.integer(1 << UInt64(number)), AML.name("B0EJ"))]),
                    ]))
        }
        // A device check for what came, a request to eject for what is to go.
        func tell(_ word: AML, _ code: UInt64) -> [AML] {
            hotplug.slots.map { number in
                AML.ifTrue(AML.and(word, AML.integer(1 << UInt64(number))), [AML.notify(slot(number), code)])
            }
        }
        terms.append(
            AML.method(
                "PCNT", serialized: true,
                [AML.store(AML.name("PCIU"), AML.local(0)), AML.store(AML.name("PCID"), AML.local(1))]
                    + tell(AML.local(0), 1) + tell(AML.local(1), 3)))
        return terms
    }

    /// The general-purpose events of a board.
    static func events(_ board: ACPIConfiguration) -> [AML] {
        var terms: [AML] = []
        if let hotplug = board.pci?.hotplug {
            terms.append(event(hotplug.event, [AML.name("\\_SB.PCI0.PCNT")]))
        }
        if let hotplug = board.processorHotplug {
            terms.append(event(hotplug.event, [AML.name("\\_SB.CSCN")]))
        }
        if let hotplug = board.memoryHotplug {
            terms.append(event(hotplug.event, [AML.call("\\_SB.MSCN", [])]))
        }
        if let generation = board.generation {
            terms.append(event(generation.event, GenerationAML.event(generation)))
        }
        return terms.isEmpty ? [] : [AML.scope("\\_GPE", terms)]
    }

    private static func event(_ number: UInt8, _ terms: [AML]) -> AML {
        AML.method("_E" + DSDT.hexDigits(UInt32(number), 2), terms)
    }

    // MARK: Processors

    /// What processors that come and go need beside their own objects: the map of those that are there, and the method
    /// that tells of changes.
    static func processors(_ hotplug: ProcessorHotplug, _ processors: [ACPIConfiguration.Processor]) -> [AML] {
        let most = min(processors.count, 256)
        let units = processors.prefix(most).map { (name: Optional(bit($0.uid)), bits: 1) }
        var terms = [
            AML.operationRegion("CPUH", AML.RegionSpace.systemIO, offset: UInt64(hotplug.port), length: 64),
            AML.field("CPUH", AML.FieldAccess.byte, units),
            // Which processors were told of, which are to leave, and the port that ejects.
            AML.operationRegion("CPUC", AML.RegionSpace.systemIO, offset: UInt64(hotplug.port) + 64, length: 8),
            AML.field("CPUC", AML.FieldAccess.dword, [(name: "CCHG", bits: 32), (name: "CEJC", bits: 32)]),
        ]
        var announcement: [AML] = []
        if let command = hotplug.managementCommand {
            announcement = [
                AML.ifTrue(
                    AML.integer(hotplug.tellsManagement ? 1 : 0),
                    [AML.store(AML.integer(UInt64(command)), AML.name("SMIC"))])
            ]
            terms += [
                AML.operationRegion("SMIR", AML.RegionSpace.systemIO, offset: 0xB2, length: 1),
                AML.field("SMIR", AML.FieldAccess.byte, [(name: "SMIC", bits: 8)]),
            ]
        }
        var told: [AML] = []
        for processor in processors.prefix(most) {
            told.append(
                AML.ifTrue(
                    AML.equal(AML.local(0), AML.integer(UInt64(processor.uid) + 1)),
                    [
                        AML.ifTrue(AML.equal(AML.local(1), AML.integer(1)), [AML.notify(device(processor.uid), 1)]),
                        AML.otherwise([AML.notify(device(processor.uid), 3)]),
                    ]))
        }
        // Changes come one at a time: number and one in the low half, what happened in the upper.
        terms.append(
            AML.method(
                "CSCN", serialized: true,
                announcement + [
                    AML.store(AML.name("CCHG"), AML.local(2)),
                    AML.whileTrue(
                        AML.local(2),
                        [
                            AML.and(AML.local(2), AML.integer(0xFFFF), AML.local(0)),
                            AML.shiftRight(AML.local(2), AML.integer(16), AML.local(1)),
                        ] + told + [AML.store(AML.name("CCHG"), AML.local(2))]),
                ]))
        return terms
    }
    static func device(_ uid: UInt32) -> String { "C" + DSDT.hexDigits(uid, 3) }
    static func bit(_ uid: UInt32) -> String { "B" + DSDT.hexDigits(uid, 3) }

    /// The objects of one such processor: its status by the map, its local APIC, and how it leaves.
    static func processorTerms(
        _ processor: ACPIConfiguration.Processor, _ hotplug: ProcessorHotplug
    ) -> [AML] {
        let apic: [UInt8] =
            processor.apicID < 255 && processor.uid < 255
            ? [0, 8, UInt8(processor.uid), UInt8(processor.apicID), 1, 0, 0, 0]
            : [9, 16, 0, 0] + little(processor.apicID) + [1, 0, 0, 0] + little(processor.uid)
        return [
            AML.method(
                "_STA",
                [
                    AML.ifTrue(AML.name(bit(processor.uid)), [AML.returning(AML.integer(15))]),
                    AML.returning(AML.integer(0)),
                ]),
            AML.define("_MAT", AML.buffer(apic)),
            AML.method("_EJ0", arguments: 1, ejection(UInt64(processor.uid) + 1, hotplug)),
        ]
    }
    /// Firmware that has the processor in its system management mode lets it go itself, and is told which.
    private static func ejection(_ number: UInt64, _ hotplug: ProcessorHotplug) -> [AML] {
        let plain = AML.store(AML.integer(number), AML.name("CEJC"))
        guard let command = hotplug.managementCommand else { return [plain] }
        return [
            AML.ifTrue(
                AML.integer(hotplug.managementEjects ? 1 : 0),
                [
                    AML.store(AML.integer(ProcessorHotplug.handOver | number), AML.name("CEJC")),
                    AML.store(AML.integer(UInt64(command)), AML.name("SMIC")),
                ]), AML.otherwise([plain]),
        ]
    }
    private static func little(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }
    }
}

/// Processors that come and go.
public struct ProcessorHotplug: Equatable, Sendable {
    /// Ports of the controller: 64 bytes of a map, then the changes and the port that ejects.
    public var port: UInt16
    /// The general-purpose event that tells of changes.
    public var event: UInt8
    /// What may be written to the port of system management commands before the guest hears of changes; nil: nothing, ever.
    public var managementCommand: UInt8?
    /// Whether it is. The tables are of one size either way: firmware decides after it has seen how large they are.
    public var tellsManagement = false
    /// Whether firmware lets processors go, which the same command then tells of. The tables are of one size, too.
    public var managementEjects = false
    /// What the port that ejects takes beside a processor's number: firmware is to eject it.
    public static let handOver: UInt64 = 0x8000_0000

    /// Processors with a controller.
    public init(port: UInt16, event: UInt8) {
        self.port = port
        self.event = event
    }
}
