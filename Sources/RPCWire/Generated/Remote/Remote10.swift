// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `CONNECT_LIST_SECRETS`, virConnectListSecrets.
    public enum ConnectListSecrets: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 140

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var maxuuids: Int32

            public init(maxuuids: Int32) {
                self.maxuuids = maxuuids
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                maxuuids = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try maxuuids.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var uuids: [String]

            public init(uuids: [String]) {
                self.uuids = uuids
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                uuids = try reader.array(String.self, max: 16384)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(uuids, max: 16384)
            }
        }
    }

    /// `SECRET_LOOKUP_BY_UUID`, virSecretLookupByUUID.
    public enum SecretLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 141
        public typealias Arguments = Remote.DomainLookupByUUID.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var secret: RemoteSecret

            public init(secret: RemoteSecret) {
                self.secret = secret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                secret = try RemoteSecret(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try secret.write(to: &writer)
            }
        }
    }

    /// `SECRET_DEFINE_XML`, virSecretDefineXML.
    public enum SecretDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 142
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.SecretLookupByUUID.Result
    }

    /// `SECRET_GET_XML_DESC`, virSecretGetXMLDesc.
    public enum SecretGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 143

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var secret: RemoteSecret
            public var flags: UInt32

            public init(secret: RemoteSecret, flags: UInt32) {
                self.secret = secret
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                secret = try RemoteSecret(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try secret.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `SECRET_SET_VALUE`, virSecretSetValue.
    public enum SecretSetValue: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 144

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var secret: RemoteSecret
            public var value: [UInt8]
            public var flags: UInt32

            public init(secret: RemoteSecret, value: [UInt8], flags: UInt32) {
                self.secret = secret
                self.value = value
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                secret = try RemoteSecret(from: &reader)
                value = try reader.opaque(max: 65536)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try secret.write(to: &writer)
                try writer.opaque(value, max: 65536)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `SECRET_GET_VALUE`, virSecretGetValue.
    public enum SecretGetValue: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 145
        public typealias Arguments = Remote.SecretGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var value: [UInt8]

            public init(value: [UInt8]) {
                self.value = value
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                value = try reader.opaque(max: 65536)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(value, max: 65536)
            }
        }
    }

    /// `SECRET_UNDEFINE`, virSecretUndefine.
    public enum SecretUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 146
        public typealias Arguments = Remote.SecretLookupByUUID.Result
        public typealias Result = NoPayload
    }

    /// `SECRET_LOOKUP_BY_USAGE`, virSecretLookupByUsage.
    public enum SecretLookupByUsage: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 147

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var usageType: Int32
            public var usageID: String

            public init(usageType: Int32, usageID: String) {
                self.usageType = usageType
                self.usageID = usageID
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                usageType = try Int32(from: &reader)
                usageID = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try usageType.write(to: &writer)
                try usageID.write(to: &writer)
            }
        }
        public typealias Result = Remote.SecretLookupByUUID.Result
    }

    /// `DOMAIN_MIGRATE_PREPARE_TUNNEL`, virDomainMigratePrepareTunnel.
    public enum DomainMigratePrepareTunnel: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 148

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64
            public var domXml: String

            public init(flags: UInt64, dname: String?, resource: UInt64, domXml: String) {
                self.flags = flags
                self.dname = dname
                self.resource = resource
                self.domXml = domXml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
                domXml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
                try domXml.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_IS_SECURE`, virConnectIsSecure.
    public enum ConnectIsSecure: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 149
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var secure: Int32

            public init(secure: Int32) {
                self.secure = secure
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                secure = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try secure.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_IS_ACTIVE`, virDomainIsActive.
    public enum DomainIsActive: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 150
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var active: Int32

            public init(active: Int32) {
                self.active = active
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                active = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try active.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_IS_PERSISTENT`, virDomainIsPersistent.
    public enum DomainIsPersistent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 151
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var persistent: Int32

            public init(persistent: Int32) {
                self.persistent = persistent
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                persistent = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try persistent.write(to: &writer)
            }
        }
    }

    /// `NETWORK_IS_ACTIVE`, virNetworkIsActive.
    public enum NetworkIsActive: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 152
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = Remote.DomainIsActive.Result
    }

    /// `NETWORK_IS_PERSISTENT`, virNetworkIsPersistent.
    public enum NetworkIsPersistent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 153
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = Remote.DomainIsPersistent.Result
    }

    /// `STORAGE_POOL_IS_ACTIVE`, virStoragePoolIsActive.
    public enum StoragePoolIsActive: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 154
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = Remote.DomainIsActive.Result
    }

    /// `STORAGE_POOL_IS_PERSISTENT`, virStoragePoolIsPersistent.
    public enum StoragePoolIsPersistent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 155
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = Remote.DomainIsPersistent.Result
    }

    /// `INTERFACE_IS_ACTIVE`, virInterfaceIsActive.
    public enum InterfaceIsActive: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 156
        public typealias Arguments = Remote.InterfaceLookupByName.Result
        public typealias Result = Remote.DomainIsActive.Result
    }
}
