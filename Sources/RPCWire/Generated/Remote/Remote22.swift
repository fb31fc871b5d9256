// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_EVENT_PMSUSPEND_DISK`.
    public enum DomainEventPMSuspendDisk: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 292
        public typealias Body = Remote.DomainCreate.Arguments
    }

    /// `NODE_GET_CPU_MAP`, virNodeGetCPUMap.
    public enum NodeGetCPUMap: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 293

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var needMap: Int32
            public var needOnline: Int32
            public var flags: UInt32

            public init(needMap: Int32, needOnline: Int32, flags: UInt32) {
                self.needMap = needMap
                self.needOnline = needOnline
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                needMap = try Int32(from: &reader)
                needOnline = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try needMap.write(to: &writer)
                try needOnline.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cpumap: [UInt8]
            public var online: UInt32
            public var ret: Int32

            public init(cpumap: [UInt8], online: UInt32, ret: Int32) {
                self.cpumap = cpumap
                self.online = online
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cpumap = try reader.opaque(max: 2048)
                online = try UInt32(from: &reader)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cpumap, max: 2048)
                try online.write(to: &writer)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_FSTRIM`, virDomainFSTrim.
    public enum DomainFSTrim: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 294

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var mountPoint: String?
            public var minimum: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, mountPoint: String?, minimum: UInt64, flags: UInt32) {
                self.dom = dom
                self.mountPoint = mountPoint
                self.minimum = minimum
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                mountPoint = try reader.optional(String.self)
                minimum = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(mountPoint)
                try minimum.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SEND_PROCESS_SIGNAL`, virDomainSendProcessSignal.
    public enum DomainSendProcessSignal: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 295

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var pidValue: Int64
            public var signum: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, pidValue: Int64, signum: UInt32, flags: UInt32) {
                self.dom = dom
                self.pidValue = pidValue
                self.signum = signum
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                pidValue = try Int64(from: &reader)
                signum = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try pidValue.write(to: &writer)
                try signum.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_OPEN_CHANNEL`, virDomainOpenChannel.
    public enum DomainOpenChannel: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 296

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var name: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, name: String?, flags: UInt32) {
                self.dom = dom
                self.name = name
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                name = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(name)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN`, virNodeDeviceLookupSCSIHostByWWN.
    public enum NodeDeviceLookupSCSIHostByWWN: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 297

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var wwnn: String
            public var wwpn: String
            public var flags: UInt32

            public init(wwnn: String, wwpn: String, flags: UInt32) {
                self.wwnn = wwnn
                self.wwpn = wwpn
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                wwnn = try reader.string()
                wwpn = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try wwnn.write(to: &writer)
                try wwpn.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.NodeDeviceLookupByName.Result
    }

    /// `DOMAIN_GET_JOB_STATS`, virDomainGetJobStats.
    public enum DomainGetJobStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 298
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var type: Int32
            public var params: [RemoteTypedParam]

            public init(type: Int32, params: [RemoteTypedParam]) {
                self.type = type
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try Int32(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 64)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
                try writer.array(params, max: 64)
            }
        }
    }

    /// `DOMAIN_MIGRATE_GET_COMPRESSION_CACHE`, virDomainMigrateGetCompressionCache.
    public enum DomainMigrateGetCompressionCache: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 299
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var cacheSize: UInt64

            public init(cacheSize: UInt64) {
                self.cacheSize = cacheSize
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cacheSize = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try cacheSize.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MIGRATE_SET_COMPRESSION_CACHE`, virDomainMigrateSetCompressionCache.
    public enum DomainMigrateSetCompressionCache: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 300

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cacheSize: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, cacheSize: UInt64, flags: UInt32) {
                self.dom = dom
                self.cacheSize = cacheSize
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cacheSize = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try cacheSize.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_DETACH_FLAGS`, virNodeDeviceDetachFlags.
    public enum NodeDeviceDetachFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 301

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String
            public var driverName: String?
            public var flags: UInt32

            public init(name: String, driverName: String?, flags: UInt32) {
                self.name = name
                self.driverName = driverName
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
                driverName = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
                try writer.optional(driverName)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_MIGRATE_BEGIN3_PARAMS`, virDomainMigrateBegin3Params.
    public enum DomainMigrateBegin3Params: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 302

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 64)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.array(params, max: 64)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainMigrateBegin3.Result
    }
}
