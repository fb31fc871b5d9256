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
}
