// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_EVENT_RTC_CHANGE`.
    public enum DomainEventRTCChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 170

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var offset: Int64

            public init(dom: RemoteDomain, offset: Int64) {
                self.dom = dom
                self.offset = offset
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                offset = try Int64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try offset.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_WATCHDOG`.
    public enum DomainEventWatchdog: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 171

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var action: Int32

            public init(dom: RemoteDomain, action: Int32) {
                self.dom = dom
                self.action = action
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                action = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try action.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_IO_ERROR`.
    public enum DomainEventIOError: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 172

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var srcPath: String
            public var devAlias: String
            public var action: Int32

            public init(dom: RemoteDomain, srcPath: String, devAlias: String, action: Int32) {
                self.dom = dom
                self.srcPath = srcPath
                self.devAlias = devAlias
                self.action = action
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                srcPath = try reader.string()
                devAlias = try reader.string()
                action = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try srcPath.write(to: &writer)
                try devAlias.write(to: &writer)
                try action.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_GRAPHICS`.
    public enum DomainEventGraphics: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 173

        /// What it tells.
        public struct Body: XDRCodable {
            public var dom: RemoteDomain
            public var phase: Int32
            public var local: RemoteDomainEventGraphicsAddress
            public var remote: RemoteDomainEventGraphicsAddress
            public var authScheme: String
            public var subject: [RemoteDomainEventGraphicsIdentity]

            public init(
                dom: RemoteDomain, phase: Int32, local: RemoteDomainEventGraphicsAddress,
                remote: RemoteDomainEventGraphicsAddress, authScheme: String,
                subject: [RemoteDomainEventGraphicsIdentity]
            ) {
                self.dom = dom
                self.phase = phase
                self.local = local
                self.remote = remote
                self.authScheme = authScheme
                self.subject = subject
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                phase = try Int32(from: &reader)
                local = try RemoteDomainEventGraphicsAddress(from: &reader)
                remote = try RemoteDomainEventGraphicsAddress(from: &reader)
                authScheme = try reader.string()
                subject = try reader.array(RemoteDomainEventGraphicsIdentity.self, max: 20)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try phase.write(to: &writer)
                try local.write(to: &writer)
                try remote.write(to: &writer)
                try authScheme.write(to: &writer)
                try writer.array(subject, max: 20)
            }
        }
    }

    /// `DOMAIN_UPDATE_DEVICE_FLAGS`, virDomainUpdateDeviceFlags.
    public enum DomainUpdateDeviceFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 174
        public typealias Arguments = Remote.DomainAttachDeviceFlags.Arguments
        public typealias Result = NoPayload
    }

    /// `NWFILTER_LOOKUP_BY_NAME`, virNWFilterLookupByName.
    public enum NWFilterLookupByName: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 175
        public typealias Arguments = Remote.DomainLookupByName.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var nwfilter: RemoteNWFilter

            public init(nwfilter: RemoteNWFilter) {
                self.nwfilter = nwfilter
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nwfilter = try RemoteNWFilter(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nwfilter.write(to: &writer)
            }
        }
    }

    /// `NWFILTER_LOOKUP_BY_UUID`, virNWFilterLookupByUUID.
    public enum NWFilterLookupByUUID: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 176
        public typealias Arguments = Remote.DomainLookupByUUID.Arguments
        public typealias Result = Remote.NWFilterLookupByName.Result
    }

    /// `NWFILTER_GET_XML_DESC`, virNWFilterGetXMLDesc.
    public enum NWFilterGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 177

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var nwfilter: RemoteNWFilter
            public var flags: UInt32

            public init(nwfilter: RemoteNWFilter, flags: UInt32) {
                self.nwfilter = nwfilter
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                nwfilter = try RemoteNWFilter(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try nwfilter.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `CONNECT_NUM_OF_NWFILTERS`, virConnectNumOfNWFilters.
    public enum ConnectNumOfNwfilters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 178
        public typealias Arguments = NoPayload
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }

    /// `CONNECT_LIST_NWFILTERS`, virConnectListNWFilters.
    public enum ConnectListNwfilters: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 179
        public typealias Arguments = Remote.ConnectListDefinedDomains.Arguments
        public typealias Result = Remote.ConnectListDefinedDomains.Result
    }

    /// `NWFILTER_DEFINE_XML`, virNWFilterDefineXML.
    public enum NWFilterDefineXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 180
        public typealias Arguments = Remote.DomainDefineXML.Arguments
        public typealias Result = Remote.NWFilterLookupByName.Result
    }

    /// `NWFILTER_UNDEFINE`, virNWFilterUndefine.
    public enum NWFilterUndefine: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 181
        public typealias Arguments = Remote.NWFilterLookupByName.Result
        public typealias Result = NoPayload
    }

    /// `DOMAIN_MANAGED_SAVE`, virDomainManagedSave.
    public enum DomainManagedSave: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 182
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_HAS_MANAGED_SAVE_IMAGE`, virDomainHasManagedSaveImage.
    public enum DomainHasManagedSaveImage: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 183
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.ConnectCompareCPU.Result
    }

    /// `DOMAIN_MANAGED_SAVE_REMOVE`, virDomainManagedSaveRemove.
    public enum DomainManagedSaveRemove: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 184
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SNAPSHOT_CREATE_XML`, virDomainSnapshotCreateXML.
    public enum DomainSnapshotCreateXML: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 185

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var xmlDesc: String
            public var flags: UInt32

            public init(dom: RemoteDomain, xmlDesc: String, flags: UInt32) {
                self.dom = dom
                self.xmlDesc = xmlDesc
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                xmlDesc = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try xmlDesc.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var snap: RemoteDomainSnapshot

            public init(snap: RemoteDomainSnapshot) {
                self.snap = snap
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                snap = try RemoteDomainSnapshot(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try snap.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SNAPSHOT_GET_XML_DESC`, virDomainSnapshotGetXMLDesc.
    public enum DomainSnapshotGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 186

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var snap: RemoteDomainSnapshot
            public var flags: UInt32

            public init(snap: RemoteDomainSnapshot, flags: UInt32) {
                self.snap = snap
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                snap = try RemoteDomainSnapshot(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try snap.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `DOMAIN_SNAPSHOT_NUM`, virDomainSnapshotNum.
    public enum DomainSnapshotNum: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 187
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainGetMaxVCPUs.Result
    }
}
