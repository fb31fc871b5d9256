internal import DomainModel
internal import JSON

/// Memory, nodes, I/O threads and modules.
extension QEMUArguments {
    private var total: UInt64 { domain.memory.size?.bytes ?? 0 }

    /// Memory of the modules is not part of what the machine has at start.
    private var initial: UInt64 {
        let modules = domain.devices.memories.reduce(UInt64(0)) { $0 &+ ($1.target.size?.bytes ?? 0) }
        return total > modules ? total - modules : total
    }

    private var cells: [NUMA.Cell] { domain.cpu?.numa.cells ?? [] }

    /// The board's memory is an object of its own, so that its backing can be chosen.
    var hasOwnMemoryObject: Bool {
        cells.isEmpty && (plan.usesQEMUExtras || domain.memoryBacking?.accessMode == "shared")
    }

    mutating func memory() throws(DefinitionError) {
        guard initial > 0 else {
            throw DefinitionError(
                .xmlError, "XML error: Memory size must be specified via <memory> or in the <numa> configuration")
        }
        if let maximum = domain.maxMemory?.size {
            add("-m", "size=\(initial >> 10)k,slots=\(domain.maxMemory?.slots ?? 16),maxmem=\(maximum.kibibytes)k")
        } else if initial & 0xF_FFFF == 0 {
            add("-m", "\(initial >> 20)")
        } else {
            add("-m", "size=\(initial >> 10)k")
        }
        if hasOwnMemoryObject {
            add("-object", backend("pc.ram", size: initial, access: nil))
        } else if cells.isEmpty, let path = hugePagePath {
            add("-mem-path", path)
        }
        add("-overcommit", "mem-lock=\(domain.memoryBacking?.locked == true ? "on" : "off")")
    }

    private var hugePagePath: String? { domain.memoryBacking?.usesHugePages == true ? "/dev/hugepages" : nil }

    private func backend(
        _ id: String, size: UInt64, access: String?, discard: YesNo? = nil, path: String? = nil
    ) -> JSONObject {
        let backing = domain.memoryBacking
        var object = JSONObject()
        let isShared = (access ?? backing?.accessMode) == "shared"
        if let path = path ?? (backing?.usesHugePages == true && backing?.sourceType != "memfd" ? hugePagePath : nil) {
            object["qom-type"] = "memory-backend-file"
            object["id"] = .string(id)
            object["mem-path"] = .string(path)
        } else if backing?.sourceType == "memfd" {
            object["qom-type"] = "memory-backend-memfd"
            object["id"] = .string(id)
            if backing?.usesHugePages == true { object["hugetlb"] = true }
        } else if backing?.sourceType == "file" {
            object["qom-type"] = "memory-backend-file"
            object["id"] = .string(id)
            object["mem-path"] = .string(plan.folder + "/ram-" + id)
        } else {
            object["qom-type"] = "memory-backend-ram"
            object["id"] = .string(id)
        }
        if (discard ?? (backing?.discard == true ? .yes : nil)) == .yes,
            object["qom-type"] == "memory-backend-file"
        {
            object["discard-data"] = true
        }
        if access != nil || backing?.accessMode != nil { object["share"] = .bool(isShared) }
        if backing?.allocationMode == "immediate" {
            object["prealloc"] = true
            object.set("prealloc-threads", backing?.allocationThreads)
        }
        object["size"] = .number(size)
        return object
    }

    /// I/O threads and nodes, behind the processors.
    mutating func nodes() {
        var numbers = domain.iothreadIDs.compactMap(\.id)
        var next: UInt32 = 1
        while numbers.count < Int(min(domain.iothreads ?? 0, 1024)) {
            if !numbers.contains(next) { numbers.append(next) }
            next += 1
        }
        for number in numbers { add("-object", ["qom-type": "iothread", "id": .string("iothread\(number)")]) }
        for (index, cell) in cells.enumerated() {
            let id = cell.id ?? UInt32(index)
            let memory = "ram-node\(id)"
            add("-object", backend(memory, size: cell.memory << 10, access: cell.memoryAccess, discard: cell.discard))
            let cpus = (cell.cpus ?? "").split(separator: ",").map { "cpus=\($0)," }.joined()
            add("-numa", "node,nodeid=\(id),\(cpus)memdev=\(memory)")
        }
        for cell in cells {
            for sibling in cell.distances {
                add("-numa", "dist,src=\(cell.id ?? 0),dst=\(sibling.id),val=\(sibling.value)")
            }
        }
    }

    mutating func memoryModules() {
        for module in domain.devices.memories {
            guard let alias = module.info.alias, let size = module.target.size?.bytes else { continue }
            let memory = "mem" + alias
            add(
                "-object",
                backend(memory, size: size, access: module.access, discard: module.discard, path: module.source.path))
            var object = JSONObject()
            switch module.model {
            case "nvdimm": object["driver"] = "nvdimm"
            case "virtio-pmem": object["driver"] = "virtio-pmem-pci"
            case "virtio-mem": object["driver"] = "virtio-mem-pci"
            default: object["driver"] = "pc-dimm"
            }
            object.set("node", module.target.node)
            if let label = module.target.labelSize { object["label-size"] = .number(label.bytes) }
            if let block = module.target.block { object["block-size"] = .number(block.bytes) }
            if let requested = module.target.requested { object["requested-size"] = .number(requested.bytes) }
            object["memdev"] = .string(memory)
            object["id"] = .string(alias)
            if case .dimm(let slot, let base)? = module.info.address {
                object.set("slot", slot)
                if let base { object["addr"] = .number(base) }
            } else {
                object.place(module.info, in: domain)
            }
            device(object)
        }
    }
}
