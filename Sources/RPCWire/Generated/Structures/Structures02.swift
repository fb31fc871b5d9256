// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `typed_param` of the protocol.
public struct RemoteTypedParam: XDRCodable, Equatable {
    public var field: String
    public var value: TypedValue

    public init(field: String, value: TypedValue) {
        self.field = field
        self.value = value
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        field = try reader.string()
        value = try TypedValue(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try field.write(to: &writer)
        try value.write(to: &writer)
    }
}

/// `node_get_cpu_stats` of the protocol.
public struct RemoteNodeGetCPUStats: XDRCodable, Equatable {
    public var field: String
    public var value: UInt64

    public init(field: String, value: UInt64) {
        self.field = field
        self.value = value
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        field = try reader.string()
        value = try UInt64(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try field.write(to: &writer)
        try value.write(to: &writer)
    }
}

/// `node_get_memory_stats` of the protocol.
public struct RemoteNodeGetMemoryStats: XDRCodable, Equatable {
    public var field: String
    public var value: UInt64

    public init(field: String, value: UInt64) {
        self.field = field
        self.value = value
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        field = try reader.string()
        value = try UInt64(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try field.write(to: &writer)
        try value.write(to: &writer)
    }
}

/// `domain_disk_error` of the protocol.
public struct RemoteDomainDiskError: XDRCodable, Equatable {
    public var disk: String
    public var error: Int32

    public init(disk: String, error: Int32) {
        self.disk = disk
        self.error = error
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        disk = try reader.string()
        error = try Int32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try disk.write(to: &writer)
        try error.write(to: &writer)
    }
}

/// `domain_memory_stat` of the protocol.
public struct RemoteDomainMemoryStat: XDRCodable, Equatable {
    public var tag: Int32
    public var val: UInt64

    public init(tag: Int32, val: UInt64) {
        self.tag = tag
        self.val = val
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        tag = try Int32(from: &reader)
        val = try UInt64(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try tag.write(to: &writer)
        try val.write(to: &writer)
    }
}

/// `domain_iothread_info` of the protocol.
public struct RemoteDomainIOThreadInfo: XDRCodable, Equatable {
    public var iothreadId: UInt32
    public var cpumap: [UInt8]

    public init(iothreadId: UInt32, cpumap: [UInt8]) {
        self.iothreadId = iothreadId
        self.cpumap = cpumap
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        iothreadId = try UInt32(from: &reader)
        cpumap = try reader.opaque(max: 2048)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try iothreadId.write(to: &writer)
        try writer.opaque(cpumap, max: 2048)
    }
}

/// `domain_event_graphics_address` of the protocol.
public struct RemoteDomainEventGraphicsAddress: XDRCodable, Equatable {
    public var family: Int32
    public var node: String
    public var service: String

    public init(family: Int32, node: String, service: String) {
        self.family = family
        self.node = node
        self.service = service
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        family = try Int32(from: &reader)
        node = try reader.string()
        service = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try family.write(to: &writer)
        try node.write(to: &writer)
        try service.write(to: &writer)
    }
}

/// `domain_event_graphics_identity` of the protocol.
public struct RemoteDomainEventGraphicsIdentity: XDRCodable, Equatable {
    public var type: String
    public var name: String

    public init(type: String, name: String) {
        self.type = type
        self.name = name
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        type = try reader.string()
        name = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try type.write(to: &writer)
        try name.write(to: &writer)
    }
}

/// `network_dhcp_lease` of the protocol.
public struct RemoteNetworkDHCPLease: XDRCodable, Equatable {
    public var iface: String
    public var expirytime: Int64
    public var type: Int32
    public var mac: String?
    public var iaid: String?
    public var ipaddr: String
    public var prefix: UInt32
    public var hostname: String?
    public var clientid: String?

    public init(
        iface: String, expirytime: Int64, type: Int32, mac: String?, iaid: String?, ipaddr: String, prefix: UInt32,
        hostname: String?, clientid: String?
    ) {
        self.iface = iface
        self.expirytime = expirytime
        self.type = type
        self.mac = mac
        self.iaid = iaid
        self.ipaddr = ipaddr
        self.prefix = prefix
        self.hostname = hostname
        self.clientid = clientid
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        iface = try reader.string()
        expirytime = try Int64(from: &reader)
        type = try Int32(from: &reader)
        mac = try reader.optional(String.self)
        iaid = try reader.optional(String.self)
        ipaddr = try reader.string()
        prefix = try UInt32(from: &reader)
        hostname = try reader.optional(String.self)
        clientid = try reader.optional(String.self)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try iface.write(to: &writer)
        try expirytime.write(to: &writer)
        try type.write(to: &writer)
        try writer.optional(mac)
        try writer.optional(iaid)
        try ipaddr.write(to: &writer)
        try prefix.write(to: &writer)
        try writer.optional(hostname)
        try writer.optional(clientid)
    }
}

/// `domain_stats_record` of the protocol.
public struct RemoteDomainStatsRecord: XDRCodable, Equatable {
    public var dom: RemoteDomain
    public var params: [RemoteTypedParam]

    public init(dom: RemoteDomain, params: [RemoteTypedParam]) {
        self.dom = dom
        self.params = params
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        dom = try RemoteDomain(from: &reader)
        params = try reader.array(RemoteTypedParam.self, max: 262144)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try dom.write(to: &writer)
        try writer.array(params, max: 262144)
    }
}

/// `domain_fsinfo` of the protocol.
public struct RemoteDomainFSInfo: XDRCodable, Equatable {
    public var mountpoint: String
    public var name: String
    public var fstype: String
    public var devAliases: [String]

    public init(mountpoint: String, name: String, fstype: String, devAliases: [String]) {
        self.mountpoint = mountpoint
        self.name = name
        self.fstype = fstype
        self.devAliases = devAliases
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        mountpoint = try reader.string()
        name = try reader.string()
        fstype = try reader.string()
        devAliases = try reader.array(String.self, max: 256)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try mountpoint.write(to: &writer)
        try name.write(to: &writer)
        try fstype.write(to: &writer)
        try writer.array(devAliases, max: 256)
    }
}

/// `domain_ip_addr` of the protocol.
public struct RemoteDomainIPAddr: XDRCodable, Equatable {
    public var type: Int32
    public var addr: String
    public var prefix: UInt32

    public init(type: Int32, addr: String, prefix: UInt32) {
        self.type = type
        self.addr = addr
        self.prefix = prefix
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        type = try Int32(from: &reader)
        addr = try reader.string()
        prefix = try UInt32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try type.write(to: &writer)
        try addr.write(to: &writer)
        try prefix.write(to: &writer)
    }
}

/// `domain_interface` of the protocol.
public struct RemoteDomainInterface: XDRCodable, Equatable {
    public var name: String
    public var hwaddr: String?
    public var addrs: [RemoteDomainIPAddr]

    public init(name: String, hwaddr: String?, addrs: [RemoteDomainIPAddr]) {
        self.name = name
        self.hwaddr = hwaddr
        self.addrs = addrs
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        hwaddr = try reader.optional(String.self)
        addrs = try reader.array(RemoteDomainIPAddr.self, max: 2048)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try writer.optional(hwaddr)
        try writer.array(addrs, max: 2048)
    }
}

/// `domain_get_security_label_ret` of the protocol.
public struct RemoteDomainGetSecurityLabelRet: XDRCodable, Equatable {
    public var label: [Int8]
    public var enforcing: Int32

    public init(label: [Int8], enforcing: Int32) {
        self.label = label
        self.enforcing = enforcing
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        label = try reader.array(Int8.self, max: 4097)
        enforcing = try Int32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try writer.array(label, max: 4097)
        try enforcing.write(to: &writer)
    }
}
