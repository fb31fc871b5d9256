// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_OPEN_GRAPHICS`, virDomainOpenGraphics.
    public enum DomainOpenGraphics: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 249

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var idx: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, idx: UInt32, flags: UInt32) {
                self.dom = dom
                self.idx = idx
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                idx = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try idx.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `NODE_SUSPEND_FOR_DURATION`, virNodeSuspendForDuration.
    public enum NodeSuspendForDuration: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 250

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var target: UInt32
            public var duration: UInt64
            public var flags: UInt32

            public init(target: UInt32, duration: UInt64, flags: UInt32) {
                self.target = target
                self.duration = duration
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                target = try UInt32(from: &reader)
                duration = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try target.write(to: &writer)
                try duration.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_BLOCK_RESIZE`, virDomainBlockResize.
    public enum DomainBlockResize: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 251

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var disk: String
            public var size: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, disk: String, size: UInt64, flags: UInt32) {
                self.dom = dom
                self.disk = disk
                self.size = size
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                disk = try reader.string()
                size = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try disk.write(to: &writer)
                try size.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_BLOCK_IO_TUNE`, virDomainSetBlockIoTune.
    public enum DomainSetBlockIOTune: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 252

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var disk: String
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, disk: String, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.disk = disk
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                disk = try reader.string()
                params = try reader.array(RemoteTypedParam.self, max: 32)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try disk.write(to: &writer)
                try writer.array(params, max: 32)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_BLOCK_IO_TUNE`, virDomainGetBlockIoTune.
    public enum DomainGetBlockIOTune: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 253

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var disk: String?
            public var nparams: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, disk: String?, nparams: Int32, flags: UInt32) {
                self.dom = dom
                self.disk = disk
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                disk = try reader.optional(String.self)
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(disk)
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
                params = try reader.array(RemoteTypedParam.self, max: 32)
                nparams = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 32)
                try nparams.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_NUMA_PARAMETERS`, virDomainSetNumaParameters.
    public enum DomainSetNUMAParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 254
        public typealias Arguments = Remote.DomainSetMemoryParameters.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_NUMA_PARAMETERS`, virDomainGetNumaParameters.
    public enum DomainGetNUMAParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 255
        public typealias Arguments = Remote.DomainGetMemoryParameters.Arguments
        public typealias Result = Remote.DomainGetMemoryParameters.Result
    }

    /// `DOMAIN_SET_INTERFACE_PARAMETERS`, virDomainSetInterfaceParameters.
    public enum DomainSetInterfaceParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 256

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var device: String
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, device: String, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.device = device
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                device = try reader.string()
                params = try reader.array(RemoteTypedParam.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try device.write(to: &writer)
                try writer.array(params, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_INTERFACE_PARAMETERS`, virDomainGetInterfaceParameters.
    public enum DomainGetInterfaceParameters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 257

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var device: String
            public var nparams: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, device: String, nparams: Int32, flags: UInt32) {
                self.dom = dom
                self.device = device
                self.nparams = nparams
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                device = try reader.string()
                nparams = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try device.write(to: &writer)
                try nparams.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainGetMemoryParameters.Result
    }

    /// `DOMAIN_SHUTDOWN_FLAGS`, virDomainShutdownFlags.
    public enum DomainShutdownFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 258
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_WIPE_PATTERN`, virStorageVolWipePattern.
    public enum StorageVolWipePattern: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 259

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var vol: RemoteStorageVol
            public var algorithm: UInt32
            public var flags: UInt32

            public init(vol: RemoteStorageVol, algorithm: UInt32, flags: UInt32) {
                self.vol = vol
                self.algorithm = algorithm
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vol = try RemoteStorageVol(from: &reader)
                algorithm = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try vol.write(to: &writer)
                try algorithm.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_RESIZE`, virStorageVolResize.
    public enum StorageVolResize: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 260

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var vol: RemoteStorageVol
            public var capacity: UInt64
            public var flags: UInt32

            public init(vol: RemoteStorageVol, capacity: UInt64, flags: UInt32) {
                self.vol = vol
                self.capacity = capacity
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                vol = try RemoteStorageVol(from: &reader)
                capacity = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try vol.write(to: &writer)
                try capacity.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
