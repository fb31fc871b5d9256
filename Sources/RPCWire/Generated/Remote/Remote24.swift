// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `NETWORK_EVENT_LIFECYCLE`.
    public enum NetworkEventLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 315

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var net: RemoteNetwork
            public var event: Int32
            public var detail: Int32

            public init(callbackID: Int32, net: RemoteNetwork, event: Int32, detail: Int32) {
                self.callbackID = callbackID
                self.net = net
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                net = try RemoteNetwork(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try net.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY`, virConnectDomainEventRegisterAny.
    public enum ConnectDomainEventCallbackRegisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 316

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var eventID: Int32
            public var dom: RemoteDomain?

            public init(eventID: Int32, dom: RemoteDomain?) {
                self.eventID = eventID
                self.dom = dom
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                eventID = try Int32(from: &reader)
                dom = try reader.optional(RemoteDomain.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try eventID.write(to: &writer)
                try writer.optional(dom)
            }
        }
        public typealias Result = Remote.ConnectNetworkEventRegisterAny.Result
    }

    /// `CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY`, virConnectDomainEventDeregisterAny.
    public enum ConnectDomainEventCallbackDeregisterAny: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 317
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }

    /// `DOMAIN_EVENT_CALLBACK_LIFECYCLE`.
    public enum DomainEventCallbackLifecycle: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 318

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var event: Int32
            public var detail: Int32

            public init(callbackID: Int32, dom: RemoteDomain, event: Int32, detail: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.event = event
                self.detail = detail
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                event = try Int32(from: &reader)
                detail = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try event.write(to: &writer)
                try detail.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_REBOOT`.
    public enum DomainEventCallbackReboot: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 319

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain

            public init(callbackID: Int32, dom: RemoteDomain) {
                self.callbackID = callbackID
                self.dom = dom
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_RTC_CHANGE`.
    public enum DomainEventCallbackRTCChange: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 320

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var offset: Int64

            public init(callbackID: Int32, dom: RemoteDomain, offset: Int64) {
                self.callbackID = callbackID
                self.dom = dom
                self.offset = offset
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                offset = try Int64(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try offset.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_WATCHDOG`.
    public enum DomainEventCallbackWatchdog: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 321

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var action: Int32

            public init(callbackID: Int32, dom: RemoteDomain, action: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.action = action
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                action = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try action.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_IO_ERROR`.
    public enum DomainEventCallbackIOError: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 322

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var srcPath: String
            public var devAlias: String
            public var action: Int32

            public init(callbackID: Int32, dom: RemoteDomain, srcPath: String, devAlias: String, action: Int32) {
                self.callbackID = callbackID
                self.dom = dom
                self.srcPath = srcPath
                self.devAlias = devAlias
                self.action = action
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                srcPath = try reader.string()
                devAlias = try reader.string()
                action = try Int32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try srcPath.write(to: &writer)
                try devAlias.write(to: &writer)
                try action.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_GRAPHICS`.
    public enum DomainEventCallbackGraphics: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 323

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var phase: Int32
            public var local: RemoteDomainEventGraphicsAddress
            public var remote: RemoteDomainEventGraphicsAddress
            public var authScheme: String
            public var subject: [RemoteDomainEventGraphicsIdentity]

            public init(
                callbackID: Int32, dom: RemoteDomain, phase: Int32, local: RemoteDomainEventGraphicsAddress,
                remote: RemoteDomainEventGraphicsAddress, authScheme: String,
                subject: [RemoteDomainEventGraphicsIdentity]
            ) {
                self.callbackID = callbackID
                self.dom = dom
                self.phase = phase
                self.local = local
                self.remote = remote
                self.authScheme = authScheme
                self.subject = subject
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                phase = try Int32(from: &reader)
                local = try RemoteDomainEventGraphicsAddress(from: &reader)
                remote = try RemoteDomainEventGraphicsAddress(from: &reader)
                authScheme = try reader.string()
                subject = try reader.array(RemoteDomainEventGraphicsIdentity.self, max: 20)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try phase.write(to: &writer)
                try local.write(to: &writer)
                try remote.write(to: &writer)
                try authScheme.write(to: &writer)
                try writer.array(subject, max: 20)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON`.
    public enum DomainEventCallbackIOErrorReason: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 324

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var srcPath: String
            public var devAlias: String
            public var action: Int32
            public var reason: String

            public init(
                callbackID: Int32, dom: RemoteDomain, srcPath: String, devAlias: String, action: Int32, reason: String
            ) {
                self.callbackID = callbackID
                self.dom = dom
                self.srcPath = srcPath
                self.devAlias = devAlias
                self.action = action
                self.reason = reason
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                srcPath = try reader.string()
                devAlias = try reader.string()
                action = try Int32(from: &reader)
                reason = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try srcPath.write(to: &writer)
                try devAlias.write(to: &writer)
                try action.write(to: &writer)
                try reason.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_EVENT_CALLBACK_CONTROL_ERROR`.
    public enum DomainEventCallbackControlError: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 325
        public typealias Body = Remote.DomainEventCallbackReboot.Body
    }
}
