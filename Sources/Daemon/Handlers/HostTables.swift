internal import DomainModel
internal import HostOS
internal import RPCWire

extension HandlerTable {
    /// What the host is made of, and how it shares memory.
    mutating func addHostTables() {
        add(Remote.ConnectGetSysinfo.self, .worker) { (_, _) throws(LibvirtError) in
            .init(sysinfo: XMLWriter.write(try HandlerTable.systemInformation()))
        }
        add(Remote.NodeGetMemoryParameters.self, .worker) { (_, arguments) throws(LibvirtError) in
            let fields = HandlerTable.sharing.compactMap { name, file, isWide -> RemoteTypedParam? in
                let text = HostDescription.trim(HostDescription.text("/sys/kernel/mm/ksm/\(file)"))
                guard let value = UInt64(text) else { return nil }
                return .init(field: name, value: isWide ? .ulong(value) : .uint(UInt32(clamping: value)))
            }
            guard !fields.isEmpty else {
                throw LibvirtError.operationUnsupported("the kernel does not share memory between machines")
            }
            let shown = arguments.nparams <= 0 ? [] : Array(fields.prefix(Int(arguments.nparams)))
            return .init(params: shown, nparams: Int32(fields.count))
        }
        add(Remote.NodeSetMemoryParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let settable = ["shm_pages_to_scan", "shm_sleep_millisecs", "shm_merge_across_nodes"]
            for parameter in arguments.params {
                guard settable.contains(parameter.field),
                    let file = HandlerTable.sharing.first(where: { $0.0 == parameter.field })?.1,
                    case .uint(let value) = parameter.value
                else { throw LibvirtError.operationUnsupported("parameter '\(parameter.field)' not supported") }
                try call.driver.onHost { () throws(HostError) in
                    try HostFile.open("/sys/kernel/mm/ksm/\(file)", HostFile.Mode.write)
                        .writeAll(Array("\(value)".utf8))
                }
            }
        }
        add(Remote.NodeAllocPages.self, .worker) { (call, arguments) throws(LibvirtError) in
            let cells = call.session.daemon.host.cells.dropFirst(Int(max(0, arguments.startCell)))
            let pairs = Array(zip(arguments.pageSizes, arguments.pageCounts))
            let wanted = arguments.startCell < 0 ? cells : cells.prefix(Int(min(arguments.cellCount, 256)))
            guard pairs.count <= 64 else { throw LibvirtError.rpc("too many pages") }
            let sets = arguments.flags & VirNodeAllocPagesFlags.set != 0
            var changed: Int32 = 0
            for (size, count) in pairs {
                guard UInt64(size) * 1024 != UInt64(HostFacts.pageSize) else {
                    throw LibvirtError.operationUnsupported("system pages pool can't be modified")
                }
                for cell in wanted {
                    let path = "/sys/devices/system/node/node\(cell.id)/hugepages/hugepages-\(size)kB/nr_hugepages"
                    guard let before = HostDescription.number(path) else {
                        throw LibvirtError.operationFailed("page size \(size) is not available on node \(cell.id)")
                    }
                    let (sum, overflow) = UInt64(max(0, before)).addingReportingOverflow(count)
                    let text = "\(sets ? count : overflow ? UInt64.max : sum)"
                    try call.driver.onHost { () throws(HostError) in
                        try HostFile.open(path, HostFile.Mode.write).writeAll(Array(text.utf8))
                    }
                    changed += 1
                }
            }
            return .init(ret: changed)
        }
        add(Remote.NodeGetFreePages.self, .worker) { (call, arguments) throws(LibvirtError) in
            let cells = call.session.daemon.host.cells
            guard arguments.pages.count <= 64, arguments.startCell >= 0, arguments.cellCount <= 256 else {
                throw LibvirtError.rpc("too many pages or cells")
            }
            let wanted = cells.dropFirst(Int(arguments.startCell)).prefix(Int(arguments.cellCount))
            guard !wanted.isEmpty else {
                throw LibvirtError.internalError(
                    "start cell \(arguments.startCell) out of range (0-\(cells.count - 1))")
            }
            var counts: [UInt64] = []
            for cell in wanted {
                let node = "/sys/devices/system/node/node\(cell.id)"
                for size in arguments.pages {
                    if UInt64(size) * 1024 == UInt64(HostFacts.pageSize) {
                        let free = HostDescription.kilobytes("MemFree:", in: HostDescription.text(node + "/meminfo"))
                        let amount = free == 0 ? HostDescription.freeMemory / 1024 : free
                        counts.append(amount * 1024 / UInt64(HostFacts.pageSize))
                    } else {
                        let path = "hugepages/hugepages-\(size)kB/free_hugepages"
                        guard
                            let count = HostDescription.number("\(node)/\(path)")
                                ?? HostDescription.number("/sys/kernel/mm/\(path)")
                        else {
                            throw LibvirtError.operationFailed("page size \(size) is not available on node \(cell.id)")
                        }
                        counts.append(UInt64(max(0, count)))
                    }
                }
            }
            return .init(counts: counts)
        }
        add(Remote.ConnectGetCPUModelNames.self, .worker) { (call, arguments) throws(LibvirtError) in
            guard arguments.arch == "x86_64" || arguments.arch == "i686" else {
                throw LibvirtError.invalidArgument("cannot find architecture \(arguments.arch)")
            }
            let models = call.session.daemon.emulators.standard?.processorModels ?? []
            return .init(models: arguments.needResults != 0 ? models : [], ret: Int32(clamping: models.count))
        }
        add(Remote.ConnectCompareCPU.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(result: try call.processorModels(nil).compare(arguments.xml, flags: arguments.flags))
        }
        add(Remote.ConnectCompareHypervisorCPU.self, .worker) { (call, arguments) throws(LibvirtError) in
            let models = try call.processorModels(arguments.emulator)
            return .init(result: try models.compare(arguments.xmlCPU, flags: arguments.flags))
        }
        add(Remote.ConnectBaselineCPU.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(cpu: try call.processorModels(nil).baseline(arguments.xmlCPUs))
        }
        add(Remote.ConnectBaselineHypervisorCPU.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(cpu: try call.processorModels(arguments.emulator).baseline(arguments.xmlCPUs))
        }
        add(Remote.ConnectGetStoragePoolCapabilities.self, .loop) { (_, _) throws(LibvirtError) in
            .init(capabilities: Capabilities.pools)
        }
    }

    /// Fields of `node-memory-tune`: the protocol's name, the kernel's file, whether it is of 64 bits.
    private static let sharing: [(String, String, Bool)] = [
        ("shm_pages_to_scan", "pages_to_scan", false), ("shm_sleep_millisecs", "sleep_millisecs", false),
        ("shm_pages_shared", "pages_shared", true), ("shm_pages_sharing", "pages_sharing", true),
        ("shm_pages_unshared", "pages_unshared", true), ("shm_pages_volatile", "pages_volatile", true),
        ("shm_full_scans", "full_scans", true), ("shm_merge_across_nodes", "merge_across_nodes", false),
    ]

    private static func systemInformation() throws(LibvirtError) -> XMLTree {
        var tree = XMLTree.of("sysinfo", ["type": "smbios"])
        let parts: [(String, [(String, String)])] = [
            ("bios", [("vendor", "bios_vendor"), ("version", "bios_version"), ("date", "bios_date")]),
            (
                "system",
                [
                    ("manufacturer", "sys_vendor"), ("product", "product_name"), ("version", "product_version"),
                    ("serial", "product_serial"), ("uuid", "product_uuid"), ("family", "product_family"),
                ]
            ),
            (
                "baseBoard",
                [("manufacturer", "board_vendor"), ("product", "board_name"), ("version", "board_version")]
            ),
        ]
        for (name, fields) in parts {
            var part = XMLTree(name)
            for (entry, file) in fields {
                let value = HostDescription.trim(HostDescription.text("/sys/class/dmi/id/\(file)"))
                if !value.isEmpty { part.append(.text("entry", value, ["name": entry])) }
            }
            if !part.nodes.isEmpty { tree.append(part) }
        }
        guard !tree.nodes.isEmpty else {
            throw LibvirtError.configUnsupported("Host SMBIOS information is not available")
        }
        return tree
    }
}

extension Call {
    fileprivate func processorModels(_ path: String?) throws(LibvirtError) -> ProcessorModels {
        let list = session.daemon.emulators
        guard let emulator = path.map({ list.emulator($0) }) ?? list.standard else {
            throw LibvirtError.invalidArgument("unable to find any emulator to serve 'x86_64' architecture")
        }
        return ProcessorModels(host: session.daemon.host, models: emulator.processorModels)
    }
}

extension Capabilities {
    /// `virsh pool-capabilities`.
    static let pools: String = {
        var root = XMLTree("storagepoolCapabilities")
        let files = [
            "none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow",
            "qcow", "qcow2", "qed", "vmdk",
        ]
        let partitions = [
            "none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm", "linux-raid", "extended",
        ]
        // Where volumes come from, and what they are.
        let kinds: [(name: String, sources: [String], volumes: [String])] = [
            ("dir", [], files),
            (
                "fs",
                [
                    "auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs",
                    "ocfs2", "vmfs",
                ], files
            ), ("netfs", ["auto", "nfs", "glusterfs", "cifs"], files), ("logical", ["unknown", "lvm2"], []),
            ("disk", ["unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun"], partitions), ("iscsi", [], []),
            ("iscsi-direct", [], []), ("scsi", [], []), ("mpath", [], []), ("rbd", [], []), ("sheepdog", [], []),
            ("gluster", [], []), ("zfs", [], []), ("vstorage", [], []),
        ]
        func options(_ name: String, _ values: [String], _ attribute: String, standard: String) -> XMLTree {
            var options = XMLTree(name)
            options.append(.of("defaultFormat", ["type": standard]))
            var choice = XMLTree.of("enum", ["name": attribute])
            for value in values { choice.append(.text("value", value)) }
            options.append(choice)
            return options
        }
        for (name, sources, volumes) in kinds {
            let isThere =
                !sources.isEmpty || !volumes.isEmpty || ["dir", "iscsi", "scsi", "mpath", "zfs"].contains(name)
            var pool = XMLTree.of("pool", ["type": name, "supported": isThere ? "yes" : "no"])
            if let first = sources.first {
                let standard = name == "logical" ? "lvm2" : first
                pool.append(options("poolOptions", sources, "sourceFormatType", standard: standard))
            }
            if !volumes.isEmpty {
                pool.append(
                    options("volOptions", volumes, "targetFormatType", standard: name == "disk" ? "none" : "raw"))
            }
            root.append(pool)
        }
        return XMLWriter.write(root)
    }()
}
