/// A feature that is on or off by an attribute, or just there.
public struct FeatureState: XMLMappable {
    public var state: OnOff?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.attribute("state", &state) }
}

/// `<features>`.
public struct Features: XMLMappable {
    public var acpi = false
    public var apic: APIC?
    public var pae = false
    public var hap: FeatureState?
    public var viridian = false
    public var privnet = false
    public var hyperv: HyperV?
    public var kvm: KVM?
    public var pvspinlock: FeatureState?
    public var capabilities: XMLTree?
    public var pmu: FeatureState?
    public var vmport: FeatureState?
    public var gicVersion: String?
    public var smm: SMM?
    public var ioapicDriver: String?
    public var hpt: XMLTree?
    public var vmcoreinfo: FeatureState?
    public var htm: FeatureState?
    public var nestedHV: FeatureState?
    public var msrsUnknown: String?
    public var ccfAssist: FeatureState?
    public var xen: XMLTree?
    public var cfpc: String?
    public var sbbc: String?
    public var ibs: String?
    public var tcg: TCG?
    public var asyncTeardown: AsyncTeardown?
    public init() {}

    static let names =
        "acpi apic pae hap viridian privnet hyperv kvm pvspinlock capabilities pmu vmport gic smm ioapic hpt "
        + "vmcoreinfo htm nested-hv msrs ccf-assist xen cfpc sbbc ibs tcg async-teardown"

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            for child in m.tree.children where !XMLMapper.isOne(child.name, of: Self.names) {
                throw DefinitionError.unsupported("unexpected feature '\(child.name)'", line: child.line)
            }
        }
        try m.flag("acpi", &acpi)
        try m.child("apic", &apic)
        try m.flag("pae", &pae)
        try m.child("hap", &hap)
        try m.flag("viridian", &viridian)
        try m.flag("privnet", &privnet)
        try m.child("hyperv", &hyperv)
        try m.child("kvm", &kvm)
        try m.child("pvspinlock", &pvspinlock)
        try m.subtree("capabilities", &capabilities)
        try m.child("pmu", &pmu)
        try m.child("vmport", &vmport)
        try m.choice("gic", "version", &gicVersion, "none host 2 3")
        try m.child("smm", &smm)
        try m.choice("ioapic", "driver", &ioapicDriver, "kvm qemu")
        try m.subtree("hpt", &hpt)
        try m.child("vmcoreinfo", &vmcoreinfo)
        try m.child("htm", &htm)
        try m.child("nested-hv", &nestedHV)
        try m.choice("msrs", "unknown", &msrsUnknown, "ignore fault")
        try m.child("ccf-assist", &ccfAssist)
        try m.subtree("xen", &xen)
        try m.choice("cfpc", "value", &cfpc, "none broken workaround fixed")
        try m.choice("sbbc", "value", &sbbc, "none broken workaround fixed")
        try m.choice("ibs", "value", &ibs, "none broken workaround fixed-ibs fixed-ccd fixed-na")
        try m.child("tcg", &tcg)
        try m.child("async-teardown", &asyncTeardown)
    }

    public struct APIC: XMLMappable {
        public var eoi: OnOff?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.attribute("eoi", &eoi) }
    }

    public struct AsyncTeardown: XMLMappable {
        public var enabled: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.attribute("enabled", &enabled) }
    }

    /// The enlightenments of Hyper-V.
    public struct HyperV: XMLMappable {
        public var mode: String?
        public var relaxed: FeatureState?
        public var vapic: FeatureState?
        public var spinlocks: Spinlocks?
        public var vpindex: FeatureState?
        public var runtime: FeatureState?
        public var synic: FeatureState?
        public var stimer: Stimer?
        public var reset: FeatureState?
        public var vendorID: VendorID?
        public var frequencies: FeatureState?
        public var reenlightenment: FeatureState?
        public var tlbflush: FeatureState?
        public var ipi: FeatureState?
        public var evmcs: FeatureState?
        public var avic: FeatureState?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("mode", &mode, "none custom passthrough")
            try m.child("relaxed", &relaxed)
            try m.child("vapic", &vapic)
            try m.child("spinlocks", &spinlocks)
            try m.child("vpindex", &vpindex)
            try m.child("runtime", &runtime)
            try m.child("synic", &synic)
            try m.child("stimer", &stimer)
            try m.child("reset", &reset)
            try m.child("vendor_id", &vendorID)
            try m.child("frequencies", &frequencies)
            try m.child("reenlightenment", &reenlightenment)
            try m.child("tlbflush", &tlbflush)
            try m.child("ipi", &ipi)
            try m.child("evmcs", &evmcs)
            try m.child("avic", &avic)
        }
    }

    public struct Spinlocks: XMLMappable {
        public var state: OnOff?
        public var retries: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("state", &state)
            try m.attribute("retries", &retries)
        }
    }

    public struct Stimer: XMLMappable {
        public var state: OnOff?
        public var direct: FeatureState?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("state", &state)
            try m.child("direct", &direct)
        }
    }

    public struct VendorID: XMLMappable {
        public var state: OnOff?
        public var value: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("state", &state)
            try m.attribute("value", &value)
        }
    }

    public struct KVM: XMLMappable {
        public var hidden: FeatureState?
        public var hintDedicated: FeatureState?
        public var pollControl: FeatureState?
        public var pvIPI: FeatureState?
        public var dirtyRing: DirtyRing?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.child("hidden", &hidden)
            try m.child("hint-dedicated", &hintDedicated)
            try m.child("poll-control", &pollControl)
            try m.child("pv-ipi", &pvIPI)
            try m.child("dirty-ring", &dirtyRing)
        }
    }

    public struct DirtyRing: XMLMappable {
        public var state: OnOff?
        public var size: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("state", &state)
            try m.attribute("size", &size)
        }
    }

    public struct SMM: XMLMappable {
        public var state: OnOff?
        public var tseg: ScaledSize?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("state", &state)
            if m.isReading {
                try m.size("tseg", &tseg, standard: 1 << 20)
            } else if let tseg {
                let megabytes = tseg.bytes >> 20
                m.tree.append(
                    XMLTree("tseg", attributes: [XMLAttribute("unit", "MiB")], nodes: [.text("\(megabytes)")]))
            }
        }
    }

    public struct TCG: XMLMappable {
        public var cacheSize: ScaledSize?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.size("tb-cache", &cacheSize) }
    }
}
