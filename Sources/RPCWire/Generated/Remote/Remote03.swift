// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_SET_AUTOSTART`, virDomainSetAutostart.
    public enum DomainSetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 29

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var autostart: Int32

            public init(dom: RemoteDomain, autostart: Int32) {
                self.dom = dom
                self.autostart = autostart
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                autostart = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try autostart.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_MAX_MEMORY`, virDomainSetMaxMemory.
    public enum DomainSetMaxMemory: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 30

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var memory: UInt64

            public init(dom: RemoteDomain, memory: UInt64) {
                self.dom = dom
                self.memory = memory
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                memory = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try memory.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_MEMORY`, virDomainSetMemory.
    public enum DomainSetMemory: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 31
        public typealias Arguments = Remote.DomainSetMaxMemory.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_VCPUS`, virDomainSetVcpus.
    public enum DomainSetVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 32

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var nvcpus: UInt32

            public init(dom: RemoteDomain, nvcpus: UInt32) {
                self.dom = dom
                self.nvcpus = nvcpus
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                nvcpus = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try nvcpus.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SHUTDOWN`, virDomainShutdown.
    public enum DomainShutdown: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 33
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SUSPEND`, virDomainSuspend.
    public enum DomainSuspend: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 34
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_UNDEFINE`, virDomainUndefine.
    public enum DomainUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 35
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `CONNECT_LIST_DEFINED_NETWORKS`, virConnectListDefinedNetworks.
    public enum ConnectListDefinedNetworks: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 36
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `CONNECT_LIST_DOMAINS`, virConnectListDomains.
    public enum ConnectListDomains: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 37

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var maxids: Int32

            public init(maxids: Int32) {
                self.maxids = maxids
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                maxids = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try maxids.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var ids: [Int32]

            public init(ids: [Int32]) {
                self.ids = ids
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ids = try reader.array(Int32.self, max: 16384)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(ids, max: 16384)
            }
        }
    }

    /// `CONNECT_LIST_NETWORKS`, virConnectListNetworks.
    public enum ConnectListNetworks: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 38
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `NETWORK_CREATE`, virNetworkCreate.
    public enum NetworkCreate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 39

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var net: RemoteNetwork

            public init(net: RemoteNetwork) {
                self.net = net
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                net = try RemoteNetwork(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try net.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NETWORK_CREATE_XML`, virNetworkCreateXML.
    public enum NetworkCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 40
        public typealias Arguments = Remote.DomainDefineXML.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `NETWORK_DEFINE_XML`, virNetworkDefineXML.
    public enum NetworkDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 41
        public typealias Arguments = Remote.DomainDefineXML.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `NETWORK_DESTROY`, virNetworkDestroy.
    public enum NetworkDestroy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 42
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `NETWORK_GET_XML_DESC`, virNetworkGetXMLDesc.
    public enum NetworkGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 43

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var net: RemoteNetwork
            public var flags: UInt32

            public init(net: RemoteNetwork, flags: UInt32) {
                self.net = net
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                net = try RemoteNetwork(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try net.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `NETWORK_GET_AUTOSTART`, virNetworkGetAutostart.
    public enum NetworkGetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 44
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = Remote.DomainGetAutostart.Result
    }

    /// `NETWORK_GET_BRIDGE_NAME`, virNetworkGetBridgeName.
    public enum NetworkGetBridgeName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 45
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = Remote.DomainLookupByName.Arguments
    }

    /// `NETWORK_LOOKUP_BY_NAME`, virNetworkLookupByName.
    public enum NetworkLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 46
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `NETWORK_LOOKUP_BY_UUID`, virNetworkLookupByUUID.
    public enum NetworkLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 47
        public typealias Arguments = Remote.DomainLookupByUUID.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `NETWORK_SET_AUTOSTART`, virNetworkSetAutostart.
    public enum NetworkSetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 48

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var net: RemoteNetwork
            public var autostart: Int32

            public init(net: RemoteNetwork, autostart: Int32) {
                self.net = net
                self.autostart = autostart
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                net = try RemoteNetwork(from: &reader)
                autostart = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try net.write(to: &writer)
                try autostart.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NETWORK_UNDEFINE`, virNetworkUndefine.
    public enum NetworkUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 49
        public typealias Arguments = Remote.NetworkCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `CONNECT_NUM_OF_DEFINED_NETWORKS`, virConnectNumOfDefinedNetworks.
    public enum ConnectNumOfDefinedNetworks: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 50
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_NUM_OF_DOMAINS`, virConnectNumOfDomains.
    public enum ConnectNumOfDomains: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 51
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_NUM_OF_NETWORKS`, virConnectNumOfNetworks.
    public enum ConnectNumOfNetworks: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 52
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }
}
