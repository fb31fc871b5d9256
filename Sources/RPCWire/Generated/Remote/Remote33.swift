// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_START_DIRTY_RATE_CALC`, virDomainStartDirtyRateCalc.
    public enum DomainStartDirtyRateCalc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 427

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var seconds: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, seconds: Int32, flags: UInt32) {
                self.dom = dom
                self.seconds = seconds
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                seconds = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try seconds.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_DEFINE_XML`, virNodeDeviceDefineXML.
    public enum NodeDeviceDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 428
        public typealias Arguments = Remote.DomainCreateXML.Arguments
        public typealias Result = Remote.NodeDeviceLookupByName.Result
    }

    /// `NODE_DEVICE_UNDEFINE`, virNodeDeviceUndefine.
    public enum NodeDeviceUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 429
        public typealias Arguments = Remote.NodeDeviceGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_CREATE`, virNodeDeviceCreate.
    public enum NodeDeviceCreate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 430
        public typealias Arguments = Remote.NodeDeviceGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `NWFILTER_DEFINE_XML_FLAGS`, virNWFilterDefineXMLFlags.
    public enum NWFilterDefineXMLFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 431
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.NWFilterLookupByName.Result
    }

    /// `NETWORK_DEFINE_XML_FLAGS`, virNetworkDefineXMLFlags.
    public enum NetworkDefineXMLFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 432
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `NODE_DEVICE_GET_AUTOSTART`, virNodeDeviceGetAutostart.
    public enum NodeDeviceGetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 433
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.DomainGetAutostart.Result
    }

    /// `NODE_DEVICE_SET_AUTOSTART`, virNodeDeviceSetAutostart.
    public enum NodeDeviceSetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 434

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String
            public var autostart: Int32

            public init(name: String, autostart: Int32) {
                self.name = name
                self.autostart = autostart
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
                autostart = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
                try autostart.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_IS_PERSISTENT`, virNodeDeviceIsPersistent.
    public enum NodeDeviceIsPersistent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 435
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.DomainIsPersistent.Result
    }

    /// `NODE_DEVICE_IS_ACTIVE`, virNodeDeviceIsActive.
    public enum NodeDeviceIsActive: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 436
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.DomainIsActive.Result
    }

    /// `NETWORK_CREATE_XML_FLAGS`, virNetworkCreateXMLFlags.
    public enum NetworkCreateXMLFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 437
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.NetworkCreate.Arguments
    }

    /// `DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE`.
    public enum DomainEventMemoryDeviceSizeChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 438

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var alias: String
            public var size: UInt64

            public init(callbackID: Int32, dom: RemoteDomain, alias: String, size: UInt64) {
                self.callbackID = callbackID
                self.dom = dom
                self.alias = alias
                self.size = size
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                alias = try reader.string()
                size = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try alias.write(to: &writer)
                try size.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_LAUNCH_SECURITY_STATE`, virDomainSetLaunchSecurityState.
    public enum DomainSetLaunchSecurityState: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 439
        public typealias Arguments = Remote.DomainMigrateBegin3Params.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SAVE_PARAMS`, virDomainSaveParams.
    public enum DomainSaveParams: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 440
        public typealias Arguments = Remote.DomainMigrateBegin3Params.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_RESTORE_PARAMS`, virDomainRestoreParams.
    public enum DomainRestoreParams: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 441
        public typealias Arguments = Remote.NodeSetMemoryParameters.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_ABORT_JOB_FLAGS`, virDomainAbortJobFlags.
    public enum DomainAbortJobFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 442
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_FD_ASSOCIATE`, virDomainFDAssociate.
    public enum DomainFDAssociate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 443
        public typealias Arguments = Remote.DomainSnapshotLookupByName.Arguments
        public typealias Result = NoPayload
    }

    /// `NETWORK_SET_METADATA`, virNetworkSetMetadata.
    public enum NetworkSetMetadata: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 444

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var network: RemoteNetwork
            public var type: Int32
            public var metadata: String?
            public var key: String?
            public var uri: String?
            public var flags: UInt32

            public init(
                network: RemoteNetwork, type: Int32, metadata: String?, key: String?, uri: String?, flags: UInt32
            ) {
                self.network = network
                self.type = type
                self.metadata = metadata
                self.key = key
                self.uri = uri
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                network = try RemoteNetwork(from: &reader)
                type = try Int32(from: &reader)
                metadata = try reader.optional(String.self)
                key = try reader.optional(String.self)
                uri = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try network.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(metadata)
                try writer.optional(key)
                try writer.optional(uri)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NETWORK_GET_METADATA`, virNetworkGetMetadata.
    public enum NetworkGetMetadata: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 445

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var network: RemoteNetwork
            public var type: Int32
            public var uri: String?
            public var flags: UInt32

            public init(network: RemoteNetwork, type: Int32, uri: String?, flags: UInt32) {
                self.network = network
                self.type = type
                self.uri = uri
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                network = try RemoteNetwork(from: &reader)
                type = try Int32(from: &reader)
                uri = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try network.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(uri)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainGetMetadata.Result
    }

    /// `NETWORK_EVENT_CALLBACK_METADATA_CHANGE`.
    public enum NetworkEventCallbackMetadataChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 446

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var net: RemoteNetwork
            public var type: Int32
            public var nsuri: String?

            public init(callbackID: Int32, net: RemoteNetwork, type: Int32, nsuri: String?) {
                self.callbackID = callbackID
                self.net = net
                self.type = type
                self.nsuri = nsuri
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                net = try RemoteNetwork(from: &reader)
                type = try Int32(from: &reader)
                nsuri = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try net.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(nsuri)
            }
        }
    }

    /// `NODE_DEVICE_UPDATE`, virNodeDeviceUpdate.
    public enum NodeDeviceUpdate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 447

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String
            public var xmlDesc: String
            public var flags: UInt32

            public init(name: String, xmlDesc: String, flags: UInt32) {
                self.name = name
                self.xmlDesc = xmlDesc
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
                xmlDesc = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
                try xmlDesc.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
