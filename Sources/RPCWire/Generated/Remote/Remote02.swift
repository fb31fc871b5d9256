// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_GET_AUTOSTART`, virDomainGetAutostart.
    public enum DomainGetAutostart: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 15
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var autostart: Int32

            public init(autostart: Int32) {
                self.autostart = autostart
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                autostart = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try autostart.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_INFO`, virDomainGetInfo.
    public enum DomainGetInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 16
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var state: UInt8
            public var maxMem: UInt64
            public var memory: UInt64
            public var nrVirtCpu: UInt16
            public var cpuTime: UInt64

            public init(state: UInt8, maxMem: UInt64, memory: UInt64, nrVirtCpu: UInt16, cpuTime: UInt64) {
                self.state = state
                self.maxMem = maxMem
                self.memory = memory
                self.nrVirtCpu = nrVirtCpu
                self.cpuTime = cpuTime
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                state = try UInt8(from: &reader)
                maxMem = try UInt64(from: &reader)
                memory = try UInt64(from: &reader)
                nrVirtCpu = try UInt16(from: &reader)
                cpuTime = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try state.write(to: &writer)
                try maxMem.write(to: &writer)
                try memory.write(to: &writer)
                try nrVirtCpu.write(to: &writer)
                try cpuTime.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_MAX_MEMORY`, virDomainGetMaxMemory.
    public enum DomainGetMaxMemory: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 17
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var memory: UInt64

            public init(memory: UInt64) {
                self.memory = memory
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                memory = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try memory.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_MAX_VCPUS`, virDomainGetMaxVcpus.
    public enum DomainGetMaxVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 18
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var num: Int32

            public init(num: Int32) {
                self.num = num
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                num = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try num.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_OS_TYPE`, virDomainGetOSType.
    public enum DomainGetOSType: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 19
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = Remote.ConnectGetType.Result
    }

    /// `DOMAIN_GET_VCPUS`, virDomainGetVcpus.
    public enum DomainGetVCPUs: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 20

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var maxinfo: Int32
            public var maplen: Int32

            public init(dom: RemoteDomain, maxinfo: Int32, maplen: Int32) {
                self.dom = dom
                self.maxinfo = maxinfo
                self.maplen = maplen
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                maxinfo = try Int32(from: &reader)
                maplen = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try maxinfo.write(to: &writer)
                try maplen.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var info: [RemoteVCPUInfo]
            public var cpumaps: [UInt8]

            public init(info: [RemoteVCPUInfo], cpumaps: [UInt8]) {
                self.info = info
                self.cpumaps = cpumaps
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                info = try reader.array(RemoteVCPUInfo.self, max: 16384)
                cpumaps = try reader.opaque(max: 8388608)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(info, max: 16384)
                try writer.opaque(cpumaps, max: 8388608)
            }
        }
    }

    /// `CONNECT_LIST_DEFINED_DOMAINS`, virConnectListDefinedDomains.
    public enum ConnectListDefinedDomains: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 21

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var maxnames: Int32

            public init(maxnames: Int32) {
                self.maxnames = maxnames
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                maxnames = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try maxnames.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var names: [String]

            public init(names: [String]) {
                self.names = names
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                names = try reader.array(String.self, max: 16384)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(names, max: 16384)
            }
        }
    }

    /// `DOMAIN_LOOKUP_BY_ID`, virDomainLookupByID.
    public enum DomainLookupByID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 22

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var id: Int32

            public init(id: Int32) {
                self.id = id
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                id = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try id.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_LOOKUP_BY_NAME`, virDomainLookupByName.
    public enum DomainLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 23

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var name: String

            public init(name: String) {
                self.name = name
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                name = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try name.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_LOOKUP_BY_UUID`, virDomainLookupByUUID.
    public enum DomainLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 24

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var uuid: UUIDBytes

            public init(uuid: UUIDBytes) {
                self.uuid = uuid
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                uuid = try UUIDBytes(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try uuid.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `CONNECT_NUM_OF_DEFINED_DOMAINS`, virConnectNumOfDefinedDomains.
    public enum ConnectNumOfDefinedDomains: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 25
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `DOMAIN_PIN_VCPU`, virDomainPinVcpu.
    public enum DomainPinVCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 26

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var vcpu: UInt32
            public var cpumap: [UInt8]

            public init(dom: RemoteDomain, vcpu: UInt32, cpumap: [UInt8]) {
                self.dom = dom
                self.vcpu = vcpu
                self.cpumap = cpumap
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                vcpu = try UInt32(from: &reader)
                cpumap = try reader.opaque(max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try vcpu.write(to: &writer)
                try writer.opaque(cpumap, max: 2048)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_REBOOT`, virDomainReboot.
    public enum DomainReboot: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 27
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_RESUME`, virDomainResume.
    public enum DomainResume: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 28
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }
}
