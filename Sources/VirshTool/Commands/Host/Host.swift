internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// The host and its hypervisor.
extension Run {
    static func capabilities(_ c: Call) throws {
        let text = try failing("failed to get capabilities") {
            try c.ask(Remote.ConnectGetCapabilities.self, NoPayload()).capabilities
        }
        c.out("\(text)\n")
    }

    static func domcapabilities(_ c: Call) throws {
        let text = try failing("failed to get emulator capabilities") {
            try c.ask(
                Remote.ConnectGetDomainCapabilities.self,
                .init(
                    emulatorbin: c["emulatorbin"], arch: c["arch"], machine: c["machine"], virttype: c["virttype"],
                    flags: 0)
            ).capabilities
        }
        c.out("\(text)\n")
    }

    static func hostname(_ c: Call) throws {
        let name = try failing("failed to get hostname") {
            try c.ask(Remote.ConnectGetHostname.self, NoPayload()).hostname
        }
        c.out("\(name)\n")
    }

    static func uri(_ c: Call) throws {
        let client = try c.client
        // What the client knows itself needs no question.
        let text =
            try client.uri?.text
            ?? failing("failed to get URI") { try c.ask(Remote.ConnectGetURI.self, NoPayload()).uri }
        c.out("\(text)\n")
    }

    static func sysinfo(_ c: Call) throws {
        let text = try failing("failed to get sysinfo") {
            try c.ask(Remote.ConnectGetSysinfo.self, .init(flags: 0)).sysinfo
        }
        c.out(text)
    }

    static func nodeinfo(_ c: Call) throws {
        let info = try failing("failed to get node information") { try c.ask(Remote.NodeGetInfo.self, NoPayload()) }
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 20)) \(value)\n") }
        line("CPU model:", text(info.model))
        line("CPU(s):", "\(info.cpus)")
        if info.mhz != 0 { line("CPU frequency:", "\(info.mhz) MHz") }
        line("CPU socket(s):", "\(info.sockets)")
        line("Core(s) per socket:", "\(info.cores)")
        line("Thread(s) per core:", "\(info.threads)")
        line("NUMA cell(s):", "\(info.nodes)")
        line("Memory size:", "\(info.memory) KiB")
    }

    private static func dotted(_ version: UInt64) -> String {
        "\(version / 1_000_000).\(version / 1000 % 1000).\(version % 1000)"
    }

    static func version(_ c: Call) throws {
        let type = try failing("failed to get hypervisor type") {
            try c.ask(Remote.ConnectGetType.self, NoPayload()).type
        }
        c.out("Compiled against library: libvirt \(VirshProgram.version)\n")
        c.out("Using library: libvirt \(VirshProgram.version)\n")
        c.out("Using API: \(type) \(VirshProgram.version)\n")
        let running = try failing("failed to get the hypervisor version") {
            try c.ask(Remote.ConnectGetVersion.self, NoPayload()).hvVer
        }
        if running == 0 {
            c.out("Cannot extract running \(type) hypervisor version\n")
        } else {
            c.out("Running hypervisor: \(type) \(dotted(running))\n")
        }
        if c.has("daemon") {
            let version = try failing("failed to get the daemon version") {
                try c.ask(Remote.ConnectGetLibVersion.self, NoPayload()).libVer
            }
            c.out("Running against daemon: \(dotted(version))\n")
        }
    }

    static func maxvcpus(_ c: Call) throws {
        if let text = try? c.ask(
            Remote.ConnectGetDomainCapabilities.self,
            .init(emulatorbin: nil, arch: nil, machine: nil, virttype: c["type"], flags: 0)
        ).capabilities,
            let most = XMLDocument.parse(text)?.child("vcpu")?["max"]
        {
            return c.out("\(most)\n")
        }
        c.out("\(try c.ask(Remote.ConnectGetMaxVCPUs.self, .init(type: c["type"])).maxVcpus)\n")
    }

    // MARK: - Processors

    static func nodecpumap(_ c: Call) throws {
        let map = try failing("Unable to get cpu map") {
            try c.ask(Remote.NodeGetCPUMap.self, .init(needMap: 1, needOnline: 1, flags: 0))
        }
        let count = max(0, min(Int(map.ret), map.cpumap.count * 8))
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("CPUs present:", "\(count)")
        line("CPUs online:", "\(map.online)")
        if c.has("pretty") {
            line("CPU map:", ranges(map.cpumap, count: count))
        } else {
            line("CPU map:", String((0..<count).map { map.cpumap[$0 / 8] & 1 << UInt8($0 % 8) != 0 ? "y" : "-" }))
        }
    }

    static func nodesevinfo(_ c: Call) throws {
        let count = try failing("Unable to get host SEV information") {
            try c.ask(Remote.NodeGetSEVInfo.self, .init(nparams: 0, flags: 0)).nparams
        }
        for param in try c.ask(Remote.NodeGetSEVInfo.self, .init(nparams: count, flags: 0)).params {
            c.out("\(NumberText.left(param.field, 18)): \(ParameterText.value(param.value))\n")
        }
    }

    static func nodesuspend(_ c: Call) throws {
        let name = try c.text("target")
        guard let target = ["mem", "disk", "hybrid"].firstIndex(of: name) else {
            throw CommandFailure("Invalid target")
        }
        guard let duration = try c.number("duration", Int64.self), duration >= 0 else {
            throw CommandFailure("Invalid duration")
        }
        try failing("The host was not suspended") {
            try c.ask(
                Remote.NodeSuspendForDuration.self, .init(target: UInt32(target), duration: UInt64(duration), flags: 0))
        }
    }

    static func nodeMemoryTune(_ c: Call) throws {
        var given: [RemoteTypedParam] = []
        for (option, field) in [
            ("shm-pages-to-scan", "shm_pages_to_scan"), ("shm-sleep-millisecs", "shm_sleep_millisecs"),
            ("shm-merge-across-nodes", "shm_merge_across_nodes"),
        ] {
            if let value = try c.number(option, UInt32.self) {
                given.append(RemoteTypedParam(field: field, value: .uint(value)))
            }
        }
        if !given.isEmpty {
            return try failing("Unable to change memory parameters") {
                _ = try c.ask(Remote.NodeSetMemoryParameters.self, .init(params: given, flags: 0))
            }
        }
        let params = try failing("Unable to get memory parameters") {
            let count = try c.ask(Remote.NodeGetMemoryParameters.self, .init(nparams: 0, flags: 0)).nparams
            guard count > 0 else { return [RemoteTypedParam]() }
            return try c.ask(Remote.NodeGetMemoryParameters.self, .init(nparams: count, flags: 0)).params
        }
        if !params.isEmpty { c.out("Shared memory:\n") }
        for param in params {
            c.out("\t\(NumberText.left(param.field, 15)) \(ParameterText.value(param.value))\n")
        }
    }

    // MARK: - Memory

    static func freecell(_ c: Call) throws {
        try c.exclusive("all", "cellno")
        if c.has("all") {
            let text = try failing("unable to get node capabilities") {
                try c.ask(Remote.ConnectGetCapabilities.self, NoPayload()).capabilities
            }
            let cells = (XMLDocument.parse(text)?.all("host/topology/cells/cell") ?? []).compactMap {
                $0["id"].flatMap { Int32($0) }
            }
            if cells.isEmpty { throw CommandFailure("could not get information about NUMA topology") }
            var total: UInt64 = 0
            for cell in cells {
                let free = try failing("failed to get free memory for NUMA node number: \(cell)") {
                    try c.ask(Remote.NodeGetCellsFreeMemory.self, .init(startCell: cell, maxcells: 1)).cells.first ?? 0
                }
                c.out("\(NumberText.right("\(cell)", 5)): \(NumberText.right("\(free / 1024)", 10)) KiB\n")
                total &+= free / 1024
            }
            c.out("--------------------\n\(NumberText.right("Total", 5)): \(NumberText.right("\(total)", 10)) KiB\n")
            return
        }
        if let cell = try c.number("cellno", Int32.self) {
            let free =
                try c.ask(Remote.NodeGetCellsFreeMemory.self, .init(startCell: cell, maxcells: 1)).cells.first ?? 0
            return c.out("\(cell): \(free / 1024) KiB\n")
        }
        c.out("Total: \(try c.ask(Remote.NodeGetFreeMemory.self, NoPayload()).freeMem / 1024) KiB\n")
    }

    static func freepages(_ c: Call) throws {
        try c.exclusive("all", "cellno")
        func free(_ size: UInt32, _ cell: Int32) throws -> UInt64 {
            try c.ask(
                Remote.NodeGetFreePages.self, .init(pages: [size], startCell: cell, cellCount: 1, flags: 0)
            ).counts.first ?? 0
        }
        if c.has("all") {
            let text = try c.ask(Remote.ConnectGetCapabilities.self, NoPayload()).capabilities
            let root = XMLDocument.parse(text)
            let sizes = (root?.all("host/cpu/pages") ?? []).compactMap { $0["size"].flatMap { UInt32($0) } }.sorted()
            let cells = root?.all("host/topology/cells/cell") ?? []
            for cell in cells {
                guard let id = cell["id"].flatMap({ Int32($0) }) else { continue }
                c.out("Node \(id):\n")
                for size in sizes { c.out("\(size)KiB: \(try free(size, id))\n") }
                c.out("\n")
            }
            return
        }
        guard let cell = try c.number("cellno", Int32.self) else { throw CommandFailure("missing cellno argument") }
        guard let size = try c.scaled("pagesize", scale: 1024) else {
            throw CommandFailure("missing pagesize argument")
        }
        c.out("\(size / 1024)KiB: \(try free(UInt32(clamping: size / 1024), cell))\n")
    }

    static func allocpages(_ c: Call) throws {
        try c.exclusive("all", "cellno")
        let size = UInt32(clamping: (try c.scaled("pagesize", scale: 1024) ?? 0) / 1024)
        let count = try c.number("pagecount", UInt64.self) ?? 0
        var (first, cells): (Int32, UInt32) = (-1, 1)
        if let cell = try c.number("cellno", Int32.self) {
            guard cell >= -1 else { throw CommandFailure("cell number must be non-negative integer or -1") }
            first = cell
        }
        if c.has("all") {
            let text = try c.ask(Remote.ConnectGetCapabilities.self, NoPayload()).capabilities
            (first, cells) = (0, UInt32(XMLDocument.parse(text)?.all("host/topology/cells/cell").count ?? 1))
        }
        try c.ask(
            Remote.NodeAllocPages.self,
            .init(
                pageSizes: [size], pageCounts: [count], startCell: first, cellCount: cells,
                flags: c.has("add") ? 0 : VirNodeAllocPagesFlags.set))
    }
}
