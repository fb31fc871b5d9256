// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_SNAPSHOT_HAS_METADATA`, virDomainSnapshotHasMetadata.
    public enum DomainSnapshotHasMetadata: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 272
        public typealias Arguments = Remote.DomainSnapshotGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var metadata: Int32

            public init(metadata: Int32) {
                self.metadata = metadata
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                metadata = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try metadata.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_DOMAINS`, virConnectListAllDomains.
    public enum ConnectListAllDomains: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 273

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var needResults: Int32
            public var flags: UInt32

            public init(needResults: Int32, flags: UInt32) {
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var domains: [RemoteDomain]
            public var ret: UInt32

            public init(domains: [RemoteDomain], ret: UInt32) {
                self.domains = domains
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                domains = try reader.array(RemoteDomain.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(domains, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_LIST_ALL_SNAPSHOTS`, virDomainListAllSnapshots.
    public enum DomainListAllSnapshots: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 274

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var needResults: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, needResults: Int32, flags: UInt32) {
                self.dom = dom
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var snapshots: [RemoteDomainSnapshot]
            public var ret: Int32

            public init(snapshots: [RemoteDomainSnapshot], ret: Int32) {
                self.snapshots = snapshots
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                snapshots = try reader.array(RemoteDomainSnapshot.self, max: 16384)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(snapshots, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN`, virDomainSnapshotListAllChildren.
    public enum DomainSnapshotListAllChildren: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 275

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var snapshot: RemoteDomainSnapshot
            public var needResults: Int32
            public var flags: UInt32

            public init(snapshot: RemoteDomainSnapshot, needResults: Int32, flags: UInt32) {
                self.snapshot = snapshot
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                snapshot = try RemoteDomainSnapshot(from: &reader)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try snapshot.write(to: &writer)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainListAllSnapshots.Result
    }

    /// `DOMAIN_EVENT_BALLOON_CHANGE`.
    public enum DomainEventBalloonChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 276

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var actual: UInt64

            public init(dom: RemoteDomain, actual: UInt64) {
                self.dom = dom
                self.actual = actual
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                actual = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try actual.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_HOSTNAME`, virDomainGetHostname.
    public enum DomainGetHostname: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 277
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.ConnectGetHostname.Result
    }

    /// `DOMAIN_GET_SECURITY_LABEL_LIST`, virDomainGetSecurityLabelList.
    public enum DomainGetSecurityLabelList: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 278
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var labels: [RemoteDomainGetSecurityLabelRet]
            public var ret: Int32

            public init(labels: [RemoteDomainGetSecurityLabelRet], ret: Int32) {
                self.labels = labels
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                labels = try reader.array(RemoteDomainGetSecurityLabelRet.self, max: 64)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(labels, max: 64)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_PIN_EMULATOR`, virDomainPinEmulator.
    public enum DomainPinEmulator: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 279

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cpumap: [UInt8]
            public var flags: UInt32

            public init(dom: RemoteDomain, cpumap: [UInt8], flags: UInt32) {
                self.dom = dom
                self.cpumap = cpumap
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cpumap = try reader.opaque(max: 2048)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.opaque(cpumap, max: 2048)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_EMULATOR_PIN_INFO`, virDomainGetEmulatorPinInfo.
    public enum DomainGetEmulatorPinInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 280

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var maplen: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, maplen: Int32, flags: UInt32) {
                self.dom = dom
                self.maplen = maplen
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                maplen = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try maplen.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cpumaps: [UInt8]
            public var ret: Int32

            public init(cpumaps: [UInt8], ret: Int32) {
                self.cpumaps = cpumaps
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cpumaps = try reader.opaque(max: 8388608)
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cpumaps, max: 8388608)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_LIST_ALL_STORAGE_POOLS`, virConnectListAllStoragePools.
    public enum ConnectListAllStoragePools: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 281
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var pools: [RemoteStoragePool]
            public var ret: UInt32

            public init(pools: [RemoteStoragePool], ret: UInt32) {
                self.pools = pools
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pools = try reader.array(RemoteStoragePool.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(pools, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }
}
