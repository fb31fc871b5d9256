// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_PM_SUSPEND_FOR_DURATION`, virDomainPMSuspendForDuration.
    public enum DomainPMSuspendForDuration: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 261

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var target: UInt32
            public var duration: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, target: UInt32, duration: UInt64, flags: UInt32) {
                self.dom = dom
                self.target = target
                self.duration = duration
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                target = try UInt32(from: &reader)
                duration = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try target.write(to: &writer)
                try duration.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_CPU_STATS`, virDomainGetCPUStats.
    public enum DomainGetCPUStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 262

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var nparams: UInt32
            public var startCpu: Int32
            public var ncpus: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, nparams: UInt32, startCpu: Int32, ncpus: UInt32, flags: UInt32) {
                self.dom = dom
                self.nparams = nparams
                self.startCpu = startCpu
                self.ncpus = ncpus
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                nparams = try UInt32(from: &reader)
                startCpu = try Int32(from: &reader)
                ncpus = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try nparams.write(to: &writer)
                try startCpu.write(to: &writer)
                try ncpus.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteTypedParam]
            public var nparams: Int32

            public init(params: [RemoteTypedParam], nparams: Int32) {
                self.params = params
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 2048)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 2048)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_DISK_ERRORS`, virDomainGetDiskErrors.
    public enum DomainGetDiskErrors: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 263

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var maxerrors: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, maxerrors: UInt32, flags: UInt32) {
                self.dom = dom
                self.maxerrors = maxerrors
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                maxerrors = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try maxerrors.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var errors: [RemoteDomainDiskError]
            public var nerrors: Int32

            public init(errors: [RemoteDomainDiskError], nerrors: Int32) {
                self.errors = errors
                self.nerrors = nerrors
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                errors = try reader.array(RemoteDomainDiskError.self, max: 256)
                nerrors = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(errors, max: 256)
                try nerrors.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_METADATA`, virDomainSetMetadata.
    public enum DomainSetMetadata: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 264

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var type: Int32
            public var metadata: String?
            public var key: String?
            public var uri: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, type: Int32, metadata: String?, key: String?, uri: String?, flags: UInt32) {
                self.dom = dom
                self.type = type
                self.metadata = metadata
                self.key = key
                self.uri = uri
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                type = try Int32(from: &reader)
                metadata = try reader.optional(String.self)
                key = try reader.optional(String.self)
                uri = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(metadata)
                try writer.optional(key)
                try writer.optional(uri)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_METADATA`, virDomainGetMetadata.
    public enum DomainGetMetadata: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 265

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var type: Int32
            public var uri: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, type: Int32, uri: String?, flags: UInt32) {
                self.dom = dom
                self.type = type
                self.uri = uri
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                type = try Int32(from: &reader)
                uri = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(uri)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var metadata: String

            public init(metadata: String) {
                self.metadata = metadata
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                metadata = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try metadata.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_REBASE`, virDomainBlockRebase.
    public enum DomainBlockRebase: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 266

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var base: String?
            public var bandwidth: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, base: String?, bandwidth: UInt64, flags: UInt32) {
                self.dom = dom
                self.path = path
                self.base = base
                self.bandwidth = bandwidth
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                base = try reader.optional(String.self)
                bandwidth = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try writer.optional(base)
                try bandwidth.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_PM_WAKEUP`, virDomainPMWakeup.
    public enum DomainPMWakeup: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 267
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_TRAY_CHANGE`.
    public enum DomainEventTrayChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 268

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var devAlias: String
            public var reason: Int32

            public init(dom: RemoteDomain, devAlias: String, reason: Int32) {
                self.dom = dom
                self.devAlias = devAlias
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                devAlias = try reader.string()
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try devAlias.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_PMWAKEUP`.
    public enum DomainEventPMWakeup: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 269
        public typealias Body = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_EVENT_PMSUSPEND`.
    public enum DomainEventPMSuspend: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 270
        public typealias Body = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_SNAPSHOT_IS_CURRENT`, virDomainSnapshotIsCurrent.
    public enum DomainSnapshotIsCurrent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 271
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var current: Int32

            public init(current: Int32) {
                self.current = current
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                current = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try current.write(to: &writer)
            }
        }
    }
}
