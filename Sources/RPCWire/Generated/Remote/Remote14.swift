// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_IS_UPDATED`, virDomainIsUpdated.
    public enum DomainIsUpdated: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 202
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var updated: Int32

            public init(updated: Int32) {
                self.updated = updated
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                updated = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try updated.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_SYSINFO`, virConnectGetSysinfo.
    public enum ConnectGetSysinfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 203

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var flags: UInt32

            public init(flags: UInt32) {
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var sysinfo: String

            public init(sysinfo: String) {
                self.sysinfo = sysinfo
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                sysinfo = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try sysinfo.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_MEMORY_FLAGS`, virDomainSetMemoryFlags.
    public enum DomainSetMemoryFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 204

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var memory: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, memory: UInt64, flags: UInt32) {
                self.dom = dom
                self.memory = memory
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                memory = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try memory.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_BLKIO_PARAMETERS`, virDomainSetBlkioParameters.
    public enum DomainSetBlockIOParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 205
        public typealias Arguments = Remote.DomainSetMemoryParameters.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_BLKIO_PARAMETERS`, virDomainGetBlkioParameters.
    public enum DomainGetBlockIOParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 206
        public typealias Arguments = Remote.DomainGetMemoryParameters.Arguments
        public typealias Result = Remote.DomainGetMemoryParameters.Result
    }

    /// `DOMAIN_MIGRATE_SET_MAX_SPEED`, virDomainMigrateSetMaxSpeed.
    public enum DomainMigrateSetMaxSpeed: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 207

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var bandwidth: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, bandwidth: UInt64, flags: UInt32) {
                self.dom = dom
                self.bandwidth = bandwidth
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                bandwidth = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try bandwidth.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_UPLOAD`, virStorageVolUpload.
    public enum StorageVolUpload: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 208

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var vol: RemoteStorageVol
            public var offset: UInt64
            public var length: UInt64
            public var flags: UInt32

            public init(vol: RemoteStorageVol, offset: UInt64, length: UInt64, flags: UInt32) {
                self.vol = vol
                self.offset = offset
                self.length = length
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vol = try RemoteStorageVol(from: &reader)
                offset = try UInt64(from: &reader)
                length = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try vol.write(to: &writer)
                try offset.write(to: &writer)
                try length.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_DOWNLOAD`, virStorageVolDownload.
    public enum StorageVolDownload: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 209
        public typealias Arguments = Remote.StorageVolUpload.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_INJECT_NMI`, virDomainInjectNMI.
    public enum DomainInjectNMI: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 210
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SCREENSHOT`, virDomainScreenshot.
    public enum DomainScreenshot: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 211

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var screen: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, screen: UInt32, flags: UInt32) {
                self.dom = dom
                self.screen = screen
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                screen = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try screen.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var mime: String?

            public init(mime: String?) {
                self.mime = mime
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                mime = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(mime)
            }
        }
    }

    /// `DOMAIN_GET_STATE`, virDomainGetState.
    public enum DomainGetState: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 212
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var state: Int32
            public var reason: Int32

            public init(state: Int32, reason: Int32) {
                self.state = state
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                state = try Int32(from: &reader)
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try state.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MIGRATE_BEGIN3`, virDomainMigrateBegin3.
    public enum DomainMigrateBegin3: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 213

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var xmlin: String?
            public var flags: UInt64
            public var dname: String?
            public var resource: UInt64

            public init(dom: RemoteDomain, xmlin: String?, flags: UInt64, dname: String?, resource: UInt64) {
                self.dom = dom
                self.xmlin = xmlin
                self.flags = flags
                self.dname = dname
                self.resource = resource
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                xmlin = try reader.optional(String.self)
                flags = try UInt64(from: &reader)
                dname = try reader.optional(String.self)
                resource = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(xmlin)
                try flags.write(to: &writer)
                try writer.optional(dname)
                try resource.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cookieOut: [UInt8]
            public var xml: String

            public init(cookieOut: [UInt8], xml: String) {
                self.cookieOut = cookieOut
                self.xml = xml
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cookieOut = try reader.opaque(max: 4194304)
                xml = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cookieOut, max: 4194304)
                try xml.write(to: &writer)
            }
        }
    }
}
