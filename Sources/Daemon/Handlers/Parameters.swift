internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// A list of parameters as it is asked for in two steps: how many there are, then which.
struct ParameterList {
    let values: [RemoteTypedParam]

    init(_ values: KeyValuePairs<String, TypedValue>) {
        self.values = values.map { RemoteTypedParam(field: $0.key, value: $0.value) }
    }

    var count: Int32 { Int32(clamping: values.count) }
    func first(_ wanted: Int32) -> [RemoteTypedParam] { wanted <= 0 ? [] : Array(values.prefix(Int(wanted))) }
}

extension TypedValue {
    /// Whatever number it is; nil: a text, or it is negative.
    fileprivate var unsigned: UInt64? {
        switch self {
        case .int(let value): value >= 0 ? UInt64(value) : nil
        case .uint(let value): UInt64(value)
        case .long(let value): value >= 0 ? UInt64(value) : nil
        case .ulong(let value): value
        default: nil
        }
    }
    fileprivate var signed: Int64? {
        switch self {
        case .int(let value): Int64(value)
        case .uint(let value): Int64(value)
        case .long(let value): value
        case .ulong(let value): Int64(clamping: value)
        default: nil
        }
    }
    fileprivate var words: String? { if case .string(let text) = self { text } else { nil } }
}

extension HandlerTable {
    /// Shares and limits that a definition holds. A host without control groups of ours can keep them for a machine
    /// only from the definition on.
    mutating func addParameters() {
        addScheduler()
        add(Remote.DomainGetMemoryParameters.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tuning = try HandlerTable.form(call, arguments.dom, arguments.flags & 3).child("memtune")
            func limit(_ name: String) -> TypedValue {
                .ulong(tuning?.child(name).flatMap { UInt64(HostDescription.trim($0.text)) } ?? 9_007_199_254_740_991)
            }
            let list = ParameterList([
                "hard_limit": limit("hard_limit"), "soft_limit": limit("soft_limit"),
                "swap_hard_limit": limit("swap_hard_limit"),
            ])
            return .init(params: list.first(arguments.nparams), nparams: list.count)
        }
        add(Remote.DomainSetMemoryParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setText(call, arguments.dom, arguments.flags, arguments.params, "memtune", "memory") {
                ["hard_limit", "soft_limit", "swap_hard_limit"].contains($0) ? $0 : nil
            }
        }
        add(Remote.DomainGetBlockIOParameters.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tuning = try HandlerTable.form(call, arguments.dom, arguments.flags & 3).child("blkiotune")
            let weight = tuning?.child("weight").flatMap { UInt32(HostDescription.trim($0.text)) } ?? 0
            let list = ParameterList([
                "weight": .uint(weight), "device_weight": .string(""), "device_read_iops_sec": .string(""),
                "device_write_iops_sec": .string(""), "device_read_bytes_sec": .string(""),
                "device_write_bytes_sec": .string(""),
            ])
            return .init(params: list.first(arguments.nparams), nparams: list.count)
        }
        add(Remote.DomainSetBlockIOParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.setText(call, arguments.dom, arguments.flags, arguments.params, "blkiotune", "blkio") {
                $0 == "weight" ? $0 : nil
            }
        }
        add(Remote.DomainGetNUMAParameters.self, .loop) { (call, arguments) throws(LibvirtError) in
            let memory = try HandlerTable.form(call, arguments.dom, arguments.flags & 3).at("numatune", "memory")
            let modes = ["strict", "preferred", "interleave", "restrictive"]
            let list = ParameterList([
                "numa_mode": .int(Int32(modes.firstIndex(of: memory?["mode"] ?? "strict") ?? 0)),
                "numa_nodeset": .string(memory?["nodeset"] ?? ""),
            ])
            return .init(params: list.first(arguments.nparams), nparams: list.count)
        }
        add(Remote.DomainSetNUMAParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let modes = ["strict", "preferred", "interleave", "restrictive"]
            try HandlerTable.changeTuning(call, arguments.dom, arguments.flags, "cpuset") { tree in
                if tree.child("numatune") == nil { tree.insert(XMLTree("numatune"), before: HandlerTable.afterTuning) }
                tree.update("numatune") { tuning in
                    tuning.update("memory") { memory in
                        for parameter in arguments.params {
                            if parameter.field == "numa_mode", let mode = parameter.value.signed,
                                modes.indices.contains(Int(mode))
                            {
                                memory.set("mode", modes[Int(mode)])
                            }
                            if parameter.field == "numa_nodeset" { memory.set("nodeset", parameter.value.words) }
                        }
                    }
                }
            }
        }
        addDiskLimits()
        addCardLimits()
        addThreads()
        addAbsent()
    }

    /// What follows the elements of tuning in a domain's document.
    static let afterTuning: Set<String> = ["resource", "sysinfo", "bootloader", "os", "features", "cpu"]

    /// Changes tuning of a definition; of a running machine only where the host could.
    static func changeTuning(
        _ call: Call, _ reference: RemoteDomain, _ flags: UInt32, _ controller: String,
        _ body: (inout XMLTree) -> Void
    ) throws(LibvirtError) {
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            body(&tree)
            guard tree["id"] != nil else { return }
            guard controller != "cpuset" else {
                throw LibvirtError.operationInvalid("cgroup cpuset controller is not mounted")
            }
            try domain.running().limit(by: tree)
        }
    }

    /// Texts of elements below one element.
    private static func setText(
        _ call: Call, _ reference: RemoteDomain, _ flags: UInt32, _ parameters: [RemoteTypedParam],
        _ element: String, _ controller: String, _ name: (String) -> String?
    ) throws(LibvirtError) {
        for parameter in parameters where name(parameter.field) == nil {
            throw LibvirtError.operationUnsupported("parameter '\(parameter.field)' not supported")
        }
        try changeTuning(call, reference, flags, controller) { tree in
            if tree.child(element) == nil {
                tree.insert(
                    XMLTree(element), before: afterTuning.union(["memoryBacking", "vcpu", "cputune", "numatune"]))
            }
            tree.update(element) { tuning in
                for parameter in parameters {
                    guard let child = name(parameter.field), let value = parameter.value.signed else { continue }
                    if value <= 0 || value >= 9_007_199_254_740_991 {
                        tuning.remove(child)
                    } else {
                        tuning.update(child) { element in
                            element.nodes = [.text("\(value)")]
                            if element == XMLTree(child) || controller == "memory" { element.set("unit", "KiB") }
                        }
                    }
                }
            }
        }
    }

    private static let schedulerFields: [(name: String, element: String)] = [
        ("cpu_shares", "shares"), ("vcpu_period", "period"), ("vcpu_quota", "quota"),
        ("emulator_period", "emulator_period"), ("emulator_quota", "emulator_quota"),
        ("global_period", "global_period"), ("global_quota", "global_quota"), ("iothread_period", "iothread_period"),
        ("iothread_quota", "iothread_quota"),
    ]

    private mutating func addScheduler() {
        @Sendable func values(_ call: Call, _ reference: RemoteDomain, _ flags: UInt32) throws(LibvirtError)
            -> [RemoteTypedParam]
        {
            let tuning = try HandlerTable.form(call, reference, flags & 3).child("cputune")
            // The kernel's own share, where nothing is said to a machine that runs.
            let isActive = try call.domain(reference).isActive
            let usual: Int64 = flags & 2 == 0 && isActive ? 1024 : 0
            return HandlerTable.schedulerFields.map { name, element in
                let number = tuning?.child(element).flatMap { Int64(HostDescription.trim($0.text)) }
                let value: TypedValue =
                    name.hasSuffix("quota")
                    ? .long(number ?? 0) : .ulong(UInt64(clamping: number ?? (name == "cpu_shares" ? usual : 0)))
                return RemoteTypedParam(field: name, value: value)
            }
        }
        add(Remote.DomainGetSchedulerType.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.domain(arguments.dom)
            return .init(type: "posix", nparams: Int32(HandlerTable.schedulerFields.count))
        }
        add(Remote.DomainGetSchedulerParameters.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(params: Array(try values(call, arguments.dom, 0).prefix(Int(max(0, arguments.nparams)))))
        }
        add(Remote.DomainGetSchedulerParametersFlags.self, .loop) { (call, arguments) throws(LibvirtError) in
            let all = try values(call, arguments.dom, arguments.flags)
            return .init(params: Array(all.prefix(Int(max(0, arguments.nparams)))))
        }
        @Sendable func set(
            _ call: Call, _ reference: RemoteDomain, _ flags: UInt32, _ parameters: [RemoteTypedParam]
        ) throws(LibvirtError) {
            for parameter in parameters
            where !HandlerTable.schedulerFields.contains(where: { $0.name == parameter.field }) {
                throw LibvirtError.operationUnsupported("parameter '\(parameter.field)' not supported")
            }
            try HandlerTable.changeTuning(call, reference, flags, "CPU") { tree in
                if tree.child("cputune") == nil {
                    tree.insert(XMLTree("cputune"), before: HandlerTable.afterTuning.union(["numatune"]))
                }
                tree.update("cputune") { tuning in
                    for parameter in parameters {
                        let element = HandlerTable.schedulerFields.first { $0.name == parameter.field }?.element ?? ""
                        guard let value = parameter.value.signed else { continue }
                        tuning.remove(element)
                        let order: Set = ["vcpupin", "emulatorpin", "iothreadpin", "vcpusched", "iothreadsched"]
                        let later = HandlerTable.schedulerFields.map(\.element).drop { $0 != element }.dropFirst()
                        tuning.insert(.text(element, "\(value)"), before: order.union(later))
                    }
                }
            }
        }
        add(Remote.DomainSetSchedulerParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try set(call, arguments.dom, 0, arguments.params)
        }
        add(Remote.DomainSetSchedulerParametersFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try set(call, arguments.dom, arguments.flags, arguments.params)
        }
    }

    // MARK: - Disks

    /// Fields of a disk's limits: the protocol's name, the monitor's, the document's.
    private static let limits: [(field: String, monitor: String)] = [
        ("total_bytes_sec", "bps"), ("read_bytes_sec", "bps_rd"), ("write_bytes_sec", "bps_wr"),
        ("total_iops_sec", "iops"), ("read_iops_sec", "iops_rd"), ("write_iops_sec", "iops_wr"),
        ("total_bytes_sec_max", "bps_max"), ("read_bytes_sec_max", "bps_rd_max"),
        ("write_bytes_sec_max", "bps_wr_max"), ("total_iops_sec_max", "iops_max"),
        ("read_iops_sec_max", "iops_rd_max"), ("write_iops_sec_max", "iops_wr_max"), ("size_iops_sec", "iops_size"),
    ]

    private mutating func addDiskLimits() {
        add(Remote.DomainGetBlockIOTune.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try HandlerTable.form(call, arguments.dom, arguments.flags & 3)
            guard let name = arguments.disk, let disk = DomainFigures.disk(tree, name) else {
                if arguments.nparams == 0 { return .init(params: [], nparams: 20) }
                let place = tree["id"] == nil ? "was not found in the domain config" : "not found in domain"
                throw LibvirtError.invalidArgument("disk '\(arguments.disk ?? "")' \(place)")
            }
            let tune = disk.child("iotune")
            func value(_ field: String) -> TypedValue {
                .ulong(tune?.child(field).flatMap { UInt64(HostDescription.trim($0.text)) } ?? 0)
            }
            var list = HandlerTable.limits.map { RemoteTypedParam(field: $0.field, value: value($0.field)) }
            list.append(.init(field: "group_name", value: .string(tune?.child("group_name")?.text ?? "")))
            for (field, _) in HandlerTable.limits.dropFirst(6).prefix(6) {
                list.append(.init(field: field + "_length", value: value(field + "_length")))
            }
            return .init(params: Array(list.prefix(Int(max(0, arguments.nparams)))), nparams: Int32(list.count))
        }
        add(Remote.DomainSetBlockIOTune.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            var wanted: [String: UInt64] = [:]
            for parameter in arguments.params {
                let stem = parameter.field.hasSuffix("_length") ? String(parameter.field.dropLast(7)) : parameter.field
                guard HandlerTable.limits.contains(where: { $0.field == stem }), let value = parameter.value.unsigned
                else {
                    if parameter.field == "group_name" { continue }
                    throw LibvirtError.operationUnsupported("parameter '\(parameter.field)' not supported")
                }
                wanted[parameter.field] = value
            }
            for kind in ["bytes", "iops"] {
                let total = wanted["total_\(kind)_sec"] ?? 0
                if total > 0, (wanted["read_\(kind)_sec"] ?? 0) > 0 || (wanted["write_\(kind)_sec"] ?? 0) > 0 {
                    throw LibvirtError.invalidArgument(
                        "total and read/write of \(kind)_sec cannot be set at the same time")
                }
            }
            let domain = try call.domain(arguments.dom)
            try call.driver.change(domain, flags: arguments.flags & 3) { [wanted] (tree) throws(LibvirtError) in
                guard let disk = DomainFigures.disk(tree, arguments.disk) else {
                    throw LibvirtError.invalidArgument("missing persistent configuration for disk '\(arguments.disk)'")
                }
                var tuned = disk
                var tune = disk.child("iotune") ?? XMLTree("iotune")
                // A total takes the place of the parts, and the other way round.
                for (field, value) in wanted.sorted(by: { $0.key < $1.key }) {
                    tune.remove(field)
                    if value > 0 { tune.append(.text(field, "\(value)")) }
                }
                if tree["id"] != nil {
                    var words: JSONObject = ["id": .string(disk.child("alias")?["name"] ?? "")]
                    for (field, name) in HandlerTable.limits {
                        let value = tune.child(field).flatMap { UInt64(HostDescription.trim($0.text)) } ?? 0
                        if value > 0 || !name.hasSuffix("max") && name != "iops_size" { words[name] = .number(value) }
                    }
                    let monitor = try domain.running().qmp()
                    do throws(LibvirtError) { try monitor.execute("block_set_io_throttle", words) } catch {
                        // Where the disk is a part of the device.
                        let alias = disk.child("alias")?["name"] ?? ""
                        words["id"] = .string("/machine/peripheral/\(alias)/virtio-backend")
                        try monitor.execute("block_set_io_throttle", words)
                    }
                    let told = wanted.sorted { $0.key < $1.key }.map { field, value in
                        RemoteTypedParam(field: "blkdeviotune.\(field)", value: .ulong(value))
                    }
                    let target = disk.child("target")?["dev"] ?? ""
                    call.driver.emit(
                        .tunable([.init(field: "blkdeviotune.disk", value: .string(target))] + told), domain)
                }
                tuned.remove("iotune")
                if !tune.nodes.isEmpty {
                    tuned.insert(
                        tune,
                        before: ["readonly", "shareable", "transient", "serial", "wwn", "boot", "alias", "address"])
                }
                tree.update("devices") { devices in devices.updateChildren { if $0 == disk { $0 = tuned } } }
            }
        }
    }

    // MARK: - Cards

    private mutating func addCardLimits() {
        let parts = ["average", "peak", "burst", "floor"]
        add(Remote.DomainGetInterfaceParameters.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try HandlerTable.form(call, arguments.dom, arguments.flags & 3)
            let cards = DomainFigures.devices(tree, "interface")
            guard arguments.nparams > 0 else { return .init(params: [], nparams: 7) }
            guard
                let card = cards.first(where: {
                    $0.child("target")?["dev"] == arguments.device || $0.child("mac")?["address"] == arguments.device
                        || $0.child("alias")?["name"] == arguments.device
                })
            else { throw LibvirtError.invalidArgument("'\(arguments.device)' is not a known interface") }
            var list: [RemoteTypedParam] = []
            for side in ["inbound", "outbound"] {
                for part in parts where side == "inbound" || part != "floor" {
                    let value = card.at("bandwidth", side)?[part].flatMap { UInt32($0) } ?? 0
                    list.append(.init(field: "\(side).\(part)", value: .uint(value)))
                }
            }
            return .init(params: Array(list.prefix(Int(arguments.nparams))), nparams: Int32(list.count))
        }
        add(Remote.DomainSetInterfaceParameters.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.change(domain, flags: arguments.flags & 3) { (tree) throws(LibvirtError) in
                var found: XMLTree?
                tree.update("devices") { devices in
                    devices.updateChildren { card in
                        guard card.name == "interface",
                            card.child("target")?["dev"] == arguments.device
                                || card.child("mac")?["address"] == arguments.device
                        else { return }
                        if card.child("bandwidth") == nil {
                            card.insert(
                                XMLTree("bandwidth"),
                                before: [
                                    "vlan", "link", "mtu", "coalesce", "target", "model", "driver", "alias", "address",
                                ])
                        }
                        card.update("bandwidth") { bandwidth in
                            for parameter in arguments.params {
                                let names = parameter.field.split(separator: ".").map(String.init)
                                guard names.count == 2, let value = parameter.value.unsigned else { continue }
                                bandwidth.update(names[0]) { $0.set(names[1], value == 0 ? nil : "\(value)") }
                            }
                            // A side without an average is not limited.
                            bandwidth.nodes.removeAll {
                                if case .element(let side) = $0 { side["average"] == nil } else { false }
                            }
                        }
                        found = card
                    }
                }
                guard let found else { throw LibvirtError.invalidArgument("'\(arguments.device)' is not a known interface") }
                if tree["id"] != nil { try call.networks.tune(found) }
            }
        }
    }
}
