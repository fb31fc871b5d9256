internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Counters of domains.
    mutating func addStatistics() {
        add(Remote.ConnectGetAllDomainStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            var domains: [Domain] = []
            if arguments.doms.isEmpty {
                // The filters are those of the list of domains.
                domains = call.driver.list.all.filter {
                    HandlerTable.matches($0, arguments.flags & 0xFFFF, call.driver.store)
                }
            } else {
                for reference in arguments.doms {
                    if let domain = try? call.domain(reference) { domains.append(domain) }
                }
            }
            return Remote.ConnectGetAllDomainStats.Result(
                retStats: domains.map { domain in
                    RemoteDomainStatsRecord(
                        dom: domain.reference, params: DomainStatistics(domain, networks: call.networks, mask: arguments.stats).parameters)
                })
        }
        add(Remote.DomainMemoryStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let machine = try domain.running()
            let tree = domain.state.withLock { $0.current }
            typealias Tags = VirDomainMemoryStatTags
            var stats = [RemoteDomainMemoryStat(tag: Tags.actualBalloon, val: DomainFigures.currentMemory(tree))]
            let guest = GuestMemoryFigures(machine.monitor, tree)
            let told = guest.values.map { RemoteDomainMemoryStat(tag: $0.tag, val: $0.value) }
            let time = RemoteDomainMemoryStat(tag: Tags.lastUpdate, val: guest.lastUpdate)
            stats += told.filter { $0.tag < Tags.lastUpdate } + [time] + told.filter { $0.tag > Tags.lastUpdate }
            if let used = ProcessStatistics(process: machine.process.number)?.resident {
                stats.append(RemoteDomainMemoryStat(tag: Tags.rss, val: used))
            }
            return Remote.DomainMemoryStats.Result(stats: Array(stats.prefix(Int(arguments.maxStats))))
        }
        add(Remote.DomainBlockStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            let counters = try BlockCounters.of(try call.domain(arguments.dom), arguments.path)
            return Remote.DomainBlockStats.Result(
                rdReq: counters.reads, rdBytes: counters.readBytes, wrReq: counters.writes,
                wrBytes: counters.writtenBytes,
                errs: -1)
        }
        add(Remote.DomainBlockStatsFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            let counters = try BlockCounters.of(try call.domain(arguments.dom), arguments.path)
            let values = counters.named.map { RemoteTypedParam(field: $0.0, value: .long($0.1)) }
            let wanted = arguments.nparams == 0 ? [] : Array(values.prefix(Int(max(0, arguments.nparams))))
            return Remote.DomainBlockStatsFlags.Result(params: wanted, nparams: Int32(values.count))
        }
        add(Remote.DomainGetBlockInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            try HandlerTable.blockInfo(call, arguments)
        }
        add(Remote.DomainGetVCPUs.self, .loop) { (call, arguments) throws(LibvirtError) in
            try HandlerTable.processors(call, arguments)
        }
        add(Remote.DomainGetMaxVCPUs.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            guard domain.isActive else { throw Domain.notRunning }
            return Remote.DomainGetMaxVCPUs.Result(
                num: Int32(clamping: domain.state.withLock { DomainFigures.maximumProcessors($0.current) }))
        }
        add(Remote.DomainGetVCPUsFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            let config = arguments.flags & VirDomainVcpuFlags.config != 0
            let domain = try call.domain(arguments.dom)
            let maximum = arguments.flags & VirDomainVcpuFlags.maximum != 0
            if arguments.flags & VirDomainVcpuFlags.guest != 0 {
                guard domain.isActive else {
                    throw LibvirtError.invalidArgument(
                        "vCPU count provided by the guest agent can only be requested for live domains")
                }
                let all = try GuestAgent.execute(domain, "guest-get-vcpus").arrayValue ?? []
                let wanted = maximum ? all : all.filter { $0["online"]?.boolValue == true }
                return Remote.DomainGetVCPUsFlags.Result(num: Int32(clamping: wanted.count))
            }
            if arguments.flags & VirDomainVcpuFlags.live != 0, !domain.isActive { throw Domain.notRunning }
            let tree = domain.state.withLock { config ? $0.definition ?? $0.current : $0.current }
            return Remote.DomainGetVCPUsFlags.Result(
                num: Int32(clamping: maximum ? DomainFigures.maximumProcessors(tree) : DomainFigures.processors(tree)))
        }
    }

    private static func blockInfo(
        _ call: Call, _ arguments: Remote.DomainGetBlockInfo.Arguments
    ) throws(LibvirtError) -> Remote.DomainGetBlockInfo.Result {
        let domain = try call.domain(arguments.dom)
        let tree = domain.state.withLock { $0.current }
        guard let disk = DomainFigures.disk(tree, arguments.path), let path = DomainFigures.path(disk) else {
            throw LibvirtError.invalidArgument("invalid path \(arguments.path) not assigned to domain")
        }
        let status = HostFile.status(path)
        guard status.kind != .nothing else {
            throw LibvirtError.system("cannot stat file '\(path)': No such file or directory")
        }
        let physical = DomainFigures.physical(path)
        return Remote.DomainGetBlockInfo.Result(
            allocation: status.kind == .blockDevice ? physical : UInt64(status.allocated),
            capacity: DomainFigures.capacity(disk), physical: physical)
    }

    private static func processors(
        _ call: Call, _ arguments: Remote.DomainGetVCPUs.Arguments
    ) throws(LibvirtError) -> Remote.DomainGetVCPUs.Result {
        let domain = try call.domain(arguments.dom)
        let machine = try domain.running()
        let threads = machine.processorThreads.withLock { $0 }
        let host = call.session.daemon.host
        let count = min(threads.count, Int(max(0, arguments.maxinfo)))
        guard arguments.maplen >= 0, arguments.maplen <= 2048 else {
            throw LibvirtError.rpc("maxinfo * maplen > REMOTE_CPUMAPS_MAX")
        }
        var infos: [RemoteVCPUInfo] = []
        var maps: [UInt8] = []
        for (index, thread) in threads.sorted(by: { $0.key < $1.key }).prefix(count) {
            let counters = ProcessStatistics(process: machine.process.number, thread: thread)
            infos.append(
                RemoteVCPUInfo(
                    number: UInt32(clamping: index), state: VirVcpuState.running,
                    cpuTime: counters.map { $0.user &+ $0.system } ?? 0, cpu: counters?.processor ?? -1))
            let allowed = (try? Affinity.get(thread: thread)) ?? host.processors.map(\.id)
            let bits = HandlerTable.map(of: allowed)
            for place in 0..<Int(arguments.maplen) { maps.append(place < bits.count ? bits[place] : 0) }
        }
        return Remote.DomainGetVCPUs.Result(info: infos, cpumaps: maps)
    }
}
