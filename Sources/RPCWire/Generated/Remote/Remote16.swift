// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_PIN_VCPU_FLAGS`, virDomainPinVcpuFlags.
    public enum DomainPinVCPUFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 225

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var vcpu: UInt32
            public var cpumap: [UInt8]
            public var flags: UInt32

            public init(dom: RemoteDomain, vcpu: UInt32, cpumap: [UInt8], flags: UInt32) {
                self.dom = dom
                self.vcpu = vcpu
                self.cpumap = cpumap
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                vcpu = try UInt32(from: &reader)
                cpumap = try reader.opaque(max: 2048)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try vcpu.write(to: &writer)
                try writer.opaque(cpumap, max: 2048)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SEND_KEY`, virDomainSendKey.
    public enum DomainSendKey: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 226

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var codeset: UInt32
            public var holdtime: UInt32
            public var keycodes: [UInt32]
            public var flags: UInt32

            public init(dom: RemoteDomain, codeset: UInt32, holdtime: UInt32, keycodes: [UInt32], flags: UInt32) {
                self.dom = dom
                self.codeset = codeset
                self.holdtime = holdtime
                self.keycodes = keycodes
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                codeset = try UInt32(from: &reader)
                holdtime = try UInt32(from: &reader)
                keycodes = try reader.array(UInt32.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try codeset.write(to: &writer)
                try holdtime.write(to: &writer)
                try writer.array(keycodes, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_GET_CPU_STATS`, virNodeGetCPUStats.
    public enum NodeGetCPUStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 227

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var cpuNum: Int32
            public var nparams: Int32
            public var flags: UInt32

            public init(cpuNum: Int32, nparams: Int32, flags: UInt32) {
                self.cpuNum = cpuNum
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cpuNum = try Int32(from: &reader)
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try cpuNum.write(to: &writer)
                try nparams.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteNodeGetCPUStats]
            public var nparams: Int32

            public init(params: [RemoteNodeGetCPUStats], nparams: Int32) {
                self.params = params
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteNodeGetCPUStats.self, max: 16)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 16)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `NODE_GET_MEMORY_STATS`, virNodeGetMemoryStats.
    public enum NodeGetMemoryStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 228

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nparams: Int32
            public var cellNum: Int32
            public var flags: UInt32

            public init(nparams: Int32, cellNum: Int32, flags: UInt32) {
                self.nparams = nparams
                self.cellNum = cellNum
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nparams = try Int32(from: &reader)
                cellNum = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nparams.write(to: &writer)
                try cellNum.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteNodeGetMemoryStats]
            public var nparams: Int32

            public init(params: [RemoteNodeGetMemoryStats], nparams: Int32) {
                self.params = params
                self.nparams = nparams
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteNodeGetMemoryStats.self, max: 16)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 16)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_CONTROL_INFO`, virDomainGetControlInfo.
    public enum DomainGetControlInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 229
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var state: UInt32
            public var details: UInt32
            public var stateTime: UInt64

            public init(state: UInt32, details: UInt32, stateTime: UInt64) {
                self.state = state
                self.details = details
                self.stateTime = stateTime
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                state = try UInt32(from: &reader)
                details = try UInt32(from: &reader)
                stateTime = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try state.write(to: &writer)
                try details.write(to: &writer)
                try stateTime.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_VCPU_PIN_INFO`, virDomainGetVcpuPinInfo.
    public enum DomainGetVCPUPinInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 230

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var ncpumaps: Int32
            public var maplen: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, ncpumaps: Int32, maplen: Int32, flags: UInt32) {
                self.dom = dom
                self.ncpumaps = ncpumaps
                self.maplen = maplen
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                ncpumaps = try Int32(from: &reader)
                maplen = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try ncpumaps.write(to: &writer)
                try maplen.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cpumaps: [UInt8]
            public var num: Int32

            public init(cpumaps: [UInt8], num: Int32) {
                self.cpumaps = cpumaps
                self.num = num
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cpumaps = try reader.opaque(max: 8388608)
                num = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.opaque(cpumaps, max: 8388608)
                try num.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_UNDEFINE_FLAGS`, virDomainUndefineFlags.
    public enum DomainUndefineFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 231
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SAVE_FLAGS`, virDomainSaveFlags.
    public enum DomainSaveFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 232

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var to: String
            public var dxml: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, to: String, dxml: String?, flags: UInt32) {
                self.dom = dom
                self.to = to
                self.dxml = dxml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                to = try reader.string()
                dxml = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try to.write(to: &writer)
                try writer.optional(dxml)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_RESTORE_FLAGS`, virDomainRestoreFlags.
    public enum DomainRestoreFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 233

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var from: String
            public var dxml: String?
            public var flags: UInt32

            public init(from: String, dxml: String?, flags: UInt32) {
                self.from = from
                self.dxml = dxml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                from = try reader.string()
                dxml = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try from.write(to: &writer)
                try writer.optional(dxml)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_DESTROY_FLAGS`, virDomainDestroyFlags.
    public enum DomainDestroyFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 234
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }
}
