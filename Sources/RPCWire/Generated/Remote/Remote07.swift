// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `STORAGE_VOL_DELETE`, virStorageVolDelete.
    public enum StorageVolDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 94

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var vol: RemoteStorageVol
            public var flags: UInt32

            public init(vol: RemoteStorageVol, flags: UInt32) {
                self.vol = vol
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vol = try RemoteStorageVol(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try vol.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_LOOKUP_BY_NAME`, virStorageVolLookupByName.
    public enum StorageVolLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 95

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var name: String

            public init(pool: RemoteStoragePool, name: String) {
                self.pool = pool
                self.name = name
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                name = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try name.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolLookupByVolume.Arguments
    }

    /// `STORAGE_VOL_LOOKUP_BY_KEY`, virStorageVolLookupByKey.
    public enum StorageVolLookupByKey: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 96

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var key: String

            public init(key: String) {
                self.key = key
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                key = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try key.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolLookupByVolume.Arguments
    }

    /// `STORAGE_VOL_LOOKUP_BY_PATH`, virStorageVolLookupByPath.
    public enum StorageVolLookupByPath: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 97

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var path: String

            public init(path: String) {
                self.path = path
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                path = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try path.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolLookupByVolume.Arguments
    }

    /// `STORAGE_VOL_GET_INFO`, virStorageVolGetInfo.
    public enum StorageVolGetInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 98
        public typealias Arguments = Remote.StoragePoolLookupByVolume.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var type: Int8
            public var capacity: UInt64
            public var allocation: UInt64

            public init(type: Int8, capacity: UInt64, allocation: UInt64) {
                self.type = type
                self.capacity = capacity
                self.allocation = allocation
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try Int8(from: &reader)
                capacity = try UInt64(from: &reader)
                allocation = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
                try capacity.write(to: &writer)
                try allocation.write(to: &writer)
            }
        }
    }

    /// `STORAGE_VOL_GET_XML_DESC`, virStorageVolGetXMLDesc.
    public enum StorageVolGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 99
        public typealias Arguments = Remote.StorageVolDelete.Arguments
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `STORAGE_VOL_GET_PATH`, virStorageVolGetPath.
    public enum StorageVolGetPath: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 100
        public typealias Arguments = Remote.StoragePoolLookupByVolume.Arguments
        public typealias Result = Remote.DomainLookupByName.Arguments
    }

    /// `NODE_GET_CELLS_FREE_MEMORY`, virNodeGetCellsFreeMemory.
    public enum NodeGetCellsFreeMemory: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 101

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var startCell: Int32
            public var maxcells: Int32

            public init(startCell: Int32, maxcells: Int32) {
                self.startCell = startCell
                self.maxcells = maxcells
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                startCell = try Int32(from: &reader)
                maxcells = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try startCell.write(to: &writer)
                try maxcells.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cells: [UInt64]

            public init(cells: [UInt64]) {
                self.cells = cells
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cells = try reader.array(UInt64.self, max: 1024)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(cells, max: 1024)
            }
        }
    }

    /// `NODE_GET_FREE_MEMORY`, virNodeGetFreeMemory.
    public enum NodeGetFreeMemory: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 102
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var freeMem: UInt64

            public init(freeMem: UInt64) {
                self.freeMem = freeMem
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                freeMem = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try freeMem.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_PEEK`, virDomainBlockPeek.
    public enum DomainBlockPeek: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 103

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var offset: UInt64
            public var size: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, offset: UInt64, size: UInt32, flags: UInt32) {
                self.dom = dom
                self.path = path
                self.offset = offset
                self.size = size
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                offset = try UInt64(from: &reader)
                size = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try offset.write(to: &writer)
                try size.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var buffer: [UInt8]

            public init(buffer: [UInt8]) {
                self.buffer = buffer
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                buffer = try reader.opaque(max: 4194304)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(buffer, max: 4194304)
            }
        }
    }

    /// `DOMAIN_MEMORY_PEEK`, virDomainMemoryPeek.
    public enum DomainMemoryPeek: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 104

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var offset: UInt64
            public var size: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, offset: UInt64, size: UInt32, flags: UInt32) {
                self.dom = dom
                self.offset = offset
                self.size = size
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                offset = try UInt64(from: &reader)
                size = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try offset.write(to: &writer)
                try size.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainBlockPeek.Result
    }

    /// `CONNECT_DOMAIN_EVENT_REGISTER`, virConnectDomainEventRegister.
    public enum ConnectDomainEventRegister: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 105
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var cbRegistered: Int32

            public init(cbRegistered: Int32) {
                self.cbRegistered = cbRegistered
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cbRegistered = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try cbRegistered.write(to: &writer)
            }
        }
    }

    /// `CONNECT_DOMAIN_EVENT_DEREGISTER`, virConnectDomainEventDeregister.
    public enum ConnectDomainEventDeregister: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 106
        public typealias Arguments = NoPayload
        public typealias Result = Remote.ConnectDomainEventRegister.Result
    }
}
