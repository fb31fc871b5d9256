// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `NETWORK_LIST_ALL_PORTS`, virNetworkListAllPorts.
    public enum NetworkListAllPorts: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 404

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var network: RemoteNetwork
            public var needResults: Int32
            public var flags: UInt32

            public init(network: RemoteNetwork, needResults: Int32, flags: UInt32) {
                self.network = network
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                network = try RemoteNetwork(from: &reader)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try network.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var ports: [RemoteNetworkPort]
            public var ret: UInt32

            public init(ports: [RemoteNetworkPort], ret: UInt32) {
                self.ports = ports
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ports = try reader.array(RemoteNetworkPort.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(ports, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `NETWORK_PORT_LOOKUP_BY_UUID`, virNetworkPortLookupByUUID.
    public enum NetworkPortLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 405

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var network: RemoteNetwork
            public var uuid: UUIDBytes

            public init(network: RemoteNetwork, uuid: UUIDBytes) {
                self.network = network
                self.uuid = uuid
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                network = try RemoteNetwork(from: &reader)
                uuid = try UUIDBytes(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try network.write(to: &writer)
                try uuid.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var port: RemoteNetworkPort

            public init(port: RemoteNetworkPort) {
                self.port = port
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                port = try RemoteNetworkPort(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try port.write(to: &writer)
            }
        }
    }

    /// `NETWORK_PORT_CREATE_XML`, virNetworkPortCreateXML.
    public enum NetworkPortCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 406

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var network: RemoteNetwork
            public var xml: String
            public var flags: UInt32

            public init(network: RemoteNetwork, xml: String, flags: UInt32) {
                self.network = network
                self.xml = xml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                network = try RemoteNetwork(from: &reader)
                xml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try network.write(to: &writer)
                try xml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.NetworkPortLookupByUUID.Result
    }

    /// `NETWORK_PORT_GET_PARAMETERS`, virNetworkPortGetParameters.
    public enum NetworkPortGetParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 407

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var port: RemoteNetworkPort
            public var nparams: Int32
            public var flags: UInt32

            public init(port: RemoteNetworkPort, nparams: Int32, flags: UInt32) {
                self.port = port
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                port = try RemoteNetworkPort(from: &reader)
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try port.write(to: &writer)
                try nparams.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainGetMemoryParameters.Result
    }

    /// `NETWORK_PORT_SET_PARAMETERS`, virNetworkPortSetParameters.
    public enum NetworkPortSetParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 408

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var port: RemoteNetworkPort
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(port: RemoteNetworkPort, params: [RemoteTypedParam], flags: UInt32) {
                self.port = port
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                port = try RemoteNetworkPort(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try port.write(to: &writer)
                try writer.array(params, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NETWORK_PORT_GET_XML_DESC`, virNetworkPortGetXMLDesc.
    public enum NetworkPortGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 409

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var port: RemoteNetworkPort
            public var flags: UInt32

            public init(port: RemoteNetworkPort, flags: UInt32) {
                self.port = port
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                port = try RemoteNetworkPort(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try port.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `NETWORK_PORT_DELETE`, virNetworkPortDelete.
    public enum NetworkPortDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 410
        public typealias Arguments = Remote.NetworkPortGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_CHECKPOINT_CREATE_XML`, virDomainCheckpointCreateXML.
    public enum DomainCheckpointCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 411
        public typealias Arguments = Remote.DomainSnapshotCreateXML.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var checkpoint: RemoteDomainCheckpoint

            public init(checkpoint: RemoteDomainCheckpoint) {
                self.checkpoint = checkpoint
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                checkpoint = try RemoteDomainCheckpoint(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try checkpoint.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_CHECKPOINT_GET_XML_DESC`, virDomainCheckpointGetXMLDesc.
    public enum DomainCheckpointGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 412

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var checkpoint: RemoteDomainCheckpoint
            public var flags: UInt32

            public init(checkpoint: RemoteDomainCheckpoint, flags: UInt32) {
                self.checkpoint = checkpoint
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                checkpoint = try RemoteDomainCheckpoint(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try checkpoint.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `DOMAIN_LIST_ALL_CHECKPOINTS`, virDomainListAllCheckpoints.
    public enum DomainListAllCheckpoints: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 413
        public typealias Arguments = Remote.DomainListAllSnapshots.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var checkpoints: [RemoteDomainCheckpoint]
            public var ret: Int32

            public init(checkpoints: [RemoteDomainCheckpoint], ret: Int32) {
                self.checkpoints = checkpoints
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                checkpoints = try reader.array(RemoteDomainCheckpoint.self, max: 16384)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(checkpoints, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN`, virDomainCheckpointListAllChildren.
    public enum DomainCheckpointListAllChildren: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 414

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var checkpoint: RemoteDomainCheckpoint
            public var needResults: Int32
            public var flags: UInt32

            public init(checkpoint: RemoteDomainCheckpoint, needResults: Int32, flags: UInt32) {
                self.checkpoint = checkpoint
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                checkpoint = try RemoteDomainCheckpoint(from: &reader)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try checkpoint.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainListAllCheckpoints.Result
    }

    /// `DOMAIN_CHECKPOINT_LOOKUP_BY_NAME`, virDomainCheckpointLookupByName.
    public enum DomainCheckpointLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 415
        public typealias Arguments = Remote.DomainSnapshotLookupByName.Arguments
        public typealias Result = Remote.DomainCheckpointCreateXML.Result
    }
}
