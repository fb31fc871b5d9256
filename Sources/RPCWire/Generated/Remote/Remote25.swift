// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_EVENT_CALLBACK_BLOCK_JOB`.
    public enum DomainEventCallbackBlockJob: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 326

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var path: String
            public var type: Int32
            public var status: Int32

            public init(callbackID: Int32, dom: RemoteDomain, path: String, type: Int32, status: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.path = path
                self.type = type
                self.status = status
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                type = try Int32(from: &reader)
                status = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try type.write(to: &writer)
                try status.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_DISK_CHANGE`.
    public enum DomainEventCallbackDiskChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 327

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var oldSrcPath: String?
            public var newSrcPath: String?
            public var devAlias: String
            public var reason: Int32

            public init(
                callbackID: Int32, dom: RemoteDomain, oldSrcPath: String?, newSrcPath: String?, devAlias: String,
                reason: Int32
            ) {
                self.callbackID = callbackID
                self.dom = dom
                self.oldSrcPath = oldSrcPath
                self.newSrcPath = newSrcPath
                self.devAlias = devAlias
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                oldSrcPath = try reader.optional(String.self)
                newSrcPath = try reader.optional(String.self)
                devAlias = try reader.string()
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try writer.optional(oldSrcPath)
                try writer.optional(newSrcPath)
                try devAlias.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_TRAY_CHANGE`.
    public enum DomainEventCallbackTrayChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 328

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var devAlias: String
            public var reason: Int32

            public init(callbackID: Int32, dom: RemoteDomain, devAlias: String, reason: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.devAlias = devAlias
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                devAlias = try reader.string()
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try devAlias.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_PMWAKEUP`.
    public enum DomainEventCallbackPMWakeup: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 329

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var reason: Int32
            public var dom: RemoteDomain

            public init(callbackID: Int32, reason: Int32, dom: RemoteDomain) {
                self.callbackID = callbackID
                self.reason = reason
                self.dom = dom
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                reason = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try reason.write(to: &writer)
                try dom.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_PMSUSPEND`.
    public enum DomainEventCallbackPMSuspend: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 330
        public typealias Body = Remote.DomainEventCallbackPMWakeup.Body
    }

    /// `DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE`.
    public enum DomainEventCallbackBalloonChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 331

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var actual: UInt64

            public init(callbackID: Int32, dom: RemoteDomain, actual: UInt64) {
                self.callbackID = callbackID
                self.dom = dom
                self.actual = actual
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                actual = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try actual.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK`.
    public enum DomainEventCallbackPMSuspendDisk: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 332
        public typealias Body = Remote.DomainEventCallbackPMWakeup.Body
    }

    /// `DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED`.
    public enum DomainEventCallbackDeviceRemoved: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 333

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var devAlias: String

            public init(callbackID: Int32, dom: RemoteDomain, devAlias: String) {
                self.callbackID = callbackID
                self.dom = dom
                self.devAlias = devAlias
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                devAlias = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try devAlias.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_CORE_DUMP_WITH_FORMAT`, virDomainCoreDumpWithFormat.
    public enum DomainCoreDumpWithFormat: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 334

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var to: String
            public var dumpformat: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, to: String, dumpformat: UInt32, flags: UInt32) {
                self.dom = dom
                self.to = to
                self.dumpformat = dumpformat
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                to = try reader.string()
                dumpformat = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try to.write(to: &writer)
                try dumpformat.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_FSFREEZE`, virDomainFSFreeze.
    public enum DomainFSFreeze: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 335

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var mountpoints: [String]
            public var flags: UInt32

            public init(dom: RemoteDomain, mountpoints: [String], flags: UInt32) {
                self.dom = dom
                self.mountpoints = mountpoints
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                mountpoints = try reader.array(String.self, max: 256)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.array(mountpoints, max: 256)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var filesystems: Int32

            public init(filesystems: Int32) {
                self.filesystems = filesystems
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                filesystems = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try filesystems.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_FSTHAW`, virDomainFSThaw.
    public enum DomainFSThaw: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 336
        public typealias Arguments = Remote.DomainFSFreeze.Arguments
        public typealias Result = Remote.DomainFSFreeze.Result
    }

    /// `DOMAIN_GET_TIME`, virDomainGetTime.
    public enum DomainGetTime: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 337
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var seconds: Int64
            public var nseconds: UInt32

            public init(seconds: Int64, nseconds: UInt32) {
                self.seconds = seconds
                self.nseconds = nseconds
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                seconds = try Int64(from: &reader)
                nseconds = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try seconds.write(to: &writer)
                try nseconds.write(to: &writer)
            }
        }
    }
}
