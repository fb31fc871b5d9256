internal import CEngine
internal import JSON
internal import KVMEngine
internal import TranslatorEngine
internal import X86

/// What monitors tell of CPU models: which there are, what each lacks on this engine, and what a model comes to.
struct ProcessorModels {
    private let environment: CPUEnvironment

    init(_ configuration: MachineConfiguration, topology: ProcessorTopology, isKVM: Bool) {
        let host = HostCPU { leaf, subleaf in
            let answer = apus_host_cpuid(leaf, subleaf)
            return CPUIDRegisters(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx)
        }
        let offered = isKVM ? (try? KVMDevice())?.offeredFeatures : nil
        environment = CPUEnvironment(
            engine: isKVM ? "host's KVM" : "software engine", offered: offered ?? SoftwareEngine.offeredFeatures,
            topology: Topology(topology), tscKHz: nil, host: host)
    }

    /// All models under all their names, then `max` and `host`.
    var all: [ProcessorModelStatus] {
        let named = CPUModel.names.compactMap { name -> ProcessorModelStatus? in
            guard let model = CPUModel.named(name) else { return nil }
            let missing = model.features.subtracting(environment.offered).subtracting(CPUModel.dispensable).names
            let version = CPUModel.version(of: name)
            return ProcessorModelStatus(
                name: name, aliasOf: version == name ? nil : version, unavailableFeatures: missing)
        }
        let flexible = ["max", "host"].map { ProcessorModelStatus(name: $0, isMigrationSafe: false) }
        return named + flexible
    }

    /// A model's properties, with each feature as it comes out on this engine; nil for a model that is not there.
    func expand(_ text: String) -> JSONObject? {
        guard let specification = try? CPUSpecification(parsing: text),
            let resolved = try? specification.resolve(environment)
        else { return nil }
        var object = JSONObject()
        // CPUID.01H:EAX (SDM volume 2, CPUID): families from 15 on and all models have a part of their own.
        let signature = resolved.signature
        let family = signature >> 8 & 15
        object["family"] = .integer(Int64(family == 15 ? family + (signature >> 20 & 0xFF) : family))
        object["model"] = .integer(Int64(signature >> 4 & 15 | (signature >> 16 & 15) << 4))
        object["stepping"] = .integer(Int64(signature & 15))
        object["vendor"] = .string(resolved.vendor)
        object["model-id"] = .string(resolved.modelID)
        object["level"] = .integer(Int64(resolved.level))
        object["xlevel"] = .integer(Int64(resolved.xlevel))
        for feature in CPUFeature.all { object[feature.name] = .bool(resolved.features.contains(feature)) }
        return object
    }
}
