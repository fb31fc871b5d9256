// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `CONNECT_GET_LIB_VERSION`, virConnectGetLibVersion.
    public enum ConnectGetLibVersion: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 157
        public typealias Arguments = NoPayload

        /// What it answers.
        public struct Result: XDRCodable {
            public var libVer: UInt64

            public init(libVer: UInt64) {
                self.libVer = libVer
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                libVer = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try libVer.write(to: &writer)
            }
        }
    }

    /// `CONNECT_COMPARE_CPU`, virConnectCompareCPU.
    public enum ConnectCompareCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 158
        public typealias Arguments = Remote.StoragePoolCreateXML.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var result: Int32

            public init(result: Int32) {
                self.result = result
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                result = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try result.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MEMORY_STATS`, virDomainMemoryStats.
    public enum DomainMemoryStats: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 159

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var maxStats: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, maxStats: UInt32, flags: UInt32) {
                self.dom = dom
                self.maxStats = maxStats
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                maxStats = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try maxStats.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var stats: [RemoteDomainMemoryStat]

            public init(stats: [RemoteDomainMemoryStat]) {
                self.stats = stats
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                stats = try reader.array(RemoteDomainMemoryStat.self, max: 1024)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(stats, max: 1024)
            }
        }
    }

    /// `DOMAIN_ATTACH_DEVICE_FLAGS`, virDomainAttachDeviceFlags.
    public enum DomainAttachDeviceFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 160

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var xml: String
            public var flags: UInt32

            public init(dom: RemoteDomain, xml: String, flags: UInt32) {
                self.dom = dom
                self.xml = xml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                xml = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try xml.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_DETACH_DEVICE_FLAGS`, virDomainDetachDeviceFlags.
    public enum DomainDetachDeviceFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 161
        public typealias Arguments = Remote.DomainAttachDeviceFlags.Arguments
        public typealias Result = NoPayload
    }

    /// `CONNECT_BASELINE_CPU`, virConnectBaselineCPU.
    public enum ConnectBaselineCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 162

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var xmlCPUs: [String]
            public var flags: UInt32

            public init(xmlCPUs: [String], flags: UInt32) {
                self.xmlCPUs = xmlCPUs
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                xmlCPUs = try reader.array(String.self, max: 256)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(xmlCPUs, max: 256)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var cpu: String

            public init(cpu: String) {
                self.cpu = cpu
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                cpu = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try cpu.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_GET_JOB_INFO`, virDomainGetJobInfo.
    public enum DomainGetJobInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 163
        public typealias Arguments = Remote.DomainCreate.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var type: Int32
            public var timeElapsed: UInt64
            public var timeRemaining: UInt64
            public var dataTotal: UInt64
            public var dataProcessed: UInt64
            public var dataRemaining: UInt64
            public var memTotal: UInt64
            public var memProcessed: UInt64
            public var memRemaining: UInt64
            public var fileTotal: UInt64
            public var fileProcessed: UInt64
            public var fileRemaining: UInt64

            public init(
                type: Int32, timeElapsed: UInt64, timeRemaining: UInt64, dataTotal: UInt64, dataProcessed: UInt64,
                dataRemaining: UInt64, memTotal: UInt64, memProcessed: UInt64, memRemaining: UInt64, fileTotal: UInt64,
                fileProcessed: UInt64, fileRemaining: UInt64
            ) {
                self.type = type
                self.timeElapsed = timeElapsed
                self.timeRemaining = timeRemaining
                self.dataTotal = dataTotal
                self.dataProcessed = dataProcessed
                self.dataRemaining = dataRemaining
                self.memTotal = memTotal
                self.memProcessed = memProcessed
                self.memRemaining = memRemaining
                self.fileTotal = fileTotal
                self.fileProcessed = fileProcessed
                self.fileRemaining = fileRemaining
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                type = try Int32(from: &reader)
                timeElapsed = try UInt64(from: &reader)
                timeRemaining = try UInt64(from: &reader)
                dataTotal = try UInt64(from: &reader)
                dataProcessed = try UInt64(from: &reader)
                dataRemaining = try UInt64(from: &reader)
                memTotal = try UInt64(from: &reader)
                memProcessed = try UInt64(from: &reader)
                memRemaining = try UInt64(from: &reader)
                fileTotal = try UInt64(from: &reader)
                fileProcessed = try UInt64(from: &reader)
                fileRemaining = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try type.write(to: &writer)
                try timeElapsed.write(to: &writer)
                try timeRemaining.write(to: &writer)
                try dataTotal.write(to: &writer)
                try dataProcessed.write(to: &writer)
                try dataRemaining.write(to: &writer)
                try memTotal.write(to: &writer)
                try memProcessed.write(to: &writer)
                try memRemaining.write(to: &writer)
                try fileTotal.write(to: &writer)
                try fileProcessed.write(to: &writer)
                try fileRemaining.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_ABORT_JOB`, virDomainAbortJob.
    public enum DomainAbortJob: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 164
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = NoPayload
    }

    /// `STORAGE_VOL_WIPE`, virStorageVolWipe.
    public enum StorageVolWipe: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 165
        public typealias Arguments = Remote.StorageVolDelete.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_MIGRATE_SET_MAX_DOWNTIME`, virDomainMigrateSetMaxDowntime.
    public enum DomainMigrateSetMaxDowntime: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 166

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var downtime: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, downtime: UInt64, flags: UInt32) {
                self.dom = dom
                self.downtime = downtime
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                downtime = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try downtime.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_DOMAIN_EVENT_REGISTER_ANY`, virConnectDomainEventRegisterAny.
    public enum ConnectDomainEventRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 167

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32

            public init(eventID: Int32) {
                self.eventID = eventID
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `CONNECT_DOMAIN_EVENT_DEREGISTER_ANY`, virConnectDomainEventDeregisterAny.
    public enum ConnectDomainEventDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 168
        public typealias Arguments = Remote.ConnectDomainEventRegisterAny.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_REBOOT`.
    public enum DomainEventReboot: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 169
        public typealias Body = Remote.DomainCreate.Arguments
    }
}
