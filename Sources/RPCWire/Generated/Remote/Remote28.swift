// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_RENAME`, virDomainRename.
    public enum DomainRename: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 358

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var newName: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, newName: String?, flags: UInt32) {
                self.dom = dom
                self.newName = newName
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                newName = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(newName)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var retcode: Int32

            public init(retcode: Int32) {
                self.retcode = retcode
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                retcode = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try retcode.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION`.
    public enum DomainEventCallbackMigrationIteration: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 359

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var iteration: Int32

            public init(callbackID: Int32, dom: RemoteDomain, iteration: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.iteration = iteration
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                iteration = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try iteration.write(to: &writer)
            }
        }
    }

    /// `CONNECT_REGISTER_CLOSE_CALLBACK`, virConnectRegisterCloseCallback.
    public enum ConnectRegisterCloseCallback: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 360
        public typealias Arguments = NoPayload
        public typealias Result = NoPayload
    }

    /// `CONNECT_UNREGISTER_CLOSE_CALLBACK`, virConnectUnregisterCloseCallback.
    public enum ConnectUnregisterCloseCallback: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 361
        public typealias Arguments = NoPayload
        public typealias Result = NoPayload
    }

    /// `CONNECT_EVENT_CONNECTION_CLOSED`.
    public enum ConnectEventConnectionClosed: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 362

        /// What it tells.
        public struct Body: XDRCodable {
            public var reason: Int32

            public init(reason: Int32) {
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_JOB_COMPLETED`.
    public enum DomainEventCallbackJobCompleted: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 363

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var params: [RemoteTypedParam]

            public init(callbackID: Int32, dom: RemoteDomain, params: [RemoteTypedParam]) {
                self.callbackID = callbackID
                self.dom = dom
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 64)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try writer.array(params, max: 64)
            }
        }
    }

    /// `DOMAIN_MIGRATE_START_POST_COPY`, virDomainMigrateStartPostCopy.
    public enum DomainMigrateStartPostCopy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 364
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_PERF_EVENTS`, virDomainGetPerfEvents.
    public enum DomainGetPerfEvents: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 365
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteTypedParam]

            public init(params: [RemoteTypedParam]) {
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 64)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 64)
            }
        }
    }

    /// `DOMAIN_SET_PERF_EVENTS`, virDomainSetPerfEvents.
    public enum DomainSetPerfEvents: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 366
        public typealias Arguments = Remote.DomainMigrateBegin3Params.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED`.
    public enum DomainEventCallbackDeviceRemovalFailed: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 367
        public typealias Body = Remote.DomainEventCallbackDeviceRemoved.Body
    }

    /// `CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY`, virConnectStoragePoolEventRegisterAny.
    public enum ConnectStoragePoolEventRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 368

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32
            public var pool: RemoteStoragePool?

            public init(eventID: Int32, pool: RemoteStoragePool?) {
                self.eventID = eventID
                self.pool = pool
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
                pool = try reader.optional(RemoteStoragePool.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
                try writer.optional(pool)
            }
        }
        public typealias Result = Remote.ConnectNetworkEventRegisterAny.Result
    }

    /// `CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY`, virConnectStoragePoolEventDeregisterAny.
    public enum ConnectStoragePoolEventDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 369
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_EVENT_LIFECYCLE`.
    public enum StoragePoolEventLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 370

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var pool: RemoteStoragePool
            public var event: Int32
            public var detail: Int32

            public init(callbackID: Int32, pool: RemoteStoragePool, event: Int32, detail: Int32) {
                self.callbackID = callbackID
                self.pool = pool
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                pool = try RemoteStoragePool(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try pool.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_GUEST_VCPUS`, virDomainGetGuestVcpus.
    public enum DomainGetGuestVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 371
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainGetPerfEvents.Result
    }

    /// `DOMAIN_SET_GUEST_VCPUS`, virDomainSetGuestVcpus.
    public enum DomainSetGuestVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 372

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cpumap: String
            public var state: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, cpumap: String, state: Int32, flags: UInt32) {
                self.dom = dom
                self.cpumap = cpumap
                self.state = state
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cpumap = try reader.string()
                state = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try cpumap.write(to: &writer)
                try state.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_EVENT_REFRESH`.
    public enum StoragePoolEventRefresh: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 373

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var pool: RemoteStoragePool

            public init(callbackID: Int32, pool: RemoteStoragePool) {
                self.callbackID = callbackID
                self.pool = pool
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                pool = try RemoteStoragePool(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try pool.write(to: &writer)
            }
        }
    }
}
