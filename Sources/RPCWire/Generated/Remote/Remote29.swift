// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY`, virConnectNodeDeviceEventRegisterAny.
    public enum ConnectNodeDeviceEventRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 374

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32
            public var dev: RemoteNodeDevice?

            public init(eventID: Int32, dev: RemoteNodeDevice?) {
                self.eventID = eventID
                self.dev = dev
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
                dev = try reader.optional(RemoteNodeDevice.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
                try writer.optional(dev)
            }
        }
        public typealias Result = Remote.ConnectNetworkEventRegisterAny.Result
    }

    /// `CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY`, virConnectNodeDeviceEventDeregisterAny.
    public enum ConnectNodeDeviceEventDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 375
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }

    /// `NODE_DEVICE_EVENT_LIFECYCLE`.
    public enum NodeDeviceEventLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 376

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dev: RemoteNodeDevice
            public var event: Int32
            public var detail: Int32

            public init(callbackID: Int32, dev: RemoteNodeDevice, event: Int32, detail: Int32) {
                self.callbackID = callbackID
                self.dev = dev
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dev = try RemoteNodeDevice(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dev.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `NODE_DEVICE_EVENT_UPDATE`.
    public enum NodeDeviceEventUpdate: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 377

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dev: RemoteNodeDevice

            public init(callbackID: Int32, dev: RemoteNodeDevice) {
                self.callbackID = callbackID
                self.dev = dev
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dev = try RemoteNodeDevice(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dev.write(to: &writer)
            }
        }
    }

    /// `STORAGE_VOL_GET_INFO_FLAGS`, virStorageVolGetInfoFlags.
    public enum StorageVolGetInfoFlags: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 378
        public typealias Arguments = Remote.StorageVolDelete.Arguments
        public typealias Result = Remote.StorageVolGetInfo.Result
    }

    /// `DOMAIN_EVENT_CALLBACK_METADATA_CHANGE`.
    public enum DomainEventCallbackMetadataChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 379

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var type: Int32
            public var nsuri: String?

            public init(callbackID: Int32, dom: RemoteDomain, type: Int32, nsuri: String?) {
                self.callbackID = callbackID
                self.dom = dom
                self.type = type
                self.nsuri = nsuri
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                type = try Int32(from: &reader)
                nsuri = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try type.write(to: &writer)
                try writer.optional(nsuri)
            }
        }
    }

    /// `CONNECT_SECRET_EVENT_REGISTER_ANY`, virConnectSecretEventRegisterAny.
    public enum ConnectSecretEventRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 380

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32
            public var secret: RemoteSecret?

            public init(eventID: Int32, secret: RemoteSecret?) {
                self.eventID = eventID
                self.secret = secret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
                secret = try reader.optional(RemoteSecret.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
                try writer.optional(secret)
            }
        }
        public typealias Result = Remote.ConnectNetworkEventRegisterAny.Result
    }

    /// `CONNECT_SECRET_EVENT_DEREGISTER_ANY`, virConnectSecretEventDeregisterAny.
    public enum ConnectSecretEventDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 381
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }

    /// `SECRET_EVENT_LIFECYCLE`.
    public enum SecretEventLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 382

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var secret: RemoteSecret
            public var event: Int32
            public var detail: Int32

            public init(callbackID: Int32, secret: RemoteSecret, event: Int32, detail: Int32) {
                self.callbackID = callbackID
                self.secret = secret
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                secret = try RemoteSecret(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try secret.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `SECRET_EVENT_VALUE_CHANGED`.
    public enum SecretEventValueChanged: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 383

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var secret: RemoteSecret

            public init(callbackID: Int32, secret: RemoteSecret) {
                self.callbackID = callbackID
                self.secret = secret
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                secret = try RemoteSecret(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try secret.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_VCPU`, virDomainSetVcpu.
    public enum DomainSetVCPU: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 384
        public typealias Arguments = Remote.DomainSetGuestVCPUs.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_BLOCK_THRESHOLD`.
    public enum DomainEventBlockThreshold: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 385

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var dev: String
            public var path: String?
            public var threshold: UInt64
            public var excess: UInt64

            public init(
                callbackID: Int32, dom: RemoteDomain, dev: String, path: String?, threshold: UInt64, excess: UInt64
            ) {
                self.callbackID = callbackID
                self.dom = dom
                self.dev = dev
                self.path = path
                self.threshold = threshold
                self.excess = excess
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                dev = try reader.string()
                path = try reader.optional(String.self)
                threshold = try UInt64(from: &reader)
                excess = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try dev.write(to: &writer)
                try writer.optional(path)
                try threshold.write(to: &writer)
                try excess.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_SET_BLOCK_THRESHOLD`, virDomainSetBlockThreshold.
    public enum DomainSetBlockThreshold: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 386

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var dev: String
            public var threshold: UInt64
            public var flags: UInt32

            public init(dom: RemoteDomain, dev: String, threshold: UInt64, flags: UInt32) {
                self.dom = dom
                self.dev = dev
                self.threshold = threshold
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                dev = try reader.string()
                threshold = try UInt64(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try dev.write(to: &writer)
                try threshold.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_MIGRATE_GET_MAX_DOWNTIME`, virDomainMigrateGetMaxDowntime.
    public enum DomainMigrateGetMaxDowntime: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 387
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var downtime: UInt64

            public init(downtime: UInt64) {
                self.downtime = downtime
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                downtime = try UInt64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try downtime.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_MANAGED_SAVE_GET_XML_DESC`, virDomainManagedSaveGetXMLDesc.
    public enum DomainManagedSaveGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 388
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainDefineXML.Arguments
    }
}
