internal import DomainModel
internal import RPCWire

/// Comparing and joining of processors' descriptions, by the features that they name.
struct ProcessorModels {
    let host: HostDescription
    /// Models that the emulator has.
    let models: [String]

    /// One description.
    private struct Description {
        var model: String?
        var required: Set<String>
        var forbidden: Set<String>
    }

    private func read(_ text: String) throws(LibvirtError) -> Description {
        var tree: XMLTree
        do throws(DefinitionError) { tree = try XMLReader.parse(text, document: "(CPU_definition)") } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
        // What clients paste is often more than the one element.
        switch tree.name {
        case "cpu": break
        case "capabilities": tree = tree.at("host", "cpu") ?? tree
        case "domain": tree = tree.child("cpu") ?? tree
        case "domainCapabilities": tree = tree.child("cpu")?.all("mode").first { $0["name"] == "host-model" } ?? tree
        default: throw LibvirtError.xml("XML does not contain expected 'cpu' element")
        }
        if let architecture = tree.child("arch")?.text, architecture != "x86_64", architecture != "i686" {
            throw LibvirtError.internalError("CPU architecture '\(architecture)' is not this host's")
        }
        let model = tree.child("model").map { HostDescription.trim($0.text) }
        if let model, !model.isEmpty, model != host.model, !models.contains(model) {
            throw LibvirtError.internalError("Unknown CPU model \(model)")
        }
        var description = Description(model: model, required: [], forbidden: [])
        for feature in tree.all("feature") {
            guard let name = feature["name"] else { throw LibvirtError.xml("Invalid CPU feature name") }
            switch feature["policy"] {
            case nil, "require", "force": description.required.insert(name)
            case "forbid": description.forbidden.insert(name)
            default: break
            }
        }
        guard model != nil || !description.required.isEmpty || tree["mode"] != nil else {
            throw LibvirtError.xml("Missing CPU model name")
        }
        return description
    }

    /// A `virCPUCompareResult`.
    func compare(_ text: String, flags: UInt32) throws(LibvirtError) -> Int32 {
        let wanted = try read(text)
        let has = Set(host.features)
        let missing = wanted.required.subtracting(has).sorted()
        if !missing.isEmpty || !wanted.forbidden.isDisjoint(with: has) {
            if flags & VirConnectCompareCPUFlags.failIncompatible != 0 {
                throw LibvirtError(
                    code: VirErrorNumber.cpuIncompatible,
                    message: "the CPU is incompatible with host CPU: Host CPU does not provide required features: "
                        + missing.joined(separator: ", "),
                    detail: "Host CPU does not provide required features: " + missing.joined(separator: ", "))
            }
            return VirCPUCompareResult.incompatible
        }
        let same = wanted.required == has && (wanted.model == nil || wanted.model == host.model)
        return same ? VirCPUCompareResult.identical : VirCPUCompareResult.superset
    }

    /// What all of the processors can do.
    func baseline(_ texts: [String]) throws(LibvirtError) -> String {
        guard !texts.isEmpty else { throw LibvirtError.invalidArgument("no CPUs given") }
        var all: [Description] = []
        for text in texts { all.append(try read(text)) }
        let first = all[0]
        let common = all.dropFirst().reduce(first.required) { $0.intersection($1.required) }
        let model = all.allSatisfy { $0.model == first.model } ? first.model ?? host.model : "qemu64"
        var cpu = XMLTree.of("cpu", ["mode": "custom", "match": "exact"])
        cpu.append(.text("model", model, ["fallback": "forbid"]))
        cpu.append(.text("vendor", host.vendor))
        for name in common.sorted() { cpu.append(.of("feature", ["policy": "require", "name": name])) }
        return XMLWriter.write(cpu)
    }
}

extension HostDescription {
    /// The model that the host's processor is told to be.
    var model: String { "qemu64" }

    /// Features by libvirt's names, which are QEMU's.
    var features: [String] {
        flags.map { flag in
            switch flag {
            case "sse4_1": "sse4.1"
            case "sse4_2": "sse4.2"
            case "pclmulqdq": "pclmuldq"
            case "lahf_lm", "cmp_legacy", "perfctr_core", "perfctr_nb", "nodeid_msr": flag
            case "ida", "nopl", "constant_tsc": flag
            default: flag.split(separator: "_").joined(separator: "-")
            }
        }
    }
}
