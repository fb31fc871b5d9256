// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `NODE_ALLOC_PAGES`, virNodeAllocPages.
    public enum NodeAllocPages: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 347

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pageSizes: [UInt32]
            public var pageCounts: [UInt64]
            public var startCell: Int32
            public var cellCount: UInt32
            public var flags: UInt32

            public init(pageSizes: [UInt32], pageCounts: [UInt64], startCell: Int32, cellCount: UInt32, flags: UInt32) {
                self.pageSizes = pageSizes
                self.pageCounts = pageCounts
                self.startCell = startCell
                self.cellCount = cellCount
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pageSizes = try reader.array(UInt32.self, max: 1024)
                pageCounts = try reader.array(UInt64.self, max: 1024)
                startCell = try Int32(from: &reader)
                cellCount = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(pageSizes, max: 1024)
                try writer.array(pageCounts, max: 1024)
                try startCell.write(to: &writer)
                try cellCount.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var ret: Int32

            public init(ret: Int32) {
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ret = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE`.
    public enum DomainEventCallbackAgentLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 348

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var state: Int32
            public var reason: Int32

            public init(callbackID: Int32, dom: RemoteDomain, state: Int32, reason: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.state = state
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                state = try Int32(from: &reader)
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try state.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_FSINFO`, virDomainGetFSInfo.
    public enum DomainGetFSInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 349
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var info: [RemoteDomainFSInfo]
            public var ret: UInt32

            public init(info: [RemoteDomainFSInfo], ret: UInt32) {
                self.info = info
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                info = try reader.array(RemoteDomainFSInfo.self, max: 256)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(info, max: 256)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_DEFINE_XML_FLAGS`, virDomainDefineXMLFlags.
    public enum DomainDefineXMLFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 350
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_GET_IOTHREAD_INFO`, virDomainGetIOThreadInfo.
    public enum DomainGetIOThreadInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 351
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var info: [RemoteDomainIOThreadInfo]
            public var ret: UInt32

            public init(info: [RemoteDomainIOThreadInfo], ret: UInt32) {
                self.info = info
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                info = try reader.array(RemoteDomainIOThreadInfo.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(info, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_PIN_IOTHREAD`, virDomainPinIOThread.
    public enum DomainPinIOThread: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 352

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var iothreadsId: UInt32
            public var cpumap: [UInt8]
            public var flags: UInt32

            public init(dom: RemoteDomain, iothreadsId: UInt32, cpumap: [UInt8], flags: UInt32) {
                self.dom = dom
                self.iothreadsId = iothreadsId
                self.cpumap = cpumap
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                iothreadsId = try UInt32(from: &reader)
                cpumap = try reader.opaque(max: 2048)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try iothreadsId.write(to: &writer)
                try writer.opaque(cpumap, max: 2048)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_INTERFACE_ADDRESSES`, virDomainInterfaceAddresses.
    public enum DomainInterfaceAddresses: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 353

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var source: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, source: UInt32, flags: UInt32) {
                self.dom = dom
                self.source = source
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                source = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try source.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var ifaces: [RemoteDomainInterface]

            public init(ifaces: [RemoteDomainInterface]) {
                self.ifaces = ifaces
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                ifaces = try reader.array(RemoteDomainInterface.self, max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(ifaces, max: 2048)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_DEVICE_ADDED`.
    public enum DomainEventCallbackDeviceAdded: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 354
        public typealias Body = Remote.DomainEventCallbackDeviceRemoved.Body
    }

    /// `DOMAIN_ADD_IOTHREAD`, virDomainAddIOThread.
    public enum DomainAddIOThread: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 355

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var iothreadId: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, iothreadId: UInt32, flags: UInt32) {
                self.dom = dom
                self.iothreadId = iothreadId
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                iothreadId = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try iothreadId.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_DEL_IOTHREAD`, virDomainDelIOThread.
    public enum DomainDelIOThread: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 356
        public typealias Arguments = Remote.DomainAddIOThread.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_USER_PASSWORD`, virDomainSetUserPassword.
    public enum DomainSetUserPassword: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 357

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var user: String?
            public var password: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, user: String?, password: String?, flags: UInt32) {
                self.dom = dom
                self.user = user
                self.password = password
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                user = try reader.optional(String.self)
                password = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(user)
                try writer.optional(password)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
