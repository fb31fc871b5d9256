// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_SNAPSHOT_LIST_NAMES`, virDomainSnapshotListNames.
    public enum DomainSnapshotListNames: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 188

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var maxnames: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, maxnames: Int32, flags: UInt32) {
                self.dom = dom
                self.maxnames = maxnames
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                maxnames = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try maxnames.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `DOMAIN_SNAPSHOT_LOOKUP_BY_NAME`, virDomainSnapshotLookupByName.
    public enum DomainSnapshotLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 189

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var name: String
            public var flags: UInt32

            public init(dom: RemoteDomain, name: String, flags: UInt32) {
                self.dom = dom
                self.name = name
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                name = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try name.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainSnapshotCreateXML.Result
    }

    /// `DOMAIN_HAS_CURRENT_SNAPSHOT`, virDomainHasCurrentSnapshot.
    public enum DomainHasCurrentSnapshot: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 190
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.ConnectCompareCPU.Result
    }

    /// `DOMAIN_SNAPSHOT_CURRENT`, virDomainSnapshotCurrent.
    public enum DomainSnapshotCurrent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 191
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainSnapshotCreateXML.Result
    }

    /// `DOMAIN_REVERT_TO_SNAPSHOT`, virDomainRevertToSnapshot.
    public enum DomainRevertToSnapshot: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 192
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SNAPSHOT_DELETE`, virDomainSnapshotDelete.
    public enum DomainSnapshotDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 193
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_BLOCK_INFO`, virDomainGetBlockInfo.
    public enum DomainGetBlockInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 194

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, flags: UInt32) {
                self.dom = dom
                self.path = path
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var allocation: UInt64
            public var capacity: UInt64
            public var physical: UInt64

            public init(allocation: UInt64, capacity: UInt64, physical: UInt64) {
                self.allocation = allocation
                self.capacity = capacity
                self.physical = physical
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                allocation = try UInt64(from: &reader)
                capacity = try UInt64(from: &reader)
                physical = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try allocation.write(to: &writer)
                try capacity.write(to: &writer)
                try physical.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_IO_ERROR_REASON`.
    public enum DomainEventIOErrorReason: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 195

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var srcPath: String
            public var devAlias: String
            public var action: Int32
            public var reason: String

            public init(dom: RemoteDomain, srcPath: String, devAlias: String, action: Int32, reason: String) {
                self.dom = dom
                self.srcPath = srcPath
                self.devAlias = devAlias
                self.action = action
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                srcPath = try reader.string()
                devAlias = try reader.string()
                action = try Int32(from: &reader)
                reason = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try srcPath.write(to: &writer)
                try devAlias.write(to: &writer)
                try action.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_CREATE_WITH_FLAGS`, virDomainCreateWithFlags.
    public enum DomainCreateWithFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 196
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_SET_MEMORY_PARAMETERS`, virDomainSetMemoryParameters.
    public enum DomainSetMemoryParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 197

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
                params = try reader.array(RemoteTypedParam.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.array(params, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_MEMORY_PARAMETERS`, virDomainGetMemoryParameters.
    public enum DomainGetMemoryParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 198

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var nparams: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, nparams: Int32, flags: UInt32) {
                self.dom = dom
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try nparams.write(to: &writer)
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
                params = try reader.array(RemoteTypedParam.self, max: 16)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 16)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_VCPUS_FLAGS`, virDomainSetVcpusFlags.
    public enum DomainSetVCPUsFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 199

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var nvcpus: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, nvcpus: UInt32, flags: UInt32) {
                self.dom = dom
                self.nvcpus = nvcpus
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                nvcpus = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try nvcpus.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_VCPUS_FLAGS`, virDomainGetVcpusFlags.
    public enum DomainGetVCPUsFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 200
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `DOMAIN_OPEN_CONSOLE`, virDomainOpenConsole.
    public enum DomainOpenConsole: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 201

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var devName: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, devName: String?, flags: UInt32) {
                self.dom = dom
                self.devName = devName
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                devName = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(devName)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
