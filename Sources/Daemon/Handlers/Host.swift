internal import HostOS
internal import RPCWire

extension HandlerTable {
    /// The host.
    mutating func addHost() {
        add(Remote.ConnectGetHostname.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectGetHostname.Result(hostname: call.session.daemon.host.name)
        }
        add(Remote.NodeGetInfo.self, .loop) { (call, _) throws(LibvirtError) in
            let host = call.session.daemon.host
            var model = [Int8](repeating: 0, count: 32)
            for (index, byte) in host.architecture.utf8.prefix(31).enumerated() {
                model[index] = Int8(bitPattern: byte)
            }
            return Remote.NodeGetInfo.Result(
                model: model, memory: host.memory, cpus: Int32(clamping: host.processors.count),
                mhz: Int32(clamping: host.megahertz), nodes: Int32(clamping: host.cells.count),
                sockets: Int32(clamping: host.sockets), cores: Int32(clamping: host.cores),
                threads: Int32(clamping: host.threads))
        }
        add(Remote.ConnectGetCapabilities.self, .worker) { (call, _) throws(LibvirtError) in
            let daemon = call.session.daemon
            let emulators = daemon.emulators.paths.compactMap { daemon.emulators.emulator($0) }
            return Remote.ConnectGetCapabilities.Result(capabilities: Capabilities.document(daemon.host, emulators))
        }
        add(Remote.ConnectGetDomainCapabilities.self, .worker) { (call, arguments) throws(LibvirtError) in
            let list = call.session.daemon.emulators
            let emulator = arguments.emulatorbin.map { list.emulator($0) } ?? list.standard
            guard let emulator else {
                throw LibvirtError.invalidArgument("unable to find any emulator to serve 'x86_64' architecture")
            }
            if let architecture = arguments.arch, architecture != "x86_64" {
                throw LibvirtError.invalidArgument(
                    "unable to find any emulator to serve '\(architecture)' architecture")
            }
            let document = Capabilities.domainDocument(
                call.session.daemon.host, emulator, list.firmware,
                machine: emulator.canonicalMachine(arguments.machine),
                type: arguments.virttype ?? (emulator.offersKVM ? "kvm" : "qemu"))
            return Remote.ConnectGetDomainCapabilities.Result(capabilities: document)
        }
        add(Remote.ConnectGetMaxVCPUs.self, .loop) { (_, _) throws(LibvirtError) in
            Remote.ConnectGetMaxVCPUs.Result(maxVcpus: 255)
        }
        add(Remote.NodeGetFreeMemory.self, .loop) { (_, _) throws(LibvirtError) in
            Remote.NodeGetFreeMemory.Result(freeMem: HostDescription.freeMemory)
        }
        add(Remote.NodeGetCellsFreeMemory.self, .loop) { (call, arguments) throws(LibvirtError) in
            let cells = call.session.daemon.host.cells
            let first = Int(max(0, arguments.startCell))
            let wanted = cells.dropFirst(first).prefix(Int(max(0, arguments.maxcells)))
            guard !wanted.isEmpty else {
                throw LibvirtError.internalError("start cell \(first) out of range (0-\(cells.count - 1))")
            }
            return Remote.NodeGetCellsFreeMemory.Result(
                cells: wanted.map { cell in
                    let table = HostDescription.text("/sys/devices/system/node/node\(cell.id)/meminfo")
                    let free = HostDescription.kilobytes("MemFree:", in: table)
                    return free == 0 && cells.count == 1 ? HostDescription.freeMemory : free * 1024
                })
        }
        add(Remote.NodeGetSecurityModel.self, .loop) { (_, _) throws(LibvirtError) in
            let usual = FileConfinement.isSupported ? MachineConfinement.model : "none"
            return Remote.NodeGetSecurityModel.Result(
                model: HandlerTable.characters(LabelPolicy.host == nil ? usual : MachineLabel.model),
                doi: HandlerTable.characters("0"))
        }
        add(Remote.NodeGetCPUMap.self, .loop) { (call, _) throws(LibvirtError) in
            let online = call.session.daemon.host.processors.map(\.id)
            return Remote.NodeGetCPUMap.Result(
                cpumap: HandlerTable.map(of: online), online: UInt32(clamping: online.count),
                ret: Int32(clamping: (online.max() ?? 0) + 1))
        }
        addHostCounters()
    }

    private mutating func addHostCounters() {
        add(Remote.NodeGetCPUStats.self, .loop) { (_, arguments) throws(LibvirtError) in
            if arguments.nparams == 0 { return Remote.NodeGetCPUStats.Result(params: [], nparams: 4) }
            let isAll = arguments.cpuNum == VirNodeGetCPUStatsAllCPUs.cpus
            let name = isAll ? "cpu " : "cpu\(arguments.cpuNum) "
            let line = HostDescription.text("/proc/stat").split(separator: "\n").first { $0.hasPrefix(name) }
            guard let line else { throw HandlerTable.notThere("Invalid cpuNum in virHostCPUGetStatsLinux") }
            let ticks = line.split(separator: " ").dropFirst().map { UInt64($0) ?? 0 }
            guard ticks.count >= 5 else { throw LibvirtError.internalError("/proc/stat is not understood") }
            let irqs = ticks.dropFirst(5).prefix(2).reduce(0, &+)
            let values = [
                ("kernel", ticks[2] &+ irqs), ("user", ticks[0] &+ ticks[1]), ("idle", ticks[3]), ("iowait", ticks[4]),
            ].map { RemoteNodeGetCPUStats(field: $0.0, value: $0.1 &* 10_000_000) }
            return Remote.NodeGetCPUStats.Result(
                params: Array(values.prefix(Int(max(0, arguments.nparams)))), nparams: Int32(values.count))
        }
        add(Remote.NodeGetMemoryStats.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = [("total", "MemTotal:"), ("free", "MemFree:"), ("buffers", "Buffers:"), ("cached", "Cached:")]
            let isAll = arguments.cellNum == VirNodeGetMemoryStatsAllCells.cells
            // Of one node the kernel tells what it has and what is free.
            let wanted = isAll ? names : Array(names.prefix(2))
            var table = HostDescription.text("/proc/meminfo")
            if !isAll {
                let cells = call.session.daemon.host.cells
                guard cells.contains(where: { Int32(exactly: $0.id) == arguments.cellNum }) else {
                    let last = cells.map(\.id).max() ?? 0
                    throw HandlerTable.notThere("cellNum in virHostMemGetStats must be less than or equal to \(last)")
                }
                let own = HostDescription.text("/sys/devices/system/node/node\(arguments.cellNum)/meminfo")
                if !own.isEmpty { table = own }
            }
            let values = wanted.map {
                RemoteNodeGetMemoryStats(field: $0.0, value: HostDescription.kilobytes($0.1, in: table))
            }
            return Remote.NodeGetMemoryStats.Result(
                params: arguments.nparams == 0 ? [] : Array(values.prefix(Int(max(0, arguments.nparams)))),
                nparams: Int32(values.count))
        }
    }

    /// What a caller asks for is not on this host.
    private static func notThere(_ message: String) -> LibvirtError {
        LibvirtError(code: VirErrorNumber.invalidArg, message: message, detail: message)
    }

    /// A C string as the protocol sends fixed ones: with its zero.
    static func characters(_ text: String) -> [Int8] { text.utf8.map { Int8(bitPattern: $0) } + [0] }

    /// Processors as a bit map.
    static func map(of processors: [Int]) -> [UInt8] {
        var map = [UInt8](repeating: 0, count: ((processors.max() ?? 0) + 8) / 8)
        for processor in processors { map[processor / 8] |= 1 << UInt8(processor % 8) }
        return map
    }
}
