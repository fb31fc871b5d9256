internal import LibvirtClient
internal import RPCWire

/// What the host's processors and memory count.
extension Run {
    static func nodecpustats(_ c: Call) throws {
        let cpu = try c.number("cpu", Int32.self) ?? VirNodeGetCPUStatsAllCPUs.cpus
        func read(_ count: Int32) throws -> Remote.NodeGetCPUStats.Result {
            try c.ask(Remote.NodeGetCPUStats.self, .init(cpuNum: cpu, nparams: count, flags: 0))
        }
        let count = try failing("Unable to get number of cpu stats") {
            guard cpu >= VirNodeGetCPUStatsAllCPUs.cpus else {
                throw CommandFailure("cpuNum in virNodeGetCPUStats only accepts -1 as a negative value")
            }
            return try read(0).nparams
        }
        guard count > 0 else { return }
        let first = try failing("Unable to get node cpu stats") { try read(count).params }
        func value(_ stats: [RemoteNodeGetCPUStats], _ name: String) -> UInt64? {
            stats.first { $0.field == name }?.value
        }
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left("\(label):", 15)) \(value)\n") }
        let names = [
            ("user", "user"), ("kernel", "system"), ("idle", "idle"), ("iowait", "iowait"), ("intr", "intr"),
        ]
        if c.has("percent") {
            if let busy = value(first, "utilization") {
                line("usage", "\(NumberText.right("\(busy)", 5)).0%")
                line("idle", "\(NumberText.right("\(100 - min(100, busy))", 5)).0%")
                return
            }
            Pause.wait(milliseconds: 1000)
            let second = try failing("Unable to get node cpu stats") { try read(count).params }
            let deltas = names.map { Double((value(second, $0.0) ?? 0) &- (value(first, $0.0) ?? 0)) }
            let total = max(1, deltas.reduce(0, +))
            func percent(_ share: Double) -> String {
                NumberText.right(NumberText.fixed(share / total * 100, 1), 5) + "%"
            }
            line("usage", percent(deltas[0] + deltas[1] + deltas[4]))
            for (name, delta) in zip(names, deltas) where value(first, name.0) != nil { line(name.1, percent(delta)) }
            return
        }
        for (field, label) in names {
            if let number = value(first, field) { line(label, NumberText.right("\(number)", 20)) }
        }
        if let number = value(first, "utilization") { line("usage", "\(number)%") }
    }

    static func nodememstats(_ c: Call) throws {
        let cell = try c.number("cell", Int32.self) ?? VirNodeGetMemoryStatsAllCells.cells
        func read(_ count: Int32) throws -> Remote.NodeGetMemoryStats.Result {
            try c.ask(Remote.NodeGetMemoryStats.self, .init(nparams: count, cellNum: cell, flags: 0))
        }
        let count = try failing("Unable to get number of memory stats") {
            guard cell >= VirNodeGetMemoryStatsAllCells.cells else {
                throw CommandFailure("cellNum in virNodeGetMemoryStats only accepts -1 as a negative value")
            }
            return try read(0).nparams
        }
        guard count > 0 else { return }
        for param in try failing("Unable to get memory stats", { try read(count).params }) {
            c.out("\(NumberText.left(param.field, 7)): \(NumberText.right("\(param.value)", 20)) KiB\n")
        }
    }
}
