// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_EVENT_LIFECYCLE`.
    public enum DomainEventLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 107

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var event: Int32
            public var detail: Int32

            public init(dom: RemoteDomain, event: Int32, detail: Int32) {
                self.dom = dom
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MIGRATE_PREPARE2`, virDomainMigratePrepare2.
    public enum DomainMigratePrepare2: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 108

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var uriIn: String?
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64
            public var domXml: String

            public init(uriIn: String?, flags: UInt64, dname: String?, resource: UInt64, domXml: String) {
                self.uriIn = uriIn
                self.flags = flags
                self.dname = dname
                self.resource = resource
                self.domXml = domXml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                uriIn = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
                domXml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(uriIn)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
                try domXml.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigratePrepare.Result
    }

    /// `DOMAIN_MIGRATE_FINISH2`, virDomainMigrateFinish2.
    public enum DomainMigrateFinish2: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 109

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dname: String
            public var cookie: [UInt8]
            public var uri: String
            public var flags: UInt64
            public var retcode: Int32

            public init(dname: String, cookie: [UInt8], uri: String, flags: UInt64, retcode: Int32) {
                self.dname = dname
                self.cookie = cookie
                self.uri = uri
                self.flags = flags
                self.retcode = retcode
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dname = try reader.string()
                cookie = try reader.opaque(max: 4194304)
                uri = try reader.string()
                flags = try UInt64(from: &reader)
                retcode = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dname.write(to: &writer)
                try writer.opaque(cookie, max: 4194304)
                try uri.write(to: &writer)
                try flags.write(to: &writer)
                try retcode.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigrateFinish.Result
    }

    /// `CONNECT_GET_URI`, virConnectGetURI.
    public enum ConnectGetURI: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 110
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var uri: String

            public init(uri: String) {
                self.uri = uri
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                uri = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try uri.write(to: &writer)
            }
        }
    }

    /// `NODE_NUM_OF_DEVICES`, virNodeNumOfDevices.
    public enum NodeNumOfDevices: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 111

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var cap: String?
            public var flags: UInt32

            public init(cap: String?, flags: UInt32) {
                self.cap = cap
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cap = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(cap)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `NODE_LIST_DEVICES`, virNodeListDevices.
    public enum NodeListDevices: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 112

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var cap: String?
            public var maxnames: Int32
            public var flags: UInt32

            public init(cap: String?, maxnames: Int32, flags: UInt32) {
                self.cap = cap
                self.maxnames = maxnames
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cap = try reader.optional(String.self)
                maxnames = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(cap)
                try maxnames.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var names: [String]

            public init(names: [String]) {
                self.names = names
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                names = try reader.array(String.self, max: 65536)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(names, max: 65536)
            }
        }
    }

    /// `NODE_DEVICE_LOOKUP_BY_NAME`, virNodeDeviceLookupByName.
    public enum NodeDeviceLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 113
        public typealias Arguments = Remote.DomainLookupByName.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var dev: RemoteNodeDevice

            public init(dev: RemoteNodeDevice) {
                self.dev = dev
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dev = try RemoteNodeDevice(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dev.write(to: &writer)
            }
        }
    }

    /// `NODE_DEVICE_GET_XML_DESC`, virNodeDeviceGetXMLDesc.
    public enum NodeDeviceGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 114

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String
            public var flags: UInt32

            public init(name: String, flags: UInt32) {
                self.name = name
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `NODE_DEVICE_GET_PARENT`, virNodeDeviceGetParent.
    public enum NodeDeviceGetParent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 115
        public typealias Arguments = Remote.DomainLookupByName.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var parentName: String?

            public init(parentName: String?) {
                self.parentName = parentName
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                parentName = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(parentName)
            }
        }
    }

    /// `NODE_DEVICE_NUM_OF_CAPS`, virNodeDeviceNumOfCaps.
    public enum NodeDeviceNumOfCaps: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 116
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `NODE_DEVICE_LIST_CAPS`, virNodeDeviceListCaps.
    public enum NodeDeviceListCaps: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 117

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String
            public var maxnames: Int32

            public init(name: String, maxnames: Int32) {
                self.name = name
                self.maxnames = maxnames
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
                maxnames = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
                try maxnames.write(to: &writer)
            }
        }
        public typealias Result = Remote.NodeListDevices.Result
    }

    /// `NODE_DEVICE_DETTACH`, virNodeDeviceDettach.
    public enum NodeDeviceDettach: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 118
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_RE_ATTACH`, virNodeDeviceReAttach.
    public enum NodeDeviceReAttach: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 119
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_RESET`, virNodeDeviceReset.
    public enum NodeDeviceReset: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 120
        public typealias Arguments = Remote.DomainLookupByName.Arguments
        public typealias Result = NoPayload
    }
}
