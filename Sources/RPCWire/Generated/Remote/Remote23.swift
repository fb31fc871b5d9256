// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_MIGRATE_PREPARE3_PARAMS`, virDomainMigratePrepare3Params.
    public enum DomainMigratePrepare3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 303

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var params: [RemoteTypedParam]
            public var cookieIn: [UInt8]
            public var flags: UInt32

            public init(params: [RemoteTypedParam], cookieIn: [UInt8], flags: UInt32) {
                self.params = params
                self.cookieIn = cookieIn
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 64)
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 64)
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigratePrepare3.Result
    }

    /// `DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS`, virDomainMigratePrepareTunnel3Params.
    public enum DomainMigratePrepareTunnel3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 304
        public typealias Arguments = Remote.DomainMigratePrepare3Params.Arguments
        public typealias Result = Remote.DomainMigratePrepareTunnel3.Result
    }

    /// `DOMAIN_MIGRATE_PERFORM3_PARAMS`, virDomainMigratePerform3Params.
    public enum DomainMigratePerform3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 305

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var dconnuri: String?
            public var params: [RemoteTypedParam]
            public var cookieIn: [UInt8]
            public var flags: UInt32

            public init(
                dom: RemoteDomain, dconnuri: String?, params: [RemoteTypedParam], cookieIn: [UInt8], flags: UInt32
            ) {
                self.dom = dom
                self.dconnuri = dconnuri
                self.params = params
                self.cookieIn = cookieIn
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                dconnuri = try reader.optional(String.self)
                params = try reader.array(RemoteTypedParam.self, max: 64)
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(dconnuri)
                try writer.array(params, max: 64)
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigratePrepareTunnel3.Result
    }

    /// `DOMAIN_MIGRATE_FINISH3_PARAMS`, virDomainMigrateFinish3Params.
    public enum DomainMigrateFinish3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 306

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var params: [RemoteTypedParam]
            public var cookieIn: [UInt8]
            public var flags: UInt32
            public var cancelled: Int32

            public init(params: [RemoteTypedParam], cookieIn: [UInt8], flags: UInt32, cancelled: Int32) {
                self.params = params
                self.cookieIn = cookieIn
                self.flags = flags
                self.cancelled = cancelled
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 64)
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt32(from: &reader)
                cancelled = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 64)
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
                try cancelled.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigrateFinish3.Result
    }

    /// `DOMAIN_MIGRATE_CONFIRM3_PARAMS`, virDomainMigrateConfirm3Params.
    public enum DomainMigrateConfirm3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 307

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var params: [RemoteTypedParam]
            public var cookieIn: [UInt8]
            public var flags: UInt32
            public var cancelled: Int32

            public init(
                dom: RemoteDomain, params: [RemoteTypedParam], cookieIn: [UInt8], flags: UInt32, cancelled: Int32
            ) {
                self.dom = dom
                self.params = params
                self.cookieIn = cookieIn
                self.flags = flags
                self.cancelled = cancelled
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 64)
                cookieIn = try reader.opaque(max: 4194304)
                flags = try UInt32(from: &reader)
                cancelled = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.array(params, max: 64)
                try writer.opaque(cookieIn, max: 4194304)
                try flags.write(to: &writer)
                try cancelled.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_MEMORY_STATS_PERIOD`, virDomainSetMemoryStatsPeriod.
    public enum DomainSetMemoryStatsPeriod: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 308

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var period: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, period: Int32, flags: UInt32) {
                self.dom = dom
                self.period = period
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                period = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try period.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_CREATE_XML_WITH_FILES`, virDomainCreateXMLWithFiles.
    public enum DomainCreateXMLWithFiles: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 309
        public typealias Arguments = Remote.DomainCreateXML.Arguments
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_CREATE_WITH_FILES`, virDomainCreateWithFiles.
    public enum DomainCreateWithFiles: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 310
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_EVENT_DEVICE_REMOVED`.
    public enum DomainEventDeviceRemoved: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 311

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var devAlias: String

            public init(dom: RemoteDomain, devAlias: String) {
                self.dom = dom
                self.devAlias = devAlias
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                devAlias = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try devAlias.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_CPU_MODEL_NAMES`, virConnectGetCPUModelNames.
    public enum ConnectGetCPUModelNames: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 312

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var arch: String
            public var needResults: Int32
            public var flags: UInt32

            public init(arch: String, needResults: Int32, flags: UInt32) {
                self.arch = arch
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                arch = try reader.string()
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try arch.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var models: [String]
            public var ret: Int32

            public init(models: [String], ret: Int32) {
                self.models = models
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                models = try reader.array(String.self, max: 8192)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(models, max: 8192)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_NETWORK_EVENT_REGISTER_ANY`, virConnectNetworkEventRegisterAny.
    public enum ConnectNetworkEventRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 313

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32
            public var net: RemoteNetwork?

            public init(eventID: Int32, net: RemoteNetwork?) {
                self.eventID = eventID
                self.net = net
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
                net = try reader.optional(RemoteNetwork.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
                try writer.optional(net)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var callbackID: Int32

            public init(callbackID: Int32) {
                self.callbackID = callbackID
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
            }
        }
    }

    /// `CONNECT_NETWORK_EVENT_DEREGISTER_ANY`, virConnectNetworkEventDeregisterAny.
    public enum ConnectNetworkEventDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 314
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }
}
