/// A named processor model: what its CPUID says, as data.
public struct CPUModel: Sendable {
    /// The name that `-cpu` knows.
    public var name: String
    /// Twelve characters: GenuineIntel, AuthenticAMD.
    public var vendor: String
    /// The family, extended family included.
    public var family: UInt32
    /// The model, extended model included.
    public var model: UInt32
    /// The stepping.
    public var stepping: UInt32
    /// The highest basic leaf.
    public var level: UInt32
    /// The highest extended leaf.
    public var xlevel: UInt32
    /// The brand string, up to 48 characters.
    public var modelID: String
    /// Its features.
    public var features: FeatureSet

    /// The vendor of Intel's processors.
    public static let intel = "GenuineIntel"
    /// The vendor of AMD's processors.
    public static let amd = "AuthenticAMD"
}

extension CPUModel {
    /// The names of the models of fixed content: each without a version, then its versions ("Nehalem", "Nehalem-v1",
    /// "Nehalem-v2"), and those that stand for a later version ("Nehalem-IBRS"). `max` and `host` are made of what there
    /// is (`CPUSpecification.resolve`).
    public static let names: [String] = {
        var names: [String] = []
        for version in entries(of: table, key: 124).map(\.key) {
            if version.hasSuffix("-v1") { names.append(String(version.dropLast(3))) }
            names.append(String(version))
        }
        return names + entries(of: aliases, key: 32).map { String($0.key) }
    }()

    /// The lines of a table, by what stands before the first of an ASCII character.
    private static func entries(of text: String, key separator: UInt8) -> [(key: Substring, rest: Substring)] {
        text.utf8.split(separator: 10).map { line in
            let end = line.firstIndex(of: separator) ?? line.endIndex
            return (Substring(line[..<end]), Substring(line[end...].dropFirst()))
        }
    }
    private static let rows = Dictionary(uniqueKeysWithValues: entries(of: table, key: 124))
    private static let versions = Dictionary(uniqueKeysWithValues: entries(of: aliases, key: 32))

    /// The version that a name stands for: itself for a version, the first where nothing else is said.
    public static func version(of name: String) -> String {
        if let version = versions[name[...]] { return String(version) }
        guard let dash = name.lastIndex(of: "-"), name[dash...].dropFirst().first == "v" else { return name + "-v1" }
        return name
    }

    /// The model of a name; nil where there is none. Letters count as they are.
    public static func named(_ name: String) -> CPUModel? {
        guard var model = row(version(of: name)[...]) else { return nil }
        model.name = name
        return model
    }

    /// A row of the table and those that it builds on. A parent stands before its child, so this ends.
    private static func row(_ version: Substring) -> CPUModel? {
        guard let line = rows[version] else { return nil }
        let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        var features = FeatureSet()
        for word in fields[7].split(separator: " ") {
            if let feature = CPUFeature(name: String(word)) {
                features.insert(feature)
            } else if word.hasPrefix("-"), let feature = CPUFeature(name: String(word.dropFirst())) {
                features.remove(feature)
            } else if let parent = row(word) {
                features = parent.features
            } else {
                preconditionFailure("The table of CPU models names an unknown feature")
            }
        }
        return CPUModel(
            name: String(version), vendor: fields[0], family: UInt32(fields[1])!, model: UInt32(fields[2])!,
            stepping: UInt32(fields[3])!, level: UInt32(fields[4], radix: 16)!,
            xlevel: UInt32(fields[5], radix: 16)!, modelID: fields[6], features: features)
    }

    /// Features that a model has but that virtual machines do without in silence where the engine lacks them, as
    /// with QEMU: only asking for one by its name is worth a warning.
    public static let dispensable = FeatureSet(names: "vme monitor svm acpi")

    /// Features that every model gets where the engine offers them, because guests run better with them: those that
    /// QEMU adds under KVM, and the deadline timer, which needs no calibration.
    static let added = FeatureSet(
        names: """
            hypervisor x2apic tsc-deadline kvmclock-old kvm-nopiodelay kvmclock kvm-steal-time kvm-pv-eoi \
            kvm-pv-unhalt kvm-asyncpf kvm-asyncpf-int kvm-pv-tlb-flush kvm-pv-ipi kvm-poll-control \
            kvm-pv-sched-yield kvm-msi-ext-dest-id kvmclock-stable-bit
            """)
}
