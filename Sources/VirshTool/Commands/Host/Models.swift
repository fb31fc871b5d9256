internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Models of processors: what there is, what fits where.
extension Run {
    static func cpuModels(_ c: Call) throws {
        let arch = try c.text("arch")
        let models = try failing("failed to get CPU model names") {
            try c.ask(Remote.ConnectGetCPUModelNames.self, .init(arch: arch, needResults: 1, flags: 0))
        }
        if models.ret == 0 { return c.out("all CPU models are accepted\n") }
        for model in models.models { c.out("\(model)\n") }
    }

    /// The `<cpu>` elements of a document: it itself, those of capabilities, domains, or several in one file.
    private static func cpus(_ text: String, _ path: String) throws -> [String] {
        // Several documents in one file are none of XML: so they get one root.
        let wrapped = XMLDocument.parse("<container>\(withoutHeader(text))</container>")
        guard let root = wrapped else { throw CommandFailure("Failed to parse XML fragment '\(path)'") }
        var found: [String] = []
        func visit(_ tree: XMLTree, _ depth: Int) {
            guard depth < 64 else { return }
            if tree.name == "cpu", tree.child("model") != nil || tree.child("feature") != nil || tree["mode"] != nil {
                found.append(XMLWriter.write(tree))
                return
            }
            if tree.name == "domainCapabilities" {
                let hosts = tree.all("cpu/mode").filter { $0["name"] == "host-model" && $0["supported"] != "no" }
                for host in hosts {
                    var cpu = host
                    cpu.name = "cpu"
                    cpu.attributes = []
                    found.append(XMLWriter.write(cpu))
                }
                return
            }
            for child in tree.children { visit(child, depth + 1) }
        }
        visit(root, 0)
        if found.isEmpty {
            throw CommandFailure(
                "File '\(path)' does not contain any <cpu> element or valid domain XML, host capabilities XML, or domain capabilities XML"
            )
        }
        return found
    }

    private static func withoutHeader(_ text: String) -> Substring {
        var rest = text[...]
        rest = rest.drop { $0 == " " || $0 == "\n" || $0 == "\t" }
        if rest.hasPrefix("<?xml"), let end = rest.firstIndex(of: ">") { rest = rest[rest.index(after: end)...] }
        return rest
    }

    private static func baselineFlags(_ c: Call) -> UInt32 {
        c.bits(
            ("features", VirConnectBaselineCPUFlags.expandFeatures),
            ("migratable", VirConnectBaselineCPUFlags.migratable))
    }

    static func cpuBaseline(_ c: Call) throws {
        let path = try c.text("file")
        let list = try cpus(try c.file(path), path)
        c.out(try c.ask(Remote.ConnectBaselineCPU.self, .init(xmlCPUs: list, flags: baselineFlags(c))).cpu)
    }

    static func hypervisorCpuBaseline(_ c: Call) throws {
        guard let path = c["file"] else {
            guard let model = c["model"] else { throw CommandFailure("Either --file or --model must be provided") }
            let xml = "<cpu>\n  <model>\(XMLDocument.escaped(model))</model>\n</cpu>\n"
            return c.out(try hypervisorBaseline(c, [xml]))
        }
        c.out(try hypervisorBaseline(c, try cpus(try c.file(path), path)))
    }

    private static func hypervisorBaseline(_ c: Call, _ list: [String]) throws -> String {
        try c.ask(
            Remote.ConnectBaselineHypervisorCPU.self,
            .init(
                emulator: c["emulator"], arch: c["arch"], machine: c["machine"], virttype: c["virttype"],
                xmlCPUs: list, flags: baselineFlags(c))
        ).cpu
    }

    private static func compareFlags(_ c: Call) -> UInt32 {
        c.bits(
            ("error", VirConnectCompareCPUFlags.failIncompatible), ("validate", VirConnectCompareCPUFlags.validateXml))
    }

    static func cpuCompare(_ c: Call) throws {
        let path = try c.text("file")
        let list = try cpus(try c.file(path), path)
        let result = try failing("Failed to compare host CPU with \(path)") {
            try c.ask(Remote.ConnectCompareCPU.self, .init(xml: list[0], flags: compareFlags(c))).result
        }
        switch result {
        case VirCPUCompareResult.incompatible:
            c.out("CPU described in \(path) is incompatible with host CPU\n")
            throw CommandFailure()
        case VirCPUCompareResult.identical: c.out("CPU described in \(path) is identical to host CPU\n")
        case VirCPUCompareResult.superset: c.out("Host CPU is a superset of CPU described in \(path)\n")
        default: throw CommandFailure("Failed to compare host CPU with \(path)")
        }
    }

    static func hypervisorCpuCompare(_ c: Call) throws {
        let path = try c.text("file")
        let list = try cpus(try c.file(path), path)
        let result = try failing("Failed to compare hypervisor CPU with \(path)") {
            try c.ask(
                Remote.ConnectCompareHypervisorCPU.self,
                .init(
                    emulator: c["emulator"], arch: c["arch"], machine: c["machine"], virttype: c["virttype"],
                    xmlCPU: list[0], flags: compareFlags(c))
            ).result
        }
        switch result {
        case VirCPUCompareResult.incompatible:
            c.out("CPU described in \(path) is incompatible with the CPU provided by hypervisor on the host\n")
            throw CommandFailure()
        case VirCPUCompareResult.identical:
            c.out("CPU described in \(path) is identical to the CPU provided by hypervisor on the host\n")
        case VirCPUCompareResult.superset:
            c.out("The CPU provided by hypervisor on the host is a superset of CPU described in \(path)\n")
        default: throw CommandFailure("Failed to compare hypervisor CPU with \(path)")
        }
    }
}
