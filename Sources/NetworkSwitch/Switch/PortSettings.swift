public import DomainModel
public import JSON
public import Network

/// A limit of a direction.
public struct RateLimit: Sendable, Equatable {
    /// Bytes a second.
    public var average: UInt64
    /// Bytes that may go at once; nil: an eighth of a second.
    public var burst: UInt64?
    /// Bytes a second of a burst, on a bridge of the host; nil: no less than the average.
    public var peak: UInt64?
    /// A limit.
    public init(average: UInt64, burst: UInt64? = nil) {
        self.average = average
        self.burst = burst
    }

    /// libvirt's units: KiB a second, and KiB at once. Nil: nothing is limited.
    public init?(_ rate: Bandwidth.Rate?) {
        guard let rate, let average = rate.average, average > 0 else { return nil }
        self.init(average: min(average, 1 << 30) * 1024, burst: rate.burst.map { min($0, 1 << 30) * 1024 })
        peak = rate.peak.map { min($0, 1 << 30) * 1024 }
    }

    /// The limit as the control socket has it.
    public var json: JSONValue {
        var rate: JSONObject = ["average": .number(average)]
        if let burst { rate["burst"] = .number(burst) }
        if let peak { rate["peak"] = .number(peak) }
        return .object(rate)
    }

    /// Reads the form of `json`; nil for anything else.
    init?(_ json: JSONValue?) {
        guard let rate = json?.objectValue, let average = rate["average"]?.uint64Value, average > 0 else { return nil }
        self.init(average: average, burst: rate["burst"]?.uint64Value)
        peak = rate["peak"]?.uint64Value
    }
}

/// Which frames a port lets in from its machine: libvirt's filters by their names.
public struct PortFilter: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Frames come from the machine's own hardware address.
    public static let noMACSpoofing = PortFilter(rawValue: 1)
    /// IPv4 packets come from the machine's own address.
    public static let noIPSpoofing = PortFilter(rawValue: 2)
    /// ARP messages tell the machine's own addresses.
    public static let noARPSpoofing = PortFilter(rawValue: 4)
    /// Nothing but IPv4, ARP and RARP.
    public static let noOtherL2Traffic = PortFilter(rawValue: 8)
    /// Nothing to groups of IPv4.
    public static let noIPMulticast = PortFilter(rawValue: 16)
    /// Nothing to everybody.
    public static let noMACBroadcast = PortFilter(rawValue: 32)
    /// The first four.
    public static let cleanTraffic: PortFilter = PortFilter(rawValue: 15)

    /// The filter that libvirt knows by a name; nil for names that ask for nothing here.
    public init?(name: String) {
        switch name {
        case "no-mac-spoofing": self = PortFilter.noMACSpoofing
        case "no-ip-spoofing": self = PortFilter.noIPSpoofing
        case "no-arp-spoofing", "no-arp-mac-spoofing", "no-arp-ip-spoofing": self = PortFilter.noARPSpoofing
        case "no-other-l2-traffic": self = PortFilter.noOtherL2Traffic
        case "no-ip-multicast": self = PortFilter.noIPMulticast
        case "no-mac-broadcast": self = PortFilter.noMACBroadcast
        case "clean-traffic", "clean-traffic-gateway": self = PortFilter.cleanTraffic
        default: return nil
        }
    }
}

/// What a port of a switch is to do.
public struct PortSettings: Sendable, Equatable {
    /// Its name: `vnet0`. Letters, digits, `-`, `_` and `.`.
    public var name: String
    /// The machine's name, which the name server then knows.
    public var machine: String?
    /// Who made the port, in a word of his own.
    public var owner: String?
    /// The machine's hardware address.
    public var address: HardwareAddress?
    /// The machine's IPv4 addresses; none: those that DHCP gives it, or the first that it uses.
    public var ipAddresses: [IPv4Address] = []
    /// Which frames are kept out.
    public var filter: PortFilter = []
    /// Rules of libvirt's nwfilter: `<filter>` documents whose variables have their values, but for `$IP`, which is
    /// what the machine was given or shows.
    public var rules: [String] = []
    /// Whether it reaches the gateway but no other port that is so.
    public var isIsolated = false
    /// The VLAN of a port whose machine knows none.
    public var vlan: UInt16?
    /// VLANs whose tags the machine sees; empty: none, or all where there is no `vlan` either.
    public var trunk: [UInt16] = []
    /// The limit of what goes to the machine.
    public var inbound: RateLimit?
    /// The limit of what comes from the machine.
    public var outbound: RateLimit?
    /// Bytes a second that the machine gets from the gateway whatever the others of its network get; nil: none.
    public var floor: UInt64?
    /// Whether a `virtio_net_hdr` goes before each frame: `-netdev stream,…,vnet_hdr=on`.
    public var hasHeaders = false

    /// A port without limits.
    public init(name: String) { self.name = name }
}

extension PortSettings {
    /// Adds one of the machine's addresses; false for a text that is none.
    @discardableResult
    public mutating func addOnce(address text: String) -> Bool {
        guard let address = IPv4Address(text) else { return false }
        if !ipAddresses.contains(address) { ipAddresses.append(address) }
        return true
    }

    /// What is wrong with settings that came from somebody else; nil: nothing.
    package var fault: String? {
        let isName =
            (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39)
                    || [0x2D, 0x2E, 0x5F].contains($0)
            } && name.utf8.first != UInt8(ascii: ".")
        if !isName { return "'\(name)' is no name of a port" }
        if let vlan, vlan == 0 || vlan > 4094 { return "VLAN \(vlan) is none of 1 to 4094" }
        if let vlan = trunk.first(where: { $0 == 0 || $0 > 4094 }) { return "VLAN \(vlan) is none of 1 to 4094" }
        if address?.isGroup == true { return "a machine's address is of no group" }
        if rules.reduce(0, { $0 + $1.utf8.count }) > 1 << 19 { return "the rules are too long" }
        do throws(NetworkError) { _ = try PortRules(rules) } catch { return error.description }
        return nil
    }

    /// The settings as the control socket has them.
    public var json: JSONObject {
        var object: JSONObject = ["name": .string(name)]
        if let machine { object["machine"] = .string(machine) }
        if let owner { object["owner"] = .string(owner) }
        if let address { object["mac"] = .string("\(address)") }
        if !ipAddresses.isEmpty { object["ip"] = .array(ipAddresses.map { .string("\($0)") }) }
        if !filter.isEmpty { object["filter"] = .integer(Int64(filter.rawValue)) }
        if !rules.isEmpty { object["rules"] = .array(rules.map { .string($0) }) }
        if isIsolated { object["isolated"] = .bool(true) }
        if let vlan { object["vlan"] = .integer(Int64(vlan)) }
        if !trunk.isEmpty { object["trunk"] = .array(trunk.map { .integer(Int64($0)) }) }
        for (name, limit) in [("inbound", inbound), ("outbound", outbound)] {
            if let limit { object[name] = limit.json }
        }
        if let floor { object["floor"] = .number(floor) }
        if hasHeaders { object["vnet_hdr"] = .bool(true) }
        return object
    }

    /// Reads the form of `json`; nil where a value is of a wrong type.
    public init?(_ object: JSONObject) {
        guard let name = object["name"]?.stringValue else { return nil }
        self.init(name: name)
        machine = object["machine"]?.stringValue
        owner = object["owner"]?.stringValue
        if let text = object["mac"]?.stringValue {
            guard let mac = HardwareAddress(text) else { return nil }
            address = mac
        }
        for value in object["ip"]?.arrayValue ?? [] {
            guard let ip = value.stringValue.flatMap({ IPv4Address($0) }) else { return nil }
            ipAddresses.append(ip)
        }
        filter = PortFilter(rawValue: UInt32(truncatingIfNeeded: object["filter"]?.intValue ?? 0))
        rules = (object["rules"]?.arrayValue ?? []).compactMap(\.stringValue)
        isIsolated = object["isolated"]?.boolValue ?? false
        if let value = object["vlan"]?.intValue {
            guard let vlan = UInt16(exactly: value) else { return nil }
            self.vlan = vlan
        }
        for value in object["trunk"]?.arrayValue ?? [] {
            guard let vlan = value.intValue.flatMap({ UInt16(exactly: $0) }) else { return nil }
            trunk.append(vlan)
        }
        inbound = RateLimit(object["inbound"])
        outbound = RateLimit(object["outbound"])
        floor = object["floor"]?.uint64Value
        hasHeaders = object["vnet_hdr"]?.boolValue ?? false
    }
}
