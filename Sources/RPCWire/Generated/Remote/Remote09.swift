// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_GET_SECURITY_LABEL`, virDomainGetSecurityLabel.
    public enum DomainGetSecurityLabel: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 121
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
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
    }

    /// `NODE_GET_SECURITY_MODEL`, virNodeGetSecurityModel.
    public enum NodeGetSecurityModel: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 122
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var model: [Int8]
            public var doi: [Int8]

            public init(model: [Int8], doi: [Int8]) {
                self.model = model
                self.doi = doi
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                model = try reader.array(Int8.self, max: 257)
                doi = try reader.array(Int8.self, max: 257)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(model, max: 257)
                try writer.array(doi, max: 257)
            }
        }
    }

    /// `NODE_DEVICE_CREATE_XML`, virNodeDeviceCreateXML.
    public enum NodeDeviceCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 123
        public typealias Arguments = Remote.DomainCreateXML.Arguments
        public typealias Result = Remote.NodeDeviceLookupByName.Result
    }

    /// `NODE_DEVICE_DESTROY`, virNodeDeviceDestroy.
    public enum NodeDeviceDestroy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 124
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_CREATE_XML_FROM`, virStorageVolCreateXMLFrom.
    public enum StorageVolCreateXMLFrom: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 125

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pool: RemoteStoragePool
            public var xml: String
            public var clonevol: RemoteStorageVol
            public var flags: UInt32

            public init(pool: RemoteStoragePool, xml: String, clonevol: RemoteStorageVol, flags: UInt32) {
                self.pool = pool
                self.xml = xml
                self.clonevol = clonevol
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pool = try RemoteStoragePool(from: &reader)
                xml = try reader.string()
                clonevol = try RemoteStorageVol(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pool.write(to: &writer)
                try xml.write(to: &writer)
                try clonevol.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.StoragePoolLookupByVolume.Arguments
    }

    /// `CONNECT_NUM_OF_INTERFACES`, virConnectNumOfInterfaces.
    public enum ConnectNumOfInterfaces: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 126
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_LIST_INTERFACES`, virConnectListInterfaces.
    public enum ConnectListInterfaces: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 127
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `INTERFACE_LOOKUP_BY_NAME`, virInterfaceLookupByName.
    public enum InterfaceLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 128
        public typealias Arguments = Remote.DomainLookupByName.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var iface: RemoteInterface

            public init(iface: RemoteInterface) {
                self.iface = iface
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                iface = try RemoteInterface(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try iface.write(to: &writer)
            }
        }
    }

    /// `INTERFACE_LOOKUP_BY_MAC_STRING`, virInterfaceLookupByMACString.
    public enum InterfaceLookupByMACString: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 129

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var mac: String

            public init(mac: String) {
                self.mac = mac
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                mac = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try mac.write(to: &writer)
            }
        }
        public typealias Result = Remote.InterfaceLookupByName.Result
    }

    /// `INTERFACE_GET_XML_DESC`, virInterfaceGetXMLDesc.
    public enum InterfaceGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 130

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var iface: RemoteInterface
            public var flags: UInt32

            public init(iface: RemoteInterface, flags: UInt32) {
                self.iface = iface
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                iface = try RemoteInterface(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try iface.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `INTERFACE_DEFINE_XML`, virInterfaceDefineXML.
    public enum InterfaceDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 131
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.InterfaceLookupByName.Result
    }

    /// `INTERFACE_UNDEFINE`, virInterfaceUndefine.
    public enum InterfaceUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 132
        public typealias Arguments = Remote.InterfaceLookupByName.Result
        public typealias Result = NoPayload
    }

    /// `INTERFACE_CREATE`, virInterfaceCreate.
    public enum InterfaceCreate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 133
        public typealias Arguments = Remote.InterfaceGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `INTERFACE_DESTROY`, virInterfaceDestroy.
    public enum InterfaceDestroy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 134
        public typealias Arguments = Remote.InterfaceGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `CONNECT_DOMAIN_XML_FROM_NATIVE`, virConnectDomainXMLFromNative.
    public enum ConnectDomainXMLFromNative: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 135

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nativeFormat: String
            public var nativeConfig: String
            public var flags: UInt32

            public init(nativeFormat: String, nativeConfig: String, flags: UInt32) {
                self.nativeFormat = nativeFormat
                self.nativeConfig = nativeConfig
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nativeFormat = try reader.string()
                nativeConfig = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nativeFormat.write(to: &writer)
                try nativeConfig.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var domainXml: String

            public init(domainXml: String) {
                self.domainXml = domainXml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                domainXml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try domainXml.write(to: &writer)
            }
        }
    }

    /// `CONNECT_DOMAIN_XML_TO_NATIVE`, virConnectDomainXMLToNative.
    public enum ConnectDomainXMLToNative: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 136

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nativeFormat: String
            public var domainXml: String
            public var flags: UInt32

            public init(nativeFormat: String, domainXml: String, flags: UInt32) {
                self.nativeFormat = nativeFormat
                self.domainXml = domainXml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nativeFormat = try reader.string()
                domainXml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nativeFormat.write(to: &writer)
                try domainXml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var nativeConfig: String

            public init(nativeConfig: String) {
                self.nativeConfig = nativeConfig
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nativeConfig = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nativeConfig.write(to: &writer)
            }
        }
    }

    /// `CONNECT_NUM_OF_DEFINED_INTERFACES`, virConnectNumOfDefinedInterfaces.
    public enum ConnectNumOfDefinedInterfaces: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 137
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_LIST_DEFINED_INTERFACES`, virConnectListDefinedInterfaces.
    public enum ConnectListDefinedInterfaces: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 138
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `CONNECT_NUM_OF_SECRETS`, virConnectNumOfSecrets.
    public enum ConnectNumOfSecrets: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 139
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }
}
