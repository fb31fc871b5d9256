internal import BlockImage
internal import HostOS
internal import JSON
internal import Synchronization
internal import TLS

// Limits of throughput, and the exports of an NBD server.
extension LiveStorage {
    /// The limits of options such as `bps_rd` and `iops_max_length`; the same names with `-drive`.
    static func limits(_ values: JSONObject) throws(MachineError) -> ThrottleLimits {
        var limits = ThrottleLimits()
        func number(_ name: String) throws(MachineError) -> UInt64? {
            guard let value = values[name] else { return nil }
            guard let number = value.uint64Value ?? value.stringValue.flatMap({ UInt64($0) }) else {
                throw .failed("Parameter '\(name)' expects a number")
            }
            return number
        }
        for (index, suffix) in ["", "_rd", "_wr"].enumerated() {
            for kind in ["bps", "iops"] {
                var limit = ThrottleLimits.Limit()
                limit.average = try number(kind + suffix) ?? 0
                limit.maximum = try number("\(kind)\(suffix)_max") ?? 0
                limit.burstSeconds = try number("\(kind)\(suffix)_max_length") ?? 1
                if kind == "bps" { limits.bytes[index] = limit } else { limits.operations[index] = limit }
            }
        }
        limits.operationSize = try number("iops_size") ?? 0
        if let reason = limits.contradiction { throw .failed(reason) }
        return limits
    }

    /// What is limited, by QMP's names.
    static func values(_ limits: ThrottleLimits) -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for (index, suffix) in ["", "_rd", "_wr"].enumerated() {
            for (kind, limit) in [("bps", limits.bytes[index]), ("iops", limits.operations[index])] {
                values[kind + suffix] = limit.average
                if limit.maximum > 0 {
                    values["\(kind)\(suffix)_max"] = limit.maximum
                    values["\(kind)\(suffix)_max_length"] = limit.burstSeconds
                }
            }
        }
        if limits.operationSize > 0 { values["iops_size"] = limits.operationSize }
        return values
    }

    /// Puts a device under limits, alone or with the others of a group.
    func setThrottle(
        _ device: BlockDevice, _ limits: ThrottleLimits, group: String?, among groups: ThrottleGroups
    ) throws(MachineError) {
        guard limits.isLimited else {
            device.throttle = nil
            return
        }
        let name = group ?? device.throttle?.name ?? device.id
        device.throttle = groups.group(named: name, limits: limits)
    }

    func setThrottle(_ arguments: JSONObject) throws(MachineError) {
        guard let name = arguments.string("device") ?? arguments.string("id") else {
            throw .failed("Need exactly one of 'device' and 'id'")
        }
        let device: BlockDevice
        if let found = try storage().device(name) { device = found } else { throw .deviceNotFound(name) }
        try setThrottle(
            device, try Self.limits(arguments), group: arguments.string("group"), among: storage().graph.throttles)
    }

    // MARK: NBD

    func startServer(_ arguments: JSONObject) throws(MachineError) {
        guard state.withLock({ $0.nbd == nil }) else { throw .failed("NBD server already running") }
        guard let address = arguments["addr"]?.objectValue else { throw .failed("Parameter 'addr' is missing") }
        let data = address["data"]?.objectValue ?? address
        var credentials: TLSCredentials?
        var authorization: BlockAuthorization?
        if let id = arguments.string("tls-creds") {
            let secrets = try storage().graph.secrets
            let found = try images { () throws(BlockError) in try secrets.credentials(id) }
            guard found.isForServers else { throw .failed("Expecting TLS credentials with a server endpoint") }
            credentials = found
            if let rules = arguments.string("tls-authz") {
                authorization = try images { () throws(BlockError) in try secrets.authorization(rules, for: found) }
            }
        } else if arguments["tls-authz"] != nil {
            throw .failed("'tls-authz' is not permitted without 'tls-creds'")
        }
        let most = arguments["max-connections"]?.uint64Value ?? 100
        let place: NBDAddress
        switch address.string("type") {
        case "unix": place = .unix(path: data.string("path") ?? "")
        case "inet": place = .tcp(host: data.string("host") ?? "0.0.0.0", port: data.string("port") ?? "10809")
        default: throw .failed("Parameter 'addr.type' expects 'inet' or 'unix'")
        }
        let server: NBDListener
        do throws(HostError) {
            server = try NBDListener(
                place, most: Int(min(most, 100_000)), credentials: credentials, authorization: authorization)
        } catch { throw .failed("\(error)") }
        state.withLock { $0.nbd = server }
    }

    private func running() throws(MachineError) -> NBDListener {
        guard let server = state.withLock({ $0.nbd }) else { throw .failed("NBD server not running") }
        return server
    }

    func addExport(_ arguments: JSONObject) throws(MachineError) {
        let server = try running()
        let device = arguments.string("device") ?? ""
        // A filter that is named is exported as such.
        let node: any BlockNode
        if let named = try storage().graph.node(named: device) { node = named } else { node = try self.node(device) }
        let name = arguments.string("name") ?? device
        guard !server.server.exports.contains(where: { $0.name == name }) else {
            throw .failed("NBD server already has export named '\(name)'")
        }
        let isWritable = arguments["writable"] == true
        let graph = try storage().graph
        if isWritable { try images { () throws(BlockError) in try graph.expectWrites(to: node) } }
        guard !isWritable || !node.isReadOnly else { throw .failed("Cannot export read-only node as writable") }
        if isWritable, graph.isInactive {
            // Who sends the machine here fills its disks before it comes.
            try images { () throws(BlockError) in try graph.activate(node) }
        } else if isWritable, try user(of: node) != nil {
            throw .failed("Node '\(node.nodeName)' is a guest's disk: it can be exported read-only")
        }
        var export = NBDExport(name: name, node: node, isReadOnly: !isWritable)
        export.description = arguments.string("description")
        export.isShared = true
        if let bitmap = arguments.string("bitmap") {
            do throws(BlockError) { try export.add(bitmap: bitmap) } catch { throw .failed("\(error)") }
        }
        server.server.add(export)
    }

    /// The machine is here: what its guest writes is nobody else's to write.
    func guestTakesDisks() {
        state.withLock { $0.nbd }?.server.endWriting { node in (try? user(of: node)) != nil }
    }

    func removeExport(_ arguments: JSONObject) throws(MachineError) {
        let name = arguments.string("name") ?? ""
        guard try running().server.remove(name) else { throw .failed("Export '\(name)' is not found") }
    }

    func stopServer() throws(MachineError) {
        let server = try running()
        state.withLock { $0.nbd = nil }
        server.stop()
    }
}
