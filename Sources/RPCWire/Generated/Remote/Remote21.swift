// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `STORAGE_POOL_LIST_ALL_VOLUMES`, virStoragePoolListAllVolumes.
    public enum StoragePoolListAllVolumes: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 282

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var needResults: Int32
            public var flags: UInt32

            public init(pool: RemoteStoragePool, needResults: Int32, flags: UInt32) {
                self.pool = pool
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var vols: [RemoteStorageVol]
            public var ret: UInt32

            public init(vols: [RemoteStorageVol], ret: UInt32) {
                self.vols = vols
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vols = try reader.array(RemoteStorageVol.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(vols, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_NETWORKS`, virConnectListAllNetworks.
    public enum ConnectListAllNetworks: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 283
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var nets: [RemoteNetwork]
            public var ret: UInt32

            public init(nets: [RemoteNetwork], ret: UInt32) {
                self.nets = nets
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nets = try reader.array(RemoteNetwork.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(nets, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_INTERFACES`, virConnectListAllInterfaces.
    public enum ConnectListAllInterfaces: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 284
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var ifaces: [RemoteInterface]
            public var ret: UInt32

            public init(ifaces: [RemoteInterface], ret: UInt32) {
                self.ifaces = ifaces
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ifaces = try reader.array(RemoteInterface.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(ifaces, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_NODE_DEVICES`, virConnectListAllNodeDevices.
    public enum ConnectListAllNodeDevices: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 285
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var devices: [RemoteNodeDevice]
            public var ret: UInt32

            public init(devices: [RemoteNodeDevice], ret: UInt32) {
                self.devices = devices
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                devices = try reader.array(RemoteNodeDevice.self, max: 65536)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(devices, max: 65536)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_NWFILTERS`, virConnectListAllNWFilters.
    public enum ConnectListAllNwfilters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 286
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var filters: [RemoteNWFilter]
            public var ret: UInt32

            public init(filters: [RemoteNWFilter], ret: UInt32) {
                self.filters = filters
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                filters = try reader.array(RemoteNWFilter.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(filters, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_SECRETS`, virConnectListAllSecrets.
    public enum ConnectListAllSecrets: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 287
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var secrets: [RemoteSecret]
            public var ret: UInt32

            public init(secrets: [RemoteSecret], ret: UInt32) {
                self.secrets = secrets
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                secrets = try reader.array(RemoteSecret.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(secrets, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `NODE_SET_MEMORY_PARAMETERS`, virNodeSetMemoryParameters.
    public enum NodeSetMemoryParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 288

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(params: [RemoteTypedParam], flags: UInt32) {
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 64)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 64)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_GET_MEMORY_PARAMETERS`, virNodeGetMemoryParameters.
    public enum NodeGetMemoryParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 289

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nparams: Int32
            public var flags: UInt32

            public init(nparams: Int32, flags: UInt32) {
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nparams.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteTypedParam]
            public var nparams: Int32

            public init(params: [RemoteTypedParam], nparams: Int32) {
                self.params = params
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 64)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 64)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_COMMIT`, virDomainBlockCommit.
    public enum DomainBlockCommit: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 290

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var disk: String
            public var base: String?
            public var top: String?
            public var bandwidth: UInt64
            public var flags: UInt32

            public init(
                dom: RemoteDomain, disk: String, base: String?, top: String?, bandwidth: UInt64, flags: UInt32
            ) {
                self.dom = dom
                self.disk = disk
                self.base = base
                self.top = top
                self.bandwidth = bandwidth
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                disk = try reader.string()
                base = try reader.optional(String.self)
                top = try reader.optional(String.self)
                bandwidth = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try disk.write(to: &writer)
                try writer.optional(base)
                try writer.optional(top)
                try bandwidth.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NETWORK_UPDATE`, virNetworkUpdate.
    public enum NetworkUpdate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 291

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var net: RemoteNetwork
            public var command: UInt32
            public var section: UInt32
            public var parentIndex: Int32
            public var xml: String
            public var flags: UInt32

            public init(
                net: RemoteNetwork, command: UInt32, section: UInt32, parentIndex: Int32, xml: String, flags: UInt32
            ) {
                self.net = net
                self.command = command
                self.section = section
                self.parentIndex = parentIndex
                self.xml = xml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                net = try RemoteNetwork(from: &reader)
                command = try UInt32(from: &reader)
                section = try UInt32(from: &reader)
                parentIndex = try Int32(from: &reader)
                xml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try net.write(to: &writer)
                try command.write(to: &writer)
                try section.write(to: &writer)
                try parentIndex.write(to: &writer)
                try xml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
