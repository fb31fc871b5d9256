// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_GRAPHICS_RELOAD`, virDomainGraphicsReload.
    public enum DomainGraphicsReload: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 448

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var type: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, type: UInt32, flags: UInt32) {
                self.dom = dom
                self.type = type
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                type = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try type.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_AUTOSTART_ONCE`, virDomainGetAutostartOnce.
    public enum DomainGetAutostartOnce: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 449
        public typealias Arguments = Remote.DomainCreate.Arguments
        public typealias Result = Remote.DomainGetAutostart.Result
    }

    /// `DOMAIN_SET_AUTOSTART_ONCE`, virDomainSetAutostartOnce.
    public enum DomainSetAutostartOnce: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 450
        public typealias Arguments = Remote.DomainSetAutostart.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_SET_THROTTLE_GROUP`, virDomainSetThrottleGroup.
    public enum DomainSetThrottleGroup: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 451

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var group: String
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, group: String, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.group = group
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                group = try reader.string()
                params = try reader.array(RemoteTypedParam.self, max: 32)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try group.write(to: &writer)
                try writer.array(params, max: 32)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_DEL_THROTTLE_GROUP`, virDomainDelThrottleGroup.
    public enum DomainDelThrottleGroup: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 452

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var group: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, group: String?, flags: UInt32) {
                self.dom = dom
                self.group = group
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                group = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(group)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_NIC_MAC_CHANGE`.
    public enum DomainEventNICMACChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 453

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var alias: String
            public var oldMAC: String
            public var newMAC: String

            public init(callbackID: Int32, dom: RemoteDomain, alias: String, oldMAC: String, newMAC: String) {
                self.callbackID = callbackID
                self.dom = dom
                self.alias = alias
                self.oldMAC = oldMAC
                self.newMAC = newMAC
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                alias = try reader.string()
                oldMAC = try reader.string()
                newMAC = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try alias.write(to: &writer)
                try oldMAC.write(to: &writer)
                try newMAC.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_VCPU_REMOVED`.
    public enum DomainEventVCPURemoved: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 454

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var vcpuid: UInt32

            public init(callbackID: Int32, dom: RemoteDomain, vcpuid: UInt32) {
                self.callbackID = callbackID
                self.dom = dom
                self.vcpuid = vcpuid
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                vcpuid = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try vcpuid.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_CHANNEL_LIFECYCLE`.
    public enum DomainEventCallbackChannelLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 455

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var channelName: String
            public var state: Int32
            public var reason: Int32

            public init(callbackID: Int32, dom: RemoteDomain, channelName: String, state: Int32, reason: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.channelName = channelName
                self.state = state
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                channelName = try reader.string()
                state = try Int32(from: &reader)
                reason = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try channelName.write(to: &writer)
                try state.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_ANNOUNCE_INTERFACE`, virDomainAnnounceInterface.
    public enum DomainAnnounceInterface: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 456

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var device: String?
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(dom: RemoteDomain, device: String?, params: [RemoteTypedParam], flags: UInt32) {
                self.dom = dom
                self.device = device
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                device = try reader.optional(String.self)
                params = try reader.array(RemoteTypedParam.self, max: 16)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try writer.optional(device)
                try writer.array(params, max: 16)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }
}
