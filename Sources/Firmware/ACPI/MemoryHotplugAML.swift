/// Memory modules that come and go, for boards whose guests learn of it by ACPI (6.5, 9.11).
public struct MemoryHotplug: Equatable, Sendable {
    /// Ports of the controller: 24 bytes; a slot's number at the first, then what it holds.
    public var port: UInt16
    /// The general-purpose event that tells of changes.
    public var event: UInt8
    /// Slots, at most 256.
    public var slots: Int

    /// Slots with a controller.
    public init(port: UInt16, event: UInt8, slots: Int) {
        self.port = port
        self.event = event
        self.slots = slots
    }
}

/// The objects of memory modules: one method that has the controller to itself, a device for each slot, and the method
/// that tells of changes.
enum MemoryHotplugAML {
    /// What the method is asked for, its second argument.
    private enum Question {
        static let status: UInt64 = 0
        static let resources: UInt64 = 1
        static let node: UInt64 = 2
        static let eject: UInt64 = 3
        static let event: UInt64 = 4
        static let result: UInt64 = 5
        static let change: UInt64 = 6
    }
    /// The bits of the flags' register.
    private enum Flag {
        static let present: UInt64 = 1
        static let new: UInt64 = 2
        static let leaving: UInt64 = 4
        static let eject: UInt64 = 8
    }
    private static let flags = AML.name("MFLG")

    private static func device(_ slot: Int) -> String { "MP" + DSDT.hexDigits(UInt32(slot), 2) }
    private static func ask(_ slot: Int, _ question: UInt64, _ value: AML = AML.integer(0)) -> AML {
        AML.call("\\_SB.MOPR", [AML.integer(UInt64(slot)), AML.integer(question), value])
    }

    static func objects(_ hotplug: MemoryHotplug) -> [AML] {
        let slots = 0..<min(hotplug.slots, 256)
        return [
            AML.operationRegion("MHPR", AML.RegionSpace.systemIO, offset: UInt64(hotplug.port), length: 24),
            AML.field(
                "MHPR", AML.FieldAccess.dword,
                ["MSEL", "MHIG", "MLEN", "MLEH", "MNOD", "MFLG"].map { (name: $0, bits: 32) }),
            operation,
        ] + slots.map(module) + [AML.method("MSCN", serialized: true, slots.flatMap(tell))]
    }

    /// `MOPR (slot, question, value)`. The registers are a slot's that was chosen before: serialized, the method has
    /// them to itself.
    private static var operation: AML {
        func answer(_ question: UInt64, _ terms: [AML]) -> AML {
            AML.ifTrue(AML.equal(AML.argument(1), AML.integer(question)), terms)
        }
        func whether(_ flag: UInt64, _ terms: [AML]) -> AML { AML.ifTrue(AML.and(flags, AML.integer(flag)), terms) }
        let (start, size) = (AML.local(0), AML.local(1))
        func wide(_ low: String, _ high: String, _ target: AML) -> AML {
            AML.or(AML.shiftLeft(AML.name(high), AML.integer(32)), AML.name(low), target)
        }
        return AML.method(
            "MOPR", arguments: 3, serialized: true,
            [
                AML.store(AML.argument(0), AML.name("MSEL")),
                answer(
                    Question.status, [whether(Flag.present, [AML.returning(AML.integer(15))])]),
                answer(
                    Question.resources,
                    [
                        wide("MSEL", "MHIG", start), wide("MLEN", "MLEH", size),
                        // An address space descriptor of 64 bits (6.4.3.5.1): first, last and length.
                        AML.define("MBUF", AML.resourceTemplate([ACPIResource.memoryWindow64(0...0)])),
                        AML.createQWordField(AML.name("MBUF"), offset: 14, "MMIN"),
                        AML.createQWordField(AML.name("MBUF"), offset: 22, "MMAX"),
                        AML.createQWordField(AML.name("MBUF"), offset: 38, "MCNT"),
                        AML.store(start, AML.name("MMIN")),
                        AML.subtract(AML.add(start, size), AML.integer(1), AML.name("MMAX")),
                        AML.store(size, AML.name("MCNT")),
                        AML.returning(AML.name("MBUF")),
                    ]),
                answer(Question.node, [AML.returning(AML.name("MNOD"))]),
                answer(Question.eject, [AML.store(AML.integer(Flag.eject), flags)]),
                answer(Question.event, [AML.store(AML.argument(2), AML.name("MHIG"))]),
                answer(Question.result, [AML.store(AML.argument(2), AML.name("MLEN"))]),
                answer(
                    Question.change,
                    [
                        whether(
                            Flag.new,
                            [AML.store(AML.integer(Flag.new), flags), AML.returning(AML.integer(Flag.new))]),
                        whether(
                            Flag.leaving,
                            [AML.store(AML.integer(Flag.leaving), flags), AML.returning(AML.integer(Flag.leaving))]),
                    ]),
                AML.returning(AML.integer(0)),
            ])
    }

    private static func module(_ slot: Int) -> AML {
        AML.device(
            device(slot),
            [
                AML.define("_HID", AML.eisaID("PNP0C80")),
                AML.define("_UID", AML.integer(UInt64(slot))),
                AML.method("_STA", [AML.returning(ask(slot, Question.status))]),
                AML.method("_CRS", [AML.returning(ask(slot, Question.resources))]),
                AML.method("_PXM", [AML.returning(ask(slot, Question.node))]),
                AML.method("_EJ0", arguments: 1, [ask(slot, Question.eject)]),
                AML.method(
                    "_OST", arguments: 3,
                    [ask(slot, Question.event, AML.argument(0)), ask(slot, Question.result, AML.argument(1))]),
            ])
    }

    /// A device check for what came, a request to eject for what is to go.
    private static func tell(_ slot: Int) -> [AML] {
        [
            AML.store(ask(slot, Question.change), AML.local(0)),
            AML.ifTrue(AML.equal(AML.local(0), AML.integer(Flag.new)), [AML.notify(device(slot), 1)]),
            AML.ifTrue(AML.equal(AML.local(0), AML.integer(Flag.leaving)), [AML.notify(device(slot), 3)]),
        ]
    }
}
