// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `CONNECT_NUM_OF_DEFINED_STORAGE_POOLS`, virConnectNumOfDefinedStoragePools.
    public enum ConnectNumOfDefinedStoragePools: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 73
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_LIST_DEFINED_STORAGE_POOLS`, virConnectListDefinedStoragePools.
    public enum ConnectListDefinedStoragePools: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 74
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `CONNECT_FIND_STORAGE_POOL_SOURCES`, virConnectFindStoragePoolSources.
    public enum ConnectFindStoragePoolSources: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 75

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var type: String
            public var srcSpec: String?
            public var flags: UInt32

            public init(type: String, srcSpec: String?, flags: UInt32) {
                self.type = type
                self.srcSpec = srcSpec
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try reader.string()
                srcSpec = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
                try writer.optional(srcSpec)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `STORAGE_POOL_CREATE_XML`, virStoragePoolCreateXML.
    public enum StoragePoolCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 76

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var xml: String
            public var flags: UInt32

            public init(xml: String, flags: UInt32) {
                self.xml = xml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                xml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try xml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var pool: RemoteStoragePool

            public init(pool: RemoteStoragePool) {
                self.pool = pool
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
            }
        }
    }

    /// `STORAGE_POOL_DEFINE_XML`, virStoragePoolDefineXML.
    public enum StoragePoolDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 77
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.StoragePoolCreateXML.Result
    }

    /// `STORAGE_POOL_CREATE`, virStoragePoolCreate.
    public enum StoragePoolCreate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 78

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var flags: UInt32

            public init(pool: RemoteStoragePool, flags: UInt32) {
                self.pool = pool
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_BUILD`, virStoragePoolBuild.
    public enum StoragePoolBuild: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 79
        public typealias Arguments = Remote.StoragePoolCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_DESTROY`, virStoragePoolDestroy.
    public enum StoragePoolDestroy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 80
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_DELETE`, virStoragePoolDelete.
    public enum StoragePoolDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 81
        public typealias Arguments = Remote.StoragePoolCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_UNDEFINE`, virStoragePoolUndefine.
    public enum StoragePoolUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 82
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_REFRESH`, virStoragePoolRefresh.
    public enum StoragePoolRefresh: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 83
        public typealias Arguments = Remote.StoragePoolCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_LOOKUP_BY_NAME`, virStoragePoolLookupByName.
    public enum StoragePoolLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 84
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.StoragePoolCreateXML.Result
    }

    /// `STORAGE_POOL_LOOKUP_BY_UUID`, virStoragePoolLookupByUUID.
    public enum StoragePoolLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 85
        public typealias Arguments = Remote.DomainLookupByUUID.Arguments
        public typealias Result = Remote.StoragePoolCreateXML.Result
    }

    /// `STORAGE_POOL_LOOKUP_BY_VOLUME`, virStoragePoolLookupByVolume.
    public enum StoragePoolLookupByVolume: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 86

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var vol: RemoteStorageVol

            public init(vol: RemoteStorageVol) {
                self.vol = vol
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vol = try RemoteStorageVol(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try vol.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolCreateXML.Result
    }

    /// `STORAGE_POOL_GET_INFO`, virStoragePoolGetInfo.
    public enum StoragePoolGetInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 87
        public typealias Arguments = Remote.StoragePoolCreateXML.Result

        /// What it answers.
        public struct Result: XDRCodable {
            public var state: UInt8
            public var capacity: UInt64
            public var allocation: UInt64
            public var available: UInt64

            public init(state: UInt8, capacity: UInt64, allocation: UInt64, available: UInt64) {
                self.state = state
                self.capacity = capacity
                self.allocation = allocation
                self.available = available
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                state = try UInt8(from: &reader)
                capacity = try UInt64(from: &reader)
                allocation = try UInt64(from: &reader)
                available = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try state.write(to: &writer)
                try capacity.write(to: &writer)
                try allocation.write(to: &writer)
                try available.write(to: &writer)
            }
        }
    }

    /// `STORAGE_POOL_GET_XML_DESC`, virStoragePoolGetXMLDesc.
    public enum StoragePoolGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 88
        public typealias Arguments = Remote.StoragePoolCreate.Arguments
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `STORAGE_POOL_GET_AUTOSTART`, virStoragePoolGetAutostart.
    public enum StoragePoolGetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 89
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = Remote.DomainGetAutostart.Result
    }

    /// `STORAGE_POOL_SET_AUTOSTART`, virStoragePoolSetAutostart.
    public enum StoragePoolSetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 90

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var autostart: Int32

            public init(pool: RemoteStoragePool, autostart: Int32) {
                self.pool = pool
                self.autostart = autostart
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                autostart = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try autostart.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_NUM_OF_VOLUMES`, virStoragePoolNumOfVolumes.
    public enum StoragePoolNumOfVolumes: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 91
        public typealias Arguments = Remote.StoragePoolCreateXML.Result
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `STORAGE_POOL_LIST_VOLUMES`, virStoragePoolListVolumes.
    public enum StoragePoolListVolumes: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 92

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var maxnames: Int32

            public init(pool: RemoteStoragePool, maxnames: Int32) {
                self.pool = pool
                self.maxnames = maxnames
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                maxnames = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try maxnames.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `STORAGE_VOL_CREATE_XML`, virStorageVolCreateXML.
    public enum StorageVolCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 93

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var xml: String
            public var flags: UInt32

            public init(pool: RemoteStoragePool, xml: String, flags: UInt32) {
                self.pool = pool
                self.xml = xml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                xml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try xml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolLookupByVolume.Arguments
    }
}
