internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Processors that join and leave a machine while it runs.
extension RunningMachine {
    /// A place for a processor, by the processor's number.
    private struct Slot {
        let driver: JSONValue
        let properties: JSONObject
        /// Where the processor is in the machine's tree of objects; nil: there is none.
        let path: String?

        /// Whether it came while the machine ran, and may go.
        func isPlugged(_ index: Int) -> Bool { path == "/machine/peripheral/vcpu\(index)" }
    }

    /// Boards list them from the last processor to the first.
    private func slots() throws(LibvirtError) -> [Slot] {
        (try qmp().execute("query-hotpluggable-cpus").arrayValue ?? []).reversed().map { slot in
            Slot(
                driver: slot["type"] ?? .null, properties: slot["props"]?.objectValue ?? JSONObject(),
                path: slot["qom-path"]?.stringValue)
        }
    }

    /// Takes the machine to another number of processors: the first that are not there come, the last that can go go.
    func setProcessors(_ count: Int) throws(LibvirtError) {
        let slots = try slots()
        let there = slots.indices.filter { slots[$0].path != nil }
        if count > there.count {
            let free = slots.indices.filter { slots[$0].path == nil }
            guard free.count >= count - there.count else {
                throw LibvirtError.operationUnsupported("the machine has no room for \(count) vCPUs")
            }
            for index in free.prefix(count - there.count) { try plug(index, slots[index]) }
        } else {
            for index in there.reversed().prefix(there.count - count) { try unplug(index, slots[index]) }
        }
        refreshProcessors()
    }

    /// Has processors come or go by their numbers.
    func setProcessors(_ wanted: [Int], present: Bool) throws(LibvirtError) {
        let slots = try slots()
        for index in wanted {
            guard slots.indices.contains(index) else {
                throw LibvirtError.invalidArgument("vCPU '\(index)' is not present in the domain")
            }
            guard (slots[index].path != nil) != present else {
                throw LibvirtError.invalidArgument("vcpu '\(index)' is already in requested state")
            }
            if !present, slots[index].path != nil, !slots[index].isPlugged(index) {
                throw LibvirtError.invalidArgument("vCPU '\(index)' can't be unplugged")
            }
        }
        for index in wanted {
            if present { try plug(index, slots[index]) } else { try unplug(index, slots[index]) }
        }
        refreshProcessors()
    }

    /// Writes into a live form which processors are there.
    func writeProcessors(_ tree: inout XMLTree) throws(LibvirtError) {
        let slots = try slots()
        guard !slots.isEmpty else { return }
        let before = tree.processors
        tree.setProcessors(
            slots.enumerated().map { index, slot in
                let came = slot.isPlugged(index) || before.indices.contains(index) && before[index].mayGo
                return (slot.path != nil, slot.path == nil || came)
            })
    }

    private func plug(_ index: Int, _ slot: Slot) throws(LibvirtError) {
        var device: JSONObject = ["driver": slot.driver, "id": .string("vcpu\(index)")]
        for property in slot.properties.members { device[property.name] = property.value }
        try qmp().execute("device_add", device)
    }

    /// The guest gives a processor up, or does not.
    private func unplug(_ index: Int, _ slot: Slot) throws(LibvirtError) {
        guard slot.isPlugged(index) else {
            throw LibvirtError.configUnsupported(
                "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count")
        }
        try qmp().execute("device_del", ["id": .string("vcpu\(index)")])
        let deadline = HostClock.monotonic + 10_000_000_000
        let pause = Bell()
        while try slots()[index].path != nil {
            guard HostClock.monotonic < deadline else {
                throw LibvirtError.operationTimeout(
                    "vcpu unplug request timed out. Unplug result must be manually inspected in the domain")
            }
            pause.wait(nanoseconds: 20_000_000)
        }
    }
}

extension XMLTree {
    /// Elements that come behind `<vcpus>`.
    private static let afterProcessors: Set<String> = [
        "iothreads", "iothreadids", "defaultiothread", "cputune", "numatune", "resource", "sysinfo", "bootloader", "os",
    ]

    /// Which processors a domain has, by `<vcpus>`, else the first as many as are there at its start.
    var processors: [(isThere: Bool, mayGo: Bool)] {
        let maximum = min(DomainFigures.maximumProcessors(self), 4096)
        let current = DomainFigures.processors(self)
        var list = (0..<maximum).map { (isThere: $0 < current, mayGo: $0 >= current) }
        for element in child("vcpus")?.all("vcpu") ?? [] {
            guard let index = element["id"].flatMap({ Int($0) }), list.indices.contains(index) else { continue }
            list[index] = (element["enabled"] != "no", element["hotpluggable"] == "yes" || element["enabled"] == "no")
        }
        return list
    }

    /// Writes them down.
    mutating func setProcessors(_ list: [(isThere: Bool, mayGo: Bool)]) {
        let count = list.count { $0.isThere }
        update("vcpu") { $0.set("current", count == list.count ? nil : "\(count)") }
        remove("vcpus")
        var all = XMLTree("vcpus")
        for (index, processor) in list.enumerated() {
            all.append(
                .of(
                    "vcpu",
                    [
                        "id": "\(index)", "enabled": processor.isThere ? "yes" : "no",
                        "hotpluggable": processor.mayGo ? "yes" : "no",
                    ]))
        }
        insert(all, before: Self.afterProcessors)
    }
}

extension HandlerTable {
    /// `virsh setvcpu`: single processors.
    static func setProcessor(
        _ call: Call, _ reference: RemoteDomain, _ map: String, _ isThere: Bool, _ flags: UInt32
    ) throws(LibvirtError) {
        let wanted = HostDescription.range(map)
        guard !wanted.isEmpty, map.allSatisfy({ $0.isNumber || "-, ^".contains($0) }) else {
            throw LibvirtError.invalidArgument("Failed to parse bitmap '\(map)'")
        }
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            let isLive = tree["id"] != nil
            var list = tree.processors
            for index in wanted {
                guard list.indices.contains(index) else {
                    throw LibvirtError.invalidArgument(
                        "vcpu \(index) is not present in \(isLive ? "live" : "persistent") config")
                }
                guard index > 0 else { throw LibvirtError.invalidArgument("vCPU '0' can't be modified") }
                if list[index].isThere != isThere { list[index] = (isThere, true) }
            }
            guard isLive else { return tree.setProcessors(list) }
            let machine = try domain.running()
            try machine.setProcessors(wanted, present: isThere)
            try machine.writeProcessors(&tree)
        }
    }
}
