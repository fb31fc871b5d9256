internal import HostOS
internal import JSON

/// What networks have made on the host, noted in files, so that it can be removed after a kill.
struct HostTraces {
    let paths: NetworkPaths

    func write(_ plan: NetworkPlan) throws {
        let traces: JSONValue = ["bridge": .string(plan.bridge), "table": .string(FirewallRules.table(plan.name))]
        try HostFile.replace(paths.traces(plan.name), with: Array(traces.description.utf8))
    }

    /// Removes what a network has made, and the note. Nothing happens where there is none.
    func remove(_ name: String) {
        guard let bytes = try? HostFile.contents(paths.traces(name), limit: 1 << 16),
            let traces = try? JSONReader.parse(String(decoding: bytes, as: UTF8.self))
        else { return }
        if let table = traces["table"]?.stringValue, table.hasPrefix("apus_") {
            // A table that is not there is made first: what is missing is no error.
            for family in ["ip", "ip6", "netdev"] {
                _ = try? HostTools.run(
                    "nft", ["-f", "-"], input: "table \(family) \(table)\ndelete table \(family) \(table)\n")
            }
        }
        if let bridge = traces["bridge"]?.stringValue, HostLink.exists(bridge) {
            try? HostLink.setUp(bridge, false)
            try? HostLink.removeBridge(bridge)
        }
        try? HostFile.remove(paths.traces(name))
    }

    /// The networks that have a note.
    var names: [String] {
        ((try? HostFolder.names(in: paths.state)) ?? []).filter { $0.hasSuffix(".host") }.map { String($0.dropLast(5)) }
    }
}
