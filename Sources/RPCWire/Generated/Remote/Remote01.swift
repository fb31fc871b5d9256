// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `CONNECT_OPEN`, virConnectOpen.
    public enum ConnectOpen: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 1

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String?
            public var flags: UInt32

            public init(name: String?, flags: UInt32) {
                self.name = name
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(name)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_CLOSE`, virConnectClose.
    public enum ConnectClose: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 2
        public typealias Arguments = NoPayload
        public typealias Result = NoPayload
    }

    /// `CONNECT_GET_TYPE`, virConnectGetType.
    public enum ConnectGetType: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 3
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var type: String

            public init(type: String) {
                self.type = type
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_VERSION`, virConnectGetVersion.
    public enum ConnectGetVersion: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 4
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var hvVer: UInt64

            public init(hvVer: UInt64) {
                self.hvVer = hvVer
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                hvVer = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try hvVer.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_MAX_VCPUS`, virConnectGetMaxVcpus.
    public enum ConnectGetMaxVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 5

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var type: String?

            public init(type: String?) {
                self.type = type
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(type)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var maxVcpus: Int32

            public init(maxVcpus: Int32) {
                self.maxVcpus = maxVcpus
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                maxVcpus = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try maxVcpus.write(to: &writer)
            }
        }
    }

    /// `NODE_GET_INFO`, virNodeGetInfo.
    public enum NodeGetInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 6
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var model: [Int8]
            public var memory: UInt64
            public var cpus: Int32
            public var mhz: Int32
            public var nodes: Int32
            public var sockets: Int32
            public var cores: Int32
            public var threads: Int32

            public init(
                model: [Int8], memory: UInt64, cpus: Int32, mhz: Int32, nodes: Int32, sockets: Int32, cores: Int32,
                threads: Int32
            ) {
                self.model = model
                self.memory = memory
                self.cpus = cpus
                self.mhz = mhz
                self.nodes = nodes
                self.sockets = sockets
                self.cores = cores
                self.threads = threads
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                model = try reader.vector(Int8.self, count: 32)
                memory = try UInt64(from: &reader)
                cpus = try Int32(from: &reader)
                mhz = try Int32(from: &reader)
                nodes = try Int32(from: &reader)
                sockets = try Int32(from: &reader)
                cores = try Int32(from: &reader)
                threads = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.vector(model, count: 32)
                try memory.write(to: &writer)
                try cpus.write(to: &writer)
                try mhz.write(to: &writer)
                try nodes.write(to: &writer)
                try sockets.write(to: &writer)
                try cores.write(to: &writer)
                try threads.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_CAPABILITIES`, virConnectGetCapabilities.
    public enum ConnectGetCapabilities: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 7
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var capabilities: String

            public init(capabilities: String) {
                self.capabilities = capabilities
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                capabilities = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try capabilities.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_ATTACH_DEVICE`, virDomainAttachDevice.
    public enum DomainAttachDevice: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 8

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var xml: String

            public init(dom: RemoteDomain, xml: String) {
                self.dom = dom
                self.xml = xml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                xml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try xml.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_CREATE`, virDomainCreate.
    public enum DomainCreate: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 9

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain

            public init(dom: RemoteDomain) {
                self.dom = dom
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_CREATE_XML`, virDomainCreateXML.
    public enum DomainCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 10

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var xmlDesc: String
            public var flags: UInt32

            public init(xmlDesc: String, flags: UInt32) {
                self.xmlDesc = xmlDesc
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                xmlDesc = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try xmlDesc.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_DEFINE_XML`, virDomainDefineXML.
    public enum DomainDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 11

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var xml: String

            public init(xml: String) {
                self.xml = xml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                xml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try xml.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_DESTROY`, virDomainDestroy.
    public enum DomainDestroy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 12
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_DETACH_DEVICE`, virDomainDetachDevice.
    public enum DomainDetachDevice: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 13
        public typealias Arguments = Remote.DomainAttachDevice.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_XML_DESC`, virDomainGetXMLDesc.
    public enum DomainGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 14

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var flags: UInt32

            public init(dom: RemoteDomain, flags: UInt32) {
                self.dom = dom
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }
}
