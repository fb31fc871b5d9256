// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `domain` of the protocol.
public struct RemoteDomain: XDRCodable, Equatable {
    public var name: String
    public var uuid: UUIDBytes
    public var id: Int32

    public init(name: String, uuid: UUIDBytes, id: Int32) {
        self.name = name
        self.uuid = uuid
        self.id = id
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        uuid = try UUIDBytes(from: &reader)
        id = try Int32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try uuid.write(to: &writer)
        try id.write(to: &writer)
    }
}

/// `network` of the protocol.
public struct RemoteNetwork: XDRCodable, Equatable {
    public var name: String
    public var uuid: UUIDBytes

    public init(name: String, uuid: UUIDBytes) {
        self.name = name
        self.uuid = uuid
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        uuid = try UUIDBytes(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try uuid.write(to: &writer)
    }
}

/// `network_port` of the protocol.
public struct RemoteNetworkPort: XDRCodable, Equatable {
    public var net: RemoteNetwork
    public var uuid: UUIDBytes

    public init(net: RemoteNetwork, uuid: UUIDBytes) {
        self.net = net
        self.uuid = uuid
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        net = try RemoteNetwork(from: &reader)
        uuid = try UUIDBytes(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try net.write(to: &writer)
        try uuid.write(to: &writer)
    }
}

/// `nwfilter` of the protocol.
public struct RemoteNWFilter: XDRCodable, Equatable {
    public var name: String
    public var uuid: UUIDBytes

    public init(name: String, uuid: UUIDBytes) {
        self.name = name
        self.uuid = uuid
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        uuid = try UUIDBytes(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try uuid.write(to: &writer)
    }
}

/// `nwfilter_binding` of the protocol.
public struct RemoteNWFilterBinding: XDRCodable, Equatable {
    public var portdev: String
    public var filtername: String

    public init(portdev: String, filtername: String) {
        self.portdev = portdev
        self.filtername = filtername
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        portdev = try reader.string()
        filtername = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try portdev.write(to: &writer)
        try filtername.write(to: &writer)
    }
}

/// `interface` of the protocol.
public struct RemoteInterface: XDRCodable, Equatable {
    public var name: String
    public var mac: String

    public init(name: String, mac: String) {
        self.name = name
        self.mac = mac
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        mac = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try mac.write(to: &writer)
    }
}

/// `storage_pool` of the protocol.
public struct RemoteStoragePool: XDRCodable, Equatable {
    public var name: String
    public var uuid: UUIDBytes

    public init(name: String, uuid: UUIDBytes) {
        self.name = name
        self.uuid = uuid
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        uuid = try UUIDBytes(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try uuid.write(to: &writer)
    }
}

/// `storage_vol` of the protocol.
public struct RemoteStorageVol: XDRCodable, Equatable {
    public var pool: String
    public var name: String
    public var key: String

    public init(pool: String, name: String, key: String) {
        self.pool = pool
        self.name = name
        self.key = key
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        pool = try reader.string()
        name = try reader.string()
        key = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try pool.write(to: &writer)
        try name.write(to: &writer)
        try key.write(to: &writer)
    }
}

/// `node_device` of the protocol.
public struct RemoteNodeDevice: XDRCodable, Equatable {
    public var name: String

    public init(name: String) {
        self.name = name
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
    }
}

/// `secret` of the protocol.
public struct RemoteSecret: XDRCodable, Equatable {
    public var uuid: UUIDBytes
    public var usageType: Int32
    public var usageID: String

    public init(uuid: UUIDBytes, usageType: Int32, usageID: String) {
        self.uuid = uuid
        self.usageType = usageType
        self.usageID = usageID
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        uuid = try UUIDBytes(from: &reader)
        usageType = try Int32(from: &reader)
        usageID = try reader.string()
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try uuid.write(to: &writer)
        try usageType.write(to: &writer)
        try usageID.write(to: &writer)
    }
}

/// `domain_checkpoint` of the protocol.
public struct RemoteDomainCheckpoint: XDRCodable, Equatable {
    public var name: String
    public var dom: RemoteDomain

    public init(name: String, dom: RemoteDomain) {
        self.name = name
        self.dom = dom
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        dom = try RemoteDomain(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try dom.write(to: &writer)
    }
}

/// `domain_snapshot` of the protocol.
public struct RemoteDomainSnapshot: XDRCodable, Equatable {
    public var name: String
    public var dom: RemoteDomain

    public init(name: String, dom: RemoteDomain) {
        self.name = name
        self.dom = dom
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        name = try reader.string()
        dom = try RemoteDomain(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try name.write(to: &writer)
        try dom.write(to: &writer)
    }
}

/// `error` of the protocol.
public struct RemoteError: XDRCodable, Equatable {
    public var code: Int32
    public var domain: Int32
    public var message: String?
    public var level: Int32
    public var dom: RemoteDomain?
    public var str1: String?
    public var str2: String?
    public var str3: String?
    public var int1: Int32
    public var int2: Int32
    public var net: RemoteNetwork?

    public init(
        code: Int32, domain: Int32, message: String?, level: Int32, dom: RemoteDomain?, str1: String?, str2: String?,
        str3: String?, int1: Int32, int2: Int32, net: RemoteNetwork?
    ) {
        self.code = code
        self.domain = domain
        self.message = message
        self.level = level
        self.dom = dom
        self.str1 = str1
        self.str2 = str2
        self.str3 = str3
        self.int1 = int1
        self.int2 = int2
        self.net = net
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        code = try Int32(from: &reader)
        domain = try Int32(from: &reader)
        message = try reader.optional(String.self)
        level = try Int32(from: &reader)
        dom = try reader.optional(RemoteDomain.self)
        str1 = try reader.optional(String.self)
        str2 = try reader.optional(String.self)
        str3 = try reader.optional(String.self)
        int1 = try Int32(from: &reader)
        int2 = try Int32(from: &reader)
        net = try reader.optional(RemoteNetwork.self)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try code.write(to: &writer)
        try domain.write(to: &writer)
        try writer.optional(message)
        try level.write(to: &writer)
        try writer.optional(dom)
        try writer.optional(str1)
        try writer.optional(str2)
        try writer.optional(str3)
        try int1.write(to: &writer)
        try int2.write(to: &writer)
        try writer.optional(net)
    }
}

/// `vcpu_info` of the protocol.
public struct RemoteVCPUInfo: XDRCodable, Equatable {
    public var number: UInt32
    public var state: Int32
    public var cpuTime: UInt64
    public var cpu: Int32

    public init(number: UInt32, state: Int32, cpuTime: UInt64, cpu: Int32) {
        self.number = number
        self.state = state
        self.cpuTime = cpuTime
        self.cpu = cpu
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        number = try UInt32(from: &reader)
        state = try Int32(from: &reader)
        cpuTime = try UInt64(from: &reader)
        cpu = try Int32(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try number.write(to: &writer)
        try state.write(to: &writer)
        try cpuTime.write(to: &writer)
        try cpu.write(to: &writer)
    }
}
