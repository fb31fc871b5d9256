/// What kind of thing a disk's bytes come from.
public enum DiskSourceType: String, XMLValue {
    case file, block, dir, network, volume, nvme
    case vhostUser = "vhostuser"
}

/// Where a disk's bytes are: `<source>` of a disk, of its backing chain, of a mirror.
public struct DiskSource: XMLMappable {
    /// Of type `file`.
    public var file: String?
    public var fdGroup: String?
    /// Of type `block`.
    public var dev: String?
    /// Of type `dir`.
    public var dir: String?
    /// Of type `network`: the protocol, and the name of the image there.
    public var networkProtocol: String?
    public var name: String?
    public var query: String?
    public var tls: YesNo?
    public var tlsHostname: String?
    /// Of type `volume`.
    public var pool: String?
    public var volume: String?
    public var mode: String?
    /// Of type `nvme` (`pci`) or `vhostuser` (`unix`).
    public var type: String?
    public var namespace: UInt32?
    public var managed: YesNo?
    public var path: String?
    public var startupPolicy: String?
    /// The number of the image in a running machine's chain.
    public var index: UInt32?
    public var hosts: [Host] = []
    public var snapshot: String?
    public var configFile: String?
    public var auth: Authentication?
    public var encryption: Encryption?
    public var reservations: Reservations?
    public var initiator: String?
    public var address: PCIAddress?
    public var sslVerify: YesNo?
    public var cookies: [Cookie] = []
    public var readahead: UInt64?
    public var timeout: UInt64?
    public var identity: Identity?
    public var reconnect: Reconnect?
    public var slices: [Slice] = []
    public var securityLabels: [DeviceSecurityLabel] = []
    /// The state of a running machine; libvirt's own, kept as it is.
    public var privateData: XMLTree?

    public init() {}

    /// The path on this host, for types that have one.
    public var localPath: String? { file ?? dev ?? dir }

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("type", &type, "pci unix")
        try m.word("protocol", &networkProtocol, "nbd rbd sheepdog gluster iscsi http https ftp ftps tftp ssh vxhs nfs")
        try m.attribute("name", &name)
        try m.attribute("query", &query)
        try m.attribute("file", &file)
        try m.attribute("dev", &dev)
        try m.attribute("dir", &dir)
        try m.attribute("fdgroup", &fdGroup)
        try m.attribute("path", &path)
        try m.attribute("tls", &tls)
        try m.attribute("tlsHostname", &tlsHostname)
        try m.attribute("pool", &pool)
        try m.attribute("volume", &volume)
        try m.word("mode", &mode, "host direct client server")
        try m.attribute("managed", &managed)
        try m.attribute("namespace", &namespace)
        try m.word("startupPolicy", &startupPolicy, "mandatory requisite optional")
        if m.isReading || !m.options.contains(.inactive) { try m.attribute("index", &index) }
        try m.children("host", &hosts)
        try m.group("snapshot") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &snapshot) }
        try m.group("config") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("file", &configFile) }
        try m.group("initiator") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.group("iqn") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &initiator) }
        }
        try m.child("address", &address)
        try m.group("ssl") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("verify", &sslVerify) }
        try m.group("cookies") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("cookie", &cookies) }
        try m.group("readahead") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("size", &readahead) }
        try m.group("timeout") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("seconds", &timeout)
        }
        try m.child("identity", &identity)
        try m.child("reconnect", &reconnect)
        try m.group("slices") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("slice", &slices) }
        try m.children("seclabel", &securityLabels)
        try m.child("auth", &auth)
        try m.child("encryption", &encryption)
        try m.child("reservations", &reservations)
        try m.subtree("privateData", &privateData)
    }

    /// One server of a network disk.
    public struct Host: XMLMappable {
        public var transport: String?
        public var name: String?
        public var port: String?
        public var socket: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            if m.isReading || transport != "tcp" { try m.word("transport", &transport, "tcp rdma unix") }
            try m.attribute("name", &name)
            try m.attribute("port", &port)
            try m.attribute("socket", &socket)
        }
    }

    public struct Cookie: XMLMappable {
        public var name = ""
        public var value: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            if m.isReading || m.options.contains(.secure) { try m.text(&value) }
        }
    }

    public struct Identity: XMLMappable {
        public var user: String?
        public var group: String?
        public var username: String?
        public var keyfile: String?
        public var agentSocket: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("user", &user)
            try m.attribute("group", &group)
            try m.attribute("username", &username)
            try m.attribute("keyfile", &keyfile)
            try m.attribute("agentsock", &agentSocket)
        }
    }

    public struct Slice: XMLMappable {
        public var type = "storage"
        public var offset: UInt64 = 0
        public var size: UInt64 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.attribute("offset", &offset)
            try m.attribute("size", &size)
        }
    }

    public struct Reservations: XMLMappable {
        public var managed: YesNo?
        public var source: CharacterSource.End?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("managed", &managed)
            try m.child("source", &source)
        }
    }
}

/// A user's name and the secret with the password, by UUID or by usage.
public struct Authentication: XMLMappable {
    public var username = ""
    public var type: String?
    public var secret: SecretReference?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        try m.attribute("username", &username)
        try m.child("secret", &secret)
    }
}

/// Which secret.
public struct SecretReference: XMLMappable {
    public var type: String?
    public var uuid: UniqueID?
    public var usage: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        try m.attribute("uuid", &uuid)
        try m.attribute("usage", &usage)
    }
}

/// How an image is encrypted.
public struct Encryption: XMLMappable {
    public var format = "default"
    public var engine: String?
    public var secrets: [SecretReference] = []
    public var cipher: Cipher?
    public var ivgen: Cipher?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("format", &format)
        try m.word("engine", &engine, "qemu librbd")
        try m.children("secret", &secrets)
        try m.child("cipher", &cipher)
        try m.child("ivgen", &ivgen)
    }

    public struct Cipher: XMLMappable {
        public var name: String?
        public var size: UInt32?
        public var mode: String?
        public var hash: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("size", &size)
            try m.attribute("mode", &mode)
            try m.attribute("hash", &hash)
        }
    }
}

/// Whether and how fast a lost connection is opened again.
public struct Reconnect: XMLMappable {
    public var enabled = YesNo.no
    public var timeout: UInt32?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("enabled", &enabled)
        try m.attribute("timeout", &timeout)
    }
}
