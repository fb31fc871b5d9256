// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_MIGRATE_PREPARE3`, virDomainMigratePrepare3.
    public enum DomainMigratePrepare3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 214

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var cookieIn: [UInt8]
            public var uriIn: String?
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64
            public var domXml: String

            public init(
                cookieIn: [UInt8], uriIn: String?, flags: UInt64, dname: String?, resource: UInt64, domXml: String
            ) {
                self.cookieIn = cookieIn
                self.uriIn = uriIn
                self.flags = flags
                self.dname = dname
                self.resource = resource
                self.domXml = domXml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookieIn = try reader.opaque(max: 4194304)
                uriIn = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
                domXml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookieIn, max: 4194304)
                try writer.optional(uriIn)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
                try domXml.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cookieOut: [UInt8]
            public var uriOut: String?

            public init(cookieOut: [UInt8], uriOut: String?) {
                self.cookieOut = cookieOut
                self.uriOut = uriOut
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookieOut = try reader.opaque(max: 4194304)
                uriOut = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookieOut, max: 4194304)
                try writer.optional(uriOut)
            }
        }
    }

    /// `DOMAIN_MIGRATE_PREPARE_TUNNEL3`, virDomainMigratePrepareTunnel3.
    public enum DomainMigratePrepareTunnel3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 215

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var cookieIn: [UInt8]
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64
            public var domXml: String

            public init(cookieIn: [UInt8], flags: UInt64, dname: String?, resource: UInt64, domXml: String) {
                self.cookieIn = cookieIn
                self.flags = flags
                self.dname = dname
                self.resource = resource
                self.domXml = domXml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
                domXml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
                try domXml.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cookieOut: [UInt8]

            public init(cookieOut: [UInt8]) {
                self.cookieOut = cookieOut
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookieOut = try reader.opaque(max: 4194304)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookieOut, max: 4194304)
            }
        }
    }

    /// `DOMAIN_MIGRATE_PERFORM3`, virDomainMigratePerform3.
    public enum DomainMigratePerform3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 216

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var xmlin: String?
            public var cookieIn: [UInt8]
            public var dconnuri: String?
            public var uri: String?
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64

            public init(
                dom: RemoteDomain, xmlin: String?, cookieIn: [UInt8], dconnuri: String?, uri: String?, flags: UInt64,
                dname: String?, resource: UInt64
            ) {
                self.dom = dom
                self.xmlin = xmlin
                self.cookieIn = cookieIn
                self.dconnuri = dconnuri
                self.uri = uri
                self.flags = flags
                self.dname = dname
                self.resource = resource
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                xmlin = try reader.optional(String.self)
                cookieIn = try reader.opaque(max: 4194304)
                dconnuri = try reader.optional(String.self)
                uri = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(xmlin)
                try writer.opaque(cookieIn, max: 4194304)
                try writer.optional(dconnuri)
                try writer.optional(uri)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigratePrepareTunnel3.Result
    }

    /// `DOMAIN_MIGRATE_FINISH3`, virDomainMigrateFinish3.
    public enum DomainMigrateFinish3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 217

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dname: String
            public var cookieIn: [UInt8]
            public var dconnuri: String?
            public var uri: String?
            public var flags: UInt64
            public var cancelled: Int32

            public init(
                dname: String, cookieIn: [UInt8], dconnuri: String?, uri: String?, flags: UInt64, cancelled: Int32
            ) {
                self.dname = dname
                self.cookieIn = cookieIn
                self.dconnuri = dconnuri
                self.uri = uri
                self.flags = flags
                self.cancelled = cancelled
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dname = try reader.string()
                cookieIn = try reader.opaque(max: 4194304)
                dconnuri = try reader.optional(String.self)
                uri = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                cancelled = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dname.write(to: &writer)
                try writer.opaque(cookieIn, max: 4194304)
                try writer.optional(dconnuri)
                try writer.optional(uri)
                try flags.write(to: &writer)
                try cancelled.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var dom: RemoteDomain
            public var cookieOut: [UInt8]

            public init(dom: RemoteDomain, cookieOut: [UInt8]) {
                self.dom = dom
                self.cookieOut = cookieOut
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cookieOut = try reader.opaque(max: 4194304)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.opaque(cookieOut, max: 4194304)
            }
        }
    }

    /// `DOMAIN_MIGRATE_CONFIRM3`, virDomainMigrateConfirm3.
    public enum DomainMigrateConfirm3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 218

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cookieIn: [UInt8]
            public var flags: UInt64
            public var cancelled: Int32

            public init(dom: RemoteDomain, cookieIn: [UInt8], flags: UInt64, cancelled: Int32) {
                self.dom = dom
                self.cookieIn = cookieIn
                self.flags = flags
                self.cancelled = cancelled
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt64(from: &reader)
                cancelled = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
                try cancelled.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS`, virDomainSetSchedulerParametersFlags.
    public enum DomainSetSchedulerParametersFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 219
        public typealias Arguments = Remote.DomainSetMemoryParameters.Arguments
        public typealias Result = NoPayload
    }

    /// `INTERFACE_CHANGE_BEGIN`, virInterfaceChangeBegin.
    public enum InterfaceChangeBegin: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 220
        public typealias Arguments = Remote.ConnectGetSysinfo.Arguments
        public typealias Result = NoPayload
    }

    /// `INTERFACE_CHANGE_COMMIT`, virInterfaceChangeCommit.
    public enum InterfaceChangeCommit: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 221
        public typealias Arguments = Remote.ConnectGetSysinfo.Arguments
        public typealias Result = NoPayload
    }

    /// `INTERFACE_CHANGE_ROLLBACK`, virInterfaceChangeRollback.
    public enum InterfaceChangeRollback: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 222
        public typealias Arguments = Remote.ConnectGetSysinfo.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS`, virDomainGetSchedulerParametersFlags.
    public enum DomainGetSchedulerParametersFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 223
        public typealias Arguments = Remote.DomainGetMemoryParameters.Arguments
        public typealias Result = Remote.DomainGetSchedulerParameters.Result
    }

    /// `DOMAIN_EVENT_CONTROL_ERROR`.
    public enum DomainEventControlError: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 224
        public typealias Body = Remote.DomainCreate.Arguments
    }
}
