// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_CORE_DUMP`, virDomainCoreDump.
    public enum DomainCoreDump: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 53

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var to: String
            public var flags: UInt32

            public init(dom: RemoteDomain, to: String, flags: UInt32) {
                self.dom = dom
                self.to = to
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                to = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try to.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_RESTORE`, virDomainRestore.
    public enum DomainRestore: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 54

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var from: String

            public init(from: String) {
                self.from = from
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                from = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try from.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SAVE`, virDomainSave.
    public enum DomainSave: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 55

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var to: String

            public init(dom: RemoteDomain, to: String) {
                self.dom = dom
                self.to = to
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                to = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try to.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_SCHEDULER_TYPE`, virDomainGetSchedulerType.
    public enum DomainGetSchedulerType: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 56
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var type: String
            public var nparams: Int32

            public init(type: String, nparams: Int32) {
                self.type = type
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try reader.string()
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_SCHEDULER_PARAMETERS`, virDomainGetSchedulerParameters.
    public enum DomainGetSchedulerParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 57

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var nparams: Int32

            public init(dom: RemoteDomain, nparams: Int32) {
                self.dom = dom
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try nparams.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteTypedParam]

            public init(params: [RemoteTypedParam]) {
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 16)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 16)
            }
        }
    }

    /// `DOMAIN_SET_SCHEDULER_PARAMETERS`, virDomainSetSchedulerParameters.
    public enum DomainSetSchedulerParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 58

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var params: [RemoteTypedParam]

            public init(dom: RemoteDomain, params: [RemoteTypedParam]) {
                self.dom = dom
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 16)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.array(params, max: 16)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_GET_HOSTNAME`, virConnectGetHostname.
    public enum ConnectGetHostname: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 59
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var hostname: String

            public init(hostname: String) {
                self.hostname = hostname
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                hostname = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try hostname.write(to: &writer)
            }
        }
    }

    /// `CONNECT_SUPPORTS_FEATURE`, virConnectSupportsFeature.
    public enum ConnectSupportsFeature: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 60

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var feature: Int32

            public init(feature: Int32) {
                self.feature = feature
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                feature = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try feature.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var supported: Int32

            public init(supported: Int32) {
                self.supported = supported
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                supported = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try supported.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MIGRATE_PREPARE`, virDomainMigratePrepare.
    public enum DomainMigratePrepare: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 61

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var uriIn: String?
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64

            public init(uriIn: String?, flags: UInt64, dname: String?, resource: UInt64) {
                self.uriIn = uriIn
                self.flags = flags
                self.dname = dname
                self.resource = resource
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                uriIn = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(uriIn)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cookie: [UInt8]
            public var uriOut: String?

            public init(cookie: [UInt8], uriOut: String?) {
                self.cookie = cookie
                self.uriOut = uriOut
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookie = try reader.opaque(max: 4194304)
                uriOut = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookie, max: 4194304)
                try writer.optional(uriOut)
            }
        }
    }

    /// `DOMAIN_MIGRATE_PERFORM`, virDomainMigratePerform.
    public enum DomainMigratePerform: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 62

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cookie: [UInt8]
            public var uri: String
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64

            public init(
                dom: RemoteDomain, cookie: [UInt8], uri: String, flags: UInt64, dname: String?, resource: UInt64
            ) {
                self.dom = dom
                self.cookie = cookie
                self.uri = uri
                self.flags = flags
                self.dname = dname
                self.resource = resource
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cookie = try reader.opaque(max: 4194304)
                uri = try reader.string()
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.opaque(cookie, max: 4194304)
                try uri.write(to: &writer)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
