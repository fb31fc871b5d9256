internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Counters of domains.
extension Run {
    static func domstats(_ c: Call) throws {
        typealias Types = VirDomainStatsTypes
        let types = c.bits(
            ("state", Types.state), ("cpu-total", Types.cpuTotal), ("balloon", Types.balloon), ("vcpu", Types.vcpu),
            ("interface", Types.interface), ("block", Types.block), ("perf", Types.perf),
            ("iothread", Types.iothread), ("memory", Types.memory), ("dirtyrate", Types.dirtyrate), ("vm", Types.vm))
        typealias Flags = VirConnectGetAllDomainStatsFlags
        let flags = c.bits(
            ("list-active", Flags.active), ("list-inactive", Flags.inactive), ("list-persistent", Flags.persistent),
            ("list-transient", Flags.transient), ("list-running", Flags.running), ("list-paused", Flags.paused),
            ("list-shutoff", Flags.shutoff), ("list-other", Flags.other), ("enforce", Flags.enforceStats),
            ("backing", Flags.backing), ("nowait", Flags.nowait))
        let domains = try c.all("domain").map { try c.domain(named: $0) }
        let records = try c.ask(
            Remote.ConnectGetAllDomainStats.self, .init(doms: domains, stats: types, flags: flags)
        ).retStats
        for (index, record) in records.enumerated() {
            c.out("Domain: '\(record.dom.name)'\n")
            for param in record.params {
                c.out("  \(param.field)=\(ParameterText.value(param.value))\n")
            }
            if index < records.count - 1 { c.out("\n") }
        }
    }

    static func domblkinfo(_ c: Call) throws {
        let domain = try c.domain()
        try c.exclusive("all", "device")
        func texts(_ info: Remote.DomainGetBlockInfo.Result) -> [String] {
            [info.capacity, info.allocation, info.physical].map { number in
                guard c.has("human") else { return "\(number)" }
                let pretty = NumberText.pretty(number)
                return "\(NumberText.fixed(pretty.value, 3)) \(pretty.unit)"
            }
        }
        if c.has("all") {
            let root = XMLDocument.parse(try c.xml(of: domain))
            var table = TextTable("Target", "Capacity", "Allocation", "Physical")
            for disk in root?.all("devices/disk") ?? [] {
                guard let target = disk.child("target")?["dev"] else { continue }
                let hasSource = disk.child("source") != nil
                let info: Remote.DomainGetBlockInfo.Result
                do {
                    guard hasSource else {
                        table.add(target, "-", "-", "-")
                        continue
                    }
                    info = try c.ask(Remote.DomainGetBlockInfo.self, .init(dom: domain, path: target, flags: 0))
                } catch let error as ClientError {
                    guard domain.id == -1, error.isAnswer else { throw error }
                    table.add(target, "-", "-", "-")
                    continue
                }
                table.add(cells: [target] + texts(info))
            }
            return c.table(table)
        }
        guard let device = c["device"] else { throw CommandFailure("command 'domblkinfo' requires <device> option") }
        let info = try c.ask(Remote.DomainGetBlockInfo.self, .init(dom: domain, path: device, flags: 0))
        let values = texts(info)
        for (label, value) in zip(["Capacity:", "Allocation:", "Physical:"], values) {
            c.out("\(NumberText.left(label, 15)) \(value)\n")
        }
    }

    static func domblklist(_ c: Call) throws {
        let domain = try c.domain()
        let flags: UInt32 = c.has("inactive") ? VirDomainXMLFlags.inactive : 0
        let root = XMLDocument.parse(try c.xml(of: domain, flags))
        let details = c.has("details")
        var table = details ? TextTable("Type", "Device", "Target", "Source") : TextTable("Target", "Source")
        for disk in root?.all("devices/disk") ?? [] {
            let type = disk["type"] ?? ""
            let source = disk.child("source")
            let names = ["file", "dev", "dir", "name"]
            var place = names.compactMap { source?[$0] }.first
            switch type {
            case "nvme": place = source?["namespace"].map { nvme(source, $0) } ?? place
            case "vhostuser": place = source?["path"]
            default: break
            }
            guard let target = disk.child("target")?["dev"] else {
                throw CommandFailure("unable to query block list")
            }
            if details {
                table.add(type, disk["device"] ?? "", target, place ?? "-")
            } else {
                table.add(target, place ?? "-")
            }
        }
        c.table(table)
    }

    private static func nvme(_ source: XMLTree?, _ space: String) -> String {
        func hex(_ name: String) -> String { String((source?.child("address")?[name] ?? "0x0").dropFirst(2)) }
        return "nvme://\(hex("domain")):\(hex("bus")):\(hex("slot")).\(hex("function"))/\(space)"
    }

    static func domiflist(_ c: Call) throws {
        let domain = try c.domain()
        let flags: UInt32 = c.has("inactive") ? VirDomainXMLFlags.inactive : 0
        let root = XMLDocument.parse(try c.xml(of: domain, flags))
        var table = TextTable("Interface", "Type", "Source", "Model", "MAC")
        for card in root?.all("devices/interface") ?? [] {
            let source = card.child("source")
            let place: String?
            switch card["type"] {
            case "network": place = source?["network"]
            case "bridge": place = source?["bridge"]
            case "vhostuser": place = source?["path"]
            case "vdpa", "direct": place = source?["dev"]
            default: place = source?["bridge"] ?? source?["dev"] ?? source?["network"] ?? source?["name"]
            }
            table.add(
                card.child("target")?["dev"] ?? "-", card["type"] ?? "-", place ?? "-",
                card.child("model")?["type"] ?? "-",
                card.child("mac")?["address"] ?? "-")
        }
        c.table(table)
    }

    static func domifstat(_ c: Call) throws {
        let domain = try c.domain()
        let device = try c.text("interface")
        let stats = try failing("Failed to get interface stats \(domain.name) \(device)") {
            try c.ask(Remote.DomainInterfaceStats.self, .init(dom: domain, device: device))
        }
        for (name, value) in [
            ("rx_bytes", stats.rxBytes), ("rx_packets", stats.rxPackets), ("rx_errs", stats.rxErrs),
            ("rx_drop", stats.rxDrop), ("tx_bytes", stats.txBytes), ("tx_packets", stats.txPackets),
            ("tx_errs", stats.txErrs), ("tx_drop", stats.txDrop),
        ] where value >= 0 {
            c.out("\(device) \(name) \(value)\n")
        }
    }

    static func domblkstat(_ c: Call) throws {
        let domain = try c.domain()
        let device = c["device"] ?? ""
        let human = c.has("human")
        func line(_ name: String, _ label: String, _ value: String) {
            if human {
                c.out(" \(NumberText.left(label, 31)) \(value)\n")
            } else {
                c.out("\(device) \(name) \(value)\n")
            }
        }
        var count: Int32?
        do {
            count = try c.ask(
                Remote.DomainBlockStatsFlags.self, .init(dom: domain, path: device, nparams: 0, flags: 0)
            ).nparams
        } catch let error as ClientError where error.isUnsupported {
            // An older daemon knows the fixed list alone.
        }
        if let count {
            var left = try c.ask(
                Remote.DomainBlockStatsFlags.self, .init(dom: domain, path: device, nparams: count, flags: 0)
            ).params
            if human { c.out("Device: \(device)\n") }
            // The known ones in a fixed order, then the others in the daemon's.
            for (name, short, label) in blockNames {
                guard let index = left.firstIndex(where: { $0.field == name }) else { continue }
                line(short, label, ParameterText.value(left.remove(at: index).value))
            }
            for param in left { line(param.field, param.field, ParameterText.value(param.value)) }
            return
        }
        let stats = try failing("Failed to get block stats for domain '\(domain.name)' device '\(device)'") {
            try c.ask(Remote.DomainBlockStats.self, .init(dom: domain, path: device))
        }
        let values = [stats.rdReq, stats.rdBytes, stats.wrReq, stats.wrBytes, stats.errs]
        let labels = ["rd_req", "rd_bytes", "wr_req", "wr_bytes", "errs"]
        for (name, value) in zip(labels, values) where value >= 0 {
            line(name, blockNames.first { $0.1 == name }?.2 ?? name, "\(value)")
        }
    }

    private static let blockNames: [(String, String, String)] = [
        ("rd_operations", "rd_req", "number of read operations:"),
        ("rd_bytes", "rd_bytes", "number of bytes read:"),
        ("wr_operations", "wr_req", "number of write operations:"),
        ("wr_bytes", "wr_bytes", "number of bytes written:"),
        ("errs", "errs", "error count:"),
        ("flush_operations", "flush_operations", "number of flush operations:"),
        ("rd_total_times", "rd_total_times", "total duration of reads (ns):"),
        ("wr_total_times", "wr_total_times", "total duration of writes (ns):"),
        ("flush_total_times", "flush_total_times", "total duration of flushes (ns):"),
    ]

    static func dommemstat(_ c: Call) throws {
        let impact = try c.impact()
        let domain = try c.domain()
        if c.has("period") {
            guard let period = try c.number("period", Int32.self), period >= 0 else {
                throw CommandFailure("Unable to change balloon collection period.")
            }
            try failing("Unable to change balloon collection period.") {
                try c.ask(
                    Remote.DomainSetMemoryStatsPeriod.self, .init(dom: domain, period: period, flags: impact))
            }
            return
        }
        let stats = try failing("Failed to get memory statistics for domain \(domain.name)") {
            try c.ask(Remote.DomainMemoryStats.self, .init(dom: domain, maxStats: 13, flags: 0)).stats
        }
        let names = [
            "swap_in", "swap_out", "major_fault", "minor_fault", "unused", "available", "actual", "rss", "usable",
            "last_update", "disk_caches", "hugetlb_pgalloc", "hugetlb_pgfail",
        ]
        for stat in stats where stat.tag >= 0 && stat.tag < names.count {
            c.out("\(names[Int(stat.tag)]) \(stat.val)\n")
        }
    }

    static func domblkerror(_ c: Call) throws {
        let domain = try c.domain()
        let count = try c.ask(Remote.DomainGetDiskErrors.self, .init(dom: domain, maxerrors: 0, flags: 0)).nerrors
        let errors =
            count > 0
            ? try c.ask(
                Remote.DomainGetDiskErrors.self, .init(dom: domain, maxerrors: UInt32(count), flags: 0)
            ).errors : []
        if errors.isEmpty { return c.out("No errors found\n") }
        for error in errors {
            c.out("\(error.disk): \(DomainText.name(["no error", "unspecified error", "no space"], error.error))\n")
        }
    }

    static func cpuStats(_ c: Call) throws {
        let domain = try c.domain()
        let start = try c.number("start", Int32.self) ?? 0
        guard start >= 0 else { throw CommandFailure("Invalid value for start CPU") }
        let count = try c.number("count", Int32.self)
        if let count, count < 0 { throw CommandFailure("Invalid value for number of CPUs to show") }
        let showsTotal = c.has("total")
        let showsEach = !showsTotal || c.has("start") || c.has("count")
        func ask(_ nparams: UInt32, _ start: Int32, _ ncpus: UInt32) throws -> Remote.DomainGetCPUStats.Result {
            try c.ask(
                Remote.DomainGetCPUStats.self,
                .init(dom: domain, nparams: nparams, startCpu: start, ncpus: ncpus, flags: 0))
        }
        func lines(_ params: [RemoteTypedParam]) {
            for param in params {
                if case .ulong(let value) = param.value, param.field.hasSuffix("_time") {
                    let rest = String(value % 1_000_000_000)
                    let padded = String(repeating: "0", count: 9 - rest.utf8.count) + rest
                    c.out(
                        "\t\(NumberText.left(param.field, 12)) \(NumberText.right("\(value / 1_000_000_000)", 9)).\(padded) seconds\n"
                    )
                } else {
                    c.out("\t\(NumberText.left(param.field, 12)) \(ParameterText.value(param.value))\n")
                }
            }
        }
        if showsEach || !showsTotal {
            try failing("Failed to retrieve CPU statistics for domain '\(domain.name)'") {
                let most = Int32(clamping: try ask(0, 0, 0).nparams)
                let each = UInt32(clamping: try ask(0, 0, 1).nparams)
                guard start < most else {
                    throw CommandFailure("Start CPU \(start) is out of range (min: 0, max: \(most - 1))")
                }
                let number = min(count ?? (most - start), most - start)
                if each > 0, number > 0 {
                    let params = try ask(each, start, UInt32(number)).params
                    for cpu in 0..<Int(number) {
                        let part = params.dropFirst(cpu * Int(each)).prefix(Int(each))
                        c.out("CPU\(Int(start) + cpu):\n")
                        lines(Array(part))
                    }
                }
            }
        }
        if showsTotal || !c.has("start") && !c.has("count") {
            try failing("Failed to retrieve CPU statistics for domain '\(domain.name)'") {
                let number = try ask(0, -1, 1).nparams
                guard number > 0 else { return c.out("No total stats available") }
                c.out("Total:\n")
                lines(try ask(UInt32(clamping: number), -1, 1).params)
            }
        }
    }

    static func domdirtyrateCalc(_ c: Call) throws {
        let domain = try c.domain()
        let seconds = try c.number("seconds", Int32.self) ?? 1
        var flags: UInt32 = 0
        if let mode = c["mode"] {
            guard let place = ["page-sampling", "dirty-bitmap", "dirty-ring"].firstIndex(of: mode) else {
                throw CommandFailure("Unknown calculation mode '\(mode)'")
            }
            flags = UInt32(place)
        }
        try c.ask(Remote.DomainStartDirtyRateCalc.self, .init(dom: domain, seconds: seconds, flags: flags))
        c.say("Start to calculate domain's memory dirty rate successfully.\n")
    }
}
