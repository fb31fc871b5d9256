internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    // MARK: - Threads

    mutating func addThreads() {
        add(Remote.DomainGetIOThreadInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let host = call.session.daemon.host.processors.map(\.id)
            var info: [RemoteDomainIOThreadInfo] = []
            if domain.isActive, arguments.flags & VirDomainModificationImpact.config == 0 {
                let machine = try domain.running()
                let numbers = machine.hostThreads()
                for entry in try machine.qmp().execute("query-iothreads").arrayValue ?? [] {
                    guard let id = entry["id"]?.stringValue, id.hasPrefix("iothread"),
                        let number = UInt32(id.dropFirst(8)), let thread = entry["thread-id"]?.intValue
                    else { continue }
                    let allowed = (try? Affinity.get(thread: numbers(Int32(clamping: thread)))) ?? host
                    info.append(.init(iothreadId: number, cpumap: HandlerTable.map(of: allowed)))
                }
            } else {
                let tree = try HandlerTable.form(call, arguments.dom, arguments.flags & 3)
                let count = tree.child("iothreads").flatMap { UInt32(HostDescription.trim($0.text)) } ?? 0
                let ids = tree.child("iothreadids")?.all("iothread").compactMap { $0["id"].flatMap { UInt32($0) } }
                for number in ids ?? (count == 0 ? [] : Array(1...min(count, 1024))) {
                    info.append(.init(iothreadId: number, cpumap: HandlerTable.map(of: host)))
                }
            }
            return .init(info: info, ret: UInt32(clamping: info.count))
        }
        add(Remote.DomainAddIOThread.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.changeThreads(call, arguments.dom, arguments.iothreadId, arguments.flags, adds: true)
        }
        add(Remote.DomainDelIOThread.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try HandlerTable.changeThreads(call, arguments.dom, arguments.iothreadId, arguments.flags, adds: false)
        }
        add(Remote.DomainSetIOThreadParams.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let (number, domain) = (arguments.iothreadId, try call.domain(arguments.dom))
            var values: [(String, UInt64)] = []
            for parameter in arguments.params {
                let value: UInt64? =
                    switch parameter.value {
                    case .ulong(let value): value
                    case .uint(let value): UInt64(value)
                    default: nil
                    }
                let names = ["poll_max_ns": "poll-max-ns", "poll_grow": "poll-grow", "poll_shrink": "poll-shrink"]
                guard let name = names[parameter.field], let value else {
                    throw LibvirtError.invalidArgument("parameter '\(parameter.field)' not supported")
                }
                values.append((name, value))
            }
            try domain.job.run { () throws(LibvirtError) in
                let monitor = try domain.running().qmp()
                let all = try monitor.execute("query-iothreads").arrayValue ?? []
                guard all.contains(where: { $0["id"]?.stringValue == "iothread\(number)" }) else {
                    throw LibvirtError.invalidArgument("cannot find IOThread '\(number)' in iothreadids list")
                }
                for (name, value) in values {
                    try monitor.execute(
                        "qom-set",
                        [
                            "path": .string("/objects/iothread\(number)"), "property": .string(name),
                            "value": .number(value),
                        ])
                }
            }
        }
        add(Remote.DomainGetCPUStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            guard arguments.startCpu < 0 else {
                throw LibvirtError.operationUnsupported("times of single processors of the host are not counted")
            }
            guard let counters = ProcessStatistics(process: machine.process.number) else { throw Domain.notRunning }
            let list = ParameterList([
                "cpu_time": .ulong(counters.user &+ counters.system), "user_time": .ulong(counters.user),
                "system_time": .ulong(counters.system),
            ])
            return .init(params: list.first(Int32(clamping: arguments.nparams)), nparams: list.count)
        }
    }

    private static func changeThreads(
        _ call: Call, _ reference: RemoteDomain, _ number: UInt32, _ flags: UInt32, adds: Bool
    ) throws(LibvirtError) {
        guard number > 0 else { throw LibvirtError.invalidArgument("invalid value of 0 for iothread_id") }
        let domain = try call.domain(reference)
        try call.driver.change(domain, flags: flags & 3) { (tree) throws(LibvirtError) in
            let count = tree.child("iothreads").flatMap { UInt32(HostDescription.trim($0.text)) } ?? 0
            var ids =
                tree.child("iothreadids")?.all("iothread").compactMap { $0["id"].flatMap { UInt32($0) } }
                ?? (count == 0 ? [] : Array(1...min(count, 1024)))
            guard adds != ids.contains(number) else {
                throw LibvirtError.invalidArgument(
                    adds
                        ? "an IOThread is already using iothread_id '\(number)'"
                        : "cannot find IOThread '\(number)' in iothreadids list")
            }
            if !adds,
                DomainFigures.devices(tree, "disk").contains(where: { $0.child("driver")?["iothread"] == "\(number)" })
            {
                throw LibvirtError.invalidArgument("cannot remove IOThread \(number) since it is being used by disk")
            }
            if tree["id"] != nil {
                let monitor = try domain.running().qmp()
                let id = JSONValue.string("iothread\(number)")
                if adds {
                    try monitor.execute("object-add", ["qom-type": "iothread", "id": id])
                } else {
                    try monitor.execute("object-del", ["id": id])
                }
            }
            if adds { ids.append(number) } else { ids.removeAll { $0 == number } }
            tree.remove("iothreads")
            tree.remove("iothreadids")
            guard !ids.isEmpty else { return }
            let after = afterTuning.union(["cputune", "numatune", "defaultiothread"])
            tree.insert(.text("iothreads", "\(ids.count)"), before: after)
            var list = XMLTree("iothreadids")
            for id in ids { list.append(.of("iothread", ["id": "\(id)"])) }
            tree.insert(list, before: after)
        }
    }

    // MARK: - What there is none of

    mutating func addAbsent() {
        add(Remote.DomainGetPerfEvents.self, .loop) { (call, arguments) throws(LibvirtError) in
            let perf = try HandlerTable.form(call, arguments.dom, arguments.flags & 3).child("perf")
            let names = [
                "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses",
                "branch_instructions", "branch_misses", "bus_cycles", "stalled_cycles_frontend",
                "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock", "task_clock", "page_faults",
                "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj", "alignment_faults",
                "emulation_faults",
            ]
            return .init(
                params: names.map { name in
                    let on = perf?.all("event").contains { $0["name"] == name && $0["enabled"] == "yes" } ?? false
                    return .init(field: name, value: .boolean(on))
                })
        }
        add(Remote.NodeGetSEVInfo.self, .loop) { (_, _) throws(LibvirtError) in
            throw LibvirtError.operationUnsupported("QEMU does not support SEV guest")
        }
        add(Remote.DomainGetLaunchSecurityInfo.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.domain(arguments.dom)
            return .init(params: [])
        }
    }
}
