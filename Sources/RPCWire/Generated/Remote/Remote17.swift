// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_SAVE_IMAGE_GET_XML_DESC`, virDomainSaveImageGetXMLDesc.
    public enum DomainSaveImageGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 235

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var file: String
            public var flags: UInt32

            public init(file: String, flags: UInt32) {
                self.file = file
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                file = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try file.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `DOMAIN_SAVE_IMAGE_DEFINE_XML`, virDomainSaveImageDefineXML.
    public enum DomainSaveImageDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 236

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var file: String
            public var dxml: String
            public var flags: UInt32

            public init(file: String, dxml: String, flags: UInt32) {
                self.file = file
                self.dxml = dxml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                file = try reader.string()
                dxml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try file.write(to: &writer)
                try dxml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_BLOCK_JOB_ABORT`, virDomainBlockJobAbort.
    public enum DomainBlockJobAbort: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 237
        public typealias Arguments = Remote.DomainGetBlockInfo.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_BLOCK_JOB_INFO`, virDomainGetBlockJobInfo.
    public enum DomainGetBlockJobInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 238
        public typealias Arguments = Remote.DomainGetBlockInfo.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var found: Int32
            public var type: Int32
            public var bandwidth: UInt64
            public var cur: UInt64
            public var end: UInt64

            public init(found: Int32, type: Int32, bandwidth: UInt64, cur: UInt64, end: UInt64) {
                self.found = found
                self.type = type
                self.bandwidth = bandwidth
                self.cur = cur
                self.end = end
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                found = try Int32(from: &reader)
                type = try Int32(from: &reader)
                bandwidth = try UInt64(from: &reader)
                cur = try UInt64(from: &reader)
                end = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try found.write(to: &writer)
                try type.write(to: &writer)
                try bandwidth.write(to: &writer)
                try cur.write(to: &writer)
                try end.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_JOB_SET_SPEED`, virDomainBlockJobSetSpeed.
    public enum DomainBlockJobSetSpeed: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 239

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var bandwidth: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, bandwidth: UInt64, flags: UInt32) {
                self.dom = dom
                self.path = path
                self.bandwidth = bandwidth
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                bandwidth = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try bandwidth.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_BLOCK_PULL`, virDomainBlockPull.
    public enum DomainBlockPull: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 240
        public typealias Arguments = Remote.DomainBlockJobSetSpeed.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_BLOCK_JOB`.
    public enum DomainEventBlockJob: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 241

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var type: Int32
            public var status: Int32

            public init(dom: RemoteDomain, path: String, type: Int32, status: Int32) {
                self.dom = dom
                self.path = path
                self.type = type
                self.status = status
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                type = try Int32(from: &reader)
                status = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try type.write(to: &writer)
                try status.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MIGRATE_GET_MAX_SPEED`, virDomainMigrateGetMaxSpeed.
    public enum DomainMigrateGetMaxSpeed: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 242
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var bandwidth: UInt64

            public init(bandwidth: UInt64) {
                self.bandwidth = bandwidth
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                bandwidth = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try bandwidth.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_STATS_FLAGS`, virDomainBlockStatsFlags.
    public enum DomainBlockStatsFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 243

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var nparams: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, nparams: Int32, flags: UInt32) {
                self.dom = dom
                self.path = path
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try nparams.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainGetMemoryParameters.Result
    }

    /// `DOMAIN_SNAPSHOT_GET_PARENT`, virDomainSnapshotGetParent.
    public enum DomainSnapshotGetParent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 244
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments
        public typealias Result = Remote.DomainSnapshotCreateXML.Result
    }

    /// `DOMAIN_RESET`, virDomainReset.
    public enum DomainReset: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 245
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SNAPSHOT_NUM_CHILDREN`, virDomainSnapshotNumChildren.
    public enum DomainSnapshotNumChildren: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 246
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES`, virDomainSnapshotListChildrenNames.
    public enum DomainSnapshotListChildrenNames: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 247

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var snap: RemoteDomainSnapshot
            public var maxnames: Int32
            public var flags: UInt32

            public init(snap: RemoteDomainSnapshot, maxnames: Int32, flags: UInt32) {
                self.snap = snap
                self.maxnames = maxnames
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                snap = try RemoteDomainSnapshot(from: &reader)
                maxnames = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try snap.write(to: &writer)
                try maxnames.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `DOMAIN_EVENT_DISK_CHANGE`.
    public enum DomainEventDiskChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 248

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var oldSrcPath: String?
            public var newSrcPath: String?
            public var devAlias: String
            public var reason: Int32

            public init(dom: RemoteDomain, oldSrcPath: String?, newSrcPath: String?, devAlias: String, reason: Int32) {
                self.dom = dom
                self.oldSrcPath = oldSrcPath
                self.newSrcPath = newSrcPath
                self.devAlias = devAlias
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                oldSrcPath = try reader.optional(String.self)
                newSrcPath = try reader.optional(String.self)
                devAlias = try reader.string()
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(oldSrcPath)
                try writer.optional(newSrcPath)
                try devAlias.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }
}
