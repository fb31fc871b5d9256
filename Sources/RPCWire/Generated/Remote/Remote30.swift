// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_MANAGED_SAVE_DEFINE_XML`, virDomainManagedSaveDefineXML.
    public enum DomainManagedSaveDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 389

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var dxml: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, dxml: String?, flags: UInt32) {
                self.dom = dom
                self.dxml = dxml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                dxml = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(dxml)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_LIFECYCLE_ACTION`, virDomainSetLifecycleAction.
    public enum DomainSetLifecycleAction: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 390

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var type: UInt32
            public var action: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, type: UInt32, action: UInt32, flags: UInt32) {
                self.dom = dom
                self.type = type
                self.action = action
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                type = try UInt32(from: &reader)
                action = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try type.write(to: &writer)
                try action.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_POOL_LOOKUP_BY_TARGET_PATH`, virStoragePoolLookupByTargetPath.
    public enum StoragePoolLookupByTargetPath: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 391
        public typealias Arguments = Remote.StorageVolLookupByPath.Arguments
        public typealias Result = Remote.StoragePoolCreateXML.Result
    }

    /// `DOMAIN_DETACH_DEVICE_ALIAS`, virDomainDetachDeviceAlias.
    public enum DomainDetachDeviceAlias: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 392

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var alias: String
            public var flags: UInt32

            public init(dom: RemoteDomain, alias: String, flags: UInt32) {
                self.dom = dom
                self.alias = alias
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                alias = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try alias.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_COMPARE_HYPERVISOR_CPU`, virConnectCompareHypervisorCPU.
    public enum ConnectCompareHypervisorCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 393

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var emulator: String?
            public var arch: String?
            public var machine: String?
            public var virttype: String?
            public var xmlCPU: String
            public var flags: UInt32

            public init(
                emulator: String?, arch: String?, machine: String?, virttype: String?, xmlCPU: String, flags: UInt32
            ) {
                self.emulator = emulator
                self.arch = arch
                self.machine = machine
                self.virttype = virttype
                self.xmlCPU = xmlCPU
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                emulator = try reader.optional(String.self)
                arch = try reader.optional(String.self)
                machine = try reader.optional(String.self)
                virttype = try reader.optional(String.self)
                xmlCPU = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(emulator)
                try writer.optional(arch)
                try writer.optional(machine)
                try writer.optional(virttype)
                try xmlCPU.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectCompareCPU.Result
    }

    /// `CONNECT_BASELINE_HYPERVISOR_CPU`, virConnectBaselineHypervisorCPU.
    public enum ConnectBaselineHypervisorCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 394

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var emulator: String?
            public var arch: String?
            public var machine: String?
            public var virttype: String?
            public var xmlCPUs: [String]
            public var flags: UInt32

            public init(
                emulator: String?, arch: String?, machine: String?, virttype: String?, xmlCPUs: [String], flags: UInt32
            ) {
                self.emulator = emulator
                self.arch = arch
                self.machine = machine
                self.virttype = virttype
                self.xmlCPUs = xmlCPUs
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                emulator = try reader.optional(String.self)
                arch = try reader.optional(String.self)
                machine = try reader.optional(String.self)
                virttype = try reader.optional(String.self)
                xmlCPUs = try reader.array(String.self, max: 256)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(emulator)
                try writer.optional(arch)
                try writer.optional(machine)
                try writer.optional(virttype)
                try writer.array(xmlCPUs, max: 256)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectBaselineCPU.Result
    }

    /// `NODE_GET_SEV_INFO`, virNodeGetSEVInfo.
    public enum NodeGetSEVInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 395
        public typealias Arguments = Remote.NodeGetMemoryParameters.Arguments
        public typealias Result = Remote.NodeGetMemoryParameters.Result
    }

    /// `DOMAIN_GET_LAUNCH_SECURITY_INFO`, virDomainGetLaunchSecurityInfo.
    public enum DomainGetLaunchSecurityInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 396
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainGetPerfEvents.Result
    }

    /// `NWFILTER_BINDING_LOOKUP_BY_PORT_DEV`, virNWFilterBindingLookupByPortDev.
    public enum NWFilterBindingLookupByPortDev: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 397
        public typealias Arguments = Remote.DomainLookupByName.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var nwfilter: RemoteNWFilterBinding

            public init(nwfilter: RemoteNWFilterBinding) {
                self.nwfilter = nwfilter
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nwfilter = try RemoteNWFilterBinding(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nwfilter.write(to: &writer)
            }
        }
    }

    /// `NWFILTER_BINDING_GET_XML_DESC`, virNWFilterBindingGetXMLDesc.
    public enum NWFilterBindingGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 398

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nwfilter: RemoteNWFilterBinding
            public var flags: UInt32

            public init(nwfilter: RemoteNWFilterBinding, flags: UInt32) {
                self.nwfilter = nwfilter
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nwfilter = try RemoteNWFilterBinding(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nwfilter.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `NWFILTER_BINDING_CREATE_XML`, virNWFilterBindingCreateXML.
    public enum NWFilterBindingCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 399
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments
        public typealias Result = Remote.NWFilterBindingLookupByPortDev.Result
    }

    /// `NWFILTER_BINDING_DELETE`, virNWFilterBindingDelete.
    public enum NWFilterBindingDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 400
        public typealias Arguments = Remote.NWFilterBindingLookupByPortDev.Result
        public typealias Result = NoPayload
    }

    /// `CONNECT_LIST_ALL_NWFILTER_BINDINGS`, virConnectListAllNWFilterBindings.
    public enum ConnectListAllNWFilterBindings: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 401
        public typealias Arguments = Remote.ConnectListAllDomains.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var bindings: [RemoteNWFilterBinding]
            public var ret: UInt32

            public init(bindings: [RemoteNWFilterBinding], ret: UInt32) {
                self.bindings = bindings
                self.ret = ret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                bindings = try reader.array(RemoteNWFilterBinding.self, max: 16384)
                ret = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(bindings, max: 16384)
                try ret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_IOTHREAD_PARAMS`, virDomainSetIOThreadParams.
    public enum DomainSetIOThreadParams: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 402

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var iothreadId: UInt32
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, iothreadId: UInt32, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.iothreadId = iothreadId
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                iothreadId = try UInt32(from: &reader)
                params = try reader.array(RemoteTypedParam.self, max: 64)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try iothreadId.write(to: &writer)
                try writer.array(params, max: 64)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_GET_STORAGE_POOL_CAPABILITIES`, virConnectGetStoragePoolCapabilities.
    public enum ConnectGetStoragePoolCapabilities: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 403
        public typealias Arguments = Remote.ConnectGetSysinfo.Arguments
        public typealias Result = Remote.ConnectGetCapabilities.Result
    }
}
