internal import HostOS
internal import JSON
internal import Network

/// A lease that a file keeps.
protocol StoredLease {
    /// The lease as files and the control socket have it.
    var json: JSONValue { get }
    /// Nil where it is none.
    init?(json: JSONValue)
}

/// The leases of a network in a file, written in one step: whoever is killed leaves the old leases or the new ones.
struct LeaseFile<Lease: StoredLease>: Sendable {
    let path: String

    /// The leases of an earlier run; none where there is no file, or what is there is none.
    func read() -> [Lease] {
        guard let bytes = try? HostFile.contents(path, limit: 16 << 20),
            let array = try? JSONReader.parse(String(decoding: bytes, as: UTF8.self)).arrayValue
        else { return [] }
        return array.compactMap { Lease(json: $0) }
    }

    func write(_ leases: [Lease]) throws(HostError) {
        try HostFile.replace(path, with: Array(JSONValue.array(leases.map { $0.json }).description.utf8))
    }
}

extension DHCPLease: StoredLease {
    init?(json value: JSONValue) {
        guard let hardware = value["mac"]?.stringValue.flatMap({ HardwareAddress($0) }),
            let address = value["ip"]?.stringValue.flatMap({ IPv4Address($0) }),
            let expiry = value["expiry"]?.uint64Value
        else { return nil }
        self.init(
            hardware: hardware, address: address, expiry: expiry, hostName: value["name"]?.stringValue,
            clientID: value["client-id"]?.stringValue)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "mac": .string("\(hardware)"), "ip": .string("\(address)"), "expiry": .number(expiry),
        ]
        if let hostName { object["name"] = .string(hostName) }
        if let clientID { object["client-id"] = .string(clientID) }
        return .object(object)
    }
}

extension DHCPv6Lease: StoredLease {
    init?(json value: JSONValue) {
        guard let hardware = value["mac"]?.stringValue.flatMap({ HardwareAddress($0) }),
            let address = value["ip"]?.stringValue.flatMap({ IPv6Address($0) }),
            let expiry = value["expiry"]?.uint64Value, let number = value["iaid"]?.uint64Value,
            let association = UInt32(exactly: number),
            let client = value["client-id"]?.stringValue.flatMap({ DHCPv6Configuration.identifier($0) })
        else { return nil }
        self.init(
            client: client, association: association, address: address, hardware: hardware, expiry: expiry,
            hostName: value["name"]?.stringValue)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "mac": .string("\(hardware)"), "ip": .string("\(address)"), "expiry": .number(expiry),
            "iaid": .integer(Int64(association)), "client-id": .string(clientID),
        ]
        if let hostName { object["name"] = .string(hostName) }
        return .object(object)
    }
}
