// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_SET_TIME`, virDomainSetTime.
    public enum DomainSetTime: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 338

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var seconds: Int64
            public var nseconds: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, seconds: Int64, nseconds: UInt32, flags: UInt32) {
                self.dom = dom
                self.seconds = seconds
                self.nseconds = nseconds
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                seconds = try Int64(from: &reader)
                nseconds = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try seconds.write(to: &writer)
                try nseconds.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_BLOCK_JOB_2`.
    public enum DomainEventBlockJob2: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 339

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var dst: String
            public var type: Int32
            public var status: Int32

            public init(callbackID: Int32, dom: RemoteDomain, dst: String, type: Int32, status: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.dst = dst
                self.type = type
                self.status = status
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                dst = try reader.string()
                type = try Int32(from: &reader)
                status = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try dst.write(to: &writer)
                try type.write(to: &writer)
                try status.write(to: &writer)
            }
        }
    }

    /// `NODE_GET_FREE_PAGES`, virNodeGetFreePages.
    public enum NodeGetFreePages: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 340

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pages: [UInt32]
            public var startCell: Int32
            public var cellCount: UInt32
            public var flags: UInt32

            public init(pages: [UInt32], startCell: Int32, cellCount: UInt32, flags: UInt32) {
                self.pages = pages
                self.startCell = startCell
                self.cellCount = cellCount
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pages = try reader.array(UInt32.self, max: 1024)
                startCell = try Int32(from: &reader)
                cellCount = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(pages, max: 1024)
                try startCell.write(to: &writer)
                try cellCount.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var counts: [UInt64]

            public init(counts: [UInt64]) {
                self.counts = counts
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                counts = try reader.array(UInt64.self, max: 1024)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(counts, max: 1024)
            }
        }
    }

    /// `NETWORK_GET_DHCP_LEASES`, virNetworkGetDHCPLeases.
    public enum NetworkGetDHCPLeases: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 341

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var net: RemoteNetwork
            public var mac: String?
            public var needResults: Int32
            public var flags: UInt32

            public init(net: RemoteNetwork, mac: String?, needResults: Int32, flags: UInt32) {
                self.net = net
                self.mac = mac
                self.needResults = needResults
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                net = try RemoteNetwork(from: &reader)
                mac = try reader.optional(String.self)
                needResults = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try net.write(to: &writer)
                try writer.optional(mac)
                try needResults.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var leases: [RemoteNetworkDHCPLease]
            public var ret: UInt32

            public init(leases: [RemoteNetworkDHCPLease], ret: UInt32) {
                self.leases = leases
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                leases = try reader.array(RemoteNetworkDHCPLease.self, max: 65536)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(leases, max: 65536)
                try ret.write(to: &writer)
            }
        }
    }

    /// `CONNECT_GET_DOMAIN_CAPABILITIES`, virConnectGetDomainCapabilities.
    public enum ConnectGetDomainCapabilities: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 342

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var emulatorbin: String?
            public var arch: String?
            public var machine: String?
            public var virttype: String?
            public var flags: UInt32

            public init(emulatorbin: String?, arch: String?, machine: String?, virttype: String?, flags: UInt32) {
                self.emulatorbin = emulatorbin
                self.arch = arch
                self.machine = machine
                self.virttype = virttype
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                emulatorbin = try reader.optional(String.self)
                arch = try reader.optional(String.self)
                machine = try reader.optional(String.self)
                virttype = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(emulatorbin)
                try writer.optional(arch)
                try writer.optional(machine)
                try writer.optional(virttype)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectGetCapabilities.Result
    }

    /// `DOMAIN_OPEN_GRAPHICS_FD`, virDomainOpenGraphicsFD.
    public enum DomainOpenGraphicsFD: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 343
        public typealias Arguments = Remote.DomainOpenGraphics.Arguments
        public typealias Result = NoPayload
    }

    /// `CONNECT_GET_ALL_DOMAIN_STATS`, virConnectGetAllDomainStats.
    public enum ConnectGetAllDomainStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 344

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var doms: [RemoteDomain]
            public var stats: UInt32
            public var flags: UInt32

            public init(doms: [RemoteDomain], stats: UInt32, flags: UInt32) {
                self.doms = doms
                self.stats = stats
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                doms = try reader.array(RemoteDomain.self, max: 16384)
                stats = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(doms, max: 16384)
                try stats.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var retStats: [RemoteDomainStatsRecord]

            public init(retStats: [RemoteDomainStatsRecord]) {
                self.retStats = retStats
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                retStats = try reader.array(RemoteDomainStatsRecord.self, max: 16384)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(retStats, max: 16384)
            }
        }
    }

    /// `DOMAIN_BLOCK_COPY`, virDomainBlockCopy.
    public enum DomainBlockCopy: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 345

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String
            public var destxml: String
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, path: String, destxml: String, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.path = path
                self.destxml = destxml
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
                destxml = try reader.string()
                params = try reader.array(RemoteTypedParam.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
                try destxml.write(to: &writer)
                try writer.array(params, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_CALLBACK_TUNABLE`.
    public enum DomainEventCallbackTunable: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 346

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
                params = try reader.array(RemoteTypedParam.self, max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try writer.array(params, max: 2048)
            }
        }
    }
}
