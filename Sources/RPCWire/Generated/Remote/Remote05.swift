// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_MIGRATE_FINISH`, virDomainMigrateFinish.
    public enum DomainMigrateFinish: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 63

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dname: String
            public var cookie: [UInt8]
            public var uri: String
            public var flags: UInt64

            public init(dname: String, cookie: [UInt8], uri: String, flags: UInt64) {
                self.dname = dname
                self.cookie = cookie
                self.uri = uri
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dname = try reader.string()
                cookie = try reader.opaque(max: 4194304)
                uri = try reader.string()
                flags = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dname.write(to: &writer)
                try writer.opaque(cookie, max: 4194304)
                try uri.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var ddom: RemoteDomain

            public init(ddom: RemoteDomain) {
                self.ddom = ddom
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ddom = try RemoteDomain(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try ddom.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_BLOCK_STATS`, virDomainBlockStats.
    public enum DomainBlockStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 64

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var path: String

            public init(dom: RemoteDomain, path: String) {
                self.dom = dom
                self.path = path
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                path = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try path.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var rdReq: Int64
            public var rdBytes: Int64
            public var wrReq: Int64
            public var wrBytes: Int64
            public var errs: Int64

            public init(rdReq: Int64, rdBytes: Int64, wrReq: Int64, wrBytes: Int64, errs: Int64) {
                self.rdReq = rdReq
                self.rdBytes = rdBytes
                self.wrReq = wrReq
                self.wrBytes = wrBytes
                self.errs = errs
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                rdReq = try Int64(from: &reader)
                rdBytes = try Int64(from: &reader)
                wrReq = try Int64(from: &reader)
                wrBytes = try Int64(from: &reader)
                errs = try Int64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try rdReq.write(to: &writer)
                try rdBytes.write(to: &writer)
                try wrReq.write(to: &writer)
                try wrBytes.write(to: &writer)
                try errs.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_INTERFACE_STATS`, virDomainInterfaceStats.
    public enum DomainInterfaceStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 65

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var device: String

            public init(dom: RemoteDomain, device: String) {
                self.dom = dom
                self.device = device
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                device = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try device.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var rxBytes: Int64
            public var rxPackets: Int64
            public var rxErrs: Int64
            public var rxDrop: Int64
            public var txBytes: Int64
            public var txPackets: Int64
            public var txErrs: Int64
            public var txDrop: Int64

            public init(
                rxBytes: Int64, rxPackets: Int64, rxErrs: Int64, rxDrop: Int64, txBytes: Int64, txPackets: Int64,
                txErrs: Int64, txDrop: Int64
            ) {
                self.rxBytes = rxBytes
                self.rxPackets = rxPackets
                self.rxErrs = rxErrs
                self.rxDrop = rxDrop
                self.txBytes = txBytes
                self.txPackets = txPackets
                self.txErrs = txErrs
                self.txDrop = txDrop
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                rxBytes = try Int64(from: &reader)
                rxPackets = try Int64(from: &reader)
                rxErrs = try Int64(from: &reader)
                rxDrop = try Int64(from: &reader)
                txBytes = try Int64(from: &reader)
                txPackets = try Int64(from: &reader)
                txErrs = try Int64(from: &reader)
                txDrop = try Int64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try rxBytes.write(to: &writer)
                try rxPackets.write(to: &writer)
                try rxErrs.write(to: &writer)
                try rxDrop.write(to: &writer)
                try txBytes.write(to: &writer)
                try txPackets.write(to: &writer)
                try txErrs.write(to: &writer)
                try txDrop.write(to: &writer)
            }
        }
    }

    /// `AUTH_LIST`.
    public enum AuthList: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 66
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var types: [Int32]

            public init(types: [Int32]) {
                self.types = types
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                types = try reader.array(Int32.self, max: 20)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(types, max: 20)
            }
        }
    }

    /// `AUTH_SASL_INIT`.
    public enum AuthSASLInit: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 67
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var mechlist: String

            public init(mechlist: String) {
                self.mechlist = mechlist
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                mechlist = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try mechlist.write(to: &writer)
            }
        }
    }

    /// `AUTH_SASL_START`.
    public enum AuthSASLStart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 68

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var mech: String
            public var `nil`: Int32
            public var data: [Int8]

            public init(mech: String, `nil`: Int32, data: [Int8]) {
                self.mech = mech
                self.nil = `nil`
                self.data = data
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                mech = try reader.string()
                `nil` = try Int32(from: &reader)
                data = try reader.array(Int8.self, max: 65536)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try mech.write(to: &writer)
                try `nil`.write(to: &writer)
                try writer.array(data, max: 65536)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var complete: Int32
            public var `nil`: Int32
            public var data: [Int8]

            public init(complete: Int32, `nil`: Int32, data: [Int8]) {
                self.complete = complete
                self.nil = `nil`
                self.data = data
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                complete = try Int32(from: &reader)
                `nil` = try Int32(from: &reader)
                data = try reader.array(Int8.self, max: 65536)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try complete.write(to: &writer)
                try `nil`.write(to: &writer)
                try writer.array(data, max: 65536)
            }
        }
    }

    /// `AUTH_SASL_STEP`.
    public enum AuthSASLStep: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 69

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var `nil`: Int32
            public var data: [Int8]

            public init(`nil`: Int32, data: [Int8]) {
                self.nil = `nil`
                self.data = data
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                `nil` = try Int32(from: &reader)
                data = try reader.array(Int8.self, max: 65536)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try `nil`.write(to: &writer)
                try writer.array(data, max: 65536)
            }
        }
        public typealias Result = Remote.AuthSASLStart.Result
    }

    /// `AUTH_POLKIT`.
    public enum AuthPolkit: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 70
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var complete: Int32

            public init(complete: Int32) {
                self.complete = complete
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                complete = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try complete.write(to: &writer)
            }
        }
    }

    /// `CONNECT_NUM_OF_STORAGE_POOLS`, virConnectNumOfStoragePools.
    public enum ConnectNumOfStoragePools: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 71
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_LIST_STORAGE_POOLS`, virConnectListStoragePools.
    public enum ConnectListStoragePools: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 72
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }
}
