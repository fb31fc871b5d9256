internal import HostOS
internal import JSON
internal import Network

/// The leases of a network in a file, written in one step: whoever is killed leaves the old leases or the new ones.
struct LeaseFile: Sendable {
    let path: String

    /// The leases of an earlier run; none where there is no file, or what is there is none.
    func read() -> [DHCPLease] {
        guard let bytes = try? HostFile.contents(path, limit: 16 << 20),
            let array = try? JSONReader.parse(String(decoding: bytes, as: UTF8.self)).arrayValue
        else { return [] }
        return array.compactMap { value in
            guard let hardware = value["mac"]?.stringValue.flatMap({ HardwareAddress($0) }),
                let address = value["ip"]?.stringValue.flatMap({ IPv4Address($0) }),
                let expiry = value["expiry"]?.uint64Value
            else { return nil }
            return DHCPLease(
                hardware: hardware, address: address, expiry: expiry, hostName: value["name"]?.stringValue,
                clientID: value["client-id"]?.stringValue)
        }
    }

    func write(_ leases: [DHCPLease]) throws(HostError) {
        try HostFile.replace(path, with: Array(JSONValue.array(leases.map { $0.json }).description.utf8))
    }
}

extension DHCPLease {
    /// The lease as files and the control socket have it.
    var json: JSONValue {
        var object: JSONObject = [
            "mac": .string("\(hardware)"), "ip": .string("\(address)"), "expiry": .number(expiry),
        ]
        if let hostName { object["name"] = .string(hostName) }
        if let clientID { object["client-id"] = .string(clientID) }
        return .object(object)
    }
}
