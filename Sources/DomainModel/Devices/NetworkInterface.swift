/// What a network card is plugged into.
public enum InterfaceType: String, XMLValue {
    case user, ethernet, server, client, mcast, udp, network, bridge, direct, hostdev, vdpa, null, vds
    case vhostUser = "vhostuser"
    case internalNetwork = "internal"
}

/// `<interface>` of a domain.
public struct NetworkInterface: XMLMappable {
    public var type = InterfaceType.user
    public var managed: YesNo?
    public var trustGuestRxFilters: YesNo?
    public var mac: MACAddress?
    public var macType: String?
    public var macCheck: YesNo?
    public var source: Source?
    public var vlan: VLAN?
    public var virtualPort: VirtualPort?
    public var bandwidth: Bandwidth?
    public var isolated: YesNo?
    public var addresses: [GuestAddress] = []
    public var routes: [GuestRoute] = []
    public var script: String?
    public var downScript: String?
    public var backendDomain: String?
    public var backend: Backend?
    public var portForwards: [PortForward] = []
    /// The name of the tap on the host.
    public var target: Target?
    public var guestDevice: GuestDevice?
    public var model: String?
    public var driver: Driver?
    public var filter: FilterReference?
    public var sendBuffer: UInt64?
    public var teaming: Teaming?
    public var linkState: String?
    public var mtu: UInt32?
    public var coalesceFrames: UInt32?
    public var info = DeviceInfo()
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type, default: .user)
        try m.attribute("managed", &managed)
        try m.attribute("trustGuestRxFilters", &trustGuestRxFilters)
        try m.group("mac") { (m: inout XMLMapper) throws(DefinitionError) in
            if m.isReading, let text = m.peek("address"), MACAddress(xml: text) == nil {
                throw DefinitionError.xml("unable to parse mac address '\(text)'", line: m.line)
            }
            try m.attribute("address", &mac)
            try m.word("type", &macType, "generated static")
            try m.attribute("check", &macCheck)
        }
        // A device of the host is told with its driver in front.
        if m.isWriting, type == .hostdev { try m.child("driver", &driver) }
        try m.child("source", &source)
        try m.child("vlan", &vlan)
        try m.child("virtualport", &virtualPort)
        try m.child("bandwidth", &bandwidth)
        try m.group("port") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("isolated", &isolated) }
        try m.children("ip", &addresses)
        try m.children("route", &routes)
        try m.path("script", &script)
        try m.path("downscript", &downScript)
        try m.group("backenddomain") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("name", &backendDomain)
        }
        try m.child("target", &target)
        try m.child("guest", &guestDevice)
        try m.group("model") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("type", &model)
            if m.isReading, let model, !model.utf8.allSatisfy(Self.isModelByte) {
                throw DefinitionError(
                    .invalidArgument, "invalid argument: Model name contains invalid characters", line: m.line)
            }
        }
        if m.isReading || type != .hostdev { try m.child("driver", &driver) }
        try m.child("backend", &backend)
        try m.children("portForward", &portForwards)
        try m.child("filterref", &filter)
        try m.group("tune") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.element("sndbuf", &sendBuffer)
        }
        try m.child("teaming", &teaming)
        try m.group("link") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("state", &linkState, "up down")
        }
        try m.group("mtu") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("size", &mtu) }
        try m.group("coalesce") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.group("rx") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.group("frames") { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.attribute("max", &coalesceFrames)
                }
            }
        }
        try m.info(&info)
        if m.isReading { try checkSource(m) }
    }

    private static func isModelByte(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte == 0x2D || byte == 0x5F
    }

    private func checkSource(_ m: XMLMapper) throws(DefinitionError) {
        switch type {
        case .bridge, .network, .direct, .internalNetwork, .server, .client, .mcast, .udp, .hostdev, .vdpa,
            .vhostUser, .vds:
            guard source != nil else {
                throw DefinitionError.xml(
                    "interface type='\(type.rawValue)' requires a 'source' element", line: m.line)
            }
        case .user, .ethernet, .null: return
        }
        func require(_ attribute: String, _ value: String?) throws(DefinitionError) {
            if value == nil {
                throw DefinitionError.xml("Missing required attribute '\(attribute)' in element 'source'", line: m.line)
            }
        }
        switch type {
        case .bridge: try require("bridge", source?.bridge)
        case .network: try require("network", source?.network)
        case .direct, .vdpa: try require("dev", source?.dev)
        case .internalNetwork: try require("name", source?.name)
        default: break
        }
    }

    /// `<source>`, whose parts depend on the type.
    public struct Source: XMLMappable {
        public var type: String?
        public var path: String?
        public var mode: String?
        public var network: String?
        public var portgroup: String?
        public var portID: String?
        public var bridge: String?
        public var macTableManager: String?
        public var dev: String?
        public var name: String?
        public var address: String?
        public var port: UInt32?
        public var switchID: String?
        public var portgroupID: String?
        public var connectionID: String?
        public var startupPolicy: String?
        /// The device on the host is not there now.
        public var missing: YesNo?
        public var local: Local?
        public var reconnect: Reconnect?
        public var vendor: USBIdentifier?
        public var product: USBIdentifier?
        public var hostAddress: HostAddress?
        public var addresses: [GuestAddress] = []
        public var routes: [GuestRoute] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "unix pci usb")
            try m.attribute("path", &path)
            try m.attribute("network", &network)
            try m.attribute("portgroup", &portgroup)
            if m.isReading || !m.options.contains(.inactive) { try m.attribute("portid", &portID) }
            try m.attribute("switchid", &switchID)
            try m.attribute("portgroupid", &portgroupID)
            try m.attribute("connectionid", &connectionID)
            try m.attribute("bridge", &bridge)
            try m.word("macTableManager", &macTableManager, "kernel libvirt default")
            try m.attribute("dev", &dev)
            try m.word("mode", &mode, "server client vepa private bridge passthrough")
            try m.attribute("name", &name)
            try m.attribute("address", &address)
            try m.attribute("port", &port)
            try m.word("startupPolicy", &startupPolicy, "mandatory requisite optional")
            try m.attribute("missing", &missing)
            try m.child("vendor", &vendor)
            try m.child("product", &product)
            try m.child("address", &hostAddress)
            try m.child("local", &local)
            try m.child("reconnect", &reconnect)
            try m.children("ip", &addresses)
            try m.children("route", &routes)
        }

        public struct Local: XMLMappable {
            public var address: String?
            public var port: UInt32?
            public init() {}
            public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
                try m.attribute("address", &address)
                try m.attribute("port", &port)
            }
        }
    }

    public struct Target: XMLMappable {
        public var dev: String?
        public var managed: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dev", &dev)
            try m.attribute("managed", &managed)
        }
    }

    public struct GuestDevice: XMLMappable {
        public var dev: String?
        public var actual: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dev", &dev)
            try m.attribute("actual", &actual)
        }
    }

    /// `<driver>`.
    public struct Driver: XMLMappable {
        public var name: String?
        public var txMode: String?
        public var ioeventfd: OnOff?
        public var eventIndex: OnOff?
        public var queues: UInt32?
        public var rxQueueSize: UInt32?
        public var txQueueSize: UInt32?
        public var rss: OnOff?
        public var rssHashReport: OnOff?
        public var virtio = VirtioOptions()
        public var host = Offloads()
        public var guest = Offloads()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("name", &name, "qemu vhost kvm vfio xen")
            try m.word("txmode", &txMode, "iothread timer")
            try m.attribute("ioeventfd", &ioeventfd)
            try m.attribute("event_idx", &eventIndex)
            try m.attribute("queues", &queues)
            try m.attribute("rx_queue_size", &rxQueueSize)
            try m.attribute("tx_queue_size", &txQueueSize)
            try m.attribute("rss", &rss)
            try m.attribute("rss_hash_report", &rssHashReport)
            try virtio.map(&m)
            try m.child("host", &host)
            try m.child("guest", &guest)
        }
    }

    public struct Offloads: XMLMappable {
        public var csum: OnOff?
        public var gso: OnOff?
        public var tso4: OnOff?
        public var tso6: OnOff?
        public var ecn: OnOff?
        public var ufo: OnOff?
        public var mergeRxBuffers: OnOff?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("csum", &csum)
            try m.attribute("gso", &gso)
            try m.attribute("tso4", &tso4)
            try m.attribute("tso6", &tso6)
            try m.attribute("ecn", &ecn)
            try m.attribute("ufo", &ufo)
            try m.attribute("mrg_rxbuf", &mergeRxBuffers)
        }
    }

    public struct Backend: XMLMappable {
        public var type: String?
        public var tap: String?
        public var vhost: String?
        public var logFile: String?
        public var hostname: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "default passt")
            try m.attribute("tap", &tap)
            try m.attribute("vhost", &vhost)
            try m.attribute("logFile", &logFile)
            try m.attribute("hostname", &hostname)
        }
    }

    public struct Teaming: XMLMappable {
        public var type = "persistent"
        public var persistent: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.attribute("persistent", &persistent)
        }
    }

    /// A port of the host that leads to the guest.
    public struct PortForward: XMLMappable {
        public var networkProtocol = "tcp"
        public var address: String?
        public var dev: String?
        public var ranges: [Range] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("proto", &networkProtocol)
            try m.attribute("address", &address)
            try m.attribute("dev", &dev)
            try m.children("range", &ranges)
        }

        public struct Range: XMLMappable {
            public var start: UInt32?
            public var end: UInt32?
            public var to: UInt32?
            public var exclude: YesNo?
            public init() {}
            public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
                try m.attribute("start", &start)
                try m.attribute("end", &end)
                try m.attribute("to", &to)
                try m.attribute("exclude", &exclude)
            }
        }
    }
}

/// `<ip>` that the guest's side is given.
public struct GuestAddress: XMLMappable {
    public var address = ""
    public var family: String?
    public var prefix: UInt32?
    public var peer: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("address", &address)
        try m.word("family", &family, "ipv4 ipv6")
        try m.attribute("prefix", &prefix)
        try m.attribute("peer", &peer)
    }
}

/// `<route>`.
public struct GuestRoute: XMLMappable {
    public var family: String?
    public var address: String?
    public var netmask: String?
    public var prefix: UInt32?
    public var gateway: String?
    public var metric: UInt32?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("family", &family, "ipv4 ipv6")
        try m.attribute("address", &address)
        try m.attribute("netmask", &netmask)
        try m.attribute("prefix", &prefix)
        try m.attribute("gateway", &gateway)
        try m.attribute("metric", &metric)
    }
}

extension XMLMapper {
    /// A child element with nothing but a `path`.
    mutating func path(_ name: String, _ value: inout String?) throws(DefinitionError) {
        try group(name) { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("path", &value) }
    }
}
